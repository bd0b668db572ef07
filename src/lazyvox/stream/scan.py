"""`Scan`: one pass over a series that feeds every consumer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lazyvox._typing import override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.series import Grid, Series, as_series
from lazyvox.runtime.budget import asked_budget, resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.progress import ProgressLike, resolve_progress
from lazyvox.stream.consumer import ConsumerLike, Handle, ResultT, as_consumer
from lazyvox.stream.prepared_pass import PassPart, PreparedPass, prepare_pass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.planning.plan import Plan

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
        self._prepared: tuple[object, PreparedPass] | None = None
        self._cancelled = threading.Event()

    @override
    def __repr__(self) -> str:
        """Show the shape of the series and the consumers of the scan; read nothing."""
        shape = (*self.grid.shape, self.grid.n_volumes)
        names = ", ".join(handle.consumer.describe() for handle in self._handles)
        return f"<Scan of shape {shape}: {names or 'no consumer yet'}>"

    @property
    def grid(self) -> Grid:
        """Grid, number of volumes and data type of the series."""
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
        self._prepared = None
        return handle

    def plan(self, memory: int | str | None = None, n_jobs: int = 1) -> Plan:
        """Return the plan of a run; reads no voxel of the series.

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
        return self.prepare(memory, n_jobs).plan

    def prepare(self, memory: int | str | None = None, n_jobs: int = 1) -> PreparedPass:
        """Return the pass that `run` is going to run; reads no voxel of the series.

        The pass of the last call is kept until a run has used it: what was planned is what runs.

        Parameters
        ----------
        memory : int or str, optional
            Budget, as for `plan`.
        n_jobs : int, default=1
            Threads, as for `plan`.

        Returns
        -------
        PreparedPass
            Blocks, consumers and plan.
        """
        asked = (asked_budget(memory), n_jobs)
        if self._prepared is None or self._prepared[0] != asked:
            consumers = [handle.consumer for handle in self._handles]
            made = prepare_pass(
                self._series,
                consumers,
                budget=resolve_budget(memory),
                n_jobs=resolve_n_jobs(n_jobs),
            )
            self._prepared = (asked, made)
        return self._prepared[1]

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
        prepared = self.prepare(memory, n_jobs)
        # A new one: clearing takes a lock that an interrupt may have left taken.
        self._cancelled = threading.Event()
        stop_if_planning(prepared.plan)
        self._prepared = None
        for handle in self._handles:
            handle.clear()
        self._set_results(prepared.run(resolve_progress(progress), self._cancelled))

    def finish(self, parts: Sequence[PassPart], memory: int | str | None = None) -> None:
        """Fill the results of all consumers from parts of a pass that other processes read.

        Parameters
        ----------
        parts : sequence of PassPart
            Of `PreparedPass.run_part`, all of them, in order.
        memory : int or str, optional
            Budget, as for `plan`.

        Raises
        ------
        ParameterError
            If parts are missing.
        """
        prepared, self._prepared = self.prepare(memory), None
        self._set_results(prepared.finish(parts))

    def _set_results(self, results: Sequence[Any]) -> None:
        for handle, result in zip(self._handles, results, strict=True):
            handle.set_result(result)

    def cancel(self) -> None:
        """Stop a run that is under way in another thread, at its next block.

        The run raises `ScanCancelledError`, leaves no thread and no output.
        """
        self._cancelled.set()
