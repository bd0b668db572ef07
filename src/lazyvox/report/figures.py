"""Cuts through a volume with regions on top."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import nibabel as nib
import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import MissingDependencyError

__all__ = ["cuts_png"]

#: Cuts in each of the three directions.
N_CUTS = 7

#: Wanted width of the figure in inches, and its resolution.
WIDTH_INCHES, DPI = 10.0, 90

Kind = Literal["mask", "labels", "map"]


@dataclass(frozen=True, slots=True, eq=False)
class _Volume:
    """A volume in RAS+ order."""

    values: Array
    affine: Array

    @property
    def zooms(self) -> Array:
        """Size of a voxel on each axis, in mm."""
        sizes: Array = np.linalg.norm(self.affine[:3, :3], axis=0)
        return sizes


def cuts_png(
    background: Array | None,
    regions: Array | None,
    affine: Array,
    *,
    kind: Kind = "mask",
    cmap: Any = None,
) -> bytes:
    """Return a figure of sagittal, coronal and axial cuts as PNG.

    Parameters
    ----------
    background : ndarray of shape (i, j, k) or None
        Grey volume below the regions.
    regions : ndarray of shape (i, j, k) or None
        A mask, labels or the weights of a map on the same grid; what is zero is clear.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    kind : {"mask", "labels", "map"}, default="mask"
        How regions are coloured.
    cmap : str or matplotlib colormap, optional
        Colours of labels and maps.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        msg = "Reports need the package matplotlib. Run `pip install 'lazyvox[plot]'`."
        raise MissingDependencyError(msg) from error
    below = None if background is None else _canonical(background, affine)
    above = None if regions is None else _canonical(regions, affine)
    reference = above if below is None else below
    assert reference is not None, "bug in lazyvox: a figure of nothing"
    positions = [_positions(axis, above, reference) for axis in range(3)]
    extent = np.array(reference.values.shape) * reference.zooms
    heights = [extent[2], extent[2], extent[1]]
    width = max(extent[1], extent[0]) * N_CUTS
    figure = Figure(figsize=(WIDTH_INCHES, WIDTH_INCHES * sum(heights) / width * 1.12), dpi=DPI)
    figure.set_facecolor("black")
    axes = figure.subplots(3, N_CUTS, squeeze=False, height_ratios=heights)
    for axis in range(3):
        for place, position in enumerate(positions[axis]):
            _draw(axes[axis, place], axis, position, below, above, _colours(above, kind, cmap))
            _mark(axes[axis, place], axis, position, reference)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.96, wspace=0.04, hspace=0.12)
    target = BytesIO()
    figure.savefig(target, format="png", facecolor="black")
    return target.getvalue()


def _canonical(values: Array, affine: Array) -> _Volume:
    """Return a volume with axes turned so that they point right, to the front, and up."""
    orientations: Any = nib.orientations
    turns = orientations.io_orientation(affine)
    turned = orientations.apply_orientation(np.asarray(values), turns)
    moved = affine @ orientations.inv_ornt_aff(turns, values.shape)
    return _Volume(turned, moved)


def _positions(axis: int, regions: _Volume | None, reference: _Volume) -> Array:
    """Return where to cut: evenly through what the regions span."""
    low, high = 0, reference.values.shape[axis] - 1
    if regions is not None:
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero((regions.values != 0).any(axis=others))
        if filled.size:
            low, high = int(filled[0]), int(filled[-1])
    inner = np.linspace(low, high, N_CUTS + 2)[1:-1]
    return np.round(inner).astype(int)


def _colours(regions: _Volume | None, kind: Kind, cmap: Any) -> dict[str, Any]:
    """Return how imshow is to colour the regions."""
    if regions is None:
        return {}
    largest = float(np.abs(regions.values).max()) or 1.0
    if kind == "map":
        both = float(regions.values.min()) < 0
        limits = {"vmin": -largest if both else 0.0, "vmax": largest}
        return {"cmap": cmap or ("RdBu_r" if both else "inferno"), "alpha": 0.8, **limits}
    if kind == "labels":
        return {"cmap": cmap or "gist_ncar", "alpha": 0.7, "vmin": 0.0, "vmax": largest * 1.02}
    return {"cmap": cmap or "autumn", "alpha": 0.5, "vmin": 0.0, "vmax": 1.0}


def _draw(
    ax: Any,
    axis: int,
    position: int,
    below: _Volume | None,
    above: _Volume | None,
    colours: dict[str, Any],
) -> None:
    ax.set_axis_off()
    reference = above if below is None else below
    assert reference is not None
    first, second = (other for other in range(3) if other != axis)
    aspect = reference.zooms[second] / reference.zooms[first]
    options = {"origin": "lower", "aspect": aspect, "interpolation": "nearest"}
    empty = np.zeros(reference.values.shape)
    grey = empty if below is None else np.nan_to_num(below.values)
    inside = grey[grey != 0]
    limits = np.percentile(inside, (1, 99)) if inside.size else (0.0, 1.0)
    low = min(float(limits[0]), 0.0) if below is None else float(limits[0]) * 0.5
    ax.imshow(
        grey.take(position, axis).T, cmap="gray", vmin=low, vmax=float(limits[1]) or 1.0, **options
    )
    if above is not None:
        cut = above.values.take(position, axis).T
        ax.imshow(np.ma.masked_equal(cut, 0), **options, **colours)


def _mark(ax: Any, axis: int, position: int, reference: _Volume) -> None:
    index = np.zeros(4)
    index[[axis, 3]] = position, 1
    place = (reference.affine @ index)[axis]
    ax.set_title(f"{'xyz'[axis]} = {place:.0f} mm", color="white", fontsize=7, pad=2)
