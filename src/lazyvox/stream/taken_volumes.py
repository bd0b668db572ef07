"""A consumer that sees some volumes of a pass, beside others that see all of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from lazyvox._typing import Array, IntArray, override
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer, ResultT, refuse_prepass

__all__ = ["TakenVolumes"]


class TakenVolumes(Consumer[ResultT]):
    """Consumer that gets some volumes only, as a scan of these alone would give them.

    Parameters
    ----------
    consumer : Consumer
        Gets the volumes. It may not need a pass of its own.
    volumes : sequence of int
        Numbers of the volumes, ascending.

    Notes
    -----
    Memory: the consumer's.
    """

    def __init__(self, consumer: Consumer[ResultT], volumes: Sequence[int]) -> None:
        self._consumer = consumer
        self._volumes: IntArray = np.asarray(volumes, dtype=np.intp)
        self._seen: Grid | None = None
        self._inner: Grid | None = None

    def _grid(self, grid: Grid) -> Grid:
        """Return the grid of the volumes that are taken, the same object for the same series."""
        if self._seen is not grid or self._inner is None:
            before = grid.volumes or range(grid.n_volumes)
            taken = tuple(before[number] for number in self._volumes.tolist())
            self._seen = grid
            self._inner = replace(grid, n_volumes=len(taken), volumes=taken)
        return self._inner

    @override
    def check(self, grid: Grid) -> None:
        inner = self._grid(grid)
        self._consumer.check(inner)
        refuse_prepass(self._consumer, inner, "Scan these volumes alone.")

    @override
    def init(self, grid: Grid) -> None:
        self._consumer.init(self._grid(grid))

    @override
    def update(self, block: Array, start: int) -> None:
        first, stop = np.searchsorted(self._volumes, (start, start + block.shape[3])).tolist()
        here = self._volumes[first:stop] - start
        # Neighbours are a part of the block, which is no copy.
        for part in np.split(here, np.flatnonzero(np.diff(here) > 1) + 1):
            if len(part):
                self._consumer.update(block[..., part[0] : part[-1] + 1], first)
                first += len(part)

    @override
    def merge(self, other: Self) -> None:
        self._consumer.merge(other._consumer)

    @override
    def finalize(self) -> ResultT:
        return self._consumer.finalize()

    @override
    def state_bytes(self, grid: Grid) -> int:
        return self._consumer.state_bytes(self._grid(grid))

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        return self._consumer.work_bytes(self._grid(grid), block_volumes)

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        return self._consumer.scratch_bytes(self._grid(grid))

    @property
    @override
    def steps(self) -> tuple[str, ...]:
        return self._consumer.steps

    @property
    @override
    def publishes(self) -> bool:
        return self._consumer.publishes

    @override
    def abort(self) -> None:
        self._consumer.abort()

    @override
    def describe(self) -> str:
        return self._consumer.describe()
