"""The fit of a GLM from sums over volumes: least squares, noise, whitened least squares.

References
----------
Worsley, K. J. et al. (2002). A general statistical analysis for fMRI data. NeuroImage 15(1). The
steps are those of nilearn's `run_glm`; here they need the voxels only through their sums.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray, IntArray
from lazyvox.errors import LazyvoxWarning
from lazyvox.glm.design import Design
from lazyvox.glm.noise import (
    Whitening,
    bin_coefficients,
    crossed_products,
    noise_order,
    whiten,
    yule_walker,
)
from lazyvox.glm.scaling import Scaling, scaling_factors, still_voxels
from lazyvox.glm.sums import VoxelSums
from lazyvox.signal.products import MOST_STEPS

__all__ = ["FIT_BYTES", "Fit", "LabelFit", "Model", "fit_sums"]

#: Bytes of the sums of the voxels that are fitted at a time.
_PART_BYTES = 2 << 20

#: What a part takes with its copies: measured at 3 to 5 times its sums.
FIT_BYTES = 8 * _PART_BYTES


#: Rounding of signals that were scaled to percent and are zero.
_ZERO = 1e-11


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Design and noise of one run.

    Attributes
    ----------
    design : Design
        Design of the run.
    noise_model : str
        ``"ols"`` or ``"arN"``.
    bins : int
        Number of steps, or of clusters, of the coefficients of noise.
    scaling : str
        What is done to the signals before.
    random_state : object
        For clusters of coefficients of noise.
    has_r_square : bool
        Whether the variance that the model explains is computed.
    """

    design: Design
    noise_model: str = "ar1"
    bins: int = 100
    scaling: Scaling = "voxel"
    random_state: Any = None
    has_r_square: bool = False

    @property
    def order(self) -> int:
        """Number of volumes before that the noise depends on."""
        return noise_order(self.noise_model)


@dataclass(frozen=True, slots=True, eq=False)
class LabelFit:
    """Fit of the voxels that share one noise.

    Attributes
    ----------
    coefficients : ndarray of shape (order,), float64
        Coefficients of the noise.
    theta : ndarray of shape (n_columns, n), float64
        Weights of the columns of the design.
    cov : ndarray of shape (n_columns, n_columns), float64
        Their covariance, but for the dispersion.
    dispersion : ndarray of shape (n,), float64
        Variance of the whitened residuals.
    r_square : ndarray of shape (n,), float64
        Variance of the prediction by that of the data, both whitened; NaN where there is none, 0
        where it was not asked for.
    """

    coefficients: FloatArray
    theta: FloatArray
    cov: FloatArray
    dispersion: FloatArray
    r_square: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Fit of one run.

    Attributes
    ----------
    model : Model
        What was fitted.
    labels : ndarray of shape (n_voxels,)
        Which noise each voxel has.
    by_label : dict of LabelFit
        The fit of the voxels of each label.
    factor, offset : ndarray of shape (n_voxels,), float64
        What was fitted is factor times value plus offset.
    n_still : int
        Number of voxels that do not vary.
    """

    model: Model
    labels: Array
    by_label: dict[Any, LabelFit] = field(repr=False)
    factor: FloatArray = field(repr=False)
    offset: FloatArray = field(repr=False)
    n_still: int = 0

    def gathered(self, name: str) -> FloatArray:
        """Return "dispersion" or "r_square" of all voxels, of shape (n_voxels,)."""
        values = np.zeros(len(self.labels))
        for label, one in self.by_label.items():
            values[self.labels == label] = getattr(one, name)
        return values


def fit_sums(sums: VoxelSums, model: Model) -> Fit:
    """Return the fit of a GLM.

    Parameters
    ----------
    sums : VoxelSums
        Finished, of the basis of the design with its lags as `stack_lagged` gives them.
    model : Model
        Design and noise.

    Returns
    -------
    Fit
        The fit. Of a voxel that does not vary, `theta` is that of a constant, `r_square` is 0, and
        `dispersion` is 0 where the voxel is zero once scaled, else NaN: it has no t. Without degrees
        of freedom, every `dispersion` is NaN.

    Warns
    -----
    LazyvoxWarning
        If the design lacks rank or leaves no degrees of freedom, or a mean that signals are divided
        by is zero.

    Notes
    -----
    Memory: 8 bytes for each voxel and column, and about 16 MiB.
    """
    _warn_of_rank(model.design)
    _warn_of_zero_means(sums, model.scaling)
    parts = _Parts(sums, model)
    still = still_voxels(sums)
    if model.design.constant is None:
        # Other residuals than those of voxels that are zero throughout are as good as any.
        still &= parts.gathered(lambda part: part.lags[0] <= part.count * _ZERO**2, bool)
    if not model.order:
        labels: Array = np.zeros(len(still))
        known: dict[Any, FloatArray] = {0.0: np.zeros(0)}
    else:
        mean = 0.0 if model.design.constant is not None else parts.mean_residual()
        coefficients = parts.gathered(
            lambda part: _coefficients(part, model.design, parts.crossed, mean), float
        )
        coefficients = coefficients.reshape(len(still), -1)
        coefficients[still] = 0
        if not model.design.n_free:
            coefficients[:] = 0
        labels, known = bin_coefficients(coefficients, model.bins, model.random_state)
    by_label = {
        label: parts.fit(np.flatnonzero(labels == label), one, still)
        for label, one in known.items()
    }
    return Fit(model, labels, by_label, parts.factor, parts.offset, int(still.sum()))


class _Parts:
    """Voxels of sums, some at a time, scaled as the model says."""

    def __init__(self, sums: VoxelSums, model: Model) -> None:
        self._sums, self._model = sums, model
        self.crossed = crossed_products(model.design, model.order)
        numbers = sums.products.shape[1] + 2 + 3 * (sums.n_lags + 1)
        rank = model.design.rank
        # Products with matrices of that rank stay on one core, as those of a pass do.
        most = max(MOST_STEPS // max(rank * rank, 1), 16)
        self._step = max(min(_PART_BYTES // (8 * numbers), most), 1)
        self.factor, self.offset = scaling_factors(sums, model.scaling)

    def _values(self, still: IntArray) -> FloatArray:
        """Return the one value, scaled, of voxels that do not vary; 0 for those of zeros."""
        value = self._sums.reference[still] + self._sums.total[still] / self._sums.count
        offset = self.offset[still]
        scaled: FloatArray = self.factor[still] * value + offset
        scaled[(value == 0) | (np.abs(scaled) <= _ZERO * np.abs(offset))] = 0
        return scaled

    def _part(self, voxels: slice | IntArray) -> VoxelSums:
        """Return sums of some voxels: of a design without a constant those of the scaled values.

        Otherwise factor and mean make no difference to the noise, and the weights can be scaled.
        """
        part = self._sums.part(voxels)
        if self._model.design.constant is None:
            part = copy.deepcopy(part)
            part.scale(self.factor[voxels])
            part.reference += self.offset[voxels]
            # Nothing takes the mean out of these residuals.
            part.shift(part.reference.copy())
        return part

    def _all(self) -> Iterator[VoxelSums]:
        for start in range(0, self._sums.products.shape[0], self._step):
            yield self._part(slice(start, start + self._step))

    def gathered(self, of: Callable[[VoxelSums], Array], dtype: Any) -> Array:
        """Return what a function gives of each part, joined along voxels."""
        found = [of(part) for part in self._all()]
        return np.concatenate(found) if found else np.zeros(0, dtype)

    def mean_residual(self) -> float:
        """Return the mean of all residuals of ordinary least squares."""
        basis_sums = self._model.design.basis.sum(axis=0)
        sums = [part.total - _weights(part, basis_sums) @ basis_sums for part in self._all()]
        n_values = self._sums.count * self._sums.products.shape[0]
        return float(sum(one.sum() for one in sums) / n_values)

    def fit(self, voxels: IntArray, coefficients: FloatArray, still: BoolArray) -> LabelFit:
        """Return the fit of the voxels of one label."""
        design = self._model.design
        whitening = Whitening.of(design, coefficients, self.crossed)
        inverse = np.linalg.inv(whitening.gram)
        theta = np.empty((len(design.names), len(voxels)))
        dispersion, r_square = np.empty(len(voxels)), np.zeros(len(voxels))
        for start in range(0, len(voxels), self._step):
            here = slice(start, start + self._step)
            part = self._part(voxels[here])
            products = whitening.products(part)
            weights = products @ inverse
            fitted = weights @ whitening.gram
            squares = whitening.squares(part)
            left = squares - np.einsum("ij,ij->i", weights, 2 * products - fitted)
            dispersion[here] = np.maximum(left, 0) / (design.n_free or np.nan)
            theta[:, here] = design.inverse @ weights.T
            if design.constant is not None:
                factor, offset = self.factor[voxels[here]], self.offset[voxels[here]]
                theta[:, here] *= factor
                theta[:, here] += design.constant[:, None] * (factor * part.reference + offset)
                dispersion[here] *= factor**2
                part.reference = part.reference + offset / np.where(factor == 0, 1, factor)
            if self._model.has_r_square:
                r_square[here] = _r_square(part, design, whitening, weights, squares)
        fixed = np.flatnonzero(still[voxels])
        value = self._values(voxels[fixed])
        theta[:, fixed] = 0 if design.constant is None else design.constant[:, None] * value
        dispersion[fixed], r_square[fixed] = np.where(value == 0, 0, np.nan), 0
        cov = design.inverse @ inverse @ design.inverse.T
        return LabelFit(coefficients, theta, cov, dispersion, r_square)


def _weights(part: VoxelSums, basis: FloatArray) -> FloatArray:
    """Return the weights of an orthonormal basis by least squares, of shape (n_voxels, rank)."""
    return part.products[:, : basis.shape[-1]]


def _coefficients(
    part: VoxelSums, design: Design, crossed: list[FloatArray], mean: float
) -> FloatArray:
    """Return the coefficients of noise of some voxels, of shape (n_voxels, order)."""
    basis, rank = design.basis, design.rank
    weights = _weights(part, basis)
    lags = np.empty_like(part.lags)
    lags[0] = part.lags[0] - np.einsum("ij,ij->i", weights, weights)
    for lag in range(1, len(lags)):
        change = weights @ crossed[lag - 1] - part.products[:, lag * rank : (lag + 1) * rank]
        lags[lag] = part.lags[lag] + np.einsum("ij,ij->i", weights, change)
    if mean:
        _subtract_mean(lags, part, basis, mean)
    lags[0] = np.maximum(lags[0], 0)
    return yule_walker(lags, design.n_volumes)


def _subtract_mean(lags: FloatArray, part: VoxelSums, basis: FloatArray, mean: float) -> None:
    """Change sums of products of residuals to those of residuals minus a mean."""
    weights = _weights(part, basis)
    total = part.total - weights @ basis.sum(axis=0)
    n_lags, n = len(lags) - 1, len(basis)
    first = part.first - basis[:n_lags] @ weights.T
    last = part.last - basis[n - n_lags :] @ weights.T
    for lag in range(len(lags)):
        pairs = 2 * total - first[:lag].sum(axis=0) - last[n_lags - lag :].sum(axis=0)
        lags[lag] += mean * (mean * (n - lag) - pairs)


def _r_square(
    part: VoxelSums,
    design: Design,
    whitening: Whitening,
    weights: FloatArray,
    squares: FloatArray,
) -> FloatArray:
    """Return the variance of whitened predictions by that of whitened data.

    Of a whitened constant only what differs at the first volumes has a variance.
    """
    n, order = design.n_volumes, len(whitening.weights) - 1
    reference = part.reference if design.constant is not None else np.zeros(len(squares))
    start = (np.cumsum(whitening.weights) - whitening.weights.sum())[:order, None] * reference
    basis_start = whiten(design.basis[:order], whitening.weights)
    basis_sums = whitening.sums(design.basis.sum(axis=0), design.basis[n - order :])
    predicted = basis_start @ weights.T
    of_fit = np.einsum("ij,ij->i", weights @ whitening.gram, weights)
    of_fit = _variance(of_fit, weights @ basis_sums, predicted, start, n)
    data_sums = whitening.sums(part.total, part.last)
    of_data = _variance(squares, data_sums, whiten(part.first, whitening.weights), start, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return of_fit / of_data


def _variance(
    squares: FloatArray, total: FloatArray, first: FloatArray, added: FloatArray, n: int
) -> FloatArray:
    """Return variances of series, after something was added to their first volumes."""
    squares = squares + (2 * first * added + added**2).sum(axis=0)
    variance: FloatArray = squares / n - ((total + added.sum(axis=0)) / n) ** 2
    return variance


def _warn_of_rank(design: Design) -> None:
    if not design.n_free:
        msg = (
            f"a design should have fewer independent columns than volumes, or nothing is left to "
            f"estimate the noise from. Got rank {design.rank} for {design.n_volumes} volumes: "
            f"variances and statistics are NaN."
        )
        hint = "Use fewer confounds or drifts, or keep more volumes."
        warnings.warn(LazyvoxWarning(msg, hint=hint), stacklevel=4)
    if design.rank < len(design.names):
        msg = (
            f"the columns of the design should not depend on each other. Got {len(design.names)} "
            f"columns of rank {design.rank}: the weights of smallest norm are taken. A contrast of "
            f"columns that cannot be told apart means nothing."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def _warn_of_zero_means(sums: VoxelSums, scaling: Scaling) -> None:
    if scaling in {"voxel", "psc"}:
        n_zero = int((sums.reference + sums.total / max(sums.count, 1) == 0).sum())
        if n_zero:
            msg = (
                f"Mean values of 0 observed, in {n_zero} voxels: they cannot be scaled to their "
                f"mean."
            )
            hint = "Data that were centered need `signal_scaling=False`."
            cli_hint = (
                "Of data that were centered take those with their mean: lazyvox clean --keep-mean."
            )
            warnings.warn(LazyvoxWarning(msg, hint=hint, cli_hint=cli_hint), stacklevel=4)
