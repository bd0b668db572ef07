"""`lazyvox demo`: a run of real size, everyday commands on it, their costs, and a figure."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import numpy as np

from lazyvox._typing import FloatArray
from lazyvox._version import __version__
from lazyvox.cli.settings import FOLDER_PATH, Command
from lazyvox.demo.costs import CommandFailedError, Cost, run_command
from lazyvox.demo.figure import Picture, draw
from lazyvox.demo.model import N_REGIONS, Model, make_model, write_run
from lazyvox.demo.regions import (
    Regions,
    choose_shown,
    divide,
    mask_from_mean,
    write_regions,
)
from lazyvox.demo.steps import (
    Setting,
    extract_command,
    generated_name,
    is_complete,
    limited_masks,
    mean_command,
    program,
    read_series,
    settle,
    short_path,
    shown_text,
    whole_array_command,
)
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.limits import available_memory
from lazyvox.runtime.optional import require
from lazyvox.runtime.progress import resolve_progress

__all__ = ["demo"]

_STEPS = {"full": 1, "small": 3}
# Ways of loading the whole array, and their names in table and figure.
_WAYS = {"asarray": "np.asarray", "get_fdata": "get_fdata"}
_N_VOLUMES = 840
# Python, NumPy and nibabel beside the array; and the share of what is available that may be used.
_INTERPRETER_BYTES = 64 << 20
_SHARE = 0.8


@click.command(cls=Command)
@click.option(
    "--file",
    metavar="RUN",
    type=FOLDER_PATH,
    help="A 4D image of yours to work on, instead of a generated run.",
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=FOLDER_PATH,
    default=Path("lazyvox-demo"),
    show_default=True,
    help="Folder for the run, which is kept for the next time, and for the results.",
)
@click.option(
    "--volumes",
    type=click.IntRange(min=2),
    metavar="N",
    help=f"Length of the generated run; by default {_N_VOLUMES}.",
)
@click.option(
    "--size",
    type=click.Choice(list(_STEPS)),
    help="Grid of the generated run: 3 mm (full, the default) or 9 mm.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but errors and warnings.")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def demo(
    *,
    file: Path | None,
    output: Path,
    volumes: int | None,
    size: str | None,
    quiet: bool,
    debug: bool,
) -> None:
    """Work on a run of real size, measure it, and plot.

    Writes a run from a seeded model of a resting brain (about 200 MB, once), takes its mean, six
    regions and a 64-region parcellation with lazyvox, loads the same run as a whole for
    comparison, and draws where the regions are, their time series, and what the work cost.
    """
    # `lazyvox.cli.main` reads it from the command line.
    del debug
    require("matplotlib", "plot", "Figures")
    tell = Teller(quiet=quiet)
    if file is not None:
        if volumes is not None or size is not None:
            msg = "--volumes and --size are for the generated run; leave them out with --file"
            raise click.UsageError(msg)
        _show(settle(file, output), None, tell)
        return
    model = make_model(n_volumes=volumes or _N_VOLUMES, step=_STEPS[size or "full"])
    run = output / generated_name(model.n_volumes, size or "full")
    _generate(model, run, tell)
    _show(settle(run, output), model.regions, tell)


class Teller:
    """Prints what happens, or nothing.

    Parameters
    ----------
    quiet : bool
        Whether to print nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def __call__(self, text: str = "") -> None:
        """Print one paragraph."""
        if not self.quiet:
            click.echo(text)


def _generate(model: Model, run: Path, tell: Teller) -> None:
    """Write the run unless it is there."""
    shape = " x ".join(str(length) for length in (*model.mask.shape, model.n_volumes))
    decoded = format_bytes(4 * model.mask.size * model.n_volumes)
    if is_complete(run, model):
        tell(f"{run} is there: {shape} float32, {decoded} decoded.\n")
        return
    tell(f"Writing {run}: {shape} float32, {decoded} decoded ...")
    run.parent.mkdir(parents=True, exist_ok=True)
    reporter = resolve_progress(not tell.quiet and sys.stderr is not None and sys.stderr.isatty())
    reporter.start(model.n_volumes, "volumes", run.name)
    n_before = 0
    try:
        with closing(write_run(model, str(run))) as writing:
            for n_done in writing:
                reporter.advance(n_done - n_before)
                n_before = n_done
    finally:
        reporter.close()
    tell(f"  {format_bytes(run.stat().st_size)} compressed\n")


def _show(setting: Setting, known: Regions | None, tell: Teller) -> None:
    """Run the commands on one run, and draw."""
    tell(f"$ cd {_short(setting.folder)}\n")
    costs = [_run("lazyvox mean", mean_command(setting), setting, tell)]
    mean = np.asarray(as_image(setting.folder / "mean.nii.gz").dataobj)
    affine = setting.grid.affine
    regions = known or divide(mask_from_mean(mean), affine, n_regions=N_REGIONS)
    shown = choose_shown(regions)
    masks = limited_masks(regions, shown, setting.grid)
    write_regions(setting.folder, regions, affine, masks)
    names = list(masks)
    costs.append(_run("lazyvox extract", extract_command(setting, names), setting, tell))
    costs += [_run_whole(way, setting, names, tell) for way in _WAYS]
    series, n_parcels = read_series(setting.folder, names)
    tell(_table(costs, len(names), n_parcels))
    tell(_agreement(setting, series))
    title, subtitle = _titles(setting, costs, len(names), n_parcels)
    picture = Picture(
        mean,
        regions.labels,
        affine,
        shown,
        names,
        series,
        setting.grid.t_r,
        costs,
        title,
        subtitle,
    )
    draw(picture, setting.folder / "demo.png")
    tell(_ending(setting))


def _run(name: str, command: Sequence[str], setting: Setting, tell: Teller) -> Cost:
    tell(shown_text(command))
    cost = run_command(name, program(command), setting.folder)
    tell(f"  {cost.seconds:.1f} s, {format_bytes(cost.peak_bytes)} peak memory\n")
    return cost


def _run_whole(way: str, setting: Setting, names: Sequence[str], tell: Teller) -> Cost:
    """Load the whole run where memory allows, else estimate what that would take."""
    name = _WAYS[way]
    needed = setting.whole_bytes[way] + _INTERPRETER_BYTES
    estimate = Cost(name, None, needed)
    command = whole_array_command(way, setting, names)
    left = available_memory()
    if needed > _SHARE * left:
        tell(
            f"{shown_text(command)}\n  left out: it needs about {format_bytes(needed)}, and "
            f"{format_bytes(left)} are available\n"
        )
        return estimate
    try:
        return _run(name, command, setting, tell)
    except CommandFailedError as error:
        tell(f"  {error}\n")
        return estimate


def _table(costs: Sequence[Cost], n_masks: int, n_parcels: int) -> str:
    """Return the costs of each method, as text."""
    details = {
        "lazyvox mean": "lazyvox mean",
        "lazyvox extract": f"lazyvox extract ({n_masks} masks, {n_parcels} regions, one pass)",
        "np.asarray": f"whole array, as stored (np.asarray, {n_masks} means)",
        "get_fdata": f"whole array, in float64 (get_fdata, {n_masks} means)",
    }
    width = max(len(text) for text in details.values())
    lines = [f"{'':{width}}  {'wall time':>9}  {'peak memory':>11}"]
    for cost in costs:
        clock = "not run" if cost.seconds is None else f"{cost.seconds:.1f} s"
        about = "~" if cost.seconds is None else ""
        memory = f"{about}{format_bytes(cost.peak_bytes)}"
        lines.append(f"{details[cost.name]:{width}}  {clock:>9}  {memory:>11}")
    return "\n".join(lines) + "\n"


def _agreement(setting: Setting, series: FloatArray) -> str:
    """Return how far the means of lazyvox are from those of whole arrays."""
    paths = [path for way in _WAYS if (path := setting.folder / f"{way}.npy").exists()]
    if not paths:
        return "Nothing to compare the means with: the whole array was not loaded.\n"
    apart = 0.0
    for path in paths:
        other = np.load(path)
        both = np.isfinite(series) & np.isfinite(other)
        scale = float(np.abs(other[both]).max(initial=0.0)) or 1.0
        apart = max(apart, float(np.abs(series[both] - other[both]).max(initial=0.0)) / scale)
    if apart == 0:
        return "All ways give the same means, to the last bit.\n"
    return f"All ways give the same means: the largest relative difference is {apart:.0e}.\n"


def _titles(
    setting: Setting, costs: Sequence[Cost], n_masks: int, n_parcels: int
) -> tuple[str, str]:
    grid, ours, whole = setting.grid, costs[1], costs[-1]
    stored = format_bytes(setting.stored_bytes)
    title = (
        f"{n_masks} regions and {n_parcels} parcels from a run of {stored}, in one pass: "
        f"{ours.seconds:.1f} s and {format_bytes(ours.peak_bytes)}"
    )
    shape = " x ".join(str(length) for length in (*grid.shape, grid.n_volumes))
    clock = "" if whole.seconds is None else f"{whole.seconds:.1f} s and "
    about = "about " if whole.seconds is None else ""
    subtitle = (
        f"{setting.run.name}, {shape}.  get_fdata of the whole array: {clock}{about}"
        f"{format_bytes(whole.peak_bytes)}.  lazyvox {__version__}."
    )
    return title, subtitle


def _short(path: Path) -> str:
    """Return a path as one types it here."""
    return shlex.quote(short_path(path, Path.cwd()))


def _ending(setting: Setting) -> str:
    folder, run = _short(setting.folder), _short(setting.run)
    found = shutil.which("lazyvox")
    beside = Path(sys.executable).with_name("lazyvox")
    command = "lazyvox" if found else _short(beside)
    if not found and not beside.exists():
        command = f"{shlex.quote(sys.executable)} -m lazyvox"
    return (
        f"Figure:   {_short(setting.folder / 'demo.png')}\n"
        f"Results:  {folder}/: mean.nii.gz, series.npz, atlas.nii.gz, atlas.tsv, region masks\n"
        f"Run:      {run}\n\n"
        f"Next:     {command} info {run}\n"
        f"          {command} demo --file YOUR_RUN.nii.gz"
    )
