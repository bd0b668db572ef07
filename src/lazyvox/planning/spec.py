"""Storage of voxels: the part of a header that reading them needs."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import DType, Shape

__all__ = ["ArraySpec"]


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """An array in Fortran order inside a decoded byte stream.

    Attributes
    ----------
    shape : tuple of int
        Length of each axis, fastest axis first.
    dtype : numpy.dtype
        Type of the stored values, byte order included.
    offset : int
        Bytes before the first value, in the decoded stream.
    slope, inter : float
        Stored values become ``stored * slope + inter``. (1.0, 0.0) means that stored values are
        handed out as they are, in their own type.
    """

    shape: Shape
    dtype: DType
    offset: int = 0
    slope: float = 1.0
    inter: float = 0.0

    @property
    def is_scaled(self) -> bool:
        """True if reading multiplies or shifts the stored values."""
        return (self.slope, self.inter) != (1.0, 0.0)

    @property
    def n_values(self) -> int:
        """Number of values, exact for shapes whose product exceeds 64 bits."""
        count = 1
        for length in self.shape:
            count *= int(length)
        return count

    @property
    def stored_bytes(self) -> int:
        """Bytes that the values take in the decoded stream."""
        return self.n_values * np.dtype(self.dtype).itemsize

    @property
    def end(self) -> int:
        """Offset of the first byte behind the values."""
        return self.offset + self.stored_bytes
