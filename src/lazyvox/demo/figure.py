"""The figure of the demo: regions, their time series, and the costs of the work."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel import orientations

from lazyvox._typing import Array, FloatArray
from lazyvox.demo.costs import Cost
from lazyvox.demo.regions import central_voxel
from lazyvox.extraction.signals_figure import SERIES_COLOURS, Drawing, draw_lines
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.optional import require
from lazyvox.store.write.atomic import write_file

__all__ = ["Picture", "draw"]

_OURS, _THEIRS = "#3f7f6f", "#b8bfc6"
_INK, _SOFT = "#22303c", "#6b7884"
_AXES = "xyz"
# Of each plane: the axis that goes across, and the one that goes up.
_SIDES = ((1, 2), (0, 2), (0, 1))
_SIZE = (13.0, 8.6)
_LEFT, _RIGHT, _GAP = 0.035, 0.965, 0.12
_PLANES_BOTTOM, _PLANES_TOP = 0.47, 0.868
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Content of the figure.

    Attributes
    ----------
    mean, labels : ndarray of shape (i, j, k)
        Mean image, and the regions on its grid.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    shown : sequence of int
        Labels of the regions with a time series.
    names : sequence of str
        Their names.
    series : ndarray of shape (n_volumes, n_shown)
        Their time series.
    t_r : float or None
        Seconds between volumes.
    costs : sequence of Cost
        Those of lazyvox first, then those of the whole array.
    title, subtitle : str
        Two lines at the top.
    """

    mean: Array
    labels: Array
    affine: FloatArray
    shown: Sequence[int]
    names: Sequence[str]
    series: FloatArray
    t_r: float | None
    costs: Sequence[Cost]
    title: str
    subtitle: str


def draw(picture: Picture, path: Path) -> None:
    """Write the figure as a PNG.

    Parameters
    ----------
    picture : Picture
        What to draw.
    path : Path
        The file; replaced where it exists.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    require("matplotlib", "plot", "Figures")
    # Neither pyplot nor a display: nothing of the caller's plots is touched.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {"font.family": "DejaVu Sans", "font.size": 10, "text.color": _INK}
    with rc_context(style):
        figure = Figure(figsize=_SIZE, dpi=150, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(_LEFT, 0.958, picture.title, size=16, weight="bold", va="center")
        figure.text(_LEFT, 0.92, picture.subtitle, size=11, color=_SOFT, va="center")
        _draw_planes(figure, picture)
        _draw_series(figure.add_axes((0.112, 0.075, 0.488, 0.335)), picture)
        _draw_bars(figure, picture.costs)
        content = io.BytesIO()
        figure.savefig(content, format="png")
    write_file(str(path), content.getvalue(), overwrite=True)


def _draw_planes(figure: Any, picture: Picture) -> None:
    """Draw three planes through the centre of the regions, all on one scale."""
    mean, affine = _reoriented(picture.mean.astype(np.float64), picture.affine)
    labels, _ = _reoriented(picture.labels, picture.affine)
    zooms = np.array(voxel_sizes(affine))
    centre = central_voxel(labels > 0)
    place = affine[:3, :3] @ centre + affine[:3, 3]
    # Of axes, not of two grids: whether numbers along them are exact or about right.
    is_oblique = not np.allclose(np.abs(affine[:3, :3]), np.diag(zooms), atol=1e-3 * zooms.max())
    about = "≈" if is_oblique else "="
    # World coordinates of the outer faces, exact unless the grid is oblique.
    low = place - (np.array(centre) + 0.5) * zooms
    high = low + np.array(mean.shape) * zooms
    limits = _grey_limits(mean[labels > 0])
    frames = _frames(_view(labels > 0, low, zooms))
    tall = _PLANES_TOP - _PLANES_BOTTOM
    for axis, (across, up) in enumerate(_SIDES):
        left, x_limits, y_limits = frames[axis]
        wide = np.ptp(x_limits) / np.ptp(y_limits) * tall * _SIZE[1] / _SIZE[0]
        axes = figure.add_axes((left / _SIZE[0], _PLANES_BOTTOM, wide, tall))
        extent = (low[across], high[across], low[up], high[up])
        axes.imshow(
            np.take(mean, centre[axis], axis).T,
            origin="lower",
            extent=extent,
            cmap="gray",
            vmin=limits[0],
            vmax=limits[1],
            interpolation="nearest",
        )
        _draw_outlines(axes, np.take(labels, centre[axis], axis).T, extent, picture.shown)
        axes.set_xlim(*x_limits)
        axes.set_ylim(*y_limits)
        _letter(axes, f"{_AXES[axis]} {about} {round(place[axis])} mm", (across, up))
    note = f"Mean image and {labels.max()} parcels, neurological view: left is left"
    figure.text(_RIGHT, _PLANES_TOP + 0.012, note, size=9, color=_SOFT, ha="right")


def _view(inside: Array, low: FloatArray, zooms: FloatArray) -> FloatArray:
    """Return the lowest and highest coordinates that are shown: the regions, and a margin."""
    voxels = np.argwhere(inside)
    bounds = np.stack([voxels.min(axis=0), voxels.max(axis=0) + 1])
    size = (bounds[1] - bounds[0]) * zooms
    margin = np.full(3, 0.08 * size.max())
    return np.asarray(low + bounds * zooms + np.stack([-margin, margin]))


def _grey_limits(values: FloatArray) -> tuple[float, float]:
    """Return the values of black and white."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [2, 99.5])
    return (0.55 * low if low > 0 else float(finite.min())), max(high, low + 1e-12)


def _frames(view: FloatArray) -> list[tuple[float, FloatArray, FloatArray]]:
    """Return left edge, limits across and limits up of each plane.

    One scale in mm, as large as fits; what is left over becomes margin within the planes.
    """
    room = (_RIGHT - _LEFT) * _SIZE[0] - 2 * _GAP
    tall = (_PLANES_TOP - _PLANES_BOTTOM) * _SIZE[1]
    size, middle = view[1] - view[0], view.mean(axis=0)
    widths = np.array([size[across] for across, _ in _SIDES])
    scale = min(room / widths.sum(), tall / max(size[up] for _, up in _SIDES))
    widths = widths + (room / scale - widths.sum()) / len(_SIDES)
    left, frames = _LEFT * _SIZE[0], []
    half = np.array([-0.5, 0.5])
    for (across, up), width in zip(_SIDES, widths, strict=True):
        frames.append((left, middle[across] + half * width, middle[up] + half * tall / scale))
        left += width * scale + _GAP
    return frames


def _reoriented(values: Array, affine: FloatArray) -> tuple[Array, FloatArray]:
    """Return an array with its axes nearest to left-right, back-front and bottom-top."""
    tools: Any = orientations
    ornt = tools.io_orientation(affine)
    turned = affine @ tools.inv_ornt_aff(ornt, values.shape)
    return tools.apply_orientation(values, ornt), turned


def _draw_outlines(
    axes: Any, labels: Array, extent: tuple[float, ...], shown: Sequence[int]
) -> None:
    """Outline the regions of one plane; fill those that have a time series."""
    if min(labels.shape) < 2:
        return
    columns, rows = labels.shape[1], labels.shape[0]
    x = extent[0] + (np.arange(columns) + 0.5) * (extent[1] - extent[0]) / columns
    y = extent[2] + (np.arange(rows) + 0.5) * (extent[3] - extent[2]) / rows
    for label in np.unique(labels[labels > 0]):
        here = (labels == label).astype(float)
        if label not in shown:
            axes.contour(x, y, here, levels=[0.5], colors="white", linewidths=0.5, alpha=0.45)
    for colour, label in zip(SERIES_COLOURS, shown, strict=False):
        here = (labels == label).astype(float)
        if here.any() and not here.all():
            axes.contourf(x, y, here, levels=[0.5, 1.5], colors=[colour], alpha=0.62)
            axes.contour(x, y, here, levels=[0.5], colors=[colour], linewidths=1.6)


def _letter(axes: Any, title: str, sides: tuple[int, int]) -> None:
    """Say which plane it is, and which way is which."""
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    common = {"transform": axes.transAxes, "color": "white", "size": 10}
    axes.text(0.025, 0.97, title, va="top", weight="bold", **common)
    (left, right), (bottom, top) = _ENDS[sides[0]], _ENDS[sides[1]]
    axes.text(0.02, 0.5, left, va="center", **common)
    axes.text(0.98, 0.5, right, va="center", ha="right", **common)
    axes.text(0.5, 0.02, bottom, ha="center", **common)
    axes.text(0.5, 0.98, top, ha="center", va="top", **common)


def _draw_series(axes: Any, picture: Picture) -> None:
    """Draw the time series as `Signals.plot` does."""
    unit, step = ("time (s)", picture.t_r) if picture.t_r else ("volume", 1.0)
    times = np.arange(len(picture.series)) * step
    draw_lines(axes, Drawing(picture.series, picture.names, "regions", unit, times))
    axes.set_title("Mean of each region over time", loc="left", size=12, weight="bold", pad=8)


def _draw_bars(figure: Any, costs: Sequence[Cost]) -> None:
    """Draw peak memory and wall time of each way."""
    memory = figure.add_axes((0.74, 0.265, 0.225, 0.145))
    _bars(memory, [cost.name for cost in costs], [cost.peak_bytes for cost in costs],
          [_memory_text(cost) for cost in costs])  # fmt: skip
    memory.set_title("Peak memory", loc="left", size=12, weight="bold", pad=8)
    clock = figure.add_axes((0.74, 0.065, 0.225, 0.145))
    _bars(clock, [cost.name for cost in costs], [cost.seconds or 0.0 for cost in costs],
          ["not run" if cost.seconds is None else f"{cost.seconds:.1f} s" for cost in costs])  # fmt: skip
    clock.set_title("Wall time", loc="left", size=12, weight="bold", pad=8)


def _memory_text(cost: Cost) -> str:
    text = format_bytes(cost.peak_bytes)
    return f"{text} (estimate)" if cost.seconds is None else text


def _bars(axes: Any, names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> None:
    colours = [_OURS if name.startswith("lazyvox") else _THEIRS for name in names]
    rows = np.arange(len(names))[::-1]
    axes.barh(rows, values, color=colours, height=0.62)
    most = max(*values, 1e-9)
    for row, value, text, fill in zip(rows, values, texts, colours, strict=True):
        is_inside = value > 0.6 * most
        axes.text(
            value + (-0.02 if is_inside else 0.02) * most,
            row,
            text,
            va="center_baseline",
            ha="right" if is_inside else "left",
            size=9.5,
            weight="bold",
            color="white" if is_inside and fill == _OURS else _INK,
        )
    axes.set_yticks(rows, names, size=9.5, color=_INK)
    axes.set_xlim(0, most)
    axes.set_xticks([])
    _lighten(axes, "right", "top", "bottom")


def _lighten(axes: Any, *hidden: str) -> None:
    for name, spine in axes.spines.items():
        spine.set_visible(name not in hidden)
        spine.set_color(_THEIRS)
    axes.tick_params(axis="x", color=_THEIRS, labelcolor=_SOFT)
    axes.tick_params(axis="y", length=0)
