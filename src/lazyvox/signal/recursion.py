"""Recursive filters on many columns together, as products of small matrices.

A recursive filter takes one volume after the other. Over `BLOCK` volumes its outputs and its next
states are linear in the inputs and the states before, so that a block of volumes is one product
with a matrix of about `BLOCK` rows. That is the plain recursion in another order: in float64, for
any number of volumes, without a matrix of all volumes by all volumes.
"""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, FloatArray
from lazyvox.signal.filter_design import Sections

__all__ = ["BlockFilter", "TwoWayFilter", "recurse"]

#: Volumes of one product. Measured at 840 volumes: 24 takes twice as long, 40 and 64 the same.
BLOCK = 64


def recurse(
    sections: Sections, signals: FloatArray, states: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Run a filter volume by volume: the plain path that the products must agree with.

    Parameters
    ----------
    sections : Sections
        The filter.
    signals : ndarray of shape (n_volumes, n_columns), float64
        Inputs; unchanged.
    states : ndarray of shape (2 * n_sections, n_columns), float64
        States at the start; unchanged.

    Returns
    -------
    outputs : ndarray of shape (n_volumes, n_columns), float64
        What comes out.
    history : ndarray of shape (n_volumes, 2 * n_sections, n_columns), float64
        The states after every volume.
    """
    now = states.copy()
    outputs = np.empty_like(signals)
    history = np.empty((len(signals), *states.shape))
    pairs = list(zip(sections.numerators, sections.denominators, strict=True))
    for t, row in enumerate(signals):
        value = row
        for i, (b, a) in enumerate(pairs):
            out = b[0] * value + now[2 * i]
            now[2 * i] = b[1] * value - a[1] * out + now[2 * i + 1]
            now[2 * i + 1] = b[2] * value - a[2] * out
            value = out
        outputs[t], history[t] = value, now
    return outputs, history


@dataclass(frozen=True, slots=True, eq=False)
class BlockFilter:
    """A recursive filter that takes `BLOCK` volumes at a time.

    Attributes
    ----------
    step : ndarray of shape (n_states + BLOCK, n_states + BLOCK), float64
        States and inputs to next states and outputs.
    steady : ndarray of shape (n_states, 1), float64
        The states that a constant input of 1 settles to.
    """

    step: FloatArray
    steady: FloatArray

    @classmethod
    def of(cls, sections: Sections) -> "BlockFilter":
        """Return the matrix form of a filter.

        Parameters
        ----------
        sections : Sections
            The filter.

        Returns
        -------
        BlockFilter
            The same filter.
        """
        n_states = 2 * len(sections.numerators)
        # One column for each state that is 1 at the start, and one for an impulse.
        impulse = np.zeros((BLOCK, n_states + 1))
        impulse[0, n_states] = 1
        outputs, history = recurse(sections, impulse, np.eye(n_states, n_states + 1))
        step = np.zeros((n_states + BLOCK, n_states + BLOCK))
        step[:n_states, :n_states] = history[-1, :, :n_states]
        step[:n_states, n_states:] = history[::-1, :, n_states].T
        step[n_states:, :n_states] = outputs[:, :n_states]
        for i in range(BLOCK):
            step[n_states + i, n_states : n_states + i + 1] = outputs[i::-1, n_states]
        return cls(step, sections.steady_states()[:, np.newaxis])

    def run(self, signals: FloatArray) -> None:
        """Filter columns in place, as if the first volume had lasted forever before.

        Parameters
        ----------
        signals : ndarray of shape (n_volumes, n_columns), float64
            Inputs, replaced by outputs.
        """
        n_states = len(self.steady)
        work = np.empty((n_states + BLOCK, signals.shape[1]))
        after = np.empty_like(work)
        work[:n_states] = self.steady * signals[0]
        for start in range(0, len(signals), BLOCK):
            rows = signals[start : start + BLOCK]
            n_used = n_states + len(rows)
            work[n_states:n_used] = rows
            np.matmul(self.step[:n_used, :n_used], work[:n_used], out=after[:n_used])
            rows[...] = after[n_states:n_used]
            # Wrong after a short block, and then not used again.
            work[:n_states] = after[:n_states]


@dataclass(frozen=True, slots=True, eq=False)
class TwoWayFilter:
    """A filter that runs forwards and backwards over padded signals.

    Attributes
    ----------
    blocks : BlockFilter
        The filter of one direction.
    padtype : {"odd", "even", "constant"} or None
        How signals are continued at both ends.
    padlen : int
        Volumes of padding at each end; less than the number of volumes.
    """

    blocks: BlockFilter
    padtype: str | None
    padlen: int

    def apply(self, signals: FloatArray) -> FloatArray:
        """Return filtered columns.

        Parameters
        ----------
        signals : ndarray of shape (n_volumes, n_columns), float64
            Columns; unchanged.

        Returns
        -------
        ndarray of shape (n_volumes, n_columns), float64
            Their filtered form.

        Notes
        -----
        Memory: one padded copy of `signals`, which the result is a part of.
        """
        n_pad = self.padlen
        padded = np.empty((len(signals) + 2 * n_pad, signals.shape[1]))
        padded[n_pad : n_pad + len(signals)] = signals
        if n_pad:
            padded[:n_pad] = self._beyond(signals[n_pad:0:-1], signals[0])
            padded[-n_pad:] = self._beyond(signals[-2 : -n_pad - 2 : -1], signals[-1])
        self.blocks.run(padded)
        self.blocks.run(padded[::-1])
        return padded[n_pad : n_pad + len(signals)]

    def _beyond(self, mirrored: Array, end: Array) -> Array:
        """Return the padding, from the samples mirrored at an end."""
        if self.padtype == "odd":
            return 2 * end - mirrored
        return mirrored if self.padtype == "even" else np.broadcast_to(end, mirrored.shape)
