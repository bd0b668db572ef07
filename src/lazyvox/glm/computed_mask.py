"""The mask of first-level models to which none is given."""

from collections.abc import Sequence
from typing import Any

__all__ = ["computed_mask"]


def computed_mask(runs: Sequence[Any], **options: Any) -> Any:
    """Return the mask of models to which none is given: the brain in all runs, one pass over each.

    Parameters
    ----------
    runs : sequence of images or paths
        The runs.
    **options : Any
        Further parameters of the masker.

    Returns
    -------
    LazyImage
        The mask, in memory.
    """
    # With it scikit-learn is imported, which studies without models do not need.
    from lazyvox.maskers import MultiNiftiMasker

    return MultiNiftiMasker(mask_strategy="epi", **options).fit(list(runs)).mask_img_
