"""The work on one run, and its files."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any, cast

from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.output_names import OutputNames
from lazyvox.cohort.prepared_run import PreparedRun, Step, check_peak, prepare_run
from lazyvox.cohort.runs import RunFiles
from lazyvox.cohort.side_files import SideFacts, write_coverage, write_sidecars
from lazyvox.cohort.staging import staged
from lazyvox.connectome import Connectivity, connectivity
from lazyvox.errors import (
    LazyvoxError,
    OutputError,
)
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.peak import peak_memory
from lazyvox.store.files.paths import printable

__all__ = ["Done", "Failed", "RunTask", "work_on"]


@dataclass(frozen=True, slots=True)
class RunTask:
    """A run to work on.

    Attributes
    ----------
    run : RunFiles
        The run.
    options : CohortOptions
        What is asked for.
    out : str
        Folder of the dataset.
    """

    run: RunFiles
    options: CohortOptions
    out: str


@dataclass(frozen=True, slots=True)
class Done:
    """A run whose outputs are in place.

    Attributes
    ----------
    run : str
        Its entities.
    seconds : float
        Time that it took.
    peak_bytes : int
        Memory that was measured above what the process held before.
    warnings : tuple of str
        What was remarked on the way.
    """

    run: str
    seconds: float
    peak_bytes: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that failed; none of its outputs of this attempt is there.

    Attributes
    ----------
    run : str
        Its entities.
    file : str
        Its image.
    step : str
        "open", "confounds", "model", "plan", "read", "matrix", "write" or "process".
    error : Exception
        What was raised.
    """

    run: str
    file: str
    step: str
    error: Exception

    @property
    def message(self) -> str:
        """The error in one line."""
        known = isinstance(self.error, LazyvoxError)
        text = str(self.error) if known else f"{type(self.error).__name__}: {self.error}"
        return " ".join(text.split())


def work_on(task: RunTask, share: int) -> Done | Failed:
    """Read a run and put its outputs in place, all or none, within a share of the budget.

    Parameters
    ----------
    task : RunTask
        The run.
    share : int
        Bytes of memory.

    Returns
    -------
    Done or Failed
        What became of it.
    """
    step, began = Step(), time.perf_counter()
    try:
        with (
            memory_budget(share),
            warnings.catch_warnings(record=True) as remarks,
            peak_memory() as peak,
        ):
            warnings.simplefilter("always")
            _make_outputs(task, step)
    except Exception as error:  # noqa: BLE001 - the other runs go on
        return Failed(task.run.label, task.run.bold, step.name, error)
    texts = tuple(dict.fromkeys(" ".join(str(one.message).split()) for one in remarks))
    return Done(task.run.label, time.perf_counter() - began, peak.increment, texts)


def _make_outputs(task: RunTask, step: Step) -> None:
    """Write all files into a folder of their own, then put them in place."""
    if not Path(task.out).is_dir():
        msg = (
            f"{printable(task.out)}: the folder of the outputs must be there for every worker. "
            f"There is none on {gethostname()}."
        )
        raise OutputError(msg, hint="Choose one on a disk that all of them share.")
    names = OutputNames.of(task.run, task.options)
    prepared = prepare_run(task.run, task.options, step)
    step.name = "read"
    check_peak(prepared.peak_bytes(task.options), resolve_budget(None))
    prepared.read()
    table = None if prepared.quality is None else prepared.quality.table()
    signals = prepared.signals()
    step.name = "matrix"
    matrices: dict[tuple[str, str], Connectivity] = {}
    for atlas, kind in names.matrices:
        held = sum(one.values.nbytes for one in signals.values())
        held += sum(one.values.nbytes for one in matrices.values())
        made: Any = connectivity(
            signals[atlas], cast("Any", kind), memory=max(resolve_budget(None) - held, 1)
        )
        matrices[atlas, kind] = made
    step.name = "write"
    with staged(Path(task.out), task.run.label, names.paths) as stage:
        for atlas, path in names.signals.items():
            signals[atlas].save(stage / path)
        for key, path in names.matrices.items():
            matrices[key].save(stage / path)
        for atlas, path in names.coverage.items():
            write_coverage(stage / path, signals[atlas])
        if table is not None and names.qc is not None:
            table.save(stage / names.qc)
        if prepared.model is not None and prepared.fit is not None and names.model is not None:
            prepared.model.write(prepared.fit.result(), names.model, stage / names.folder)
        write_sidecars(_facts(task, prepared), names, stage)


def _facts(task: RunTask, prepared: PreparedRun) -> SideFacts:
    return SideFacts(
        task.run,
        task.options,
        task.out,
        prepared.confound_names,
        prepared.kept,
        task.options.t_r or prepared.series.grid.t_r,
    )
