from .applying import apply_mask
from .combining import intersect_masks
from .from_images import (
    compute_background_mask,
    compute_epi_mask,
    compute_multi_background_mask,
    compute_multi_epi_mask,
)
from .from_template import compute_brain_mask, compute_multi_brain_mask
from .loading import MaskWarning, load_mask_img
from .unmasking import unmask

__all__ = [
    "MaskWarning",
    "apply_mask",
    "compute_background_mask",
    "compute_brain_mask",
    "compute_epi_mask",
    "compute_multi_background_mask",
    "compute_multi_brain_mask",
    "compute_multi_epi_mask",
    "intersect_masks",
    "load_mask_img",
    "unmask",
]
