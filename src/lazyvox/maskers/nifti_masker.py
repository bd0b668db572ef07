"""`NiftiMasker`: the voxels of a mask."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, DType, override
from lazyvox.errors import ParameterError, RegionError
from lazyvox.extraction import Voxels
from lazyvox.geometry.grids import inverted
from lazyvox.image import check_niimg, crop_img, resample_img
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.grids import affine_of, same_grid
from lazyvox.maskers.base import BaseMasker, check_is_fitted
from lazyvox.maskers.parameters import MaskerRuntimeWarning, MaskerWarning
from lazyvox.maskers.report_content import mask_findings
from lazyvox.maskers.report_parts import Findings
from lazyvox.maskers.scikit_learn import ClassNamePrefixFeaturesOutMixin
from lazyvox.maskers.transform_pass import Stage, Work
from lazyvox.masking import (
    compute_background_mask,
    compute_brain_mask,
    compute_epi_mask,
    unmask,
)
from lazyvox.planning.arguments import check_choice
from lazyvox.stream.masks import RegionImage

__all__ = ["MASK_STRATEGIES", "NiftiMasker", "stage_of_mask", "supported_arguments"]

MASK_STRATEGIES = ("background", "epi", "whole-brain-template", "gm-template", "wm-template")


class NiftiMasker(ClassNamePrefixFeaturesOutMixin, BaseMasker):  # type: ignore[misc]
    """Signals of the voxels of a mask, smoothed, resampled and cleaned as asked.

    Parameters and results are those of nilearn's class of this name; `memory_budget` and
    `memmap_dir` come on top.

    Parameters
    ----------
    mask_img : image or path, optional
        The mask. Without it, one is computed when the masker is fitted. Images on another grid
        are resampled to it.
    runs : array-like of shape (n_volumes,), optional
        The run of each volume; runs are cleaned separately.
    smoothing_fwhm : float, optional
        Width of a Gaussian kernel, in mm.
    standardize : {"zscore_sample", "psc", True, False} or None, default=False
        Scaling of signals to unit variance, or to percent of their mean.
    standardize_confounds : bool, default=True
        Whether means are removed from confounds.
    detrend : bool, default=False
        Whether linear trends are removed.
    high_variance_confounds : bool, default=False
        Whether the time courses of the voxels of highest variance are removed.
    low_pass : float, optional
        Frequency in Hz above which changes are removed.
    high_pass : float, optional
        Frequency in Hz below which changes are removed.
    t_r : float, optional
        Repetition time in seconds, needed for filters.
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Grid that mask and images are resampled to.
    target_shape : tuple of int, optional
        Shape of that grid.
    mask_strategy : str, default="background"
        How a mask is computed: "background", "epi", "whole-brain-template", "gm-template" or
        "wm-template".
    mask_args : dict, optional
        Arguments for that computation.
    dtype : dtype-like or "auto", optional
        Type of the result; "auto" is float32, or int32 for integers.
    memory : joblib.Memory or path-like, optional
        Where results are kept. They are found again by the content of files.
    memory_level : int, default=1
        What is kept: results at 1 and above.
    verbose : int, default=0
        Above 0, steps are printed on standard output.
    reports : bool, default=True
        Whether what a report needs is kept.
    cmap : str, default="gray"
        Colours of the volume in the report.
    clean_args : dict, optional
        Further arguments of `lazyvox.signal.clean`.
    memory_budget : int or str, optional
        Bytes that one transform may take, such as ``"512MB"``.
    memmap_dir : path-like, optional
        Folder for results: each is a ``.npy`` file there, and comes back as a read-only memory
        map. By default results are in memory.

    Attributes
    ----------
    mask_img_ : LazyImage
        The mask.
    affine_ : ndarray of shape (4, 4)
        Affine of the transformed images.
    n_elements_ : int
        Number of voxels.
    clean_args_ : dict
        The arguments for cleaning.
    memory_ : joblib.Memory
        The cache.

    Notes
    -----
    A transform is one pass over the images: memory is the result, and buffers within the budget.

    Examples
    --------
    >>> from lazyvox.maskers import NiftiMasker
    >>> masker = NiftiMasker("mask.nii.gz", standardize="zscore_sample", detrend=True)
    >>> signals = masker.fit_transform("run.nii.gz")
    >>> signals.shape == (40, masker.n_elements_)
    True
    >>> masker.inverse_transform(signals).shape
    (12, 14, 10, 40)
    """

    def __init__(
        self,
        mask_img: Any = None,
        runs: Any = None,
        smoothing_fwhm: float | None = None,
        standardize: str | bool | None = False,
        standardize_confounds: bool = True,
        detrend: bool = False,
        high_variance_confounds: bool = False,
        low_pass: float | None = None,
        high_pass: float | None = None,
        t_r: float | None = None,
        target_affine: Any = None,
        target_shape: Any = None,
        mask_strategy: str = "background",
        mask_args: dict[str, Any] | None = None,
        dtype: Any = None,
        memory: Any = None,
        memory_level: int = 1,
        verbose: int | bool = 0,
        reports: bool = True,
        cmap: str = "gray",
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        self.mask_img = mask_img
        self.runs = runs
        self.smoothing_fwhm = smoothing_fwhm
        self.standardize = standardize
        self.standardize_confounds = standardize_confounds
        self.detrend = detrend
        self.high_variance_confounds = high_variance_confounds
        self.low_pass = low_pass
        self.high_pass = high_pass
        self.t_r = t_r
        self.target_affine = target_affine
        self.target_shape = target_shape
        self.mask_strategy = mask_strategy
        self.mask_args = mask_args
        self.dtype = dtype
        self.memory = memory
        self.memory_level = memory_level
        self.verbose = verbose
        self.reports = reports
        self.cmap = cmap
        self.clean_args = clean_args
        self.memory_budget = memory_budget
        self.memmap_dir = memmap_dir

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a mask."""
        return hasattr(self, "n_elements_")

    @override
    def _fit_regions(self, imgs: Any) -> None:
        if self.mask_img_ is None:
            self.mask_img_ = self._computed_mask(imgs)
        elif imgs is not None and self._warns_of_images:
            msg = (
                f"images passed to {type(self).__name__}.fit serve to compute a mask. Got images "
                f"and a mask: the mask is used, the images are not."
            )
            warnings.warn(msg, MaskerRuntimeWarning, stacklevel=4)
        self._keep_for_report(imgs)
        self._tell("Resampling mask")
        self.mask_img_ = resample_img(
            self.mask_img_,
            target_affine=self.target_affine,
            target_shape=self.target_shape,
            copy=False,
            interpolation="nearest",
        )
        self._fit_mask(allow_empty=False)

    def _fit_mask(self, *, allow_empty: bool) -> None:
        mask = np.asarray(self.mask_img_.dataobj) != 0
        if not allow_empty and not mask.any():
            msg = "`mask_img`: a mask must hold at least one voxel. None is left on its grid."
            raise RegionError(msg)
        # In memory: every transform needs it.
        self.mask_img_ = image_like(
            self.mask_img_, np.asarray(mask, np.uint8), self.mask_img_.affine
        )
        self.affine_ = self.mask_img_.affine
        if self.target_affine is not None:
            self.affine_ = self.target_affine
        self.n_elements_ = int(mask.sum())
        self._report_content = {
            **self._report_content,
            "n_elements": self.n_elements_,
            "coverage": 100 * self.n_elements_ / max(mask.size, 1),
        }

    @property
    @override
    def _report_description(self) -> str:
        return "The mask whose voxels signals are taken from."

    @override
    def _findings(self, data: Mapping[str, Any], numbers: Sequence[int]) -> Findings:
        del numbers
        return mask_findings(self.mask_img_, data["images"], self.cmap)

    def _computed_mask(self, imgs: Any) -> Any:
        if imgs is None:
            msg = (
                f"{type(self).__name__} must be given a mask, or images to compute one from. Got "
                f"neither: pass mask_img=..., or fit(imgs)."
            )
            raise ParameterError(msg)
        self._tell("Computing mask")
        compute, known = self._mask_function()
        arguments = supported_arguments(compute, self.mask_args, self.mask_strategy)
        arguments = {**known, **arguments}
        verbose = max(0, int(self.verbose) - 1)
        key = self._mask_key(imgs)
        return self._cached(lambda: compute(imgs, verbose=verbose, **arguments), key)

    def _mask_key(self, imgs: Any) -> tuple[Any, ...]:
        return self._key("mask", check_niimg(imgs)) if self._has_cache() else ()

    def _mask_function(self) -> tuple[Callable[..., Any], dict[str, Any]]:
        """Return the function that computes the mask, and the arguments that the strategy fixes."""
        check_choice(self.mask_strategy, "mask_strategy", MASK_STRATEGIES)
        if self.mask_strategy == "background":
            return compute_background_mask, {}
        if self.mask_strategy == "epi":
            return compute_epi_mask, {}
        return compute_brain_mask, {"mask_type": self.mask_strategy.removesuffix("-template")}

    @override
    def transform_single_imgs(
        self,
        imgs: Any,
        confounds: Any = None,
        sample_mask: Any = None,
        copy: bool = True,
    ) -> Any:
        """Extract and clean the signals of one series; `transform` calls this.

        Parameters
        ----------
        imgs : image, path, pattern, or list of 3D ones
            The images.
        confounds : array, table, path, or list of them, optional
            As for `transform`.
        sample_mask : array-like, optional
            As for `transform`.
        copy : bool, default=True
            For nilearn: images are never changed.

        Returns
        -------
        ndarray of shape (n_volumes, n_elements)
            The signals; of shape (n_elements,) for a 3D image.
        """
        del copy
        return super().transform_single_imgs(imgs, confounds, sample_mask)

    @override
    def _work(self, img: Any, confounds: Any, sample_mask: Any) -> Work:
        mask_img, stage = stage_of_mask(img, self.mask_img_, self.smoothing_fwhm)
        mask = np.asarray(mask_img.dataobj) != 0
        affine = img.affine if stage.affine is None else mask_img.affine
        return self._make_work(
            img,
            stage=stage,
            extractor=lambda dtype: _voxels(mask, affine, dtype),
            regions=(mask, affine),
            confounds=confounds,
            sample_mask=sample_mask,
        )

    def inverse_transform(self, X: Any) -> Any:
        """Return signals as an image: each in its voxel, zero elsewhere.

        Parameters
        ----------
        X : array-like or table of shape (n_volumes, n_elements) or (n_elements,)
            Signals.

        Returns
        -------
        LazyImage
            3D, or 4D with the signals at their places when it is read.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ParameterError
            If there is not one column per voxel.
        """
        check_is_fitted(self)
        values = self._check_array(X)
        self._tell("Computing image from signals")
        img = unmask(values, self.mask_img_)
        return self._as_asked(img, values.dtype)


def stage_of_mask(img: Any, mask_img: Any, smoothing_fwhm: float | None) -> tuple[Any, Stage]:
    """Return the mask that voxels are taken with, and how volumes are prepared for it.

    Parameters
    ----------
    img : nibabel image
        The images.
    mask_img : nibabel image
        The mask.
    smoothing_fwhm : float, optional
        Width of the kernel, in mm.

    Returns
    -------
    mask_img : nibabel image
        The mask; around its voxels only, where images have to be resampled to it.
    stage : Stage
        Resampling, where the grids differ, and smoothing.

    Warns
    -----
    MaskerWarning
        If the grids differ.
    """
    if same_grid(img, mask_img):
        return mask_img, Stage(smoothing_fwhm=smoothing_fwhm)
    inverted(affine_of(img), f"the affine of {name_of(img)}")
    shapes = tuple(img.shape[:3]), tuple(mask_img.shape)
    got = "other affines" if shapes[0] == shapes[1] else f"shape {shapes[0]} and {shapes[1]}"
    msg = (
        f"images should be on the grid of the mask. Got {got}: images are resampled, which takes "
        f"time."
    )
    hint = "Pass target_affine=imgs.affine, or a mask on the grid of the images."
    cli_hint = "Pass --mask on the grid of RUN: lazyvox resample MASK --like RUN."
    warnings.warn(MaskerWarning(msg, hint=hint, cli_hint=cli_hint), stacklevel=5)
    mask_img = crop_img(mask_img, copy=False)
    return mask_img, Stage(mask_img.affine, tuple(mask_img.shape), smoothing_fwhm)


def supported_arguments(
    function: Callable[..., Any], arguments: dict[str, Any] | None, strategy: str
) -> dict[str, Any]:
    """Return the arguments that a function has; warn of the others."""
    known = inspect.signature(function).parameters
    given = arguments or {}
    dropped = [name for name in given if name not in known]
    if dropped:
        msg = (
            f"`mask_args` should hold arguments of the strategy {strategy!r}. Got "
            f"{', '.join(dropped)}, which it has not: they are not used."
        )
        warnings.warn(msg, MaskerWarning, stacklevel=5)
    return {name: value for name, value in given.items() if name in known}


def _voxels(mask: BoolArray, affine: Array, dtype: DType) -> Voxels:
    """Return the consumer for prepared volumes of a type: floats stay, integers become float32."""
    region = RegionImage(mask.astype(np.uint8), np.asarray(affine, np.float64), "`mask_img`", None)
    kept = dtype if dtype.kind in "fc" else np.dtype(np.float32)
    return Voxels(region, dtype=kept, ensure_finite=True)
