"""Encoding of values: scaling, rounding, range checks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.errors import ParameterError, ScalingError
from lazyvox.store.files.paths import printable

__all__ = ["auto_scale", "check_convertible", "encode", "naming"]

_WAYS_OUT = 'Pass scale="auto", or another dtype'
# Float64 holds 53 bits: this far from the ends of 64-bit integers no rounding leaves their range.
_WIDE_MARGIN = 4096
_INTEGERS = (int, np.integer)
#: Distance to a whole number that the scaling of a header may leave, as in masks: 255 *
#: float32(1 / 255) say. Of values above 100 a millionth of them.
_WHOLE_TOLERANCE = 1e-4


def encode(
    values: Array,
    dtype: DType,
    slope: float,
    inter: float,
    *,
    out: Array | None = None,
    rounds: bool = True,
) -> Array:
    """Return values as a file stores them: ``(values - inter) / slope`` in the stored type.

    Rounds half to even where the stored type is an integer, in float64. A block of an array is
    encoded as it is within the whole array.

    Parameters
    ----------
    values : ndarray
        Values of any shape.
    dtype : numpy.dtype
        Stored type, byte order included.
    slope, inter : float
        Scaling; (1.0, 0.0) stores the values as they are.
    out : ndarray, optional
        Array of the same shape and of type `dtype` that takes the result.
    rounds : bool
        Whether floats that are not whole are rounded to unscaled integers, or refused.

    Returns
    -------
    ndarray
        `out` where given; `values` itself where nothing is to be done; else a new array.

    Raises
    ------
    ScalingError
        If values do not fit: out of range, not finite in an unscaled integer type, infinite in a
        scaled one, complex in a real one, fractions where `rounds` is false.

    Notes
    -----
    Memory: one array of float64 (or complex128) and the result. With scaling, NaN becomes the
    stored value nearest to zero in real units, as in nibabel.

    Examples
    --------
    >>> encode(np.array([0.5, 1.5, 254.6]), np.dtype("u1"), 1.0, 0.0).tolist()
    [0, 2, 255]
    >>> encode(np.array([10.0, np.nan]), np.dtype("i2"), 0.5, 1.0).tolist()
    [18, -2]
    """
    if (slope, inter) != (1.0, 0.0):
        stored = _encode_scaled(values, dtype, slope, inter)
    elif values.dtype == dtype:
        stored = values
    else:
        stored = _convert(values, dtype, rounds=rounds)
    if out is None:
        return stored
    out[...] = stored
    return out


def auto_scale(minimum: float, maximum: float, dtype: DType) -> tuple[float, float]:
    """Return slope and inter that spread a range of values over an integer type.

    Both are float32 numbers, as NIfTI-1 stores them, and their rounding is accounted for: `encode`
    keeps every value from `minimum` to `maximum` in range.

    Parameters
    ----------
    minimum, maximum : float or int
        Smallest and largest value, finite. Integers that fit the type or a shift of it are
        stored exactly.
    dtype : numpy.dtype
        Stored type. Types other than integers are not scaled.

    Returns
    -------
    tuple of float
        Slope and inter; (1.0, 0.0) for no scaling.

    Raises
    ------
    ScalingError
        If the range is not finite, or not within what float32 holds.
    ParameterError
        If `minimum` exceeds `maximum`.

    Examples
    --------
    >>> auto_scale(-1.0, 1.0, np.dtype("u1"))
    (0.007843137718737125, -1.0)
    >>> auto_scale(0, 255, np.dtype("u1")), auto_scale(0.0, 1.0, np.dtype("f4"))
    ((1.0, 0.0), (1.0, 0.0))
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        return 1.0, 0.0
    _check_range(minimum, maximum, kind)
    if isinstance(minimum, _INTEGERS) and isinstance(maximum, _INTEGERS):
        exact = _shift(int(minimum), int(maximum), kind)
        if exact is not None:
            return exact
    return _spread(float(minimum), float(maximum), kind)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Have a `ScalingError` name the file whose values do not fit, or that they do not fit into.

    Parameters
    ----------
    path : str
        The file.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    ScalingError
        In place of one without the name.
    """
    try:
        yield
    except ScalingError as error:
        raise error.at(printable(path)) from error


def _limits(dtype: DType) -> tuple[int, int]:
    """Return the least and greatest value of an integer type."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _safe_limits(dtype: DType) -> tuple[int, int]:
    """Return limits that the rounding of float64 does not leave."""
    low, high = _limits(dtype)
    if dtype.itemsize < 8:
        return low, high
    return (low + _WIDE_MARGIN if low else 0), high - _WIDE_MARGIN


def _check_range(minimum: float, maximum: float, dtype: DType) -> None:
    most = float(np.finfo(np.float32).max) / 8
    if not (abs(minimum) <= most and abs(maximum) <= most):
        msg = (
            f"Values must be finite and below {most:.3g} to be scaled into {dtype.name}. Got the "
            f"range {minimum} to {maximum}. Pass a floating-point dtype."
        )
        raise ScalingError(msg)
    if minimum > maximum:
        msg = f"minimum must not exceed maximum. Got {minimum} and {maximum}."
        raise ParameterError(msg)


def _shift(minimum: int, maximum: int, dtype: DType) -> tuple[float, float] | None:
    """Return a scaling that stores integers exactly, or None where there is none."""
    low, high = _limits(dtype)
    if low <= minimum and maximum <= high:
        return 1.0, 0.0
    inter = float(np.float32(minimum - low))
    # Float64 carries the subtraction exactly up to 53 bits.
    exact = max(abs(minimum), abs(maximum), abs(int(inter))) < 2**52
    if exact and low <= minimum - int(inter) and maximum - int(inter) <= high:
        return 1.0, inter
    return None


def _up(value: float) -> np.float32:
    """Return the smallest normal float32 that is not below a positive number."""
    rounded = max(np.float32(value), np.finfo(np.float32).tiny)
    return rounded if float(rounded) >= value else np.nextafter(rounded, np.float32(np.inf))


def _spread(minimum: float, maximum: float, dtype: DType) -> tuple[float, float]:
    """Return a scaling over the whole type; the second try leaves room for inter's rounding."""
    low, high = _safe_limits(dtype)
    if minimum == maximum and _is_in_range(minimum, maximum, 1.0, _nearest(minimum), dtype):
        return 1.0, _nearest(minimum)
    largest = max(abs(minimum), abs(maximum))
    room = 4 * float(np.spacing(np.float32(4 * largest)))
    for extra in (0.0, room):
        slope = float(_up((maximum - minimum + extra) / (high - low)))
        # The middle goes to the middle, so that rounding is shared by both ends.
        middle = minimum / 2 + maximum / 2
        inter = _nearest(middle - (low + (high - low) / 2) * slope)
        if _is_in_range(minimum, maximum, slope, inter, dtype):
            return slope, inter
    msg = f"bug in lazyvox: no scaling of {minimum} to {maximum} into {dtype.name} was found."
    raise AssertionError(msg)


def _nearest(value: float) -> float:
    return float(np.float32(value))


def _is_in_range(minimum: float, maximum: float, slope: float, inter: float, dtype: DType) -> bool:
    low, high = _limits(dtype)
    first, last = np.rint((np.array([minimum, maximum]) - inter) / slope)
    return bool(first >= low and last < float(high) + 1)


def _convert(values: Array, dtype: DType, *, rounds: bool = True) -> Array:
    """Return unscaled values in another type, or refuse."""
    check_convertible(values.dtype, dtype)
    if dtype.kind in "iu":
        return _to_integers(values, dtype, rounds=rounds)
    try:
        with np.errstate(over="raise", invalid="ignore", under="ignore"):
            return values.astype(dtype)
    except FloatingPointError:
        _refuse(values, dtype, "Pass another dtype.")


def _to_integers(values: Array, dtype: DType, *, rounds: bool) -> Array:
    """Return values rounded to integers, or refuse values that do not fit."""
    if values.dtype.kind == "b" or values.size == 0:
        return values.astype(dtype)
    low, high = _limits(dtype)
    # NaN comes out of both reductions, so that comparisons with it refuse.
    least, most = values.min(), values.max()
    if values.dtype.kind in "iu":
        if int(least) < low or int(most) > high:
            _refuse(values, dtype, f"{_WAYS_OUT}.")
        return values.astype(dtype)
    first, last = float(np.rint(least)), float(np.rint(most))
    if not (first >= low and last < float(high) + 1):
        _refuse(values, dtype, f"{_WAYS_OUT}.")
    rounded = np.rint(values)
    if not rounds:
        _refuse_fractions(values, rounded, dtype)
    return rounded.astype(dtype)


def _refuse_fractions(values: Array, rounded: Array, dtype: DType) -> None:
    """Raise unless values are whole, apart from the rounding of a header's scaling."""
    limits = np.abs(rounded)
    limits /= 100
    np.maximum(limits, 1, out=limits)
    limits *= _WHOLE_TOLERANCE
    distances = values - rounded
    np.abs(distances, out=distances)
    is_fraction = distances > limits
    if not is_fraction.any():
        return
    msg = (
        f"values that become {dtype.name} without scaling must be whole. Got "
        f"{values[is_fraction][0]:.6g}, and {int(is_fraction.sum())} like it in this block."
    )
    hint = 'Pass scale="auto", a pair (slope, inter), or scale=False to round them.'
    in_words = "Pass --scale auto, --scale SLOPE,INTER, or --scale none to round them."
    raise ScalingError(msg, parameter="dtype", hint=hint, cli_hint=in_words)


def _encode_scaled(values: Array, dtype: DType, slope: float, inter: float) -> Array:
    check_convertible(values.dtype, dtype)
    work = values.astype(np.result_type(values.dtype, np.float64), order="K")
    work -= inter
    work /= slope
    if dtype.kind not in "iu":
        return _convert(work, dtype)
    np.rint(work, out=work)
    return _store_rounded(work, values, dtype, slope, inter)


def _store_rounded(work: Array, values: Array, dtype: DType, slope: float, inter: float) -> Array:
    """Return rounded stored values in their type, NaN replaced, or refuse; changes `work`."""
    low, high = _limits(dtype)
    if work.size and np.isnan(work.min()):
        safe_low, safe_high = _safe_limits(dtype)
        nearest_zero = np.clip(np.rint((0.0 - inter) / slope), safe_low, safe_high)
        np.copyto(work, nearest_zero, where=np.isnan(work))
    if work.size and not (work.min() >= low and work.max() < float(high) + 1):
        ways_out = f"Got slope {slope} and inter {inter}. {_WAYS_OUT}, which holds them"
        _refuse(values, dtype, f"{ways_out}.")
    return work.astype(dtype)


def _describe(values: Array) -> str:
    """Return the range of values and whether some are not finite."""
    if values.dtype.kind == "c":
        return f"complex values of magnitude up to {np.nanmax(np.abs(values))}"
    if values.dtype.kind in "biu":
        return f"{values.min()} to {values.max()}"
    finite = values[np.isfinite(values)]
    extent = f"{finite.min()} to {finite.max()}" if finite.size else "no finite value"
    n_nan, n_infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    return f"{extent}, {n_nan} NaN and {n_infinite} infinite values in this block"


def _refuse(values: Array, dtype: DType, ways_out: str) -> NoReturn:
    if dtype.kind in "iu":
        low, high = _limits(dtype)
        extent = f"{low} to {high}"
    else:
        extent = f"up to {np.finfo(dtype).max}"
    msg = (
        f"Values must fit the stored type {dtype.name} ({extent}). Got {values.dtype.name}: "
        f"{_describe(values)}. {ways_out}"
    )
    raise ScalingError(msg)


def check_convertible(given: DType, dtype: DType) -> None:
    """Refuse colours for numbers or numbers for colours, and complex numbers for real ones."""
    if "V" not in (given.kind, dtype.kind) and (given.kind != "c" or dtype.kind == "c"):
        return
    msg = (
        f"Values must be convertible to the stored type without loss of a component. Got {given} "
        f"for {dtype}."
    )
    # No command writes complex numbers where they are not those of its input.
    cli_hint = "Convert them first: `lazyvox calc` has abs, real, imag and angle."
    raise ScalingError(
        msg,
        hint=f"Pass dtype={str(given)!r}, or convert the values first.",
        cli_hint=cli_hint if given.kind == "c" else "Convert the values first.",
    )
