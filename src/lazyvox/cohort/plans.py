"""The plan of a study, and what became of its runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyvox._typing import override
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.outcomes import Done, Failed
from lazyvox.cohort.runs import RunFiles
from lazyvox.planning.memory import counted, format_bytes
from lazyvox.store.files.paths import printable

__all__ = ["CohortPlan", "CohortResult", "PlannedRun"]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run, and the plan for it.

    Attributes
    ----------
    files : RunFiles
        The run, and what was found beside it.
    peak_bytes : int
        Predicted peak of memory, above what Python and the imports hold.
    bytes_read : int
        Bytes that are read of its image, in all passes.
    passes : int
        Number of passes.
    scratch_bytes : int
        Temporary disk space.
    output_bytes : int
        Disk space of the outputs, about.
    n_parts : int
        Parts that workers of a scheduler read one by one; 1 where one of them reads all.
    is_finished : bool
        Whether its outputs are complete, and made of the same inputs and parameters.
    failed : Failed or None
        Why it cannot be worked on.
    """

    files: RunFiles
    peak_bytes: int = 0
    bytes_read: int = 0
    passes: int = 0
    scratch_bytes: int = 0
    output_bytes: int = 0
    n_parts: int = 1
    is_finished: bool = False
    failed: Failed | None = None

    @property
    def is_due(self) -> bool:
        """True if there is something to do, and nothing against it."""
        return not self.is_finished and self.failed is None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "run": self.files.label,
            "bold": self.files.bold,
            "mask": self.files.mask,
            "confounds": self.files.confounds,
            "events": self.files.events,
            "peak_bytes": self.peak_bytes,
            "bytes_read": self.bytes_read,
            "passes": self.passes,
            "scratch_bytes": self.scratch_bytes,
            "output_bytes": self.output_bytes,
            "parts": self.n_parts,
            "is_finished": self.is_finished,
            "problem": None if self.failed is None else self.failed.message,
        }


@dataclass(frozen=True, slots=True)
class CohortPlan:
    """The plan of a study: all that is known before a voxel of a run is read.

    Attributes
    ----------
    out : str
        Folder of the outputs.
    options : CohortOptions
        Everything that is done to each run.
    runs : tuple of PlannedRun
        All runs, in order.
    n_workers : int
        Most runs at the same time.
    budget : int
        Bytes that they may take together; on the workers of a scheduler, each of them.
    scheduler : str
        Address of the scheduler; empty for processes of this machine.
    """

    out: str
    options: CohortOptions
    runs: tuple[PlannedRun, ...]
    n_workers: int
    budget: int
    scheduler: str = ""

    @property
    def due(self) -> list[PlannedRun]:
        """Runs that would be worked on."""
        return [one for one in self.runs if one.is_due]

    @property
    def failed(self) -> list[Failed]:
        """Runs that cannot be worked on."""
        return [one.failed for one in self.runs if one.failed is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "out": self.out,
            "budget": self.budget,
            "n_workers": self.n_workers,
            "scheduler": self.scheduler or None,
            "runs": [self._record(one) for one in self.runs],
        }

    @override
    def __str__(self) -> str:
        """Return the plan as text, a line for each run."""
        lines = [self._line(one) for one in self.runs]
        due = self.due
        n_finished = sum(one.is_finished for one in self.runs)
        lines.append(
            f"{counted(len(self.runs), 'run')}: {len(due)} to do, {n_finished} finished, {len(self.failed)} that "
            f"cannot be done"
        )
        if due:
            peak = max(one.peak_bytes for one in due)
            scratch = sum(sorted(one.scratch_bytes for one in due)[-self.n_workers :])
            place = f" on {self.scheduler}, each" if self.scheduler else ","
            lines.append(
                f"at most {self.n_workers} at a time{place} within {format_bytes(self.budget)}: peak of "
                f"one at most {format_bytes(peak)}; "
                f"{format_bytes(sum(one.bytes_read for one in due))} to read in "
                f"{_passes({one.passes for one in due})}; disk space: "
                f"{format_bytes(scratch)} for a while, about "
                f"{format_bytes(sum(one.output_bytes for one in due))} of outputs"
            )
        return "\n".join(lines)

    def _record(self, one: PlannedRun) -> dict[str, Any]:
        used = self.options.files_of(one.files)
        read = {kind: path for kind, path in used.items() if path}
        return {**one.to_dict(), **read, "unused": self._unused(one)}

    def _line(self, one: PlannedRun) -> str:
        """Return what was found for a run, and its plan."""
        if one.files.problem is not None and one.failed is not None:
            return f"{one.files.label}: cannot be done: {one.failed.message}"
        unused, used = self._unused(one), self.options.files_of(one.files)
        is_computed = self.options.computes_mask
        found = ["mask of the model computed"] if is_computed else []
        for kind in used:
            path = used[kind] or getattr(one.files, kind)
            if path:
                note = " (not used)" if kind in unused else ""
                found.append(f"{kind} {printable(Path(path).name)}{note}")
            elif kind != "events" and not (kind == "mask" and is_computed):
                found.append(f"no {kind}")
        state = "finished" if one.is_finished else f"peak {format_bytes(one.peak_bytes)}"
        if one.n_parts > 1:
            state += f"; read in {one.n_parts} parts"
        if one.failed is not None:
            state = f"cannot be done: {one.failed.message}"
        return f"{one.files.label}: {'; '.join([*found, state])}"

    def _unused(self, one: PlannedRun) -> list[str]:
        """Return the kinds of files that lie beside a run, and that nothing is asked of."""
        used = self.options.files_of(one.files)
        return [kind for kind in used if getattr(one.files, kind) and not used[kind]]


def _passes(numbers: set[int]) -> str:
    """Return how often runs are read, as in "1 pass", or "1 to 2 passes"."""
    least, most = min(numbers), max(numbers)
    shown = str(most) if least == most else f"{least} to {most}"
    return f"{shown} pass{'es' * (most > 1)} over each"


@dataclass(frozen=True, slots=True)
class CohortResult:
    """Outcome of the runs of a study.

    Attributes
    ----------
    out : str
        Folder of the outputs.
    done : tuple of Done
        Runs that were worked on.
    finished : tuple of str
        Runs that were finished before.
    failed : tuple of Failed
        Runs that failed: those of ``failures.tsv``.
    """

    out: str
    done: tuple[Done, ...]
    finished: tuple[str, ...]
    failed: tuple[Failed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        failed = [
            {"run": one.run, "file": one.file, "step": one.step, "message": one.message}
            for one in self.failed
        ]
        return {
            "out": self.out,
            "done": [one.run for one in self.done],
            "warnings": {one.run: list(one.warnings) for one in self.done if one.warnings},
            "finished_before": list(self.finished),
            "failed": failed,
        }

    @override
    def __str__(self) -> str:
        """Return the counts in one line."""
        n_remarked = sum(bool(one.warnings) for one in self.done)
        remarked = f"; {n_remarked} with warnings, listed in logs/" if n_remarked else ""
        return (
            f"{printable(self.out)}: {counted(len(self.done), 'run')} done, {len(self.finished)} "
            f"finished before, {len(self.failed)} failed{remarked}"
        )
