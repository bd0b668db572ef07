"""Bars of peak memory and wall time, one row for each way."""

import io
from collections.abc import Sequence
from typing import Any

from lazyvox.compare.outcome import Comparison, memory_text, seconds_text
from lazyvox.compare.records import Record
from lazyvox.planning.memory import counted
from lazyvox.runtime.optional import require

__all__ = ["draw", "require_matplotlib"]

_COLOURS = {"lazyvox": "#3f7f6f", "NumPy": "#7d93ab", "nibabel": "#7d93ab", "nilearn": "#c9a06a"}
_INK, _SOFT, _LINE = "#22303c", "#6b7884", "#c5ccd3"
_ROW_INCHES, _MARGIN_INCHES, _WIDTH_INCHES = 0.36, 1.55, 12.0
_DPI = 150
_LETTER_INCHES = 0.083
_SHORT_REASON, _LONGEST_TITLE = 34, 100


def require_matplotlib() -> None:
    """Raise MissingDependencyError where there is no matplotlib."""
    require("matplotlib", "plot", "Plots")


def draw(comparison: Comparison) -> bytes:
    """Return the plot as a PNG.

    Parameters
    ----------
    comparison : Comparison
        What is shown; ways without results get a row that says why.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    require_matplotlib()
    # Neither pyplot nor a display: nothing of the caller's plots is touched.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Names of files may hold dollar signs, which are no mathematics.
    style: Any = {"font.family": "DejaVu Sans", "text.color": _INK, "text.parse_math": False}
    records = comparison.records
    height = _MARGIN_INCHES + _ROW_INCHES * len(records)
    with rc_context(style):
        figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        title = _shortened(comparison.title, _LONGEST_TITLE)
        figure.text(0.015, 1 - 0.3 / height, title, size=13, weight="bold", va="center")
        subtitle = _subtitle(comparison)
        figure.text(0.015, 1 - 0.58 / height, subtitle, size=9, color=_SOFT, va="center")
        labels = [f"{record.way.method}, {record.way.input}" for record in records]
        left = (0.35 + _LETTER_INCHES * max(map(len, labels))) / _WIDTH_INCHES
        width = (0.985 - left - 0.02) / 2
        bottom, tall = 0.45 / height, 1 - _MARGIN_INCHES / height
        memory = figure.add_axes((left, bottom, width, tall))
        clock = figure.add_axes((left + width + 0.02, bottom, width, tall))
        _bars(memory, records, [record.peak_mib for record in records], memory_text)
        _bars(clock, records, [record.seconds for record in records], seconds_text)
        memory.set_yticks(range(len(records)), labels, size=9.5, color=_INK)
        clock.set_yticks([])
        _title(memory, "Peak memory of all processes (MiB)")
        _title(clock, "Wall time from the start of the process (s)")
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


def _subtitle(comparison: Comparison) -> str:
    names = ", ".join(source.name for source in comparison.sources)
    machine = comparison.machine
    text = f"{names if len(names) < 60 else f'{len(comparison.sources)} images'}"
    if comparison.masks:
        text += (
            f", {counted(len(comparison.masks), 'mask')}, {counted(comparison.n_jobs, 'worker')}"
        )
    versions = machine["versions"]
    known = [f"{name} {versions[name]}" for name in ("lazyvox", "nilearn", "nibabel", "numpy")
             if name in versions]  # fmt: skip
    return f"{text}; {counted(machine['cores'], 'core')}; {', '.join(known)}"


def _bars(
    axes: Any, records: Sequence[Record], values: Sequence[float | None], text_of: Any
) -> None:
    shown = [
        value if record.is_done else None for record, value in zip(records, values, strict=True)
    ]
    for row, (record, value) in enumerate(zip(records, shown, strict=True)):
        if value:
            colour = _COLOURS[record.way.family.name]
            axes.barh(row, value, color=colour, height=0.66)
        text = text_of(value) if value is not None else _shortened(record.status, _SHORT_REASON)
        if record.agrees is False:
            text += "  (other values!)"
        axes.annotate(
            text,
            (value or 0, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=9,
            color=_INK if value is not None else _SOFT,
            style="normal" if value is not None else "italic",
        )
    # Lengths that are compared begin at zero. A quarter of the width stays for the longest's text.
    axes.set_xlim(0, 1.35 * max((value for value in shown if value), default=1.0))
    axes.set_ylim(len(records) - 0.5, -0.5)
    _lighten(axes)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _title(axes: Any, text: str) -> None:
    axes.set_title(text, loc="left", size=10.5, weight="bold", pad=8)


def _lighten(axes: Any) -> None:
    for name, spine in axes.spines.items():
        spine.set_visible(name == "left")
        spine.set_color(_LINE)
    axes.grid(axis="x", color=_LINE, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", length=0, labelcolor=_SOFT, labelsize=8.5, which="both")
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _number(value: float, position: object) -> str:
    del position
    return f"{value:g}"
