"""`NiftiLabelsMasker`: one signal per label of an atlas."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType, IntArray, override
from lazyvox.errors import RegionError
from lazyvox.extraction import Labels
from lazyvox.extraction.columns import Placement
from lazyvox.extraction.reduction import STRATEGIES
from lazyvox.image import check_niimg, check_niimg_3d, resample_img
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.grids import check_same_grid, same_grid
from lazyvox.maskers.base import BaseMasker, check_is_fitted
from lazyvox.maskers.grids import check_one_grid, resampled_mask, warn_of_resampling
from lazyvox.maskers.inputs import shown
from lazyvox.maskers.lookup import fit_table
from lazyvox.maskers.parameters import MaskerFutureWarning, MaskerWarning
from lazyvox.maskers.region_names import LabelNames
from lazyvox.maskers.report_content import labels_findings, region_colours
from lazyvox.maskers.report_parts import Findings
from lazyvox.maskers.transform_pass import Stage, Work
from lazyvox.planning.arguments import check_choice
from lazyvox.stream.labels import in_few_bytes, nearest_integers
from lazyvox.stream.masks import RegionImage

__all__ = ["NiftiLabelsMasker"]

_ADVICE = "Fit with the images that are to be transformed, or call fit_transform."


class NiftiLabelsMasker(LabelNames, BaseMasker):
    """Signals of the regions of an atlas: one per label.

    Parameters and results are those of nilearn's class of this name; `memory_budget` and
    `memmap_dir` come on top.

    Parameters
    ----------
    labels_img : image or path
        A 3D image of labels. Zero voxels, or those of `background_label`, are no region.
    labels : list of str, optional
        Names in the order of the labels.
    lut : pandas.DataFrame or path, optional
        A table with the columns "index" and "name", in place of `labels`.
    background_label : number, default=0
        The label that is no region.
    mask_img : image or path, optional
        Voxels outside of it belong to no region.
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
    resampling_target : {"data", "labels", None}, default="data"
        Whose grid counts: labels are brought to that of the images, or images to that of the
        labels, or both must be on one.
    memory : joblib.Memory or path-like, optional
        Where results are kept. They are found again by the content of files.
    memory_level : int, default=1
        What is kept: results at 1 and above.
    verbose : int, default=0
        Above 0, steps are printed on standard output.
    strategy : str, default="mean"
        Statistic over the voxels of a region: "mean", "median", "sum", "minimum", "maximum",
        "standard_deviation" or "variance".
    keep_masked_labels : bool, default=False
        Whether labels that a mask takes away keep a column, of zeros.
    reports : bool, default=True
        Whether what a report needs is kept.
    cmap : str, optional
        Colours of the regions in the report; "CMRmap_r", which nilearn's signatures have, selects
        the default colours.
    clean_args : dict, optional
        Further arguments of `lazyvox.signal.clean`.
    memory_budget : int or str, optional
        Bytes that one transform may take, such as ``"512MB"``.
    memmap_dir : path-like, optional
        Folder for results: each is a ``.npy`` file there, and comes back as a read-only memory
        map.

    Attributes
    ----------
    labels_img_ : LazyImage
        The labels.
    mask_img_ : LazyImage or None
        The mask.
    lut_ : pandas.DataFrame
        Names of the labels of the image.
    n_elements_ : int
        Number of regions.
    labels_, region_ids_, region_names_ : list, dict, dict
        Labels and names by column.
    region_atlas_ : LazyImage
        The labels that the last transform took signals from.
    clean_args_ : dict
        The arguments for cleaning.
    memory_ : joblib.Memory
        The cache.

    Notes
    -----
    A transform is one pass over the images: memory is the result, and buffers within the budget.

    Examples
    --------
    >>> from lazyvox.maskers import NiftiLabelsMasker
    >>> masker = NiftiLabelsMasker("atlas.nii.gz", lut="atlas.tsv", standardize=None)
    >>> masker.fit_transform("run.nii.gz").shape
    (40, 8)
    >>> masker.get_feature_names_out()[0]
    'LeftFront'
    """

    def __init__(
        self,
        labels_img: Any = None,
        labels: list[str] | None = None,
        lut: Any = None,
        background_label: float = 0,
        mask_img: Any = None,
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
        memory: Any = None,
        memory_level: int = 1,
        verbose: int | bool = 0,
        strategy: str = "mean",
        keep_masked_labels: bool = False,
        reports: bool = True,
        cmap: str | None = None,
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        self.labels_img = labels_img
        self.labels = labels
        self.lut = lut
        self.background_label = background_label
        self.mask_img = mask_img
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
        self.memory = memory
        self.memory_level = memory_level
        self.verbose = verbose
        self.strategy = strategy
        self.keep_masked_labels = keep_masked_labels
        self.reports = reports
        self.cmap = cmap
        self.clean_args = clean_args
        self.memory_budget = memory_budget
        self.memmap_dir = memmap_dir

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are labels with names."""
        return hasattr(self, "labels_img_") and hasattr(self, "_fitted_table")

    @override
    def _fit_regions(self, imgs: Any) -> None:
        check_choice(self.strategy, "strategy", STRATEGIES)
        check_choice(self.resampling_target, "resampling_target", ("data", "labels", None))
        self._tell(f"Loading regions from {shown(self.labels_img, self.verbose)}")
        self.labels_img_ = self._read_labels()
        values = np.asarray(self.labels_img_.dataobj)
        self._fitted_table = fit_table(
            np.unique(values).tolist(),
            background=self.background_label,
            labels=self.labels,
            lut=self.lut,
        )
        self._used_table = None
        img = None if imgs is None else check_niimg(imgs, atleast_4d=True)
        if self.resampling_target is None:
            found = {"labels_img": self.labels_img_, "mask_img": self.mask_img_, "imgs": img}
            check_one_grid({name: one for name, one in found.items() if one is not None})
        if self.resampling_target == "data" and img is not None:
            if not same_grid(img, self.labels_img_):
                self._tell("Resampling regions")
                self.labels_img_ = self._resampled_labels(img)
            self._fit_mask_to(img)
        elif self.resampling_target == "labels":
            self._fit_mask_to(self.labels_img_)
        self._keep_for_report(imgs, labels_image=self.labels_img_)

    def _fit_mask_to(self, ref_img: Any) -> None:
        """Bring the mask to a grid, and make sure that it leaves a label."""
        if self.mask_img_ is None:
            return
        if not same_grid(ref_img, self.mask_img_):
            self._tell("Resampling mask")
            self.mask_img_ = resampled_mask(self.mask_img_, ref_img)
        self._check_masked(self.labels_img_, self.mask_img_)

    def _read_labels(self) -> Any:
        """Return the labels in memory; non-finite voxels are background."""
        img = check_niimg_3d(self.labels_img)
        array = lazy_dataobj(img)
        values = np.asarray(array.read())
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            msg = (
                f"`labels_img` ({name_of(img)}): labels should be finite. Some are NaN or "
                f"infinite; they count as background."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=6)
            background = values.dtype.type(self.background_label)
            values = np.where(np.isfinite(values), values, background)
        whole = nearest_integers(values, array.conversion.slope)
        if values.dtype.kind == "f" and whole is not None:
            # What a scale has rounded would be labels of its own.
            values = in_few_bytes(whole)
        if (values == self.background_label).all():
            msg = (
                f"`labels_img` ({name_of(img)}): there must be a label besides the background "
                f"{self.background_label}. Got none."
            )
            raise RegionError(msg)
        return image_like(img, values, img.affine)

    def _resampled_labels(self, ref_img: Any) -> Any:
        """Return the labels on the grid of the images."""
        before = np.unique(np.asarray(self.labels_img_.dataobj))
        moved = resample_img(
            self.labels_img_,
            interpolation="nearest",
            target_shape=tuple(ref_img.shape[:3]),
            target_affine=ref_img.affine,
            fill_value=self.background_label,
        )
        after = np.unique(np.asarray(moved.dataobj))
        if not (after != self.background_label).any():
            msg = (
                f"`labels_img` must overlap with the images. No label has a voxel on their grid: "
                f"shape {tuple(ref_img.shape[:3])}, affine {ref_img.affine[:3].tolist()}. Check "
                f"both affines."
            )
            raise RegionError(msg)
        lost = np.setdiff1d(before, after)
        if len(lost):
            msg = (
                f"labels {lost.tolist()} of `labels_img` have no voxel on the grid of the images, "
                f"and no signal. {len(after)} of {len(before)} values are left, background "
                f"included."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=6)
        return image_like(moved, np.asarray(moved.dataobj), moved.affine)

    def _check_masked(self, labels_img: Any, mask_img: Any) -> None:
        hint = "Fit with images, or set resampling_target='labels'."
        check_same_grid(labels_img, mask_img, ("`labels_img`", "`mask_img`"), hint)
        inside = np.asarray(mask_img.dataobj) != 0
        if not (np.asarray(labels_img.dataobj)[inside] != self.background_label).any():
            msg = "`mask_img` must leave a voxel of at least one label. It leaves background only."
            raise RegionError(msg)

    @override
    def _work(self, img: Any, confounds: Any, sample_mask: Any) -> Work:
        labels_img, mask_img = self._regions_for(img)
        stage = Stage(smoothing_fwhm=self.smoothing_fwhm)
        if self.resampling_target == "labels" and not same_grid(labels_img, img):
            shape = tuple(labels_img.shape[:3])
            stage = Stage(labels_img.affine, shape, self.smoothing_fwhm)
        else:
            check_one_grid({"labels_img": labels_img, "imgs": img})
        masked, present, kept = self._masked(labels_img, mask_img)
        codes = np.where(masked == self.background_label, 0, np.searchsorted(present, masked) + 1)
        affine = img.affine if stage.affine is None else labels_img.affine
        region = RegionImage(codes.astype(np.int32), affine, "`labels_img`", None)

        return self._make_work(
            img,
            stage=stage,
            extractor=lambda dtype: self._extractor(region, dtype),
            regions=(codes, affine, len(kept)),
            confounds=confounds,
            sample_mask=sample_mask,
            finish=_with_zero_columns(np.searchsorted(kept, present), len(kept)),
            publish=lambda: self._publish(labels_img, masked, kept.tolist()),
            watches=True,
        )

    def _extractor(self, region: RegionImage, dtype: DType) -> Labels:
        kind = np.float32 if dtype == np.float32 else np.float64
        return Labels(region, strategy=self.strategy, dtype=kind, ensure_finite=True)

    def _regions_for(self, img: Any) -> tuple[Any, Any]:
        """Return labels and mask for one transform."""
        labels_img, mask_img = self.labels_img_, self.mask_img_
        if self.resampling_target == "labels" and not same_grid(labels_img, img):
            warn_of_resampling("images are", "Resample them, or set resampling_target='data'.")
        if self.resampling_target != "data":
            return labels_img, mask_img
        if not same_grid(img, labels_img):
            warn_of_resampling("labels are", _ADVICE)
            labels_img = self._resampled_labels(img)
        if mask_img is not None and not same_grid(img, mask_img):
            warn_of_resampling("the mask is", _ADVICE)
            mask_img = resampled_mask(mask_img, img)
            self._check_masked(labels_img, mask_img)
        return labels_img, mask_img

    def _masked(self, labels_img: Any, mask_img: Any) -> tuple[Array, Array, Array]:
        """Return the labels inside of the mask, which they are, and which have a column."""
        values = np.asarray(labels_img.dataobj)
        if self.keep_masked_labels:
            msg = (
                "nilearn is going to drop `keep_masked_labels`. Got True: labels that the mask "
                "takes away have a column of zeros."
            )
            warnings.warn(msg, MaskerFutureWarning, stacklevel=5)
        all_labels = np.unique(values[values != self.background_label])
        if mask_img is None:
            return values, all_labels, all_labels
        inside = np.asarray(mask_img.dataobj) != 0
        masked = np.where(inside, values, values.dtype.type(self.background_label))
        present = np.unique(masked[masked != self.background_label])
        lost = np.setdiff1d(all_labels, present)
        if not len(present):
            msg = "`mask_img` must leave a voxel of at least one label. It leaves background only."
            raise RegionError(msg)
        if len(lost) and not self.keep_masked_labels:
            msg = (
                f"labels {lost.tolist()} have no voxel inside of `mask_img`, and no signal. "
                f"{len(present)} of {len(all_labels)} labels are left."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=5)
        return masked, present, all_labels if self.keep_masked_labels else present

    def _publish(self, labels_img: Any, masked: Array, kept: Sequence[Any]) -> None:
        """Keep the labels and names of the last transform's columns."""
        fitted = self._fitted_table
        has_background = (np.asarray(self.labels_img_.dataobj) == self.background_label).any()
        order = [self.background_label, *kept] if has_background else list(kept)
        self._used_table = fitted.of_labels(order)
        whole = nearest_integers(masked)
        codes = masked if whole is None else in_few_bytes(whole)
        self.region_atlas_ = image_like(labels_img, codes, labels_img.affine)

    @property
    @override
    def _report_description(self) -> str:
        return "The labelled regions that signals are taken from."

    @override
    def _findings(self, data: Mapping[str, Any], numbers: Sequence[int]) -> Findings:
        del numbers
        table = self._fitted_table
        pairs = zip(table.index, table.names, strict=True)
        names = [(label, name) for label, name in pairs if label != self.background_label]
        cmap = region_colours(self.cmap)
        volume = data["images"]
        return labels_findings(self.labels_img_, self.mask_img_, volume, names, cmap)

    def inverse_transform(self, signals: Any) -> Any:
        """Return signals as an image: each in all voxels of its region, zero elsewhere.

        Parameters
        ----------
        signals : array-like or table of shape (n_volumes, n_elements) or (n_elements,)
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
            If there is not one column per region.
        """
        check_is_fitted(self)
        values = self._check_array(signals)
        self._tell("Computing image from signals")
        labels = np.asarray(self.labels_img_.dataobj)
        if self.mask_img_ is not None:
            self._check_masked(self.labels_img_, self.mask_img_)
            labels = np.where(
                np.asarray(self.mask_img_.dataobj) != 0, labels, self.background_label
            )
        placement = Placement(*_columns_of(labels, self._column_labels()))
        return self._placed(values, self.labels_img_, placement)


def _with_zero_columns(columns: IntArray, n_columns: int) -> Any:
    """Return the function that fills absent labels' columns with zeros, None if none is absent."""
    if len(columns) == n_columns:
        return None

    def finish(values: Array) -> Array:
        full = np.zeros((len(values), n_columns), values.dtype)
        full[:, columns] = values
        return full

    return finish


def _columns_of(labels: Array, order: Sequence[Any]) -> tuple[IntArray, IntArray]:
    """Return the voxels, in Fortran order, whose label has a column, and that column."""
    flat = labels.reshape(-1, order="F")
    known = np.asarray(order)
    ascending = np.argsort(known, kind="stable")
    place = np.clip(np.searchsorted(known[ascending], flat), 0, len(known) - 1)
    column = ascending[place]
    index = np.flatnonzero(known[column] == flat)
    return index, column[index]
