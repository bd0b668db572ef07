"""Functions on images."""

from lazyvox.image.checking import (
    check_niimg,
    check_niimg_3d,
    check_niimg_4d,
    get_data,
    load_img,
)
from lazyvox.image.new import copy_img, new_img_like
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
from lazyvox.image.smoothing import smooth_img

__all__ = [
    "check_niimg",
    "check_niimg_3d",
    "check_niimg_4d",
    "copy_img",
    "dvars",
    "get_data",
    "global_signal",
    "histogram",
    "load_img",
    "max_img",
    "mean_img",
    "min_img",
    "new_img_like",
    "smooth_img",
    "std_img",
    "sum_img",
    "tsnr_img",
    "var_img",
]
