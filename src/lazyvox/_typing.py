"""Type aliases shared by all layers."""

import os
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

PathLike: TypeAlias = str | bytes | os.PathLike[str]
Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Shape: TypeAlias = tuple[int, ...]
DType: TypeAlias = np.dtype[Any]

__all__ = [
    "Array",
    "BoolArray",
    "DType",
    "FloatArray",
    "IntArray",
    "PathLike",
    "Shape",
]
