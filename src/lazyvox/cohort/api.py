"""`lazyvox.run_cohort`: signals, coverage, matrices and quality of all runs of a study."""

import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from multiprocessing import current_process
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike, override
from lazyvox.cohort.bids_folder import find_runs
from lazyvox.cohort.dataset import Dataset, check_own, fingerprint
from lazyvox.cohort.filter_file import read_filter
from lazyvox.cohort.likeness import likeness
from lazyvox.cohort.model import study_model
from lazyvox.cohort.one_run import Done, Failed, RunTask, Step, check_peak, prepare_run, work_on
from lazyvox.cohort.options import CohortOptions, OutputNames, opened_atlases
from lazyvox.cohort.runs import RunFiles, RunFilter, read_runs
from lazyvox.errors import MemoryBudgetError, ParameterError, ParameterTypeError
from lazyvox.glm.model_choice import ModelChoice
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.budget import asked_budget, resolve_budget
from lazyvox.runtime.cluster import Cluster, SchedulerLike, connected
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.progress import ProgressLike, resolve_progress
from lazyvox.runtime.sized_calls import Raised, SizedCall, answers, most_side_by_side
from lazyvox.store.files.paths import absolute_path, printable

__all__ = [
    "Cohort",
    "CohortPlan",
    "CohortResult",
    "PlannedRun",
    "prepare_cohort",
    "run_cohort",
]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run, and the plan for it.

    Attributes
    ----------
    files : RunFiles
        The run, and what was found beside it.
    peak_bytes : int
        Predicted peak of memory, above what Python and the imports hold.
    bytes_read : int
        Bytes that are read of its image, in all passes.
    passes : int
        Number of passes.
    scratch_bytes : int
        Temporary disk space.
    output_bytes : int
        Disk space of the outputs, about.
    is_finished : bool
        Whether its outputs are complete, and made of the same inputs and parameters.
    failed : Failed or None
        Why it cannot be worked on.
    """

    files: RunFiles
    peak_bytes: int = 0
    bytes_read: int = 0
    passes: int = 0
    scratch_bytes: int = 0
    output_bytes: int = 0
    is_finished: bool = False
    failed: Failed | None = None

    @property
    def is_due(self) -> bool:
        """True if there is something to do, and nothing against it."""
        return not self.is_finished and self.failed is None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "run": self.files.label,
            "bold": self.files.bold,
            "mask": self.files.mask,
            "confounds": self.files.confounds,
            "events": self.files.events,
            "peak_bytes": self.peak_bytes,
            "bytes_read": self.bytes_read,
            "passes": self.passes,
            "scratch_bytes": self.scratch_bytes,
            "output_bytes": self.output_bytes,
            "is_finished": self.is_finished,
            "problem": None if self.failed is None else self.failed.message,
        }


@dataclass(frozen=True, slots=True)
class CohortPlan:
    """The plan of a study: all that is known before a voxel of a run is read.

    Attributes
    ----------
    out : str
        Folder of the outputs.
    runs : tuple of PlannedRun
        All runs, in order.
    n_workers : int
        Most runs at the same time.
    budget : int
        Bytes that they may take together; on the workers of a scheduler, each of them.
    scheduler : str
        Address of the scheduler; empty for processes of this machine.
    """

    out: str
    runs: tuple[PlannedRun, ...]
    n_workers: int
    budget: int
    scheduler: str = ""

    @property
    def due(self) -> list[PlannedRun]:
        """Runs that would be worked on."""
        return [one for one in self.runs if one.is_due]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "out": self.out,
            "budget": self.budget,
            "n_workers": self.n_workers,
            "scheduler": self.scheduler or None,
            "runs": [one.to_dict() for one in self.runs],
        }

    @override
    def __str__(self) -> str:
        """Return the plan as text, a line for each run."""
        lines = [_line(one) for one in self.runs]
        due = self.due
        n_finished = sum(one.is_finished for one in self.runs)
        n_failed = sum(one.failed is not None for one in self.runs)
        lines.append(
            f"{len(self.runs)} runs: {len(due)} to do, {n_finished} finished, {n_failed} that "
            f"cannot be done"
        )
        if due:
            peak = max(one.peak_bytes for one in due)
            scratch = sum(sorted(one.scratch_bytes for one in due)[-self.n_workers :])
            place = f" on {self.scheduler}, each" if self.scheduler else ","
            lines.append(
                f"at most {self.n_workers} at a time{place} within {format_bytes(self.budget)}: peak of "
                f"one at most {format_bytes(peak)}; "
                f"{format_bytes(sum(one.bytes_read for one in due))} to read in "
                f"{_passes({one.passes for one in due})}; disk space: "
                f"{format_bytes(scratch)} for a while, about "
                f"{format_bytes(sum(one.output_bytes for one in due))} of outputs"
            )
        return "\n".join(lines)


def _passes(numbers: set[int]) -> str:
    """Return how often runs are read, as in "1 pass", or "1 to 2 passes"."""
    least, most = min(numbers), max(numbers)
    shown = str(most) if least == most else f"{least} to {most}"
    return f"{shown} pass{'es' * (most > 1)} over each"


def _line(one: PlannedRun) -> str:
    files = {
        "mask": one.files.mask,
        "confounds": one.files.confounds,
        "events": one.files.events,
    }
    found = [
        f"{kind} {printable(Path(path).name)}" if path else f"no {kind}"
        for kind, path in files.items()
        if path or kind != "events"
    ]
    state = "finished" if one.is_finished else f"peak {format_bytes(one.peak_bytes)}"
    if one.failed is not None:
        state = f"cannot be done: {one.failed.message}"
    return f"{one.files.label}: {'; '.join([*found, state])}"


@dataclass(frozen=True, slots=True)
class CohortResult:
    """Outcome of the runs of a study.

    Attributes
    ----------
    out : str
        Folder of the outputs.
    done : tuple of Done
        Runs that were worked on.
    finished : tuple of str
        Runs that were finished before.
    failed : tuple of Failed
        Runs that failed: those of ``failures.tsv``.
    """

    out: str
    done: tuple[Done, ...]
    finished: tuple[str, ...]
    failed: tuple[Failed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        failed = [
            {"run": one.run, "file": one.file, "step": one.step, "message": one.message}
            for one in self.failed
        ]
        return {
            "out": self.out,
            "done": [one.run for one in self.done],
            "finished_before": list(self.finished),
            "failed": failed,
        }

    @override
    def __str__(self) -> str:
        """Return the counts in one line."""
        return (
            f"{printable(self.out)}: {len(self.done)} runs done, {len(self.finished)} finished "
            f"before, {len(self.failed)} failed"
        )


@dataclass(frozen=True, slots=True)
class Cohort:
    """Runs, what is asked for of them, and the folder for it.

    Attributes
    ----------
    runs : tuple of RunFiles
        The runs.
    out : str
        Folder of the outputs.
    options : CohortOptions
        What is asked for.
    part : str
        Added to the names of log and failures, where processes share the folder.
    """

    runs: tuple[RunFiles, ...]
    out: str
    options: CohortOptions
    part: str = ""

    def __post_init__(self) -> None:
        """Refuse runs whose outputs would have one name."""
        seen: dict[str, str] = {}
        for run in self.runs:
            for path in OutputNames.of(run, self.options).paths:
                if path in seen:
                    msg = (
                        f"`bids_dir`: every output must have a name of its own. Got {path} for "
                        f"{seen[path]} and {run.bold}. Choose one of them by its labels."
                    )
                    raise ParameterError(msg)
                seen[path] = run.bold

    def share(self, size: int, index: int) -> "Cohort":
        """Return one of several parts of the study, for tasks on several machines.

        Parameters
        ----------
        size : int
            Number of parts.
        index : int
            Number of this one, counted from 0.

        Returns
        -------
        Cohort
            Runs that are together about as many bytes as those of every other part. The same
            files give the same parts.

        Raises
        ------
        ParameterError
            If there is no such part.
        """
        if size < 1 or not 0 <= index < size:
            msg = f"`array_index` must be from 0 to `array_size` - 1. Got {index} and {size}."
            raise ParameterError(msg, value=index)
        costs = [(_n_bytes(run.bold), number) for number, run in enumerate(self.runs)]
        loads = [0] * size
        mine = []
        for n_bytes, number in sorted(costs, key=lambda one: (-one[0], one[1])):
            part = loads.index(min(loads))
            loads[part] += max(n_bytes, 1)
            if part == index:
                mine.append(number)
        runs = tuple(self.runs[number] for number in sorted(mine))
        return replace(self, runs=runs, part=f"_array-{index}")

    def plan(
        self,
        memory: int | str | None = None,
        n_jobs: int | None = -1,
        scheduler: SchedulerLike = None,
    ) -> CohortPlan:
        """Return the plan; reads headers, confounds, atlases and masks, and writes nothing.

        Parameters
        ----------
        memory, n_jobs, scheduler
            As of `run_cohort`.

        Returns
        -------
        CohortPlan
            A line for each run, and how many fit.
        """
        with _workers(scheduler, n_jobs) as cluster:
            return self._plan(memory, n_jobs, cluster)

    def _plan(
        self, memory: int | str | None, n_jobs: int | None, cluster: Cluster | None
    ) -> CohortPlan:
        if cluster is None:
            budget = resolve_budget(memory)
            # A process of multiprocessing.Pool may start no others.
            wanted = 1 if current_process().daemon else resolve_n_jobs(n_jobs)
            share = max(budget // max(min(wanted, len(self.runs)), 1), 1)
        else:
            share = budget = cluster.share(asked_budget(memory))
            wanted = cluster.n_calls
        dataset, known = Dataset(self.out, self.part), dict[Any, PlannedRun]()
        planned = tuple(self._planned(run, dataset, known, share, budget) for run in self.runs)
        sizes = [one.peak_bytes for one in planned if one.is_due]
        if cluster is not None:
            n_workers = min(wanted, max(len(sizes), 1))
            return CohortPlan(self.out, planned, n_workers, budget, cluster.address)
        return CohortPlan(self.out, planned, most_side_by_side(sizes, budget, wanted), budget)

    def run(
        self,
        memory: int | str | None = None,
        n_jobs: int | None = -1,
        progress: ProgressLike = None,
        scheduler: SchedulerLike = None,
    ) -> CohortResult:
        """Work on all runs that are not finished.

        Parameters
        ----------
        memory, n_jobs, progress, scheduler
            As of `run_cohort`.

        Returns
        -------
        CohortResult
            What became of them.
        """
        with _workers(scheduler, n_jobs) as cluster:
            return self._run(self._plan(memory, n_jobs, cluster), progress, cluster)

    def _run(
        self, plan: CohortPlan, progress: ProgressLike, cluster: Cluster | None
    ) -> CohortResult:
        dataset = Dataset(self.out, self.part)
        dataset.begin()
        # Marks are of files as they are before they are read.
        marks = {one.files: fingerprint(one.files, self.options) for one in plan.due}
        failed = [one.failed for one in plan.runs if one.failed is not None]
        done: list[Done] = []
        reporter = resolve_progress(progress)
        reporter.start(len(marks), "runs", "cohort")

        dataset.list_failures(failed)
        try:
            with closing(self._outcomes(plan, cluster)) as outcomes:
                for run, outcome in outcomes:
                    if isinstance(outcome, Done):
                        dataset.finish(run, self.options, marks[run])
                        dataset.log(outcome)
                        done.append(outcome)
                    else:
                        failed.append(outcome)
                        dataset.list_failures(failed)
                    reporter.advance(1)
        finally:
            reporter.close()
            dataset.end(one.label for one in self.runs)
        finished = tuple(one.files.label for one in plan.runs if one.is_finished)
        return CohortResult(self.out, tuple(done), finished, tuple(failed))

    def _outcomes(
        self, plan: CohortPlan, cluster: Cluster | None
    ) -> Generator[tuple[RunFiles, Done | Failed]]:
        """Work on the runs that are due, and yield each when it is through."""
        due = plan.due
        calls = [
            SizedCall(
                number,
                one.files.label,
                (RunTask(one.files, self.options, self.out),),
                one.peak_bytes,
            )
            for number, one in enumerate(due)
        ]
        if cluster is not None:
            made = cluster.answers(
                "run_cohort", work_on, calls, share=plan.budget, needs_more=_took_too_much
            )
        else:
            made = answers(
                "run_cohort",
                work_on,
                calls,
                budget=plan.budget,
                n_workers=plan.n_workers,
                needs_more=_took_too_much,
            )
        with closing(made):
            for call, answer in made:
                run = due[call.number].files
                is_lost = isinstance(answer, Raised)
                yield (
                    run,
                    Failed(run.label, run.bold, "process", answer.error) if is_lost else answer,
                )

    def _planned(
        self,
        run: RunFiles,
        dataset: Dataset,
        known: dict[Any, PlannedRun],
        share: int,
        budget: int,
    ) -> PlannedRun:
        step = Step()
        try:
            if dataset.is_finished(run, self.options, fingerprint(run, self.options)):
                return PlannedRun(run, is_finished=True)
            grid = as_series(run.bold).grid
            # Runs that are alike have one plan: regions are read once for all of them.
            alike = (
                likeness(grid, run.bold),
                self.options.mask_of(run) is None,
                run.confounds is None,
                run.events is None,
            )
            if alike not in known:
                known[alike] = self._plan_of(run, share, budget, step)
            like = known[alike]
            n_bytes = Path(run.bold).stat().st_size
            return replace(
                like,
                files=run,
                bytes_read=like.passes * n_bytes,
                output_bytes=self.options.output_bytes(grid),
            )
        except Exception as error:  # noqa: BLE001 - the other runs go on
            return PlannedRun(run, failed=Failed(run.label, run.bold, step.name, error))

    def _plan_of(self, run: RunFiles, share: int, budget: int, step: Step) -> PlannedRun:
        with warnings.catch_warnings():
            # Work on the run says them again, for the log.
            warnings.simplefilter("ignore")
            prepared = prepare_run(run, self.options, step)
        try:
            peak = prepared.peak_bytes(self.options, share)
        except MemoryBudgetError:
            share = budget
            peak = prepared.peak_bytes(self.options, budget)
        check_peak(peak, budget)
        plans = prepared.plans(share)
        return PlannedRun(
            run,
            peak,
            sum(one.bytes_read for one in plans),
            sum(one.passes for one in plans),
            max(one.scratch_bytes for one in plans),
        )


def _workers(
    scheduler: SchedulerLike, n_jobs: int | None
) -> AbstractContextManager[Cluster | None]:
    if scheduler is None:
        return nullcontext()
    if n_jobs not in {None, -1}:
        msg = (
            f"`n_jobs` concerns processes of this machine, and `scheduler` has workers of its "
            f"own. Got {n_jobs}."
        )
        raise ParameterError(msg, value=n_jobs, hint="Pass one of the two.")
    return connected(scheduler)


def _took_too_much(answer: Any) -> bool:
    return isinstance(answer, Failed) and isinstance(answer.error, MemoryBudgetError)


def run_cohort(  # noqa: PLR0913
    bids_dir: PathLike | None,
    out: PathLike,
    *,
    atlases: Mapping[str, Any] | None = None,
    table: PathLike | None = None,
    participant_label: str | Sequence[str] = (),
    session_label: str | Sequence[str] = (),
    task: str | Sequence[str] = (),
    run: str | Sequence[str] = (),
    space: str | Sequence[str] = (),
    bids_filter_file: PathLike | None = None,
    mask: PathLike | None = None,
    strategy: str | Sequence[str] = "mean",
    min_coverage: float | None = None,
    resample: bool = False,
    confound_strategy: str | Sequence[str] = (),
    confound_columns: str | Sequence[str] = (),
    fd_threshold: float | None = None,
    std_dvars_threshold: float | None = None,
    scrub: int | None = None,
    smoothing_fwhm: float | Sequence[float] | str | None = None,
    detrend: bool = False,
    standardize: str | None = None,
    filter: str | None = None,  # noqa: A002
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | None = None,
    censored: str = "drop",
    matrix: str | Sequence[str] = (),
    qc: bool = False,
    glm: bool = False,
    contrasts: str | Sequence[str] = (),
    events_dir: PathLike | None = None,
    hrf_model: str = "glover",
    drift_model: str = "cosine",
    drift_order: int = 1,
    noise_model: str = "ar1",
    slice_time_ref: float = 0.0,
    memory: int | str | None = None,
    n_jobs: int | None = -1,
    progress: ProgressLike = None,
    scheduler: SchedulerLike = None,
) -> CohortResult:
    """Write signals, coverage, matrices and quality of all runs of a study, as a BIDS dataset.

    Parameters
    ----------
    bids_dir : path-like or None
        Folder of derivatives of fMRIPrep or XCP-D, or a raw dataset with such a folder in its
        ``derivatives``; None with a `table`.
    out : path-like
        Folder of the outputs; it is made.
    atlases : dict of str to path, or to (path, path), optional
        Images of labels (3D) or maps (4D) by name, each with the table of its regions or
        without.
    table : path-like, optional
        Table of runs in place of `bids_dir`, with the columns ``bold``, ``mask``,
        ``confounds``, ``events``, and entities such as ``sub`` and ``task``. Paths are relative
        to its folder.
    participant_label, session_label, task, run, space : str or sequence of str, optional
        Labels of the runs that are wanted, with or without ``sub-`` and the like.
    bids_filter_file : path-like, optional
        fMRIPrep's JSON file that chooses runs by any entity: ``{"bold": {"acquisition": null}}``.
        Its keys and values are PyBIDS's; of other queries than "bold" it must have none.
    mask : path-like, optional
        Mask that regions and measures of quality are confined to; "auto" for that beside each
        run.
    strategy : str or sequence of str, default="mean"
        How to combine the voxels of a region; see `lazyvox.extract`.
    min_coverage : float, optional
        Part of its voxels that must hold signal for a region to have values.
    resample : bool, default=False
        Whether atlases on another grid are brought to that of each run.
    confound_strategy, confound_columns : str or sequence of str, optional
        Regressors to remove, of the table beside each run; see `lazyvox.load_confounds`.
    fd_threshold, std_dvars_threshold, scrub : float, optional
        Limits above which volumes are censored; see `lazyvox.load_confounds`.
    smoothing_fwhm, detrend, standardize, filter, low_pass, high_pass, t_r, censored
        Smoothing and cleaning; see `lazyvox.extract`.
    matrix : str or sequence of str, optional
        Kinds of connectivity to compute of each table; see `lazyvox.connectivity`.
    qc : bool, default=False
        Whether the quality of volumes is measured; see `lazyvox.qc`.
    glm : bool, default=False
        Whether a first-level model is fitted to each run. Its design is made of the run's events,
        and of the confounds that are chosen; `smoothing_fwhm` and `t_r` concern it too, and so does
        `high_pass`, by default 0.01 Hz there. Censored volumes are left out, but with
        ``censored="keep"``. It needs a `mask`.
    contrasts : str or sequence of str, optional
        Contrasts of it, such as ``"face - house"``, or ``"faces=face - house"`` with a name.
    events_dir : path-like, optional
        Dataset with the tables of events; by default they are looked for beside each run, above it,
        in the raw dataset around the derivatives, and in ``sourcedata``.
    hrf_model, drift_model, drift_order, noise_model, slice_time_ref
        As of `lazyvox.glm.FirstLevelModel`; "none" is a drift model too.
    memory : int or str, optional
        Memory budget of all runs together, such as ``"4GiB"``.
    n_jobs : int, default=-1
        Most runs at a time, each in a process of its own; with 1 they are worked on here.
    progress : bool or callable, optional
        True shows a bar on stderr.
    scheduler : str, distributed.Client or a cluster of Dask, optional
        Scheduler of Dask whose workers take the runs, such as ``"tcp://10.0.0.1:8786"``, in place
        of processes here. `memory` is then that of each run, by default what the limits of the
        workers leave.

    Returns
    -------
    CohortResult
        What became of the runs.

    Raises
    ------
    ParameterError
        If an argument is out of range, if there is no run, or names collide. Whatever fails for a
        single run is no error: it is listed in the result, and in ``failures.tsv``.
    ImageFileError
        If an atlas cannot be read.
    OutputError
        If `out` cannot be written.

    Notes
    -----
    One pass over each run for everything; measures of quality have a pass of their own where
    volumes are smoothed, or dropped without other cleaning. A run whose outputs are complete, and
    whose files and parameters are the same as then, is not done again. Tables and JSON files
    depend on inputs and parameters only; times and peaks are in ``logs/runs.tsv``. All files of a
    run appear when the last one is complete.

    Memory: runs are worked on at the same time while their predicted peaks fit the budget; each
    process holds 40 to 60 MiB more for Python and its imports. Workers of a scheduler read the
    runs and write the outputs themselves, so that they must see the same folders; paths and
    options travel to them, and times and warnings back. Scripts call this below
    ``if __name__ == "__main__":``.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with open("runs.csv", "w") as file:
    ...     print("sub,bold", "01,run.nii.gz", "02,run.nii.gz", sep=chr(10), file=file)
    >>> result = lv.run_cohort(
    ...     None, "study", table="runs.csv", atlases={"Quarters": "atlas.nii.gz"}, n_jobs=1
    ... )
    >>> len(result.done), result.failed
    (2, ())
    """
    options = CohortOptions(
        atlases=opened_atlases(atlases or {}),
        mask=None if mask is None else mask if mask == "auto" else absolute_path(mask),
        strategy=_texts(strategy, "strategy"),
        min_coverage=min_coverage,
        resample=resample,
        confound_strategy=_texts(confound_strategy, "confound_strategy"),
        confound_columns=_texts(confound_columns, "confound_columns"),
        fd_threshold=fd_threshold,
        std_dvars_threshold=std_dvars_threshold,
        scrub=scrub,
        smoothing_fwhm=_width(smoothing_fwhm),
        detrend=detrend,
        standardize=standardize,
        filter=filter,
        low_pass=low_pass,
        high_pass=high_pass,
        t_r=t_r,
        censored=censored,
        matrix=_texts(matrix, "matrix"),
        qc=qc,
        glm=study_model(
            glm,
            _listed(contrasts),
            ModelChoice(
                hrf_model=hrf_model,
                drift_model=drift_model,
                drift_order=drift_order,
                noise_model=noise_model,
                slice_time_ref=slice_time_ref,
            ),
            high_pass,
        ),
    )
    wanted = run_filter(participant_label, session_label, task, run, space, bids_filter_file)
    cohort = prepare_cohort(bids_dir, out, table, wanted, options, events_dir)
    return cohort.run(memory, n_jobs, progress, scheduler)


def prepare_cohort(
    bids_dir: PathLike | None,
    out: PathLike,
    table: PathLike | None,
    wanted: RunFilter,
    options: CohortOptions,
    events_dir: PathLike | None = None,
) -> Cohort:
    """Return a study whose runs were found; see `run_cohort`."""
    if events_dir is not None and (options.glm is None or bids_dir is None):
        msg = "`events_dir` concerns `glm` with a `bids_dir`; a table of runs has a column events."
        raise ParameterError(msg)
    full = absolute_path(out)
    if bids_dir is not None:
        _check_apart(full, absolute_path(bids_dir))
    runs = find_study(bids_dir, table, wanted, options.glm is not None, events_dir)
    check_own(full)
    return Cohort(tuple(runs), full, options)


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
        _texts(participant_label, "participant_label"),
        _texts(session_label, "session_label"),
        _texts(task, "task"),
        _texts(run, "run"),
        _texts(space, "space"),
        () if bids_filter_file is None else read_filter(bids_filter_file),
    )


def _check_apart(out: str, bids_dir: str) -> None:
    """Refuse a folder of outputs that has the runs."""
    if Path(out).resolve() == Path(bids_dir).resolve():
        msg = f"`out` must be another folder than that of the runs. Got {printable(out)}."
        raise ParameterError(msg)


def _listed(given: Any) -> tuple[str, ...]:
    """Return contrasts, which may have commas, as a tuple."""
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list | tuple) or not all(isinstance(one, str) for one in items):
        msg = f"`contrasts` must be a text, or a list of them. Got {given!r}."
        raise ParameterTypeError(msg)
    return tuple(items)


def _texts(given: Any, parameter: str) -> tuple[str, ...]:
    """Return texts that are given as one, with commas, or as several."""
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list | tuple) or not all(isinstance(one, str) for one in items):
        msg = f"`{parameter}` must be a text, or a list of them. Got {given!r}."
        raise ParameterTypeError(msg)
    return tuple(part.strip() for one in items for part in one.split(",") if part.strip())


def _n_bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _width(given: Any) -> Any:
    return tuple(given) if isinstance(given, list | tuple) else given
