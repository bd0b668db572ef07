"""Figures to reach: what was measured, the bound, and whether it was held."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Figure", "Figures", "note", "read_figures", "summary"]

HELD, MISSED = "HELD", "MISSED"


@dataclass(frozen=True, slots=True)
class Figure:
    """One bound of one row.

    Attributes
    ----------
    work : str
        The row.
    measured, bound : str
        Both with their units.
    is_held : bool
        Whether what was measured is within the bound.
    """

    work: str
    measured: str
    bound: str
    is_held: bool


class Figures:
    """Keeps figures, in a file too if there is one: what was measured survives a later failure.

    Parameters
    ----------
    path : Path, optional
        Where each figure is appended as a line of JSON.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def add(self, work: str, measured: str, bound: str, *, is_held: bool) -> str:
        """Keep a figure, and return the word for how it stands."""
        # NumPy's truth values are no JSON.
        figure = Figure(work, measured, bound, bool(is_held))
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(figure)) + "\n")
        return HELD if is_held else MISSED

    def row(self, work: str, measured: str, bound: str, *, is_held: bool) -> None:
        """Keep a figure and print it."""
        verdict = self.add(work, measured, bound, is_held=is_held)
        print(f"{work:52} {measured:>34}  bound {bound:>28}  {verdict}", flush=True)


def note(work: str, measured: str) -> None:
    """Print a figure that has no bound."""
    print(f"{work:52} {measured:>34}", flush=True)


def read_figures(path: Path) -> list[Figure]:
    """Return the figures of a file, none if it was never written."""
    if not path.exists():
        return []
    return [Figure(**json.loads(line)) for line in path.read_text().splitlines()]


def summary(figures: list[Figure]) -> str:
    """Return a table of figures."""
    head = Figure("work", "measured", "bound", is_held=True)
    work, measured, bound = (
        max(len(getattr(figure, name)) for figure in [head, *figures])
        for name in ("work", "measured", "bound")
    )
    lines = [f"{'work':{work}}  {'measured':>{measured}}  {'bound':>{bound}}"]
    lines += [
        f"{one.work:{work}}  {one.measured:>{measured}}  {one.bound:>{bound}}  "
        f"{HELD if one.is_held else MISSED}"
        for one in figures
    ]
    n_held = sum(figure.is_held for figure in figures)
    return "\n".join([*lines, f"{n_held} of {len(figures)} bounds held"])
