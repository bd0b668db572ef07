"""Base class of readers that compute their values from other arrays."""

import math
from abc import abstractmethod

from lazyvox._typing import DType, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.errors import ParameterError
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES
from lazyvox.planning.memory import MemoryTerm

#: Volumes are computed in groups of about this size: the cost of starting vanishes, and the group
#: stays near the processor.
GROUP_BYTES = TARGET_BLOCK_BYTES

#: Stages of stages: reading goes down through all of them, and Python's stack has an end.
MOST_DEEP = 80

__all__ = [
    "GROUP_BYTES",
    "ComputedReader",
    "steps_of",
    "volume_bytes",
]


class ComputedReader(ArrayReader):
    """A reader of values that are computed from those of other arrays."""

    __slots__ = ()

    @property
    @abstractmethod
    @override
    def sources(self) -> tuple[LazyArray, ...]:
        """Arrays that the values are computed from, at least one."""

    @property
    @override
    def path(self) -> str:
        """Path of the first source."""
        return self.sources[0].reader.path

    def __post_init__(self) -> None:
        """Refuse computed arrays that are nested deeper than can be read."""
        check_depth(self)

    @property
    def group_volumes(self) -> int:
        """Volumes that are computed at a time."""
        return 1

    @property
    @override
    def is_random_access(self) -> bool:
        """True if no source is compressed."""
        return all(source.reader.is_random_access for source in self.sources)

    @property
    @abstractmethod
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the memory that a session holds besides the values that it returns."""

    @property
    @abstractmethod
    @override
    def step(self) -> str:
        """Name of the step that computes the values."""


def steps_of(array: LazyArray) -> tuple[str, ...]:
    """Return the names of the steps that compute an array from files, each once, in their order.

    Parameters
    ----------
    array : LazyArray
        Any lazy array.

    Returns
    -------
    tuple of str
        Empty for the array of a file.
    """
    found: dict[str, None] = {}
    seen: set[int] = set()

    def visit(reader: ArrayReader) -> None:
        if id(reader) in seen:
            return
        seen.add(id(reader))
        for source in reader.sources:
            visit(source.reader)
        if reader.step:
            found[reader.step] = None

    visit(array.reader)
    return tuple(found)


def volume_bytes(shape: Shape, dtype: DType) -> int:
    """Return the bytes of one volume of an array of this shape and type."""
    return math.prod(shape[:3]) * dtype.itemsize


def check_depth(reader: ArrayReader) -> None:
    """Refuse a reader below which too many follow each other.

    Parameters
    ----------
    reader : ArrayReader
        A new reader; those below it were checked.

    Raises
    ------
    ParameterError
        If more than `MOST_DEEP` computed arrays are computed from each other.
    """
    depths: dict[int, int] = {}

    def depth(one: ArrayReader) -> int:
        if id(one) not in depths:
            below = (depth(source.reader) for source in one.sources)
            depths[id(one)] = 1 + max(below, default=-1)
        return depths[id(one)]

    if depth(reader) > MOST_DEEP:
        msg = (
            f"at most {MOST_DEEP} images may be computed from each other before one of them is "
            f"saved. Save the image and load it again: lazyvox.save(img, 'a.nii.gz')."
        )
        raise ParameterError(msg)
