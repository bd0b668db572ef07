"""The logger `lazyvox`: what is read, planned, written and left out.

Messages are of level INFO, and of the logger of Python's `logging` by the name ``lazyvox``. While
`logging` is not imported there is no handler for them: then nothing is formatted.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lazyvox._letters import printable_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_logged", "log_info", "logged_on_stderr"]

_NAME = "lazyvox"


def log_info(message: str, *values: object) -> None:
    """Log a message with values in the places of ``%s``; they are formatted if somebody listens."""
    logger = _logger()
    if logger is not None:
        logger.info(message, *map(_in_one_line, values), stacklevel=2)


def is_logged() -> bool:
    """Return whether somebody listens, where values of a message take time to find."""
    return _logger() is not None


@contextmanager
def logged_on_stderr() -> Iterator[None]:
    """Context in which messages are printed on stderr, each in one line."""
    import logging

    logger = logging.getLogger(_NAME)
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    handler.setFormatter(logging.Formatter("lazyvox: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _in_one_line(value: object) -> object:
    """Return a value whose text, such as the name of a file, has no line breaks."""
    return printable_text(value) if isinstance(value, str) else value


def _logger() -> Any:
    logging: Any = sys.modules.get("logging")
    # While it is being imported by another thread it has no such function yet.
    if logging is None or not hasattr(logging, "getLogger"):
        return None
    logger = logging.getLogger(_NAME)
    return logger if logger.isEnabledFor(logging.INFO) else None
