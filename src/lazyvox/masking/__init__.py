"""Masks, and the signals of their voxels, in nilearn's names."""

from lazyvox.masking.applying import apply_mask
from lazyvox.masking.combining import intersect_masks
from lazyvox.masking.from_images import (
    compute_background_mask,
    compute_epi_mask,
    compute_multi_background_mask,
    compute_multi_epi_mask,
)
from lazyvox.masking.from_template import compute_brain_mask, compute_multi_brain_mask
from lazyvox.masking.loading import MaskWarning, load_mask_img
from lazyvox.masking.unmasking import unmask

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
