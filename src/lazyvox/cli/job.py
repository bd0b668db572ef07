"""Do the work of a command, or print its plan, and report what was written."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import click

from lazyvox._letters import printable_text
from lazyvox._typing import Shape, override
from lazyvox._version import __version__
from lazyvox.cli.settings import Settings
from lazyvox.planning.plan import Plan
from lazyvox.runtime.logs import log_info
from lazyvox.runtime.peak import PeakMemory, peak_memory
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.remote.retrying import RemoteUse, remote_use

__all__ = ["Job", "Result", "Written", "perform", "print_json"]


_LISTED_FILES = 6


class Result(Protocol):
    """A result of a command: its text for people, and its facts for JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""


@dataclass(frozen=True, slots=True)
class Written:
    """One result in a file.

    Attributes
    ----------
    path : str
        The file.
    shape : tuple of int
        Shape of the result.
    dtype : str
        Type of its values on disk.
    name : str
        Name of the region set, empty where there is none.
    """

    path: str
    shape: Shape
    dtype: str
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        facts: dict[str, Any] = {"path": self.path, "shape": self.shape, "dtype": self.dtype}
        return {**facts, "name": self.name} if self.name else facts

    @override
    def __str__(self) -> str:
        """Return the facts in one line."""
        name = f" ({printable(self.name)})" if self.name else ""
        return f"{printable(self.path)}{name}: {self.kind}"

    @property
    def kind(self) -> str:
        """Shape and type as text."""
        shape = " x ".join(str(length) for length in self.shape) or "one value"
        return f"{shape}, {self.dtype}"


@dataclass(frozen=True, slots=True)
class Job:
    """Work of a command whose arguments are checked.

    Attributes
    ----------
    command : str
        Name of the command.
    inputs : sequence of str
        Files that it reads.
    plan : callable
        Returns the plan, without reading a voxel of the series.
    work : callable
        Does the work and returns its results: what it has written, or found.
    facts : mapping
        Further keys of the JSON object.
    remark : str
        Line that is printed below the results and the plan; empty for none.
    """

    command: str
    inputs: Sequence[str]
    plan: Callable[[], Plan]
    work: Callable[[], Sequence[Result]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


def perform(job: Job, settings: Settings) -> None:
    """Do a job, or explain it, and print the result.

    Parameters
    ----------
    job : Job
        What to do.
    settings : Settings
        How to report, and the memory budget.
    """
    record: dict[str, Any] = {
        "command": job.command,
        "version": __version__,
        "inputs": [absolute_path(path) for path in job.inputs],
        **job.facts,
    }
    remarks = [printable_text(job.remark)] if job.remark else []
    with settings.budget():
        if settings.explain or settings.as_json:
            plan = job.plan()
            record["plan"] = plan.to_dict()
        if settings.explain:
            if settings.as_json:
                print_json(record)
            else:
                click.echo("\n".join([plan.explain(), *remarks]))
            return
        with ExitStack() as stack:
            # Sampling costs a little: only who asks for the number pays for it.
            peak = stack.enter_context(peak_memory()) if settings.as_json else None
            began = time.perf_counter()
            written = job.work()
            seconds = time.perf_counter() - began
    fetched = remote_use().since(settings.fetched_before)
    _log_fetched(fetched)
    if settings.as_json:
        remote = {"fetched": asdict(fetched)} if fetched.requests else {}
        print_json(record | _measured(written, seconds, peak) | remote)
    elif not settings.quiet:
        again = [f"fetched {fetched}"] if fetched.retries else []
        click.echo("\n".join([*_lines(written), *remarks, *again]))


def _log_fetched(fetched: RemoteUse) -> None:
    """Log what was fetched over a network, if anything."""
    if fetched.requests:
        log_info("fetched %s", fetched)


def print_json(record: object) -> None:
    """Print one JSON value in one line."""
    click.echo(json.dumps(record, allow_nan=False))


def _lines(written: Sequence[Result]) -> list[str]:
    """Return a line for each result; many files of one kind have one together.

    Examples
    --------
    >>> files = [Written(f"vol{number}.nii", (4, 4), "int16") for number in range(10)]
    >>> _lines(files[:2]), _lines(files)
    (['vol0.nii: 4 x 4, int16', 'vol1.nii: 4 x 4, int16'], ['10 files, vol0.nii to vol9.nii, each 4 x 4, int16'])
    """
    files = [one for one in written if isinstance(one, Written) and not one.name]
    kinds = {one.kind for one in files}
    if len(files) < max(len(written), _LISTED_FILES + 1) or len(kinds) > 1:
        return [str(one) for one in written]
    ends = f"{printable(files[0].path)} to {printable(files[-1].path)}"
    return [f"{len(files)} files, {ends}, each {files[0].kind}"]


def _measured(
    written: Sequence[Result], seconds: float, peak: PeakMemory | None
) -> dict[str, Any]:
    return {
        "outputs": [one.to_dict() for one in written],
        "seconds": round(seconds, 6),
        "peak_bytes": 0 if peak is None else peak.bytes,
        "increment_bytes": 0 if peak is None else peak.increment,
        "decoded_blocks": asdict(shared_blocks().use_of()),
    }
