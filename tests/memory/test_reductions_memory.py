"""Reductions stay below the plan of what they are computed for, over time, space and both."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import peak_of

MIB = 1 << 20


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run.nii.gz"
    values = np.random.default_rng(0).integers(0, 200, (80, 80, 60, 30)).astype("i2")
    lv.save(nib.Nifti1Image(values, np.eye(4)), path)
    return str(path)


def reduction(path, name, axis, dtype):
    return getattr(lv.load(path, dtype=dtype), name)(axis)


def save_reduced(path, name, axis, dtype, out):
    lv.save(lv.load(path) - reduction(path, name, axis, dtype), out)


@pytest.mark.parametrize("axis", [-1, None, pytest.param((0, 1, 2), marks=pytest.mark.slow), 0])
@pytest.mark.parametrize(
    ("name", "dtype"), [("mean", None), ("std", "f4"), ("sum", "i8"), ("argmax", "f8")]
)
def test_saving_stays_below_the_plan(run, tmp_path, name, axis, dtype):
    if name == "argmax" and isinstance(axis, tuple):
        axis = 1
    if axis in {0, 1}:
        # What is left has no place beside an image.
        predicted = reduction(run, name, axis, dtype).reader.session_bytes + 8 * MIB
        measured = peak_of(read_reduced, run, name, axis, dtype)
    else:
        out = str(tmp_path / "out.nii")
        img = lv.load(run) - reduction(run, name, axis, dtype)
        predicted = lv.plan(lv.save, img, out).peak_bytes
        measured = peak_of(save_reduced, run, name, axis, dtype, out)
    assert measured <= predicted, f"{measured / MIB:.1f} MiB, not {predicted / MIB:.1f}"


def read_reduced(path, name, axis, dtype):
    with reduction(path, name, axis, dtype).open():
        pass
