"""Lazy readers: files that load when they are used, and ahead of the loop that uses them."""

from lazyvox.preload.iteration import PreloadIterator, PreloadList
from lazyvox.preload.lazy import LazyReadData
from lazyvox.preload.readers import Annotation, Surface, register_reader
from lazyvox.preload.resample import LazyResampleVolume
from lazyvox.preload.stand_in import EditedDataError

__all__ = [
    "Annotation",
    "EditedDataError",
    "LazyReadData",
    "LazyResampleVolume",
    "PreloadIterator",
    "PreloadList",
    "Surface",
    "register_reader",
]
