"""Base class of readers that compute their values from other arrays."""

from abc import abstractmethod

from lazyvox._typing import override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader

__all__ = ["ComputedReader", "scratch_bytes", "session_bytes"]


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
    def session_bytes(self) -> int:
        """Bytes that a session holds besides the values that it returns."""


def session_bytes(array: LazyArray) -> int:
    """Return the bytes that reading an array holds besides the values that it returns."""
    return array.reader.session_bytes


def scratch_bytes(array: LazyArray) -> int:
    """Return the bytes of temporary files that reading an array makes."""
    return array.reader.scratch_bytes
