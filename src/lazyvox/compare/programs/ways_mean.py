"""The mean over time of a run."""

from typing import Any

__all__ = ["summarise"]

Job = dict[str, Any]
Results = list[Any]


def summarise(results: Results, job: Job) -> Results:
    """Return the values to compare: all."""
    del job
    return results


def nilearn_path(job: Job) -> Results:
    """Give nilearn a path."""
    return [_mean_with_nilearn(job["run"])]


def nilearn_nibabel(job: Job) -> Results:
    """Give nilearn the image that nibabel.load returns."""
    return [_mean_with_nilearn(_opened(job["run"]))]


def nilearn_loaded(job: Job) -> Results:
    """Give nilearn the image that load_img returns."""
    from nilearn.image import load_img

    return [_mean_with_nilearn(load_img(job["run"]))]


def numpy_dataobj(job: Job) -> Results:
    """Read all values, then average."""
    import numpy as np

    return [np.asarray(_opened(job["run"]).dataobj).mean(axis=-1, dtype=np.float64)]


def lazyvox_path(job: Job) -> Results:
    """Give lazyvox a path."""
    return [_mean_with_lazyvox(job["run"], job)]


def lazyvox_image(job: Job) -> Results:
    """Give lazyvox a lazy image."""
    import lazyvox as lv

    return [_mean_with_lazyvox(lv.load(job["run"]), job)]


def lazyvox_scan(job: Job) -> Results:
    """Let the mean be one of the consumers of a pass."""
    import numpy as np

    import lazyvox as lv

    scan = lv.Scan(job["run"])
    mean = scan.add(lv.Mean())
    scan.run(memory=job["memory"])
    return [np.asarray(mean.result().dataobj)]


def _opened(path: str) -> Any:
    import nibabel

    return nibabel.load(path)


def _mean_with_nilearn(run: Any) -> Any:
    import numpy as np
    from nilearn.image import mean_img

    return np.asarray(mean_img(run, copy_header=True).dataobj)


def _mean_with_lazyvox(run: Any, job: Job) -> Any:
    from contextlib import nullcontext

    import numpy as np

    import lazyvox as lv

    context = nullcontext() if job["memory"] is None else lv.memory_budget(job["memory"])
    with context:
        return np.asarray(lv.image.mean_img(run).dataobj)
