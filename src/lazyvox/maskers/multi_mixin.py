"""Base class of the maskers for several subjects: lists of images in, lists of results out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import (
    DimensionError,
    MissingDependencyError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.image import check_niimg
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.grids import check_same_grid, same_grid
from lazyvox.maskers.base import check_is_fitted
from lazyvox.maskers.inputs import is_one_image, open_images
from lazyvox.maskers.scikit_learn import get_config
from lazyvox.runtime.budget_shares import side_by_side

__all__ = ["MultiMasker"]


# No transformer itself: scikit-learn would put the lists that it returns into one table.
class MultiMasker:
    """Lists of images in, lists of results out, several files at a time."""

    n_jobs: int
    memory_budget: int | str | None

    def fit_transform(
        self, imgs: Any, y: Any = None, confounds: Any = None, sample_mask: Any = None
    ) -> Any:
        """Fit, then transform the same images.

        Parameters
        ----------
        imgs : image, or list of images
            One per subject.
        y : None
            Not used; for scikit-learn.
        confounds : list, optional
            Confounds of each image.
        sample_mask : list, optional
            Volumes to keep of each image.

        Returns
        -------
        ndarray, or list of ndarray
            As from `transform`.
        """
        del y
        masker: Any = self
        _, opened = masker._fit(imgs, warns=False)
        return self.transform(opened, confounds=confounds, sample_mask=sample_mask)

    def transform(self, imgs: Any, confounds: Any = None, sample_mask: Any = None) -> Any:
        """Extract and clean the signals of one or several images, each in one pass.

        Parameters
        ----------
        imgs : image, or list of images
            One per subject: a path or pattern, a series, or a list of volumes.
        confounds : list, optional
            Confounds of each image.
        sample_mask : list, optional
            Volumes to keep of each image.

        Returns
        -------
        ndarray, or list of ndarray
            The signals of the image; or of each image of a list, in their order.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ParameterTypeError
            If `confounds` or `sample_mask` are no lists.
        ParameterError
            If there are not as many of them as images.

        Notes
        -----
        Up to `n_jobs` files are read at a time, fewer where the memory budget does not allow it.
        """
        check_is_fitted(self)
        for name, given in (("confounds", confounds), ("sample_mask", sample_mask)):
            if given is not None and not isinstance(given, list):
                msg = f"`{name}` must be a list, one item per image. Got {type(given).__name__}."
                raise ParameterTypeError(msg)
        if is_one_image(imgs):
            one: Any = super()
            return one.transform(
                imgs,
                confounds=confounds[0] if confounds else None,
                sample_mask=sample_mask[0] if sample_mask else None,
            )
        masker: Any = self
        masker._warn_of_boolean()
        return self.transform_imgs(imgs, confounds, n_jobs=self.n_jobs, sample_mask=sample_mask)

    def transform_imgs(
        self,
        imgs_list: Any,
        confounds: list[Any] | None = None,
        n_jobs: int = 1,
        sample_mask: list[Any] | None = None,
    ) -> list[Any]:
        """Extract and clean the signals of several images; `transform` calls this.

        Parameters
        ----------
        imgs_list : list of images
            One per subject.
        confounds : list, optional
            Confounds of each image.
        n_jobs : int, default=1
            Files at a time.
        sample_mask : list, optional
            Volumes to keep of each image.

        Returns
        -------
        list of ndarray
            The signals of each image, in their order.
        """
        check_is_fitted(self)
        imgs = open_images(imgs_list)
        n_imgs = len(imgs)
        confounds = _one_each("confounds", confounds, n_imgs)
        sample_mask = _one_each("sample_mask", sample_mask, n_imgs)
        prepared = self._prepared(imgs)
        calls = [
            self._call(img, found, kept)
            for img, found, kept in zip(prepared, confounds, sample_mask, strict=True)
        ]
        results = side_by_side(calls, self.memory_budget, n_jobs)
        masker: Any = self
        for _, work in results[-1:]:
            masker._publish_work(work)
        return [self._contained(values) for values, _ in results]

    def _prepared(self, imgs: list[Any]) -> list[Any]:
        """Return the images of one dimension and on one grid."""
        if not imgs:
            msg = "`imgs` must hold at least one image. Got an empty list."
            raise ParameterError(msg)
        opened = [check_niimg(img) for img in imgs]
        first = opened[0]
        for number, img in enumerate(opened[1:], 1):
            if len(img.shape) != len(first.shape):
                msg = (
                    f"images of a list must all be 3D, or all 4D. Got {len(first.shape)}D first, "
                    f"and {len(img.shape)}D as image {number} ({name_of(img)})."
                )
                raise DimensionError(msg)
            if not same_grid(first, img):
                opened[number] = self._moved(first, img, number)
        return opened

    def _moved(self, first: Any, img: Any, number: int) -> Any:
        """Refuse an image on another grid than the first."""
        names = ("image 0", f"Image {number}")
        check_same_grid(first, img, names, "Resample it, or transform it by itself.")

    def _call(self, img: Any, confounds: Any, sample_mask: Any) -> Callable[[Any], Any]:
        masker: Any = self

        def call(budget: float | str | None) -> tuple[Any, Any]:
            found = masker._all_confounds(img, confounds)
            work = masker._work(img, found, sample_mask)
            # The files share the cores.
            return masker._result(work, budget, 1, n_cleaning=1), work

        return call

    def _contained(self, values: Array) -> Any:
        """Return a result in the container that `set_output` asked for."""
        masker: Any = self
        own = getattr(self, "_sklearn_output_config", None) or {}
        kind = own.get("transform", get_config()["transform_output"])
        if kind == "default" or not isinstance(values, np.ndarray):
            return values
        names = [str(name) for name in masker.get_feature_names_out()]
        try:
            if kind == "polars":
                import polars

                return polars.DataFrame(values, schema=names, orient="row")
            import pandas as pd
        except ImportError as error:
            msg = f"set_output needs the package {kind}. Run `pip install {kind}`."
            raise MissingDependencyError(msg) from error
        return pd.DataFrame(values, columns=names)


def _one_each(name: str, given: list[Any] | None, n_imgs: int) -> list[Any]:
    if given is None:
        return [None] * n_imgs
    if len(given) != n_imgs:
        msg = (
            f"`{name}` must hold one item per image. Got {len(given)} for {n_imgs} images: the "
            f"number of {name} is unequal to the number of images."
        )
        raise ParameterError(msg)
    return list(given)
