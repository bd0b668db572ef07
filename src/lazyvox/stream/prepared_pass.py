"""A pass that is prepared once: its blocks, its consumers, its plan; and the run of it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import lcm
from pathlib import Path
from typing import Any

from lazyvox._threads import Workers
from lazyvox.array.block_reading import Block, BlockReading, prepare_reading
from lazyvox.array.prerequisites import fill_spools
from lazyvox.errors import ParameterError, ScanCancelledError
from lazyvox.lazyimage.reading_plan import plan_passes
from lazyvox.lazyimage.series import Grid, Series
from lazyvox.planning.blocks import Costs
from lazyvox.planning.memory import MemoryTerm, sum_terms
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import memory_budget
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.logs import log_info
from lazyvox.runtime.memory_errors import explained_shortage
from lazyvox.runtime.progress import NoProgress, Progress, preparing
from lazyvox.stream.consumer import Consumer

__all__ = ["PassPart", "PreparedPass", "feed_consumers", "prepare_pass"]


@dataclass(frozen=True, slots=True, eq=False)
class PassPart:
    """States of all consumers after a part of a pass; they pickle, and hold no voxels.

    Attributes
    ----------
    volumes : range
        The volumes that were read.
    states : tuple
        `Consumer.state` of each consumer.
    """

    volumes: range
    states: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPass:
    """A pass over a series for some consumers, not begun. Made by `prepare_pass`.

    Attributes
    ----------
    series : Series
        The array that is read, and its grid.
    consumers : tuple of Consumer
        The consumers, each of which holds its state: a pass runs once at a time.
    prepass : BlockReading or None
        The pass for consumers of results that others need first, where there are any.
    main : BlockReading
        The pass for all consumers.
    first : tuple
        For each consumer the one whose result it needs first, or None.
    plan : Plan
        Passes, bytes, blocks and the terms of the predicted peak.
    """

    series: Series
    consumers: tuple[Consumer[Any], ...]
    prepass: BlockReading | None
    main: BlockReading
    first: tuple[Consumer[Any] | None, ...] = field(repr=False)
    plan: Plan

    def run(
        self, progress: Progress | None = None, cancelled: threading.Event | None = None
    ) -> list[Any]:
        """Read the series, and return the results of the consumers, in their order.

        Parameters
        ----------
        progress : Progress, optional
            Receives the number of volumes done.
        cancelled : threading.Event, optional
            Once set, the pass stops at its next block.

        Returns
        -------
        list
            The result of each consumer.

        Raises
        ------
        ImageFileError
            If a file is damaged, ends early or changed; no output is left.
        ScanCancelledError
            If `cancelled` was set meanwhile.
        """
        stop_if_planning(self.plan)
        reporter = progress or NoProgress()
        stop = cancelled or threading.Event()
        n_passes = 1 if self.prepass is None else 2
        name = Path(self.plan.source).name
        log_info("pass over %s: %s", self.plan.source, self.plan.summary)
        try:
            with explained_shortage(self.plan.peak_bytes, self.plan.budget):
                with preparing(reporter):
                    fill_spools(self.series.array)
                reporter.start(n_passes * self.series.grid.n_volumes, "volumes", name)
                if self.prepass is not None:
                    needed = [consumer for consumer in self.first if consumer is not None]
                    results = iter(self._run_one(self.prepass, needed, reporter, stop))
                    for consumer, before in zip(self.consumers, self.first, strict=True):
                        if before is not None:
                            consumer.configure(next(results))
                return self._run_one(self.main, self.consumers, reporter, stop)
        finally:
            reporter.close()

    def cuts(self, n_parts: int) -> list[range]:
        """Return the volumes of parts that other processes may read, and `finish` puts together.

        Parameters
        ----------
        n_parts : int
            Most parts.

        Returns
        -------
        list of range
            All volumes in one part, where a consumer must see them all, a file cannot be entered in
            the middle, or something is read before.
        """
        grid = self.series.grid
        step = lcm(*(consumer.part_step(grid) for consumer in self.consumers))
        whole = range(grid.n_volumes)
        if not step or self.prepass is not None or not self.series.array.reader.can_be_entered:
            return [whole]
        n_steps = -(-grid.n_volumes // step)
        n_parts = max(min(n_parts, n_steps), 1)
        starts = [step * (n_steps * part // n_parts) for part in range(n_parts)]
        return [whole[slice(*ends)] for ends in pairwise([*starts, grid.n_volumes])]

    def run_part(self, volumes: range) -> PassPart:
        """Read some volumes, and return what is known of them.

        Parameters
        ----------
        volumes : range
            One of `cuts`.

        Returns
        -------
        PassPart
            States of the consumers, for `finish` of an equal pass in any process.

        Raises
        ------
        ImageFileError
            If a file is damaged, ends early or changed.
        """
        log_info("volumes %s of %s", volumes, self.plan.source)
        with (
            explained_shortage(self.plan.peak_bytes, self.plan.budget),
            self._begun(self.consumers),
        ):
            feed_consumers(
                self.main.part(volumes),
                self.consumers,
                progress=NoProgress(),
                cancelled=threading.Event(),
                first=volumes.start,
            )
            return PassPart(volumes, tuple(consumer.state() for consumer in self.consumers))

    def finish(self, parts: Sequence[PassPart]) -> list[Any]:
        """Return the results of the consumers, in their order, from parts that were read.

        Parameters
        ----------
        parts : sequence of PassPart
            All parts, in order.

        Returns
        -------
        list
            The results of `run`, bit for bit.

        Raises
        ------
        ParameterError
            If parts are missing.
        """
        seen = [number for part in parts for number in part.volumes]
        if seen != list(range(self.series.grid.n_volumes)):
            msg = f"`parts` must be all volumes in order. Got {[part.volumes for part in parts]}."
            raise ParameterError(msg)
        with (
            explained_shortage(self.plan.peak_bytes, self.plan.budget),
            self._begun(self.consumers),
        ):
            for part in parts:
                for consumer, state in zip(self.consumers, part.states, strict=True):
                    consumer.absorb(state)
            return _finalized(self.consumers)

    def _run_one(
        self,
        reading: BlockReading,
        consumers: Sequence[Consumer[Any]],
        progress: Progress,
        cancelled: threading.Event,
    ) -> list[Any]:
        with self._begun(consumers):
            feed_consumers(reading, consumers, progress=progress, cancelled=cancelled)
            return _finalized(consumers)

    @contextmanager
    def _begun(self, consumers: Sequence[Consumer[Any]]) -> Iterator[None]:
        """Initialise consumers, which give up what they hold if anything fails."""
        try:
            for consumer in consumers:
                consumer.init(self.series.grid)
            yield
        except BaseException:
            for consumer in consumers:
                consumer.abort()
            raise


def _finalized(consumers: Sequence[Consumer[Any]]) -> list[Any]:
    # Files appear when nothing but their own disk can fail any more.
    order = sorted(range(len(consumers)), key=lambda i: consumers[i].publishes)
    results = {i: consumers[i].finalize() for i in order}
    return [results[i] for i in range(len(consumers))]


def prepare_pass(
    series: Series, consumers: Sequence[Consumer[Any]], *, budget: int, n_jobs: int = 1
) -> PreparedPass:
    """Return a pass over a series, with its plan; reads no voxel of it.

    Parameters
    ----------
    series : Series
        What is read.
    consumers : sequence of Consumer
        At least one.
    budget : int
        Bytes that may be allocated.
    n_jobs : int, default=1
        Threads for the consumers, and files of a list that are decoded at a time.

    Returns
    -------
    PreparedPass
        The pass.

    Raises
    ------
    MemoryBudgetError
        If no blocks fit the budget; names the smallest budget that does.
    ParameterError
        If there is no consumer.
    """
    if not consumers:
        msg = "a scan needs at least one consumer. Call scan.add(...) first."
        raise ParameterError(msg)
    # Masks, maps and spheres are read while planning: they see the budget too.
    with memory_budget(budget):
        return _prepared(series, consumers, budget, n_jobs)


def _prepared(
    series: Series, consumers: Sequence[Consumer[Any]], budget: int, n_jobs: int
) -> PreparedPass:
    grid, array = series.grid, series.array
    for consumer in consumers:
        consumer.check(grid)
        consumer.lean_on(consumers)
    first = tuple(consumer.prepass(grid) for consumer in consumers)
    needed = [consumer for consumer in first if consumer is not None]
    groups = [group for group in (needed, consumers) if group]
    readings = [
        prepare_reading(
            array, _costs(group, grid, n_jobs), budget, dtype=grid.dtype, n_jobs=n_jobs
        )
        for group in groups
    ]
    most = max((one.memory for one in readings), key=sum_terms)
    plan = plan_passes(
        series.array,
        len(readings),
        replace(readings[-1].layout, memory=most),
        budget,
        dtype=readings[-1].dtype,
        consumers=[(consumer.describe(), consumer.state_bytes(grid)) for consumer in consumers],
        files_bytes=sum(consumer.scratch_bytes(grid) for consumer in consumers),
        steps=[step for consumer in consumers for step in consumer.steps],
    )
    prepass = readings[0] if needed else None
    return PreparedPass(series, tuple(consumers), prepass, readings[-1], first, plan)


def _costs(consumers: Sequence[Consumer[Any]], grid: Grid, n_jobs: int) -> Costs:
    """Return the memory of consumers, as many of which work at a time as there are threads."""

    def work(block_volumes: int) -> tuple[MemoryTerm, ...]:
        each = [
            MemoryTerm("work", consumer.work_bytes(grid, block_volumes), consumer.describe())
            for consumer in consumers
        ]
        each.sort(key=lambda term: term.nbytes, reverse=True)
        return tuple(term for term in each[: max(n_jobs, 1)] if term.nbytes)

    return Costs(
        tuple(
            MemoryTerm("state and result", consumer.state_bytes(grid), consumer.describe())
            for consumer in consumers
        ),
        work,
        takes_slabs=all(consumer.takes_slabs for consumer in consumers),
    )


def feed_consumers(
    reading: BlockReading,
    consumers: Sequence[Consumer[Any]],
    *,
    progress: Progress,
    cancelled: threading.Event,
    first: int = 0,
) -> None:
    """Show every block of an array to every consumer, in order; each byte is decoded once.

    Consumers are spread over the threads of the pass, each always sees its blocks in order. An
    error, wherever it comes from, ends the pass; no thread is left.

    Parameters
    ----------
    reading : BlockReading
        The pass.
    consumers : sequence of Consumer
        Initialised consumers.
    progress : Progress
        Receives the number of volumes done.
    cancelled : threading.Event
        Once set, the pass stops at its next block.
    first : int, default=0
        Number of the first volume of the array among those that consumers know.
    """
    with Workers(reading.n_jobs, "lazyvox-consumer") as workers, reading.blocks(workers) as blocks:
        for block in _until_cancelled(blocks, cancelled):
            if reading.n_jobs == 1 or len(consumers) == 1:
                for consumer in consumers:
                    _update(consumer, block, reading, first)
            else:
                jobs = [workers.submit(_update, one, block, reading, first) for one in consumers]
                for job in jobs:
                    job.result()
            if block.slices.stop >= reading.array.shape[2]:
                progress.advance(len(block.volumes))


def _until_cancelled(blocks: Iterator[Block], cancelled: threading.Event) -> Iterator[Block]:
    for block in blocks:
        if cancelled.is_set():
            msg = f"the scan was cancelled before volume {block.volumes.start}."
            raise ScanCancelledError(msg)
        yield block


def _update(consumer: Consumer[Any], block: Block, reading: BlockReading, first: int) -> None:
    start = first + block.volumes.start
    try:
        if reading.is_in_slabs:
            consumer.update_slab(block.values, start, block.slices.start)
        else:
            consumer.update(block.values, start)
    except BaseException as error:
        last = start + len(block.volumes) - 1
        error.add_note(f"while {consumer.describe()} took volumes {start} to {last}")
        raise
