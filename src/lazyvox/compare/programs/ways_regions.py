"""Voxels of several masks: the ways of the pages on memory, and ours."""

import sys
from multiprocessing import resource_tracker, shared_memory
from typing import Any

__all__ = ["summarise"]

Job = dict[str, Any]
Results = list[Any]


def summarise(results: Results, job: Job) -> Results:
    """Return the values to compare: all, (n_volumes, n_voxels) for each mask."""
    del job
    return results


def nilearn_one_process(job: Job) -> Results:
    """Open the run once, which then keeps its values, and apply one masker after the other."""
    import nibabel

    run = nibabel.load(job["run"])
    return [_mask_with_nilearn(run, mask) for mask in job["masks"]]


def numpy_one_process(job: Job) -> Results:
    """Read all values once, and index them with one mask after the other."""
    values = _values(job["run"])
    return [_index_array(values, _values(mask).astype(bool)) for mask in job["masks"]]


def nilearn_paths(job: Job) -> Results:
    """Each worker gets two paths."""
    return _in_workers(job, _mask_with_nilearn, job["run"], job["masks"])


def nilearn_memory(job: Job) -> Results:
    """Each worker gets two images with their values."""
    masks = [_loaded(mask) for mask in job["masks"]]
    return _in_workers(job, _mask_with_nilearn, _loaded(job["run"]), masks)


def numpy_paths(job: Job) -> Results:
    """Each worker gets two paths, and indexes arrays."""
    return _in_workers(job, _index_paths, job["run"], job["masks"])


def numpy_memory(job: Job) -> Results:
    """Each worker gets two arrays; joblib puts large ones into a file that all map."""
    masks = [_values(mask).astype(bool) for mask in job["masks"]]
    return _in_workers(job, _index_array, _values(job["run"]), masks)


def numpy_shared(job: Job) -> Results:
    """Each worker gets the name of a segment of shared memory."""
    import numpy as np

    masks = [_values(mask).astype(bool) for mask in job["masks"]]
    values = _values(job["run"])
    segment = shared_memory.SharedMemory(create=True, size=max(values.nbytes, 1))
    try:
        shared = np.ndarray(values.shape, values.dtype, segment.buf, order="F")
        shared[...] = values
        described = (segment.name, values.shape, values.dtype.str)
        del shared, values
        return _in_workers(job, _index_shared, described, masks)
    finally:
        segment.close()
        segment.unlink()


def lazyvox_paths(job: Job) -> Results:
    """Each worker gets two paths, and streams."""
    return _in_workers(job, _extract, job["run"], job["masks"], _memory_of_worker(job))


def lazyvox_image(job: Job) -> Results:
    """Each worker gets lazy images, which hold no voxels."""
    import lazyvox as lv

    masks = [lv.load(mask) for mask in job["masks"]]
    return _in_workers(job, _extract, lv.load(job["run"]), masks, _memory_of_worker(job))


def lazyvox_shared(job: Job) -> Results:
    """Each worker gets a handle of an image that was decoded once into shared memory."""
    import lazyvox as lv

    with lv.shared(lv.load(job["run"])) as handle:
        return _in_workers(job, _extract_shared, handle, job["masks"], _memory_of_worker(job))


def lazyvox_one_pass(job: Job) -> Results:
    """One process takes all masks out of the stream."""
    import lazyvox as lv

    masks = [lv.Voxels(mask) for mask in job["masks"]]
    found = lv.extract(job["run"], masks, memory=job["memory"])
    return [signals.values for signals in found]


def _in_workers(job: Job, function: Any, run: Any, masks: Results, *more: Any) -> Results:
    from joblib import Parallel, delayed

    calls = (delayed(function)(run, mask, *more) for mask in masks)
    found: Results = Parallel(n_jobs=job["n_jobs"])(calls)
    return found


def _memory_of_worker(job: Job) -> int | None:
    n_workers = min(job["n_jobs"], len(job["masks"]))
    return None if job["memory"] is None else job["memory"] // n_workers


def _values(path: str) -> Any:
    import nibabel
    import numpy as np

    img: Any = nibabel.load(path)
    return np.asarray(img.dataobj)


def _loaded(path: str) -> Any:
    """Return an image that holds its values."""
    import nibabel

    img: Any = nibabel.load(path)
    values = _values(path)
    loaded = type(img)(values, img.affine, img.header)
    # Or pickling would round scaled values to the integers of the file.
    loaded.set_data_dtype(values.dtype)
    return loaded


def _mask_with_nilearn(run: Any, mask: Any) -> Any:
    from nilearn.maskers import NiftiMasker

    return NiftiMasker(mask_img=mask, reports=False).fit_transform(run)


def _index_paths(run: str, mask: str) -> Any:
    return _index_array(_values(run), _values(mask).astype(bool))


def _index_array(values: Any, mask: Any) -> Any:
    return values[mask].T


def _index_shared(described: Any, mask: Any) -> Any:
    import numpy as np

    name, shape, dtype = described
    segment = shared_memory.SharedMemory(name=name)
    if sys.version_info < (3, 13):
        # Or the tracker of this worker would unlink the segment when the worker ends.
        resource_tracker.unregister(f"/{segment.name.lstrip('/')}", "shared_memory")
    try:
        return np.ndarray(shape, dtype, segment.buf, order="F")[mask].T
    finally:
        segment.close()


def _extract(run: Any, mask: Any, memory: int | None) -> Any:
    import lazyvox as lv

    return lv.extract(run, lv.Voxels(mask), memory=memory).values


def _extract_shared(handle: Any, mask: Any, memory: int | None) -> Any:
    import lazyvox as lv

    with handle.open() as img:
        return lv.extract(img, lv.Voxels(mask), memory=memory).values
