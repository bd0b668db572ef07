"""Record of one method that was measured."""

from dataclasses import asdict, dataclass
from typing import Any

from lazyvox.compare.ways import Way

__all__ = ["DEFINITIONS", "DONE", "FIELDS", "Record"]

DONE = "done"

#: What each field means, for JSON, the page, and the documents.
DEFINITIONS = {
    "name": "How the method is chosen with --methods.",
    "method": "What does the work.",
    "input": "What it is given.",
    "status": (
        "'done'; 'missing: ' and the packages that are not installed; 'skipped: ' and why it was "
        "not tried; 'failed: ' and what it said."
    ),
    "seconds": (
        "Wall time from the start of the process until all results are there: the start of Python "
        "and of workers, and imports, count."
    ),
    "work_seconds": "That part of it that came after the imports of the main process.",
    "total_seconds": (
        "Wall time from the start of the process to its end, with handing the results over to be "
        "compared."
    ),
    "cpu_seconds": "Processor time of all processes together, start and imports included.",
    "peak_mib": (
        "Peak memory in MiB: the highest sample of the proportional set sizes (PSS) of all "
        "processes of the tree together, imports included, or the high-water mark of the first "
        "process less its shared pages, where that is higher. Resident sizes where the system "
        "knows no PSS."
    ),
    "high_water_mib": (
        "Sum over processes of the kernel's high-water mark of the resident size (VmHWM), in MiB: "
        "an upper bound, in which shared pages count in each process. 0 outside of Linux."
    ),
    "n_processes": "Number of processes that were seen.",
    "bytes_read": (
        "Bytes that the processes took through read calls during the work (rchar), from the page "
        "cache, from pipes between processes and from files of imported modules too; pages of "
        "mapped files are not among them."
    ),
    "storage_bytes": "Bytes that came from storage during the work (read_bytes): 0 when cached.",
    "agrees": "Whether the values are those of the reference, within the tolerance.",
    "largest_difference": "Largest difference to the reference, relative to its largest value.",
    "remark": "What else there is to say.",
}

FIELDS = tuple(DEFINITIONS)


@dataclass(frozen=True, slots=True)
class Record:
    """Costs of one method; `DEFINITIONS` explains each field.

    Attributes
    ----------
    way : Way
        Which it is.
    status : str
        How it ended.
    seconds, total_seconds, cpu_seconds, peak_mib, high_water_mib : float or None
        None where it is not known.
    n_processes, bytes_read, storage_bytes : int or None
        None where it is not known.
    agrees : bool or None
        None where there is nothing to compare with.
    largest_difference : float or None
        None where there is nothing to compare with.
    remark : str
        What else there is to say.
    work_seconds : float or None
        None where it is not known.
    """

    way: Way
    status: str
    seconds: float | None = None
    total_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_mib: float | None = None
    high_water_mib: float | None = None
    n_processes: int | None = None
    bytes_read: int | None = None
    storage_bytes: int | None = None
    agrees: bool | None = None
    largest_difference: float | None = None
    remark: str = ""
    work_seconds: float | None = None

    @property
    def is_done(self) -> bool:
        """True if there are results."""
        return self.status == DONE

    @property
    def has_failed(self) -> bool:
        """True if it was run and did not give the right values."""
        return self.status.startswith("failed") or self.agrees is False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON, in the order of `FIELDS`."""
        known = asdict(self)
        way = {"name": self.way.name, "method": self.way.method, "input": self.way.input}
        rounded = {
            name: round(value, 4) if isinstance(value, float) and name != "largest_difference"
            else value
            for name, value in {**known, **way}.items()
        }  # fmt: skip
        return {name: rounded[name] for name in FIELDS}
