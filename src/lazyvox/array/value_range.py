"""Smallest and largest value of arrays that come one after the other."""

import math

import numpy as np

from lazyvox._typing import Array

__all__ = ["ValueRange"]


class ValueRange:
    """Smallest and largest value of everything that was seen.

    Python's own numbers, so that integers above 2**53 keep every digit.

    Parameters
    ----------
    skip : {"", "nan", "not finite"}
        Values that do not count. With "" one NaN makes both limits NaN.
    """

    def __init__(self, skip: str = "") -> None:
        self.skip = skip
        self.low: float = math.inf
        self.high: float = -math.inf

    def take(self, values: Array) -> None:
        """Take more values."""
        if self.skip == "not finite" and values.dtype.kind not in "biu":
            values = values[np.isfinite(values)]
        if not values.size:
            return
        if self.skip == "nan":
            low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        else:
            low, high = values.min(), values.max()
        self._widen(low.item(), high.item())

    def merge(self, other: "ValueRange") -> None:
        """Take over the limits of other values."""
        self._widen(other.low, other.high)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value; (0, 0) if no value counted."""
        return (0, 0) if self.low > self.high else (self.low, self.high)

    def _widen(self, low: float, high: float) -> None:
        if math.isnan(low) or math.isnan(high) or math.isnan(self.low):
            # All values that were skipped are NaN; else NaN is passed on, as by NumPy.
            if self.skip != "nan":
                self.low = self.high = math.nan
            return
        self.low, self.high = min(self.low, low), max(self.high, high)
