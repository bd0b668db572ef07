"""Measure ways, show the table, and write the files of a comparison."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from nibabel.spatialimages import SpatialImage

from lazyvox.cli.job import print_json
from lazyvox.cli.outcome import SomeFailedError, WrongUsageError, print_error
from lazyvox.cli.outputs import check_files
from lazyvox.cli.settings import Settings
from lazyvox.compare.files import file_names, write_files
from lazyvox.compare.machine import describe_machine
from lazyvox.compare.measuring import Job, measure_ways, warm
from lazyvox.compare.outcome import Comparison, Source, table_text
from lazyvox.compare.picture import require_matplotlib
from lazyvox.compare.ways import Way, missing_packages
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.budget import resolve_budget
from lazyvox.store.files.paths import absolute_path, printable

__all__ = [
    "Task",
    "absolute",
    "check_folder",
    "compare_and_report",
    "memory_of",
    "opened",
    "source_of",
]


@dataclass(frozen=True, slots=True)
class Task:
    """Task of a comparison.

    Attributes
    ----------
    command : str
        Name of the command.
    title : str
        What every way does.
    sources : tuple of Source
        The image or images.
    masks : tuple of str
        Names of the masks.
    job : Job
        The work.
    """

    command: str
    title: str
    sources: tuple[Source, ...]
    masks: tuple[str, ...]
    job: Job


def absolute(path: str) -> str:
    """Return a path as the programs need it, which run in other folders."""
    return absolute_path(path)


def opened(path: str) -> SpatialImage:
    """Return an image of which only the header has been read."""
    return as_image(path)


def source_of(path: str) -> tuple[Source, int]:
    """Return what there is to say of an image, and the size of its scaled values."""
    array = lazy_dataobj(as_image(path))
    dtype = array.ondisk_dtype
    stored = Path(absolute_path(path)).stat().st_size
    name = printable(Path(path).name)
    source = Source(name, array.shape, str(dtype), stored, array.size * dtype.itemsize)
    return source, array.size * array.dtype.itemsize


def memory_of(settings: Settings) -> int | None:
    """Return the budget that was asked for, in bytes."""
    if settings.memory is None:
        return None
    with settings.budget():
        return resolve_budget(None)


def check_folder(
    output: str | None, inputs: Sequence[str], settings: Settings, *, option: str = "--output"
) -> Path | None:
    """Return the folder for the files, or raise the usage error that writing there would be."""
    if output is None or settings.explain:
        return None
    require_matplotlib()
    # As it was given: messages and the list of what was written show it so.
    folder = Path(output)
    if folder.is_dir():
        check_files(file_names(folder), inputs, settings, option=option)
    elif folder.exists() or folder.is_symlink():
        msg = f"{option} {printable(output)}: this is a file. Name a folder"
        raise WrongUsageError(msg)
    else:
        check_files([str(folder)], inputs, settings, option=option)
    return folder


def compare_and_report(
    ctx: click.Context, task: Task, ways: Sequence[Way], folder: Path | None
) -> None:
    """Measure, print, write; or print the plan of the measurement.

    Parameters
    ----------
    ctx : click.Context
        The command that runs.
    task : Task
        Task of a comparison.
    ways : sequence of Way
        The methods.
    folder : Path or None
        Where the files go; None for none.
    """
    settings = Settings.of(ctx)
    if settings.explain:
        _explain(task, ways, settings)
        return

    def tell(number: int, way: Way) -> None:
        if settings.progress:
            click.echo(f"{number + 1}/{len(ways)}  {way.method}, {way.input}", err=True)

    facts = task.job.facts
    paths = [facts["run"], *facts.get("masks", ())] if "run" in facts else facts["images"]
    warm(paths)
    with tempfile.TemporaryDirectory(prefix="lazyvox-compare-") as scratch:
        measured = measure_ways(ways, task.job, Path(scratch), tell=tell)
    comparison = Comparison(
        task.title,
        task.command,
        task.sources,
        task.masks,
        task.job.n_workers,
        facts["memory"],
        measured,
        describe_machine(),
    )
    written = []
    if folder is not None:
        written = write_files(folder, comparison, overwrite=settings.overwrite)
    if settings.as_json:
        print_json({**comparison.to_dict(), "outputs": written})
    elif not settings.quiet:
        click.echo("\n".join([table_text(comparison), *map(printable, written)]))
    _end(ctx, comparison)


def _explain(task: Task, ways: Sequence[Way], settings: Settings) -> None:
    """Print the plan of the measurement."""
    job = task.job
    rows = [
        {
            "name": way.name,
            "method": way.method,
            "input": way.input,
            "expected_bytes": way.estimate(job.decoded_bytes, job.n_workers),
            "missing": list(missing_packages(way)),
        }
        for way in ways
    ]
    if settings.as_json:
        print_json({"command": task.command, "n_jobs": job.n_workers, "methods": rows})
        return
    click.echo(f"{task.title}: {len(ways)} methods, one after the other")
    for way in ways:
        absent = missing_packages(way)
        expected = format_bytes(way.estimate(job.decoded_bytes, job.n_workers))
        note = f"missing: {', '.join(absent)}" if absent else f"about {expected}"
        click.echo(f"  {way.name:<18} {f'{way.method}, {way.input}':<44} {note}")


def _end(ctx: click.Context, comparison: Comparison) -> None:
    """Report failures, and end with their exit code."""
    records = comparison.records
    bad = [record.way.name for record in records if record.has_failed]
    n_good = sum(record.is_done and not record.has_failed for record in records)
    if bad:
        print_error(
            f"{len(bad)} of {len(records)} methods failed or gave other values: {', '.join(bad)}"
        )
    elif not n_good:
        print_error("no method could be tried: packages are missing, or memory")
    if bad or not n_good:
        ctx.exit(SomeFailedError.exit_code if n_good else 1)
