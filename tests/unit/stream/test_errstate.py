"""NumPy's settings for floating-point errors hold wherever values are computed."""

import warnings

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv

SHAPE = (8, 7, 6, 24)


class Inverse(lv.Consumer):
    """One over each value, which may be zero."""

    def init(self, grid):
        self.total = 0.0

    def update(self, block, start):
        self.total += float((1 / block[block == 0]).sum())

    def merge(self, other):
        self.total += other.total

    def finalize(self):
        return self.total

    def state_bytes(self, grid):
        return 64


@pytest.fixture
def paths(tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    values[3, 3, 3, 20] = 0
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"run{number}.nii.gz")
        nib.save(nib.Nifti1Image(values, np.eye(4)), paths[-1])
    nib.save(nib.Nifti1Image(values[..., 20], np.eye(4)), tmp_path / "volume.nii.gz")
    return paths


def read(paths, n_jobs):
    return np.asarray((1 / lv.load(paths[0])).dataobj)


def read_volumes(paths, n_jobs):
    volume = lv.load(paths[0].parent / "volume.nii.gz")
    return np.asarray((1 / volume).dataobj)


def save(paths, n_jobs):
    lv.save(1 / lv.load(paths[0]), paths[0].parent / "out.nii.gz")


def scan_expression(paths, n_jobs):
    scan = lv.Scan(1 / lv.load(paths[0]))
    scan.add(lv.Max())
    scan.add(lv.Min())
    scan.run(memory="12MB", n_jobs=n_jobs)


def scan_consumer(paths, n_jobs):
    scan = lv.Scan(paths[0])
    for _ in range(3):
        scan.add(Inverse())
    scan.run(n_jobs=n_jobs)


def reduce(paths, n_jobs):
    return np.asarray((1 / lv.load(paths[0])).max(axis=-1).dataobj)


def preload(paths, n_jobs):
    inverse = [1 / lv.load(path) for path in paths]
    return list(lv.prefetch(inverse, lambda img: np.asarray(img.dataobj), n_jobs))


WAYS = pytest.mark.parametrize(
    "way",
    [read, read_volumes, save, scan_expression, scan_consumer, reduce, preload],
    ids=lambda way: way.__name__,
)
JOBS = pytest.mark.parametrize("n_jobs", [1, 3])


@WAYS
@JOBS
def test_raise(paths, way, n_jobs):
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        way(paths, n_jobs)


@WAYS
@JOBS
def test_ignore(paths, way, n_jobs):
    with np.errstate(all="ignore"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        way(paths, n_jobs)
    assert not [one for one in caught if issubclass(one.category, RuntimeWarning)]


@WAYS
@JOBS
def test_call(paths, way, n_jobs):
    seen = []
    with np.errstate(divide="call", call=lambda kind, flag: seen.append(kind)):
        way(paths, n_jobs)
    assert set(seen) == {"divide by zero"}


@WAYS
@JOBS
def test_warn(paths, way, n_jobs):
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        way(paths, n_jobs)
