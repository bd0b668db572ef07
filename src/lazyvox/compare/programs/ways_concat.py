"""Several images as one file, joined along time."""

from pathlib import Path
from typing import Any

__all__ = ["summarise"]

Job = dict[str, Any]
Results = list[Any]


def summarise(results: Results, job: Job) -> Results:
    """Return the values to compare: shape, and the mean of every volume of the written file."""
    import nibabel
    import numpy as np

    del job
    # Kept open, a compressed file is read forwards only once.
    img: Any = nibabel.load(results[0], keep_file_open=True)
    means = [
        np.asarray(img.dataobj[..., number]).mean(dtype=np.float64)
        for number in range(img.shape[-1])
    ]
    return [np.array(img.shape, np.float64), np.array(means)]


def nilearn_concat(job: Job) -> Results:
    """Give nilearn the paths, and write its result."""
    from nilearn.image import concat_imgs

    path = str(Path(job["scratch"]) / f"out{job['ending']}")
    concat_imgs(job["images"]).to_filename(path)
    return [path]


def lazyvox_concat(job: Job) -> Results:
    """Write each block as it is read, to where the file is wanted."""
    from contextlib import nullcontext

    import lazyvox as lv

    context = nullcontext() if job["memory"] is None else lv.memory_budget(job["memory"])
    with context:
        lv.save(lv.image.concat_imgs(job["images"]), job["target"], overwrite=True)
    return [job["target"]]
