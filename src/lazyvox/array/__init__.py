"""Lazy arrays: the only place where bytes become NumPy arrays."""

from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader, ArraySession, FileReader

__all__ = ["ArrayReader", "ArraySession", "Conversion", "FileReader", "LazyArray"]
