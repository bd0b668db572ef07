"""`DelimitedText`: tables in text files, with any separator.

Separators, quotes, encodings, row numbers and stray separators are dealt with here, and nowhere
else.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from io import TextIOWrapper
from itertools import islice
from math import nan
from pathlib import Path
from typing import IO, NoReturn

from lazyvox._typing import PathLike
from lazyvox.errors import LazyvoxError, ParameterError
from lazyvox.store.files.identity import raise_read_error
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.opening import open_binary

__all__ = [
    "DelimitedText",
    "is_row_numbers",
    "is_unnamed",
    "open_delimited",
    "to_number",
    "to_numbers",
]

_BLANK = " "
#: In the order in which they are tried; blanks separate where nothing else does.
_SEPARATORS = ("\t", ",", ";", _BLANK)
_SEPARATOR_OF = {".tsv": "\t", ".csv": ","}
_GZIP_MAGIC = b"\x1f\x8b"
#: In the place of a line that is a comment; no cell can be it.
_COMMENT = "\0"
_UTF16_MARKS = {b"\xff\xfe", b"\xfe\xff"}
#: Values that table writers put where there is none; BIDS prescribes n/a.
_MISSING = {"", "n/a", "na", "nan", "-nan", "<na>", "#n/a", "null", "none"}
#: Title that pandas gives to the column of row numbers when it reads and writes a table again.
_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class DelimitedText:
    """A text file with one row on each line.

    Attributes
    ----------
    path : str
        The file.
    noun : str
        "a table of seeds", for messages.
    error : type of error
        Class of the errors about the content.
    separator : str
        Character between columns; a blank matches any number of blanks.
    titles : tuple of str
        First line, cell by cell; numbers from 0 on where it is a row.
    n_in_front : int
        Columns of row numbers that have no place in the line of titles, as R writes them.
    has_titles : bool
        Whether the first line holds the names of the columns.
    has_comments : bool
        Whether lines that begin with "#" are passed over.
    """

    path: str
    noun: str
    error: type[LazyvoxError]
    separator: str
    titles: tuple[str, ...]
    n_in_front: int
    has_titles: bool
    has_comments: bool

    @property
    def source(self) -> str:
        """The path, fit for messages."""
        return printable(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without those that number rows or have none."""
        return tuple(title for title in self.titles if not is_unnamed(title))

    def place(self, name: str) -> int:
        """Return the number of the cell that holds a column."""
        return self.titles.index(name) + self.n_in_front

    def without_titles(self) -> "DelimitedText":
        """Return the same table with its first line as a row."""
        numbers = tuple(str(number) for number in range(len(self.titles)))
        return replace(self, titles=numbers, n_in_front=0, has_titles=False)

    def rows(self, *, is_strict: bool = True) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and cells of every row.

        Parameters
        ----------
        is_strict : bool
            Whether short rows, and empty lines between rows, are errors. Otherwise rows may have
            fewer cells, and empty lines are passed over.

        Yields
        ------
        line : int
            Number of the line where the row begins, counted from 1.
        cells : list of str
            As many as titles, and columns in front of them; separators at the end of the line,
            beyond the last title, make none.
        """
        width = self.n_in_front + len(self.titles)
        blank = 0
        with closing(self._lines()) as lines:
            if self.has_titles:
                next(lines)
            for line, cells in lines:
                if cells == [_COMMENT]:
                    continue
                if _is_blank(cells):
                    # Empty lines at the end are harmless, between rows a volume may be missing.
                    blank = blank or line
                    continue
                if blank and is_strict:
                    self._refuse_width(blank, 0)
                if any(cells[width:]) or (is_strict and len(cells) < width):
                    self._refuse_width(line, len(cells))
                yield line, cells[:width]

    def _refuse_width(self, line: int, n_cells: int) -> NoReturn:
        msg = (
            f"{self.source}, line {line}: every row must have one value for each of the "
            f"{self.n_in_front + len(self.titles)} columns. Got {n_cells}. Correct that line."
        )
        raise self.error(msg)

    def first_lines(self) -> list[list[str]]:
        """Return the cells of the first line, and of the first row if there is one."""
        with closing(self._lines()) as lines:
            return list(islice((cells for _, cells in lines if not _is_blank(cells)), 2))

    def text_lines(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of every line, as it is."""
        with _open_text(self) as lines:
            yield from enumerate(lines, 1)

    def first_line(self) -> int:
        """Return the number of the line where the first row begins; 0 if there is none."""
        return next((line for line, _ in self.rows()), 0)

    def divides(self, separator: str) -> bool:
        """Return whether a separator divides the first line, and the first row if there is one."""
        try:
            found = replace(self, separator=separator).first_lines()
        except self.error:
            return False
        return bool(found) and all(any(cells[1:]) for cells in found)

    def _lines(self) -> Generator[tuple[int, list[str]]]:
        """Yield line number and cells of all lines, from the first that holds something."""
        begin, has_begun = 1, False
        with _open_text(self) as lines:
            reader = csv.reader(
                lines,
                delimiter=self.separator,
                strict=True,
                skipinitialspace=self.separator == _BLANK,
            )
            try:
                for cells in reader:
                    has_begun = has_begun or not _is_blank(cells)
                    if has_begun:
                        yield begin, [cell.strip() for cell in cells]
                    begin = reader.line_num + 1
            except csv.Error as error:
                msg = (
                    f"{self.source}, line {begin}: the table is malformed ({error}). A cell that "
                    f"begins with a quote must end with one, and hold it only twice in a row."
                )
                raise self.error(msg) from error


def open_delimited(
    path: PathLike,
    noun: str,
    error: type[LazyvoxError] = ParameterError,
    *,
    has_comments: bool = False,
) -> DelimitedText:
    """Return the table in a file, of which the first two rows are read.

    Parameters
    ----------
    path : path-like
        Text in UTF-8, also gzipped. Of the separators tab, comma, semicolon and blank, that one is
        taken which divides the first two lines, beginning with the one of the ending.
    noun : str
        See `DelimitedText`.
    error : type of error
        See `DelimitedText`.
    has_comments : bool
        See `DelimitedText`.

    Returns
    -------
    DelimitedText
        The table, its first line taken for titles.

    Raises
    ------
    error
        If it is empty, or no text in UTF-8.
    ImageFileError
        If it cannot be read.
    """
    full = absolute_path(path)
    own = _SEPARATOR_OF.get(Path(full.removesuffix(".gz")).suffix.lower(), "\t")
    table = DelimitedText(
        full, noun, error, own, (), 0, has_titles=True, has_comments=has_comments
    )
    divided = (
        replace(table, separator=separator)
        for separator in sorted(_SEPARATORS, key=lambda one: one != own)
        if table.divides(separator)
    )
    table = next(divided, table)
    first, *others = table.first_lines() or [[]]
    # FSL ends its lines with blanks.
    while first and not any(cell for row in [first, *others] for cell in row[len(first) - 1 :]):
        first.pop()
    is_shifted = any(
        len(row) == len(first) + 1 and row[0] in {"0", "1"} and row[-1] for row in others
    )
    if not any(first):
        msg = f"{table.source}: {noun} must have at least one row. The file is empty."
        raise error(msg)
    return replace(table, titles=tuple(first), n_in_front=int(is_shifted))


def is_unnamed(title: str) -> bool:
    """Return whether a title is missing: empty, or pandas' substitute for an empty one."""
    return not title or _UNNAMED.fullmatch(title) is not None


def is_row_numbers(cells: Sequence[str]) -> bool:
    """Return whether cells count from 0 or 1 on."""
    start = 0 if cells[0] == "0" else 1
    return all(cell == str(number) for number, cell in enumerate(cells, start))


def to_number(text: str) -> float | None:
    """Return the number in a cell, NaN where it says that there is none, None for other text."""
    try:
        # Python takes 1_000 for a number; in a table it is a typing error.
        return None if "_" in text else float(text)
    except ValueError:
        return nan if text.strip().lower() in _MISSING else None


def to_numbers(cells: Sequence[str]) -> list[float | None]:
    """Return `to_number` of each cell, in a fraction of the time where all hold numbers."""
    if "_" not in "".join(cells):
        with suppress(ValueError):
            return [*map(float, cells)]
    return [to_number(cell) for cell in cells]


def _is_blank(cells: Sequence[str]) -> bool:
    """Return whether a line holds nothing, not even a separator."""
    return not cells or (len(cells) == 1 and (not cells[0].strip() or cells[0] == _COMMENT))


@contextmanager
def _open_text(table: DelimitedText) -> Iterator[Iterator[str]]:
    """Yield the lines of a file; refuse bytes that are not UTF-8."""
    with ExitStack() as stack:
        raw = stack.enter_context(open_binary(table.path))
        start = raw.peek(2)[:2]
        if start in _UTF16_MARKS:
            _refuse_bytes(table, 1, "UTF-16")
        binary: IO[bytes] | gzip.GzipFile = raw
        if start == _GZIP_MAGIC:
            binary = stack.enter_context(gzip.GzipFile(fileobj=raw))
        text = stack.enter_context(TextIOWrapper(binary, "utf-8-sig", newline=""))
        yield _checked_lines(table, text)


def _checked_lines(table: DelimitedText, file: TextIOWrapper) -> Iterator[str]:
    line = 0
    try:
        for line, text in enumerate(file, 1):
            if "\0" in text:
                _refuse_bytes(table, line, "bytes of zero, as in UTF-16 or an image")
            is_comment = table.has_comments and text.lstrip().startswith("#")
            yield f"{_COMMENT}\n" if is_comment else text
    except UnicodeDecodeError as error:
        # Text is decoded in pieces: the error stands in one of the lines that come next.
        before = error.object[: error.start]
        _refuse_bytes(table, line + 1 + before.count(b"\n"), "other bytes")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{table.source}: the gzip data are damaged or incomplete ({error}). Copy it again."
        raise table.error(msg) from error
    except OSError as error:
        raise_read_error(error, table.path)


def _refuse_bytes(table: DelimitedText, line: int, got: str) -> NoReturn:
    msg = (
        f"{table.source}, line {line}: {table.noun} must be text in UTF-8. Got {got}. Save it as "
        f"UTF-8, and pass the table itself, not an image."
    )
    raise table.error(msg)
