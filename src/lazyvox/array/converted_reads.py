"""Reading values that are scaled or cast on the way, a piece at a time."""

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.array.conversion import Conversion
from lazyvox.array.reader import ArraySession
from lazyvox.planning.indexing import Axis

__all__ = ["read_into"]

#: Scratch memory of a conversion: what it holds stays in the processor's cache between the steps.
CONVERT_BYTES = 1 << 20


def read_into(
    session: ArraySession,
    axes: tuple[Axis, ...],
    out: Array,
    conversion: Conversion,
    stored: DType,
) -> None:
    """Fill `out` with the converted values at `axes`.

    Values that need no conversion are read in place; others pass through a scratch array of
    about 1 MiB.
    """
    if not conversion.changes(stored) and out.dtype == stored:
        session.read(axes, out)
        return
    kept = [i for i, axis in enumerate(axes) if not isinstance(axis, int)]
    width = conversion.scratch_itemsize(stored, out.dtype)
    if not kept or out.size * width <= CONVERT_BYTES:
        raw = np.empty(out.shape, stored, order="F")
        session.read(axes, raw)
        conversion.apply(raw, out)
        return
    slowest = kept[-1]
    positions = axes[slowest]
    assert not isinstance(positions, int)
    # In the order of the file: a compressed stream would begin anew for each piece.
    if isinstance(positions, range) and positions.step < 0:
        turned = (*axes[:slowest], positions[::-1], *axes[slowest + 1 :])
        read_into(session, turned, out[..., ::-1], conversion, stored)
        return
    if isinstance(positions, tuple) and positions != tuple(sorted(set(positions))):
        _read_listed(session, axes, out, conversion, stored)
        return
    per_step = out.size // len(positions) * width
    step = max(CONVERT_BYTES // max(per_step, 1), 1)
    for start in range(0, len(positions), step):
        part = positions[start : start + step]
        piece = (*axes[:slowest], part, *axes[slowest + 1 :])
        if step == 1 and per_step > CONVERT_BYTES and len(kept) > 1:
            inner = (*axes[:slowest], part[0], *axes[slowest + 1 :])
            read_into(session, inner, out[..., start], conversion, stored)
        else:
            read_into(session, piece, out[..., start : start + step], conversion, stored)


def _read_listed(
    session: ArraySession,
    axes: tuple[Axis, ...],
    out: Array,
    conversion: Conversion,
    stored: DType,
) -> None:
    """Fill `out` where the positions on the slowest axis are out of order or repeated."""
    slowest = max(i for i, axis in enumerate(axes) if not isinstance(axis, int))
    listed = axes[slowest]
    assert not isinstance(listed, int)
    places: dict[int, list[int]] = {}
    for place, position in enumerate(listed):
        places.setdefault(position, []).append(place)
    for position in sorted(places):
        first, *others = places[position]
        single = (*axes[:slowest], position, *axes[slowest + 1 :])
        read_into(session, single, out[..., first], conversion, stored)
        for place in others:
            out[..., place] = out[..., first]
