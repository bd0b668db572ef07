"""Arrays as images that a scan takes."""

from typing import Any

import numpy as np

from lazyvox.array.expression import cast, elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.lazyimage.classes import LazyNifti1Image

__all__ = ["as_scannable"]


def as_scannable(array: LazyArray) -> LazyNifti1Image:
    """Return an image of an array, in a type that images and sums can have."""
    if array.dtype.kind == "b":
        array = elementwise(cast, array, dtype=np.dtype(np.uint8))
    elif array.dtype == np.float16:
        array = elementwise(cast, array, dtype=np.dtype(np.float32))
    native = array.dtype.newbyteorder("=")
    image_class: Any = LazyNifti1Image
    img: LazyNifti1Image = image_class(array, np.eye(4), dtype=native)
    return img
