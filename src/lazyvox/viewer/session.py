"""Everything that a server holds while it runs: the pass, the threads, the pages that are open."""

import asyncio
import threading
import time
from typing import Any

from lazyvox.errors import FileChangedError
from lazyvox.store.files.identity import SourceFile
from lazyvox.viewer.background import Background
from lazyvox.viewer.clicks import Clicks
from lazyvox.viewer.lanes import Lane, Slots
from lazyvox.viewer.opened import Opened
from lazyvox.viewer.passes import Gate

__all__ = ["Session"]

#: Volumes that are read at a time, and those that exist until they were sent.
_READING, _HELD = 2, 4

#: Requests that wait: fifty quick clicks are answered, a thousand are not.
_WAITING = 64

#: Seconds between two looks at the file.
_LOOK_S = 1.0


class Session:
    """State of a viewer.

    Parameters
    ----------
    opened : Opened
        What is shown.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.gate = Gate()
        self.background = Background(opened, self.gate)
        self.clicks = Clicks(opened, self.background)
        self.volumes = Lane("volumes", _READING, _WAITING)
        self.passes = Lane("clicks", 1, _WAITING)
        # Of its own: what is slow to read must not keep a page from knowing so.
        self.looks = Lane("state", 1, _WAITING)
        self.slots = Slots(_HELD, _WAITING)
        self.stopping = asyncio.Event()
        #: Set for every call that runs when the server stops.
        self.cancelled = threading.Event()
        self._n_pages = 0
        self._left_at: float | None = None
        self._change = ""
        self._looked_at = 0.0
        self._facts: dict[str, Any] | None = None

    def start(self) -> None:
        """Begin the pass in the background."""
        self.background.start()

    def begin_stopping(self) -> None:
        """Let streams end, and calls that run."""
        self.cancelled.set()
        self.stopping.set()

    def close(self) -> None:
        """End all threads."""
        self.begin_stopping()
        self.background.stop()
        self.passes.close()
        self.volumes.close()
        self.looks.close()

    def facts(self) -> dict[str, Any]:
        """Return `Opened.info`, which is worked out once."""
        if self._facts is None:
            self._facts = self.opened.info()
        return self._facts

    def volume(self, number: int, cancelled: threading.Event) -> bytearray | None:
        """Return a volume as a NIfTI file; None where it is no longer waited for."""
        with self.gate.first():
            if cancelled.is_set() or self.cancelled.is_set():
                return None
            return self.opened.subject.volume(number)

    def page_opened(self) -> None:
        """Count a page."""
        self._n_pages += 1

    def page_closed(self) -> None:
        """Count a page less."""
        self._n_pages -= 1
        self._left_at = time.monotonic()

    def is_left_for(self, seconds: float) -> bool:
        """Return whether there were pages, and there has been none for so long."""
        if self._n_pages or self._left_at is None:
            return False
        return time.monotonic() - self._left_at >= seconds

    def check_file(self) -> None:
        """Look whether the files are those that were opened; not more often than each second."""
        now = time.monotonic()
        if self._change or now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        for source in self.opened.subject.series.array.reader.byte_sources:
            if isinstance(source, SourceFile):
                try:
                    source.identity.check_at(source.path)
                except FileChangedError as error:
                    self.has_changed(error)
                except OSError:
                    self._change = "The file was deleted or moved since it was opened."

    def has_changed(self, error: Exception) -> None:
        """Note that a file is not the one that was opened."""
        self._change = self._change or str(error)

    def check_unchanged(self) -> None:
        """Raise `FileChangedError` if a file has changed."""
        if self._change:
            raise FileChangedError(self._change)

    def state(self) -> dict[str, Any]:
        """Return the state of pass, index and file, for JSON."""
        file = {"state": "changed" if self._change else "same", "message": self._change}
        return {**self.background.to_dict(), "click": self.clicks.progress, "file": file}
