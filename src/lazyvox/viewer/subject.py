"""The run that is shown, opened once: its volumes, and what is said about it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.lazyimage.series import Grid, Series
from lazyvox.summary.robust_range import count_in_bins, robust_range
from lazyvox.viewer.nifti import VolumeFormat, shown_dtype

__all__ = ["Subject", "window_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A run, ready to be shown.

    Attributes
    ----------
    series : Series
        Its volumes.
    stored : LazyArray
        The same volumes in the type in which they are sent; its values are to be scaled by what
        `format` says.
    format : VolumeFormat
        The files that volumes are sent as.
    map_format : VolumeFormat
        The files that maps of the run are sent as, in float32.
    """

    series: Series
    stored: LazyArray
    format: VolumeFormat
    map_format: VolumeFormat

    @classmethod
    def of(cls, series: Series) -> "Subject":
        """Return a run that is ready to be shown; reads no voxel.

        Raises
        ------
        ParameterTypeError
            If its voxels are complex.
        """
        array, grid = series.array, series.grid
        if array.dtype.kind not in "biuf":
            msg = (
                f"{grid.name}: the viewer shows real voxels. Got {array.dtype}. Take a real part of "
                f"them first, such as np.abs(img)."
            )
            raise ParameterTypeError(msg)
        plain = replace(array, conversion=Conversion())
        maps = VolumeFormat.of(grid.shape, grid.affine, np.dtype(np.float32))
        scale, dtype = array.conversion, shown_dtype(array.reader.dtype)
        # A header holds a scaling in float32.
        is_exact = all(float(np.float32(one)) == one for one in (scale.slope, scale.inter))
        is_plain = dtype == array.reader.dtype.newbyteorder("=")
        if is_plain and is_exact and scale.cast is None:
            made = VolumeFormat.of(grid.shape, grid.affine, dtype, scale.slope, scale.inter)
            return cls(series, plain, made, maps)
        return cls(series, array, maps, maps)

    @property
    def grid(self) -> Grid:
        """Grid and number of volumes."""
        return self.series.grid

    @property
    def name(self) -> str:
        """Name for people, without the folder."""
        return Path(self.grid.name).name

    def volume(self, number: int) -> bytearray:
        """Return a volume as a NIfTI file."""
        return self.format.encode(self.stored.view((..., number)).read())

    def window(self) -> tuple[float, float]:
        """Return the robust range of the first volume."""
        return window_of(self.series.array.view((..., 0)).read())

    def checked_voxel(self, voxel: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return a voxel of the grid, or raise `ParameterError`."""
        for name, number, length in zip("ijk", voxel, self.grid.shape, strict=True):
            if not 0 <= number < length:
                msg = f"`{name}` must be from 0 to {length - 1}. Got {number}."
                raise ParameterError(msg, value=number)
        return voxel

    def info(self) -> dict[str, Any]:
        """Return what a page must know before it shows anything."""
        grid = self.grid
        return {
            "name": self.name,
            "shape": [*grid.shape, grid.n_volumes],
            "zooms": [float(size) for size in voxel_sizes(grid.affine)],
            "t_r": grid.t_r,
            "affine": grid.affine.tolist(),
            "dtype": grid.dtype.name,
            "window": list(self.window()),
            "is_computed": bool(self.series.array.reader.computation),
        }


def window_of(values: Array) -> tuple[float, float]:
    """Return the robust range of what a volume shows, (0, 1) where that is nothing.

    Zeros are what a mask has set: with them the window of a masked run would begin at 0, and its
    brain would be of one grey.

    Examples
    --------
    >>> window_of(np.array([0.0, np.nan, 2.0, 4.0])), window_of(np.array([0.0, 7.0, 7.0]))
    ((2.0, 4.0), (0.0, 7.0))
    """
    shown = values[np.isfinite(values) & (values != 0)].ravel()
    if not shown.size:
        return 0.0, 1.0
    low, high = float(shown.min()), float(shown.max())
    low, high = robust_range(low, high, lambda *ends: count_in_bins(shown, *ends))
    if low == high:
        return min(float(low), 0.0), max(float(high), 0.0)
    return float(low), float(high)
