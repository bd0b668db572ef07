"""The names of scikit-learn that maskers use, or an error that says how to install it."""

from dataclasses import dataclass

from lazyvox.runtime.optional import missing

try:
    from sklearn import get_config
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils import InputTags
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise missing(package="scikit-learn", extra="maskers", what="Maskers") from error

__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ImageInputTags",
    "TransformerMixin",
    "check_is_fitted",
    "get_config",
]


@dataclass
class ImageInputTags(InputTags):  # type: ignore[misc]
    """Tags of an estimator whose input is images, as nilearn knows them.

    Attributes
    ----------
    niimg_like : bool
        Whether it takes volumes.
    surf_img : bool
        Whether it takes surfaces.
    """

    niimg_like: bool = True
    surf_img: bool = False
