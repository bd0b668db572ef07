"""Noise models: how the noise of a volume depends on that of the volumes before it."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, FloatArray
from lazyvox.errors import ParameterError
from lazyvox.glm.design import Design
from lazyvox.glm.sums import VoxelSums
from lazyvox.signal.products import multiply

__all__ = [
    "CLUSTER_BYTES",
    "Whitening",
    "bin_coefficients",
    "crossed_products",
    "noise_order",
    "whiten",
    "yule_walker",
]

#: What scikit-learn takes for clusters besides arrays of the coefficients: most of it its import,
#: measured at 40 to 55 MiB.
CLUSTER_BYTES = 64 << 20


def noise_order(noise_model: str) -> int:
    """Return the number of volumes before that the noise depends on.

    Parameters
    ----------
    noise_model : str
        ``"ols"``, or ``"ar1"``, ``"ar2"`` and so on.

    Returns
    -------
    int
        The order; 0 for ordinary least squares.

    Raises
    ------
    ParameterError
        If it is none of these.

    Examples
    --------
    >>> noise_order("ar3")
    3
    """
    if noise_model == "ols":
        return 0
    found = re.fullmatch(r"ar([1-9]\d?)", str(noise_model))
    if found is None:
        msg = f'`noise_model` must be "ols", or "arN" with N from 1 to 99. Got {noise_model!r}.'
        raise ParameterError(msg)
    return int(found[1])


def yule_walker(lags: FloatArray, n_volumes: int) -> FloatArray:
    """Return the coefficients of an autoregressive process with given sums of products.

    Parameters
    ----------
    lags : ndarray of shape (order + 1, n_voxels), float64
        Sums of products of residuals that are 0, 1, ... volumes apart.
    n_volumes : int
        Number of volumes.

    Returns
    -------
    ndarray of shape (n_voxels, order), float64
        The coefficients; 0 where there are no residuals.

    References
    ----------
    Yule, G. U. (1927). On a method of investigating periodicities in disturbed series. Phil.
    Trans. A 226. Each sum is divided by its number of products, as nilearn does.
    """
    order = len(lags) - 1
    means = lags / (n_volumes * (n_volumes - np.arange(order + 1.0)))[:, None]
    found = np.zeros((lags.shape[1], order))
    apart = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    for start in range(0, len(found), 4096):
        part = slice(start, start + 4096)
        known = np.flatnonzero(means[0, part] > 0) + start
        matrices = np.moveaxis(means[:, known][apart], -1, 0)
        found[known] = np.linalg.solve(matrices, means[1:, known].T[..., None])[..., 0]
    return found


def bin_coefficients(
    coefficients: FloatArray, bins: int, random_state: Any
) -> tuple[Array, dict[str, FloatArray]]:
    """Return a label for each voxel, and the coefficients of each label.

    Parameters
    ----------
    coefficients : ndarray of shape (n_voxels, order), float64
        Of each voxel.
    bins : int
        A single coefficient is cut to multiples of one over this number, towards zero. Several
        are put into so many clusters.
    random_state : int, numpy.random.RandomState or None
        For the clusters.

    Returns
    -------
    labels : ndarray of shape (n_voxels,), str
        As nilearn writes them.
    known : dict of ndarray of shape (order,)
        The coefficients of each label, in the order of the labels.
    """
    if coefficients.shape[1] == 1:
        cut = (coefficients[:, 0] * bins).astype(int) * 1.0 / bins
        values, places = np.unique(cut, return_inverse=True)
        texts = np.array([str(value) for value in values])
        known = {str(text): np.array([value]) for text, value in zip(texts, values, strict=True)}
        return texts[places], {text: known[text] for text in sorted(known)}
    from sklearn.cluster import KMeans

    n_clusters = min(bins, len(coefficients))
    clusters = KMeans(n_clusters, n_init=10, random_state=random_state).fit(coefficients)
    centers = clusters.cluster_centers_
    texts = np.array(["_".join(map(str, np.round(one, 2))) for one in centers])
    labels = texts[clusters.labels_]
    # Clusters that are written alike are one, with the coefficients of its first voxel.
    first = {
        text: centers[clusters.labels_[np.argmax(labels == text)]] for text in np.unique(labels)
    }
    return labels, {str(text): np.asarray(one) for text, one in first.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Sums over whitened volumes of a design, for one set of coefficients.

    A whitened series is w(t) = x(t) - sum of coefficient k times x(t - k), without what lies
    before the first volume.

    Attributes
    ----------
    weights : ndarray of shape (order + 1,)
        1, and the coefficients with the other sign.
    gram : ndarray of shape (rank, rank)
        Sums of products of the columns of the whitened basis.
    ends : ndarray of shape (order, rank)
        What whitening the basis would leave after its last volume.
    """

    weights: FloatArray
    gram: FloatArray
    ends: FloatArray

    @classmethod
    def of(
        cls, design: Design, coefficients: FloatArray, crossed: list[FloatArray]
    ) -> "Whitening":
        """Return the whitening of a design for some coefficients, given its `crossed_products`."""
        weights = np.concatenate(([1.0], -coefficients))
        order, basis = len(coefficients), design.basis
        ends = _ends(weights, basis[len(basis) - order :])
        gram = weights @ weights * np.eye(design.rank) - ends.T @ ends
        for lag, products in enumerate(crossed, 1):
            gram += 2 * (weights[: len(weights) - lag] @ weights[lag:]) * products
        return cls(weights, gram, ends)

    def products(self, sums: VoxelSums) -> FloatArray:
        """Return the sums of whitened basis times whitened y, of shape (n_voxels, rank)."""
        by_lag = sums.products.reshape(len(sums.products), len(self.weights), -1)
        products: FloatArray = by_lag[:, 0] * self._factor(0)
        for lag in range(1, len(self.weights)):
            products += by_lag[:, lag] * self._factor(lag)
        products -= _ends(self.weights, sums.last).T @ self.ends
        return products

    def squares(self, sums: VoxelSums) -> FloatArray:
        """Return the sums of squares of whitened y, of shape (n_voxels,)."""
        squares: FloatArray = sums.lags[0] * self._factor(0)
        for lag in range(1, len(self.weights)):
            squares += sums.lags[lag] * (2 * self._factor(lag))
        squares -= (_ends(self.weights, sums.last) ** 2).sum(axis=0)
        return squares

    def sums(self, total: FloatArray, last: FloatArray) -> FloatArray:
        """Return the sums of whitened series, given their sums and last volumes."""
        found: FloatArray = self.weights.sum() * total
        for lag in range(1, len(self.weights)):
            found = found - self.weights[lag] * last[len(last) - lag :].sum(axis=0)
        return found

    def _factor(self, lag: int) -> float:
        """Return how often whitening takes a product of two volumes that are so far apart."""
        return float(self.weights[: len(self.weights) - lag] @ self.weights[lag:])


def crossed_products(design: Design, order: int) -> list[FloatArray]:
    """Return half the sums of products of columns that are 1, 2, ... volumes apart, both ways."""
    found: list[FloatArray] = []
    for lag in range(1, order + 1):
        apart = multiply(design.basis[:-lag].T, design.basis[lag:])
        found.append((apart + apart.T) / 2)
    return found


def whiten(series: FloatArray, weights: FloatArray) -> FloatArray:
    """Return whitened series of shape (n_volumes, n), for weights 1, w1, w2, ..."""
    whitened = series.copy()
    for lag in range(1, len(weights)):
        whitened[lag:] += weights[lag] * series[:-lag]
    return whitened


def _ends(weights: FloatArray, last: FloatArray) -> FloatArray:
    """Return what whitening leaves after the last volumes, of shape (order, n)."""
    order, n_last = len(weights) - 1, len(last)
    ends = np.zeros((order, last.shape[1]))
    for after in range(order):
        for lag in range(after + 1, min(order, after + n_last) + 1):
            ends[after] += weights[lag] * last[n_last + after - lag]
    return ends
