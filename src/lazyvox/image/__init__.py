"""Functions on images."""

from lazyvox.image.onepass import (
    dvars,
    global_signal,
    histogram,
    max_img,
    mean_img,
    min_img,
    std_img,
    sum_img,
    tsnr_img,
    var_img,
)

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
