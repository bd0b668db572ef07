"""Scaling of voxels that depends on their mean or spread, which are known once the sums are."""

from typing import Any, Literal, TypeAlias

import numpy as np

from lazyvox._typing import BoolArray, FloatArray
from lazyvox.errors import ParameterError
from lazyvox.glm.sums import VoxelSums
from lazyvox.signal.options import check_standardize

__all__ = ["Scaling", "scaling_factors", "scaling_of", "still_voxels"]

Scaling: TypeAlias = Literal["none", "voxel", "volume", "grand", "psc", "zscore_sample"]


def scaling_of(signal_scaling: Any, standardize: Any = None) -> Scaling:
    """Return what nilearn's two parameters ask for.

    Parameters
    ----------
    signal_scaling : 0, 1, (0, 1) or False
        Signals as 100 (y / mean - 1), with the mean of each voxel over time, of each volume over
        voxels, or over both; or as they are.
    standardize : bool or str, optional
        ``"zscore_sample"`` or True, or ``"psc"``; taken where `signal_scaling` is False.

    Returns
    -------
    str
        Name of the scaling.

    Raises
    ------
    ParameterError
        If one of them is something else.
    """
    if isinstance(signal_scaling, list):
        signal_scaling = tuple(signal_scaling)
    if signal_scaling is not False:
        known: dict[Any, Scaling] = {0: "voxel", 1: "volume", (0, 1): "grand"}
        if isinstance(signal_scaling, bool) or signal_scaling not in known:
            msg = f"`signal_scaling` must be 0, 1, (0, 1) or False. Got {signal_scaling!r}."
            raise ParameterError(msg)
        return known[signal_scaling]
    how = check_standardize(standardize, warns_on_bool=False)
    return "none" if how is None else how


def scaling_factors(sums: VoxelSums, scaling: Scaling) -> tuple[FloatArray, FloatArray]:
    """Return the factor and the offset that scale the values of each voxel.

    Parameters
    ----------
    sums : VoxelSums
        Finished sums, of values as they are.
    scaling : str
        What is done; "volume" was done before.

    Returns
    -------
    factor, offset : ndarray of shape (n_voxels,), float64
        Scaled values are factor times value plus offset.
    """
    mean = sums.reference + sums.total / max(sums.count, 1)
    if scaling in {"none", "volume"}:
        return np.ones_like(mean), np.zeros_like(mean)
    if scaling == "zscore_sample":
        squares = sums.lags[0] - sums.total**2 / sums.count
        spread = np.sqrt(np.maximum(squares, 0) / max(sums.count - 1, 1))
        # nilearn leaves alone what has no spread.
        spread[spread < np.finfo(np.float64).eps] = 1
        return 1 / spread, -mean / spread
    if scaling == "psc":
        center = np.abs(mean)
        at_zero = center < np.finfo(np.float64).eps
        factor = np.where(at_zero, 0, 100 / np.where(at_zero, 1, center))
        return factor, -mean * factor
    center = mean if scaling == "voxel" else np.full_like(mean, mean.mean())
    return 100 / np.maximum(center, 1), np.full_like(mean, -100)


def still_voxels(sums: VoxelSums) -> BoolArray:
    """Return which voxels do not vary, but for the rounding of their mean."""
    spread = sums.lags[0] - sums.total**2 / sums.count
    rounding = 8 * np.finfo(np.float64).eps * np.abs(sums.reference + sums.total / sums.count)
    return np.asarray(spread <= sums.count * rounding**2)
