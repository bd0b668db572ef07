"""Result of a GLM of one run: labels and results as nilearn has them, and contrasts of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from lazyvox.glm.contrasts import contrast_weights
from lazyvox.planning.arguments import check_choice
from lazyvox.runtime.optional import require

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array, BoolArray, FloatArray
    from lazyvox.glm.fit import Fit
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["OUTPUT_TYPES", "GLMResult", "OutputType", "nilearn_results"]

OUTPUT_TYPES = ("z_score", "stat", "p_value", "effect_size", "effect_variance")

OutputType: TypeAlias = Literal[
    "z_score", "stat", "p_value", "effect_size", "effect_variance", "all"
]


def nilearn_results(fit: Fit) -> dict[Any, Any]:
    """Return a fit as nilearn keeps it: one `SimpleRegressionResults` for each label.

    Parameters
    ----------
    fit : Fit
        The fit of one run.

    Returns
    -------
    dict
        Results by label. They share their arrays with the fit.

    Raises
    ------
    MissingDependencyError
        If nilearn is not installed.
    """
    require("nilearn", "glm", "Results and contrasts of a GLM")
    from nilearn.glm.regression import SimpleRegressionResults

    design = fit.model.design
    # What the class takes from a full fit: the number of rows of the data, and the rank.
    rows, model = np.empty((design.n_volumes, 0)), SimpleNamespace(df_model=design.rank)
    return {
        label: SimpleRegressionResults(
            SimpleNamespace(
                theta=one.theta,
                cov=one.cov,
                dispersion=one.dispersion,
                nuisance=None,
                Y=rows,
                model=model,
            )
        )
        for label, one in fit.by_label.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class GLMResult:
    """Fit of a GLM to one run. Made by `lazyvox.GLM`.

    Attributes
    ----------
    fit : Fit
        Weights, covariances and dispersions by label of noise.
    mask : ndarray of shape (i, j, k), bool
        The voxels.
    template : nibabel image
        Class and header of images of the results.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    means : ndarray of shape (n_volumes,), float64, or None
        Means of volumes, where signals were divided by them.
    """

    fit: Fit
    mask: BoolArray = field(repr=False)
    template: SpatialImage = field(repr=False)
    affine: Array = field(repr=False)
    means: FloatArray | None = field(repr=False, default=None)

    @property
    def labels(self) -> Array:
        """Label of noise of each voxel of the mask, as nilearn's `run_glm` gives it."""
        return self.fit.labels

    @property
    def results(self) -> dict[Any, Any]:
        """Results by label, of nilearn's class `SimpleRegressionResults`."""
        return nilearn_results(self.fit)

    @property
    def mask_img(self) -> LazyImage:
        """The voxels as an image of 0 and 1, uint8, in memory."""
        return self._image_of(self.mask.astype(np.uint8))

    def compute_contrast(
        self,
        contrast_def: Any,
        stat_type: Literal["t", "F"] | None = None,
        output_type: OutputType = "all",
    ) -> LazyImage | dict[str, LazyImage]:
        """Return maps of a contrast.

        Parameters
        ----------
        contrast_def : str, or array-like of shape (n_columns,) or (n, n_columns)
            Expression of names of columns, or weights; several rows for an F contrast.
        stat_type : {"t", "F"}, optional
            By default "t" for one row, "F" for several.
        output_type : str, default="all"
            One of ``"z_score"``, ``"stat"``, ``"p_value"``, ``"effect_size"``,
            ``"effect_variance"``; or ``"all"``.

        Returns
        -------
        LazyImage, or dict of them
            Float64 images in memory, zero outside of the mask; by their type for ``"all"``.

        Raises
        ------
        ParameterError
            If a name is none of a column, or `output_type` is something else.
        MissingDependencyError
            If nilearn is not installed, whose statistics these are.
        """
        check_choice(output_type, "output_type", (*OUTPUT_TYPES, "all"))
        weights = contrast_weights(contrast_def, self.fit.model.design.names)
        results = self.results
        from nilearn.glm.contrasts import compute_contrast

        types = OUTPUT_TYPES if output_type == "all" else (output_type,)
        # The reciprocal of a variance of zero is not used.
        with np.errstate(divide="ignore"):
            contrast = compute_contrast(self.labels, results, weights, stat_type)
            maps = {kind: self._image(getattr(contrast, kind)()) for kind in types}
        return maps if output_type == "all" else maps[output_type]

    def _image(self, values: Array) -> LazyImage:
        """Return values of the voxels as a volume; several rows of effects of F as a series."""
        if values.ndim == 2 and len(values) == 1:
            values = values[0]
        shape = (*self.mask.shape, *values.shape[:-1])
        volume = np.zeros(shape, order="F")
        volume[self.mask] = values.T
        return self._image_of(volume)

    def _image_of(self, volume: Array) -> LazyImage:
        from lazyvox.lazyimage.classes import image_like

        return image_like(self.template, volume, self.affine, is_new_kind=True)
