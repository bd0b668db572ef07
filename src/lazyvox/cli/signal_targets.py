"""Outputs of `lazyvox extract`: one file, one for each region set, or names of BIDS."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyvox.cli.bids import parse_name, sidecar_path, timeseries_name
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import (
    IMAGE_ENDINGS,
    check_files,
    check_output,
    split_image_target,
)
from lazyvox.cli.region_options import Regions
from lazyvox.cli.settings import Settings
from lazyvox.errors import ParameterError
from lazyvox.store.files.paths import printable, split_target

__all__ = ["TABLE_ENDINGS", "Targets", "choose_targets"]

TABLE_ENDINGS = (".tsv", ".csv", ".npy", ".npz", ".parquet")
_BIDS_ENDING = "_timeseries.tsv"


@dataclass(frozen=True, slots=True)
class Targets:
    """The files that are written.

    Attributes
    ----------
    tables : tuple of str
        The table of each region set; empty where none is asked for.
    images : tuple of str
        The image of each region set; likewise.
    archive : str
        One file for all tables instead; empty where there is none.
    has_sidecars : bool
        Whether a JSON file is written beside each table.
    """

    tables: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    archive: str = ""
    has_sidecars: bool = False


def choose_targets(
    output: str | None,
    inverse: str | None,
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
    names = regions.names()
    images: list[str] = []
    if inverse is not None:
        images = [inverse] if len(names) == 1 else split_image_target(inverse, names)
        check_output(inverse, IMAGE_ENDINGS, inputs, settings, files=images, option="--inverse")
    if output is None:
        if inverse is None:
            check_output(output, TABLE_ENDINGS, inputs, settings)
        return Targets(images=tuple(images))
    if Path(output).is_dir() or output.endswith(os.sep):
        tables = _in_folder(output, runs, regions)
        _check_with_sidecars(tables, inputs, settings)
        return Targets(tables, tuple(images), has_sidecars=True)
    if output.lower().endswith(".npz"):
        check_output(output, TABLE_ENDINGS, inputs, settings)
        return Targets(images=tuple(images), archive=output)
    is_bids = _is_bids(output)
    files = (output,) if len(names) == 1 else _split(output, names, is_bids=is_bids)
    check_output(output, TABLE_ENDINGS, inputs, settings, files=files)
    if is_bids:
        _check_with_sidecars(files, inputs, settings)
    return Targets(files, tuple(images), has_sidecars=is_bids)


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


def _in_folder(folder: str, runs: Sequence[str], regions: Regions) -> tuple[str, ...]:
    """Return the tables in a folder, named after the runs and the region sets."""
    run = _common_name(folder, runs)
    try:
        names = [
            timeseries_name(run, label, key=key, stat=stat)
            for key, label, stat in regions.bids_labels()
        ]
    except ParameterError as error:
        raise WrongUsageError(str(error).rstrip(".")) from error
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = (
            f"--output {printable(folder)}: each region set must have a name of its own. Got "
            f"{twice[0]} twice. Rename a file, or extract them one by one"
        )
        raise WrongUsageError(msg)
    return tuple(str(Path(folder) / name) for name in names)


def _common_name(folder: str, runs: Sequence[str]) -> str:
    """Return the BIDS name that runs have in common: what differs between them is left out."""
    try:
        parsed = [parse_name(run) for run in runs]
    except ParameterError as error:
        msg = f"--output {printable(folder)} is a folder, where files get BIDS names. {error}"
        raise WrongUsageError(msg.rstrip(".")) from error
    first = parsed[0]
    differing = {
        key: None
        for key, label in first.entities
        if any(other.get(key) != label for other in parsed[1:])
    }
    if first.entities[0][0] in differing:
        msg = (
            f"--output {printable(folder)}: runs that are joined must be of one subject. Got "
            f"{', '.join(dict.fromkeys('-'.join(one.entities[0]) for one in parsed))}. Extract "
            f"them one by one, or name the file yourself"
        )
        raise WrongUsageError(msg)
    return str(first.with_entities(**differing))


def _check_with_sidecars(tables: Sequence[str], inputs: Sequence[str], settings: Settings) -> None:
    if not settings.explain:
        check_files([*tables, *map(sidecar_path, tables)], inputs, settings)
