"""Images as nibabel knows them, lazy: load, slice, save."""

from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.explaining import explain
from lazyvox.lazyimage.load import load
from lazyvox.lazyimage.parallel import map_images
from lazyvox.lazyimage.random_access import ImageIndex, index
from lazyvox.lazyimage.save import save
from lazyvox.lazyimage.series import Grid
from lazyvox.lazyimage.sharing import SharedHandle, shared

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
