"""A study: its runs, shares of them, the plan, and the work."""

import math
import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from lazyvox.cohort.dataset import Dataset, fingerprint
from lazyvox.cohort.likeness import likeness
from lazyvox.cohort.one_run import RunTask, join_parts, read_part, work_on
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.outcomes import Done, Failed, Wording, in_python
from lazyvox.cohort.output_names import OutputNames
from lazyvox.cohort.plans import CohortPlan, CohortResult, PlannedRun
from lazyvox.cohort.prepared_run import Step, check_peak, prepare_run
from lazyvox.cohort.runs import RunFiles
from lazyvox.errors import ImageFileError, MemoryBudgetError, ParameterError
from lazyvox.lazyimage.series import as_series
from lazyvox.runtime.budget import asked_budget, resolve_budget
from lazyvox.runtime.budget_shares import within_share
from lazyvox.runtime.cluster import CallsInParts, Cluster, SchedulerLike, connected
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.progress import ProgressLike, resolve_progress
from lazyvox.runtime.sized_calls import (
    Raised,
    SizedCall,
    answers,
    most_side_by_side,
    resolve_processes,
)
from lazyvox.store.opening import find_file
from lazyvox.store.remote.options import carried

__all__ = ["Cohort"]

#: Bytes of a file that are worth a part of their own: what comes before reading, such as regions and
#: confounds, is done for each part again.
_LEAST_PART_BYTES = 128 << 20


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
    wording : callable
        Gives the text of errors and warnings.
    """

    runs: tuple[RunFiles, ...]
    out: str
    options: CohortOptions
    part: str = ""
    wording: Wording = in_python

    def __post_init__(self) -> None:
        """Refuse runs whose outputs would have one name."""
        seen: dict[str, str] = {}
        for run in (one for one in self.runs if one.problem is None):
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
            wanted = resolve_processes(n_jobs)
            n_calls = min(wanted, len(self.runs))
        else:
            # Each worker has a budget of its own.
            budget, n_calls = cluster.share(asked_budget(memory), self.options.process_bytes), 1
            wanted = cluster.n_calls
        dataset, known = Dataset(self.out, self.part), dict[Any, PlannedRun]()
        planned = tuple(self._planned(run, dataset, known, budget, n_calls) for run in self.runs)
        sizes = [one.peak_bytes for one in planned if one.is_due]
        if cluster is not None:
            planned = self._in_parts(planned, wanted, budget)
            n_calls = sum(one.n_parts for one in planned if one.is_due)
            n_workers = min(wanted, max(n_calls, 1))
            return CohortPlan(self.out, self.options, planned, n_workers, budget, cluster.address)
        n_workers = most_side_by_side(sizes, budget, wanted)
        return CohortPlan(self.out, self.options, planned, n_workers, budget)

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
            if cluster is not None:
                # Their imports take about as long as planning some hundred runs.
                cluster.send_ahead(carried(work_on))
            return self._run(self._plan(memory, n_jobs, cluster), progress, cluster)

    def _run(
        self, plan: CohortPlan, progress: ProgressLike, cluster: Cluster | None
    ) -> CohortResult:
        stop_if_planning(plan)
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
                one.n_parts,
            )
            for number, one in enumerate(due)
        ]
        if cluster is not None:
            made = cluster.answers(
                "run_cohort",
                carried(work_on),
                calls,
                share=plan.budget,
                needs_more=_took_too_much,
                parts=CallsInParts(carried(read_part), carried(join_parts)),
            )
        else:
            made = answers(
                "run_cohort",
                carried(work_on),
                calls,
                budget=plan.budget,
                n_workers=plan.n_workers,
                imports=self.options.imports,
                needs_more=_took_too_much,
            )
        with closing(made):
            for call, answer in made:
                run = due[call.number].files
                if isinstance(answer, Raised):
                    yield run, self._failed(run, "process", answer.error)
                else:
                    yield run, replace(answer, wording=self.wording)

    def _failed(self, run: RunFiles, step: str, error: Exception) -> Failed:
        return Failed(run.label, run.bold, step, error, self.wording)

    def _planned(
        self,
        run: RunFiles,
        dataset: Dataset,
        known: dict[Any, PlannedRun],
        budget: int,
        n_calls: int,
    ) -> PlannedRun:
        if run.problem is not None:
            return PlannedRun(run, failed=self._failed(run, "find", run.problem))
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
                known[alike] = self._plan_of(run, budget, n_calls, step)
            like = known[alike]
            n_bytes = find_file(run.bold).identity.size
            return replace(
                like,
                files=run,
                bytes_read=like.passes * n_bytes,
                output_bytes=self.options.output_bytes(grid),
            )
        except Exception as error:  # noqa: BLE001 - the other runs go on
            return PlannedRun(run, failed=self._failed(run, step.name, error))

    def _in_parts(
        self, planned: tuple[PlannedRun, ...], n_workers: int, budget: int
    ) -> tuple[PlannedRun, ...]:
        """Divide runs that are more than the share of one worker, where they can be."""
        share = sum(one.bytes_read for one in planned if one.is_due) / max(n_workers, 1)
        divided = []
        for one in planned:
            wanted = min(n_workers, one.bytes_read // _LEAST_PART_BYTES)
            if one.is_due and wanted > 1 and one.bytes_read > share:
                wanted = min(wanted, math.ceil(one.bytes_read / share))
                one = self._divided(one, wanted, budget)  # noqa: PLW2901
            divided.append(one)
        return tuple(divided)

    def _divided(self, one: PlannedRun, wanted: int, budget: int) -> PlannedRun:
        """Divide a run, if it can be, and the states of its parts fit where they are put together."""
        step = Step()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                prepared = prepare_run(one.files, self.options, step)
                n_parts = prepared.most_parts(wanted, budget)
        except Exception as error:  # noqa: BLE001 - the other runs go on
            return PlannedRun(one.files, failed=self._failed(one.files, step.name, error))
        peak = one.peak_bytes + prepared.parts_bytes(budget)
        if n_parts == 1 or peak > budget:
            return one
        return replace(one, n_parts=n_parts, peak_bytes=peak)

    def _plan_of(self, run: RunFiles, budget: int, n_calls: int, step: Step) -> PlannedRun:
        with warnings.catch_warnings():
            # Work on the run says them again, for the log.
            warnings.simplefilter("ignore")
            prepared = prepare_run(run, self.options, step)

        def planned(share: int) -> PlannedRun:
            peak = prepared.peak_bytes(self.options, share)
            check_peak(peak, budget)
            plans = [*prepared.mask_plans(share), *prepared.plans(share)]
            return PlannedRun(
                run,
                peak,
                sum(one.bytes_read for one in plans),
                sum(one.passes for one in plans),
                max(one.scratch_bytes for one in plans),
            )

        return within_share(planned, budget, n_calls)


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


def _n_bytes(path: str) -> int:
    try:
        return find_file(path).identity.size
    except ImageFileError:
        return 0
