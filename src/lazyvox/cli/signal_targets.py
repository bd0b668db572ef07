"""Outputs of `lazyvox extract`: one file, one for each region set, or names of BIDS."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from lazyvox.bids.names import common_name, parse_name, sidecar_path, timeseries_name
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import (
    IMAGE_ENDINGS,
    check_distinct,
    check_files,
    check_output,
    files_in_folder,
    split_image_target,
)
from lazyvox.cli.region_options import Regions
from lazyvox.cli.settings import PATH, Settings, keep
from lazyvox.errors import ParameterError
from lazyvox.extraction.tables import is_gathered
from lazyvox.store.files.paths import printable, split_target

__all__ = [
    "TABLE_ENDINGS",
    "OutputChoice",
    "Targets",
    "choose_targets",
    "common_bids_name",
    "output_form_options",
]

TABLE_ENDINGS = (".tsv", ".csv", ".npy", ".npz", ".parquet", ".txt", ".1D")
_COVERAGE_ENDINGS = (".tsv", ".csv")
_BIDS_ENDING = "_timeseries.tsv"
_STDOUT = "-"

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """Values of the options about what is written besides -o and --inverse, and in which form.

    Attributes
    ----------
    coverage : str or None
        Table of the coverage of regions.
    coordinates : bool
        Whether the voxels of masks are listed.
    transpose : bool
        Whether each column becomes a line of numbers.
    header : bool
        Whether numbers have names before them.
    """

    coverage: str | None
    coordinates: bool
    transpose: bool
    header: bool


@dataclass(frozen=True, slots=True)
class Targets:
    """The files that are written.

    Attributes
    ----------
    tables : tuple of str
        The table of each region set; empty where none is asked for.
    images : tuple of str
        The image of each region set; likewise.
    gathered : str
        One file for all tables instead, or "-" for standard output; empty where there is none.
    has_sidecars : bool
        Whether a JSON file is written beside each table.
    coverage : tuple of str
        The table of the coverage of each region set, empty for one that has none; no item where
        none is asked for.
    coordinates : tuple of str
        The list of the voxels of each region set; likewise.
    is_transposed, has_header : bool
        Form of numbers.
    """

    tables: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    gathered: str = ""
    has_sidecars: bool = False
    coverage: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    is_transposed: bool = False
    has_header: bool = False

    @property
    def is_stdout(self) -> bool:
        """True if numbers go to standard output, and so nothing else may."""
        return self.gathered == _STDOUT

    @property
    def are_numbers(self) -> bool:
        """True if all tables stand side by side, as numbers."""
        return self.is_stdout or (
            bool(self.gathered) and not self.gathered.lower().endswith(".npz")
        )


def choose_targets(
    output: str | None,
    inverse: str | None,
    choice: OutputChoice,
    runs: Sequence[str],
    regions: Regions,
    inputs: Sequence[str],
    settings: Settings,
) -> Targets:
    """Return the files that will be written, or raise the usage error that they would be.

    Parameters
    ----------
    output, inverse : str or None
        Values of -o and --inverse.
    choice : OutputChoice
        What else is written.
    runs : sequence of str
        The runs.
    regions : Regions
        The region sets.
    inputs : sequence of str
        All files that are read.
    settings : Settings
        Whether files may exist, and whether any are needed.

    Returns
    -------
    Targets
        The files.

    Raises
    ------
    WrongUsageError
        If a file cannot be written, or must not be.
    """
    images = _images(inverse, regions, inputs, settings)
    if output is None:
        if inverse is None:
            check_output(output, TABLE_ENDINGS, inputs, settings)
        found = Targets(images=images)
    else:
        found = replace(_tables(output, runs, regions, inputs, settings), images=images)
    for option, is_given in (("transpose", choice.transpose), ("header", choice.header)):
        if is_given and not found.are_numbers and output is not None:
            msg = f"--{option} concerns numbers: -o -, or a file that ends in .txt or .1D"
            raise WrongUsageError(msg)
    targets = replace(
        found,
        is_transposed=choice.transpose,
        has_header=choice.header,
        coverage=_coverage(choice.coverage, runs, regions, inputs, settings),
        coordinates=_coordinates(found, regions, inputs, settings) if choice.coordinates else (),
    )
    kinds = {
        "--output": (targets.gathered, *targets.tables),
        "--coordinates": targets.coordinates,
        "--coverage": targets.coverage,
    }
    check_distinct((option, path) for option, paths in kinds.items() for path in paths)
    return targets


def _images(
    inverse: str | None, regions: Regions, inputs: Sequence[str], settings: Settings
) -> tuple[str, ...]:
    if inverse is None:
        return ()
    if regions.strategy is not None and len(regions.strategy) > 1:
        msg = (
            f"--inverse gives each voxel one value, and --strategy {','.join(regions.strategy.given)} "
            f"has {len(regions.strategy)}. Pass one of them"
        )
        raise WrongUsageError(msg)
    names = regions.names()
    images = [inverse] if len(names) == 1 else split_image_target(inverse, names)
    check_output(inverse, IMAGE_ENDINGS, inputs, settings, files=images, option="--inverse")
    return tuple(images)


def _tables(
    output: str, runs: Sequence[str], regions: Regions, inputs: Sequence[str], settings: Settings
) -> Targets:
    names = regions.names()
    if output == _STDOUT:
        if settings.as_json:
            msg = "-o - prints the signals, and --json a report, and there is one standard output. Write the signals to a file, or leave out --json"
            raise WrongUsageError(msg)
        return Targets(gathered=output)
    if Path(output).is_dir() or output.endswith(os.sep):
        tables = _in_folder(output, runs, regions)
        _check_with_sidecars(tables, inputs, settings)
        return Targets(tables, has_sidecars=True)
    if is_gathered(output):
        check_output(output, TABLE_ENDINGS, inputs, settings)
        return Targets(gathered=output)
    is_bids = _is_bids(output)
    files = (output,) if len(names) == 1 else _split(output, names, is_bids=is_bids)
    check_output(output, TABLE_ENDINGS, inputs, settings, files=files)
    if is_bids:
        _check_with_sidecars(files, inputs, settings)
    return Targets(files, has_sidecars=is_bids)


def _coverage(
    path: str | None,
    runs: Sequence[str],
    regions: Regions,
    inputs: Sequence[str],
    settings: Settings,
) -> tuple[str, ...]:
    """Return the table of the coverage of each region set that has one."""
    if path is None:
        return ()
    have = [regions.is_reduced(one) for one in regions.sets]
    names = [name for name, has in zip(regions.names(), have, strict=True) if has]
    if not names:
        msg = (
            "--coverage concerns --labels, --seeds, --seed, and --mask with --strategy, which are "
            "missing"
        )
        raise WrongUsageError(msg)
    if Path(path).is_dir() or path.endswith(os.sep):
        all_files = _in_folder(path, runs, regions, option="--coverage", stat="coverage")
        files = [one for one, has in zip(all_files, have, strict=True) if has]
        if not settings.explain:
            check_files(files, inputs, settings, option="--coverage")
    else:
        files = [path] if len(names) == 1 else list(_split(path, names, is_bids=False))
        check_output(path, _COVERAGE_ENDINGS, inputs, settings, files=files, option="--coverage")
    left = iter(files)
    return tuple(next(left) if has else "" for has in have)


def _coordinates(
    found: Targets, regions: Regions, inputs: Sequence[str], settings: Settings
) -> tuple[str, ...]:
    """Return the list of the voxels of each mask, beside its table."""
    have = [one.kind == "mask" and not regions.is_reduced(one) for one in regions.sets]
    if not any(have):
        msg = "--coordinates lists the voxels of --mask, without --strategy, which is missing"
        raise WrongUsageError(msg)
    if not found.tables and (found.is_stdout or not found.gathered):
        msg = "--coordinates writes a table beside that of the signals. Pass -o FILE"
        raise WrongUsageError(msg)
    tables = found.tables or (found.gathered,)
    if not found.tables and len(have) > 1:
        tables = _split(found.gathered, regions.names(), is_bids=False)
    files = tuple(_beside(table) if has else "" for table, has in zip(tables, have, strict=True))
    if not settings.explain:
        check_files([one for one in files if one], inputs, settings)
    return files


def _beside(table: str) -> str:
    """Return the list of voxels that belongs to a table.

    Examples
    --------
    >>> _beside("out/left.npy"), _beside("sub-1_label-left_timeseries.tsv")
    ('out/left_coordinates.tsv', 'sub-1_label-left_coordinates.tsv')
    """
    stem = Path(table).stem.removesuffix("_timeseries")
    return str(Path(table).with_name(f"{stem}_coordinates.tsv"))


def _split(output: str, names: Sequence[str], *, is_bids: bool) -> tuple[str, ...]:
    """Return one table for each region set, in the folder as it was given."""
    if is_bids:
        msg = (
            f"--output {printable(output)}: a BIDS name is that of one table, and there are "
            f"{len(names)} region sets. Pass a folder, in which each gets its name"
        )
        raise WrongUsageError(msg)
    # Relative paths are easier to read.
    return tuple(
        str(Path(output).with_name(Path(path).name)) for path in split_target(output, names)
    )


def _is_bids(output: str) -> bool:
    try:
        return output.endswith(_BIDS_ENDING) and parse_name(output).suffix == "timeseries"
    except ParameterError:
        return False


def _in_folder(
    folder: str,
    runs: Sequence[str],
    regions: Regions,
    *,
    option: str = "--output",
    stat: str | None = None,
) -> tuple[str, ...]:
    """Return the tables in a folder, named after the runs and the region sets.

    A table of another statistic than the strategy's, `stat`, has the suffix of the run.
    """
    run = common_bids_name(folder, runs, option)
    suffix = "timeseries" if stat is None else parse_name(run).suffix
    try:
        names = [
            timeseries_name(run, label, key=key, stat=stat or own, suffix=suffix)
            for key, label, own in regions.bids_labels()
        ]
    except ParameterError as error:
        raise WrongUsageError(str(error).rstrip(".")) from error
    way_out = "Rename a file, or extract them one by one"
    return files_in_folder(folder, names, each="region set", way_out=way_out, option=option)


def common_bids_name(folder: str, runs: Sequence[str], option: str) -> str:
    """Return the BIDS name that runs have in common: what differs between them is left out."""
    try:
        parsed = [parse_name(run) for run in runs]
    except ParameterError as error:
        msg = f"{option} {printable(folder)} is a folder, where files get BIDS names. {error}"
        raise WrongUsageError(msg.rstrip(".")) from error
    shared = common_name(parsed)
    if shared.entities[:1] != parsed[0].entities[:1]:
        msg = (
            f"{option} {printable(folder)}: runs that are joined must be of one subject. Got "
            f"{', '.join(dict.fromkeys('-'.join(one.entities[0]) for one in parsed))}. Extract "
            f"them one by one, or name the file yourself"
        )
        raise WrongUsageError(msg)
    return str(shared)


def _check_with_sidecars(tables: Sequence[str], inputs: Sequence[str], settings: Settings) -> None:
    if not settings.explain:
        check_files([*tables, *map(sidecar_path, tables)], inputs, settings)


def _flag(option: str, text: str) -> Any:
    return click.option(option, is_flag=True, expose_value=False, callback=keep, help=text)


_OPTIONS = (
    click.option(
        "--coverage",
        metavar="TABLE",
        type=PATH,
        expose_value=False,
        callback=keep,
        help="Table to write too: the voxels of each region, and the part of them that is finite "
        "in all volumes and not zero in all of them. Ends in .tsv or .csv, or is a folder.",
    ),
    _flag(
        "--coordinates",
        "Write a table beside that of the voxels of a mask: a row of i, j, k, x, y and z for each "
        "column (fslmeants --showall, 3dmaskdump).",
    ),
    _flag("--transpose", "Print a line for each column, not for each volume (-o -, .txt, .1D)."),
    _flag(
        "--header",
        "Print the names of the columns first, after #; with --transpose each before its line.",
    ),
)


def output_form_options(command: _Decorated) -> _Decorated:
    """Add the options of `OutputChoice`; their values are in the object of the context."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
