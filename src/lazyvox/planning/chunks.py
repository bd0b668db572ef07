"""Chunks: the parts in which other packages read an image. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lazyvox.planning.blocks import TARGET_BLOCK_BYTES

__all__ = ["volume_runs"]


def volume_runs(
    n_volumes: int, volume_bytes: int, offset: int = 0, points: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return the lengths of runs of whole volumes, each of about 4 MiB, that cover a series.

    Where the file has access points, a run begins as near behind one as its length allows: what
    lies between the two is decoded in vain.

    Parameters
    ----------
    n_volumes : int
        Volumes of the series.
    volume_bytes : int
        Stored bytes of one.
    offset : int, default=0
        Decoded bytes before the first.
    points : sequence of int, optional
        Decoded bytes before each access point, ascending; the first is 0.

    Returns
    -------
    tuple of int
        They add up to `n_volumes`; each is one volume at least.

    Examples
    --------
    >>> volume_runs(10, 1 << 20)
    (4, 4, 2)
    >>> volume_runs(10, 1 << 20, points=[0, 5 << 20])
    (5, 4, 1)
    """
    usual = max(TARGET_BLOCK_BYTES // max(volume_bytes, 1), 1)
    starts = [0]
    places = np.asarray(points, np.int64)
    while n_volumes - starts[-1] > usual:
        first = starts[-1] + usual
        starts.append(first)
        if len(places):
            candidates = np.arange(first, min(first + usual, n_volumes))
            begins = offset + candidates * volume_bytes
            before = places[np.searchsorted(places, begins, side="right") - 1]
            starts[-1] = int(candidates[np.argmin(begins - before)])
    return tuple(stop - start for start, stop in pairwise([*starts, n_volumes]))
