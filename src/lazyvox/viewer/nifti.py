"""Volumes as NIfTI files in memory, as a page in the browser reads them."""

from dataclasses import dataclass

import numpy as np
from nibabel.nifti1 import Nifti1Header

from lazyvox._typing import Array, DType, Shape
from lazyvox.errors import ParameterError
from lazyvox.formats.header_out import header_bytes, make_header, stored_scaling

__all__ = ["OFFSET", "VolumeFormat", "shown_dtype"]

#: Bytes before the first voxel: a header without extensions.
OFFSET = 352

#: The longest axis that the header holds.
_LONGEST_AXIS = 32767

#: Types that are sent as they are stored; others become float32.
_PLAIN = tuple(np.dtype(name) for name in ("u1", "i2", "u2", "f4"))


def shown_dtype(dtype: DType) -> DType:
    """Return the type in which voxels are sent, in native byte order.

    Examples
    --------
    >>> shown_dtype(np.dtype(">i2")).name, shown_dtype(np.dtype("f8")).name
    ('int16', 'float32')
    """
    native = dtype.newbyteorder("=")
    return native if native in _PLAIN else np.dtype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class VolumeFormat:
    """NIfTI files of one grid and type.

    Attributes
    ----------
    shape : tuple of int of length 3
        Voxels on each axis.
    dtype : numpy.dtype
        Type of the voxels, in native byte order.
    header : bytes
        The 352 bytes before them.
    """

    shape: Shape
    dtype: DType
    header: bytes

    @classmethod
    def of(
        cls, shape: Shape, affine: Array, dtype: DType, slope: float = 1.0, inter: float = 0.0
    ) -> "VolumeFormat":
        """Return the format of volumes on a grid.

        Parameters
        ----------
        shape : tuple of int of length 3
            Voxels on each axis.
        affine : ndarray of shape (4, 4)
            Voxel indices to world coordinates, in mm.
        dtype : numpy.dtype
            Type of the voxels; see `shown_dtype`.
        slope, inter : float
            Scaling that readers are to apply.

        Raises
        ------
        ParameterError
            If an axis is longer than NIfTI-1 can say.
        """
        if max(shape) > _LONGEST_AXIS:
            msg = f"the viewer shows volumes of up to {_LONGEST_AXIS} voxels along an axis. Got {shape}."
            raise ParameterError(msg)
        made = make_header(Nifti1Header, None, affine, shape, dtype)
        made.set_xyzt_units("mm", "sec")
        stored_scaling(made, slope, inter)
        before, _, offset = header_bytes(made)
        assert offset == OFFSET == len(before), "bug in lazyvox: a header with extensions"
        return cls(shape, dtype, before)

    @property
    def n_bytes(self) -> int:
        """Size of a file."""
        return OFFSET + int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def encode(self, values: Array) -> bytearray:
        """Return the file of a volume, which is the only copy that is made."""
        file = bytearray(self.n_bytes)
        file[:OFFSET] = self.header
        target: Array = np.frombuffer(file, self.dtype, offset=OFFSET)
        with np.errstate(over="ignore", invalid="ignore"):
            target.reshape(self.shape, order="F")[...] = values
        return file
