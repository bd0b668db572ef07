"""The exceptions and warnings of lazyvox.

::

    LazyvoxError
    ├── ImageFileError (ValueError)          a file is not what an image must be
    │   ├── HeaderError                      a header field breaks its format
    │   ├── UnsupportedFormatError           a real format or data type that is not read here
    │   ├── TruncatedFileError (EOFError)    the file ends before its data do
    │   ├── CorruptFileError                 bytes are there, and wrong
    │   ├── FileChangedError (OSError)       the file is not the one that was opened
    │   ├── ReadError (OSError)              the operating system could not read
    │   ├── ImageNotFoundError (FileNotFoundError)
    │   ├── ImagePermissionError (PermissionError)
    │   └── ImageIsADirectoryError (IsADirectoryError)
    ├── GridMismatchError (ValueError)       two images do not share one voxel grid
    ├── ImageIndexError (IndexError)         an index that the array cannot take
    ├── RegionError (ValueError)             a mask, labels image or table that cannot be used
    ├── ParameterError (ValueError)          an argument outside what is allowed
    ├── ParameterTypeError (TypeError)       an argument of the wrong type
    ├── DimensionError (TypeError)           an image, or a list of them, of the wrong dimension
    ├── AccessPointError (ValueError)          an index of a gzip file that cannot be used
    ├── ScalingError (ValueError)            values that do not fit the asked data type
    ├── MemoryBudgetError (MemoryError)      no plan fits the budget
    ├── MaterializationError (RuntimeError)  a hidden full load, under `strict`
    ├── ScanCancelledError                   a scan was stopped by its `cancel`
    ├── OutputError (OSError)                a result could not be written
    │   ├── OutputExistsError (FileExistsError)
    │   └── OutputFolderError (FileNotFoundError)
    └── MissingDependencyError (ImportError) an optional package is needed

    LazyvoxWarning (UserWarning)

Every class also derives from the built-in that callers of nibabel, NumPy and the standard
library already catch.

The text of an error is its message, then its hint. A parameter stands in backticks, or with a
value, so that the command line can name its option: `t_r` becomes ``--t-r``, and ``resample=True``
becomes ``--resample``. Advice that is Python code is a `hint`, and has a `cli_hint` beside it.
"""

import re
import sys
from typing import Any, Self

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

__all__ = [
    "AccessPointError",
    "CorruptFileError",
    "DimensionError",
    "FileChangedError",
    "GridMismatchError",
    "HeaderError",
    "ImageFileError",
    "ImageIndexError",
    "ImageIsADirectoryError",
    "ImageNotFoundError",
    "ImagePermissionError",
    "LazyvoxError",
    "LazyvoxWarning",
    "MaterializationError",
    "MemoryBudgetError",
    "MissingDependencyError",
    "OutputError",
    "OutputExistsError",
    "OutputFolderError",
    "ParameterError",
    "ParameterTypeError",
    "ReadError",
    "RegionError",
    "ScalingError",
    "ScanCancelledError",
    "TruncatedFileError",
    "UnsupportedFormatError",
]


#: A parameter in a message: the whole of it, or one item.
PARAMETER = re.compile(r"`([a-z]\w*)(?:\[\d+\])?`")


class _WithHint(Exception):  # noqa: N818 - the part that errors and warnings share
    """Base of errors and warnings that keep the problem apart from the advice.

    Parameters
    ----------
    message : str, optional
        What must hold, and what was received, and where. Parameters stand in backticks.
    parameter : str, optional
        Name of the argument at fault. By default the first one that stands in backticks.
    value : object, optional
        Value of that argument, where it is short: a number, a text, a shape.
    hint : str, optional
        What to do.
    cli_hint : str, optional
        What to do on the command line. By default `hint`.

    Examples
    --------
    >>> error = ParameterError(
    ...     "`t_r` must be above 0. Got -2.", value=-2, hint="Look at the header.",
    ... )
    >>> error.parameter, error.value
    ('t_r', -2)
    >>> print(error)
    `t_r` must be above 0. Got -2. Look at the header.
    """

    def __init__(
        self,
        message: str = "",
        *,
        parameter: str | None = None,
        value: object = None,
        hint: str = "",
        cli_hint: str | None = None,
    ) -> None:
        # Pickle and copy call this with `args`, then restore the attributes.
        super().__init__(f"{message} {hint}" if hint else message)
        found = PARAMETER.search(message)
        self.message = message
        self.parameter = found[1] if parameter is None and found else parameter
        self.value = value
        self.hint = hint
        self.cli_hint = hint if cli_hint is None else cli_hint
        if isinstance(self, ImageFileError):
            join_nibabel()

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Return class, text and attributes, for copies and for other processes.

        That of exceptions is replaced by packages that send tracebacks along, as Dask does, and
        theirs cannot make an error that is a `ValueError` and an `OSError` too.
        """
        return type(self), self.args, self.__dict__

    def at(self, place: str) -> Self:
        """Return this error with the place where it arose in front of its message."""
        return type(self)(
            f"{place}: {self.message}",
            parameter=self.parameter,
            value=self.value,
            hint=self.hint,
            cli_hint=self.cli_hint,
        )

    def renamed(self, **names: str) -> Self:
        """Return this error with the names that its parameters have at another door."""

        def other(found: re.Match[str]) -> str:
            return found[0].replace(found[1], names.get(found[1], found[1]))

        return type(self)(
            PARAMETER.sub(other, self.message),
            parameter=names.get(self.parameter or "", self.parameter),
            value=self.value,
            hint=PARAMETER.sub(other, self.hint),
            cli_hint=PARAMETER.sub(other, self.cli_hint),
        )


class LazyvoxError(_WithHint):
    """Root of every error that lazyvox raises on purpose."""


class ImageFileError(LazyvoxError, ValueError):
    """A file cannot be taken as an image."""


class HeaderError(ImageFileError):
    """A header field breaks the rules of its format."""


class UnsupportedFormatError(ImageFileError):
    """The file is of a format or data type that lazyvox does not read."""


class TruncatedFileError(ImageFileError, EOFError):
    """The file ends before its data do."""


class CorruptFileError(ImageFileError):
    """The bytes of the file are damaged: a checksum, size or code does not hold."""


class FileChangedError(ImageFileError, OSError):
    """The file on disk is not the one that was opened."""


class ReadError(ImageFileError, OSError):
    """The operating system failed to read the file."""


class ImageNotFoundError(ImageFileError, FileNotFoundError):
    """No file has that name."""


class ImagePermissionError(ImageFileError, PermissionError):
    """The file may not be read by this user."""


class ImageIsADirectoryError(ImageFileError, IsADirectoryError):
    """The path names a directory, not a file."""


class GridMismatchError(LazyvoxError, ValueError):
    """Two images that must share one voxel grid do not."""


class ImageIndexError(LazyvoxError, IndexError):
    """An index that the array cannot take."""


class RegionError(LazyvoxError, ValueError):
    """A mask, a labels image or a table of regions cannot be used."""


class ParameterError(LazyvoxError, ValueError):
    """An argument is outside its allowed range."""


class ParameterTypeError(LazyvoxError, TypeError):
    """An argument is of the wrong type."""


class DimensionError(LazyvoxError, TypeError):
    """An image, or a list of images, has another number of dimensions than asked for."""


class AccessPointError(LazyvoxError, ValueError):
    """An index of a gzip file is damaged, or belongs to another file."""


class ScalingError(LazyvoxError, ValueError):
    """Values do not fit the data type that was asked for."""


class MemoryBudgetError(LazyvoxError, MemoryError):
    """No plan of the work fits the memory budget."""


class MaterializationError(LazyvoxError, RuntimeError):
    """A hidden load of a whole image was stopped by `lazyvox.strict`."""


class ScanCancelledError(LazyvoxError):
    """A scan was stopped by its `cancel` method."""


class OutputError(LazyvoxError, OSError):
    """A result could not be written; an existing file is intact."""


class OutputExistsError(OutputError, FileExistsError):
    """The output exists and overwriting was not allowed."""


class OutputFolderError(OutputError, FileNotFoundError):
    """The folder of the output does not exist."""


class MissingDependencyError(LazyvoxError, ImportError):
    """The call needs an optional package that is not installed."""


class LazyvoxWarning(_WithHint, UserWarning):
    """Something to know about an input whose data are nevertheless right."""


def join_nibabel() -> None:
    """Give the errors of files that are no images nibabel's class for a base, once it is there.

    Programs for nibabel skip such files by ``except nibabel.filebasedimages.ImageFileError``.
    Errors of missing and unreadable files are none of that class, as in nibabel.
    """
    module = sys.modules.get("nibabel.filebasedimages")
    theirs = getattr(module, "ImageFileError", None)
    if theirs is None:
        return
    for kind in (HeaderError, UnsupportedFormatError, TruncatedFileError, CorruptFileError):
        if theirs not in kind.__mro__:
            kind.__bases__ = (ImageFileError, theirs, *kind.__bases__[1:])
