"""The work on one run, and its files."""

import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from socket import gethostname
from typing import Any, TypeVar, cast

from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.outcomes import Done, Failed
from lazyvox.cohort.output_names import OutputNames
from lazyvox.cohort.prepared_run import PreparedRun, Step, check_peak, prepare_run
from lazyvox.cohort.runs import RunFiles
from lazyvox.cohort.side_files import SideFacts, write_coverage, write_sidecars
from lazyvox.cohort.staging import staged
from lazyvox.connectome import Connectivity, connectivity
from lazyvox.errors import LazyvoxError, LazyvoxWarning, OutputError
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.peak import peak_memory
from lazyvox.store.files.paths import printable
from lazyvox.stream.prepared_pass import PassPart

__all__ = ["ReadPart", "RunTask", "join_parts", "read_part", "work_on"]

ResultT = TypeVar("ResultT")


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


@dataclass(frozen=True, slots=True, eq=False)
class ReadPart:
    """A part of a run that was read.

    Attributes
    ----------
    passes : tuple of PassPart
        What is known of its volumes, of each pass.
    seconds : float
        Time that it took.
    peak_bytes : int
        Memory that was measured above what the process held before.
    remarks : tuple of Warning
        Warnings on the way.
    """

    passes: tuple[PassPart, ...]
    seconds: float
    peak_bytes: int
    remarks: tuple[Warning, ...] = ()


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
    return _finished(task, share, PreparedRun.read)


def read_part(task: RunTask, number: int, n_parts: int, share: int) -> ReadPart | Failed:
    """Read a part of a run, and write nothing.

    Parameters
    ----------
    task : RunTask
        The run.
    number : int
        Number of the part.
    n_parts : int
        Number of all parts.
    share : int
        Bytes of memory.

    Returns
    -------
    ReadPart or Failed
        What is known of its volumes.
    """

    def read(step: Step) -> tuple[PassPart, ...]:
        return _prepared(task, step).read_part(number, n_parts)

    found = _measured(task, share, read)
    return found if isinstance(found, Failed) else ReadPart(*found)


def join_parts(task: RunTask, parts: Sequence[Any], share: int) -> Any:
    """Put the outputs of a run in place whose parts were read; see `work_on`.

    Parameters
    ----------
    task : RunTask
        The run.
    parts : sequence of ReadPart
        All parts, in order. The first that has another type is what became of the run.
    share : int
        Bytes of memory.

    Returns
    -------
    Done or Failed
        What became of it.
    """
    for part in parts:
        if not isinstance(part, ReadPart):
            return part
    passes = [part.passes for part in parts]
    done = _finished(task, share, lambda prepared: prepared.join(passes))
    if isinstance(done, Failed):
        return done
    return replace(
        done,
        seconds=done.seconds + sum(part.seconds for part in parts),
        peak_bytes=max(done.peak_bytes, *(part.peak_bytes for part in parts)),
        remarks=(*(one for part in parts for one in part.remarks), *done.remarks),
    )


def _finished(task: RunTask, share: int, read: Callable[[PreparedRun], None]) -> Done | Failed:
    found = _measured(task, share, lambda step: _make_outputs(task, step, read))
    return found if isinstance(found, Failed) else Done(task.run.label, *found[1:])


def _measured(
    task: RunTask, share: int, work: Callable[[Step], ResultT]
) -> tuple[ResultT, float, int, tuple[Warning, ...]] | Failed:
    """Return what work on a run returns, the time, the peak and the warnings; or its failure."""
    step, began = Step(), time.perf_counter()
    try:
        with (
            memory_budget(share),
            warnings.catch_warnings(record=True) as remarks,
            peak_memory(with_children=False) as peak,
        ):
            warnings.simplefilter("always")
            result = work(step)
    except Exception as error:  # noqa: BLE001 - the other runs go on
        if not isinstance(error, LazyvoxError):
            # Tracebacks do not travel.
            error.add_note(traceback.format_exc())
        return Failed(task.run.label, task.run.bold, step.name, error)
    told = {str(one.message): _carried(one.message) for one in remarks}
    return result, time.perf_counter() - began, peak.increment, tuple(told.values())


def _carried(remark: Warning | str) -> Warning:
    """Return a warning that travels to other processes, as those of other packages may not."""
    return remark if isinstance(remark, LazyvoxWarning) else LazyvoxWarning(str(remark))


def _prepared(task: RunTask, step: Step) -> PreparedRun:
    """Return a run that is about to be read within the budget."""
    prepared = prepare_run(task.run, task.options, step)
    step.name = "mask"
    prepared.find_mask()
    step.name = "read"
    check_peak(prepared.peak_bytes(task.options), resolve_budget(None))
    return prepared


def _make_outputs(task: RunTask, step: Step, read: Callable[[PreparedRun], None]) -> None:
    """Write all files into a folder of their own, then put them in place."""
    if not Path(task.out).is_dir():
        msg = (
            f"{printable(task.out)}: the folder of the outputs must be there for every worker. "
            f"There is none on {gethostname()}."
        )
        raise OutputError(msg, hint="Choose one on a disk that all of them share.")
    names = OutputNames.of(task.run, task.options)
    prepared = _prepared(task, step)
    read(prepared)
    table = None if prepared.quality is None else prepared.quality.table()
    signals = prepared.signals()
    step.name = "matrix"
    matrices: dict[tuple[str, str], Connectivity] = {}
    for atlas, kind in names.matrices:
        held = sum(one.values.nbytes for one in signals.values())
        held += sum(one.values.nbytes for one in matrices.values())
        made: Any = connectivity(
            signals[atlas],
            cast("Any", kind),
            estimator=task.options.estimator,
            memory=max(resolve_budget(None) - held, 1),
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
