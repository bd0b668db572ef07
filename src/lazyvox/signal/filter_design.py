"""Butterworth filters as second-order sections, designed without SciPy.

``import scipy.signal`` takes more than a second and 76 MiB; what a Butterworth filter needs of it
is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, FloatArray

__all__ = ["Sections", "design_butterworth"]


@dataclass(frozen=True, slots=True, eq=False)
class Sections:
    """A digital filter as a cascade of sections of at most second order.

    Attributes
    ----------
    numerators, denominators : ndarray of shape (n_sections, 3), float64
        Coefficients; each denominator begins with 1.
    n_taps : int
        Coefficients of the whole filter on one side.
    """

    numerators: FloatArray
    denominators: FloatArray
    n_taps: int

    def steady_states(self) -> FloatArray:
        """Return the states, two for each section, that a constant input of 1 settles to."""
        states, level = [], 1.0
        for b, a in zip(self.numerators, self.denominators, strict=True):
            out = level * b.sum() / a.sum()
            states += [out - b[0] * level, b[2] * level - a[2] * out]
            level = out
        return np.array(states)


def design_butterworth(order: int, cutoffs: Sequence[float], kind: str) -> Sections:
    """Design a digital Butterworth filter.

    Parameters
    ----------
    order : int
        Order of the low-pass prototype, at least 1.
    cutoffs : sequence of float
        One frequency, or two for a band, in units of the Nyquist frequency; between 0 and 1.
    kind : {"low", "high", "band"}
        What passes.

    Returns
    -------
    Sections
        The filter; each section has gain 1 at the frequency that passes best.

    Notes
    -----
    Memory: O(order). The analog prototype is moved to the cutoffs and mapped by the bilinear
    transform.
    """
    # The bilinear transform bends frequencies; the cutoffs are bent beforehand.
    warped = np.tan(np.pi * np.asarray(cutoffs, dtype=np.float64) / 2)
    prototype = -np.exp(1j * np.pi * np.arange(1 - order, order, 2) / (2 * order))
    if kind == "low":
        poles, zeros, best = prototype * warped[0], (-1.0, -1.0), 0.0
    elif kind == "high":
        poles, zeros, best = warped[0] / prototype, (1.0, 1.0), np.pi
    else:
        poles = _band_poles(prototype, warped[0], warped[1])
        zeros, best = (1.0, -1.0), 2 * np.arctan(np.sqrt(warped[0] * warped[1]))
    sections = [_section(pair, zeros, best) for pair in _pairs((1 + poles) / (1 - poles))]
    numerators, denominators = (np.array(part) for part in zip(*sections, strict=True))
    n_taps = 2 * len(sections) + 1 - (kind != "band" and order % 2)
    return Sections(numerators, denominators, n_taps)


def _band_poles(prototype: Array, low: float, high: float) -> Array:
    """Return the poles of the analog band-pass filter."""
    middle = prototype * (high - low) / 2
    root = np.sqrt(middle**2 - low * high)
    # Of the two solutions the larger one does not cancel; their product is known.
    large = np.where(np.real(np.conj(middle) * root) > 0, middle + root, middle - root)
    return np.concatenate([large, low * high / large])


def _pairs(poles: Array) -> list[Array]:
    """Group poles into conjugate or real pairs; a last real pole may stay alone."""
    is_real = np.abs(poles.imag) <= 1e-12 * np.abs(poles)
    upper = poles[~is_real & (poles.imag > 0)]
    real = np.sort(poles[is_real].real)
    pairs = [np.array([pole, np.conj(pole)]) for pole in upper]
    return pairs + [real[i : i + 2] for i in range(0, len(real), 2)]


def _section(
    poles: Array, zeros: tuple[float, float], best: float
) -> tuple[FloatArray, FloatArray]:
    """Return numerator and denominator of a section with gain 1 at the angle `best`."""
    n_poles = len(poles)
    numerator, denominator = np.zeros(3), np.zeros(3)
    numerator[: n_poles + 1] = np.poly(zeros[:n_poles])
    denominator[: n_poles + 1] = np.poly(poles).real
    at = np.exp(-1j * best * np.arange(3))
    gain = np.abs(numerator @ at) / np.abs(denominator @ at)
    return numerator / gain, denominator
