"""Oddities of one file, collected while its header is read and reported in one warning."""

import warnings

from lazyvox.errors import LazyvoxWarning
from lazyvox.store.files.paths import printable

__all__ = ["Findings"]


class Findings:
    """Oddities of one file.

    Warnings tell of something that was decided for the user; notes are only shown by
    ``lazyvox info``. All warnings of a file go into one `LazyvoxWarning`.
    """

    def __init__(self, path: str) -> None:
        self.shown = printable(path)
        self._warnings: list[str] = []
        self._notes: list[str] = []

    def warn(self, text: str) -> None:
        """Add a complete sentence about a decision that the user must know of."""
        self._warnings.append(text)

    def note(self, text: str) -> None:
        """Add a complete sentence that is worth showing, and no more."""
        self._notes.append(text)

    def publish(self) -> tuple[str, ...]:
        """Issue the one warning, if there is cause, and return warnings and notes as texts."""
        if self._warnings:
            msg = f"{self.shown}: {' '.join(self._warnings)}"
            warnings.warn(msg, LazyvoxWarning, stacklevel=2)
        return (*self._warnings, *self._notes)
