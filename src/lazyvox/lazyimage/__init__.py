"""Images as nibabel knows them, lazy: load, slice, save."""

import lazy_loader

# The names are in __init__.pyi; a process that streams a file has no need of nibabel, of shared
# memory, of pools of processes and of indexes. `load` and `save` have the names of their modules.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
