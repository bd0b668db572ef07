"""`clean`: trends, frequencies and confounds out of signals."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.planning.sample_mask import listed_ranges
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.logs import is_logged, log_info
from lazyvox.signal.builder import RunBuilder
from lazyvox.signal.cleaner import Cleaner
from lazyvox.signal.confounds import ConfoundTable, join_confounds
from lazyvox.signal.filling import Filling, check_censored
from lazyvox.signal.options import (
    FilterChoice,
    Standardize,
    check_filter,
    check_flag,
    check_padding,
    check_standardize,
)
from lazyvox.signal.standardize import warn_of_one_volume
from lazyvox.signal.volumes import RunVolumes, SampleMask, split_runs

__all__ = ["clean", "prepare_cleaning"]


def clean(
    signals: npt.ArrayLike,
    runs: npt.ArrayLike | None = None,
    detrend: bool = True,
    standardize: Standardize | bool | None = "zscore_sample",
    sample_mask: SampleMask | None = None,
    confounds: ConfoundTable | None = None,
    standardize_confounds: bool = True,
    filter: str | bool | None = "butterworth",  # noqa: A002
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | None = 2.5,
    ensure_finite: bool = False,
    extrapolate: bool = False,
    *,
    censored: str = "drop",
    trend_degree: int = 1,
    keep_mean: bool = False,
    n_jobs: int | None = 1,
    overwrite: bool = False,
    **kwargs: object,
) -> Array:
    """Return signals without trend, unwanted frequencies and confounds, standardised.

    Parameters
    ----------
    signals : array-like of shape (n_volumes, n_columns)
        Signals, one in each column.
    runs : array-like of shape (n_volumes,), optional
        The run of each volume; every run is cleaned on its own.
    detrend : bool
        Whether mean and linear trend are removed, from confounds too; or the polynomial of
        `trend_degree`.
    standardize : {"zscore_sample", "psc", True, False} or None
        What is done last: mean 0 and variance 1, or percent of the mean. True is
        "zscore_sample", False is None; both with the warning of nilearn.
    sample_mask : array-like, or a list of one for each run, optional
        Volumes to keep: ascending indices, or one boolean for each volume.
    confounds : Confounds, ndarray, DataFrame, path, or list of these, optional
        Signals to remove, n_volumes rows each. Files: .csv, .tsv, .txt, .npy. What
        `lazyvox.load_confounds` returns also says which volumes to keep.
    standardize_confounds : bool
        Whether means are removed from confounds.
    filter : {"butterworth", "cosine", False} or None
        Kind of temporal filter.
    low_pass, high_pass : float or None
        Cutoffs in Hz.
    t_r : float or None
        Seconds between volumes.
    ensure_finite : bool
        Whether NaN and infinity are taken as 0; else their columns become NaN.
    extrapolate : bool
        Whether volumes that are left out at both ends are extrapolated for the Butterworth
        filter; else the filter begins and ends with kept volumes.
    censored : {"drop", "keep", "zero", "interpolate"}
        Volumes that are left out: they have no row; nothing is left out that confounds censor;
        their rows are zeros; or their rows lie on the line between the nearest kept volumes of
        their run, and are the nearest one at its ends.
    trend_degree : int
        Degree of the polynomial that `detrend` removes: 0 the mean, 1 mean and line, as nilearn
        does, 2 and more as ``3dTproject -polort``.
    keep_mean : bool
        Whether the mean over the kept volumes of each run is what it was before: added last, in
        place of what is left of it. Not with `standardize`.
    n_jobs : int or None
        Threads; -1 for all cores.
    overwrite : bool
        Whether the result is written into `signals`, an array of float32 or float64.
    **kwargs : object
        ``butterworth__order``, ``butterworth__padtype``, ``butterworth__padlen`` and
        ``butterworth__copy``, as in `butterworth`.

    Returns
    -------
    ndarray of shape (n_kept, n_columns), or (n_volumes, n_columns)
        The cleaned signals, volumes in their order; float32 for float32 and small integers.

    Raises
    ------
    ParameterError
        If an option is outside of what is possible, or shapes do not go together.
    ParameterTypeError
        If something is of the wrong type.
    ImageIndexError
        If `sample_mask` names a volume that does not exist.
    ImageFileError
        If a file of confounds cannot be read.

    Notes
    -----
    Order: interpolation of volumes that are left out (Butterworth) or leaving them out (else),
    trend, filter, leaving out, confounds, which went through the same steps, and standardising.
    Memory: the result (nothing with `overwrite`), and a few MiB for each thread. One pass over
    the signals.

    Examples
    --------
    >>> from lazyvox.signal import clean
    >>> signals = np.random.default_rng(0).normal(size=(100, 3)) + np.arange(100)[:, None]
    >>> cleaned = clean(signals, high_pass=0.01, low_pass=0.1, t_r=2.0)
    >>> cleaned.shape, bool(np.allclose(cleaned.std(axis=0, ddof=1), 1))
    ((100, 3), True)
    """
    workers = resolve_n_jobs(n_jobs)
    values = _as_array(signals)
    cleaner = prepare_cleaning(
        len(values),
        runs=runs,
        detrend=detrend,
        standardize=standardize,
        sample_mask=sample_mask,
        confounds=confounds,
        standardize_confounds=standardize_confounds,
        filter=filter,
        low_pass=low_pass,
        high_pass=high_pass,
        t_r=t_r,
        ensure_finite=ensure_finite,
        extrapolate=extrapolate,
        censored=censored,
        trend_degree=trend_degree,
        keep_mean=keep_mean,
        **kwargs,
    )
    out = _target(signals, cleaner) if overwrite else None
    return cleaner.apply(values, out, n_jobs=workers)


def prepare_cleaning(
    n_volumes: int,
    *,
    runs: npt.ArrayLike | None = None,
    detrend: bool = True,
    standardize: Standardize | bool | None = "zscore_sample",
    sample_mask: SampleMask | None = None,
    confounds: ConfoundTable | None = None,
    standardize_confounds: bool = True,
    filter: str | bool | None = "butterworth",  # noqa: A002
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | Sequence[float | None] | None = 2.5,
    ensure_finite: bool = False,
    extrapolate: bool = False,
    censored: str = "drop",
    trend_degree: int = 1,
    keep_mean: bool = False,
    **kwargs: object,
) -> Cleaner:
    """Check all options of `clean` and prepare the steps that do not depend on the signals.

    Parameters
    ----------
    n_volumes : int
        Volumes of the signals.
    runs, detrend, standardize, sample_mask, confounds, standardize_confounds : object
        As in `clean`.
    filter, low_pass, high_pass : object
        As in `clean`.
    t_r : float, list of float, or None
        As in `clean`; a list holds the repetition time of each run.
    ensure_finite, extrapolate, censored, trend_degree, keep_mean : object
        As in `clean`.
    **kwargs : object
        As in `clean`.

    Returns
    -------
    Cleaner
        What cleans any columns with these options.

    Raises
    ------
    ParameterError
        If an option is outside of what is possible, or shapes do not go together.
    ParameterTypeError
        If something is of the wrong type.
    ImageIndexError
        If `sample_mask` names a volume that does not exist.
    ImageFileError
        If a file of confounds cannot be read.

    Notes
    -----
    Memory: the confounds. With the first columns come the space that they span and the weights of
    the interpolation, about 200 float64 for each volume that is left out.

    Examples
    --------
    >>> from lazyvox.signal import prepare_cleaning
    >>> cleaner = prepare_cleaning(100, sample_mask=range(4, 100), standardize=None)
    >>> cleaner.apply(np.ones((100, 7))).shape
    (96, 7)
    """
    treatment = check_censored(censored)
    if treatment == "keep" and sample_mask is not None:
        msg = (
            "censored='keep' keeps all volumes, and `sample_mask` leaves some out. Leave out one "
            "of them."
        )
        raise ParameterError(msg, parameter="censored")
    removes_trend = check_flag(detrend, "detrend")
    centres = check_flag(standardize_confounds, "standardize_confounds")
    replaces = _check_finite_option(ensure_finite)
    periods = t_r if isinstance(t_r, list | tuple) else [t_r]
    choices = [check_filter(filter, low_pass, high_pass, period) for period in periods]
    padding = check_padding(kwargs)
    degree = _check_degree(trend_degree, removes_trend=removes_trend)
    builder = RunBuilder(degree, centres, bool(extrapolate), choices[0], padding)
    how = check_standardize(standardize, warns_on_bool=True)
    if check_flag(keep_mean, "keep_mean") and how is not None:
        msg = (
            f"`keep_mean` keeps the means that standardize={how!r} removes. Leave out one of them."
        )
        raise ParameterError(msg)
    if confounds is not None and not removes_trend and not centres:
        _warn_of_means()
    table = join_confounds(confounds, n_volumes)
    kept = None if table is None or treatment == "keep" else table.sample_mask
    volumes = split_runs(n_volumes, runs, sample_mask, kept)
    filling = Filling.of(volumes, treatment)
    rows_out = _rows_out(volumes, n_volumes, is_filled=filling is not None)
    if len(choices) == 1:
        choices *= len(volumes)
    assert len(choices) == len(volumes), "bug in lazyvox: not one repetition time for each run"
    parts = tuple(
        replace(builder, choice=choice).outline(
            run, table, np.searchsorted(rows_out, run.kept_rows)
        )
        for run, choice in zip(volumes, choices, strict=True)
    )
    if how is not None and min(run.n_kept for run in volumes) == 1:
        warn_of_one_volume("Standardising")
    is_double = padding.copy and choices[0].kind == "butterworth"
    n_confounds = 0 if table is None else table.values.shape[1]
    steps = _named_steps(degree, choices[0], n_confounds, how)
    if len(parts) > 1:
        steps = (f"{len(parts)} runs, each by itself", *steps)
    if len(rows_out) < n_volumes:
        steps = (f"{len(rows_out)} of {n_volumes} volumes", *steps)
    return Cleaner(
        n_volumes,
        len(rows_out),
        parts,
        how,
        replaces,
        is_double,
        filling,
        keeps_mean=bool(keep_mean),
        steps=steps,
        rows_out=rows_out,
    )


def _rows_out(volumes: Sequence[RunVolumes], n_volumes: int, *, is_filled: bool) -> IntArray:
    """Return the volumes that have a row in the result; logs which are left out."""
    rows = np.sort(np.concatenate([run.kept_rows for run in volumes]))
    if len(rows) < n_volumes and is_logged():
        left_out = np.setdiff1d(np.arange(n_volumes), rows)
        text = listed_ranges(left_out)
        log_info("%s of %s volumes left out: %s", len(left_out), n_volumes, text)
    return np.arange(n_volumes) if is_filled else rows


def _named_steps(
    degree: int | None,
    choice: FilterChoice,
    n_confounds: int,
    standardize: str | None,
) -> tuple[str, ...]:
    """Return the names of the steps of cleaning, in their order."""
    steps = [] if degree is None else ["detrend" if degree == 1 else f"detrend, degree {degree}"]
    cutoffs = [None if one is None else f"{one:g}" for one in (choice.high_pass, choice.low_pass)]
    if choice.kind is not None:
        low, high = cutoffs
        band = f"{low}-{high}" if low and high else f"above {low}" if low else f"below {high}"
        steps.append(f"{band} Hz ({choice.kind})")
    if n_confounds:
        steps.append(f"confounds ({n_confounds})")
    if standardize is not None:
        steps.append(f"standardize {standardize}")
    return tuple(steps)


def _check_degree(value: object, *, removes_trend: bool) -> int | None:
    """Return the degree of the polynomial that is removed, None where none is."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        msg = f"`trend_degree` must be 0, 1 or a larger integer. Got {value!r}."
        raise ParameterError(msg)
    if value != 1 and not removes_trend:
        msg = f"`trend_degree` concerns `detrend`, which is False. Got trend_degree={value}."
        raise ParameterError(msg, parameter="trend_degree")
    return int(value) if removes_trend else None


def _check_finite_option(value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        msg = f"ensure_finite must be True or False. Got {value!r}."
        raise ParameterError(msg)
    return bool(value)


def _warn_of_means() -> None:
    msg = (
        "With confounds, detrend or standardize_confounds should be True. Got neither: unless the "
        "confounds have mean 0, their removal also changes the means of the signals."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def _as_array(signals: npt.ArrayLike) -> Array:
    values = np.asarray(signals)
    if values.ndim != 2:
        msg = (
            "signals must be of shape (n_volumes, n_columns). Got shape "
            f"{values.shape}. Pass signals[:, None] for one signal."
        )
        raise ParameterError(msg)
    return values


def _target(signals: npt.ArrayLike, cleaner: Cleaner) -> Array:
    """Return the rows of the signals that the result is written into."""
    if (
        not isinstance(signals, np.ndarray)
        or not signals.flags.writeable
        or cleaner.result_dtype(signals.dtype) != signals.dtype
    ):
        msg = (
            "overwrite=True needs signals as a writable array of the type of the result, float32 "
            f"or float64. Got {type(signals).__name__} of {getattr(signals, 'dtype', 'no dtype')}."
        )
        raise ParameterTypeError(msg)
    return signals[: cleaner.n_rows_out]
