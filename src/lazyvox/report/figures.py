"""Cuts through a volume with regions on top."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import nibabel as nib
import numpy as np

from lazyvox._typing import Array
from lazyvox.geometry.affines import is_invertible
from lazyvox.runtime.optional import require

__all__ = ["cuts_png"]

#: Cuts in each of the three directions.
N_CUTS = 7

#: Wanted width of the figure in inches, and its resolution.
WIDTH_INCHES, DPI = 10.0, 90

#: Largest height, of a slice that is a narrow strip.
_HIGHEST_INCHES = 15.0

#: Colour of the line around a mask.
OUTLINE = "#ffd60a"

Kind = Literal["mask", "labels", "map"]


@dataclass(frozen=True, slots=True, eq=False)
class _Volume:
    """A volume in RAS+ order; in that of the file where its affine is of no use."""

    values: Array
    affine: Array
    is_in_mm: bool = True

    @property
    def zooms(self) -> Array:
        """Size of a voxel on each axis, in mm."""
        sizes: Array = np.linalg.norm(self.affine[:3, :3], axis=0)
        return sizes

    @property
    def extent(self) -> Array:
        """Size of the volume on each axis, in mm."""
        sizes: Array = np.array(self.values.shape) * self.zooms
        return sizes

    def place(self, axis: int, position: int) -> str:
        """Return where a cut is: in mm, or the index of its voxels."""
        if not self.is_in_mm:
            return f"{'ijk'[axis]} = {position}"
        index = np.zeros(4)
        index[[axis, 3]] = position, 1
        return f"{'xyz'[axis]} = {(self.affine @ index)[axis]:.0f} mm"


@dataclass(frozen=True, slots=True, eq=False)
class _Drawing:
    """Data and colours of a figure."""

    below: _Volume | None
    above: _Volume | None
    colours: dict[str, Any]
    greys: dict[str, Any]
    outline: str | None

    @property
    def reference(self) -> _Volume:
        """The volume whose grid counts."""
        volume = self.above if self.below is None else self.below
        assert volume is not None, "bug in lazyvox: a figure of nothing"
        return volume

    def draw(self, ax: Any, axis: int, position: int) -> None:
        """Draw the cut at a voxel of an axis, and say where it is."""
        ax.set_axis_off()
        reference = self.reference
        first, second = (other for other in range(3) if other != axis)
        aspect = reference.zooms[second] / reference.zooms[first]
        options = {"origin": "lower", "aspect": aspect, "interpolation": "nearest"}
        shape = np.delete(reference.values.shape, axis)
        grey = np.zeros(shape) if self.below is None else self.below.values.take(position, axis)
        ax.imshow(grey.T, **options, **self.greys)
        if self.above is not None:
            cut = self.above.values.take(position, axis).T
            ax.imshow(np.ma.masked_equal(cut, 0), **options, **self.colours)
            if self.outline is not None and (cut != 0).any() and (cut == 0).any():
                ax.contour(cut != 0, levels=[0.5], colors=[self.outline], linewidths=1.0)
        # At a height that is given, the title needs no look at the ticks of the axes.
        title = reference.place(axis, position)
        ax.set_title(title, color="white", fontsize=7, pad=2, y=1.0)


def cuts_png(
    background: Array | None,
    regions: Array | None,
    affine: Array,
    *,
    kind: Kind = "mask",
    cmap: Any = None,
    volume_cmap: Any = "gray",
    through: Sequence[float] | None = None,
) -> bytes:
    """Return a figure of sagittal, coronal and axial cuts as PNG.

    Parameters
    ----------
    background : ndarray of shape (i, j, k) or None
        Volume below the regions.
    regions : ndarray of shape (i, j, k) or None
        A mask, labels or the weights of a map on the same grid; what is zero is clear.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    kind : {"mask", "labels", "map"}, default="mask"
        How regions are coloured.
    cmap : str or matplotlib colormap, optional
        Colours of the regions.
    volume_cmap : str or matplotlib colormap, default="gray"
        Colours of the volume.
    through : (x, y, z), optional
        A place in mm: one cut in each direction goes through it. By default there are several,
        spread over what the regions span.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    require("matplotlib", "plot", "Reports")
    from matplotlib.figure import Figure

    below = None if background is None else _canonical(background, affine)
    above = None if regions is None else _canonical(regions, affine)
    colours, greys = _colours(above, kind, cmap), _greys(below, volume_cmap)
    volumes = _Drawing(below, above, colours, greys, OUTLINE if kind == "mask" else None)
    figure: Any = Figure(dpi=DPI, facecolor="black")
    if through is None:
        _draw_rows(figure, volumes)
    else:
        _draw_through(figure, volumes, np.asarray(through, np.float64))
    target = BytesIO()
    figure.savefig(target, format="png", facecolor="black")
    return target.getvalue()


def _draw_rows(figure: Any, volumes: "_Drawing") -> None:
    """Draw a row of cuts for each direction in which they show more than a line."""
    reference = volumes.reference
    extent, lengths = reference.extent, reference.values.shape
    thin = [axis for axis in range(3) if min(np.delete(lengths, axis)) < 2]
    # Of a single line of voxels, one row of cuts along it is all there is.
    kept = [axis for axis in range(3) if axis not in thin] or [int(np.argmin(lengths))]
    cuts = {axis: _positions(axis, volumes.above, reference) for axis in kept}
    n_cuts = max(N_CUTS if len(kept) > 1 else 3, *map(len, cuts.values()))
    heights = [extent[1] if axis == 2 else extent[2] for axis in kept]
    width = n_cuts * max(extent[1] if axis == 0 else extent[0] for axis in kept)
    # Room for a title above each row.
    inches = WIDTH_INCHES * sum(heights) / width * 1.06 + 0.2 * len(kept)
    figure.set_size_inches(WIDTH_INCHES, min(inches, _HIGHEST_INCHES))
    axes = figure.subplots(len(kept), n_cuts, squeeze=False, height_ratios=heights)
    for row, axis in zip(axes, kept, strict=True):
        for ax in row:
            ax.set_axis_off()
        for ax, position in zip(row, cuts[axis], strict=False):
            volumes.draw(ax, axis, position)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.96, wspace=0.04, hspace=0.12)


def _draw_through(figure: Any, volumes: "_Drawing", xyz: Array) -> None:
    """Draw the three cuts through a place, and lines that cross there."""
    reference = volumes.reference
    extent = reference.extent
    widths = [extent[1], extent[0], extent[0]]
    height = max(extent[2], extent[1])
    figure.set_size_inches(WIDTH_INCHES, WIDTH_INCHES * height / sum(widths) * 1.08)
    axes = figure.subplots(1, 3, squeeze=False, width_ratios=widths)[0]
    index = np.linalg.solve(reference.affine, [*xyz, 1])[:3]
    nearest = np.clip(np.round(index), 0, np.array(reference.values.shape) - 1).astype(int)
    for axis, ax in enumerate(axes):
        volumes.draw(ax, axis, nearest[axis])
        across, up = np.delete(index, axis)
        ax.axvline(across, color="white", linewidth=0.6, alpha=0.6)
        ax.axhline(up, color="white", linewidth=0.6, alpha=0.6)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.93, wspace=0.04)


def _canonical(values: Array, affine: Array) -> _Volume:
    """Return a volume with axes turned so that they point right, to the front, and up.

    With an affine that has no inverse they stay as they are in the file, and voxels are cubes.
    """
    if not is_invertible(affine):
        return _Volume(np.nan_to_num(values, posinf=0, neginf=0), np.eye(4), is_in_mm=False)
    orientations: Any = nib.orientations
    turns = orientations.io_orientation(affine)
    turned = orientations.apply_orientation(np.asarray(values), turns)
    moved = affine @ orientations.inv_ornt_aff(turns, values.shape)
    return _Volume(np.nan_to_num(turned, posinf=0, neginf=0), moved)


def _positions(axis: int, regions: _Volume | None, reference: _Volume) -> Array:
    """Return where to cut: evenly through the slices that regions are in."""
    filled = np.arange(reference.values.shape[axis])
    if regions is not None:
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero((regions.values != 0).any(axis=others))
        filled = found if found.size else filled
    inner = np.linspace(0, len(filled) - 1, N_CUTS + 2)[1:-1]
    # A thin region has fewer slices than there is room for.
    return np.unique(filled[np.round(inner).astype(int)])


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
        own = _region_colours(int(largest)) if cmap is None else cmap
        return {"cmap": own, "alpha": 0.65, "vmin": 1.0, "vmax": max(largest, 1 + 1e-6)}
    return {"cmap": cmap or "autumn", "alpha": 0.3, "vmin": 0.0, "vmax": 1.0}


def _region_colours(n_regions: int) -> Any:
    """Return one colour per region, such that regions with close numbers look different."""
    from matplotlib.colors import ListedColormap, hsv_to_rgb

    number = np.arange(max(n_regions, 1))
    # Steps of the golden section never come back to a hue that is taken.
    hues = number * 0.618034 % 1
    shades = np.stack([hues, np.full(hues.shape, 0.85), 1 - 0.3 * (number % 2)], axis=1)
    return ListedColormap(hsv_to_rgb(shades))


def _greys(volume: _Volume | None, cmap: Any) -> dict[str, Any]:
    """Return how imshow is to colour the volume: its own range, without the outliers."""
    if volume is None:
        return {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
    inside = volume.values[volume.values != 0]
    if not inside.size:
        return {"cmap": cmap, "vmin": 0.0, "vmax": 1.0}
    low, high = np.percentile(inside, (1, 99))
    if low == high:
        # A mask, say: grey enough to see what is on top.
        return {"cmap": cmap, "vmin": min(0.0, 2.5 * low), "vmax": max(0.0, 2.5 * low)}
    return {"cmap": cmap, "vmin": low * 0.5 if low > 0 else low, "vmax": high}
