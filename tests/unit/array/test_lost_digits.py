"""Integers of 64 bits are exact as they are stored; floats made of them say what they lose."""

import warnings

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import conversion
from lazyvox.runtime.once import FirstTime


@pytest.fixture(autouse=True)
def first_time(monkeypatch):
    monkeypatch.setattr(conversion, "_IS_FIRST_LOSS", FirstTime())


def saved(tmp_path, values):
    path = tmp_path / "v.nii.gz"
    nib.save(nib.Nifti1Image(values, np.eye(4), dtype=values.dtype), path)
    return lv.load(path)


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 3, 4), 2**63 + 1, "u8"),
        np.full((2, 3, 4), 2**53 + 1, "i8"),
        np.full((2, 3, 4), -(2**60), "i8"),
    ],
)
def test_floats_of_large_integers_warn_once(tmp_path, values):
    img = saved(tmp_path, values)
    np.testing.assert_array_equal(np.asarray(img.dataobj), values)
    with pytest.warns(lv.LazyvoxWarning, match=r"at most 2\*\*53 to become floats") as caught:
        img.get_fdata(caching="unchanged")
    assert len(caught) == 1
    img.get_fdata(caching="unchanged")


def test_integers_that_floats_hold_say_nothing(tmp_path):
    img = saved(tmp_path, np.full((2, 3, 4), 2**53, "i8"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(img.get_fdata(), 2.0**53)
