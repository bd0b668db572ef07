"""Results that a masker keeps on disk, where `memory` and `memory_level` ask for it."""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from lazyvox.image import check_niimg
from lazyvox.maskers.caching import cached, fingerprint, open_memory
from lazyvox.maskers.parameters import MaskerWarning

__all__ = ["KeptResults"]


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
        """Return what a result depends on: the images, the parameters, and more."""
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

    def _image_key(self, what: str, imgs: Any) -> tuple[Any, ...]:
        """Return the key of a result that depends on images alone."""
        if not self._has_cache():
            return ()
        return (what, fingerprint(check_niimg(imgs)))
