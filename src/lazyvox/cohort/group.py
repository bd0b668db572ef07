"""`lazyvox.run_group`: mean and variance over subjects of what a study has of each run."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike, override
from lazyvox.bids.sidecars import generated_by, write_sidecar
from lazyvox.cohort.chosen_runs import run_filter
from lazyvox.cohort.group_results import GroupTable, MapMoments, MatrixMoments
from lazyvox.cohort.outcomes import Failed, Wording, failed_results, in_python
from lazyvox.cohort.output_sets import EFFECT, MATRIX, OutputSet, find_sets, set_lines
from lazyvox.cohort.runs import RunFilter
from lazyvox.errors import LazyvoxError, ParameterError
from lazyvox.glm.map_files import mask_of_map
from lazyvox.planning.memory import counted, format_bytes
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.memory_errors import check_fits
from lazyvox.runtime.progress import ProgressLike, resolve_progress
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["Group", "GroupResult", "prepare_group", "run_group"]

_FOLDER = "group"
#: Spaces in which a voxel is another place in each subject, whatever the grid.
_OWN_SPACES = frozenset({"T1w", "T2w", "individual", "bold", "boldref", "func", "orig"})


def _moments(one: OutputSet, out: str) -> MapMoments | MatrixMoments:
    """Return the moments of a result, on the grid or of the regions of its first output."""
    return (MapMoments if one.is_map else MatrixMoments)(_first(one, out), one.name)


def _first(one: OutputSet, out: str) -> str:
    """Return the path of the first output that a result is made of."""
    return str(Path(out) / one.members[0][1][0])


@dataclass(frozen=True, slots=True)
class GroupResult:
    """Results over the subjects of a study.

    Attributes
    ----------
    out : str
        Folder of the dataset.
    sets : tuple of OutputSet
        The results that were made.
    missing : tuple of str
        Runs that have no output at all.
    failed : tuple of Failed
        Results that could not be made.
    """

    out: str
    sets: tuple[OutputSet, ...]
    missing: tuple[str, ...]
    failed: tuple[Failed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "out": self.out,
            "results": [one.to_dict() for one in self.sets],
            "missing": list(self.missing),
            "failed": failed_results(self.failed),
        }

    @override
    def __str__(self) -> str:
        """Return a line for each result, and what is missing."""
        last = f"{printable(self.out)}: {counted(len(self.sets), 'result')}, {len(self.failed)} failed"
        return "\n".join([*set_lines(self.sets, self.missing), last])


@dataclass(frozen=True, slots=True)
class Group:
    """Results over subjects that can be made of the outputs of a study.

    Attributes
    ----------
    out : str
        Folder of the dataset.
    sets : tuple of OutputSet
        What each result is made of.
    missing : tuple of str
        Runs that have no output at all.
    wording : callable
        Gives the text of errors.
    """

    out: str
    sets: tuple[OutputSet, ...]
    missing: tuple[str, ...]
    wording: Wording = in_python

    @property
    def peak_bytes(self) -> int:
        """Predicted peak of memory; reads headers."""
        return max(_moments(one, self.out).nbytes for one in self.sets)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan for JSON; reads headers."""
        return {
            "out": self.out,
            "peak_bytes": self.peak_bytes,
            "results": [one.to_dict() for one in self.sets],
            "missing": list(self.missing),
        }

    @override
    def __str__(self) -> str:
        """Return the plan as text, a line for each result; reads headers."""
        n_runs = sum(one.n_runs for one in self.sets)
        last = (
            f"{counted(len(self.sets), 'result')} to make, of {counted(n_runs, 'file')}, read once and one at a time: "
            f"peak {format_bytes(self.peak_bytes)}"
        )
        return "\n".join([*set_lines(self.sets, self.missing), last])

    def run(self, memory: int | str | None = None, progress: ProgressLike = None) -> GroupResult:
        """Make all results.

        Parameters
        ----------
        memory, progress
            As of `run_group`.

        Returns
        -------
        GroupResult
            What was made, and what was not.
        """
        stop_if_planning(self)
        budget = resolve_budget(memory)
        made, failed = [], []
        reporter = resolve_progress(progress)
        reporter.start(sum(one.n_runs for one in self.sets), "runs", "group")
        with closing(reporter):
            for one in self.sets:
                try:
                    self._make(one, budget, reporter.advance)
                except (LazyvoxError, OSError) as error:
                    first = _first(one, self.out)
                    failed.append(Failed(one.name, first, _FOLDER, error, self.wording))
                else:
                    made.append(one)
        return GroupResult(self.out, tuple(made), self.missing, tuple(failed))

    def _make(self, one: OutputSet, budget: int, advance: Any) -> None:
        if one.is_map and one.space in _OWN_SPACES and len(one.members) > 1:
            msg = (
                f"{one.name}: `space` must be a standard one for maps over subjects. Got "
                f"{one.space}, in which a voxel is another place in each subject."
            )
            raise ParameterError(msg)
        one.check_alike()
        root = Path(self.out)
        moments = _moments(one, self.out)
        check_fits(moments.nbytes, budget, "the moments of one result", f"{one.name} needs")
        for _, paths in one.members:
            moments.add([str(root / path) for path in paths])
            advance(len(paths))
        folder = root / _FOLDER
        folder.mkdir(exist_ok=True)
        for table in moments.results():
            self._write(one, table, folder)

    def _write(self, one: OutputSet, table: GroupTable, folder: Path) -> None:
        path = str(folder / table.name)
        table.write(path)
        record = {
            "Description": table.description,
            "NumberOfSubjects": len(one.members),
            "NumberOfRuns": one.n_runs,
            "RunsOfSubjects": {subject: len(paths) for subject, paths in one.members},
            "MissingRuns": list(one.missing),
            "Sources": [f"bids::{path}" for _, paths in one.members for path in paths],
            "GeneratedBy": generated_by(),
        }
        write_sidecar(path, record, overwrite=True)


def prepare_group(
    bids_dir: PathLike | None, out: PathLike, table: PathLike | None, wanted: RunFilter
) -> Group:
    """Return the results that can be made of the outputs of runs; see `run_group`."""
    full = absolute_path(out)
    sets, missing = find_sets(
        bids_dir, full, table, wanted, (EFFECT, MATRIX), ("sub", "run"), _masks
    )
    return Group(full, sets, missing)


def _masks(path: str) -> list[str]:
    """Return the mask of a map."""
    return [mask_of_map(path)] if path.endswith(EFFECT) else []


def run_group(  # noqa: PLR0913
    bids_dir: PathLike | None,
    out: PathLike,
    *,
    table: PathLike | None = None,
    participant_label: str | Sequence[str] = (),
    session_label: str | Sequence[str] = (),
    task: str | Sequence[str] = (),
    run: str | Sequence[str] = (),
    space: str | Sequence[str] = (),
    bids_filter_file: PathLike | None = None,
    memory: int | str | None = None,
    progress: ProgressLike = None,
) -> GroupResult:
    """Write mean and variance over subjects of the matrices and effect maps of a study.

    Parameters
    ----------
    bids_dir : path-like or None
        Folder of the runs, as of `run_cohort`: it says which runs there should be.
    out : path-like
        Folder of the outputs of `run_cohort`.
    table : path-like, optional
        Table of runs in place of `bids_dir`.
    participant_label, session_label, task, run, space : str or sequence of str, optional
        Labels of the runs that are wanted; by default runs in all spaces that have outputs.
    bids_filter_file : path-like, optional
        fMRIPrep's JSON file that chooses runs, as of `run_cohort`.
    memory : int or str, optional
        Memory budget, such as ``"4GiB"``.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    GroupResult
        Results with their numbers of subjects and runs, the runs that are missing, and what
        failed: maps on several grids, say.

    Raises
    ------
    ParameterError
        If there is no such run, or no output of one.

    Notes
    -----
    Results are in the folder ``group`` of `out`: ``*_desc-mean_*``, ``*_desc-variance_*`` (of n - 1
    degrees of freedom) and ``*_desc-count_*`` of each task, session, space and atlas or contrast.
    Runs of a participant are averaged first. A voxel or a pair of regions counts where a
    participant has it: inside of the mask of the model, or with a value.

    Correlations are averaged as Fisher's z, and the mean is brought back: ``stat-correlation`` has
    the mean correlation, ``stat-correlationfisherz`` mean and variance of z.

    Each output is read once, one at a time. Memory: for each voxel or pair of regions 61 bytes, and
    a map; it does not grow with the number of subjects.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with open("runs.csv", "w") as file:
    ...     print("sub,bold", "01,run.nii.gz", "02,run.nii.gz", sep=chr(10), file=file)
    >>> options = {"atlases": {"Quarters": "atlas.nii.gz"}, "matrix": "correlation", "n_jobs": 1}
    >>> _ = lv.run_cohort(None, "study", table="runs.csv", **options)
    >>> print(lv.run_group(None, "study", table="runs.csv").sets[0])
    atlas-Quarters_stat-correlation_relmat.tsv: 2 runs of 2 subjects
    """
    wanted = run_filter(participant_label, session_label, task, run, space, bids_filter_file)
    return prepare_group(bids_dir, out, table, wanted).run(memory, progress)
