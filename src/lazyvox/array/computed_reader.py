"""Base class of readers that compute their values from other arrays."""

from abc import abstractmethod

from lazyvox._typing import override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.planning.memory import MemoryTerm

__all__ = ["ComputedReader", "steps_of"]


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
