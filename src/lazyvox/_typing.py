"""Type aliases shared by all layers."""

import os
import sys
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

PathLike: TypeAlias = str | bytes | os.PathLike[str]
Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Shape: TypeAlias = tuple[int, ...]
DType: TypeAlias = np.dtype[Any]
#: Arguments of `__exit__`.
ExitInfo: TypeAlias = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

__all__ = [
    "Array",
    "BoolArray",
    "DType",
    "ExitInfo",
    "FloatArray",
    "IntArray",
    "PathLike",
    "Shape",
    "override",
]
