"""Matrices of connectivity between the columns of signals."""

from lazyvox.connectivity.matrix import ESTIMATORS, KINDS, Estimator, Kind, connectivity

__all__ = ["ESTIMATORS", "KINDS", "Estimator", "Kind", "connectivity"]
