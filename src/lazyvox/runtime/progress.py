"""Progress of a pass: none, a bar on stderr, or a callback."""

import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias, runtime_checkable

from lazyvox.errors import ParameterTypeError
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.resident import process_memory

__all__ = [
    "ArrayProgress",
    "CallbackProgress",
    "LineProgress",
    "NoProgress",
    "Progress",
    "ProgressLike",
    "TqdmProgress",
    "preparing",
    "progress_of_preparation",
    "resolve_progress",
]

_REFRESH_S = 0.1

#: Columns that a bar with speed and memory needs, and what is shown in fewer.
_WIDE = 100
_NARROW_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit} {remaining}"
_MOST_TEXT = 18


@runtime_checkable
class Progress(Protocol):
    """Receiver of the progress of a pass. Used by one thread at a time."""

    def start(self, total: int, unit: str, description: str) -> None:
        """Begin: `total` steps, each called `unit` in the plural ("volumes")."""

    def advance(self, n: int) -> None:
        """Report `n` further steps as done. What it raises stops the pass."""

    def close(self) -> None:
        """End, after success and after failure. May be called more than once."""


#: Receiver of the progress of what is computed before a pass.
_preparation: ContextVar[Progress | None] = ContextVar("lazyvox_preparation", default=None)

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
    """Return tqdm's bar, the one for notebooks inside of a notebook that has ipywidgets.

    Without ipywidgets, tqdm.auto warns and takes the plain bar. The class is derived so that tqdm starts no monitor thread, and creates no lock between
    processes, which would start a helper process: neither would end with the pass.
    """
    if "IPython" in sys.modules and find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:
        from tqdm.std import tqdm
    return type("Bar", (tqdm,), {"monitor_interval": 0, "_lock": threading.RLock()})


class TqdmProgress:
    """A bar on stderr with the steps, the time left and, where there is room, speed and memory."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._pending = 0
        self._shown_at = 0.0
        self._is_wide = True

    def start(self, total: int, unit: str, description: str) -> None:
        """Show the bar."""
        self.close()
        self._is_wide = _columns() >= _WIDE
        self._bar = _bar_class()(
            total=total,
            unit=f" {unit}",
            desc=_shortened(description),
            file=sys.stderr,
            mininterval=0,
            miniters=1,
            ncols=None if self._is_wide else _columns(),
            bar_format=None if self._is_wide else _NARROW_FORMAT,
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
        if self._is_wide:
            self._bar.set_postfix_str(f"mem {format_bytes(process_memory())}", refresh=False)
        self._bar.update(self._pending)
        self._pending, self._shown_at = 0, time.monotonic()

    def close(self) -> None:
        """Draw the last state and leave it on the screen."""
        self._show()
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def _columns() -> int:
    """Return the width of the terminal, 80 where there is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return shutil.get_terminal_size().columns


def _shortened(text: str) -> str:
    """Return a text of at most so many characters that a bar fits beside it.

    Examples
    --------
    >>> _shortened("run.nii.gz"), _shortened("sub-01_task-rest_bold.nii.gz")
    ('run.nii.gz', 'sub-01_t...nii.gz')
    """
    return text if len(text) <= _MOST_TEXT else f"{text[:8]}...{text[-6:]}"


class LineProgress:
    """A line on stderr for each tenth that is done, for logs and other files."""

    def __init__(self) -> None:
        self._done = self._total = 0
        self._unit = self._description = ""
        self._began = 0.0
        self._is_open = False

    def start(self, total: int, unit: str, description: str) -> None:
        """Begin to count."""
        self._done, self._total, self._unit = 0, total, unit
        self._description, self._began, self._is_open = description, time.monotonic(), True

    def advance(self, n: int) -> None:
        """Count the steps, and print a line where a tenth is completed."""
        before = self._tenths()
        self._done += n
        if self._tenths() > before:
            self._print()

    def close(self) -> None:
        """End; a line was printed for the last tenth."""
        self._is_open = False

    def _tenths(self) -> int:
        return 10 * self._done // max(self._total, 1)

    def _print(self) -> None:
        percent = 100 * self._done // max(self._total, 1)
        seconds = time.monotonic() - self._began
        if sys.stderr is not None and self._is_open:
            sys.stderr.write(
                f"lazyvox: {self._description}: {percent} %, {self._done} of {self._total} "
                f"{self._unit}, {seconds:.0f} s\n"
            )
            sys.stderr.flush()


class ArrayProgress:
    """Reports the values of an array as volumes, or as MiB where it is one volume.

    Parameters
    ----------
    receiver : Progress
        Whom to report to.
    shape : tuple of int
        Shape of the array.
    itemsize : int
        Bytes of a value.
    n_passes : int, default=1
        How often it is read.

    Examples
    --------
    >>> report = resolve_progress(lambda done, total: print(f"{done} of {total}"))
    >>> volumes = ArrayProgress(report, (4, 4, 4, 3), 4)
    >>> volumes.start("run.nii.gz")
    >>> volumes.advance(100)
    1 of 3
    """

    def __init__(
        self, receiver: Progress, shape: tuple[int, ...], itemsize: int, n_passes: int = 1
    ) -> None:
        n_volumes = math.prod(shape[3:])
        n_mebibytes = -(-math.prod(shape) * itemsize >> 20) if n_volumes < 2 else 0
        self._receiver = receiver
        self._unit = "volumes" if n_volumes > 1 else "MiB"
        self._n_values = max(math.prod(shape), 1) * n_passes
        self._n_units = max(n_mebibytes or n_volumes, 1) * n_passes
        self._done = 0

    def start(self, description: str) -> None:
        """Begin."""
        self._receiver.start(self._n_units, self._unit, description)

    def advance(self, n_values: int) -> None:
        """Report so many further values; units are reported when they are complete."""
        before = self._done * self._n_units // self._n_values
        self._done += n_values
        self._receiver.advance(self._done * self._n_units // self._n_values - before)

    def close(self) -> None:
        """End, after success and after failure."""
        self._receiver.close()


@contextmanager
def preparing(receiver: Progress) -> Iterator[None]:
    """Context in which what is computed before a pass, such as a spool, reports its progress."""
    token = _preparation.set(receiver)
    try:
        yield
    finally:
        _preparation.reset(token)


def progress_of_preparation() -> Progress:
    """Return the receiver of the progress of what is computed before a pass."""
    return _preparation.get() or NoProgress()


def _is_interactive() -> bool:
    """Return whether a bar can be redrawn: on a terminal, and in a notebook."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal or "IPython" in sys.modules


def resolve_progress(progress: ProgressLike) -> Progress:
    """Return whom to tell about progress.

    Parameters
    ----------
    progress : bool, Progress, callable or None
        None and False report nothing; True shows a bar on stderr or, where that is no terminal,
        a line for each tenth; an object with `start`, `advance` and `close` is taken as it is; a
        function is called with (done, total).

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
        return TqdmProgress() if _is_interactive() else LineProgress()
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
