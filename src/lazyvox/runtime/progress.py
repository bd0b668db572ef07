"""Progress of a pass: none, a bar on stderr, or a callback."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from lazyvox.errors import ParameterTypeError
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.resident import process_memory

__all__ = [
    "CallbackProgress",
    "NoProgress",
    "Progress",
    "ProgressLike",
    "TqdmProgress",
    "resolve_progress",
]

_REFRESH_S = 0.1


@runtime_checkable
class Progress(Protocol):
    """Receiver of the progress of a pass. Used by one thread at a time."""

    def start(self, total: int, unit: str, description: str) -> None:
        """Begin: `total` steps, each called `unit` in the plural ("volumes")."""

    def advance(self, n: int) -> None:
        """Report `n` further steps as done. What it raises stops the pass."""

    def close(self) -> None:
        """End, after success and after failure. May be called more than once."""


ProgressLike: TypeAlias = bool | Progress | Callable[[int, int], None] | None


class NoProgress:
    """Report nothing."""

    def start(self, total: int, unit: str, description: str) -> None:
        """Ignore the begin."""

    def advance(self, n: int) -> None:
        """Ignore the steps."""

    def close(self) -> None:
        """Ignore the end."""


class CallbackProgress:
    """Call a function with the steps done and the steps in total."""

    def __init__(self, callback: Callable[[int, int], None]) -> None:
        self._callback = callback
        self._done = 0
        self._total = 0

    def start(self, total: int, unit: str, description: str) -> None:
        """Begin to count."""
        del unit, description
        self._done, self._total = 0, total

    def advance(self, n: int) -> None:
        """Call the function."""
        self._done += n
        self._callback(self._done, self._total)

    def close(self) -> None:
        """Nothing is held."""


def _bar_class() -> Any:
    """Return tqdm's bar, the one for notebooks inside of a notebook.

    The class is derived so that tqdm starts no monitor thread, and creates no lock between
    processes, which would start a helper process: neither would end with the pass.
    """
    if "IPython" in sys.modules:
        from tqdm.auto import tqdm
    else:
        from tqdm.std import tqdm
    return type("Bar", (tqdm,), {"monitor_interval": 0, "_lock": threading.RLock()})


class TqdmProgress:
    """A bar on stderr with steps per second, the time left and the resident memory."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._pending = 0
        self._shown_at = 0.0

    def start(self, total: int, unit: str, description: str) -> None:
        """Show the bar."""
        self.close()
        self._bar = _bar_class()(
            total=total,
            unit=f" {unit}",
            desc=description,
            file=sys.stderr,
            mininterval=0,
            miniters=1,
        )
        self._pending, self._shown_at = 0, time.monotonic()

    def advance(self, n: int) -> None:
        """Count the steps; draw them at most ten times a second."""
        self._pending += n
        if time.monotonic() - self._shown_at >= _REFRESH_S:
            self._show()

    def _show(self) -> None:
        """Draw the bar with the memory as it is now."""
        if self._bar is None:
            return
        self._bar.set_postfix_str(f"mem {format_bytes(process_memory())}", refresh=False)
        self._bar.update(self._pending)
        self._pending, self._shown_at = 0, time.monotonic()

    def close(self) -> None:
        """Draw the last state and leave it on the screen."""
        self._show()
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def resolve_progress(progress: ProgressLike) -> Progress:
    """Return whom to tell about progress.

    Parameters
    ----------
    progress : bool, Progress, callable or None
        None and False report nothing; True shows a bar on stderr; an object with `start`,
        `advance` and `close` is taken as it is; a function is called with (done, total).

    Returns
    -------
    Progress
        The object to report to.

    Raises
    ------
    ParameterTypeError
        If `progress` is none of these.

    Notes
    -----
    Memory: O(1). tqdm is imported when the bar starts.

    Examples
    --------
    >>> report = resolve_progress(lambda done, total: print(f"{done} of {total}"))
    >>> report.start(3, "volumes", "mean")
    >>> report.advance(2)
    2 of 3
    """
    if progress is None or progress is False:
        return NoProgress()
    if progress is True:
        return TqdmProgress()
    given: object = progress
    if isinstance(given, Progress) and not isinstance(given, type):
        return given
    if callable(given):
        return CallbackProgress(given)
    msg = (
        f"progress must be True, False, None, a function of (done, total), or an object with "
        f"start, advance and close. Got {type(progress).__name__}."
    )
    raise ParameterTypeError(msg)
