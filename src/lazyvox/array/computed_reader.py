"""Readers whose values are computed from other arrays: what lies below them, and what that takes."""

from abc import ABC, abstractmethod

from lazyvox.array.lazy_array import LazyArray

__all__ = ["DerivedReader", "scratch_bytes", "session_bytes", "unread_sources"]


class DerivedReader(ABC):
    """A reader of values that are made of those of other arrays."""

    __slots__ = ()

    @property
    @abstractmethod
    def sources_below(self) -> tuple[LazyArray, ...]:
        """What the values are made of."""

    @property
    @abstractmethod
    def session_bytes(self) -> int:
        """Bytes that reading holds besides what it returns."""

    @property
    def unread_sources(self) -> tuple[LazyArray, ...]:
        """Those of `sources_below` that reading reads."""
        return self.sources_below

    @property
    def scratch_bytes(self) -> int:
        """Bytes of temporary files that it makes itself."""
        return 0

    @property
    def reads_before(self) -> tuple[LazyArray, ...]:
        """What it has to read to its end before its first value is there."""
        return ()


def unread_sources(array: LazyArray) -> tuple[LazyArray, ...]:
    """Return the arrays that reading an array reads.

    Parameters
    ----------
    array : LazyArray
        Any lazy array.

    Returns
    -------
    tuple of LazyArray
        Empty for the array of a file, and for what is computed once and was.
    """
    reader = array.reader
    return reader.unread_sources if isinstance(reader, DerivedReader) else ()


def session_bytes(array: LazyArray) -> int:
    """Return the bytes that reading an array holds besides what it returns: those of its stages.

    Parameters
    ----------
    array : LazyArray
        Any lazy array.

    Returns
    -------
    int
        0 for the array of a file.
    """
    reader = array.reader
    return reader.session_bytes if isinstance(reader, DerivedReader) else 0


def scratch_bytes(array: LazyArray) -> int:
    """Return the bytes of temporary files that reading an array makes: those of its spools.

    Parameters
    ----------
    array : LazyArray
        Any lazy array.

    Returns
    -------
    int
        0 for the array of a file.
    """
    reader = array.reader
    own = reader.scratch_bytes if isinstance(reader, DerivedReader) else 0
    return own + sum(scratch_bytes(source) for source in unread_sources(array))
