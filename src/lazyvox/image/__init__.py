"""Functions on images."""

from lazyvox.image.over_time import (
    max_img,
    mean_img,
    min_img,
    std_img,
    sum_img,
    tsnr_img,
    var_img,
)
from lazyvox.image.over_voxels import dvars, global_signal, histogram

__all__ = [
    "dvars",
    "global_signal",
    "histogram",
    "max_img",
    "mean_img",
    "min_img",
    "std_img",
    "sum_img",
    "tsnr_img",
    "var_img",
]
