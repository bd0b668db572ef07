from .arithmetic import math_img
from .averaging import mean_img
from .checking import (
    check_niimg,
    check_niimg_3d,
    check_niimg_4d,
    get_data,
    load_img,
)
from .cleaning import clean_img
from .components import largest_connected_component_img
from .concatenation import concat_imgs
from .coordinates import coord_transform
from .cropping import crop_img
from .high_variance import high_variance_confounds
from .indexing import index_img, iter_img
from .new_image import copy_img, new_img_like
from .reordering import reorder_img, swap_img_hemispheres
from .resampling import BoundingBoxError, resample_img, resample_to_img
from .smoothing import smooth_img
from .thresholding import binarize_img, threshold_img
from .volume_statistics import dvars, global_signal, histogram
from .voxel_statistics import (
    ar1_img,
    max_img,
    median_img,
    min_img,
    percentile_img,
    std_img,
    sum_img,
    tsnr_img,
    var_img,
)

__all__ = [
    "BoundingBoxError",
    "ar1_img",
    "binarize_img",
    "check_niimg",
    "check_niimg_3d",
    "check_niimg_4d",
    "clean_img",
    "concat_imgs",
    "coord_transform",
    "copy_img",
    "crop_img",
    "dvars",
    "get_data",
    "global_signal",
    "high_variance_confounds",
    "histogram",
    "index_img",
    "iter_img",
    "largest_connected_component_img",
    "load_img",
    "math_img",
    "max_img",
    "mean_img",
    "median_img",
    "min_img",
    "new_img_like",
    "percentile_img",
    "reorder_img",
    "resample_img",
    "resample_to_img",
    "smooth_img",
    "std_img",
    "sum_img",
    "swap_img_hemispheres",
    "threshold_img",
    "tsnr_img",
    "var_img",
]
