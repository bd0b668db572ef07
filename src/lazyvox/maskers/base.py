"""Base class of the maskers: fitting, the one pass of a transform, results, scikit-learn's rules."""

import sys
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.array.memory_reader import snapshot
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.columns import Placement
from lazyvox.extraction.signals import Signals
from lazyvox.image import high_variance_confounds
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.describe import set_repetition_time
from lazyvox.lazyimage.series import as_series
from lazyvox.maskers.caching import KeptResults, open_memory
from lazyvox.maskers.inputs import open_images, open_series, read_mask_img, shown
from lazyvox.maskers.parameters import MaskerFutureWarning, MaskerWarning, check_parameters
from lazyvox.maskers.reporting import Reports
from lazyvox.maskers.scikit_learn import (
    BaseEstimator,
    ImageInputTags,
    TransformerMixin,
    check_is_fitted,
    get_config,
)
from lazyvox.maskers.transform_pass import Stage, Work, do_work
from lazyvox.signal import Cleaner, prepare_cleaning

__all__ = ["BaseMasker", "check_is_fitted"]


class BaseMasker(Reports, KeptResults, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the maskers: scikit-learn transformers whose input is images.

    A class that derives from this one says what it fits in `_fit_regions`, and what one
    transform is made of in `_work`.
    """

    #: Seconds between volumes of the run that was transformed last, as its header has them.
    _run_t_r: float | None = None

    @abstractmethod
    def _fit_regions(self, imgs: Any) -> None:
        """Fit the regions; `imgs` may be None."""

    @abstractmethod
    def _work(self, img: Any, confounds: Any, sample_mask: Any) -> Work:
        """Return the work on one image, 3D or 4D; reads no voxel of it."""

    def fit(self, imgs: Any = None, y: Any = None) -> Self:
        """Prepare the masker.

        Parameters
        ----------
        imgs : image, path, or list of them, optional
            Data that the masker will be used on. Where regions are given, only the grid of it
            matters and no voxel is read.
        y : None
            Not used; for scikit-learn.

        Returns
        -------
        masker
            The masker itself.
        """
        del y
        return self._fit(imgs, warns=True)[0]

    def _fit(self, imgs: Any, *, warns: bool) -> tuple[Self, Any]:
        """Fit, and return the masker and the images, opened."""
        check_parameters(self.get_params(deep=False))
        if imgs is not None:
            imgs = list(imgs) if isinstance(imgs, Iterator) else imgs
            self._tell(f"Loading data from {shown(imgs, self.verbose)}")
            imgs = open_images(imgs)
        self._warns_of_images = warns
        self._report_content = {"reports_at_fit_time": self.reports}
        self._reporting_data = None
        self._run_t_r = None
        self.clean_args_ = {} if self.clean_args is None else self.clean_args
        self._opened = self.memory
        self.memory_ = open_memory(self.memory, verbose=self.verbose)
        self.mask_img_: Any = None
        if self.mask_img is not None:
            self._tell(f"Loading mask from {shown(self.mask_img, self.verbose)}")
            self.mask_img_ = read_mask_img(self.mask_img)
        self._fit_regions(imgs)
        self._tell("Finished fit")
        return self, imgs

    def transform(self, imgs: Any, confounds: Any = None, sample_mask: Any = None) -> Array:
        """Extract and clean signals.

        Parameters
        ----------
        imgs : image, path, pattern, or list of 3D ones
            The images.
        confounds : array, table, path, or list of them, optional
            Signals to remove, one row per volume; see `lazyvox.signal.clean`.
        sample_mask : array-like, optional
            Volumes to keep: numbers, or one boolean per volume.

        Returns
        -------
        ndarray of shape (n_volumes, n_elements)
            The signals; of shape (n_elements,) for a 3D image.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ParameterTypeError
            If `imgs` is no image.

        Notes
        -----
        Memory: the result, and what `memory_budget` allows for buffers and cleaning. One pass over
        the images; two more where `high_variance_confounds` is set.
        """
        check_is_fitted(self)
        img = open_series(imgs)
        self._warn_of_boolean()
        result: Array = self.transform_single_imgs(
            img, confounds=self._all_confounds(img, confounds), sample_mask=sample_mask
        )
        return result

    def fit_transform(
        self, imgs: Any, y: Any = None, confounds: Any = None, sample_mask: Any = None
    ) -> Array:
        """Fit, then transform the same images.

        Parameters
        ----------
        imgs : image, path, pattern, or list of 3D ones
            The images.
        y : None
            Not used; for scikit-learn.
        confounds : array, table, path, or list of them, optional
            As for `transform`.
        sample_mask : array-like, optional
            As for `transform`.

        Returns
        -------
        ndarray of shape (n_volumes, n_elements)
            As from `transform`.
        """
        del y
        _, opened = self._fit(imgs, warns=False)
        return self.transform(opened, confounds=confounds, sample_mask=sample_mask)

    def transform_single_imgs(
        self, imgs: Any, confounds: Any = None, sample_mask: Any = None
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

        Returns
        -------
        ndarray of shape (n_volumes, n_elements)
            The signals; of shape (n_elements,) for a 3D image.
        """
        check_is_fitted(self)
        self._tell(f"Loading data from {shown(imgs, self.verbose)}")
        work = self._work(open_series(imgs), confounds, sample_mask)
        self._tell_of(work)
        return self._done(work)

    def _done(self, work: Work) -> Any:
        """Return the result of one transform, and keep the meaning of its columns."""
        result = self._result(work, self.memory_budget, getattr(self, "n_jobs", 1))
        self._publish_work(work)
        return result

    def _publish_work(self, work: Work) -> None:
        """Keep the grid of images of signals, and the columns of the last transform."""
        self._run_t_r = work.series.grid.t_r
        if work.publish is not None:
            work.publish()

    def _result(
        self,
        work: Work,
        memory: float | str | None,
        n_jobs: int,
        n_cleaning: int | None = None,
    ) -> Any:
        """Return the result of one transform, from the cache if it is there."""

        def compute() -> Array:
            return do_work([work], memory=memory, n_jobs=n_jobs, n_cleaning=n_cleaning)[0]

        return compute() if work.folder is not None else self._cached(compute, work.key)

    def _make_work(
        self,
        img: Any,
        *,
        stage: Stage,
        extractor: Callable[[DType], Any],
        regions: tuple[Any, ...],
        confounds: Any,
        sample_mask: Any,
        finish: Callable[[Array], Array] | None = None,
        publish: Callable[[], None] | None = None,
        watches: bool = False,
    ) -> Work:
        """Return the work on an image."""
        series = as_series(img)
        cleaner = self._cleaner(series.grid.n_volumes, confounds, sample_mask)
        target = self._result_dtype(series.grid.dtype)
        squeezes = len(img.shape) == 3 and not self._has_container()

        def result(values: Array) -> Array:
            done = values if finish is None else finish(values)
            if target is not None:
                done = done.astype(target, copy=False)
            return done.squeeze() if squeezes else done

        key: tuple[Any, ...] = ()
        if self._has_cache():
            key = self._key("transform", img, stage.key, regions, confounds, sample_mask, squeezes)
        folder = None if self.memmap_dir is None else Path(self.memmap_dir)
        # Smoothing has set what is not finite to zero before.
        watches = watches and stage.smoothing_fwhm is None
        return Work(series, stage, extractor, cleaner, result, key, folder, publish, watches)

    def _has_container(self) -> bool:
        """Return whether scikit-learn puts results into tables, which need two axes."""
        own = getattr(self, "_sklearn_output_config", None)
        return own is not None or get_config()["transform_output"] != "default"

    def _cleaner(self, n_volumes: int, confounds: Any, sample_mask: Any) -> Cleaner | None:
        """Return the cleaning of the signals, None where no option asks for it."""
        how: Any = {True: "zscore_sample", False: None}.get(self.standardize, self.standardize)
        runs = getattr(self, "runs", None)
        asked = (how, self.low_pass, self.high_pass, sample_mask, runs)
        is_idle = all(option is None for option in asked) and not self.detrend
        if is_idle and not self.clean_args_ and (confounds is None or confounds == []):
            return None
        return prepare_cleaning(
            n_volumes,
            runs=runs,
            detrend=self.detrend,
            standardize=how,
            sample_mask=sample_mask,
            confounds=confounds,
            standardize_confounds=self.standardize_confounds,
            low_pass=self.low_pass,
            high_pass=self.high_pass,
            t_r=self.t_r,
            **self.clean_args_,
        )

    def _result_dtype(self, source: DType) -> DType | None:
        """Return the type that was asked for, None where the result keeps its own."""
        if self.dtype is None:
            return None
        if isinstance(self.dtype, str) and self.dtype == "auto":
            return np.dtype(np.int32 if source.kind == "i" else np.float32)
        return np.dtype(self.dtype)

    def _all_confounds(self, imgs: Any, confounds: Any) -> list[Any] | None:
        """Return the confounds as a list, with those of high variance first."""
        if confounds is None and not self.high_variance_confounds:
            return None
        found: list[Any] = []
        if self.high_variance_confounds:
            found.append(
                self._cached(
                    lambda: high_variance_confounds(imgs, memory=self.memory_budget),
                    self._image_key("confounds", imgs),
                )
            )
        if confounds is None:
            return found
        return found + (confounds if isinstance(confounds, list) else [confounds])

    def _warn_of_boolean(self) -> None:
        # False is the default of nilearn's signature: nobody has chosen it.
        if self.standardize is True:
            msg = (
                "`standardize` should be 'zscore_sample', 'psc' or None. Got True, which nilearn is "
                "going to refuse; here it stays, and means 'zscore_sample'."
            )
            warnings.warn(msg, MaskerFutureWarning, stacklevel=3)

    def _check_array(self, signals: Any) -> Array:
        """Return signals for `inverse_transform` as an array of the right width."""
        if hasattr(signals, "to_numpy"):
            signals = signals.to_numpy().squeeze()
        values = np.atleast_1d(np.asanyarray(signals))
        if values.ndim > 2 or values.shape[-1] != self.n_elements_:
            hint = ""
            if values.ndim == 2 and values.shape[0] == self.n_elements_:
                hint = " Transpose it: rows are volumes."
            msg = (
                f"signals must be of shape ({self.n_elements_},), or (n_volumes, "
                f"{self.n_elements_}): one column per element of the masker. Got shape "
                f"{values.shape}.{hint}"
            )
            raise ParameterError(msg)
        if values.dtype.kind not in "biufc":
            msg = f"signals must be numbers. Got {values.dtype}."
            raise ParameterTypeError(msg)
        if values.dtype == bool:
            target = np.int32 if self.dtype is None else self._result_dtype(values.dtype)
            msg = f"signals should be numbers. Got booleans, taken as {np.dtype(target)}."
            warnings.warn(msg, MaskerWarning, stacklevel=3)
            values = values.astype(target)
        return values

    def _placed(self, values: Array, template: Any, placement: Placement) -> Any:
        """Return signals as an image on the grid of another one, in the type asked for.

        One row gives a 3D image in memory, several a lazy 4D one; other voxels are zero.
        """
        shape = tuple(template.shape[:3])
        if values.ndim == 1:
            volume = np.zeros((1, int(np.prod(shape))), values.dtype)
            placement.fill(volume, values[None])
            img = image_like(template, volume[0].reshape(shape, order="F"), template.affine)
            return self._as_asked(img, values.dtype)
        grid = replace(as_series(template).grid, n_volumes=len(values), dtype=values.dtype)
        names = [str(number) for number in range(values.shape[1])]
        signals = Signals(snapshot(values), grid=grid, placement=placement, names=names)
        return self._as_asked(signals.to_img(), values.dtype)

    def _as_asked(self, img: Any, source: DType) -> Any:
        """Return an image of signals in the type of the signals, or the one asked for; lazily."""
        target = self._result_dtype(source) or source
        array = lazy_dataobj(img)
        held: Any = img.dataobj
        if array.dtype != target:
            values = held.astype(target) if isinstance(held, np.ndarray) else array.astype(target)
            img = image_like(img, values, img.affine)
        if img.get_data_dtype() != target:
            img.set_data_dtype(target)
        set_repetition_time(img.header, self._run_t_r if self.t_r is None else self.t_r)
        return img

    def _tell(self, text: str) -> None:
        """Write one line to standard output, where `verbose` asks for it."""
        if int(self.verbose) > 0:
            sys.stdout.write(f"[{type(self).__name__}] {text}\n")

    def _tell_of(self, work: Work) -> None:
        if work.stage.affine is not None or work.stage.shape is not None:
            self._tell("Resampling images")
        if work.stage.smoothing_fwhm is not None:
            self._tell("Smoothing images")
        self._tell("Extracting region signals")
        self._tell("Cleaning extracted signals")

    @property
    def _n_features_out(self) -> int:
        """Number of columns, for scikit-learn."""
        n_elements: int = self.n_elements_
        return n_elements

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: images are the input."""
        tags = super().__sklearn_tags__()
        tags.input_tags = ImageInputTags()
        tags.estimator_type = "masker"
        return tags
