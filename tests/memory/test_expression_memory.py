"""Expressions of many files hold a volume or two, a few open files, and stay below their plan."""

import resource
import threading

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.runtime.measure import measure
from lazyvox.testing import peak_of

MIB = 1 << 20
GRID = (128, 128, 96)
VOLUME = np.prod(GRID) * 4


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Twenty volumes of 3 MiB as they are stored, 6 MiB as float32."""
    folder = tmp_path_factory.mktemp("volumes")
    noise = np.random.default_rng(0).integers(0, 30, GRID).astype("i2")
    paths = []
    for number in range(20):
        path = folder / f"v{number}.nii.gz"
        lv.save(nib.Nifti1Image(noise + np.int16(number), np.eye(4)), path)
        paths.append(str(path))
    return paths


def total_of(paths):
    return sum([lv.load(path, dtype=np.float32) for path in paths])


def formula_of(paths):
    v1, v2, v3, v4, v5, v6, *_ = [lv.load(path, dtype=np.float32) for path in paths]
    return v1 + v2 + v3 - v4 * v5 + v6


def nested_of(paths):
    """An expression that is computed from its end, to hold little."""
    images = [lv.load(path, dtype=np.float32) for path in paths]
    result = images[-1]
    for img in reversed(images[:-1]):
        result = img - result
    return result


def save_expression(make, paths, out):
    lv.save(make(paths), out)


def read_expression(make, paths):
    np.asarray(make(paths).dataobj)


@pytest.mark.parametrize("make", [total_of, formula_of, nested_of])
def test_saving_stays_below_the_plan(make, files, tmp_path):
    predicted = lv.plan(lv.save, make(files), tmp_path / "out.nii").peak_bytes
    measured = peak_of(save_expression, make, files, str(tmp_path / "out.nii"))
    assert measured <= predicted, f"{measured / MIB:.1f} MiB, not {predicted / MIB:.1f}"
    assert predicted < 60 * MIB


@pytest.mark.parametrize(
    "make",
    [nested_of, *(pytest.param(one, marks=pytest.mark.slow) for one in (total_of, formula_of))],
)
def test_reading_holds_little_besides_the_result(make, files):
    measured = peak_of(read_expression, make, files)
    assert measured <= VOLUME + 32 * MIB, f"{measured / MIB:.1f} MiB"


def test_more_files_take_no_more_memory(files):
    few = lv.plan(lv.save, total_of(files[:8]), "out.nii").peak_bytes
    many = lv.plan(lv.save, total_of(files), "out.nii").peak_bytes
    assert many == few


def read_with_few_descriptors(paths):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    total = sum([lv.load(path) for path in paths])
    return float(np.asarray(total.dataobj)[0, 0, 0]), threading.active_count()


def test_two_hundred_images_need_few_descriptors(tmp_path):
    img = nib.Nifti1Image(np.ones((4, 4, 4), "i2"), np.eye(4))
    paths = [str(tmp_path / f"{number}.nii.gz") for number in range(200)]
    for path in paths:
        nib.save(img, path)
    total, n_threads = measure(read_with_few_descriptors, paths).result
    assert total == 200
    assert n_threads <= 2
