"""The Butterworth filter, forwards and backwards over time."""

import warnings

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.signal.filter_design import design_butterworth
from lazyvox.signal.options import Padding, check_number, check_padding
from lazyvox.signal.products import N_COLUMNS
from lazyvox.signal.recursion import BlockFilter, TwoWayFilter

__all__ = ["butterworth", "prepare_filter"]


def butterworth(
    signals: Array,
    sampling_rate: float,
    low_pass: float | None = None,
    high_pass: float | None = None,
    order: int = 5,
    padtype: str | None = "odd",
    padlen: int | None = None,
    copy: bool = False,
) -> Array:
    """Keep the frequencies of signals below, above or between cutoffs.

    Parameters
    ----------
    signals : ndarray of shape (n_volumes,) or (n_volumes, n_columns)
        Signals, one in each column.
    sampling_rate : float
        Volumes per second.
    low_pass, high_pass : float or None
        What is above `low_pass` and below `high_pass`, in Hz, is removed. With neither, signals
        are returned as they are.
    order : int
        Order of the filter; it is applied twice, once in each direction.
    padtype : {"odd", "even", "constant"} or None
        How signals are continued at both ends.
    padlen : int or None
        Volumes of padding at each end; by default three times the coefficients of the filter.
    copy : bool
        False filters `signals` in place; True returns a new array of float64.

    Returns
    -------
    ndarray
        The filtered signals, `signals` itself unless `copy`.

    Raises
    ------
    ParameterError
        If the cutoffs are impossible, or there are too few volumes for the padding.
    ParameterTypeError
        If `signals` are not numbers, or not floating point where `copy` is False.

    Notes
    -----
    Memory: a few MiB besides the result.

    Examples
    --------
    >>> from lazyvox.signal import butterworth
    >>> time = np.arange(200) * 2.0
    >>> waves = np.sin(2 * np.pi * 0.05 * time) + np.sin(2 * np.pi * 0.2 * time)
    >>> slow = butterworth(waves, 0.5, low_pass=0.1, copy=True)
    >>> np.abs(slow - np.sin(2 * np.pi * 0.05 * time))[50:150].max() < 0.01
    np.True_
    """
    keywords = {"order": order, "padtype": padtype, "padlen": padlen, "copy": copy}
    padding = check_padding({f"butterworth__{name}": value for name, value in keywords.items()})
    rate = check_number(sampling_rate, "sampling_rate")
    if rate is None or not 0 < rate < np.inf:
        msg = f"sampling_rate must be above 0 and finite, in Hz. Got {sampling_rate}."
        raise ParameterError(msg)
    _check_array(signals, is_overwritten=not padding.copy)
    low, high = check_number(low_pass, "low_pass"), check_number(high_pass, "high_pass")
    two_way = prepare_filter(len(signals), rate, low, high, padding)
    if two_way is None:
        return signals.copy() if padding.copy else signals
    result = signals.astype(np.float64) if padding.copy else signals
    columns = result.reshape(len(result), -1) if result.ndim == 1 else result
    for start in range(0, columns.shape[1], N_COLUMNS):
        piece = columns[:, start : start + N_COLUMNS]
        piece[...] = two_way.apply(piece)
    return result


def prepare_filter(
    n_volumes: int,
    sampling_rate: float,
    low_pass: float | None,
    high_pass: float | None,
    padding: Padding,
) -> TwoWayFilter | None:
    """Return the filter for signals of some length, None where it would change nothing.

    Parameters
    ----------
    n_volumes : int
        Length of the signals.
    sampling_rate : float
        Volumes per second.
    low_pass, high_pass : float or None
        Cutoffs in Hz.
    padding : Padding
        Order and padding.

    Returns
    -------
    TwoWayFilter or None
        The filter.

    Raises
    ------
    ParameterError
        If the cutoffs are impossible, or there are too few volumes for the padding.
    """
    if low_pass is not None and high_pass is not None and high_pass >= low_pass:
        msg = (
            f"`high_pass` must be below `low_pass`: frequencies between them are kept. Got "
            f"high_pass={high_pass} Hz and low_pass={low_pass} Hz. Were they exchanged?"
        )
        raise ParameterError(msg)
    given = (("high", high_pass), ("low", low_pass))
    cutoffs = [
        _cutoff(kind, value, sampling_rate / 2) for kind, value in given if value is not None
    ]
    if not cutoffs:
        return None
    if len(cutoffs) == 2 and cutoffs[0] == cutoffs[1]:
        msg = (
            f"high_pass={high_pass} Hz and low_pass={low_pass} Hz are both above half of the "
            f"sampling rate, {sampling_rate / 2:g} Hz: signals stay unfiltered. Check `t_r`."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
        return None
    kind = "band" if len(cutoffs) == 2 else "low" if high_pass is None else "high"
    sections = design_butterworth(padding.order, cutoffs, kind)
    n_pad = _padding_volumes(n_volumes, sections.n_taps, padding, kind)
    return TwoWayFilter(BlockFilter.of(sections), padding.padtype, n_pad)


def _cutoff(kind: str, frequency: float, nyquist: float) -> float:
    """Return a cutoff in units of the Nyquist frequency, moved to where a filter can be."""
    if not abs(frequency) < np.inf or frequency == 0:
        msg = f"`{kind}_pass` must be a frequency above 0, in Hz. Got {frequency}."
        hint = f"Pass None for no {kind}-pass filter."
        raise ParameterError(msg, value=frequency, hint=hint, cli_hint="")
    # At the ends of the range of frequencies a digital filter is unstable.
    nearest = float(np.finfo(np.float32).eps)
    if frequency >= nyquist:
        moved = 1 - 10 * nearest
        msg = (
            f"`{kind}_pass` must be below half of the sampling rate, {nyquist:g} Hz. Got "
            f"{frequency} Hz; {moved * nyquist:.8g} Hz is taken. Check `t_r`."
        )
    elif frequency < 0:
        moved = nearest
        msg = (
            f"`{kind}_pass` must be a frequency above 0. Got {frequency} Hz; "
            f"{moved * nyquist:g} Hz is taken."
        )
    else:
        return frequency / nyquist
    warnings.warn(msg, LazyvoxWarning, stacklevel=4)
    return moved


def _padding_volumes(n_volumes: int, n_taps: int, padding: Padding, kind: str) -> int:
    if padding.padtype is None:
        return 0
    n_pad = 3 * n_taps if padding.padlen is None else padding.padlen
    if n_volumes <= n_pad:
        msg = (
            f"A Butterworth filter of this kind and order {padding.order} pads signals by {n_pad} "
            f"volumes at each end and needs at least {n_pad + 1} volumes. Got {n_volumes}."
        )
        # Cosines have no low-pass filter.
        hint = "Lower the order, or pass a shorter padlen (butterworth__padlen in clean)."
        cli_hint = "Leave out the filter, or take a longer run."
        if kind == "high":
            hint = f"{hint.removesuffix('.')}, or filter='cosine'."
            cli_hint = "Pass filter='cosine'."
        raise ParameterError(msg, hint=hint, cli_hint=cli_hint)
    return n_pad


def _check_array(signals: Array, *, is_overwritten: bool) -> None:
    given: object = signals
    if not isinstance(given, np.ndarray):
        msg = f"signals must be a NumPy array. Got {type(given).__name__}."
        raise ParameterTypeError(msg)
    if signals.ndim not in {1, 2} or not len(signals):
        msg = (
            "signals must be of shape (n_volumes,) or (n_volumes, n_columns), with volumes. Got "
            f"shape {signals.shape}."
        )
        raise ParameterError(msg)
    if signals.dtype.kind not in ("f" if is_overwritten else "fiub"):
        msg = (
            f"signals must be {'floating point' if is_overwritten else 'real numbers'} with "
            f"copy={not is_overwritten}. Got {signals.dtype}. Pass copy=True or convert them."
        )
        raise ParameterTypeError(msg)
