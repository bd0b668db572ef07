"""`NiftiMapsMasker`: one signal per map of weights."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, DType, override
from lazyvox.errors import ParameterError, RegionError
from lazyvox.extraction import Maps
from lazyvox.extraction.columns import Placement
from lazyvox.extraction.linear_maps import LinearMaps
from lazyvox.extraction.map_images import open_maps, read_maps
from lazyvox.image import check_niimg, resample_img
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.grids import same_grid
from lazyvox.maskers.base import BaseMasker, check_is_fitted
from lazyvox.maskers.finite import finite_img
from lazyvox.maskers.grids import check_one_grid, resampled_mask, warn_of_resampling
from lazyvox.maskers.inputs import shown
from lazyvox.maskers.parameters import MaskerFutureWarning
from lazyvox.maskers.report_content import maps_findings, region_colours
from lazyvox.maskers.report_parts import Findings
from lazyvox.maskers.scikit_learn import ClassNamePrefixFeaturesOutMixin
from lazyvox.maskers.transform_pass import Stage, Work
from lazyvox.planning.arguments import check_choice
from lazyvox.report import HtmlReport
from lazyvox.stream.masks import RegionImage

__all__ = ["NiftiMapsMasker"]

_ADVICE = "Fit with the images that are to be transformed, or call fit_transform."


class NiftiMapsMasker(ClassNamePrefixFeaturesOutMixin, BaseMasker):  # type: ignore[misc]
    """Signals of maps of weights, which may overlap: by least squares, one per map.

    Parameters and results are those of nilearn's class of this name; `memory_budget` and
    `memmap_dir` come on top.

    Parameters
    ----------
    maps_img : image or path
        A 4D image, a volume of weights for each map. Weights that are not finite count as zero.
    mask_img : image or path, optional
        Voxels outside of it have no weight.
    allow_overlap : bool, default=True
        Whether two maps may be positive at one voxel.
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
    resampling_target : {"data", "mask", "maps", None}, default="data"
        Whose grid counts; what is on another one is resampled. With None all must be on one.
    keep_masked_maps : bool, default=False
        Whether maps that a mask takes away keep a column, of zeros.
    memory : joblib.Memory or path-like, optional
        Where results are kept. They are found again by the content of files.
    memory_level : int, default=0
        What is kept: results at 1 and above.
    verbose : int, default=0
        Above 0, steps are printed on standard output.
    reports : bool, default=True
        Whether what a report needs is kept.
    cmap : str, default="CMRmap_r"
        Colours of the maps in the report; this default selects lazyvox's own colours.
    clean_args : dict, optional
        Further arguments of `lazyvox.signal.clean`.
    memory_budget : int or str, optional
        Bytes that one transform may take, such as ``"512MB"``.
    memmap_dir : path-like, optional
        Folder for results: each is a ``.npy`` file there, and comes back as a read-only memory
        map.

    Attributes
    ----------
    maps_img_ : LazyImage
        The maps, not read before they are needed.
    mask_img_ : LazyImage or None
        The mask.
    n_elements_ : int
        Number of maps.
    clean_args_ : dict
        The arguments for cleaning.
    memory_ : joblib.Memory
        The cache.

    Notes
    -----
    A transform is one pass over the images: memory is the result, the weights, and buffers within
    the budget.

    Examples
    --------
    >>> from lazyvox.image import concat_imgs
    >>> from lazyvox.maskers import NiftiMapsMasker
    >>> maps = concat_imgs(["left.nii.gz", "right.nii.gz"])
    >>> masker = NiftiMapsMasker(maps, standardize="zscore_sample")
    >>> masker.fit_transform("run.nii.gz").shape
    (40, 2)
    """

    def __init__(
        self,
        maps_img: Any = None,
        mask_img: Any = None,
        allow_overlap: bool = True,
        smoothing_fwhm: float | None = None,
        standardize: str | bool | None = False,
        standardize_confounds: bool = True,
        high_variance_confounds: bool = False,
        detrend: bool = False,
        low_pass: float | None = None,
        high_pass: float | None = None,
        t_r: float | None = None,
        dtype: Any = None,
        resampling_target: str | None = "data",
        keep_masked_maps: bool = False,
        memory: Any = None,
        memory_level: int = 0,
        verbose: int | bool = 0,
        reports: bool = True,
        cmap: str = "CMRmap_r",
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        self.maps_img = maps_img
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
        self.resampling_target = resampling_target
        self.keep_masked_maps = keep_masked_maps
        self.memory = memory
        self.memory_level = memory_level
        self.verbose = verbose
        self.reports = reports
        self.cmap = cmap
        self.clean_args = clean_args
        self.memory_budget = memory_budget
        self.memmap_dir = memmap_dir

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are maps."""
        return hasattr(self, "maps_img_") and hasattr(self, "n_elements_")

    @override
    def _fit_regions(self, imgs: Any) -> None:
        target = self.resampling_target
        check_choice(target, "resampling_target", ("mask", "maps", "data", None))
        if target == "mask" and self.mask_img_ is None:
            msg = (
                "resampling_target='mask' needs `mask_img`. Got None. Pass a mask, or set "
                "resampling_target to 'data' or 'maps'."
            )
            raise ParameterError(msg)
        # As nilearn allows classes that derive from this one to say.
        maps_img = getattr(self, "_maps_img", self.maps_img)
        self._tell(f"Loading regions from {shown(maps_img, self.verbose)}")
        self.maps_img_ = finite_img(check_niimg(maps_img, atleast_4d=True))
        img = None if imgs is None else check_niimg(imgs)
        if target is None:
            found = {"maps_img": self.maps_img_, "mask_img": self.mask_img_, "imgs": img}
            check_one_grid({name: one for name, one in found.items() if one is not None})
        known = {"data": img, "mask": self.mask_img_, "maps": self.maps_img_, None: None}
        self._fit_grid(known[target])
        if not _has_weight(self.maps_img_, None):
            msg = f"`maps_img` ({name_of(self.maps_img_)}): a map must hold a weight. Got zeros."
            raise RegionError(msg)
        self.n_elements_ = int(self.maps_img_.shape[3])
        self._n_columns = self.n_elements_
        self._keep_for_report(imgs, maps_image=self.maps_img_)

    def _fit_grid(self, ref_img: Any) -> None:
        """Bring maps and mask to the grid that counts."""
        if ref_img is None:
            return
        if not same_grid(ref_img, self.maps_img_):
            self._tell("Resampling regions")
            self.maps_img_ = _resampled_maps(self.maps_img_, ref_img)
        if self.mask_img_ is None:
            return
        if not same_grid(ref_img, self.mask_img_):
            self._tell("Resampling mask")
            self.mask_img_ = resampled_mask(self.mask_img_, ref_img)
        if not _has_weight(self.maps_img_, self.mask_img_):
            msg = "`mask_img` must leave a weight of at least one map. It leaves zeros only."
            raise RegionError(msg)

    @override
    def _work(self, img: Any, confounds: Any, sample_mask: Any) -> Work:
        maps_img, mask_img = self._regions_for(img)
        stage = Stage(smoothing_fwhm=self.smoothing_fwhm)
        affine = img.affine
        if self.resampling_target != "data" and not same_grid(maps_img, img):
            affine = maps_img.affine
            stage = Stage(affine, tuple(maps_img.shape[:3]), self.smoothing_fwhm)
        check_one_grid({"maps_img": maps_img, "mask_img": mask_img or maps_img})
        weights: Any = image_like(maps_img, lazy_dataobj(maps_img), affine)
        mask = None
        if mask_img is not None:
            inside = (np.asarray(mask_img.dataobj) != 0).astype(np.uint8)
            mask = RegionImage(inside, np.asarray(affine, np.float64), "`mask_img`", None)
        of_maps = lazy_dataobj(maps_img).dtype

        def extractor(dtype: DType) -> Maps:
            return self._maps(weights, mask, np.result_type(of_maps, dtype, np.float32))

        def count(values: Array) -> Array:
            self._n_columns = values.shape[1]
            return values

        return self._make_work(
            img,
            stage=stage,
            extractor=extractor,
            regions=(weights, None if mask is None else mask.values) if self._has_cache() else (),
            confounds=confounds,
            sample_mask=sample_mask,
            finish=count,
            watches=True,
        )

    def _maps(self, weights: Any, mask: RegionImage | None, dtype: Any) -> Maps:
        if self.keep_masked_maps and mask is not None:
            msg = (
                "nilearn is going to drop `keep_masked_maps`. Got True: maps that the mask takes "
                "away have a column of zeros."
            )
            warnings.warn(msg, MaskerFutureWarning, stacklevel=8)
        return Maps(
            weights,
            mask_img=mask,
            keep_masked_maps=self.keep_masked_maps,
            dtype=dtype,
            allow_overlap=self.allow_overlap,
            ensure_finite=True,
        )

    def _regions_for(self, img: Any) -> tuple[Any, Any]:
        """Return maps and mask for one transform."""
        maps_img, mask_img = self.maps_img_, self.mask_img_
        if self.resampling_target is None:
            found = {"maps_img": maps_img, "imgs": img, "mask_img": mask_img}
            check_one_grid({name: one for name, one in found.items() if one is not None})
        elif self.resampling_target == "maps" and not same_grid(maps_img, img):
            warn_of_resampling("images are", "Resample them, or set resampling_target='data'.")
        elif self.resampling_target == "data":
            if not same_grid(img, maps_img):
                warn_of_resampling("maps are", _ADVICE)
                maps_img = _resampled_maps(maps_img, img)
            if mask_img is not None and not same_grid(img, mask_img):
                warn_of_resampling("the mask is", _ADVICE)
                mask_img = resampled_mask(mask_img, img)
        return maps_img, mask_img

    @property
    @override
    def _n_features_out(self) -> int:
        """Number of columns of the last transform, for scikit-learn."""
        return self._n_columns

    @property
    @override
    def _report_description(self) -> str:
        return "The maps whose weights signals are solved for."

    @override
    def generate_report(
        self,
        engine: str = "matplotlib",
        title: str | None = None,
        *,
        displayed_maps: Any = 10,
    ) -> HtmlReport:
        """Make a page that shows the regions of the masker over an image.

        Parameters
        ----------
        engine : {"matplotlib"}, default="matplotlib"
            What draws the figures.
        title : str, optional
            Title of the page; by default the name of the class.
        displayed_maps : int, "all", or list or array of int, default=10
            How many maps have a figure of their own, or which.

        Returns
        -------
        HtmlReport
            A page that needs no other file. It is shown in notebooks, and saved by
            `save_as_html`.

        Raises
        ------
        ParameterTypeError
            If `displayed_maps` is something else.
        ParameterError
            If `engine` is another one, or `displayed_maps` is negative.
        MissingDependencyError
            If matplotlib is not installed.

        Warns
        -----
        MaskerWarning
            If maps are asked for that are not there; and as for every masker: if it is not
            fitted, or was fitted without an image, or keeps nothing for reports.

        Notes
        -----
        Memory: one volume of the images given to `fit`, and one map. One pass over the maps.
        """
        return self._report(engine, title, displayed_maps, "map")

    @override
    def _findings(self, data: Mapping[str, Any], numbers: Sequence[int]) -> Findings:
        return maps_findings(
            self.maps_img_, self.mask_img_, data["images"], numbers, region_colours(self.cmap)
        )

    def inverse_transform(self, region_signals: Any) -> Any:
        """Return signals as an image: the sum of the maps, weighted by the signals.

        Parameters
        ----------
        region_signals : array-like or table of shape (n_volumes, n_elements) or (n_elements,)
            Signals.

        Returns
        -------
        LazyImage
            3D, or 4D whose volumes are computed when they are read.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ParameterError
            If there is not one column per map.
        """
        check_is_fitted(self)
        values = self._check_array(region_signals)
        self._tell("Computing image from signals")
        mask = None
        if self.mask_img_ is not None:
            check_one_grid({"maps_img": self.maps_img_, "mask_img": self.mask_img_})
            mask = np.asarray(self.mask_img_.dataobj) != 0
        return self._placed(values, self.maps_img_, _placement_of_maps(self.maps_img_, mask))


def _resampled_maps(maps_img: Any, ref_img: Any) -> Any:
    """Return maps on the grid of an image, by linear interpolation."""
    with warnings.catch_warnings():
        # Maps of one value look like masks: that is no reason to change how they are resampled.
        warnings.simplefilter("ignore", UserWarning)
        moved = resample_img(
            maps_img,
            interpolation="linear",
            target_shape=tuple(ref_img.shape[:3]),
            target_affine=ref_img.affine,
        )
        has_weight = _has_weight(moved, None)
    if not has_weight:
        msg = (
            f"`maps_img` must overlap with the images. No map has a weight on their grid: shape "
            f"{tuple(ref_img.shape[:3])}, affine {ref_img.affine[:3].tolist()}. Check both affines."
        )
        raise RegionError(msg)
    return moved


def _has_weight(maps_img: Any, mask_img: Any) -> bool:
    """Return whether a map is not zero everywhere; reads one after the other until one is."""
    array = lazy_dataobj(maps_img)
    inside = None if mask_img is None else np.asarray(mask_img.dataobj) != 0
    for number in range(array.shape[3]):
        values = array.view((..., number)).read()
        if (values if inside is None else values[inside]).any():
            return True
    return False


def _placement_of_maps(maps_img: Any, mask: BoolArray | None) -> Placement:
    """Return the weights of all maps at their voxels, of those in a mask where there is one."""
    maps = open_maps(maps_img, "maps_img")
    found = read_maps(maps, mask, ensure_finite=True)
    to_maps = np.zeros((maps.n_maps, len(found.numbers)))
    to_maps[found.numbers, np.arange(len(found.numbers))] = 1
    # The way back alone: nothing is solved.
    linear = LinearMaps(found.weights, np.zeros((len(found.numbers), 0)), to_maps)
    return Placement(found.index, maps=linear)
