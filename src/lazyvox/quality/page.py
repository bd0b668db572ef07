"""HTML of a report: one section for each run."""

import math
import platform
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox._version import __version__
from lazyvox.connectome.heat_map import draw_heat_map
from lazyvox.connectome.matrix import connectivity_values
from lazyvox.errors import LazyvoxError
from lazyvox.geometry.affines import is_invertible, voxel_sizes
from lazyvox.lazyimage.describe import orientation
from lazyvox.planning.memory import counted, format_bytes
from lazyvox.quality.drawings import draw_regions, draw_spectrum, draw_time, shown_courses
from lazyvox.quality.run import MATRIX_DPI, RunFindings
from lazyvox.report import (
    HtmlReport,
    Panel,
    cuts_png,
    definitions,
    escaped,
    figure,
    standalone,
    table,
    warning,
)
from lazyvox.runtime.peak import PeakMemory

__all__ = ["Section", "page_of", "section_of"]

#: Numbers of volumes that are listed; of more the first ones.
_MOST_LISTED = 200

_VERSIONS = ("numpy", "nibabel", "matplotlib")


@dataclass(frozen=True, slots=True)
class Section:
    """Part of the page about one run.

    Attributes
    ----------
    title : str
        Name of the run.
    overview : dict of str to str
        Its main numbers, for the table of several runs.
    html : str
        All that is said about it.
    """

    title: str
    overview: dict[str, str]
    html: str = field(repr=False)


def page_of(sections: Sequence[Section]) -> HtmlReport:
    """Return the page of some runs."""
    count = f"{len(sections)} runs"
    title = f"Quality of {sections[0].title if len(sections) == 1 else count}"
    parts = [f"<h1>{escaped(title)}</h1>"]
    if len(sections) > 1:
        names = ("run", *sections[0].overview)
        rows = [(one.title, *one.overview.values()) for one in sections]
        links = (
            f'<a href="#run-{number}">{escaped(one.title)}</a>'
            for number, one in enumerate(sections, 1)
        )
        parts += [f'<nav aria-label="Runs">{"".join(links)}</nav>']
        parts += [f"<section>{table('Runs', names, rows)}</section>"]
    for number, one in enumerate(sections, 1):
        heading = f"<h2>{escaped(one.title)}</h2>" if len(sections) > 1 else ""
        parts.append(f'<section id="run-{number}">{heading}{one.html}</section>')
    versions = [f"{name} {version(name)}" for name in _VERSIONS]
    made = ", ".join([f"lazyvox {__version__}", *versions, f"Python {platform.python_version()}"])
    parts.append(f"<footer>Made by {escaped(made)}.</footer>")
    return standalone(title, parts)


def section_of(run: RunFindings, title: str, level: int, peak: PeakMemory) -> Section:
    """Return what is to be said about a run, with headings of a level, and what it took."""
    parts = [
        *map(warning, _warnings(run)),
        definitions(_facts(run)),
        _heading("Volumes", level),
        table("Measures", _COLUMNS, _measures(run)),
        definitions(_censoring(run)),
        figure(_time_panel(run)),
        _heading("Maps", level),
        *map(figure, _map_panels(run)),
        _heading("Spectrum of the global signal", level),
        _spectrum(run),
        _heading("Regions", level),
        *_regions(run),
        _heading("Checks and memory", level),
        # All is drawn: this is the peak of the figures too.
        definitions(_checks(run, peak.increment)),
        f"<details><summary>Plan</summary><pre>{_lines(run.plan.explain())}</pre></details>",
    ]
    return Section(title, _overview(run), "".join(parts))


def _heading(text: str, level: int) -> str:
    return f"<h{level}>{text}</h{level}>"


def _lines(text: str) -> str:
    return "\n".join(map(escaped, text.splitlines()))


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "n/a"


def _warnings(run: RunFindings) -> list[str]:
    """Return what is missing, and what is odd."""
    said = []
    if run.grid.n_volumes == 1:
        said.append("The image has one volume: nothing can be said about changes over time.")
    if run.mask is None:
        said.append("No mask was given: measures are of all voxels, the background included.")
    if run.displacement is None:
        said.append("No motion table was given: there is no framewise displacement.")
    if not is_invertible(run.grid.affine):
        said.append(
            "The affine of the header is of no use: cuts are in the order of the file, and which "
            "side is left is unknown."
        )
    n_bad = int(run.findings.n_non_finite.sum())
    if n_bad:
        volumes = counted(int(np.count_nonzero(run.findings.n_non_finite)), "volume")
        said.append(f"NaN or infinite: {counted(n_bad, 'value')} in {volumes}.")
    if run.findings.n_zero_at_end:
        n_zero = counted(run.findings.n_zero_at_end, "volume")
        said.append(f"Nothing but zeros, as in an interrupted copy: {n_zero} at the end.")
    return said + [f"{one}." for one in run.table.remarks]


def _facts(run: RunFindings) -> dict[str, str]:
    grid = run.grid
    size = " x ".join(f"{one:.4g}" for one in voxel_sizes(grid.affine))
    n_taken = grid.n_voxels if run.mask is None else int(run.mask.sum())
    return {
        "file": run.plan.source,
        "shape": " x ".join(map(str, (*grid.shape, grid.n_volumes))),
        "voxels": f"{size} mm, {grid.dtype}",
        "orientation": orientation(grid.affine),
        "mask": f"{n_taken} of {grid.n_voxels} voxels" if run.mask is not None else "none",
        "repetition time": "not in the header" if grid.t_r is None else f"{grid.t_r:.4g} s",
        "duration": _duration(grid.n_volumes, grid.t_r),
        "median tSNR": _number(_median(run.inside(run.maps["tSNR"]))),
    }


def _duration(n_volumes: int, t_r: float | None) -> str:
    if t_r is None:
        return "unknown"
    return f"{n_volumes * t_r / 60:.1f} min"


def _median(values: Array) -> float:
    return float(np.median(values)) if values.size else math.nan


_COLUMNS = ("measure", "mean", "median", "largest", "in volume")

#: Columns of `lazyvox.qc` with the names that people know.
_MEASURES = {
    "framewise_displacement": "framewise displacement (mm)",
    "std_dvars": "standardized DVARS",
    "dvars": "DVARS (median 1000)",
    "global_signal": "global signal",
    "spatial_sd": "spatial standard deviation",
    "outlier_fraction": "outliers (%)",
}


def _measures(run: RunFindings) -> list[tuple[str, ...]]:
    """Return a row for each measure: of its finite values."""
    rows = []
    for name in (one for one in _MEASURES if one in run.table.names):
        values = np.asarray(run.table[name], np.float64)
        finite = np.flatnonzero(np.isfinite(values))
        if not finite.size:
            rows.append((_MEASURES[name], *["n/a"] * 4))
            continue
        found = values[finite] * (100 if name == "outlier_fraction" else 1)
        numbers = (found.mean(), np.median(found), found.max())
        largest = str(finite[found.argmax()])
        rows.append((_MEASURES[name], *(_number(float(one)) for one in numbers), largest))
    return rows


def _censoring(run: RunFindings) -> dict[str, str]:
    options, censored = run.options, run.censored
    left = run.grid.n_volumes - len(censored)
    facts = {}
    if run.displacement is not None:
        facts[f"FD above {options.fd_threshold:g} mm"] = counted(
            len(run.over_displacement), "volume"
        )
    is_known = np.isfinite(run.table["std_dvars"]).any()
    count = counted(len(run.over_dvars), "volume")
    facts[f"std DVARS above {options.std_dvars_threshold:g}"] = count if is_known else "unknown"
    share = 100 * len(censored) / run.grid.n_volumes
    facts["censored by either"] = f"{counted(len(censored), 'volume')} ({share:.1f} %)"
    facts["left"] = f"{counted(left, 'volume')}, {_duration(left, run.grid.t_r)}"
    if censored.size:
        more = f" and {len(censored) - _MOST_LISTED} more" * (len(censored) > _MOST_LISTED)
        facts["numbers"] = ", ".join(map(str, censored[:_MOST_LISTED].tolist())) + more
    return facts


def _time_panel(run: RunFindings) -> Panel:
    courses, labels = shown_courses(run.carpet)
    names = ["framewise displacement"] * (run.displacement is not None)
    names += ["standardized DVARS", "global signal", "outliers"]
    caption = f"{', '.join(names)}; dashed: thresholds; red: volumes that they would censor."
    if courses.shape[1] and len(courses):
        order = "region by region" if labels.any() else "in the order of the file"
        n_left_out = run.carpet.courses.shape[1] - courses.shape[1]
        but = f" ({n_left_out} more do not vary, or are not finite)" * (n_left_out > 0)
        caption += (
            f" Below, the carpet plot (Power, 2017): {courses.shape[1]} voxels at equal distances{but}, {order}, "
            "each less its trend and divided by its standard deviation; black -2, white 2."
        )
    caption = caption[0].upper() + caption[1:]
    rows = "; ".join(f"{name}: median {middle}, largest {most} in volume {at}" for name, _, middle, most, at in _measures(run))  # fmt: skip
    return Panel(
        caption, draw_time(run, courses, labels), alt=f"Curves over volumes. {rows}.", is_wide=True
    )


def _map_panels(run: RunFindings) -> list[Panel]:
    """Return mean, standard deviation and tSNR with the outline of the mask."""
    from matplotlib.colors import ListedColormap

    names = {"mean": "Mean", "sd": "Standard deviation", "tSNR": "tSNR"}
    clear: Any = ListedColormap([(0.0, 0.0, 0.0, 0.0)])
    panels = []
    for name, values in run.maps.items():
        cmap = "gray" if name == "mean" else "viridis"
        png = cuts_png(values, run.mask, run.grid.affine, cmap=clear, volume_cmap=cmap)
        inside = run.inside(values)
        middle = _number(_median(inside))
        where = "of all voxels" if run.mask is None else "inside of the mask (outlined)"
        ends = "no finite value"
        if inside.size:
            low, high = np.percentile(inside, (2, 98))
            ends = f"median {middle}, 2nd to 98th percentile {_number(low)} to {_number(high)}"
        caption = f"{names[name]} over time: {ends}, {where}."
        panels.append(Panel(caption, png, alt=f"Cuts through the brain. {caption}", is_wide=True))
    return panels


def _spectrum(run: RunFindings) -> str:
    values = np.asarray(run.table["global_signal"], np.float64)
    if run.grid.n_volumes < 4 or not np.isfinite(values).all() or not np.ptp(values):
        return "<p>There is none: it needs four volumes and finite values that vary.</p>"
    caption = "Power of the global signal without its trend, as a share of its sum of squares."
    return figure(Panel(caption, draw_spectrum(values, run.grid.t_r), is_wide=True))


def _regions(run: RunFindings) -> list[str]:
    signals = run.signals
    if signals is None:
        return ["<p>No atlas was given.</p>"]
    names = list(signals.column_names)
    caption = f"Mean signals of {counted(len(names), 'region')}."
    parts = [figure(Panel(caption, draw_regions(signals), is_wide=True))]
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            matrix = connectivity_values(signals.values, names=names)
    except LazyvoxError as error:
        parts.append(warning(f"There are no correlations of regions: {error}"))
        return parts
    parts += [warning(str(one.message)) for one in said]
    png, _ = draw_heat_map(matrix, names, "correlation", dpi=MATRIX_DPI)
    caption = "Correlations of regions, not cleaned: motion and drifts are in them."
    parts.append(figure(Panel(caption, png, is_wide=len(names) > 20)))
    means = np.asarray(signals.values, np.float64)
    rows = [
        (name, _number(float(one.mean())), _number(float(one.std())))
        for name, one in zip(names, means.T, strict=True)
    ]
    parts.append(table("Signals of regions", ("region", "mean", "sd"), rows, is_open=False))
    return parts


def _checks(run: RunFindings, peak_bytes: int) -> dict[str, str]:
    plan = run.plan
    return {
        "file": "read to its end: size is right, and so are checksums where it has them",
        "values not finite": str(int(run.findings.n_non_finite.sum())),
        "volumes of zeros": f"{int(run.findings.is_zero.sum())}, {run.findings.n_zero_at_end} of them at the end",
        "passes": str(plan.passes),
        "read": f"{format_bytes(plan.bytes_read)}, {format_bytes(plan.bytes_decoded)} decoded",
        "memory predicted": f"{format_bytes(plan.peak_bytes)}, pass and figures",
        "memory measured": f"{format_bytes(peak_bytes)}, pass and figures",
    }


def _overview(run: RunFindings) -> dict[str, str]:
    moved = run.displacement
    is_known = moved is not None and np.isfinite(moved).any()
    mean = float(np.nanmean(moved)) if is_known and moved is not None else math.nan
    changes = run.table["std_dvars"]
    return {
        "volumes": str(run.grid.n_volumes),
        "median tSNR": _number(_median(run.inside(run.maps["tSNR"]))),
        "mean FD (mm)": _number(mean),
        "median std DVARS": _number(_median(changes[np.isfinite(changes)])),
        "censored": str(len(run.censored)),
    }
