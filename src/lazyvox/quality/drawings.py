"""Figures of a run as PNG: measures over time above a carpet plot, the spectrum, regions."""

from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.signals_figure import names_as_text
from lazyvox.quality.run import Carpet, RunFindings

__all__ = [
    "CONTRAST",
    "carpet_picture",
    "draw_regions",
    "draw_spectrum",
    "draw_time",
    "shown_courses",
    "spectrum_of",
]

_DPI = 110
_WIDTH = 9.5
_INK, _LINE, _LIMIT, _BAND = "#1b1f24", "#1f5fa8", "#b3261e", "#f4c7c3"
#: Columns of the carpet: of more volumes neighbours are averaged, as pixels would be.
_MOST_COLUMNS = 1200
#: Labels of measures, to the left of the ticks: as a part of the width.
_LABEL_PLACE = -0.078
#: Standard deviations from its mean at which a course is black or white.
CONTRAST = 2.0


def draw_time(run: RunFindings, courses: FloatArray, labels: Array) -> bytes:
    """Return measures of every volume above the carpet plot of what `shown_courses` gives."""
    rows = _measures(run)
    has_carpet = courses.shape[1] > 0 and len(courses) > 1
    heights = [1.0] * len(rows) + [4.0] * has_carpet
    with _style():
        height = 1.05 * len(rows) + 4.2 * has_carpet
        figure = _figure(height)
        figure.subplots_adjust(0.105, 0.5 / height, 0.95, 1 - 0.15 / height, hspace=0.15)
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        for ax, (name, values, limit) in zip(axes[:, 0], rows, strict=False):
            _draw_measure(ax, name, values, limit, run.censored)
        if has_carpet:
            _draw_carpet(axes[-1, 0], courses, labels)
        axes[-1, 0].set_xlabel("volume")
        axes[-1, 0].set_xlim(-0.5, run.grid.n_volumes - 0.5)
        axes[-1, 0].xaxis.get_major_locator().set_params(integer=True)
        return _png(figure)


def _measures(run: RunFindings) -> list[tuple[str, FloatArray, float | None]]:
    """Return name, values and threshold of each measure."""
    rows: list[tuple[str, FloatArray, float | None]] = []
    if run.displacement is not None:
        rows.append(("FD (mm)", run.displacement, run.options.fd_threshold))
    limit = run.options.std_dvars_threshold
    return [
        *rows,
        ("std DVARS", run.table["std_dvars"], limit),
        ("global\nsignal", run.table["global_signal"], None),
        ("outliers\n(%)", 100 * run.table["outlier_fraction"], None),
    ]


def _draw_measure(
    ax: Any, name: str, values: FloatArray, limit: float | None, censored: Array
) -> None:
    bars = [(volume - 0.5, 1) for volume in censored.tolist()]
    ax.broken_barh(bars, (0, 1), color=_BAND, linewidth=0, transform=ax.get_xaxis_transform())
    marker = "o" if len(values) < 3 else None
    ax.plot(np.arange(len(values)), values, color=_LINE, linewidth=0.9, marker=marker)
    ax.set_ylabel(name)
    ax.yaxis.set_label_coords(_LABEL_PLACE, 0.5)
    ax.margins(y=0.12)
    ax.ticklabel_format(axis="y", useOffset=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    finite = values[np.isfinite(values)]
    if not finite.size:
        ax.text(0.5, 0.5, "no value", transform=ax.transAxes, ha="center", va="center")
    elif limit is not None:
        ax.axhline(limit, color=_LIMIT, linewidth=0.9, linestyle="--")
        ax.annotate(
            f"{limit:g}",
            (1, limit),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=_LIMIT,
        )


def shown_courses(carpet: Carpet) -> tuple[FloatArray, Array]:
    """Return courses less their trends, of variance 1, region by region, and their labels.

    Parameters
    ----------
    carpet : Carpet
        The courses.

    Returns
    -------
    ndarray of shape (n_volumes, n_voxels), float32
        Without voxels that are not finite, or do not vary.
    ndarray of shape (n_voxels,)
        0 where there is no region.
    """
    courses = carpet.courses
    labels = np.zeros(courses.shape[1], np.int64) if carpet.labels is None else carpet.labels
    if len(courses) < 2:
        return courses[:, :0], labels[:0]
    is_shown: BoolArray = np.asarray(np.isfinite(courses).all(axis=0))
    is_shown[is_shown] = np.ptp(courses[:, is_shown], axis=0) > 0
    # Voxels of no region come last.
    order = np.lexsort((labels, labels == 0))
    order = order[is_shown[order]]
    left = courses[:, order]
    # Sums of values near the ends of the type would leave it.
    left /= np.maximum(left.max(axis=0), -left.min(axis=0))
    left -= left.mean(axis=0)
    time = np.linspace(-1, 1, len(left), dtype=np.float32)
    left -= np.outer(time, (time @ left) / (time @ time))
    spread = left.std(axis=0)
    spread[spread == 0] = 1
    left /= spread
    return left, labels[order]


def carpet_picture(courses: FloatArray) -> FloatArray:
    """Return the values of a carpet plot: a row for each voxel, a column for some volumes.

    Parameters
    ----------
    courses : ndarray of shape (n_volumes, n_voxels)
        As from `shown_courses`.

    Returns
    -------
    ndarray of shape (n_voxels, n_columns)
        Means over neighbouring volumes, 1200 columns at most.
    """
    n_volumes = len(courses)
    width = -(-n_volumes // _MOST_COLUMNS)
    edges = np.arange(0, n_volumes, width)
    counts = np.diff(np.append(edges, n_volumes))
    picture: FloatArray = (np.add.reduceat(courses, edges, axis=0) / counts[:, None]).T
    return picture


def _draw_carpet(ax: Any, courses: FloatArray, labels: Array) -> None:
    n_volumes, n_rows = courses.shape
    ax.imshow(
        carpet_picture(courses),
        cmap="gray",
        vmin=-CONTRAST,
        vmax=CONTRAST,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, n_volumes - 0.5, n_rows, 0),
    )
    ax.set_yticks([])
    ax.yaxis.set_label_coords(_LABEL_PLACE, 0.5)
    if not labels.any():
        ax.set_ylabel(f"{n_rows} voxels")
        return
    ax.set_ylabel(f"{n_rows} voxels by region")
    _draw_strip(ax, labels, n_rows)


def _draw_strip(ax: Any, labels: Array, n_rows: int) -> None:
    """Draw the regions of the rows beside the carpet; voxels of no region have no colour."""
    from matplotlib import colormaps

    strip = ax.inset_axes((-0.016, 0, 0.012, 1))
    number = np.unique(labels, return_inverse=True)[1]
    colours = colormaps["tab20"](number % 20)
    colours[labels == 0] = (1, 1, 1, 1)
    strip.imshow(
        colours[:, None], aspect="auto", interpolation="nearest", extent=(0, 1, n_rows, 0)
    )
    strip.set_xticks([])
    strip.set_yticks([])


def spectrum_of(values: FloatArray, t_r: float | None) -> tuple[FloatArray, FloatArray]:
    """Return frequencies and the power of a course without its trend.

    Parameters
    ----------
    values : ndarray of shape (n_volumes,)
        Finite.
    t_r : float or None
        Seconds between volumes; without it frequencies are cycles per volume.

    Returns
    -------
    frequencies : ndarray of shape (n_frequencies,)
        In Hz, or cycles per volume; above 0.
    power : ndarray of shape (n_frequencies,)
        Share of the sum of squares that belongs to each: they add up to 1, or are 0.

    Examples
    --------
    >>> time = np.arange(40)
    >>> frequencies, power = spectrum_of(np.cos(2 * np.pi * time / 10), 2.0)
    >>> round(float(frequencies[power.argmax()]), 3)
    0.05
    """
    n = len(values)
    time = np.linspace(-1, 1, n)
    left = values - values.mean()
    left = left - time * (time @ left) / (time @ time)
    power = np.abs(np.fft.rfft(left)) ** 2
    # All frequencies but 0 and the last one of an even number stand for two.
    power[1 : (n + 1) // 2] *= 2
    power = power[1:]
    total = power.sum()
    return np.fft.rfftfreq(n, t_r or 1.0)[1:], power / total if total > 0 else 0 * power


def draw_spectrum(values: FloatArray, t_r: float | None) -> bytes:
    """Return the spectrum of a course."""
    frequencies, power = spectrum_of(values, t_r)
    with _style():
        figure = _figure(2.6)
        figure.subplots_adjust(0.07, 0.19, 0.98, 0.96)
        ax = figure.subplots()
        ax.fill_between(frequencies, 100 * power, color=_LINE, alpha=0.25, linewidth=0)
        ax.plot(frequencies, 100 * power, color=_LINE, linewidth=1)
        ax.set_xlabel("frequency (cycles per volume)" if t_r is None else "frequency (Hz)")
        ax.set_ylabel("power (%)")
        ax.set_xlim(0, frequencies[-1])
        ax.set_ylim(bottom=0)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        return _png(figure)


def draw_regions(signals: Signals) -> bytes:
    """Return the signals of regions over time."""
    with _style():
        figure = _figure(min(1.2 + 0.3 * signals.shape[1], 7.0), layout="constrained")
        signals.plot(figure.subplots())
        return _png(figure)


def _style() -> AbstractContextManager[None]:
    return names_as_text(font_size=9, axes_edgecolor=_INK, text_color=_INK, axes_labelcolor=_INK)


def _figure(height: float, layout: Any = None) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white", layout=layout)


def _png(figure: Any) -> bytes:
    target = BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()
