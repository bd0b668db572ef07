"""What maskers say to scikit-learn about their input."""

from dataclasses import dataclass
from typing import Any

from lazyvox.maskers.scikit_learn import InputTags

__all__ = ["ImageInputTags", "masker_tags"]


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


def masker_tags(tags: Any) -> Any:
    """Return tags that say that an estimator is a masker.

    Parameters
    ----------
    tags : sklearn.utils.Tags
        The tags of the class above.

    Returns
    -------
    sklearn.utils.Tags
        The same object.
    """
    tags.input_tags = ImageInputTags()
    tags.estimator_type = "masker"
    return tags
