"""Outputs of the runs of a study that one result is made of, and the runs that have none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from lazyvox._typing import PathLike, override
from lazyvox.cohort.chosen_runs import find_study
from lazyvox.cohort.dataset import check_own, parameters_mark
from lazyvox.cohort.finished import FinishedOutputs
from lazyvox.cohort.runs import RunFiles, RunFilter
from lazyvox.errors import ParameterError
from lazyvox.planning.memory import counted
from lazyvox.store.files.paths import printable

__all__ = ["EFFECT", "MATRIX", "OutputSet", "find_sets", "set_lines", "shown_names"]

#: Endings of outputs that results over several runs are made of.
EFFECT, MATRIX = "_stat-effect_statmap.nii.gz", "_relmat.tsv"

_KINDS_OF = {EFFECT: "maps of models (`glm`)", MATRIX: "matrices"}


@dataclass(frozen=True, slots=True)
class OutputSet:
    """Outputs of runs that one result is made of.

    Attributes
    ----------
    name : str
        Their name without the entities that the result is over: that of the result.
    members : tuple of (str, tuple of str)
        Participants in order, and the outputs of each, relative to the dataset.
    marks : tuple of str
        Fingerprints of the outputs.
    missing : tuple of str
        Runs of this kind that have no such output.
    torn : tuple of str
        Files that belong to the outputs and were not made by the same call, or are not as it left them.
    """

    name: str
    members: tuple[tuple[str, tuple[str, ...]], ...]
    marks: tuple[str, ...]
    missing: tuple[str, ...]
    torn: tuple[str, ...] = ()

    @property
    def n_runs(self) -> int:
        """Number of outputs."""
        return sum(len(paths) for _, paths in self.members)

    @property
    def is_map(self) -> bool:
        """True if they are maps, not matrices."""
        return self.name.endswith(EFFECT)

    @property
    def space(self) -> str | None:
        """Space that the name has."""
        parts = (part.partition("-") for part in self.name.split("_"))
        return next((label for key, _, label in parts if key == "space"), None)

    def check_alike(self) -> None:
        """Refuse outputs that were made with different parameters, or of which other files are gone."""
        n_kinds = len({parameters_mark(mark) for mark in self.marks})
        if n_kinds > 1:
            msg = (
                f"{self.name}: runs must have been made with the same parameters and version. Got "
                f"{n_kinds} of them. Do the participant level of all runs again."
            )
            raise ParameterError(msg)
        if self.torn:
            msg = (
                f"{self.name}: maps must have the mask, design and variance of the call that made them. "
                f"Got {printable(self.torn[0])}, which is missing, damaged or of a later call. Do the "
                f"participant level again, with all contrasts in one call; or remove the old maps."
            )
            raise ParameterError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "name": self.name,
            "n_subjects": len(self.members),
            "n_runs": self.n_runs,
            "missing": list(self.missing),
        }

    @override
    def __str__(self) -> str:
        """Return the facts in one line."""
        subjects = counted(len(self.members), "subject")
        missing = f"; missing: {shown_names(self.missing)}" if self.missing else ""
        return f"{self.name}: {counted(self.n_runs, 'run')} of {subjects}{missing}"


def set_lines(sets: Sequence[OutputSet], missing: Sequence[str]) -> list[str]:
    """Return a line for each result, and one about runs that have no output."""
    lines = [str(one) for one in sets]
    return [*lines, f"runs without any output: {shown_names(missing)}"] if missing else lines


def shown_names(names: Sequence[str]) -> str:
    """Return some names, and how many more there are."""
    named = ", ".join(names[:5])
    return f"{named} and {len(names) - 5} more" if len(names) > 5 else named


def find_sets(
    bids_dir: PathLike | None,
    out: str,
    table: PathLike | None,
    wanted: RunFilter,
    endings: tuple[str, ...],
    over: Sequence[str],
    needed: Callable[[str], Sequence[str]],
) -> tuple[tuple[OutputSet, ...], tuple[str, ...]]:
    """Return the outputs of runs, together with those that are alike but for some entities.

    Parameters
    ----------
    bids_dir : path-like or None
        Folder of the runs.
    out : str
        Folder of the outputs.
    table : path-like or None
        Table of the runs, in place of `bids_dir`.
    wanted : RunFilter
        Labels of the runs.
    endings : tuple of str
        Endings of the names of the outputs.
    over : sequence of str
        Entities that results are over.
    needed : callable
        Returns the files that belong to an output, and are read with it.

    Returns
    -------
    sets : tuple of OutputSet
        Sorted by name.
    missing : tuple of str
        Runs that have no output at all.

    Raises
    ------
    ParameterError
        If there is no such output.
    """
    # Spaces have results of their own.
    runs = find_study(bids_dir, table, replace(wanted, may_mix_spaces=True))
    check_own(out)
    intact = _intact_outputs(runs, out)
    found: dict[str, dict[str, list[str]]] = {}
    marks: dict[str, list[str]] = {}
    torn: dict[str, list[str]] = {}
    having: dict[str, dict[RunFiles, None]] = {}
    alike: dict[Any, list[RunFiles]] = {}
    for run, outputs in intact.items():
        alike.setdefault(_kind(run, over), []).append(run)
        for path in sorted(one for one in outputs if one.endswith(endings)):
            name = _without(PurePosixPath(path).name, over)
            subject = f"sub-{run.name.get('sub')}"
            found.setdefault(name, {}).setdefault(subject, []).append(path)
            marks.setdefault(name, []).append(outputs[path])
            others = [one for one in needed(path) if outputs.get(one) != outputs[path]]
            torn.setdefault(name, []).extend(others)
            having.setdefault(name, {})[run] = None
    if not found:
        wanted_outputs = " or ".join(_KINDS_OF[ending] for ending in endings)
        msg = (
            f"`out` must hold {wanted_outputs} of the participant level. Got "
            f"{printable(out)}, which has none of {counted(len(runs), 'run')}."
        )
        raise ParameterError(msg)
    sets = []
    for name in sorted(found):
        kinds = dict.fromkeys(_kind(run, over) for run in having[name])
        every = [run for kind in kinds for run in alike[kind]]
        missing = [run.label for run in every if run not in having[name]]
        members = tuple((subject, tuple(found[name][subject])) for subject in sorted(found[name]))
        sets.append(
            OutputSet(name, members, tuple(marks[name]), tuple(missing), tuple(torn[name]))
        )
    return tuple(sets), tuple(run.label for run in intact if not intact[run])


def _intact_outputs(runs: Sequence[RunFiles], out: str) -> dict[RunFiles, dict[str, str]]:
    """Return the fingerprints of the outputs of runs, but for spaces that nothing was made in."""
    finished = FinishedOutputs(out)
    found_of = {run: finished.intact(run.label) for run in runs}
    # Such a space was not asked for.
    spaces = {run.name.get("space") for run in runs if found_of[run]}
    return {
        run: own
        for run, own in found_of.items()
        if run.problem is not None or run.name.get("space") in spaces
    }


def _without(file: str, over: Sequence[str]) -> str:
    """Return the name of an output without the entities that a result is over."""
    return "_".join(part for part in file.split("_") if part.partition("-")[0] not in over)


def _kind(run: RunFiles, over: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the entities of a run that results over others share with it."""
    return tuple(one for one in run.name.entities if one[0] not in {*over, "desc"})
