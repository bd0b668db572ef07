"""Threads and file descriptors of this process, for tests that count them."""

import threading
from pathlib import Path

__all__ = ["n_descriptors", "own_threads"]


def own_threads() -> list[str]:
    """Return the names of the running threads that lazyvox started.

    Other libraries of the process have threads that come and go as they like.
    """
    return [one.name for one in threading.enumerate() if one.name.startswith("lazyvox")]


def n_descriptors() -> int:
    """Return the number of open file descriptors."""
    return sum(1 for _ in Path("/dev/fd").iterdir())
