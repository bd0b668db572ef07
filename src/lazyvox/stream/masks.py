"""Reader of masks and labels images, with checks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

import numpy as np

from lazyvox.errors import LazyvoxWarning, RegionError
from lazyvox.geometry.resampling import fraction_inside, resample_nearest
from lazyvox.geometry.voxel_grid import VoxelGrid
from lazyvox.lazyimage.opened_image import OpenedImage, opened_image
from lazyvox.stream.labels import is_integral, nearest_integers, shown_values

if TYPE_CHECKING:
    from lazyvox._typing import Array, BoolArray
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid

    MaskLike: TypeAlias = "ImageLike | OpenedImage | RegionImage"

__all__ = [
    "RegionImage",
    "as_mask",
    "is_two_valued",
    "read_mask",
    "read_region_image",
    "regrid",
]

#: Advice of doors that resample no mask, in Python and on the command line.
_RESAMPLE_FIRST = (
    "Resample it first, by nearest neighbour: lazyvox.resample_to_img.",
    "Resample it first: lazyvox resample MASK --like RUN --interpolation nearest.",
)


@dataclass(frozen=True, slots=True, eq=False)
class RegionImage:
    """A 3D image that was read to tell voxels apart.

    Attributes
    ----------
    values : ndarray of shape (i, j, k)
        Its voxels, real and finite.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    name : str
        What messages call it: its parameter and its file.
    path : str or None
        Its file.
    slope : float
        The scale in its header.
    """

    values: Array
    affine: Array
    name: str
    path: str | None
    slope: float = 1.0


def read_mask(
    mask_img: MaskLike, grid: Grid, *, name: str, resample: bool | None = None
) -> BoolArray:
    """Return the voxels of a mask on a grid.

    Parameters
    ----------
    mask_img : image, path, OpenedImage or RegionImage
        A 3D image, or a 4D one of one volume, with the values zero and one other integer.
    grid : Grid
        The grid that it must be on.
    name : str
        The parameter, for messages.
    resample : bool or None
        Whether a mask on another grid is brought to this one, by nearest neighbour. None is False
        where the user has no such choice.

    Returns
    -------
    ndarray of shape (i, j, k), bool
        Which voxels are inside; at least one is.

    Raises
    ------
    RegionError
        If the image is no mask, is empty, or does not overlap with the grid.
    GridMismatchError
        If it is on another grid, and `resample` is false.
    """
    region = read_region_image(mask_img, name)
    return regrid(region, as_mask(region), grid, resample=resample)


def read_region_image(img: MaskLike, name: str) -> RegionImage:
    """Return the voxels of a 3D image, read losslessly.

    Parameters
    ----------
    img : image, path, OpenedImage or RegionImage
        A 3D image, or a 4D one of one volume.
    name : str
        The parameter, for messages.

    Returns
    -------
    RegionImage
        The voxels; the very object that was given where it is one already.

    Raises
    ------
    RegionError
        If the image is not 3D, or has voxels that are not finite real numbers.
    """
    if isinstance(img, RegionImage):
        return img
    opened = opened_image(img)
    full_name = f"`{name}` ({opened.name})"
    values = _volume(opened, full_name)
    if values.dtype.kind not in "biuf":
        msg = f"{full_name}: its voxels must be real numbers. Got {values.dtype}."
        raise RegionError(msg)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        n_bad = int(values.size - np.isfinite(values).sum())
        msg = (
            f"{full_name}: its voxels must be finite. Got {n_bad} of {values.size} that are NaN "
            f"or infinite."
        )
        hint = "Set them to 0 first, for instance with np.nan_to_num."
        raise RegionError(msg, hint=hint, cli_hint="Set them to 0 first.")
    slope = opened.array.conversion.slope
    return RegionImage(values, opened.affine, full_name, opened.path, slope)


def as_mask(
    region: RegionImage,
    rules: Literal["strict", "nilearn", "non-zero"] = "strict",
    *,
    allow_empty: bool = False,
    warning: type[LazyvoxWarning] = LazyvoxWarning,
) -> BoolArray:
    """Return which voxels of an image of zeros and one other value are not zero.

    Parameters
    ----------
    region : RegionImage
        The image.
    rules : {"strict", "nilearn", "non-zero"}
        Strict masks hold zero and one integer, but for rounding. nilearn's functions take any
        other value, and none but that, too; its maskers take several. In both, voxels that are
        not finite are outside, with a warning.
    allow_empty : bool
        Whether zeros only are a mask.
    warning : type
        Class of the warning of voxels that are not finite.

    Returns
    -------
    ndarray of shape (i, j, k), bool
        Which voxels are inside; at least one is, unless `allow_empty`.

    Raises
    ------
    RegionError
        If there are other values than the rules allow, or zeros only.
    """
    values = region.values
    if rules != "strict":
        values = _finite(region, warning)
    elif (whole := nearest_integers(values, region.slope)) is not None:
        values = whole
    mask: BoolArray = values != 0
    inside = values[mask]
    if not inside.size:
        if allow_empty:
            return mask
        msg = f"{region.name}: a mask must hold at least one voxel. Got zeros only."
        raise RegionError(
            msg, hint="Look at its threshold, or at the grid that it was resampled to."
        )
    is_mask = is_two_valued(values) if rules == "strict" else (inside == inside[0]).all()
    if not (is_mask or rules == "non-zero"):
        _refuse_mask(replace(region, values=values), rules)
    return mask


def _finite(region: RegionImage, warning: type[LazyvoxWarning]) -> Array:
    """Return the voxels of a mask, 0 in place of those that are not finite."""
    values = region.values
    bad = ~np.isfinite(values) if values.dtype.kind in "fc" else np.zeros(1, bool)
    if not bad.any():
        return values
    msg = (
        f"{region.name}: the voxels of a mask should be finite. {int(bad.sum())} of {values.size} "
        f"are NaN or infinite; they count as outside."
    )
    warnings.warn(msg, warning, stacklevel=4)
    return np.where(bad, values.dtype.type(0), values)


def is_two_valued(values: Array, slope: float = 1.0) -> bool:
    """Return whether values are zero and one other integer, the mark of a mask.

    Parameters
    ----------
    values : ndarray
        Finite real numbers.
    slope : float
        The scale in the header.

    Returns
    -------
    bool
        False for zeros only. Rounding by the scaling of a header is allowed for.
    """
    whole = nearest_integers(values, slope)
    if whole is None:
        return False
    largest = _largest(whole)
    return bool(largest and ((whole == 0) | (whole == largest)).all())


def regrid(
    region: RegionImage, values: Array, grid: Grid, *, resample: bool | None, fill: float = 0
) -> Array:
    """Return the values of a region image on a grid.

    Parameters
    ----------
    region : RegionImage
        The image, for its affine and its name.
    values : ndarray of shape (i, j, k)
        What its voxels mean.
    grid : Grid
        The grid wanted.
    resample : bool or None
        Whether values on another grid are brought to this one, by nearest neighbour; None as in
        `read_mask`.
    fill : number
        Value of what is no region.

    Returns
    -------
    ndarray of the grid's shape
        The values; the array that was given where it is on the grid already.

    Raises
    ------
    GridMismatchError
        If the grids differ, and `resample` is false.
    RegionError
        If no region is left on the grid.
    """
    own = VoxelGrid(values.shape, region.affine, region.name)
    if own.matches(grid.voxel_grid):
        return values
    if resample is None:
        own.require(grid.voxel_grid, *_RESAMPLE_FIRST)
    elif not resample:
        own.require(
            grid.voxel_grid,
            "Pass resample=True to bring it to the grid of the images by nearest neighbour, or resample it yourself.",
        )
    moved = resample_nearest(values, region.affine, grid.shape, grid.affine, fill)
    inside = fraction_inside(
        np.stack(np.nonzero(values != fill)), region.affine, grid.shape, grid.affine
    )
    if not (moved != fill).any():
        msg = (
            f"{region.name}: there is no overlap with the images: no voxel of theirs has its "
            f"centre in one of its regions. Check the affines: {region.affine[:3].tolist()} and "
            f"{grid.affine[:3].tolist()}."
        )
        raise RegionError(msg)
    if inside < 0.99:
        msg = (
            f"{region.name}: only {100 * inside:.0f} % of its voxels lie inside of the images. "
            f"Signals come from these."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
    return moved


def _volume(img: OpenedImage, name: str) -> Array:
    shape = img.array.shape
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        return np.asarray(img.dataobj).reshape(shape[:3])
    msg = f"{name}: it must be 3D, or 4D with one volume. Got shape {shape}."
    if len(shape) != 4:
        raise RegionError(msg)
    hint = "It looks like maps: pass {} for one signal per map."
    raise RegionError(msg, hint=hint.format("lazyvox.Maps(...)"), cli_hint=hint.format("--maps"))


def _largest(values: Array) -> Any:
    """Return the value that is furthest from zero, as a Python number."""
    low, high = values.min().item(), values.max().item()
    return high if abs(high) >= abs(low) else low


def _refuse_mask(region: RegionImage, rules: str) -> NoReturn:
    values = region.values
    other = "integer" if rules == "strict" else "value"
    msg = (
        f"{region.name}: a mask must hold zeros and one other {other}. Got the values "
        f"{shown_values(values)}."
    )
    hint, ways = "It looks like probabilities: threshold it first{}.", (", img > 0.5 say", "")
    if rules == "nilearn" and values.all() and len(np.unique(values)) == 2:
        hint, ways = "Its background must be 0: subtract the lower value first{}.", ("", "")
    elif is_integral(values, region.slope) and rules == "nilearn":
        hint, ways = (
            "It looks like labels: compare it with one of them first{}.",
            (", img == 1 say", ""),
        )
    elif is_integral(values, region.slope):
        hint = "It looks like labels: pass {} for one signal per label."
        ways = ("lazyvox.Labels(...)", "it as --labels to lazyvox extract")
    in_python, on_command_line = (hint.format(way) for way in ways)
    raise RegionError(msg, hint=in_python, cli_hint=on_command_line)
