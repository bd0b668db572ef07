"""Estimators of covariance, from centred signals. Pure."""

import numpy as np

from lazyvox._typing import FloatArray

__all__ = ["empirical_covariance", "ledoit_wolf_covariance", "ledoit_wolf_shrinkage"]


def empirical_covariance(centred: FloatArray) -> FloatArray:
    """Return the covariance of columns, divided by the number of rows.

    Parameters
    ----------
    centred : ndarray of shape (n_rows, n_columns), float64
        Columns with mean 0.

    Returns
    -------
    ndarray of shape (n_columns, n_columns), float64
        The maximum-likelihood estimate.
    """
    covariance: FloatArray = centred.T @ centred
    covariance /= len(centred)
    return covariance


def ledoit_wolf_shrinkage(centred: FloatArray, covariance: FloatArray) -> float:
    """Return how far a covariance is drawn towards a multiple of the identity.

    Parameters
    ----------
    centred : ndarray of shape (n_rows, n_columns), float64
        Columns with mean 0.
    covariance : ndarray of shape (n_columns, n_columns)
        Their empirical covariance.

    Returns
    -------
    float
        From 0, not at all, to 1, all the way.

    Notes
    -----
    With S the covariance, m its mean variance, x the n rows, p columns, and the squared norm
    of a matrix its sum of squares: d2 = |S - m I|2 / p is how far S lies from the target, and
    b2 = sum |x x' - S|2 / (n n p) how uncertain S is. The shrinkage is min(b2, d2) / d2. The sum
    is sum |x|4 - n |S|2, so that no product of rows is formed.

    Memory: one more matrix of this size.

    References
    ----------
    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", Journal of Multivariate Analysis 88 (2004), 365-411: section 3.2.
    """
    n_rows, n_columns = centred.shape
    deviation = covariance.copy()
    np.fill_diagonal(deviation, covariance.diagonal() - covariance.trace() / n_columns)
    distance = np.vdot(deviation, deviation) / n_columns
    fourth = np.square(np.einsum("ij,ij->i", centred, centred)).sum()
    uncertainty = (fourth / n_rows - np.vdot(covariance, covariance)) / (n_rows * n_columns)
    # Negative by rounding only: where every row has the same product.
    return float(min(max(uncertainty, 0.0) / distance, 1.0)) if distance > 0 else 0.0


def ledoit_wolf_covariance(centred: FloatArray) -> FloatArray:
    """Return the covariance, shrunk as far as minimises its expected error.

    Parameters
    ----------
    centred : ndarray of shape (n_rows, n_columns), float64
        Columns with mean 0.

    Returns
    -------
    ndarray of shape (n_columns, n_columns), float64
        Invertible, as long as any column varies.

    References
    ----------
    As `ledoit_wolf_shrinkage`.
    """
    covariance = empirical_covariance(centred)
    shrinkage = ledoit_wolf_shrinkage(centred, covariance)
    mean_variance = covariance.trace() / len(covariance)
    covariance *= 1 - shrinkage
    np.fill_diagonal(covariance, covariance.diagonal() + shrinkage * mean_variance)
    return covariance
