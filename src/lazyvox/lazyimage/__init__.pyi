from .classes import LazyImage
from .explaining import explain
from .parallel import map_images
from .random_access import ImageIndex, index
from .series import Grid
from .sharing import SharedHandle, shared

__all__ = [
    "Grid",
    "ImageIndex",
    "LazyImage",
    "SharedHandle",
    "explain",
    "index",
    "map_images",
    "shared",
]
