"""Operations on single volumes that the computation of masks is made of."""

import warnings

import numpy as np

from lazyvox._typing import Array, BoolArray
from lazyvox.errors import ParameterError
from lazyvox.image.components import largest_component
from lazyvox.masking.loading import MaskWarning
from lazyvox.stream.gather import zero_non_finite

__all__ = ["border_values", "histogram_threshold", "opened", "smoothed"]

#: Standard deviation in voxels of the smoothing by one voxel at half maximum.
_SIGMA = 1 / np.sqrt(8 * np.log(2))


def smoothed(volume: Array) -> Array:
    """Return a volume smoothed by one voxel; NaN stays, and does not spread.

    Parameters
    ----------
    volume : ndarray of shape (i, j, k)
        Real numbers; changed in place where they are floats.

    Returns
    -------
    ndarray of shape (i, j, k)
        float64 for 64-bit integers, float32 for smaller ones, else the type given.
    """
    from scipy.ndimage import gaussian_filter1d

    if volume.dtype.kind != "f":
        volume = volume.astype(np.float64 if volume.dtype.itemsize == 8 else np.float32)
    is_nan = np.isnan(volume)
    zero_non_finite(volume)
    for axis in range(3):
        gaussian_filter1d(volume, _SIGMA, output=volume, axis=axis)
    volume[is_nan] = np.nan
    return volume


def histogram_threshold(
    volume: Array, lower_cutoff: float, upper_cutoff: float, *, exclude_zeros: bool
) -> np.number:
    """Return the middle of the widest gap between neighbouring values of a volume.

    Parameters
    ----------
    volume : ndarray
        Real numbers.
    lower_cutoff, upper_cutoff : float
        The gap is looked for between these fractions of the sorted values.
    exclude_zeros : bool
        Whether zeros are left out.

    Returns
    -------
    numpy scalar
        The threshold, in the type of the values; float64 for integers.

    Raises
    ------
    ParameterError
        If there are fewer than two values between the cutoffs.

    Examples
    --------
    >>> float(histogram_threshold(np.array([0, 1, 2, 8, 9]), 0.0, 1.0, exclude_zeros=False))
    5.0
    """
    values = np.sort(volume, axis=None)
    if values.dtype.kind != "f":
        # Differences and sums of small integers would overflow.
        values = values.astype(np.float64)
    if exclude_zeros:
        values = values[values != 0]
    start = int(np.floor(lower_cutoff * len(values)))
    stop = min(int(np.floor(upper_cutoff * len(values))), len(values) - 1)
    if start < 0 or stop <= start:
        zeros = "other than 0 " if exclude_zeros else ""
        msg = (
            f"`lower_cutoff` and `upper_cutoff` must be fractions with values between them. Got "
            f"{lower_cutoff} and {upper_cutoff} for {len(values)} values {zeros}of the mean image."
        )
        raise ParameterError(msg)
    gaps = values[start + 1 : stop + 1] - values[start:stop]
    widest = start + int(gaps.argmax())
    threshold: np.number = 0.5 * (values[widest] + values[widest + 1])
    return threshold


def border_values(volume: Array, border_size: int) -> Array:
    """Return the voxels within some voxels of the six faces; those of edges are there repeatedly.

    Parameters
    ----------
    volume : ndarray of shape (i, j, k)
        The volume.
    border_size : int
        Thickness in voxels.

    Returns
    -------
    ndarray of shape (n,)
        The values.
    """
    faces = []
    for axis in range(3):
        turned = np.moveaxis(volume, axis, 0)
        faces += [turned[:border_size].ravel(), turned[-border_size:].ravel()]
    return np.concatenate(faces)


def opened(mask: BoolArray, opening: int, hint: str, *, connected: bool) -> BoolArray:
    """Return a mask without thin bridges and, where asked, without all but its largest part.

    Parameters
    ----------
    mask : ndarray of shape (i, j, k), bool
        The mask.
    opening : int
        Erosions before the choice of the part, and rounding of its surface afterwards; 0 for none.
    hint : str
        What to look at where nothing is left.
    connected : bool
        Whether the largest connected part alone is kept.

    Returns
    -------
    ndarray of shape (i, j, k), bool
        The mask.

    Warns
    -----
    MaskWarning
        If no voxel is left.
    """
    from scipy.ndimage import binary_dilation, binary_erosion

    if opening:
        mask = binary_erosion(mask, iterations=opening)
    part = largest_component(mask) if connected else None
    if part is not None:
        mask = part
    elif not mask.any():
        msg = f"The mask that was computed is empty. {hint}"
        warnings.warn(msg, MaskWarning, stacklevel=3)
    if opening:
        mask = binary_dilation(mask, iterations=2 * opening)
        mask = binary_erosion(mask, iterations=opening)
    return mask
