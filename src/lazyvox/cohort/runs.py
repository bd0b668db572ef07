"""The runs of a study, the files that belong to each, and their table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lazyvox._typing import PathLike
from lazyvox.bids.names import ENTITIES, BidsName, bids_label, parse_name
from lazyvox.cohort.filter_file import EntityTest
from lazyvox.errors import ParameterError, ReadError
from lazyvox.store.files.paths import absolute_path
from lazyvox.store.files.urls import is_url
from lazyvox.tables.delimited import open_delimited

__all__ = ["RunFiles", "RunFilter", "read_runs"]

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
    problem : ReadError or None
        Why a folder cannot be looked into. That of a participant stands in the place of its runs,
        and is their `bold`.
    """

    name: BidsName
    bold: str
    mask: str | None = None
    confounds: str | None = None
    events: str | None = None
    problem: ReadError | None = None

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
    tests : tuple of EntityTest
        What a filter file asks for besides.
    may_mix_spaces : bool
        Whether runs may be in several spaces where none is chosen.
    """

    sub: tuple[str, ...] = ()
    ses: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    space: tuple[str, ...] = ()
    tests: tuple[EntityTest, ...] = ()
    may_mix_spaces: bool = False

    def __post_init__(self) -> None:
        """Take the keys off the labels."""
        for key, given in self._labels().items():
            bare = tuple(dict.fromkeys(one.removeprefix(f"{key}-") for one in given))
            object.__setattr__(self, key, bare)

    def take(
        self, runs: Iterable[RunFiles], place: str, subjects: Iterable[str] = ()
    ) -> list[RunFiles]:
        """Return the wanted runs.

        Parameters
        ----------
        runs : iterable of RunFiles
            Runs.
        place : str
            Where they were found, for messages.
        subjects : iterable of str, optional
            Labels of participants that are there besides those of `runs`, for messages.

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
                known = {label for label in there if label}
                if key == "sub":
                    # Folders of participants that are not wanted were not opened.
                    known |= set(subjects) - set(absent)
                msg = (
                    f"`{_PARAMETERS[key]}` must be among those of the runs. Got "
                    f"{', '.join(absent)}; {place} has {_shortened(known)}."
                )
                raise ParameterError(msg, value=absent[0])
            left = [one for one in left if one.name.get(key) in wanted]
        for test in self.tests:
            there = {one.label for one in left}
            left = [one for one in left if test.holds(one.name)]
            if there and not left:
                msg = (
                    f"`bids_filter_file`: a run must have the {test.entity!r} that is asked for. "
                    f"None of the {len(there)} runs in {place} has it."
                )
                raise ParameterError(msg)
        spaces = sorted({one.name.get("space") or "none (the native one)" for one in left})
        is_chosen = self.space or any(test.entity == "space" for test in self.tests)
        if len(spaces) > 1 and not is_chosen and not self.may_mix_spaces:
            msg = (
                f"`space` must be chosen: in several, a run would be there several times. Got runs in "
                f"{', '.join(spaces)} in {place}."
            )
            raise ParameterError(msg)
        return left

    def passing(self, names: Iterable[BidsName]) -> list[BidsName]:
        """Return the names of runs that are wanted."""
        return [
            name
            for name in names
            if all(not some or name.get(key) in some for key, some in self._labels().items())
            and all(test.holds(name) for test in self.tests)
        ]

    def _labels(self) -> dict[str, tuple[str, ...]]:
        return {key: getattr(self, key) for key in _PARAMETERS}


def _shortened(labels: Iterable[str]) -> str:
    """Return labels in their order, of many the first."""
    shown = sorted(labels)
    more = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return (", ".join(shown[:_MOST_SHOWN]) or "none") + more


#: Labels that a message lists.
_MOST_SHOWN = 20

_PARAMETERS = {
    "sub": "participant_label",
    "ses": "session_label",
    "task": "task",
    "run": "run",
    "space": "space",
}


def read_runs(table: PathLike, wanted: RunFilter) -> list[RunFiles]:
    """Return the runs that a table lists.

    Parameters
    ----------
    table : path-like
        Text with a row for each run and the columns ``bold``, and, where there are any, ``mask``,
        ``confounds`` and ``events``: paths, relative to the folder of the table; ``n/a`` where
        there is none. All other columns are entities of BIDS, such as ``sub``, ``ses`` and
        ``task``; they are added to those in the name of the image.
    wanted : RunFilter
        Labels.

    Returns
    -------
    list of RunFiles
        In the order of the table.

    Raises
    ------
    ParameterError
        If the table has no column ``bold``, or one that is neither a file nor an entity; if it
        has no row, a row no ``sub``, or two rows one name.
    """
    text = open_delimited(table, "a table of runs")
    if "bold" not in text.titles:
        msg = (
            f"{text.source}: a table of runs must have the column bold. Got "
            f"{', '.join(text.titles)}."
        )
        raise ParameterError(msg, parameter="table")
    _check_columns(text.titles, text.source)
    runs = []
    folder = Path(text.path).parent
    for line, cells in text.rows():
        row = dict(zip(text.titles, cells[text.n_in_front :], strict=True))
        given = {
            title: cell.strip() for title, cell in row.items() if cell.strip() not in _MISSING
        }
        runs.append(_run_of_row(given, folder, f"{text.source}, line {line}"))
    if not runs:
        msg = f"{text.source}: a table of runs must have a row for each run. It has none."
        raise ParameterError(msg, parameter="table")
    twice = [label for label, n in Counter(one.label for one in runs).items() if n > 1]
    if twice:
        msg = (
            f"{text.source}: entities must tell the rows apart. Got {twice[0]} twice. Add a "
            f"column, such as run."
        )
        raise ParameterError(msg, parameter="table")
    return wanted.take(runs, text.source)


def _check_columns(titles: Sequence[str], source: str) -> None:
    """Refuse columns that are there twice, and those that mean nothing, which names would hold."""
    known = (*_FILES, *_SPELLED, *ENTITIES)
    twice = [one for one, n in Counter(_SPELLED.get(one, one) for one in titles).items() if n > 1]
    if twice:
        msg = f"{source}: every column must be there once. Got {twice[0]!r} twice. Take one out."
        raise ParameterError(msg, parameter="table")
    unknown = [one for one in titles if one not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]}?" if near else "Take it out."
        msg = (
            f"{source}: columns must be {', '.join(_FILES)}, or entities of BIDS, such as sub, ses, "
            f"task, run and acq. Got {unknown[0]!r}. {hint}"
        )
        raise ParameterError(msg, parameter="table")


def _path_in(folder: Path, text: str) -> str:
    """Return a path of a table, relative to its folder, or a URL without its credentials."""
    return absolute_path(text) if is_url(text) else str(folder / text)


def _run_of_row(given: Mapping[str, str], folder: Path, place: str) -> RunFiles:
    if "bold" not in given:
        msg = f"{place}: the column bold must hold a path. It is empty."
        raise ParameterError(msg, parameter="table")
    paths = {key: _path_in(folder, given[key]) for key in _FILES if key in given}
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
    return RunFiles(
        name, paths["bold"], paths.get("mask"), paths.get("confounds"), paths.get("events")
    )
