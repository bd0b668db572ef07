"""Figures of signals: lines one above the other, or a carpet of many."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray

__all__ = [
    "MOST_LINES",
    "SERIES_COLOURS",
    "Drawing",
    "draw_lines",
    "draw_signals",
    "names_as_text",
    "shortened",
]

#: Columns that are drawn as lines; more become a carpet.
MOST_LINES = 20

SERIES_COLOURS = ("#4e79a7", "#d98a3d", "#4f9a6b", "#c0504d", "#8566a8", "#2f9ba3")
_FRAME, _SOFT, _MISSING = "#b8bfc6", "#6b7884", "#d5dade"

#: Rows of a carpet: a screen has no more, and voxels may be hundreds of thousands.
_MOST_ROWS = 2000
#: Standard deviations that are white and black in a carpet.
_CARPET_LIMIT = 2.5
#: Inches: width of a figure, height of a line, of a carpet, and of title and axis.
_WIDTH, _LINE_HEIGHT, _CARPET_HEIGHT, _MARGIN = 9.0, 0.42, 4.2, 0.9
_LONGEST_NAME = 28


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Signals to be drawn.

    Attributes
    ----------
    values : ndarray of shape (n_volumes, n_columns)
        The signals.
    names : sequence of str
        Names of the columns; empty for none.
    kind : str
        What columns are: "regions" or "voxels".
    unit : str
        Title of the axis of time.
    times : ndarray of shape (n_volumes,)
        Places of the volumes on it, ascending.
    """

    values: Array
    names: Sequence[str]
    kind: str
    unit: str
    times: Array


def draw_signals(drawing: Drawing, ax: Any = None) -> Any:
    """Draw signals into axes, or a new figure, and return the axes."""
    from matplotlib import pyplot as plt

    n_columns = drawing.values.shape[1]
    is_lines = n_columns <= MOST_LINES
    if ax is None:
        height = _MARGIN + (_LINE_HEIGHT * max(n_columns, 3) if is_lines else _CARPET_HEIGHT)
        ax = plt.subplots(figsize=(_WIDTH, height), layout="constrained")[1]
    if is_lines:
        draw_lines(ax, drawing)
    else:
        _draw_carpet(ax, drawing)
    return ax


def draw_lines(axes: Any, drawing: Drawing) -> None:
    """Draw signals one above the other, on one scale, with their names and a bar for the scale.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    drawing : Drawing
        A few signals. Where all means are positive, changes are in percent of them; signals that
        are not finite throughout have gaps.
    """
    values = drawing.values.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = _mean_of_finite(values)
        known = middle[np.isfinite(middle)]
        is_percent = bool(known.size and (known > 0).all())
        changes = 100 * (values / middle - 1) if is_percent else values - middle
    changes[~np.isfinite(changes)] = np.nan
    n_shown = changes.shape[1]
    step = _step(changes)
    times, rows = _with_gaps(drawing.times)
    levels = [(n_shown - 1 - number) * step for number in range(n_shown)]
    for number, level in enumerate(levels):
        line = np.append(changes[:, number], np.nan)[rows]
        axes.axhline(level, color=_FRAME, lw=0.6, zorder=0)
        axes.plot(times, level + line, color=_colour(number), lw=1.1, label=drawing.names[number])
        if np.isnan(changes[:, number]).all():
            axes.text(0.5, level, "n/a", color=_SOFT, size=9, ha="center", va="center",
                      transform=axes.get_yaxis_transform(), backgroundcolor="white")  # fmt: skip
    # A dollar sign in a name is no mathematics.
    axes.set_yticks(levels, [shortened(name) for name in drawing.names], parse_math=False)
    for number, text in enumerate(axes.get_yticklabels()):
        text.set_color(_colour(number))
        text.set_fontweight("bold")
    low, high = np.nanmin([*changes[:, -1], 0]), levels[0] + np.nanmax([*changes[:, 0], 0])
    axes.set_ylim(
        min(low, -0.6 * step) - 0.1 * step, max(high, levels[0] + 0.6 * step) + 0.1 * step
    )
    axes.margins(x=0)
    _draw_scale_bar(axes, step, " %" if is_percent else "")
    _finish(axes, drawing.unit, hidden=("left", "right", "top"))


def _draw_scale_bar(axes: Any, step: float, unit: str) -> None:
    """Draw a bar of a round length beside the lowest line."""
    length = _round_length(step)
    where = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    axes.plot([1.015, 1.015], [0, length], color=_SOFT, lw=2.2, solid_capstyle="butt", **where)
    axes.text(1.028, length / 2, f"{length:g}{unit}", color=_SOFT, size=9, va="center", **where)


def _draw_carpet(axes: Any, drawing: Drawing) -> None:
    """Draw one row per column, each scaled to its own mean and standard deviation."""
    from matplotlib import colormaps

    n_columns = drawing.values.shape[1]
    every = -(-n_columns // _MOST_ROWS)
    values = drawing.values[:, ::every].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        values -= _mean_of_finite(values)
        spread = np.sqrt(_mean_of_finite(values * values))
        values /= np.where(spread == 0, 1, spread)
    values[~np.isfinite(values)] = np.nan
    times, rows = _with_gaps(drawing.times)
    shown = np.vstack([values, np.full((1, values.shape[1]), np.nan)])[rows]
    period = _period(drawing.times)
    extent = (times[0] - period / 2, times[-1] + period / 2, n_columns - 0.5, -0.5)
    image = axes.imshow(
        shown.T,
        aspect="auto",
        cmap=colormaps["gray"].with_extremes(bad=_MISSING),
        vmin=-_CARPET_LIMIT,
        vmax=_CARPET_LIMIT,
        extent=extent,
        interpolation="nearest",
    )
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015, extend="both")
    bar.set_label("standard deviations from the mean", color=_SOFT, size=9)
    bar.ax.tick_params(color=_FRAME, labelcolor=_SOFT, labelsize=8)
    bar.outline.set_color(_FRAME)
    _label_rows(axes, drawing, n_columns, every)
    _finish(axes, drawing.unit, hidden=("left", "right", "top", "bottom"))


def _label_rows(axes: Any, drawing: Drawing, n_columns: int, every: int) -> None:
    """Write as many names as have room, or count the rows."""
    some = f", one of {every} shown" if every > 1 else ""
    if not drawing.names:
        axes.set_yticks([])
        axes.set_ylabel(f"{n_columns} {drawing.kind}{some}", color=_SOFT)
        return
    room = axes.get_position().height * axes.figure.get_size_inches()[1] * 72
    step = max(int(np.ceil(n_columns * 9 / room)), 1)
    places = range(0, n_columns, step)
    names = [shortened(drawing.names[place]) for place in places]
    axes.set_yticks(places, names, size=8 if step == 1 else 7, parse_math=False)
    axes.tick_params(axis="y", labelcolor=_SOFT)
    if step > 1:
        text = f"{n_columns} {drawing.kind}{some}, one of {step} named"
        axes.set_ylabel(text, color=_SOFT, size=9)


def _finish(axes: Any, unit: str, *, hidden: Sequence[str]) -> None:
    axes.set_xlabel(unit, color=_SOFT)
    for name, spine in axes.spines.items():
        spine.set_visible(name not in hidden)
        spine.set_color(_FRAME)
    axes.tick_params(axis="x", color=_FRAME, labelcolor=_SOFT)
    axes.tick_params(axis="y", length=0)


def _mean_of_finite(values: FloatArray) -> FloatArray:
    """Return the mean of the finite values of each column, NaN where there are none."""
    is_finite = np.isfinite(values)
    total = np.where(is_finite, values, 0).sum(axis=0)
    mean: FloatArray = total / is_finite.sum(axis=0)
    return mean


def _step(changes: FloatArray) -> float:
    """Return the distance of two lines: the middle one of their ranges."""
    is_known = ~np.isnan(changes).all(axis=0)
    known = changes[:, is_known]
    spread = np.nanmax(known, axis=0) - np.nanmin(known, axis=0) if known.size else np.zeros(0)
    spread = spread[spread > 0]
    return float(np.median(spread)) if spread.size else 1.0


def _period(times: Array) -> float:
    return float(np.diff(times).min()) if len(times) > 1 else 1.0


def _with_gaps(times: Array) -> tuple[FloatArray, IntArray]:
    """Return times without the gaps of volumes that are left out, and the row of each.

    Such a volume has the row -1, which holds nothing.
    """
    period = _period(times)
    places = np.rint((times - times[0]) / period).astype(np.intp)
    rows = np.full(int(places[-1]) + 1, -1, np.intp)
    rows[places] = np.arange(len(times))
    return times[0] + period * np.arange(len(rows)), rows


def _round_length(step: float) -> float:
    """Return 1, 2 or 5 times a power of ten, the largest up to a length.

    Examples
    --------
    >>> [_round_length(step) for step in (0.7, 1.0, 49.0, 3e-5)]
    [0.5, 1.0, 20.0, 2e-05]
    """
    power = 10.0 ** np.floor(np.log10(step) + 1e-12)
    most = max(factor for factor in (1, 2, 5) if factor * power <= step * (1 + 1e-12))
    return float(f"{most * power:.1g}")


def _colour(number: int) -> str:
    return SERIES_COLOURS[number % len(SERIES_COLOURS)]


@contextmanager
def names_as_text(**style: Any) -> Iterator[None]:
    """Context in which pictures show names as they are, in the style that is given.

    A dollar sign is no mathematics. A letter that the font does not have is a box, as in browsers,
    of which matplotlib would warn each time.

    Parameters
    ----------
    **style : Any
        Settings of matplotlib, with underscores for dots.

    Yields
    ------
    None
        Nothing.
    """
    from matplotlib import rc_context

    settings: Any = {name.replace("_", "."): value for name, value in style.items()}
    settings |= {"font.family": "DejaVu Sans", "text.parse_math": False}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name in one line, without its middle where it is too long.

    Examples
    --------
    >>> shortened("A rather long name of region 17", 20)
    'A rather…f region 17'
    """
    one_line = " ".join(name.split())
    if len(one_line) <= longest:
        return one_line
    end = longest // 2 + 1
    return f"{one_line[: longest - end - 1]}…{one_line[-end:]}"
