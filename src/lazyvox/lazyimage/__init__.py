"""Images as nibabel knows them, lazy: load, slice, save."""

from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.explaining import explain
from lazyvox.lazyimage.load import load
from lazyvox.lazyimage.save import save
from lazyvox.lazyimage.series import Grid

__all__ = ["Grid", "LazyImage", "explain", "load", "save"]
