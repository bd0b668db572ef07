"""Schedule of an expression of volumes: reads and computations in waves, with their buffers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lazyvox._typing import DType, Shape
from lazyvox.array.kernels import Call, Source, Step, last_uses
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.read_order import Wave, ordered, waves_of

__all__ = ["MOST_SOURCES", "Program", "program_of"]

#: Files that are decoded in step. Each has its decoder and its pieces; the fewer, the more often
#: the volume that is held goes through the processor.
MOST_SOURCES = 6


@dataclass(frozen=True, slots=True)
class Program:
    """An expression of volumes, cut into waves.

    Attributes
    ----------
    steps : tuple of Step
        The expression, in the order in which it is computed.
    shapes : tuple of tuple of int
        Shape of the value of each step.
    dtypes : tuple of numpy.dtype or None
        Type of the value of each step; None for numbers.
    waves : tuple of Wave
        What is read in step, one wave after the other.
    """

    steps: tuple[Step, ...]
    shapes: tuple[Shape, ...]
    dtypes: tuple[DType | None, ...]
    waves: tuple[Wave, ...]

    def nbytes(self, number: int) -> int:
        """Return the bytes of the value of a step."""
        return _nbytes(self.shapes[number], self.dtypes[number])

    def replaced(self, wave: Wave) -> dict[int, int]:
        """Return which values of a wave take the memory of which value that it is the last to take.

        A value is computed piece by piece, so that it may overwrite one of its own shape and type
        that is not needed behind it.
        """
        last = last_uses(wave.steps)
        uses = {
            number: last[local] for local, number in enumerate(wave.order) if number in wave.ends
        }
        found: dict[int, int] = {}
        for local, number in wave.leaves:
            for end, use in uses.items():
                same = (self.shapes[end], self.dtypes[end]) == (
                    self.shapes[number],
                    self.dtypes[number],
                )
                if same and use <= local and end not in found.values():
                    found[number] = end
                    break
        return found

    def held_bytes(self) -> list[int]:
        """Return, for each wave, the bytes of the results it takes over and of those it leaves.

        The result, which the last wave leaves, is not counted.
        """
        held: dict[int, int] = {}
        total: list[int] = []
        for wave in self.waves[:-1]:
            replaced = self.replaced(wave)
            new = {number: self.nbytes(number) for _, number in wave.leaves}
            total.append(
                sum(held.values()) + sum(new[number] for number in new if number not in replaced)
            )
            held |= new
            for number in wave.ends:
                del held[number]
        return [*total, sum(held.values())]


def program_of(steps: tuple[Step, ...], sources: Sequence[LazyArray]) -> Program:
    """Return the program of an expression of volumes.

    Parameters
    ----------
    steps : tuple of Step
        The expression.
    sources : sequence of LazyArray
        What it reads, of 3 axes each.

    Returns
    -------
    Program
        The program.
    """
    steps = ordered(steps)
    shapes: list[Shape] = []
    dtypes: list[DType | None] = []
    for step in steps:
        if isinstance(step, Source):
            shapes.append(sources[step.number].shape)
            dtypes.append(sources[step.number].dtype.newbyteorder("="))
        elif isinstance(step, Call):
            shapes.append(np.broadcast_shapes(*(shapes[i] for i in step.arguments)))
            dtypes.append(step.dtype)
        else:
            shapes.append(())
            dtypes.append(None)

    def may_join(others: Sequence[int], number: int) -> bool:
        # No compressed file is decoded at two places simultaneously, once for each. What is in memory,
        # or computed in a pass before, bears the name of a file that it does not decode.
        reader = sources[number].reader
        readers = [sources[one].reader for one in others]
        decoded = {one.path for one in readers if not one.is_random_access}
        return reader.is_random_access or reader.path not in decoded

    sizes = [_nbytes(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    waves = waves_of(steps, sizes, most_sources=MOST_SOURCES, may_join=may_join)
    return Program(steps, tuple(shapes), tuple(dtypes), waves)


def _nbytes(shape: Shape, dtype: DType | None) -> int:
    return 0 if dtype is None else math.prod(shape) * dtype.itemsize
