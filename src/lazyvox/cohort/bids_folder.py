"""The runs in a BIDS folder: preprocessed volumes, and the mask and confounds beside each."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lazyvox._typing import PathLike
from lazyvox.bids.names import BidsName, parse_name
from lazyvox.cohort.events import EventTables, event_roots
from lazyvox.cohort.runs import RunFiles, RunFilter
from lazyvox.confounds.beside import table_among
from lazyvox.errors import ImageNotFoundError, LazyvoxWarning, ParameterError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.urls import is_url

__all__ = ["find_runs"]

_IMAGES = (".nii.gz", ".nii")
#: Preprocessed volumes: of fMRIPrep, and of XCP-D, whose smoothed copies are left aside.
_STEMS = ("_desc-preproc_bold", "_desc-denoised_bold")
_RUN_ENDINGS = tuple(f"{stem}{ending}" for stem in _STEMS for ending in _IMAGES)
_MASK_ENDINGS = tuple(f"desc-brain_mask{ending}" for ending in _IMAGES)
#: Series of surfaces and voxels: fMRIPrep's have no desc.
_CIFTI = "_bold.dtseries.nii"
_SMOOTHED = "Smoothed"
#: Entities of which surfaces have other values than volumes.
_OF_IMAGES = frozenset({"space", "res", "den", "desc", "extension"})


@dataclass(slots=True)
class _Found:
    """Runs of a dataset, and files that are none although they have the data of one."""

    runs: list[RunFiles] = field(default_factory=list)
    cifti: list[BidsName] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)


def find_runs(
    bids_dir: PathLike,
    wanted: RunFilter,
    *,
    has_events: bool = False,
    events_dir: PathLike | None = None,
) -> list[RunFiles]:
    """Return the preprocessed runs in a BIDS folder; reads names only.

    Parameters
    ----------
    bids_dir : path-like
        Folder of derivatives of fMRIPrep or XCP-D, or a raw dataset with such a folder in
        ``derivatives``.
    wanted : RunFilter
        Labels.
    has_events : bool, default=False
        Whether tables of events are looked for.
    events_dir : path-like, optional
        Dataset to look in for them; by default in the derivatives, the raw dataset around them,
        and in ``sourcedata``.

    Returns
    -------
    list of RunFiles
        Sorted by name: volumes that are called ``desc-preproc_bold`` or ``desc-denoised_bold``.

    Raises
    ------
    ParameterError
        If there is no such run, if two folders have them, or a label is not there.
    ImageNotFoundError
        If there is no such folder.

    Warns
    -----
    LazyvoxWarning
        If runs are there as CIFTI only, which is not supported, or their names are none of BIDS.
    """
    root = absolute_path(bids_dir)
    folder, found = _derivatives(root, wanted.sub)
    # Before what is not there is refused: it may be there in another form.
    _warn(folder, found, wanted)
    runs = wanted.take(found.runs, printable(folder))
    if not has_events:
        return runs
    tables = EventTables(event_roots(folder, _existing(events_dir)))
    return [replace(one, events=tables.find(one.name)) for one in runs]


def _derivatives(root: str, subjects: Sequence[str]) -> tuple[str, _Found]:
    """Return the folder that has runs, the one given or one in its derivatives, and the runs."""
    shown = printable(root)
    if not Path(root).is_dir():
        msg = f"{shown}: there must be a folder with BIDS derivatives. There is none."
        hint = "Copy it here, or name the URLs of runs in a table." if is_url(root) else ""
        raise ImageNotFoundError(msg, hint=hint)
    found = {root: _look_in(root, subjects)}
    if not found[root].runs:
        inside = sorted(Path(root).glob("derivatives/*/"))
        found |= {str(one): _look_in(str(one), subjects) for one in inside}
    having = [folder for folder, one in found.items() if one.runs]
    if len(having) > 1:
        names = ", ".join(printable(Path(one).name) for one in having)
        msg = f"{shown}: one folder of derivatives must be chosen. Got {names}. Pass its path."
        raise ParameterError(msg)
    if not having:
        whose = f" of {', '.join(f'sub-{label}' for label in subjects)}" if subjects else ""
        n_cifti = sum(len(one.cifti) for one in found.values())
        instead = f"There is none, but {n_cifti} of CIFTI (.dtseries.nii), which is not supported"
        msg = (
            f"{shown}: there must be preprocessed runs{whose}, such as sub-01/func/"
            f"sub-01_task-rest_desc-preproc_bold.nii.gz, in it or in a folder of its derivatives/. "
            f"{instead if n_cifti else 'There is none'}."
        )
        raise ParameterError(msg)
    return having[0], found[having[0]]


def _warn(folder: str, found: _Found, wanted: RunFilter) -> None:
    """Say which runs are left out although they are there."""
    # Surfaces have spaces of their own.
    wanted = replace(
        wanted, space=(), tests=tuple(t for t in wanted.tests if t.entity not in _OF_IMAGES)
    )
    having = {_kept(one.name, "sub", "ses", "task", "run") for one in found.runs}
    lone = [
        one
        for one in wanted.passing(found.cifti)
        if _kept(one, "sub", "ses", "task", "run") not in having
    ]
    if lone:
        msg = (
            f"{printable(folder)}: runs should be images of voxels. CIFTI is not supported; runs that are "
            f"there as .dtseries.nii only are left out: {len(lone)}, the first {lone[0]}."
        )
        warnings.warn(LazyvoxWarning(msg), stacklevel=4)
    if found.misnamed:
        msg = (
            f"{printable(folder)}: runs should have names of BIDS. Those without are "
            f"left out: {len(found.misnamed)}, the first {printable(found.misnamed[0])}."
        )
        warnings.warn(LazyvoxWarning(msg), stacklevel=4)


def _kept(name: BidsName, *keys: str) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in name.entities if one[0] in keys)


def _existing(events_dir: PathLike | None) -> str | None:
    if events_dir is None:
        return None
    path = absolute_path(events_dir)
    if not Path(path).is_dir():
        msg = f"`events_dir` must be a folder. There is none at {printable(path)}."
        raise ParameterError(msg)
    return path


def _look_in(root: str, subjects: Sequence[str]) -> _Found:
    """Return the preprocessed runs of a dataset, those of given subjects where there are any."""
    folders = _folders(root, "sub-")
    if subjects:
        # Other subjects' folders are not opened: there may be 50,000 of them.
        folders = [one for one in folders if Path(one).name.removeprefix("sub-") in subjects]
    found = _Found()
    for subject in folders:
        for parent in (subject, *_folders(subject, "ses-")):
            _take_folder(f"{parent}/func", found)
    return found


def _folders(parent: str, prefix: str) -> list[str]:
    with os.scandir(parent) as entries:
        return sorted(one.path for one in entries if one.name.startswith(prefix) and one.is_dir())


def _take_folder(folder: str, found: _Found) -> None:
    """Add the runs of a folder, each with what lies beside it."""
    try:
        files = sorted(os.listdir(folder))  # noqa: PTH208 - a Path for each file takes most of the time
    except (FileNotFoundError, NotADirectoryError):
        return
    masks = dict(_masks(folder, files))
    for file in files:
        is_cifti = file.endswith(_CIFTI) and _SMOOTHED not in file
        if not is_cifti and not file.endswith(_RUN_ENDINGS):
            continue
        try:
            name = parse_name(file)
        except ParameterError:
            found.misnamed.append(file)
            continue
        if is_cifti:
            found.cifti.append(name)
        else:
            tables = table_among(file, files)
            # Two are an error where confounds are asked for, and of that run only.
            table = f"{folder}/{tables[0]}" if len(tables) == 1 else None
            mask = masks.get(_without_description(name))
            found.runs.append(RunFiles(name, f"{folder}/{file}", mask, table))


def _masks(folder: str, files: Iterable[str]) -> Iterator[tuple[tuple[tuple[str, str], ...], str]]:
    for file in files:
        if file.endswith(_MASK_ENDINGS) and file.startswith("sub-"):
            try:
                yield _without_description(parse_name(file)), f"{folder}/{file}"
            except ParameterError:
                continue


def _without_description(name: BidsName) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in name.entities if one[0] != "desc")
