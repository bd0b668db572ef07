"""Results of maskers kept on disk, found again by content, not by the names of files.

nilearn asks joblib for the hash of a path: a file that was overwritten gives the result of the one
before.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lazyvox.errors import ParameterError
from lazyvox.lazyimage.fingerprint import fingerprint
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.store.files.paths import expand_home

__all__ = ["KeptResults", "open_memory"]

ResultT = TypeVar("ResultT")


class KeptResults:
    """The cache of a masker: opened when it is fitted, or when `memory` is set afterwards."""

    memory: Any
    memory_level: int
    verbose: int
    get_params: Any
    _opened: Any

    #: Parameters that do not change the result of a transform.
    _UNKEYED: ClassVar[frozenset[str]] = frozenset(
        {"memory", "memory_level", "memory_budget", "memmap_dir", "verbose", "n_jobs", "reports"}
    )

    def _has_cache(self) -> bool:
        return self._memory().location is not None

    def _memory(self) -> Any:
        # A cache may be set after fitting, as nilearn allows.
        if self.memory is not self._opened:
            self._opened = self.memory
            self.memory_ = open_memory(self.memory, verbose=self.verbose)
        return self.memory_

    def _cached(self, compute: Callable[[], Any], key: tuple[Any, ...]) -> Any:
        """Return a result from the cache, where `memory` and `memory_level` ask for one."""
        memory = self._memory()
        if memory.location is not None and self.memory_level == 0:
            msg = (
                "`memory_level` should be at least 1 where `memory` is given. Got 0. It is set to "
                "1, and results are kept."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=4)
            self.memory_level = 1
        if memory.location is None and self.memory_level > 1:
            msg = (
                f"`memory` should be a folder where `memory_level` is above 1. Got None and "
                f"{self.memory_level}: nothing is kept."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=4)
        return cached(memory, compute, key, shelve=getattr(self, "_shelving", False) or False)

    def _key(self, what: str, img: Any, *parts: Any) -> tuple[Any, ...]:
        """Return the cache key of a result: the images, the parameters, and more."""
        if not self._has_cache():
            return ()
        options = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in self._UNKEYED
        }
        return (
            what,
            type(self).__name__,
            fingerprint(img),
            fingerprint(options),
            fingerprint(parts),
        )

    def _image_key(self, what: str, img: Any) -> tuple[Any, ...]:
        """Return the key of a result that depends on an image alone."""
        if not self._has_cache():
            return ()
        return (what, fingerprint(img))


def open_memory(memory: Any, *, verbose: int | bool = 0) -> Any:
    """Return the joblib.Memory that a `memory` parameter means.

    Parameters
    ----------
    memory : joblib.Memory, path-like or None
        None for no cache.
    verbose : int or bool
        How much joblib tells.

    Returns
    -------
    joblib.Memory
        The cache; without a location where there is none.

    Raises
    ------
    ParameterError
        If the folder that would hold the new folder does not exist.
    """
    from joblib import Memory

    if memory is None:
        return Memory(location=None, verbose=int(verbose))
    if not isinstance(memory, str | os.PathLike):
        return memory
    folder = Path(expand_home(os.fspath(memory)))
    if not folder.parent.exists():
        msg = (
            f"`memory` must name a folder, or a new one in a folder that exists. Got {memory}: "
            f"there is no folder {folder.parent}."
        )
        raise ParameterError(msg)
    return Memory(location=str(folder), verbose=int(verbose))


def cached(
    memory: Any, compute: Callable[[], ResultT], key: tuple[Any, ...], *, shelve: bool = False
) -> Any:
    """Return a result from the cache, or compute it and keep it there.

    Parameters
    ----------
    memory : joblib.Memory
        The cache.
    compute : callable
        Computes the result.
    key : tuple
        All that the result depends on; see `fingerprint`.
    shelve : bool
        Whether to return joblib's reference to the result instead.

    Returns
    -------
    object
        The result, or the reference.
    """
    if memory is None or (memory.location is None and not shelve):
        return compute()
    remembered = memory.cache(_computed, ignore=["compute"])
    if shelve:
        return remembered.call_and_shelve(key, compute)
    return remembered(key, compute)


def _computed(key: tuple[Any, ...], compute: Callable[[], ResultT]) -> ResultT:
    """Return the result of `compute`, which joblib caches under `key` alone."""
    del key
    return compute()
