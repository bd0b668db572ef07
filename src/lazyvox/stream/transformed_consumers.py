"""Consumers behind a transform: several ways of preparing volumes share one pass."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.array.transformed import VolumeTransform
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer, refuse_prepass

__all__ = ["Through"]


class Through(Consumer[list[Any]]):
    """Consumers that get each volume transformed: smoothed, say, or on another grid.

    Parameters
    ----------
    transform : VolumeTransform
        Function that is applied to each volume.
    consumers : sequence of Consumer
        Get the transformed volumes. None of them may need a pass of its own.
    affine : ndarray of shape (4, 4), optional
        Affine of the transformed volumes, where it is another than that of the series.

    Notes
    -----
    Memory: the consumers', one block of transformed volumes and what the transform works in. A
    scan of a transformed image does the same; this class is for passes where other consumers
    want the volumes as they are.
    """

    def __init__(
        self,
        transform: VolumeTransform,
        consumers: Sequence[Consumer[Any]],
        *,
        affine: Array | None = None,
    ) -> None:
        self._transform = transform
        self._consumers = list(consumers)
        self._affine = affine
        self._seen: Grid | None = None
        self._inner: Grid | None = None
        self._block: Array | None = None

    def _grid(self, grid: Grid) -> Grid:
        """Return the grid of the transformed volumes, the same object for the same series."""
        if self._seen is not grid or self._inner is None:
            self._seen = grid
            self._inner = grid.transformed(self._transform, self._affine)
        return self._inner

    @override
    def check(self, grid: Grid) -> None:
        inner = self._grid(grid)
        for consumer in self._consumers:
            consumer.check(inner)
            consumer.lean_on(self._consumers)
            refuse_prepass(consumer, inner, "Scan the transformed image itself.")

    @override
    def init(self, grid: Grid) -> None:
        self._block = None
        for consumer in self._consumers:
            consumer.init(self._grid(grid))

    @override
    def update(self, block: Array, start: int) -> None:
        assert self._inner is not None, "bug in lazyvox: update before init"
        n_volumes = block.shape[3]
        if self._block is None or self._block.shape[3] < n_volumes:
            shape = (*self._inner.shape, n_volumes)
            self._block = np.empty(shape, self._inner.dtype, order="F")
        out = self._block[..., :n_volumes]
        self._transform.apply([block], out)
        for consumer in self._consumers:
            consumer.update(out, start)

    @override
    def merge(self, other: Self) -> None:
        for mine, others in zip(self._consumers, other._consumers, strict=True):
            mine.merge(others)

    @override
    def finalize(self) -> list[Any]:
        self._block = None
        order = sorted(range(len(self._consumers)), key=lambda i: self._consumers[i].publishes)
        results = {i: self._consumers[i].finalize() for i in order}
        return [results[i] for i in range(len(self._consumers))]

    @override
    def state_bytes(self, grid: Grid) -> int:
        inner = self._grid(grid)
        return sum(consumer.state_bytes(inner) for consumer in self._consumers)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        inner = self._grid(grid)
        staged = block_volumes * self._transform.work_bytes((grid.shape,), (grid.dtype,))
        each = [consumer.work_bytes(inner, block_volumes) for consumer in self._consumers]
        return block_volumes * inner.volume_bytes + max([staged, *each])

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        inner = self._grid(grid)
        return sum(consumer.scratch_bytes(inner) for consumer in self._consumers)

    @property
    @override
    def steps(self) -> tuple[str, ...]:
        return (
            self._transform.name,
            *(step for consumer in self._consumers for step in consumer.steps),
        )

    @property
    @override
    def publishes(self) -> bool:
        return any(consumer.publishes for consumer in self._consumers)

    @override
    def abort(self) -> None:
        for consumer in self._consumers:
            consumer.abort()

    @override
    def describe(self) -> str:
        inner = ", ".join(consumer.describe() for consumer in self._consumers)
        return f"{self._transform.name} > {inner}"
