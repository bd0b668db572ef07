"""`connectivity_values`: correlation, partial correlation and covariance of signals."""

import warnings
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.connectome.covariance import empirical_covariance, ledoit_wolf_covariance
from lazyvox.connectome.fisher import fisher_z as to_z
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.planning.arguments import check_choice

__all__ = ["ESTIMATORS", "KINDS", "Estimator", "Kind", "connectivity_values", "matrix_label"]

Kind = Literal["correlation", "partial correlation", "covariance"]
Estimator = Literal["ledoit-wolf", "empirical"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

_FLOAT64_EPSILON = float(np.finfo(np.float64).eps)


def matrix_label(kind: str, estimator: str, *, fisher_z: bool = False) -> str:
    """Return the label of a matrix in the names of BIDS, of the entity "stat".

    Parameters
    ----------
    kind : str
        Measure, with spaces or hyphens.
    estimator : str
        Estimator of the covariance.
    fisher_z : bool
        Whether correlations are Fisher's z of them.

    Returns
    -------
    str
        The label.

    Examples
    --------
    >>> matrix_label("correlation", "empirical", fisher_z=True)
    'pearsoncorrelationfisherz'
    >>> matrix_label("partial correlation", "ledoit-wolf")
    'partialcorrelation'
    """
    # Values that are drawn towards 0 are not Pearson's.
    plain = "pearson" if kind == "correlation" and estimator == "empirical" else ""
    return plain + kind.replace("-", "").replace(" ", "") + "fisherz" * fisher_z


def connectivity_values(
    signals: npt.ArrayLike,
    kind: Kind = "correlation",
    *,
    estimator: Estimator = "ledoit-wolf",
    fisher_z: bool = False,
    names: Sequence[str] | None = None,
) -> FloatArray:
    """Compute a connectivity matrix from region time series.

    Parameters
    ----------
    signals : array-like of shape (n_volumes, n_regions)
        Time series, such as a `lazyvox.Signals`.
    kind : {"correlation", "partial correlation", "covariance"}, default="correlation"
        What is computed. Correlations are of columns scaled to variance 1 before their covariance
        is estimated; partial correlations are those that remain when all other columns are given.
    estimator : {"ledoit-wolf", "empirical"}, default="ledoit-wolf"
        How covariance is estimated. Ledoit and Wolf shrink it towards a multiple of the identity,
        as far as minimises the expected error: correlations come out a little nearer to 0, and
        partial correlations exist for fewer volumes than regions.
    fisher_z : bool, default=False
        Whether correlations become Fisher's z, arctanh(r), at most 4 in absolute value, which is
        also the diagonal: as ``3dNetCorr -fish_z``.
    names : sequence of str, optional
        Names of the columns, for messages.

    Returns
    -------
    ndarray of shape (n_regions, n_regions), float64
        Symmetric. Of correlations, the diagonal is exactly 1. NaN for regions without a value.

    Raises
    ------
    ParameterError
        If there are fewer than two volumes, no region, or values that are not finite in a region
        that has others; if a parameter is none of its choices; if "empirical" partial
        correlations do not exist; if covariances should become Fisher's z.
    ParameterTypeError
        If `signals` are no real numbers in two dimensions.

    Warns
    -----
    LazyvoxWarning
        If a column is constant: its correlations are not defined, and given as 0. If a region has
        no value, as those of too little coverage: its row and column are NaN.

    Notes
    -----
    Equals ``nilearn.connectome.ConnectivityMeasure`` with its default estimator.

    Memory: three copies of the signals in float64, and four matrices. Reads no file.

    References
    ----------
    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", Journal of Multivariate Analysis 88 (2004), 365-411.

    Examples
    --------
    >>> from lazyvox.connectome import connectivity_values
    >>> signals = [[1.0, 2.0], [2.0, 4.0], [3.0, 5.0], [4.0, 9.0]]
    >>> connectivity_values(signals, estimator="empirical").round(3).tolist()
    [[1.0, 0.965], [0.965, 1.0]]
    """
    check_choice(kind, "kind", KINDS)
    check_choice(estimator, "estimator", ESTIMATORS)
    if fisher_z and kind == "covariance":
        msg = "`fisher_z` concerns correlations. Got kind='covariance'."
        raise ParameterError(msg)
    array = _checked(signals, names)
    is_missing: BoolArray = np.asarray(np.isnan(array).all(axis=0))
    if not is_missing.any():
        found = _matrix(array, kind, estimator, names)
        return to_z(found) if fisher_z else found
    if is_missing.all():
        msg = "`signals` must have a region with values. Got NaN only."
        raise ParameterError(msg)
    _warn_missing(is_missing, names)
    kept = np.flatnonzero(~is_missing)
    kept_names = None if names is None else [names[column] for column in kept.tolist()]
    matrix = np.full((array.shape[1],) * 2, np.nan)
    matrix[np.ix_(kept, kept)] = connectivity_values(
        array[:, kept], kind, estimator=estimator, fisher_z=fisher_z, names=kept_names
    )
    return matrix


def _matrix(
    array: Array, kind: Kind, estimator: Estimator, names: Sequence[str] | None
) -> FloatArray:
    """Return the matrix of regions that all have values."""
    _check_finite(array, names)
    values = array.astype(np.float64)
    centred, is_constant = _centred(values)
    if is_constant.any() and kind != "covariance":
        _warn_constant(is_constant, names)
    if kind == "correlation":
        # A power of two leaves correlations alone to the bit, and keeps squares within the type.
        _, power = np.frexp(np.maximum(centred.max(axis=0), -centred.min(axis=0)))
        centred = np.ldexp(centred, -power)
        spread = np.where(is_constant, 1, np.sqrt(np.square(centred).sum(axis=0)))
        # Times what makes the variance, divided by the number of volumes less one, to 1.
        centred *= np.sqrt(len(centred) - 1) / spread
    estimate = ledoit_wolf_covariance if estimator == "ledoit-wolf" else empirical_covariance
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = estimate(centred)
    if not np.isfinite(covariance).all():
        msg = "`signals` must be small enough to be squared. Divide them by a large number."
        raise ParameterError(msg)
    if not covariance.diagonal()[~is_constant].all():
        msg = "`signals` must be large enough to be squared. Multiply them with a large number."
        raise ParameterError(msg)
    if kind == "covariance":
        return covariance
    correlation = _correlation(covariance)
    return correlation if kind == "correlation" else _partial(correlation)


def _checked(signals: npt.ArrayLike, names: Sequence[str] | None) -> Array:
    """Return signals as an array, or raise an error that names the requirement."""
    array = np.asarray(signals)
    if array.dtype.kind not in "biuf" or array.ndim != 2:
        msg = (
            f"`signals` must be real numbers of shape (n_volumes, n_regions). Got {array.dtype} "
            f"of shape {array.shape}."
        )
        raise ParameterTypeError(msg)
    if len(array) < 2 or array.shape[1] < 1:
        msg = (
            f"`signals` must have at least two volumes and one region. Got shape {array.shape}: "
            f"nothing varies over time."
        )
        raise ParameterError(msg)
    if names is not None and len(names) != array.shape[1]:
        msg = f"`names` must name each of {array.shape[1]} columns. Got {len(names)} names."
        raise ParameterError(msg)
    return array


def _check_finite(array: Array, names: Sequence[str] | None) -> None:
    is_finite = np.isfinite(array)
    if not is_finite.all():
        row, column = np.argwhere(~is_finite)[0]
        msg = (
            f"`signals` must be finite. Got {array[row, column]} in volume {row} of "
            f"{_called(column, names)}, and {np.count_nonzero(~is_finite)} such values in all. "
            f"Leave out these volumes or regions."
        )
        raise ParameterError(msg)


def _centred(values: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return columns less their means, and which are constant.

    A constant column becomes exactly 0, not the rounding error of its mean.
    """
    is_constant: BoolArray = values.min(axis=0) == values.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = values - values.mean(axis=0)
    centred[:, is_constant] = 0
    return centred, is_constant


def _correlation(covariance: FloatArray) -> FloatArray:
    """Return the correlations of a covariance: exactly 1 with oneself, 0 with a constant."""
    deviation = np.sqrt(covariance.diagonal())
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    # One product for both triangles: so the result is symmetric to the last bit.
    correlation: FloatArray = covariance * np.outer(scale, scale)
    np.clip(correlation, -1, 1, out=correlation)
    np.fill_diagonal(correlation, 1)
    return correlation


def _partial(correlation: FloatArray) -> FloatArray:
    """Return partial correlations.

    They do not depend on the scale of columns: inverting correlations instead of covariances
    spares the inversion the differences of scale.
    """
    with np.errstate(all="ignore"):
        is_regular = np.linalg.cond(correlation) < 1 / (_FLOAT64_EPSILON * len(correlation))
    if not is_regular:
        msg = (
            "partial correlations need a covariance that can be inverted: more volumes than "
            "regions, and no region that is a sum of others. Pass estimator='ledoit-wolf', leave "
            "regions out, or keep more volumes."
        )
        raise ParameterError(msg)
    precision = np.linalg.inv(correlation)
    partial = -_correlation((precision + precision.T) / 2)
    np.fill_diagonal(partial, 1)
    return partial


def _warn_missing(is_missing: BoolArray, names: Sequence[str] | None) -> None:
    msg = (
        f"{np.count_nonzero(is_missing)} of {len(is_missing)} regions have no values; their rows "
        f"and columns are n/a: {_listed(is_missing, names)}."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=3)


def _listed(is_meant: BoolArray, names: Sequence[str] | None) -> str:
    columns = np.flatnonzero(is_meant)
    shown = ", ".join(_called(column, names) for column in columns[:6])
    return f"{shown} and {len(columns) - 6} more" if len(columns) > 6 else shown


def _warn_constant(is_constant: BoolArray, names: Sequence[str] | None) -> None:
    msg = (
        f"Correlations with a constant are not defined; 0 is given, and 1 with itself. Constant: "
        f"{_listed(is_constant, names)}. "
        f"Leave them out where this matters."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=3)


def _called(column: int, names: Sequence[str] | None) -> str:
    return f"column {column}" if names is None else f"column {column} ({names[column]!r})"
