"""`MultiNiftiMasker`: signals of the voxels of one mask, of several subjects."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

from lazyvox._typing import override
from lazyvox.image import check_niimg, resample_img
from lazyvox.maskers.inputs import is_one_image
from lazyvox.maskers.multi_mixin import MultiMasker
from lazyvox.maskers.nifti_masker import MASK_STRATEGIES, NiftiMasker
from lazyvox.maskers.parameters import MaskerFutureWarning, MaskerWarning
from lazyvox.masking import (
    compute_multi_background_mask,
    compute_multi_brain_mask,
    compute_multi_epi_mask,
)
from lazyvox.planning.arguments import check_choice

__all__ = ["MultiNiftiMasker"]


class MultiNiftiMasker(MultiMasker, NiftiMasker):
    """Signals of the voxels of one mask, of several subjects.

    As `NiftiMasker`, for lists of images. Parameters and results are those of nilearn's class of
    this name; `memory_budget` and `memmap_dir` come on top.

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
    memory_level : int, default=0
        What is kept: results at 1 and above.
    n_jobs : int, default=1
        Files that are read at a time.
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
    Several files are read at a time, each in one pass, as many as the budget allows.

    Examples
    --------
    >>> from lazyvox.maskers import MultiNiftiMasker
    >>> masker = MultiNiftiMasker("mask.nii.gz", standardize="zscore_sample", n_jobs=2)
    >>> signals = masker.fit_transform(["run.nii.gz", "run.nii.gz"])
    >>> [one.shape == (40, masker.n_elements_) for one in signals]
    [True, True]
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
        memory_level: int = 0,
        n_jobs: int = 1,
        verbose: int | bool = 0,
        reports: bool = True,
        cmap: str = "gray",
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        super().__init__(
            mask_img=mask_img,
            runs=runs,
            smoothing_fwhm=smoothing_fwhm,
            standardize=standardize,
            standardize_confounds=standardize_confounds,
            detrend=detrend,
            high_variance_confounds=high_variance_confounds,
            low_pass=low_pass,
            high_pass=high_pass,
            t_r=t_r,
            target_affine=target_affine,
            target_shape=target_shape,
            mask_strategy=mask_strategy,
            mask_args=mask_args,
            dtype=dtype,
            memory=memory,
            memory_level=memory_level,
            verbose=verbose,
            reports=reports,
            cmap=cmap,
            clean_args=clean_args,
            memory_budget=memory_budget,
            memmap_dir=memmap_dir,
        )
        self.n_jobs = n_jobs

    @override
    def _mask_function(self) -> tuple[Callable[..., Any], dict[str, Any]]:
        """Return the function that computes the mask of all subjects, and its known arguments."""
        strategy = self.mask_strategy
        if strategy == "template":
            msg = "mask_strategy='template' is called 'whole-brain-template' now."
            warnings.warn(msg, MaskerFutureWarning, stacklevel=6)
            strategy = "whole-brain-template"
        check_choice(strategy, "mask_strategy", MASK_STRATEGIES)
        if strategy.endswith("-template"):
            kind = strategy.removesuffix("-template")
            return compute_multi_brain_mask, {"mask_type": kind}
        compute: Callable[..., Any] = compute_multi_background_mask
        if strategy == "epi":
            compute = compute_multi_epi_mask
        known = inspect.signature(compute).parameters
        own = {name: getattr(self, name) for name in ("n_jobs", "target_shape", "target_affine")}
        given = {name: one for name, one in own.items() if one is not None and name in known}
        return compute, given

    @override
    def _computed_mask(self, imgs: Any) -> Any:
        return super()._computed_mask([imgs] if is_one_image(imgs) else imgs)

    @override
    def _mask_key(self, imgs: Any) -> tuple[Any, ...]:
        return self._key("mask", [check_niimg(img) for img in imgs]) if self._has_cache() else ()

    @override
    def _fit_mask(self, *, allow_empty: bool) -> None:
        del allow_empty
        super()._fit_mask(allow_empty=True)

    @override
    def _moved(self, first: Any, img: Any, number: int) -> Any:
        """Bring an image to the grid of the first; refuse it where a grid was asked for."""
        if self.target_affine is not None:
            return super()._moved(first, img, number)
        msg = (
            f"images of several subjects should be on one grid. Image {number} is on another one "
            f"than the first: it is resampled to that."
        )
        warnings.warn(msg, MaskerWarning, stacklevel=5)
        return resample_img(img, target_affine=first.affine, target_shape=tuple(first.shape[:3]))
