"""The table of events of a run, by the inheritance of BIDS: the nearest file that fits."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from lazyvox.bids.names import BidsName, parse_name
from lazyvox.errors import ParameterError, ReadError
from lazyvox.store.files.paths import printable

__all__ = ["EventTables", "event_roots"]

_SUFFIX = "_events.tsv"


def event_roots(root: str, events_dir: str | None) -> tuple[str, ...]:
    """Return the datasets that may have the events of runs in a folder of derivatives.

    Parameters
    ----------
    root : str
        The folder of derivatives.
    events_dir : str or None
        The only dataset to look in.

    Returns
    -------
    tuple of str
        The derivatives themselves; then the raw dataset that they lie in, as in
        ``raw/derivatives/fmriprep``; then those in ``sourcedata``, of either.
    """
    if events_dir is not None:
        return (events_dir,)
    own = Path(root)
    above = [own]
    if own.parent.name == "derivatives":
        above.append(own.parent.parent)
    sources = [
        place
        for one in above
        for place in (one / "sourcedata", *sorted((one / "sourcedata").glob("*/")))
        # False, too, where it may not be looked at.
        if os.path.isdir(place)  # noqa: PTH112
    ]
    return tuple(str(one) for one in (*above, *sources))


@dataclass(frozen=True)
class EventTables:
    """Tables of events in some datasets; folders are listed once.

    Attributes
    ----------
    roots : tuple of str
        The datasets, the first that has a table is taken.
    """

    roots: tuple[str, ...]
    _listed: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def find(self, run: BidsName) -> str | None:
        """Return the table of a run, None if there is none or two fit equally well.

        Parameters
        ----------
        run : BidsName
            Name of the run.

        Returns
        -------
        str or None
            In the deepest folder that has one, the table whose entities are all among those of
            the run; of several, the one with most.

        Raises
        ------
        ReadError
            If a folder before the one that has it cannot be read.
        """
        for root in self.roots:
            for folder in _places(root, run):
                found = self._fitting(folder, run)
                if found:
                    most = max(n for n, _ in found)
                    best = [path for n, path in found if n == most]
                    return best[0] if len(best) == 1 else None
        return None

    def _fitting(self, folder: str, run: BidsName) -> list[tuple[int, str]]:
        """Return number of entities, and path, of the tables of a folder that fit."""
        if folder not in self._listed:
            self._listed[folder] = _tables(folder)
        own, task = set(run.entities), run.get("task")
        fitting = []
        for file in self._listed[folder]:
            entities = _entities(file)
            if entities <= own and ("task", task) in entities:
                fitting.append((len(entities), str(Path(folder) / file)))
        return fitting


def _places(root: str, run: BidsName) -> list[str]:
    """Return the folders that a table may be in, the deepest first."""
    session = run.get("ses")
    subject = Path(root) / f"sub-{run.get('sub')}"
    inner = [subject / f"ses-{session}" / "func", subject / f"ses-{session}"] if session else []
    return [str(one) for one in (*inner, subject / "func", subject, Path(root))]


def _tables(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(one.name for one in entries if one.name.endswith(_SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        msg = f"{printable(folder)}: a folder of tables of events must be one that can be read. Got: {error.strerror}."
        raise ReadError(msg) from error


def _entities(file: str) -> set[tuple[str, str]]:
    """Return the entities of a table; of one for all participants the name begins with another."""
    name = file if file.startswith("sub-") else f"sub-all_{file}"
    try:
        return set(parse_name(name).entities) - {("sub", "all")}
    except ParameterError:
        return set()
