"""All that a comparison says, as one record and as text."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazyvox._version import __version__
from lazyvox.compare.agreement import TOLERANCE
from lazyvox.compare.measuring import Measured
from lazyvox.compare.records import DEFINITIONS, FIELDS, Record
from lazyvox.extraction.table_writers import harmless_name
from lazyvox.planning.memory import format_bytes

__all__ = [
    "Comparison",
    "Source",
    "csv_text",
    "memory_text",
    "seconds_text",
    "table_text",
]

_MIB = 1 << 20
_HEADINGS = ("method", "input", "wall time", "CPU time", "peak memory", "bytes read", "agrees")


@dataclass(frozen=True, slots=True)
class Source:
    """One input, without its folder.

    Attributes
    ----------
    name : str
        Name of the file.
    shape : tuple of int
        Shape of the image.
    dtype : str
        Type of the values on disk.
    stored_bytes, decoded_bytes : int
        Size of the file, and of its values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored_bytes: int
    decoded_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Complete report of a comparison: task, inputs, machine, records.

    Attributes
    ----------
    title : str
        What was compared.
    command : str
        Name of the command.
    sources : sequence of Source
        The image or images.
    masks : sequence of str
        Names of the masks.
    n_jobs : int
        Number of worker processes.
    memory : int or None
        Budget of lazyvox's ways, in bytes.
    measured : Measured
        The records.
    machine : dict
        What it was measured on.
    """

    title: str
    command: str
    sources: Sequence[Source]
    masks: Sequence[str]
    n_jobs: int
    memory: int | None
    measured: Measured
    machine: dict[str, Any]

    @property
    def records(self) -> tuple[Record, ...]:
        """One for each way."""
        return self.measured.records

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "command": self.command,
            "version": __version__,
            "title": self.title,
            "inputs": [source.to_dict() for source in self.sources],
            "masks": list(self.masks),
            "n_jobs": self.n_jobs,
            "memory": self.memory,
            "references": list(self.measured.references),
            "tolerance": TOLERANCE,
            "records": [record.to_dict() for record in self.records],
            "definitions": DEFINITIONS,
            "machine": self.machine,
        }


def seconds_text(seconds: float | None) -> str:
    """Return a time for people.

    Examples
    --------
    >>> seconds_text(0.0123), seconds_text(1.234), seconds_text(71.23), seconds_text(None)
    ('12 ms', '1.23 s', '71.2 s', '-')
    """
    if seconds is None:
        return "-"
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def memory_text(mib: float | None) -> str:
    """Return an amount of memory for people.

    Examples
    --------
    >>> memory_text(11221.4), memory_text(62.04), memory_text(None)
    ('11.0 GiB', '62.0 MiB', '-')
    """
    return "-" if mib is None else format_bytes(mib * _MIB)


def cells_of(record: Record) -> list[str]:
    """Return the cells of a record in the table."""
    way = [record.way.method, record.way.input]
    if not record.is_done:
        return [*way, *["-"] * (len(_HEADINGS) - len(way) - 1), record.status]
    agrees = {True: "yes", False: "NO", None: "-"}[record.agrees]
    remark = f": {record.remark}" if record.remark else ""
    read = "-" if record.bytes_read is None else format_bytes(record.bytes_read)
    return [
        *way,
        seconds_text(record.seconds),
        seconds_text(record.cpu_seconds),
        memory_text(record.peak_mib),
        read,
        agrees + remark,
    ]


def table_text(comparison: Comparison) -> str:
    """Return the table for a terminal."""
    rows = [_HEADINGS, *(cells_of(record) for record in comparison.records)]
    # The last column, which may be long, is not padded.
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join([*cells, row[-1]]).rstrip()


def csv_text(comparison: Comparison) -> str:
    """Return the records as CSV; a field that is not known is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for record in comparison.records:
        writer.writerow(_csv_cell(value) for value in record.to_dict().values())
    return text.getvalue()


def _csv_cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return harmless_name(value) if isinstance(value, str) else repr(value)
