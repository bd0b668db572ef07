"""`FirstLevelModel`: nilearn's class, with a fit that reads each run once, in bounded memory."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazyvox._typing import BoolArray, FloatArray, override
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError, RegionError
from lazyvox.geometry.resampling import fraction_inside
from lazyvox.glm.computed_mask import computed_mask
from lazyvox.glm.consumer import GLM
from lazyvox.glm.design import Design
from lazyvox.glm.event_frames import check_timing, fetched_events
from lazyvox.glm.fit import Fit, Model
from lazyvox.glm.scaling import scaling_of
from lazyvox.glm.voxel_series import predicted_img, residuals_img, volume_img
from lazyvox.image import check_niimg, clean_img
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.maskers import NiftiMasker
from lazyvox.maskers.nifti_masker import stage_of_mask
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.optional import require
from lazyvox.stream.masks import RegionImage
from lazyvox.stream.scan import Scan

require("nilearn", "glm", "First-level models")

from nilearn.glm import first_level as nilearn_first_level  # noqa: E402
from nilearn.maskers import NiftiMasker as NilearnNiftiMasker  # noqa: E402
from sklearn.base import clone as sklearn_clone  # noqa: E402

__all__ = ["FirstLevelModel"]

#: Parameters of a masker that clean signals along time.
_CLEANING = ("detrend", "low_pass", "high_pass", "clean_args")


#: Largest value of a column in which nothing happens.
_NO_RESPONSE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class _FittedRun:
    """Fit of a run, and the volumes that its residuals are computed from."""

    fit: Fit = field(repr=False)
    mask: BoolArray = field(repr=False)
    series: Series
    means: FloatArray | None = field(repr=False)


class FirstLevelModel(nilearn_first_level.FirstLevelModel):  # type: ignore[misc]
    """First-level model of one subject: nilearn's, fitted in one pass over each run.

    Parameters, methods and attributes are those of nilearn's class of this name, and so are the
    design matrices, contrasts, fixed effects, reports and files: they are its code. The fit is
    lazyvox's. It reads each run once (and once before where the mask is to be computed) and holds
    sums, the size of which does not depend on the number of volumes.

    Parameters
    ----------
    t_r : float, optional
        Repetition time in seconds; needed with events.
    slice_time_ref : float, default=0.0
        Time of the reference slice, as a fraction of `t_r`.
    hrf_model : str, callable, or list of these, default="glover"
        Haemodynamic response.
    drift_model : {"cosine", "polynomial", None}, default="cosine"
        Regressors of drifts.
    high_pass : float, default=0.01
        Cutoff of the cosines, in Hz.
    drift_order : int, default=1
        Order of the polynomials.
    fir_delays : array-like of int, optional
        Delays of a finite impulse response, in volumes.
    min_onset : float, default=-24
        Earliest onset of events that count, in seconds.
    mask_img : image, path, masker or False, optional
        The mask; or a fitted `NiftiMasker`, of nilearn or of lazyvox; False takes all voxels. By
        default, the mask is computed of all runs.
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Grid that runs are resampled to.
    target_shape : tuple of int, optional
        Shape of that grid.
    smoothing_fwhm : float, optional
        Width of a Gaussian kernel, in mm.
    memory : joblib.Memory or path-like, optional
        Cache of the computed mask. Fits are not cached.
    memory_level : int, default=1
        As in nilearn.
    standardize : {"zscore_sample", "psc", True, False} or None, default=False
        Scaling of signals. It takes effect where `signal_scaling` is False.
    signal_scaling : 0, 1, (0, 1) or False, default=0
        Signals in percent of their mean over time, of that of each volume, or of both.
    noise_model : str, default="ar1"
        "ols", or "arN" for noise that depends on N volumes before.
    verbose : int, default=0
        Above 0, steps are printed on standard output.
    n_jobs : int, default=1
        Threads of a pass.
    minimize_memory : bool, default=True
        If False, `residuals_`, `predicted_` and `r_square_` exist: lazy images over the runs, which
        take no memory until they are read.
    subject_label : str, optional
        Name for second-level models.
    random_state : int or numpy.random.RandomState, optional
        For the clusters of coefficients of noise above order 1.
    reports : bool, default=True
        Whether what a report needs is kept.

    Attributes
    ----------
    design_matrices_ : list of DataFrame
        One per run.
    labels_, results_ : list
        Labels of noise of the voxels, and results by label, of each run.
    masker_ : NiftiMasker
        The masker that was given, or one of lazyvox.

    Notes
    -----
    Memory: for each voxel of the mask 8 bytes for each column of the design, twice and a half
    with AR(1) noise; and 64 volumes of the mask that wait. `lazyvox.memory_budget` sets a limit.

    A voxel that does not vary has effects, variances and statistics of 0; where it is not zero
    after scaling, its variances and statistics are NaN. The sum of squared residuals is divided by
    the number of volumes minus the rank of the design.

    Examples
    --------
    >>> import pandas as pd
    >>> from lazyvox.glm import FirstLevelModel
    >>> events = pd.DataFrame({"onset": [10, 40], "duration": [10, 10], "trial_type": ["a", "b"]})
    >>> model = FirstLevelModel(t_r=2.0, mask_img="mask.nii.gz", drift_model=None)
    >>> z_map = model.fit("run.nii.gz", events).compute_contrast("a - b")
    >>> z_map.shape
    (12, 14, 10)
    """

    @override
    def _check_fit_inputs(
        self,
        run_imgs: Any,
        events: Any,
        confounds: Any,
        sample_masks: Any,
        design_matrices: Any,
    ) -> Any:
        for one in run_imgs if isinstance(run_imgs, list | tuple) else [run_imgs]:
            if type(one).__name__ == "SurfaceImage":
                msg = (
                    "`run_imgs` must be images of voxels. Got SurfaceImage: "
                    "nilearn.glm.first_level.FirstLevelModel takes surfaces."
                )
                raise ParameterTypeError(msg)
        return super()._check_fit_inputs(
            run_imgs, events, confounds, sample_masks, design_matrices
        )

    @override
    def fit(
        self,
        run_imgs: Any,
        events: Any = None,
        confounds: Any = None,
        sample_masks: Any = None,
        design_matrices: Any = None,
        bins: int = 100,
    ) -> "FirstLevelModel":
        """Fit the model: one pass over each run, and one before where the mask is to be computed.

        Parameters
        ----------
        run_imgs : image, path, or list of them
            4D images on one grid.
        events : DataFrame, path, or list of them, optional
            Events of each run; needed without `design_matrices`.
        confounds : DataFrame, ndarray, path, or list of them, optional
            Confounds of each run, a row for each volume.
        sample_masks : array-like, or list of them, optional
            Volumes of each run to take: their numbers, ascending, or one boolean for each.
        design_matrices : DataFrame, path, or list of them, optional
            Design of each run, in place of events.
        bins : int, default=100
            Coefficients of AR(1) noise are cut to multiples of one over this number; those of
            higher orders are put into so many clusters.

        Returns
        -------
        FirstLevelModel
            The model itself. Where the fit fails, it is not fitted.

        Raises
        ------
        ParameterError
            If tables and runs do not fit together.
        RegionError
            If the mask is empty, or elsewhere.
        ImageFileError
            If a file is damaged, incomplete, or changes while it is read.
        MemoryBudgetError
            If a pass does not fit the budget; nothing was read in it.

        Warns
        -----
        LazyvoxWarning
            If voxels do not vary or are not finite, a design lacks rank, a mean that signals are
            divided by is zero, or events begin after the end of their run.
        """
        try:
            super().fit(
                run_imgs, fetched_events(events), confounds, sample_masks, design_matrices, bins
            )
        except BaseException:
            # Planning stops a fit too.
            self.labels_: Any = None
            self.results_: Any = None
            raise
        return self

    def make_design_matrices(self, run_imgs: Any, events: Any, confounds: Any = None) -> list[Any]:
        """Return the design matrices that `fit` makes of events; reads headers only.

        Parameters
        ----------
        run_imgs : image, path, or list of them
            The runs.
        events : DataFrame, path, or list of them
            Events of each run.
        confounds : DataFrame, ndarray, path, or list of them, optional
            Confounds of each run.

        Returns
        -------
        list of DataFrame
            One for each run.
        """
        model = sklearn_clone(self)
        model.fir_delays_ = [0] if self.fir_delays is None else self.fir_delays
        model._reporting_data = {"trial_types": []}
        imgs, events, confounds, *_ = model._check_fit_inputs(
            run_imgs, fetched_events(events), confounds, None, None
        )
        found: list[Any] = model._create_all_designs(imgs, events, confounds, None)
        return found

    @override
    def _create_all_designs(
        self, run_imgs: Any, events: Any, confounds: Any, design_matrices: Any
    ) -> list[Any]:
        if design_matrices is not None:
            return list(design_matrices)
        # The header says how many volumes there are.
        numbers = [check_niimg(img, ensure_ndim=4).shape[3] for img in run_imgs]
        check_timing(self.t_r, numbers)
        for number, (n_volumes, table) in enumerate(zip(numbers, events, strict=True)):
            _warn_of_late_events(table, n_volumes * self.t_r, number)
        designs = [
            self._create_single_design(n_volumes, events, confounds, number)
            for number, n_volumes in enumerate(numbers)
        ]
        for design in designs:
            # A condition without an event in the run has rounding for a response, which a fit
            # would take for a regressor.
            design[design.columns[np.abs(design).max() < _NO_RESPONSE]] = 0.0
        return designs

    @override
    def _prepare_mask(self, run_imgs: Any) -> None:
        given = self.mask_img
        if isinstance(given, NiftiMasker | NilearnNiftiMasker):
            nilearn_first_level.first_level.check_is_fitted(given)
            if given.mask_img_ is None:
                msg = "`mask_img` must have a mask. Got a masker whose mask_img_ is None."
                raise ParameterError(msg)
            self.masker_ = given
        else:
            self.masker_ = self._new_masker(given, run_imgs)
        self.n_elements_ = self.masker_.n_elements_
        self._runs: list[_FittedRun] = []

    def _new_masker(self, mask_img: Any, run_imgs: Any) -> NiftiMasker:
        options = {
            "smoothing_fwhm": self.smoothing_fwhm,
            "target_affine": self.target_affine,
            "target_shape": self.target_shape,
            "memory": self.memory,
            "memory_level": self.memory_level,
            "verbose": self.verbose,
            "reports": self.reports,
        }
        if mask_img is None:
            mask_img = computed_mask(run_imgs, n_jobs=self.n_jobs, **options)
        elif mask_img is False:
            first = check_niimg(run_imgs[0])
            mask_img = image_like(
                first, np.ones(first.shape[:3], np.uint8), first.affine, copy_header=False
            )
        return NiftiMasker(mask_img, **options).fit()

    @override
    def _fit_single_run(self, sample_masks: Any, bins: int, run_img: Any, run_idx: int) -> None:
        design = self.design_matrices_[run_idx]
        sample_mask = None if sample_masks is None else sample_masks[run_idx]
        if sample_mask is not None:
            design = design.iloc[sample_mask, :]
            self.design_matrices_[run_idx] = design
        model = Model(
            Design.of(design),
            self.noise_model,
            bins,
            scaling_of(self.signal_scaling, self.standardize),
            self.random_state,
            has_r_square=not self.minimize_memory,
        )
        series, mask = self._prepared(check_niimg(run_img, ensure_ndim=4), sample_mask)
        region = RegionImage(mask.astype(np.uint8), series.grid.affine, "`mask_img`", None)
        scan = Scan(series)
        handle = scan.add(GLM.of(model, region))
        scan.run(n_jobs=resolve_n_jobs(self.n_jobs), progress=self.verbose > 1)
        found = handle.result()
        self.labels_.append(found.labels)
        self.results_.append(found.results)
        if not self.minimize_memory:
            self._runs.append(_FittedRun(found.fit, mask, series, found.means))

    def _prepared(self, img: Any, sample_mask: Any) -> tuple[Series, BoolArray]:
        """Return the volumes as they are fitted, and the mask on their grid; reads nothing."""
        masker = self.masker_
        if getattr(masker, "high_variance_confounds", False):
            msg = (
                "`mask_img`: the masker of a model cannot have high_variance_confounds. Pass them "
                "as confounds of the design: lazyvox.image.high_variance_confounds computes them."
            )
            raise ParameterError(msg)
        mask_img, stage = stage_of_mask(img, masker.mask_img_, masker.smoothing_fwhm)
        mask = np.asarray(mask_img.dataobj) != 0
        _check_overlap(img, mask, mask_img.affine)
        series = as_series(img)
        steps = stage.steps(series)
        if steps:
            # In float32, rounding of a large mean would be 1e-5 of the statistics.
            series = series.astype(np.dtype(np.float64))
        for transform, affine in steps:
            series = series.transformed(transform, affine)
        cleaning = {name: getattr(masker, name, None) for name in _CLEANING}
        if any(cleaning.values()):
            return self._cleaned(series, mask, cleaning, sample_mask), mask
        return (series if sample_mask is None else series.taking(sample_mask)), mask

    def _cleaned(
        self, series: Series, mask: BoolArray, cleaning: dict[str, Any], sample_mask: Any
    ) -> Series:
        """Return the series that the masker cleans along time: through a temporary file."""
        options = dict(cleaning.pop("clean_args") or {})
        if sample_mask is not None:
            options["sample_mask"] = sample_mask
        grid, masker = series.grid, self.masker_
        img = image_like(grid.template, series.array, grid.affine)
        mask_img = image_like(img, mask.astype(np.uint8), grid.affine, copy_header=False)
        cleaned = clean_img(
            img,
            standardize=None,
            t_r=masker.t_r,
            runs=getattr(masker, "runs", None),
            mask_img=mask_img,
            **cleaning,
            **{f"clean__{name}": value for name, value in options.items()},
        )
        return as_series(cleaned)

    @override
    def compute_contrast(
        self, contrast_def: Any, stat_type: Any = None, output_type: str = "z_score"
    ) -> Any:
        """Return maps of a contrast, of fixed effects where there are several runs.

        Parameters
        ----------
        contrast_def : str, ndarray, or list of them
            Expression of names of columns, or weights; one for all runs, or one for each.
        stat_type : {"t", "F"}, optional
            By default "t" for one row of weights, "F" for several.
        output_type : str, default="z_score"
            One of ``"z_score"``, ``"stat"``, ``"p_value"``, ``"effect_size"``,
            ``"effect_variance"``; or ``"all"``.

        Returns
        -------
        image, or dict of images
            What the masker makes of the values; by their type for ``"all"``.
        """
        # The reciprocal of a variance of zero is not used.
        with np.errstate(divide="ignore"):
            return super().compute_contrast(contrast_def, stat_type, output_type)

    @override
    def _get_element_wise_model_attribute(
        self, attribute: str, result_as_time_series: bool
    ) -> list[Any]:
        known = {"residuals", "normalized_residuals", "predicted", "SSE", "r_square", "MSE"}
        if attribute not in known or getattr(self, "minimize_memory", True):
            # The errors are nilearn's.
            found: list[Any] = super()._get_element_wise_model_attribute(
                attribute, result_as_time_series
            )
            return found
        nilearn_first_level.first_level.check_is_fitted(self)
        return [_attribute_img(run, attribute) for run in self._runs]


def _check_overlap(img: Any, mask: BoolArray, affine: Any) -> None:
    voxels = np.stack(np.nonzero(mask))
    if not fraction_inside(voxels, affine, tuple(img.shape[:3]), img.affine):
        msg = (
            f"`mask_img` must overlap with {name_of(img)}. None of its {voxels.shape[1]} voxels does. "
            f"Check the affines: {np.asarray(affine)[:3].tolist()} and {img.affine[:3].tolist()}."
        )
        raise RegionError(msg)


def _warn_of_late_events(events: Any, duration: float, run: int) -> None:
    onsets = np.asarray(events["onset"], dtype=np.float64) if "onset" in events else np.zeros(0)
    n_late = int((onsets >= duration).sum())
    if n_late:
        msg = (
            f"`events` of run {run + 1} should begin before its end, at {duration:g} s. {n_late} of "
            f"{len(onsets)} begin later: they have no effect."
        )
        warnings.warn(
            LazyvoxWarning(msg, hint="Look at the unit of the onsets, and at t_r."), stacklevel=5
        )


def _attribute_img(run: _FittedRun, attribute: str) -> Any:
    """Return an image of what nilearn's `RegressionResults` has by this name."""
    fit, mask, grid = run.fit, run.mask, run.series.grid
    if attribute == "predicted":
        return predicted_img(fit, mask, run.series)
    if attribute in {"residuals", "normalized_residuals"}:
        residuals = residuals_img(fit, mask, run.series, run.means)
        if attribute == "residuals":
            return residuals
        spread = np.sqrt(fit.gathered("dispersion"))
        inverse = np.divide(1, spread, where=spread > 0, out=np.zeros_like(spread))
        return residuals * volume_img(inverse, mask, residuals, grid.affine)
    values = fit.gathered("r_square" if attribute == "r_square" else "dispersion")
    if attribute == "SSE":
        values = np.nan_to_num(values) * fit.model.design.n_free
    return volume_img(values, mask, grid.template, grid.affine)
