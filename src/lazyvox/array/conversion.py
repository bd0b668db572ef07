"""From stored values to the values that slicing returns: scaling and casting, block by block."""

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.errors import LazyvoxWarning, ParameterTypeError
from lazyvox.runtime.once import FirstTime

__all__ = ["Conversion"]

#: Float64 holds every integer up to this one.
_MOST_EXACT = 2**53

_IS_FIRST_LOSS = FirstTime()


@dataclass(frozen=True, slots=True)
class Conversion:
    """``stored * slope + inter`` and casts.

    Attributes
    ----------
    slope, inter : float
        (1.0, 0.0) leaves the stored values as they are.
    dtype : numpy.dtype or None
        Type of the values of the array. None: the stored type without scaling, and with scaling
        the type that nibabel gives (float64, or wider where that could overflow). A float type
        narrower than that is computed in itself: scaled int16 asked for as float32 never becomes
        float64. The error is then at most 2 units in the last place of the larger of
        ``abs(stored * slope)`` and ``abs(inter)``, plus the rounding of integers over 2**24.
    cast : numpy.dtype or None
        Type into which those values are cast at the end, as ``astype`` would.
    """

    slope: float = 1.0
    inter: float = 0.0
    dtype: DType | None = None
    cast: DType | None = None

    @property
    def is_scaled(self) -> bool:
        """True if values are multiplied or shifted."""
        return (self.slope, self.inter) != (1.0, 0.0)

    def result_dtype(self, stored: DType) -> DType:
        """Return the type of the converted values."""
        return self._array_dtype(stored) if self.cast is None else self.cast

    def changes(self, stored: DType) -> bool:
        """Return whether converted values differ from stored ones in value, type or byte order."""
        return self.is_scaled or {self._array_dtype(stored), self.result_dtype(stored)} != {stored}

    def then(self, dtype: DType) -> "Conversion":
        """Return this conversion followed by a cast."""
        return replace(self, cast=dtype)

    def scratch_itemsize(self, stored: DType, out: DType) -> int:
        """Return the bytes for each value that `apply` and its stored values take besides `out`."""
        work = self._work_dtype(stored) if self.is_scaled else stored
        middle = self._array_dtype(stored)
        steps = ([work] if self.is_scaled else []) + ([middle] if middle != work else [])
        return stored.itemsize + sum(step.itemsize for step in steps if step != out)

    def apply(self, stored: Array, out: Array) -> None:
        """Fill `out` with the converted values of `stored`."""
        if out.dtype.kind in "fc" and stored.dtype.kind in "iu" and stored.dtype.itemsize == 8:
            _warn_of_lost_digits(stored, out.dtype)
        middle = self._array_dtype(stored.dtype)
        if self.is_scaled:
            work = self._work_dtype(stored.dtype)
            scaled = out if out.dtype == work else np.empty(out.shape, work, order="F")
            self._scale(stored, scaled)
            if scaled is out:
                return
            stored = scaled
        if middle not in (stored.dtype, out.dtype):
            cast = np.empty(out.shape, middle, order="F")
            _cast(stored, cast)
            stored = cast
        _cast(stored, out)

    def _scale(self, stored: Array, out: Array) -> None:
        slope, inter = out.dtype.type(self.slope), out.dtype.type(self.inter)
        # NumPy warns where a float overflows or a NaN meets the sum: the values are as stored.
        with np.errstate(all="ignore"):
            if self.slope == 1.0:
                np.add(stored, inter, out=out, dtype=out.dtype, casting="unsafe")
                return
            np.multiply(stored, slope, out=out, dtype=out.dtype, casting="unsafe")
            if self.inter != 0.0:
                np.add(out, inter, out=out)

    def _array_dtype(self, stored: DType) -> DType:
        return self._natural_dtype(stored) if self.dtype is None else self.dtype

    def _natural_dtype(self, stored: DType) -> DType:
        if not self.is_scaled:
            return stored
        if stored.kind in "iu":
            native = stored.newbyteorder("=")
            limits = np.iinfo(native)
            ends = [float(end) * self.slope + self.inter for end in (limits.min, limits.max)]
            if all(map(math.isfinite, ends)):
                return np.dtype(np.float64)
            from nibabel.volumeutils import int_scinter_ftype

            factors = np.array([self.slope]), np.array([self.inter])
            return np.dtype(int_scinter_ftype(native.type, *factors, np.float64))
        return np.result_type(stored.newbyteorder("="), np.float64)

    def _work_dtype(self, stored: DType) -> DType:
        wanted = self.dtype
        if wanted is None or wanted.kind not in "fc" or wanted.itemsize < 4:
            return self._natural_dtype(stored)
        is_exact_enough = stored.kind in "iu" or (
            stored.kind == wanted.kind and stored.itemsize <= wanted.itemsize
        )
        return wanted.newbyteorder("=") if is_exact_enough else self._natural_dtype(stored)


def _warn_of_lost_digits(stored: Array, dtype: DType) -> None:
    """Warn, once in a process, that floats do not hold every digit of large integers."""
    most = max(int(stored.max()), -int(stored.min())) if stored.size else 0
    if most <= _MOST_EXACT or not _IS_FIRST_LOSS():
        return
    msg = (
        f"integers must be at most 2**53 to become floats without loss. Got {most}, read as {dtype}; "
        f"its last digits are lost."
    )
    hint = "np.asarray(img.dataobj) has stored integers as they are."
    warnings.warn(LazyvoxWarning(msg, hint=hint, cli_hint=""), stacklevel=2)


def _cast(values: Array, out: Array) -> None:
    if values.dtype.names is not None and values.dtype != out.dtype:
        msg = f"RGB and RGBA voxels have no single number: they cannot be read as {out.dtype}."
        hint = "Take one colour first, as in np.asarray(img.dataobj)['R']."
        raise ParameterTypeError(msg, hint=hint, cli_hint="Take one colour first.")
    if values.dtype.kind == "c" and out.dtype.kind != "c":
        msg = f"complex voxels cannot be read as {out.dtype} without losing their imaginary part."
        hint = "Load the image without dtype=, and take .real, .imag or abs() of the values."
        raise ParameterTypeError(msg, hint=hint, cli_hint="Keep a complex type.")
    # A value that does not fit the asked type is what NumPy makes of it, as with astype.
    with np.errstate(all="ignore"):
        np.copyto(out, values, casting="unsafe")
