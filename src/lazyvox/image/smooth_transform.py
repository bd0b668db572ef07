"""Gaussian smoothing of volumes, and the widths that it takes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.geometry.grids import inverted
from lazyvox.geometry.separable import SeparableMap, gaussian_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox._typing import Array, DType, Shape

__all__ = ["FWHM_OF_SIGMA", "SmoothTransform", "checked_fwhm"]

#: Full width at half maximum of a Gaussian of standard deviation 1.
FWHM_OF_SIGMA = float(np.sqrt(8 * np.log(2)))

#: Weight of each of the six neighbours, against 1 for the voxel itself, where fwhm is "fast".
_NEIGHBOUR_WEIGHT = 0.2

_FWHM_FORMS = '`fwhm` must be a width in mm, three of them, None or "fast"'


@dataclass(frozen=True, slots=True, eq=False)
class SmoothTransform:
    """Smooths volumes of one grid; non-finite values count as 0. Made by `of`.

    Attributes
    ----------
    name : str
        What plans and messages call it.
    gaussian : SeparableMap
        One matrix for each axis that is smoothed.
    is_fast : bool
        Whether the six neighbours are averaged instead.
    """

    name: str
    gaussian: SeparableMap = field(repr=False)
    is_fast: bool = False

    @classmethod
    def of(
        cls, affine: Array | None, shape: Shape, fwhm: Any, name: str = "the image"
    ) -> SmoothTransform:
        """Return the transform that smooths volumes of a grid.

        Parameters
        ----------
        affine : ndarray of shape (4, 4) or (3, 3), or None
            Voxel indices to world coordinates, in mm; None where `fwhm` is None or "fast".
        shape : tuple of int of length 3
            The grid.
        fwhm : float, sequence of 3 floats, "fast" or None
            As for `smooth_img`.
        name : str
            The image, for messages.

        Returns
        -------
        SmoothTransform
            The transform.

        Raises
        ------
        ParameterError
            If `fwhm` is negative, not finite, or not one number or three.
        ParameterTypeError
            If it is no number and not "fast".
        AffineError
            If the affine cannot be inverted: millimetres are then unknown.
        """
        grid = tuple(int(length) for length in shape[:3])
        if isinstance(fwhm, str) and fwhm == "fast":
            return cls("smooth, fast", SeparableMap(grid, (None, None, None)), is_fast=True)
        widths = _widths(fwhm)
        if not any(widths):
            return cls("smooth, 0 mm", SeparableMap(grid, (None, None, None)))
        assert affine is not None, "bug in lazyvox: widths in mm without an affine"
        inverted(affine, f"the affine of {name}, for widths in mm,")
        matrices = tuple(
            gaussian_matrix(length, width / (FWHM_OF_SIGMA * size)) if width else None
            for length, width, size in zip(grid, widths, voxel_sizes(affine), strict=True)
        )
        said = f"{widths[0]:g}" if len(set(widths)) == 1 else str(widths)
        return cls(f"smooth, {said} mm", SeparableMap(grid, matrices))

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the grid of the source."""
        assert shapes[0] == self.gaussian.shape, "bug in lazyvox: smoothing for another grid"
        return shapes[0]

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the type of the source if it is of floats, else the one that holds it."""
        return _smooth_dtype(dtypes[0])

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return the bytes of a volume in the type of the result, and of the work arrays."""
        dtype = _smooth_dtype(dtypes[0])
        volume = int(np.prod(shapes[0], dtype=np.int64))
        # Twice one byte: which values are finite.
        cleaned = volume * (dtype.itemsize + 2)
        scratch = 2 * volume * dtype.itemsize if self.is_fast else self.gaussian.work_bytes(dtype)
        return cleaned + scratch

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Smooth volume by volume: intermediate products stay in the processor's cache."""
        (block,) = blocks
        for number in range(block.shape[3]):
            values = _finite(block[..., number], out.dtype)
            # A sum of finite values can leave the range of the type, as it can in scipy.
            with np.errstate(over="ignore", invalid="ignore"):
                if self.is_fast:
                    _average_neighbours(values, out[..., number])
                else:
                    self.gaussian.apply(values, out[..., number])


def checked_fwhm(fwhm: Any) -> Any:
    """Return the width of a Gaussian, None in place of 0, with a warning."""
    if not isinstance(fwhm, int | float) or fwhm != 0:
        return fwhm
    msg = f"`fwhm` is {fwhm}: the image is not smoothed. Pass None to say so without a warning."
    warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return None


def _widths(fwhm: Any) -> tuple[float, float, float]:
    """Return the width on each axis, 0 where an axis is not smoothed."""
    given = [fwhm] if fwhm is None or np.ndim(fwhm) == 0 else list(np.ravel(fwhm))
    try:
        numbers = [0.0 if one is None else float(one) for one in given]
    except (TypeError, ValueError):
        msg = f"{_FWHM_FORMS}. Got {fwhm!r}."
        raise ParameterTypeError(msg) from None
    if isinstance(fwhm, str | bytes):
        msg = f"{_FWHM_FORMS}. Got the text {fwhm!r}."
        raise ParameterTypeError(msg)
    if len(numbers) not in {1, 3}:
        msg = f"{_FWHM_FORMS}. Got {len(numbers)} numbers: {numbers}."
        raise ParameterError(msg)
    if not all(np.isfinite(number) and number >= 0 for number in numbers):
        msg = f"{_FWHM_FORMS}, finite and not below 0. Got {fwhm!r}."
        raise ParameterError(msg)
    x, y, z = numbers * 3 if len(numbers) == 1 else numbers
    return x, y, z


def _smooth_dtype(dtype: DType) -> DType:
    if dtype.kind == "c" or (dtype.kind == "f" and dtype.itemsize in {4, 8}):
        return dtype
    is_wide = dtype.itemsize >= 8
    return np.dtype(np.float64 if is_wide else np.float32)


def _finite(values: Array, dtype: DType) -> Array:
    """Return values in a floating-point type, the very array if it has that type, 0 for others."""
    converted = values.astype(dtype, order="F", copy=False)
    if values.dtype.kind not in "fc" or _are_finite(values):
        return converted
    is_finite = np.isfinite(converted)
    if converted is values:
        converted = values.copy(order="F")
    converted[~is_finite] = 0
    return converted


def _are_finite(values: Array) -> bool:
    """Return whether all values are finite, in two fast passes where they are."""
    if values.dtype.kind == "c":
        return bool(np.isfinite(values).all())
    # Smallest and largest take a seventh of the time of isfinite, and no memory.
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _average_neighbours(values: Array, out: Array) -> None:
    weighted = values * values.dtype.type(_NEIGHBOUR_WEIGHT)
    out[...] = values
    for axis in range(3):
        target, source = np.moveaxis(out, axis, 0), np.moveaxis(weighted, axis, 0)
        target[:-1] += source[1:]
        target[1:] += source[:-1]
    out /= values.dtype.type(1 + 6 * _NEIGHBOUR_WEIGHT)
