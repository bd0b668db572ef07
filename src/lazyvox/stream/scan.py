"""`Scan`: one pass over a series that feeds every consumer."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazyvox._typing import override
from lazyvox.array.prerequisites import fill_spools
from lazyvox.array.transformed import staging_of
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.dataobj import reading_of
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import Grid, Series, as_series
from lazyvox.planning.blocks import N_BUFFERS, BlockLayout, Costs, choose_layout
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.memory_errors import explained_shortage
from lazyvox.runtime.progress import Progress, ProgressLike, resolve_progress
from lazyvox.stream.consumer import (
    Consumer,
    ConsumerLike,
    Handle,
    ResultT,
    as_consumer,
)
from lazyvox.stream.execute import run_pass

__all__ = ["Scan"]


class Scan:
    """One pass over images that feeds any number of consumers.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image; or a list of 3D and 4D images on one grid, joined along time.
    volumes : sequence of int, optional
        The volumes to take, ascending, or one boolean per volume. By default all.

    Notes
    -----
    Memory: what `plan` predicts, and never more than the budget. The file is decoded once,
    however many consumers there are; one that needs an extra pass says so in the plan.

    Examples
    --------
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> mean = scan.add(lv.Mean())
    >>> region = scan.add(lv.Voxels("mask.nii.gz"))
    >>> scan.run(memory="64MiB")
    >>> mean.result().shape, region.result().shape[0]
    ((12, 14, 10), 40)
    """

    def __init__(
        self,
        imgs: ImageLike | Sequence[ImageLike] | Series,
        *,
        volumes: Sequence[int] | None = None,
    ) -> None:
        self._series: Series = as_series(imgs, volumes)
        self._handles: list[Handle[Any]] = []
        self._cancelled = threading.Event()

    @override
    def __repr__(self) -> str:
        """Show the shape of the series and what hangs on the scan; read nothing."""
        shape = (*self.grid.shape, self.grid.n_volumes)
        names = ", ".join(handle.consumer.describe() for handle in self._handles)
        return f"<Scan of shape {shape}: {names or 'no consumer yet'}>"

    @property
    def grid(self) -> Grid:
        """Grid, number of volumes and data type of what is scanned."""
        return self._series.grid

    def add(self, consumer: ConsumerLike[ResultT]) -> Handle[ResultT]:
        """Hang a consumer on the pass.

        Parameters
        ----------
        consumer : Consumer
            One of lazyvox's consumers, or an object of a class of your own with ``init(grid)``,
            ``update(block, start)``, ``merge(other)``, ``finalize()`` and ``state_bytes(grid)``.

        Returns
        -------
        Handle
            Its ``result()`` is the consumer's result once the scan has run.

        Raises
        ------
        ParameterTypeError
            If one of the functions is missing.
        ParameterError
            If this very object hangs on the scan already.
        """
        if isinstance(consumer, type) or not isinstance(consumer, ConsumerLike):
            msg = (
                "a consumer must be an object with init(grid), update(block, start), "
                f"merge(other), finalize() and state_bytes(grid). Got {consumer!r}."
            )
            raise ParameterTypeError(msg)
        if any(handle.given is consumer for handle in self._handles):
            msg = (
                f"a consumer hangs on a scan once, as it holds one state. Got {consumer!r} again: "
                f"keep the handle of the first time, or make a second object."
            )
            raise ParameterError(msg)
        handle = Handle(as_consumer(consumer), consumer)
        self._handles.append(handle)
        return handle

    def plan(self, memory: int | str | None = None, n_jobs: int = 1) -> Plan:
        """Return what a run would do and need; reads no voxel of the series.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``. By default a quarter of the available memory, at most
            2 GiB, or what `lazyvox.memory_budget` set.
        n_jobs : int, default=1
            Threads for the consumers, as in scikit-learn, and files of a list that are decoded at
            a time. Of one file, one more thread decodes.

        Returns
        -------
        Plan
            The plan.

        Raises
        ------
        MemoryBudgetError
            If no plan fits the budget; names the smallest budget that does.
        ParameterError
            If no consumer was added.
        """
        if not self._handles:
            msg = "a scan needs at least one consumer. Call scan.add(...) first."
            raise ParameterError(msg)
        budget = resolve_budget(memory)
        consumers = [handle.consumer for handle in self._handles]
        n_threads = resolve_n_jobs(n_jobs)
        layouts = [
            self._layout(group, budget, n_threads)
            for group in (self._prepass_consumers(consumers), consumers)
            if group
        ]
        return self._describe(layouts, consumers, budget, n_threads)

    def explain(self, memory: int | str | None = None, n_jobs: int = 1) -> str:
        """Return the plan as text; reads no voxel of the series.

        Parameters
        ----------
        memory : int or str, optional
            Budget, as for `plan`.
        n_jobs : int, default=1
            Threads for the consumers.

        Returns
        -------
        str
            Passes, bytes, block, buffers, predicted peak.
        """
        return self.plan(memory, n_jobs).explain()

    def run(
        self,
        memory: int | str | None = None,
        n_jobs: int = 1,
        progress: ProgressLike = None,
    ) -> None:
        """Read the series once and fill the results of all consumers.

        Parameters
        ----------
        memory : int or str, optional
            Budget, as for `plan`.
        n_jobs : int, default=1
            Threads for the consumers, as in scikit-learn, and files of a list that are decoded at
            a time. Of one file, one more thread decodes.
        progress : bool or callable, optional
            True shows a bar on stderr; a callable gets (volumes done, volumes in all).

        Raises
        ------
        MemoryBudgetError
            If no plan fits the budget; nothing was read.
        ImageFileError
            If the file is damaged, ends early or changed; no result is set, no output is left.
        ScanCancelledError
            If `cancel` was called meanwhile.
        """
        plan = self.plan(memory, n_jobs)
        stop_if_planning(plan)
        # A new one: clearing takes a lock that an interrupt may have left taken.
        self._cancelled = threading.Event()
        for handle in self._handles:
            handle.clear()
        consumers = [handle.consumer for handle in self._handles]
        n_threads = resolve_n_jobs(n_jobs)
        reporter = resolve_progress(progress)
        n_passes = plan.passes - reading_of(self._series.array, 0).passes
        reporter.start(n_passes * self.grid.n_volumes, "volumes", _short(plan.source))
        try:
            with explained_shortage(plan.peak_bytes, plan.budget):
                fill_spools(self._series.array)
                self._run_prepass(consumers, plan.budget, n_threads, reporter)
                results = self._run_pass(consumers, plan.budget, n_threads, reporter)
        finally:
            reporter.close()
        for handle, result in zip(self._handles, results, strict=True):
            handle.set_result(result)

    def cancel(self) -> None:
        """Stop a run that is under way in another thread, at its next block.

        The run raises `ScanCancelledError`, leaves no thread and no output.
        """
        self._cancelled.set()

    def _run_prepass(
        self, consumers: list[Consumer[Any]], budget: int, n_jobs: int, reporter: Progress
    ) -> None:
        first = [consumer.prepass(self.grid) for consumer in consumers]
        needed = [consumer for consumer in first if consumer is not None]
        if not needed:
            return
        results = iter(self._run_pass(needed, budget, n_jobs, reporter))
        for consumer, before in zip(consumers, first, strict=True):
            if before is not None:
                consumer.configure(next(results))

    def _run_pass(
        self, consumers: list[Consumer[Any]], budget: int, n_jobs: int, reporter: Progress
    ) -> list[Any]:
        layout = self._layout(consumers, budget, n_jobs)
        try:
            for consumer in consumers:
                consumer.init(self.grid)
            run_pass(
                self._series,
                layout,
                consumers,
                n_jobs=n_jobs,
                spare=budget - layout.peak_bytes,
                progress=reporter,
                cancelled=self._cancelled,
            )
            return _results(consumers)
        except BaseException:
            for consumer in consumers:
                consumer.abort()
            raise

    def _prepass_consumers(self, consumers: list[Consumer[Any]]) -> list[Consumer[Any]]:
        for consumer in consumers:
            consumer.check(self.grid)
            consumer.lean_on(consumers)
        first = [consumer.prepass(self.grid) for consumer in consumers]
        return [consumer for consumer in first if consumer is not None]

    def _layout(self, consumers: list[Consumer[Any]], budget: int, n_jobs: int) -> BlockLayout:
        grid, array = self.grid, self._series.array
        staging = staging_of(array)

        def work_bytes(block_volumes: int) -> int:
            each = sorted(
                (consumer.work_bytes(grid, block_volumes) for consumer in consumers), reverse=True
            )
            # A stage has done its work before the consumers begin theirs.
            staged = 0 if staging is None else staging.reader.work_bytes(block_volumes)
            return max(sum(each[: max(n_jobs, 1)]), staged)

        held = array.reader.session_bytes if staging is None else staging.fixed_bytes
        costs = Costs(
            state_bytes=held + sum(consumer.state_bytes(grid) for consumer in consumers),
            work_bytes=work_bytes,
            takes_slabs=staging is None and all(consumer.takes_slabs for consumer in consumers),
        )
        stored = array.reader.dtype
        read: float | None = None
        if staging is not None:
            read = staging.source_volume_bytes / max(grid.n_voxels, 1)
        elif array.conversion.changes(stored) or grid.dtype != stored:
            read = stored.itemsize
        return choose_layout(
            (*grid.shape, grid.n_volumes),
            grid.dtype.itemsize,
            costs,
            budget,
            stored_itemsize=read,
        )

    def _ahead_bytes(self, layout: BlockLayout, budget: int, n_jobs: int) -> int:
        """Return what decoding ahead takes of what the budget has to spare."""
        array = self._series.array
        if staging_of(array) is not None:
            return 0
        n_files = n_jobs if layout.slab_slices == self.grid.shape[2] else 1
        spare = budget - layout.peak_bytes
        return array.reader.ahead_bytes(array.window.axes, spare, n_files)

    def _describe(
        self,
        layouts: list[BlockLayout],
        consumers: list[Consumer[Any]],
        budget: int,
        n_jobs: int,
    ) -> Plan:
        grid, array = self.grid, self._series.array
        last = layouts[-1]
        reading = reading_of(array, len(layouts))
        return Plan(
            source=array.reader.path,
            shape=(*grid.shape, grid.n_volumes),
            dtype=str(grid.dtype),
            passes=reading.passes,
            bytes_read=reading.bytes_read,
            bytes_decoded=reading.bytes_decoded,
            block_volumes=last.block_volumes,
            slab_slices=last.slab_slices,
            n_buffers=N_BUFFERS,
            buffer_bytes=last.buffer_bytes,
            block_bytes=last.block_bytes,
            consumer_bytes=tuple(
                (consumer.describe(), consumer.state_bytes(grid)) for consumer in consumers
            ),
            peak_bytes=max(
                layout.peak_bytes + self._ahead_bytes(layout, budget, n_jobs) for layout in layouts
            ),
            scratch_bytes=array.reader.scratch_bytes
            + sum(consumer.scratch_bytes(grid) for consumer in consumers),
            budget=budget,
        )


def _results(consumers: list[Consumer[Any]]) -> list[Any]:
    """Return all results; files appear when nothing but their own disk can fail any more."""
    order = sorted(range(len(consumers)), key=lambda i: consumers[i].publishes)
    results = {i: consumers[i].finalize() for i in order}
    return [results[i] for i in range(len(consumers))]


def _short(source: str) -> str:
    return Path(source).name
