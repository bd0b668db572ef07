"""Comparison of the values that two methods returned."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lazyvox._typing import Array
from lazyvox.compare.records import Record

__all__ = ["TOLERANCE", "Difference", "compare_results", "judge"]

#: Largest difference relative to the largest value: what rounding to float32 on the way explains.
TOLERANCE = 1e-5
_BLOCK_VALUES = 1 << 20
_RANKS = ("NumPy", "nibabel", "nilearn", "lazyvox")


@dataclass(frozen=True, slots=True)
class Difference:
    """Largest difference between results.

    Attributes
    ----------
    largest : float or None
        Largest difference relative to the largest value; None where shapes differ.
    remark : str
        What is different besides that, empty where nothing is.
    """

    largest: float | None
    remark: str = ""

    @property
    def agrees(self) -> bool:
        """True if the results are the same within the tolerance."""
        return self.largest is not None and self.largest <= TOLERANCE and not self.remark


def judge(records: Sequence[Record], folders: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """Return records with the agreement of their results, and the names of the references.

    Parameters
    ----------
    records : sequence of Record
        What was tried.
    folders : sequence of Path
        Where each one's results are.

    Returns
    -------
    judged : list of Record
        In the same order.
    references : list of str
        Names of the ways that the others were compared with: one of each group.
    """
    judged, references = list(records), []
    for group in dict.fromkeys(record.way.group for record in records):
        places = [
            place
            for place, record in enumerate(records)
            if record.is_done and record.way.group == group
        ]
        if len(places) < 2:
            continue
        first = min(places, key=lambda place: _RANKS.index(records[place].way.family.name))
        references.append(records[first].way.name)
        for place in places:
            found = compare_results(folders[first], folders[place])
            judged[place] = replace(
                records[place],
                agrees=found.agrees,
                largest_difference=found.largest,
                remark=found.remark,
            )
    return judged, references


def compare_results(reference: Path, other: Path) -> Difference:
    """Return how far the arrays of two folders lie apart.

    Parameters
    ----------
    reference, other : Path
        Folders with ``0.npy``, ``1.npy``, ...

    Returns
    -------
    Difference
        The largest of all arrays.

    Notes
    -----
    Memory: a few blocks of 8 MiB.
    """
    names = [sorted(path.name for path in folder.glob("*.npy")) for folder in (reference, other)]
    if names[0] != names[1]:
        return Difference(None, f"{len(names[1])} results instead of {len(names[0])}")
    largest = 0.0
    for name in names[0]:
        pair = [np.load(folder / name, mmap_mode="r") for folder in (reference, other)]
        found = _compare_arrays(*pair)
        if found.largest is None or found.remark:
            return found
        largest = max(largest, found.largest)
    return Difference(largest)


def _compare_arrays(reference: Array, other: Array) -> Difference:
    if reference.shape != other.shape:
        return Difference(None, f"shape {other.shape} instead of {reference.shape}")
    scale, apart, n_odd = 0.0, 0.0, 0
    columns = max(1, _BLOCK_VALUES // max(1, reference[:1].size))
    for start in range(0, len(reference), columns):
        rows = slice(start, start + columns)
        wanted, given = (np.asarray(one[rows], np.float64) for one in (reference, other))
        is_finite = np.isfinite(wanted) & np.isfinite(given)
        n_odd += int(np.count_nonzero(~is_finite & ~_same(wanted, given)))
        scale = max(scale, float(np.abs(wanted[is_finite]).max(initial=0.0)))
        differences = np.abs(wanted[is_finite] - given[is_finite])
        apart = max(apart, float(differences.max(initial=0.0)))
    largest = apart / scale if scale else (0.0 if apart == 0 else math.inf)
    if math.isinf(largest):
        return Difference(None, f"values up to {apart:.3g} where the reference is zero")
    if n_odd:
        return Difference(largest, f"{n_odd} values are not finite in one of both only")
    return Difference(largest)


def _same(wanted: Array, given: Array) -> Array:
    same: Array = (wanted == given) | (np.isnan(wanted) & np.isnan(given))
    return same
