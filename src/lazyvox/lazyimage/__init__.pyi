from .classes import LazyImage
from .explaining import explain
from .load import load
from .parallel import map_images
from .random_access import ImageIndex, index
from .save import save
from .series import Grid
from .sharing import SharedHandle, shared

__all__ = [
    "Grid",
    "ImageIndex",
    "LazyImage",
    "SharedHandle",
    "explain",
    "index",
    "load",
    "map_images",
    "save",
    "shared",
]
