"""The runs of a study that are wanted, by labels and a filter file, of a folder or a table."""

from typing import Any

from lazyvox._typing import PathLike
from lazyvox.cohort.bids_folder import find_runs
from lazyvox.cohort.filter_file import read_filter
from lazyvox.cohort.runs import RunFiles, RunFilter, read_runs
from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = ["find_study", "list_texts", "run_filter", "split_texts"]


def find_study(
    bids_dir: PathLike | None,
    table: PathLike | None,
    wanted: RunFilter,
    has_events: bool = False,  # noqa: FBT001, FBT002
    events_dir: PathLike | None = None,
) -> list[RunFiles]:
    """Return the runs of a folder or a table, one of which must be given."""
    if (bids_dir is None) == (table is None):
        msg = "`bids_dir` or `table` must say where the runs are, and not both."
        raise ParameterError(msg)
    if table is not None:
        return read_runs(table, wanted)
    assert bids_dir is not None, "bug in lazyvox: there is a folder or a table"
    return find_runs(bids_dir, wanted, has_events=has_events, events_dir=events_dir)


def run_filter(
    participant_label: Any,
    session_label: Any,
    task: Any,
    run: Any,
    space: Any,
    bids_filter_file: PathLike | None,
) -> RunFilter:
    """Return the filter for labels, each of which may be one text or several, and of a file."""
    return RunFilter(
        split_texts(participant_label, "participant_label"),
        split_texts(session_label, "session_label"),
        split_texts(task, "task"),
        split_texts(run, "run"),
        split_texts(space, "space"),
        () if bids_filter_file is None else read_filter(bids_filter_file),
    )


def list_texts(given: Any, parameter: str) -> tuple[str, ...]:
    """Return texts that are given as one, or as several."""
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list | tuple) or not all(isinstance(one, str) for one in items):
        msg = f"`{parameter}` must be a text, or a list of them. Got {given!r}."
        raise ParameterTypeError(msg)
    return tuple(items)


def split_texts(given: Any, parameter: str) -> tuple[str, ...]:
    """Return texts that are given as one, with commas, or as several."""
    items = list_texts(given, parameter)
    return tuple(part.strip() for one in items for part in one.split(",") if part.strip())
