"""`--volumes`: the volumes of a series that a command takes, and what it says of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import click
import numpy as np

from lazyvox._typing import IntArray
from lazyvox.cli.index_text import parse_ranges
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.planning.sample_mask import listed_ranges

__all__ = [
    "Option",
    "TakenVolumes",
    "numbers_of",
    "taken_volumes",
    "volumes_option",
]

#: A decorator of click's that adds an option.
Option: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

volumes_option: Option = click.option(
    "--volumes",
    metavar="RANGES",
    help="Volumes to take, counted from 0: ranges such as 4: or 0:100:2, and numbers, separated by "
    "commas. All by default.",
)


@dataclass(frozen=True, slots=True, eq=False)
class TakenVolumes:
    """A series of the volumes that were asked for.

    Attributes
    ----------
    series : Series
        The volumes that are taken.
    left_out : ndarray of int
        Numbers of those that are not.
    """

    series: Series
    left_out: IntArray

    @property
    def facts(self) -> dict[str, Any]:
        """Numbers of the volumes that are left out, for the JSON object of a command."""
        return {"left_out_volumes": self.left_out.tolist()}

    @property
    def remark(self) -> str:
        """Number and numbers of the volumes that are left out, in one line; empty without any."""
        if not len(self.left_out):
            return ""
        n_volumes = self.series.grid.n_volumes + len(self.left_out)
        return (
            f"{len(self.left_out)} of {n_volumes} volumes left out: {listed_ranges(self.left_out)}"
        )


def taken_volumes(runs: Sequence[str], volumes: str | None) -> TakenVolumes:
    """Return runs that are joined along time, without the volumes that were not asked for.

    Parameters
    ----------
    runs : sequence of str
        The files.
    volumes : str or None
        Value of --volumes.

    Returns
    -------
    TakenVolumes
        The series.

    Raises
    ------
    WrongUsageError
        If the text is not one of ascending volumes.
    """
    entries = () if volumes is None else parse_ranges(volumes, "--volumes")
    series = as_series(list(runs))
    if volumes is None:
        return TakenVolumes(series, np.zeros(0, np.intp))
    taken = numbers_of(entries, series.grid.n_volumes)
    if not taken or (np.diff(taken) <= 0).any():
        msg = f"--volumes must name at least one volume, in ascending order. Got {volumes!r}"
        raise WrongUsageError(msg)
    return TakenVolumes(
        series.taking(taken), np.setdiff1d(np.arange(series.grid.n_volumes), taken)
    )


def numbers_of(ranges: Sequence[int | slice], n_volumes: int) -> list[int]:
    """Return the numbers of the volumes in ranges, in their order.

    Parameters
    ----------
    ranges : sequence of int or slice
        From `parse_ranges`.
    n_volumes : int
        Volumes of the series.

    Returns
    -------
    list of int
        Numbers, counted from 0.

    Raises
    ------
    WrongUsageError
        If a number is none of the series.

    Examples
    --------
    >>> numbers_of([slice(0, 3), -1], 40)
    [0, 1, 2, 39]
    """
    taken: list[int] = []
    for one in ranges:
        try:
            part = range(n_volumes)[one]
        except IndexError:
            msg = f"--volumes must be among the {n_volumes} of the series. Got {one}"
            raise WrongUsageError(msg) from None
        taken += [part] if isinstance(part, int) else part
    return taken
