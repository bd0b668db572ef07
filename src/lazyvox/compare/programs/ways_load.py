"""Loading images: the costs of opening, and of all values."""

import math
from typing import Any

__all__ = ["summarise"]

Job = dict[str, Any]
Results = list[Any]

_N_SAMPLES = 20_000


def summarise(results: Results, job: Job) -> Results:
    """Return the values to compare of each image: its grid; of arrays sums and some values."""
    del job
    return [_summary_of(one) for one in results]


def _summary_of(result: Any) -> Any:
    import numpy as np

    if not isinstance(result, np.ndarray):
        return np.array([*result.shape, *np.asarray(result.affine).ravel()], np.float64)
    volumes = result.reshape(*result.shape[:3], -1, order="F") if result.ndim > 3 else result
    sums = [volumes[..., last].sum(dtype=np.float64) for last in range(volumes.shape[-1])]
    places = np.linspace(0, result.size - 1, min(_N_SAMPLES, result.size)).astype(np.int64)
    sampled = result[np.unravel_index(places, result.shape)]
    return np.concatenate([np.array(sums) / math.prod(result.shape[:-1]), sampled])


def nibabel_open(job: Job) -> Results:
    """Read headers."""
    return [_opened(path) for path in job["images"]]


def nilearn_open(job: Job) -> Results:
    """Read headers, or more where nilearn does."""
    from nilearn.image import load_img

    return [load_img(path) for path in job["images"]]


def lazyvox_open(job: Job) -> Results:
    """Read headers."""
    import lazyvox as lv

    return [lv.load(path) for path in job["images"]]


def nibabel_fdata(job: Job) -> Results:
    """Read all values as float64."""
    return [_opened(path).get_fdata() for path in job["images"]]


def nibabel_dataobj(job: Job) -> Results:
    """Read all values in the type that scaling gives."""
    import numpy as np

    return [np.asarray(_opened(path).dataobj) for path in job["images"]]


def nilearn_fdata(job: Job) -> Results:
    """Read all values as float64."""
    return [img.get_fdata() for img in nilearn_open(job)]


def lazyvox_fdata(job: Job) -> Results:
    """Read all values as float64."""
    return [img.get_fdata() for img in lazyvox_open(job)]


def lazyvox_dataobj(job: Job) -> Results:
    """Read all values in the type that scaling gives."""
    import numpy as np

    return [np.asarray(img.dataobj) for img in lazyvox_open(job)]


def _opened(path: str) -> Any:
    import nibabel

    return nibabel.load(path)
