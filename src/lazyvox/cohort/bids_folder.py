"""The runs in a BIDS folder: preprocessed volumes, and the mask and confounds beside each."""

import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lazyvox._typing import PathLike
from lazyvox.bids.names import BidsName, parse_name
from lazyvox.cohort.events import EventTables, event_roots
from lazyvox.cohort.runs import RunFiles, RunFilter
from lazyvox.confounds.beside import table_among
from lazyvox.errors import ImageNotFoundError, LazyvoxWarning, ParameterError, ReadError
from lazyvox.store.files.identity import advice_on_missing
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
#: Folder of a participant or session: reports beside it have endings.
_FOLDER = re.compile(r"(sub|ses)-([^.]+)")
#: Entities of which surfaces have other values than volumes.
_OF_IMAGES = frozenset({"space", "res", "den", "desc", "extension"})


@dataclass(slots=True)
class _Found:
    """Runs of a dataset, folders that cannot be read, and files that are none of a run by name."""

    runs: list[RunFiles] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    unread: list[RunFiles] = field(default_factory=list)
    cifti: list[BidsName] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)

    def refuse(self, folder: str, error: OSError) -> None:
        """List a folder of a participant or session that cannot be read."""
        pairs = (part.partition("-") for part in Path(folder).parts[-3:])
        entities = tuple((key, label) for key, _, label in pairs if key in {"sub", "ses"})
        problem = ReadError(
            f"{printable(folder)}: a folder of runs must be one that can be read. Got: {error.strerror}."
        )
        self.unread.append(RunFiles(BidsName(entities, "bold", ""), folder, problem=problem))


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
        Then the folders of participants and sessions that cannot be read, with their problem.

    Raises
    ------
    ParameterError
        If there is no such run, if two folders have them, or a label is not there.
    ImageNotFoundError
        If there is no such folder.
    ReadError
        If it cannot be read, or none of its participants.

    Warns
    -----
    LazyvoxWarning
        If runs are there as CIFTI only, which is not supported, or their names are none of BIDS; if a
        folder in the derivatives cannot be read.
    """
    root = absolute_path(bids_dir)
    folder, found = _derivatives(root, wanted.sub)
    # Before what is not there is refused: it may be there in another form.
    _warn(folder, found, wanted)
    unread = [
        one for one in found.unread if not wanted.ses or one.name.get("ses") in {None, *wanted.ses}
    ]
    there = {one.name.get("sub") for one in unread}
    wanted = replace(wanted, sub=tuple(label for label in wanted.sub if label not in there))
    runs = wanted.take(found.runs, printable(folder), found.subjects)
    if has_events:
        tables = EventTables(event_roots(folder, _existing(events_dir)))
        runs = [_with_events(one, tables) for one in runs]
    return [*runs, *sorted(unread, key=lambda one: one.bold)]


def _with_events(run: RunFiles, tables: EventTables) -> RunFiles:
    """Return a run with its table of events, or with the problem of finding it."""
    try:
        return replace(run, events=tables.find(run.name))
    except ReadError as error:
        return replace(run, problem=error)


def _derivatives(root: str, subjects: Sequence[str]) -> tuple[str, _Found]:
    """Return the folder that has runs, the one given or one in its derivatives, and the runs."""
    shown = printable(root)
    if not Path(root).is_dir():
        msg = f"{shown}: there must be a folder with BIDS derivatives. There is none."
        copied = "Copy it here, or name the URLs of runs in a table."
        hint = copied if is_url(root) else advice_on_missing(root).strip()
        raise ImageNotFoundError(msg, hint=hint)
    found = {root: _look_in(root, subjects)}
    if not found[root].runs:
        for inside in sorted(Path(root).glob("derivatives/*/")):
            try:
                found[str(inside)] = _look_in(str(inside), subjects)
            except ReadError as error:
                warnings.warn(LazyvoxWarning(f"{error} It is left out."), stacklevel=4)
    having = [folder for folder, one in found.items() if one.runs]
    if len(having) > 1:
        names = ", ".join(printable(Path(one).name) for one in having)
        msg = f"{shown}: one folder of derivatives must be chosen. Got {names}. Pass its path."
        raise ParameterError(msg)
    unread = [problem for one in found.values() for problem in one.unread]
    if not having and unread:
        assert unread[0].problem is not None, "bug in lazyvox: a folder without its problem"
        raise unread[0].problem
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
    found = _Found()
    try:
        folders = _folders(root, "sub", subjects, found)
    except OSError as error:
        msg = f"{printable(root)}: a dataset must be a folder that can be read. Got: {error.strerror}."
        raise ReadError(msg) from error
    for subject in folders:
        try:
            sessions = _folders(subject, "ses", (), found)
        except OSError as error:
            found.refuse(subject, error)
            continue
        for parent in (subject, *sessions):
            _take_folder(parent, found)
    return found


def _folders(parent: str, key: str, labels: Sequence[str], found: _Found) -> list[str]:
    """Return the folders of an entity, those of given labels where there are any."""
    folders = []
    with os.scandir(parent) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            named = _FOLDER.fullmatch(entry.name)
            if named is None or named[1] != key:
                continue
            if key == "sub":
                found.subjects.append(named[2])
            # Others are not opened: there may be 50,000 of them.
            if labels and named[2] not in labels:
                continue
            try:
                # Of a link that leads nowhere, this says why.
                if entry.is_dir() or (entry.is_symlink() and stat.S_ISDIR(entry.stat().st_mode)):
                    folders.append(entry.path)
            except OSError as error:
                found.refuse(entry.path, error)
    return folders


def _take_folder(parent: str, found: _Found) -> None:
    """Add the runs of a participant or session, each with what lies beside it."""
    folder = f"{parent}/func"
    try:
        files = sorted(os.listdir(folder))  # noqa: PTH208 - a Path for each file takes most of the time
    except NotADirectoryError:
        return
    except OSError as error:
        # A link that leads nowhere is there.
        if not isinstance(error, FileNotFoundError) or Path(folder).is_symlink():
            found.refuse(parent, error)
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
