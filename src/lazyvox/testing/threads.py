"""Which threads of this process are lazyvox's."""

import threading

__all__ = ["own_threads"]


def own_threads() -> list[str]:
    """Return the names of the running threads that lazyvox started.

    Other libraries of the process have threads that come and go as they like.
    """
    return [one.name for one in threading.enumerate() if one.name.startswith("lazyvox")]
