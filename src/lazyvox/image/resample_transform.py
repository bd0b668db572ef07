"""Resampling of volumes: along parallel axes by matrices, between other grids by scipy."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, DType, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import LazyvoxWarning
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.geometry.grids import voxel_mapping
from lazyvox.geometry.interpolation import AlignedMap, aligned_map
from lazyvox.image.extremes import Extremes

__all__ = ["ORDERS", "BinaryImageWarning", "NonFiniteWarning", "ResampleTransform"]

#: Layers of voxels that get a value; beyond them it is 0.
_N_LAYERS = 2

#: Spline order of each interpolation.
ORDERS = {"continuous": 3, "linear": 1, "nearest": 0}

#: Lines and weights that scipy.ndimage works in, and what is small besides volumes.
_SCRATCH_BYTES = 1 << 20


class NonFiniteWarning(LazyvoxWarning, RuntimeWarning):
    """An image that is resampled has voxels without a finite value."""


class BinaryImageWarning(LazyvoxWarning):
    """An image of zeros and ones is interpolated."""


@dataclass(frozen=True, slots=True, eq=False)
class ResampleTransform:
    """Resamples volumes of one grid to another. Made by `of`.

    Attributes
    ----------
    name : str
        What plans and messages call it.
    order : {0, 1, 3}
        Nearest voxel, linear, cubic spline.
    shape, target_shape : tuple of int of length 3
        Grid of the volumes, and of the result.
    matrix, offset : ndarray of shape (3, 3) and (3,)
        Voxel indices of the result to those of the volumes.
    aligned : AlignedMap or None
        The interpolation where the axes of both grids are parallel.
    fill_value : float
        Value outside of the volumes.
    extremes : Extremes or None
        Limits that the result is clipped to.
    """

    name: str
    order: int
    shape: Shape
    target_shape: Shape
    matrix: Array = field(repr=False)
    offset: Array = field(repr=False)
    aligned: AlignedMap | None = field(repr=False)
    fill_value: float = 0.0
    extremes: Extremes | None = field(default=None, repr=False)
    _warned: set[type[Warning]] = field(default_factory=set, repr=False)

    @classmethod
    def of(
        cls,
        shape: Shape,
        affine: Array,
        target_shape: Shape,
        target_affine: Array,
        interpolation: str = "continuous",
        *,
        fill_value: float = 0.0,
        shift_only: bool = False,
    ) -> "ResampleTransform":
        """Return the transform between two grids.

        Parameters
        ----------
        shape : tuple of int of length 3
            Grid of the volumes.
        affine : ndarray of shape (4, 4)
            Their voxel indices to world coordinates, in mm.
        target_shape : tuple of int of length 3
            Grid of the result.
        target_affine : ndarray of shape (4, 4)
            Its voxel indices to world coordinates, in mm.
        interpolation : {"continuous", "linear", "nearest"}, default="continuous"
            Cubic spline, linear, or the nearest voxel.
        fill_value : float, default=0.0
            Value outside of the volumes.
        shift_only : bool, default=False
            Whether voxels that are shifted by whole voxels get 0 outside whatever `fill_value`
            is, as `resample_img` does with ``force_resample=False``.

        Returns
        -------
        ResampleTransform
            The transform.

        Raises
        ------
        AffineError
            If `affine` cannot be inverted.
        """
        grid = tuple(int(length) for length in shape[:3])
        target = tuple(int(length) for length in target_shape[:3])
        order = ORDERS[interpolation]
        matrix, offset = voxel_mapping(affine, target_affine)
        aligned = aligned_map(grid, matrix, offset, target, order)
        how = f"{interpolation} by scipy" if aligned is None else f"separable {interpolation}"
        if aligned is not None and aligned.weights is None:
            how = "voxel by voxel"
        each = [f"{size:.4g}" for size in voxel_sizes(target_affine)]
        sizes = each[0] if len(set(each)) == 1 else " x ".join(each)
        name = f"resample to {' x '.join(map(str, target))} voxels of {sizes} mm, {how}"
        if shift_only and np.array_equal(matrix, np.eye(3)) and (offset == np.round(offset)).all():
            fill_value = 0.0
        return cls(name, order, grid, target, matrix, offset, aligned, float(fill_value))

    def clipped_to(self, extremes: Extremes) -> "ResampleTransform":
        """Return the transform whose results stay within the limits of its source.

        Parameters
        ----------
        extremes : Extremes
            The limits; found by a pass over the source when the first volume is resampled.

        Returns
        -------
        ResampleTransform
            The very transform where no value can leave the limits: linear and nearest
            interpolation stay within them, and so does a fill value of 0.
        """
        can_overshoot = self.order == 3 and not self._takes_voxels
        if not can_overshoot and self.fill_value == 0:
            return self
        return replace(self, extremes=extremes)

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the grid of the result."""
        assert shapes[0] == self.shape, "bug in lazyvox: resampling from another grid"
        return self.target_shape

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the type of the source, for signed integers and splines one of floats."""
        dtype = dtypes[0]
        if dtype.kind == "f" and dtype.itemsize not in {4, 8}:
            return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
        if self.order == 3 and dtype.kind == "i":
            return np.dtype(np.float64 if dtype.itemsize == 8 else np.float32)
        if self.order and dtype.kind == "b":
            return np.dtype(np.uint8)
        return dtype

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return the bytes for resampling one volume, were it one with non-finite voxels."""
        source, result = dtypes[0], self.out_dtype(dtypes)
        n_in, n_out = (
            int(np.prod(grid, dtype=np.int64)) for grid in (shapes[0], self.target_shape)
        )
        working = result if result.kind in "fc" else np.dtype(np.float64)
        # A volume in the type of the work, one of the result in it, and what is not finite.
        total = n_in * working.itemsize + n_out * (working.itemsize + 2)
        if self.aligned is None:
            total += n_in * 8 + _SCRATCH_BYTES
        elif self.aligned.weights is not None:
            total += self.aligned.weights.work_bytes(working)
        else:
            total += 2 * max(n_in, n_out) * result.itemsize
        if source.kind in "fc":
            total += n_in * (3 * working.itemsize + 8)
        return total

    @property
    def reads_before(self) -> tuple[LazyArray, ...]:
        """Arrays whose limits are still to be found."""
        return () if self.extremes is None else self.extremes.reads_before

    @property
    def before_bytes(self) -> int:
        """Bytes of the buffers in which the limits are looked for."""
        return 0 if self.extremes is None else self.extremes.work_bytes

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Resample volume by volume."""
        (block,) = blocks
        limits = None if self.extremes is None else self.extremes.limits()
        for number in range(block.shape[3]):
            target = out[..., number]
            # Values that leave the range of a type, in a spline say, do so in scipy as well.
            with np.errstate(over="ignore", invalid="ignore"):
                self._resample(block[..., number], target)
            if limits is not None:
                np.clip(target, *_within(limits, target.dtype), out=target)

    def look_at(self, values: Array) -> BoolArray | None:
        """Warn, once, of values that make interpolation doubtful.

        Parameters
        ----------
        values : ndarray of shape `shape`
            One volume.

        Returns
        -------
        ndarray of bool or None
            Which values are not finite, None if all are.
        """
        if values.dtype.kind in "fc":
            with np.errstate(invalid="ignore"):
                low, high = values.min(), values.max()
            if not (np.isfinite(low) and np.isfinite(high)):
                self._warn(
                    NonFiniteWarning,
                    "the image that is resampled has NaN or infinite voxels. Voxels of the result "
                    "that are nearest to one of them are NaN; others use means of the neighbours "
                    "in its place. Set such voxels to a number first to be rid of this.",
                )
                missing: BoolArray = ~np.isfinite(values)
                return missing
        elif self.order == 0 or BinaryImageWarning in self._warned:
            return None
        else:
            low, high = values.min(), values.max()
        may_be_binary = self.order and low in {0, 1} and high == 1
        if may_be_binary and ((values == 0) | (values == 1)).all():
            self._warn(
                BinaryImageWarning,
                "an image of zeros and ones is interpolated, which gives values in between. Pass "
                'interpolation="nearest" to keep zeros and ones.',
            )
        return None

    @property
    def _takes_voxels(self) -> bool:
        """True if every voxel of the result is one of the source."""
        return self.order == 0 or (self.aligned is not None and self.aligned.weights is None)

    def _resample(self, values: Array, out: Array) -> None:
        missing = self.look_at(values)
        if missing is not None and not self._takes_voxels:
            values = _extrapolated(values, missing)
        if self._takes_voxels:
            self._take(values, out)
        elif out.dtype.kind in "fc":
            self._interpolate(values.astype(out.dtype, order="F", copy=False), out)
        else:
            floats = np.empty(out.shape, np.float64, order="F")
            self._interpolate(values.astype(np.float64, order="F"), floats)
            _round_into(floats, out)
        if missing is not None:
            place = np.empty(out.shape, np.bool_, order="F")
            self._take(missing, place, fill=0)
            out[place] = np.nan

    def _take(self, values: Array, out: Array, fill: float | None = None) -> None:
        """Fill `out` with nearest voxels, whatever the order."""
        fill = self.fill_value if fill is None else fill
        if self.aligned is not None:
            self.aligned.take_nearest(values.astype(out.dtype, copy=False), out, fill)
        else:
            self._by_scipy(values, out, 0, fill)

    def _interpolate(self, values: Array, out: Array) -> None:
        if self.aligned is not None:
            self.aligned.interpolate(values, out, self.fill_value)
        else:
            self._by_scipy(values, out, self.order, self.fill_value)

    def _by_scipy(self, values: Array, out: Array, order: int, fill: float) -> None:
        from scipy.ndimage import affine_transform

        affine_transform(
            values,
            self.matrix,
            offset=self.offset,
            output_shape=out.shape,
            output=out,
            order=order,
            cval=fill,
        )

    def _warn(self, category: type[Warning], text: str) -> None:
        """Warn once, however many volumes there are."""
        if category not in self._warned:
            self._warned.add(category)
            warnings.warn(text, category, stacklevel=2)


def _round_into(floats: Array, out: Array) -> None:
    """Round halves away from 0 and keep to the range of the type, as scipy.ndimage does."""
    info = np.iinfo(out.dtype)
    np.add(floats, np.copysign(0.5, floats), out=floats)
    np.trunc(floats, out=floats)
    # As a float, the largest 64-bit integer is one more than the type holds.
    high = float(info.max) if float(info.max) <= info.max else np.nextafter(float(info.max), 0)
    np.clip(floats, info.min, high, out=floats)
    out[...] = floats
    if high < info.max:
        out[floats >= high] = info.max


def _within(limits: tuple[float, float], dtype: DType) -> tuple[Any, Any]:
    """Return limits in a type of values."""
    if dtype.kind not in "iu":
        return dtype.type(limits[0]), dtype.type(limits[1])
    info = np.iinfo(dtype)
    low, high = (min(max(int(limit), int(info.min)), int(info.max)) for limit in limits)
    return dtype.type(low), dtype.type(high)


def _extrapolated(values: Array, missing: BoolArray) -> Array:
    """Return a volume whose missing voxels have the mean of those neighbours that have a value.

    Parameters
    ----------
    values : ndarray of shape (i, j, k)
        The volume; not changed.
    missing : ndarray of bool of shape (i, j, k)
        Voxels without a value.

    Returns
    -------
    ndarray of shape (i, j, k)
        A copy in Fortran order. Missing voxels next to others get the mean of their neighbours
        that are not (of six), those next to them in a second step; the rest is 0.

    Examples
    --------
    >>> line = np.array([5.0, np.nan, np.nan, np.nan]).reshape(4, 1, 1)
    >>> _extrapolated(line, np.isnan(line)).ravel()
    array([5., 5., 5., 0.])
    """
    filled = values.copy(order="F")
    filled[missing] = 0
    known = ~missing
    for _ in range(_N_LAYERS):
        sums = np.zeros_like(filled)
        counts = np.zeros(filled.shape, np.uint8, order="F")
        for axis in range(3):
            # Voxels that are not known are 0 in `filled`, so that sums pass over them.
            for one, other in ((slice(1, None), slice(-1)), (slice(-1), slice(1, None))):
                here = (*[slice(None)] * axis, one)
                there = (*[slice(None)] * axis, other)
                sums[here] += filled[there]
                counts[here] += known[there]
        layer = (counts > 0) & ~known
        filled[layer] = sums[layer] / counts[layer]
        known |= layer
    return filled
