"""`lazyvox.run_subjects`: fixed effects over the runs of each participant of a study."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike, override
from lazyvox.cohort.chosen_runs import run_filter
from lazyvox.cohort.finished import FinishedOutputs
from lazyvox.cohort.outcomes import Failed, Wording, failed_results, in_python
from lazyvox.cohort.output_sets import EFFECT, OutputSet, find_sets, shown_names
from lazyvox.cohort.runs import RunFilter
from lazyvox.cohort.staging import sweep_unfinished
from lazyvox.cohort.subject_maps import IMPORTS, SubjectTask, files_of_run, make_maps
from lazyvox.errors import LazyvoxError, MemoryBudgetError
from lazyvox.planning.memory import counted, format_bytes
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.memory_errors import check_fits
from lazyvox.runtime.optional import require
from lazyvox.runtime.progress import ProgressLike, resolve_progress
from lazyvox.runtime.sized_calls import (
    Raised,
    SizedCall,
    answers,
    most_side_by_side,
    resolve_processes,
)
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.remote.options import carried

__all__ = ["Subjects", "SubjectsResult", "prepare_subjects", "run_subjects"]

_STEP = "subject"


@dataclass(frozen=True, slots=True)
class SubjectsResult:
    """Fixed effects over runs of the participants of a study.

    Attributes
    ----------
    out : str
        Folder of the dataset.
    done : tuple of OutputSet
        Results that were made.
    finished : tuple of OutputSet
        Results that were finished before.
    alone : tuple of str
        Participants' runs without a label of their own: their maps are those over all runs.
    missing : tuple of str
        Runs that have no output at all.
    failed : tuple of Failed
        Results that could not be made.
    """

    out: str
    done: tuple[OutputSet, ...]
    finished: tuple[OutputSet, ...]
    alone: tuple[str, ...]
    missing: tuple[str, ...]
    failed: tuple[Failed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "out": self.out,
            "results": [one.to_dict() for one in self.done],
            "finished_before": [one.name for one in self.finished],
            "single_runs": list(self.alone),
            "missing": list(self.missing),
            "failed": failed_results(self.failed),
        }

    @override
    def __str__(self) -> str:
        """Return a line for each result that lacks a run, one about single runs, and the counts."""
        last = (
            f"{printable(self.out)}: {counted(len(self.done), 'result')} done, "
            f"{len(self.finished)} finished before, {len(self.failed)} failed"
        )
        lines = [_line(one) for one in (*self.done, *self.finished) if one.missing]
        return "\n".join([*lines, *_remarks(self.alone, self.missing), last])


@dataclass(frozen=True, slots=True)
class Subjects:
    """Fixed effects over runs that can be made of the outputs of a study.

    Attributes
    ----------
    out : str
        Folder of the dataset.
    due : tuple of SubjectTask
        What is to be made.
    finished : tuple of OutputSet
        Results that are complete, and made of the same.
    alone : tuple of str
        Participants' runs without a label of their own: their maps are those over all runs.
    missing : tuple of str
        Runs that have no output at all.
    wording : callable
        Gives the text of errors.
    """

    out: str
    due: tuple[SubjectTask, ...]
    finished: tuple[OutputSet, ...]
    alone: tuple[str, ...]
    missing: tuple[str, ...]
    wording: Wording = in_python

    @property
    def peak_bytes(self) -> int:
        """Predicted peak of one result; reads headers."""
        return _peak(self._checked()[0])

    def to_dict(self) -> dict[str, Any]:
        """Return the plan for JSON; reads headers."""
        able, failed = self._checked()
        return {
            "out": self.out,
            "peak_bytes": _peak(able),
            "results": [one.found.to_dict() for one in able],
            "failed": failed_results(failed),
            "finished": [one.name for one in self.finished],
            "single_runs": list(self.alone),
            "missing": list(self.missing),
        }

    @override
    def __str__(self) -> str:
        """Return the plan as text, a line for each result; reads headers."""
        able, failed = self._checked()
        lines = [f"{_line(one.found)}; to do" for one in able]
        lines += [f"cannot be done: {one.message}" for one in failed]
        lines += [f"{_line(one)}; finished" for one in self.finished]
        lines += _remarks(self.alone, self.missing)
        n_runs = sum(len(one.sources) for one in able)
        lines.append(
            f"{counted(len(able), 'result')} to make, of {counted(n_runs, 'run')}; "
            f"{len(self.finished)} finished; {len(failed)} that cannot be done; "
            f"peak of one {format_bytes(_peak(able))}"
        )
        return "\n".join(lines)

    def run(
        self,
        memory: int | str | None = None,
        n_jobs: int | None = -1,
        progress: ProgressLike = None,
    ) -> SubjectsResult:
        """Make all results that are not finished.

        Parameters
        ----------
        memory, n_jobs, progress
            As of `run_subjects`.

        Returns
        -------
        SubjectsResult
            What was made, and what was not.
        """
        stop_if_planning(self)
        able, failed = self._checked()
        calls = []
        budget = resolve_budget(memory)
        for number, task in enumerate(able):
            try:
                calls.append(_call(number, task, budget))
            except MemoryBudgetError as error:
                failed.append(self._failed(task, error))
        done = []
        reporter = resolve_progress(progress)
        reporter.start(len(calls), "results", _STEP)
        n_workers = most_side_by_side(
            [one.size for one in calls], budget, resolve_processes(n_jobs)
        )
        made = answers(
            "run_subjects",
            carried(make_maps),
            calls,
            budget=budget,
            n_workers=n_workers,
            imports=IMPORTS,
        )
        with closing(reporter), closing(made):
            for call, answer in made:
                task = able[call.number]
                if isinstance(answer, Raised):
                    failed.append(self._failed(task, answer.error))
                else:
                    done.append(task.found)
                reporter.advance(1)
        sweep_unfinished(Path(self.out), (one.label for one in self.due))
        return SubjectsResult(
            self.out, tuple(done), self.finished, self.alone, self.missing, tuple(failed)
        )

    def _checked(self) -> tuple[list[SubjectTask], list[Failed]]:
        """Return what can be made, and what cannot; reads headers."""
        able, failed = [], []
        for task in self.due:
            try:
                task.check()
            except (LazyvoxError, OSError) as error:
                failed.append(self._failed(task, error))
            else:
                able.append(task)
        return able, failed

    def _failed(self, task: SubjectTask, error: Exception) -> Failed:
        file = str(Path(self.out) / task.sources[0])
        return Failed(task.found.name, file, _STEP, error, self.wording)


def _call(number: int, task: SubjectTask, budget: int) -> SizedCall:
    peak = task.peak_bytes()
    check_fits(peak, budget, "the maps of one result", f"{task.found.name} needs")
    return SizedCall(number, task.label, (task,), peak)


def _peak(able: Sequence[SubjectTask]) -> int:
    return max((one.peak_bytes() for one in able), default=0)


def _line(one: OutputSet) -> str:
    missing = f"; missing: {shown_names(one.missing)}" if one.missing else ""
    return f"{one.name.removesuffix(EFFECT)}: {counted(one.n_runs, 'run')}{missing}"


def _remarks(alone: Sequence[str], missing: Sequence[str]) -> list[str]:
    """Return lines about runs of which no result is made."""
    remarks = {
        "the only runs, whose maps stay as they are": alone,
        "runs without any output": missing,
    }
    return [f"{remark}: {shown_names(names)}" for remark, names in remarks.items() if names]


def prepare_subjects(
    bids_dir: PathLike | None,
    out: PathLike,
    table: PathLike | None,
    wanted: RunFilter,
    *,
    precision_weighted: bool,
    over_sessions: bool,
) -> Subjects:
    """Return the fixed effects that can be made of the outputs of runs; see `run_subjects`."""
    require("nilearn", "glm", "Fixed effects over runs")
    full = absolute_path(out)
    over = ("run", "ses") if over_sessions else ("run",)
    sets, missing = find_sets(bids_dir, full, table, wanted, (EFFECT,), over, files_of_run)
    tasks = [SubjectTask(one, full, precision_weighted) for one in sets]
    records = FinishedOutputs(full)
    due, finished, alone = [], [], []
    for one in tasks:
        if one.sources == (one.maps["effect"],):
            alone.append(one.label)
        elif records.hold(one.label, one.mark, one.files):
            finished.append(one.found)
        else:
            due.append(one)
    return Subjects(full, tuple(due), tuple(finished), tuple(alone), missing)


def run_subjects(  # noqa: PLR0913
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
    precision_weighted: bool = False,
    over_sessions: bool = False,
    memory: int | str | None = None,
    n_jobs: int | None = -1,
    progress: ProgressLike = None,
) -> SubjectsResult:
    r"""Write maps of fixed effects over the runs of each participant, of the models of a study.

    Parameters
    ----------
    bids_dir : path-like or None
        Folder of the runs, as of `run_cohort`: it says which runs there should be.
    out : path-like
        Folder of the outputs of `run_cohort` with ``glm=True``.
    table : path-like, optional
        Table of runs in place of `bids_dir`.
    participant_label, session_label, task, run, space : str or sequence of str, optional
        Labels of the runs that are wanted; by default runs in all spaces that have outputs.
    bids_filter_file : path-like, optional
        fMRIPrep's JSON file that chooses runs, as of `run_cohort`.
    precision_weighted : bool, default=False
        Whether runs are weighted by the inverse of their variance, as by FSL's fixed effects.
        Otherwise each counts as much, as in `lazyvox.glm.FirstLevelModel` with several runs.
    over_sessions : bool, default=False
        Whether all sessions of a participant are put together; otherwise each has its own maps.
    memory : int or str, optional
        Memory budget of all results together, such as ``"4GiB"``.
    n_jobs : int, default=-1
        Most results at a time, each in a process of its own; with 1 they are made here.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    SubjectsResult
        Results that were made, those that were finished before, the runs that are missing, and
        what failed.

    Raises
    ------
    ParameterError
        If there is no such run, or no map of one.
    MissingDependencyError
        If nilearn is not installed, whose statistics these are.

    Notes
    -----
    The maps are named as those of a run, without its label ``run-``: effect, variance, t and z,
    and the mask, the voxels that the masks of all runs have. Numbers are those of nilearn's
    `compute_fixed_effects` with the degrees of freedom of the runs. A result whose maps of runs
    and parameters are the same as then is not made again.

    Memory: 4 MiB, and 160 bytes for each voxel of one result; it does not grow with the number of runs.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with open("events.tsv", "w") as file:
    ...     print("onset\tduration\ttrial_type", "4\t8\tface", sep=chr(10), file=file)
    >>> with open("runs.csv", "w") as file:
    ...     rows = ["01,1,run.nii.gz,events.tsv", "01,2,run.nii.gz,events.tsv"]
    ...     print("sub,run,bold,events", *rows, sep=chr(10), file=file)
    >>> options = {"mask": "mask.nii.gz", "glm": True, "contrasts": "face", "n_jobs": 1}
    >>> _ = lv.run_cohort(None, "study", table="runs.csv", **options)
    >>> print(lv.run_subjects(None, "study", table="runs.csv", n_jobs=1).done[0])
    sub-01_contrast-face_stat-effect_statmap.nii.gz: 2 runs of 1 subject
    """
    wanted = run_filter(participant_label, session_label, task, run, space, bids_filter_file)
    subjects = prepare_subjects(
        bids_dir,
        out,
        table,
        wanted,
        precision_weighted=precision_weighted,
        over_sessions=over_sessions,
    )
    return subjects.run(memory, n_jobs, progress)
