"""The last results, within a number of bytes."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["KeptResults"]

ResultT = TypeVar("ResultT")


class KeptResults(Generic[ResultT]):
    """Results by key, the least recently used dropped first. Safe for threads.

    Parameters
    ----------
    most_bytes : int
        Bytes that it keeps at most; a result that is larger is not kept.

    Examples
    --------
    >>> kept = KeptResults(10)
    >>> kept.put("a", "first", 6)
    >>> kept.put("b", "second", 6)
    >>> kept.get("a"), kept.get("b"), kept.nbytes
    (None, 'second', 6)
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[object, tuple[ResultT, int]] = OrderedDict()
        self.nbytes = 0

    def get(self, key: object) -> ResultT | None:
        """Return a result, None where it is not there."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: object, result: ResultT, nbytes: int) -> None:
        """Keep a result, and drop others for it."""
        if nbytes > self._most_bytes:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self.nbytes += nbytes - (0 if before is None else before[1])
            self._kept[key] = (result, nbytes)
            while self.nbytes > self._most_bytes:
                self.nbytes -= self._kept.popitem(last=False)[1][1]
