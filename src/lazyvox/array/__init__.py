"""Lazy arrays: the only place where bytes become NumPy arrays."""

from lazyvox.array.concat import ConcatReader
from lazyvox.array.conversion import Conversion
from lazyvox.array.expression import elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_map import MappedReader
from lazyvox.array.reader import ArrayReader, ArraySession, FileReader

__all__ = [
    "ArrayReader",
    "ArraySession",
    "ConcatReader",
    "Conversion",
    "FileReader",
    "LazyArray",
    "MappedReader",
    "elementwise",
]
