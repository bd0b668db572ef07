"""One pass over images: the scan and its consumers."""

import lazy_loader

# The names are in __init__.pyi; a pass for one consumer has no need of the others.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
