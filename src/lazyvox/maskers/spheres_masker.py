"""`NiftiSpheresMasker`: one signal per sphere around a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lazyvox._typing import DType, override
from lazyvox.errors import ParameterError, RegionError
from lazyvox.extraction import Spheres
from lazyvox.lazyimage.grids import same_grid
from lazyvox.lazyimage.series import as_series
from lazyvox.maskers.base import BaseMasker, check_is_fitted
from lazyvox.maskers.grids import resampled_mask
from lazyvox.maskers.report_parts import Findings
from lazyvox.maskers.scikit_learn import ClassNamePrefixFeaturesOutMixin
from lazyvox.maskers.sphere_findings import spheres_findings
from lazyvox.maskers.transform_pass import Stage, Work
from lazyvox.report import HtmlReport
from lazyvox.stream.masks import RegionImage

__all__ = ["NiftiSpheresMasker"]


class NiftiSpheresMasker(ClassNamePrefixFeaturesOutMixin, BaseMasker):  # type: ignore[misc]
    """Signals of spheres around seeds: the mean of the voxels of each.

    Parameters and results are those of nilearn's class of this name; `memory_budget` and
    `memmap_dir` come on top.

    Parameters
    ----------
    seeds : list of (x, y, z)
        Centres in mm, in the space of the images.
    radius : float, optional
        Radius in mm; by default the one voxel that holds the seed.
    mask_img : image or path, optional
        Voxels outside of it belong to no sphere.
    allow_overlap : bool, default=False
        Whether spheres may share voxels.
    smoothing_fwhm : float, optional
        Width of a Gaussian kernel, in mm.
    standardize : {"zscore_sample", "psc", True, False} or None, default=False
        Scaling of signals to unit variance, or to percent of their mean.
    standardize_confounds : bool, default=True
        Whether means are removed from confounds.
    high_variance_confounds : bool, default=False
        Whether the time courses of the voxels of highest variance are removed.
    detrend : bool, default=False
        Whether linear trends are removed.
    low_pass : float, optional
        Frequency in Hz above which changes are removed.
    high_pass : float, optional
        Frequency in Hz below which changes are removed.
    t_r : float, optional
        Repetition time in seconds, needed for filters.
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
    clean_args : dict, optional
        Further arguments of `lazyvox.signal.clean`.
    memory_budget : int or str, optional
        Bytes that one transform may take, such as ``"512MB"``.
    memmap_dir : path-like, optional
        Folder for results: each is a ``.npy`` file there, and comes back as a read-only memory
        map.

    Attributes
    ----------
    seeds_ : list of list of float
        The centres.
    mask_img_ : LazyImage or None
        The mask.
    n_elements_ : int
        Number of seeds.
    clean_args_ : dict
        The arguments for cleaning.
    memory_ : joblib.Memory
        The cache.

    Notes
    -----
    A transform is one pass over the images: memory is the result, and buffers within the budget.
    Means of integer images are not rounded.

    Examples
    --------
    >>> from lazyvox.maskers import NiftiSpheresMasker
    >>> masker = NiftiSpheresMasker([(-8, 0, 0), (8, 0, 0)], radius=5, standardize=None)
    >>> masker.fit_transform("run.nii.gz").shape
    (40, 2)
    """

    def __init__(
        self,
        seeds: Any = None,
        radius: float | None = None,
        mask_img: Any = None,
        allow_overlap: bool = False,
        smoothing_fwhm: float | None = None,
        standardize: str | bool | None = False,
        standardize_confounds: bool = True,
        high_variance_confounds: bool = False,
        detrend: bool = False,
        low_pass: float | None = None,
        high_pass: float | None = None,
        t_r: float | None = None,
        dtype: Any = None,
        memory: Any = None,
        memory_level: int = 1,
        verbose: int | bool = 0,
        reports: bool = True,
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        self.seeds = seeds
        self.radius = radius
        self.mask_img = mask_img
        self.allow_overlap = allow_overlap
        self.smoothing_fwhm = smoothing_fwhm
        self.standardize = standardize
        self.standardize_confounds = standardize_confounds
        self.high_variance_confounds = high_variance_confounds
        self.detrend = detrend
        self.low_pass = low_pass
        self.high_pass = high_pass
        self.t_r = t_r
        self.dtype = dtype
        self.memory = memory
        self.memory_level = memory_level
        self.verbose = verbose
        self.reports = reports
        self.clean_args = clean_args
        self.memory_budget = memory_budget
        self.memmap_dir = memmap_dir

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are seeds."""
        return hasattr(self, "seeds_") and hasattr(self, "n_elements_")

    @override
    def _fit_regions(self, imgs: Any) -> None:
        self.seeds_ = _listed_seeds(self.seeds)
        self.n_elements_ = len(self.seeds_)
        self._keep_for_report(imgs, seeds=self.seeds_)

    @override
    def _work(self, img: Any, confounds: Any, sample_mask: Any) -> Work:
        mask_img = self.mask_img_
        if mask_img is not None and not same_grid(img, mask_img):
            mask_img = resampled_mask(mask_img, img)
        mask = None if mask_img is None else np.asarray(mask_img.dataobj) != 0

        def extractor(dtype: DType) -> Spheres:
            return self._spheres(mask, img.affine, np.result_type(dtype, np.float32))

        return self._make_work(
            img,
            stage=Stage(smoothing_fwhm=self.smoothing_fwhm),
            extractor=extractor,
            regions=(mask, self.seeds_),
            confounds=confounds,
            sample_mask=sample_mask,
            watches=mask is None,
        )

    def _spheres(self, mask: Any, affine: Any, dtype: Any) -> Spheres:
        region = None
        if mask is not None:
            region = RegionImage(
                mask.astype(np.uint8), np.asarray(affine, np.float64), "`mask_img`", None
            )
        return Spheres(
            self.seeds_,
            self.radius,
            mask_img=region,
            allow_overlap=self.allow_overlap,
            dtype=dtype,
            ensure_finite=True,
        )

    @property
    @override
    def _report_description(self) -> str:
        return "The spheres around seeds whose mean signals are taken."

    @override
    def generate_report(
        self,
        engine: str = "matplotlib",
        title: str | None = None,
        *,
        displayed_spheres: Any = 10,
    ) -> HtmlReport:
        """Make a page that shows the regions of the masker over an image.

        Parameters
        ----------
        engine : {"matplotlib"}, default="matplotlib"
            What draws the figures.
        title : str, optional
            Title of the page; by default the name of the class.
        displayed_spheres : int, "all", or list or array of int, default=10
            How many spheres have a figure of their own, or which.

        Returns
        -------
        HtmlReport
            A page that needs no other file. It is shown in notebooks, and saved by
            `save_as_html`.

        Raises
        ------
        ParameterTypeError
            If `displayed_spheres` is something else.
        ParameterError
            If `engine` is another one, or `displayed_spheres` is negative.
        MissingDependencyError
            If matplotlib is not installed.

        Warns
        -----
        MaskerWarning
            If spheres are asked for that are not there; and as for every masker: if it is not
            fitted, or was fitted without an image, or keeps nothing for reports.

        Notes
        -----
        Memory: one volume of the images given to `fit`, and the voxels of the spheres.
        """
        return self._report(engine, title, displayed_spheres, "sphere")

    @override
    def _findings(self, data: Mapping[str, Any], numbers: Sequence[int]) -> Findings:
        return spheres_findings(self.seeds_, self.radius, self.mask_img_, data["images"], numbers)

    def inverse_transform(self, region_signals: Any) -> Any:
        """Return signals as an image: each in the voxels of its sphere, zero elsewhere.

        Parameters
        ----------
        region_signals : array-like or table of shape (n_volumes, n_elements) or (n_elements,)
            Signals.

        Returns
        -------
        LazyImage
            3D, or 4D with the signals at their places when it is read; a voxel of several spheres
            holds their mean.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ParameterError
            If there is not one column per seed, or the masker has no mask, which gives the grid.
        """
        check_is_fitted(self)
        values = self._check_array(region_signals)
        self._tell("Computing image from signals")
        mask_img = self.mask_img_
        if mask_img is None:
            msg = (
                "an image of spheres needs a grid. Got no mask: pass mask_img=..., of ones for all "
                "voxels, when the masker is made."
            )
            raise ParameterError(msg)
        spheres = self._spheres(np.asarray(mask_img.dataobj) != 0, mask_img.affine, np.float64)
        spheres.check(replace(as_series(mask_img).grid, n_volumes=1))
        return self._placed(values, mask_img, spheres._placement())


def _listed_seeds(seeds: Any) -> list[list[float]]:
    """Return seeds as lists of three numbers."""
    rule = "`seeds` must be a list of (x, y, z) in mm."
    if not hasattr(seeds, "__iter__") or isinstance(seeds, str | bytes):
        msg = f"{rule} Got {type(seeds).__name__}."
        raise ParameterError(msg)
    found: list[list[float]] = []
    for number, seed in enumerate(seeds):
        if not hasattr(seed, "__len__"):
            msg = f"{rule} Got {type(seed).__name__} as seed {number}."
            raise ParameterError(msg)
        triple = seed.tolist() if isinstance(seed, np.ndarray) else list(seed)
        if len(triple) != 3:
            msg = f"{rule} Got {len(triple)} coordinates in seed {number}."
            raise ParameterError(msg)
        found.append(triple)
    if not found:
        msg = f"{rule} Got none."
        raise RegionError(msg)
    return found
