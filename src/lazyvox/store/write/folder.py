"""A folder that appears with all of its files, or not at all."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from lazyvox.errors import OutputError, OutputExistsError, OutputFolderError
from lazyvox.store.files.paths import printable
from lazyvox.store.files.temporary import temporary_beside

__all__ = ["AtomicFolder", "check_folder"]


def check_folder(path: str, *, overwrite: bool) -> None:
    """Raise unless a folder can be made, or its files be replaced.

    Parameters
    ----------
    path : str
        The folder.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    OutputExistsError
        If it exists and may not, or is a file.
    OutputFolderError
        If the folder that it would be in does not exist.
    """
    target = Path(path)
    if target.exists() and not (overwrite and target.is_dir()):
        what = "exists" if target.is_dir() else "is a file"
        msg = f"{printable(path)}: the folder to write must be new. It {what}."
        raise OutputExistsError(
            msg, hint="Pass overwrite=True to replace files in it, or name another one."
        )
    if not target.absolute().parent.is_dir():
        msg = f"{printable(path)}: the folder that it goes into must exist. It does not."
        raise OutputFolderError(msg, hint="Make it first.")


class AtomicFolder:
    """Context of files that are written beside a folder, and put in its place at the end.

    A folder that exists keeps its other files: those written replace the ones of their names, one
    after the other. When anything fails before, nothing has changed.

    Parameters
    ----------
    path : str
        The folder.
    overwrite : bool
        Whether it may exist.
    """

    def __init__(self, path: str, *, overwrite: bool) -> None:
        self._target = Path(path).absolute()
        self._overwrite = overwrite
        self._temp = temporary_beside(self._target)

    def __enter__(self) -> Self:
        """Make a temporary folder."""
        check_folder(str(self._target), overwrite=self._overwrite)
        try:
            self._temp.mkdir()
        except OSError as error:
            raise self._error(error) from error
        return self

    def path(self, name: str) -> Path:
        """Return where a file is to be written."""
        return self._temp / name

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the files in their place, or remove them after an error."""
        try:
            if error is None:
                self._publish()
        except OSError as failure:
            raise self._error(failure) from failure
        finally:
            shutil.rmtree(self._temp, ignore_errors=True)

    def _publish(self) -> None:
        if not self._target.exists():
            self._temp.rename(self._target)
            return
        for written in sorted(self._temp.iterdir()):
            written.replace(self._target / written.name)

    def _error(self, error: OSError) -> OutputError:
        msg = f"{printable(str(self._target))}: the folder cannot be written: {error.strerror}."
        return OutputError(msg)
