"""What is known of volumes that came one after the other: sums, extremes, moments."""

import math
from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.moments import Moments

__all__ = ["ReductionSpec", "State", "new_state"]

#: Values that are reduced at a time where axes of space are: it decides how rounding errors add
#: up, and must not depend on the size of blocks.
PIECE_VALUES = 1 << 18


class ReductionSpec(Protocol):
    """Which reduction is asked for."""

    @property
    def source(self) -> LazyArray:
        """What is reduced."""

    @property
    def name(self) -> str:
        """Its name in NumPy."""

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes, ascending."""

    @property
    def ddof(self) -> int:
        """For "std" and "var"."""


class State:
    """Base of what a reduction knows after some volumes.

    Attributes
    ----------
    key : hashable
        Equal for reductions that can share one state.
    nbytes : int
        Bytes that it takes once volumes came.
    """

    key: Hashable
    nbytes: int

    @abstractmethod
    def take(self, volume: Array, number: int) -> None:
        """Take the next volume, of four axes."""

    @abstractmethod
    def result(self, name: str, ddof: int) -> Array:
        """Return a reduction, all axes kept."""


def new_state(spec: ReductionSpec, shape: Shape) -> State:
    """Return the state of a reduction before the first volume.

    Parameters
    ----------
    spec : ReductionSpec
        The reduction.
    shape : tuple of int of length 4
        Shape of what is reduced, with an axis of length 1 where it is a single volume.

    Returns
    -------
    State
        Its arrays are made with the first volume.
    """
    axes = spec.axes
    # The axis of a single volume may be reduced too: nothing changes.
    if spec.source.ndim == 3 and axes == (0, 1, 2):
        axes = (0, 1, 2, 3)
    dtype = spec.source.dtype.newbyteorder("=")
    if 3 not in axes:
        return _EachVolume(spec, axes, shape)
    if spec.name in {"std", "var"}:
        return _MomentsState(axes, shape)
    return _Accumulated(spec.name, axes, shape, dtype)


class _EachVolume(State):
    """A reduction of every volume by itself, as NumPy computes it."""

    def __init__(self, spec: ReductionSpec, axes: tuple[int, ...], shape: Shape) -> None:
        self.key = ("volume", spec.name, axes, spec.ddof)
        self._function = getattr(np, spec.name)
        self._options: dict[str, Any] = {"axis": axes, "keepdims": True}
        if spec.name in {"std", "var"}:
            self._options["ddof"] = spec.ddof
        self._shape = tuple(1 if i in axes else n for i, n in enumerate(shape))
        self._values: Array | None = None
        # NumPy's own temporary arrays among them.
        self.nbytes = 16 * math.prod(self._shape) + 2 * 8 * math.prod(shape[:3])

    @override
    def take(self, volume: Array, number: int) -> None:
        reduced = self._function(volume, **self._options)
        if self._values is None:
            self._values = np.empty(self._shape, reduced.dtype, order="F")
        self._values[..., number : number + 1] = reduced

    @override
    def result(self, name: str, ddof: int) -> Array:
        assert self._values is not None, "bug in lazyvox: a reduction of nothing"
        return self._values


class _Accumulated(State):
    """A sum or an extreme, of every voxel or over axes of space too."""

    def __init__(self, name: str, axes: tuple[int, ...], shape: Shape, dtype: DType) -> None:
        # A mean is a sum that is divided in the end.
        self._name = {"mean": "sum"}.get(name, name)
        self._dtype = _sum_dtype(dtype, name) if self._name == "sum" else dtype
        self.key = ("accumulated", self._name, axes, self._dtype)
        self._space = axes[:-1]
        self._n_values = math.prod(shape[axis] for axis in axes)
        self._total: Array | None = None
        size = math.prod(n for i, n in enumerate(shape) if i not in axes)
        self.nbytes = 3 * size * self._dtype.itemsize + 8 * PIECE_VALUES

    @override
    def take(self, volume: Array, number: int) -> None:
        for piece in _pieces(volume, self._space):
            part = self._reduced(piece)
            if self._total is None:
                self._total = np.array(part, order="F")
            else:
                _JOIN[self._name](self._total, part, out=self._total)

    def _reduced(self, piece: Array) -> Array:
        if self._name in {"any", "all"}:
            piece = piece.astype(bool, copy=False)
        if not self._space:
            return piece.astype(self._dtype) if self._total is None and self._is_sum else piece
        options = {"dtype": self._dtype} if self._is_sum else {}
        function = getattr(np, self._name)
        return np.asarray(function(piece, axis=self._space, keepdims=True, **options))

    @property
    def _is_sum(self) -> bool:
        return self._name == "sum"

    @override
    def result(self, name: str, ddof: int) -> Array:
        assert self._total is not None, "bug in lazyvox: a reduction of nothing"
        return self._total / self._n_values if name == "mean" else self._total


class _MomentsState(State):
    """Mean and sum of squared deviations, of every voxel or over axes of space too."""

    def __init__(self, axes: tuple[int, ...], shape: Shape) -> None:
        self.key = ("moments", axes)
        self._space = axes[:-1]
        self._moments: Moments | None = None
        size = math.prod(n for i, n in enumerate(shape) if i not in axes)
        # Of a part of the volume, deviations from its mean are computed.
        self.nbytes = 8 * (6 * size + (2 * PIECE_VALUES if self._space else 0))
        if self._space and 2 not in self._space:
            self.nbytes += 2 * 8 * math.prod(shape[:3])

    @override
    def take(self, volume: Array, number: int) -> None:
        if not self._space:
            if self._moments is None:
                self._moments = Moments(volume.shape[:3])
            self._moments.take(volume[..., 0], slice(0, volume.shape[2]))
            return
        for piece in _pieces(volume, self._space):
            part = Moments.of(piece, self._space)
            if self._moments is None:
                self._moments = part
            else:
                self._moments.merge(part)

    @override
    def result(self, name: str, ddof: int) -> Array:
        assert self._moments is not None, "bug in lazyvox: a reduction of nothing"
        variance = self._moments.variance(ddof)
        return np.sqrt(variance) if name == "std" else variance


_JOIN: Any = {
    "sum": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "any": np.logical_or,
    "all": np.logical_and,
}


def _pieces(volume: Array, space: tuple[int, ...]) -> list[Array]:
    """Return slabs of a volume where slices are reduced to one anyway; else the whole."""
    if 2 not in space:
        return [volume]
    step = max(PIECE_VALUES // max(volume.shape[0] * volume.shape[1], 1), 1)
    return [volume[:, :, k : k + step] for k in range(0, volume.shape[2], step)]


def _sum_dtype(dtype: DType, name: str) -> DType:
    """Return the type in which values are summed: at least float64 for means and floats."""
    if name == "mean" or dtype.kind in "fc":
        joint: DType = np.result_type(dtype, np.float64)
        return joint
    summed: DType = np.add.reduce(np.zeros(1, dtype)).dtype
    return summed
