"""Scaling of voxels that depends on their mean or spread: of their sums, once these are known."""

from typing import Any, Literal, TypeAlias

import numpy as np

from lazyvox._typing import BoolArray
from lazyvox.errors import ParameterError
from lazyvox.glm.sums import VoxelSums
from lazyvox.signal.options import check_standardize

__all__ = ["Scaling", "scale_sums", "scaling_of", "still_voxels"]

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


def scale_sums(sums: VoxelSums, scaling: Scaling, grand_mean: float) -> None:
    """Scale voxels by scaling their sums, in place.

    Parameters
    ----------
    sums : VoxelSums
        Finished sums. The data of a voxel are y and its reference.
    scaling : str
        What is done; "volume" was done before.
    grand_mean : float
        Mean of all voxels over all volumes.
    """
    if scaling in {"none", "volume"}:
        return
    mean = sums.reference + sums.total / sums.count
    if scaling == "zscore_sample":
        sums.shift(sums.reference - mean)
        spread = np.sqrt(np.maximum(sums.lags[0], 0) / max(sums.count - 1, 1))
        # nilearn leaves alone what has no spread.
        spread[spread < np.finfo(np.float64).eps] = 1
        sums.scale(1 / spread)
        sums.reference[:] = 0
        return
    center = np.full_like(mean, grand_mean) if scaling == "grand" else mean
    if scaling == "psc":
        at_zero = np.abs(center) < np.finfo(np.float64).eps
        factor = np.where(at_zero, 0, 100 / np.where(at_zero, 1, np.abs(center)))
    else:
        center = np.maximum(center, 1)
        factor = 100 / center
    if scaling == "grand":
        sums.scale(factor)
        sums.reference -= 100
    else:
        sums.shift(sums.reference - center)
        sums.scale(factor)
        sums.reference[:] = 0


def still_voxels(sums: VoxelSums) -> BoolArray:
    """Return which voxels do not vary, but for the rounding of their mean."""
    spread = sums.lags[0] - sums.total**2 / sums.count
    rounding = 8 * np.finfo(np.float64).eps * np.abs(sums.reference + sums.total / sums.count)
    return np.asarray(spread <= sums.count * rounding**2)
