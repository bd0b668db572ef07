"""Matrices of connectivity between the columns of signals."""

from lazyvox.connectome.api import Connectivity, connectivity, mean_connectivity
from lazyvox.connectome.matrix import (
    ESTIMATORS,
    KINDS,
    Estimator,
    Kind,
    connectivity_values,
    matrix_label,
)

__all__ = [
    "ESTIMATORS",
    "KINDS",
    "Connectivity",
    "Estimator",
    "Kind",
    "connectivity",
    "connectivity_values",
    "matrix_label",
    "mean_connectivity",
]
