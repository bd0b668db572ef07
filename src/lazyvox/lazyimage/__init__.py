"""Images as nibabel knows them, lazy: load, slice, save."""

import lazy_loader

# These two have the names of their modules, which would else take their place.
from lazyvox.lazyimage.load import load as load
from lazyvox.lazyimage.save import save as save

# The names are in __init__.pyi; a process that loads an image has no need of shared memory,
# pools of processes and indexes.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
