"""Predictions and residuals of a fitted run, as lazy images over the run."""

from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, DType, FloatArray, IntArray, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import MemoryReader
from lazyvox.glm.fit import Fit
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.series import Series
from lazyvox.maskers.finite import finite_img
from lazyvox.stream.gather import VoxelGather

__all__ = ["predicted_img", "residuals_img", "volume_img"]


def volume_img(values: FloatArray, mask: BoolArray, template: Any, affine: Array) -> Any:
    """Return values of voxels as an image in memory, 0 outside of the mask."""
    volume = np.zeros(mask.shape, order="F")
    volume[mask] = values
    return image_like(template, volume, affine, copy_header=False)


def predicted_img(fit: Fit, mask: BoolArray, series: Series) -> Any:
    """Return what the model predicts, whitened as nilearn has it: computed volume by volume.

    Parameters
    ----------
    fit : Fit
        The fit.
    mask : ndarray of shape (i, j, k), bool
        Its voxels.
    series : Series
        The run, for class and affine.

    Returns
    -------
    LazyImage
        A float64 image of shape (i, j, k, n_volumes), 0 outside of the mask.
    """
    values = _Predicted(fit, mask)
    array = LazyArray.over(
        MemoryReader(values, "predictions of a GLM", values.shape, values.dtype)
    )
    return image_like(series.grid.template, array, series.grid.affine, copy_header=False)


def residuals_img(fit: Fit, mask: BoolArray, series: Series, means: FloatArray | None) -> Any:
    """Return the data, scaled as they were fitted, minus the prediction; reads nothing.

    Parameters
    ----------
    fit : Fit
        The fit.
    mask : ndarray of shape (i, j, k), bool
        Its voxels.
    series : Series
        The run, smoothed and resampled as it was fitted.
    means : ndarray of shape (n_volumes,), optional
        Means of volumes, where the signals were divided by them.

    Returns
    -------
    LazyImage
        A float64 image of shape (i, j, k, n_volumes), 0 outside of the mask.
    """
    grid = series.grid
    predicted = predicted_img(fit, mask, series)
    run = finite_img(image_like(predicted, series.array, grid.affine, copy_header=False))
    if means is not None:
        run = (run / means - 1) * 100
    factor, offset = (
        volume_img(one, mask, predicted, grid.affine) for one in (fit.factor, fit.offset)
    )
    # Values that would overflow lie outside of the mask: they are left out before the product.
    return np.where(mask, run, 0.0) * factor + offset - predicted


class _Predicted:
    """Predictions, sliced like an array of shape (i, j, k, n_volumes)."""

    dtype: DType = np.dtype(np.float64)

    def __init__(self, fit: Fit, mask: BoolArray) -> None:
        self._fit = fit
        self._index = VoxelGather.of(mask).index
        self._members: dict[Any, IntArray] = {
            label: np.flatnonzero(fit.labels == label) for label in fit.by_label
        }
        self.shape: Shape = (*mask.shape, fit.model.design.n_volumes)

    def __getitem__(self, key: tuple[Any, ...]) -> Array:
        """Return the volumes asked for, cut as asked."""
        *space, time = key
        numbers = np.arange(self.shape[3])[time]
        lines = np.zeros((np.size(numbers), len(self._index)))
        for label, one in self._fit.by_label.items():
            rows = self._rows(np.atleast_1d(numbers), one.coefficients)
            lines[:, self._members[label]] = rows @ one.theta
        full = np.zeros((len(lines), int(np.prod(self.shape[:3]))))
        full[:, self._index] = lines
        volumes = full.T.reshape(*self.shape[:3], len(lines), order="F")
        return volumes[(*space, 0 if np.ndim(numbers) == 0 else slice(None))]

    def _rows(self, numbers: IntArray, coefficients: FloatArray) -> FloatArray:
        """Return rows of the whitened design."""
        matrix = self._fit.model.design.matrix
        rows: FloatArray = matrix[numbers]
        for lag, coefficient in enumerate(coefficients, 1):
            known = numbers >= lag
            rows[known] -= coefficient * matrix[numbers[known] - lag]
        return rows
