"""The runs of a study, and the files that belong to each: from a BIDS folder or a table."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lazyvox._typing import PathLike
from lazyvox.bids.names import BidsName, bids_label, parse_name
from lazyvox.cohort.events import EventTables, event_roots
from lazyvox.confounds.beside import find_table
from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.tables.delimited import open_delimited

__all__ = ["RunFiles", "RunFilter", "find_runs", "read_runs"]

_IMAGES = (".nii.gz", ".nii")
#: Preprocessed volumes: of fMRIPrep, and of XCP-D, whose smoothed copies are left aside.
_RUN_ENDINGS = tuple(
    f"_desc-{label}_bold{ending}" for label in ("preproc", "denoised") for ending in _IMAGES
)
_FILES = ("bold", "mask", "confounds", "events")
#: Titles of columns for entities that tables of participants spell out.
_SPELLED = {"participant_id": "sub", "subject": "sub", "session": "ses"}
_MISSING = ("", "n/a")


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run, and what was found for it.

    Attributes
    ----------
    name : BidsName
        The name that outputs are derived from.
    bold : str
        The 4D image.
    mask : str or None
        The mask of the brain.
    confounds : str or None
        The table of confounds.
    events : str or None
        The table of events.
    """

    name: BidsName
    bold: str
    mask: str | None = None
    confounds: str | None = None
    events: str | None = None

    @property
    def label(self) -> str:
        """The entities that tell the run apart, as text."""
        return "_".join(f"{key}-{label}" for key, label in self.name.entities if key != "desc")

    @property
    def folder(self) -> str:
        """Folder of its outputs inside of the dataset."""
        session = self.name.get("ses")
        parts = [f"sub-{self.name.get('sub')}", *([f"ses-{session}"] if session else []), "func"]
        return "/".join(parts)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Labels of the runs that are wanted; an empty tuple takes all.

    Attributes
    ----------
    sub, ses, task, run, space : tuple of str
        Labels, with or without their key: ``"01"`` or ``"sub-01"``.
    """

    sub: tuple[str, ...] = ()
    ses: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    space: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take the keys off the labels."""
        for key, given in self._labels().items():
            bare = tuple(dict.fromkeys(one.removeprefix(f"{key}-") for one in given))
            object.__setattr__(self, key, bare)

    def take(self, runs: Iterable[RunFiles], place: str) -> list[RunFiles]:
        """Return the wanted runs.

        Parameters
        ----------
        runs : iterable of RunFiles
            Runs.
        place : str
            Where they were found, for messages.

        Returns
        -------
        list of RunFiles
            In the same order.

        Raises
        ------
        ParameterError
            If a label is that of no run, if no run is left, or if runs are in several spaces
            and none was chosen.
        """
        left = list(runs)
        for key, wanted in self._labels().items():
            if not wanted:
                continue
            there = {one.name.get(key) for one in left}
            absent = [label for label in wanted if label not in there]
            if absent:
                known = ", ".join(sorted(label for label in there if label)) or "none"
                msg = (
                    f"`{_PARAMETERS[key]}` must name what is there. Got {', '.join(absent)}; "
                    f"{place} has {known}."
                )
                raise ParameterError(msg, value=absent[0])
            left = [one for one in left if one.name.get(key) in wanted]
        spaces = sorted({one.name.get("space") or "none (the native one)" for one in left})
        if len(spaces) > 1 and not self.space:
            msg = (
                f"`space` must be chosen, as atlases are in one. Got runs in {', '.join(spaces)} "
                f"in {place}."
            )
            raise ParameterError(msg)
        return left

    def _labels(self) -> dict[str, tuple[str, ...]]:
        return {key: getattr(self, key) for key in _PARAMETERS}


_PARAMETERS = {
    "sub": "participant_label",
    "ses": "session_label",
    "task": "task",
    "run": "run",
    "space": "space",
}


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
    """
    root = absolute_path(bids_dir)
    shown = printable(root)
    if not Path(root).is_dir():
        msg = f"{shown}: there must be a folder with BIDS derivatives. There is none."
        raise ImageNotFoundError(msg)
    found = {root: list(_runs_in(root, wanted.sub))}
    if not found[root]:
        inside = sorted(Path(root).glob("derivatives/*/"))
        found = {str(one): list(_runs_in(str(one), wanted.sub)) for one in inside}
    having = [folder for folder, runs in found.items() if runs]
    if len(having) > 1:
        names = ", ".join(printable(Path(one).name) for one in having)
        msg = f"{shown}: one folder of derivatives must be chosen. Got {names}. Pass its path."
        raise ParameterError(msg)
    if not having:
        whose = f" of {', '.join(f'sub-{label}' for label in wanted.sub)}" if wanted.sub else ""
        msg = (
            f"{shown}: there must be preprocessed runs{whose}, such as sub-01/func/"
            f"sub-01_task-rest_desc-preproc_bold.nii.gz, in it or in a folder of its derivatives/. "
            f"There is none."
        )
        raise ParameterError(msg)
    runs = [_with_confounds(one) for one in wanted.take(found[having[0]], printable(having[0]))]
    if not has_events:
        return runs
    tables = EventTables(event_roots(having[0], _existing(events_dir)))
    return [replace(one, events=tables.find(one.name)) for one in runs]


def _existing(events_dir: PathLike | None) -> str | None:
    if events_dir is None:
        return None
    path = absolute_path(events_dir)
    if not Path(path).is_dir():
        msg = f"`events_dir` must be a folder. There is none at {printable(path)}."
        raise ParameterError(msg)
    return path


def read_runs(table: PathLike, wanted: RunFilter) -> list[RunFiles]:
    """Return the runs that a table lists.

    Parameters
    ----------
    table : path-like
        Text with a row for each run and the columns ``bold``, and, where there are any, ``mask``,
        ``confounds`` and ``events``: paths, relative to the folder of the table; ``n/a`` where
        there is none. All other columns are entities, such as ``sub``, ``ses`` and ``task``; they
        are added to those in the name of the image.
    wanted : RunFilter
        Labels.

    Returns
    -------
    list of RunFiles
        In the order of the table.

    Raises
    ------
    ParameterError
        If the table has no column ``bold``, if a row has no ``sub``, or two rows one name.
    """
    text = open_delimited(table, "a table of runs")
    if "bold" not in text.titles:
        msg = (
            f"{text.source}: a table of runs must have the column bold. Got "
            f"{', '.join(text.titles)}."
        )
        raise ParameterError(msg, parameter="table")
    runs = []
    folder = Path(text.path).parent
    for line, cells in text.rows():
        row = dict(zip(text.titles, cells[text.n_in_front :], strict=True))
        given = {
            title: cell.strip() for title, cell in row.items() if cell.strip() not in _MISSING
        }
        runs.append(_run_of_row(given, folder, f"{text.source}, line {line}"))
    twice = [label for label, n in Counter(one.label for one in runs).items() if n > 1]
    if twice:
        msg = (
            f"{text.source}: entities must tell the rows apart. Got {twice[0]} twice. Add a "
            f"column, such as run."
        )
        raise ParameterError(msg, parameter="table")
    return wanted.take(runs, text.source)


def _run_of_row(given: Mapping[str, str], folder: Path, place: str) -> RunFiles:
    if "bold" not in given:
        msg = f"{place}: the column bold must hold a path. It is empty."
        raise ParameterError(msg, parameter="table")
    paths = {key: str(folder / given[key]) for key in _FILES if key in given}
    labels = {
        _SPELLED.get(title, title): cell for title, cell in given.items() if title not in _FILES
    }
    bare = {key: bids_label(cell.removeprefix(f"{key}-")) for key, cell in labels.items()}
    try:
        name = parse_name(paths["bold"])
    except ParameterError:
        name = BidsName((), "bold", ".nii.gz")
    name = name.with_entities(**bare)
    if not name.get("sub"):
        msg = f"{place}: every run must have a sub, in the name of the image or in a column."
        raise ParameterError(msg, parameter="table")
    return RunFiles(name, **paths)


def _runs_in(root: str, subjects: Sequence[str]) -> Iterator[RunFiles]:
    """Yield the preprocessed runs of a dataset, those of given subjects only where there are any."""
    folders = _folders(root, "sub-")
    if subjects:
        # Other subjects' folders are not opened: there may be 50,000 of them.
        folders = [one for one in folders if Path(one).name.removeprefix("sub-") in subjects]
    for subject in folders:
        for parent in (subject, *_folders(subject, "ses-")):
            yield from _runs_of_folder(Path(parent) / "func")


def _folders(parent: str, prefix: str) -> list[str]:
    with os.scandir(parent) as entries:
        return sorted(one.path for one in entries if one.name.startswith(prefix) and one.is_dir())


def _runs_of_folder(folder: Path) -> Iterator[RunFiles]:
    if not folder.is_dir():
        return
    files = sorted(one.name for one in folder.iterdir())
    masks = {}
    for file in files:
        if file.endswith(tuple(f"desc-brain_mask{ending}" for ending in _IMAGES)):
            masks[_without_description(parse_name(file))] = str(folder / file)
    for file in files:
        if file.endswith(_RUN_ENDINGS):
            name = parse_name(file)
            yield RunFiles(name, str(folder / file), masks.get(_without_description(name)))


def _without_description(name: BidsName) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in name.entities if one[0] != "desc")


def _with_confounds(run: RunFiles) -> RunFiles:
    """Return a run with the table of confounds that lies beside it, if there is just one."""
    try:
        return replace(run, confounds=str(find_table(run.bold)))
    except (ImageNotFoundError, ParameterError):
        # An error where confounds are asked for, and of that run only.
        return run
