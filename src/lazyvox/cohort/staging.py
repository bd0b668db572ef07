"""Outputs of a run that take their places together, when the last one is complete."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lazyvox.store.files.temporary import sweep, temporary_beside

__all__ = ["UNFINISHED", "staged", "sweep_unfinished"]

UNFINISHED = ".unfinished"

#: Another process may remove the empty folder just when it is to be used.
_ATTEMPTS = 5


@contextmanager
def staged(out: Path, label: str, paths: Sequence[str]) -> Iterator[Path]:
    """Yield a folder; the files that were written there take their places at the end.

    Parameters
    ----------
    out : Path
        Folder of the dataset.
    label : str
        Name of what the files are made of. Processes that make the same at the same time have
        each a folder of its own.
    paths : sequence of str
        The files, relative to either folder.

    Yields
    ------
    Path
        The folder.
    """
    target = out / UNFINISHED / label
    sweep(target)
    stage = temporary_beside(target)
    try:
        _make(stage)
        for path in paths:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).parent.mkdir(parents=True, exist_ok=True)
        yield stage
        moved: list[str] = []
        try:
            for path in paths:
                os.replace(stage / path, out / path)  # noqa: PTH105
                moved.append(path)
        except BaseException:
            for path in moved:
                (out / path).unlink(missing_ok=True)
            raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def sweep_unfinished(out: Path, labels: Iterable[str]) -> None:
    """Remove what killed processes left, and the folder for it where nothing else is there."""
    folder = out / UNFINISHED
    if folder.is_dir():
        for label in labels:
            sweep(folder / label)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _make(folder: Path) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True)
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return
