"""Smoothed and resampled images read nothing until they are read, and then each byte once."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import resample_img, resample_to_img, smooth_img
from lazyvox.testing import CountingSource, TripwireSource, image_over, random_values

SHAPE = (16, 17, 18, 19)
VALUES = random_values(SHAPE, "<i2").astype("<f4")
TARGET = nib.Nifti1Image(np.zeros((20, 21, 22), "u1"), np.diag([0.8, 0.8, 0.8, 1.0]))
HALF_TURN = np.array([[0.0, 1, 0, 0], [-0.9, 0.1, 0, 9], [0, 0, 1, 0], [0, 0, 0, 1]])


CHAINS = {
    "smooth": lambda img: smooth_img(img, 3),
    "resample": lambda img: resample_to_img(img, TARGET),
    "nearest": lambda img: resample_to_img(img, TARGET, interpolation="nearest"),
    "oblique": lambda img: resample_img(img, HALF_TURN, (8, 8, 8), "linear"),
    "smooth after resampling": lambda img: smooth_img(resample_to_img(img, TARGET), 3),
    "of a part": lambda img: smooth_img(img.slicer[2:, :, :, ::2], (1, 0, 2)),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_building_and_planning_read_no_voxel(chain):
    _, img = image_over(TripwireSource, VALUES)
    derived = chain(img)
    assert repr(derived)
    assert derived.slicer[2:5, ..., 3].shape[1:] == derived.shape[1:3]
    scan = lv.Scan(derived)
    scan.add(lv.Mean())
    assert scan.plan("1GiB").passes == 1


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("chain", [one for one in CHAINS if one != "of a part"])
def test_a_pass_reads_each_byte_once(chain, compression, tmp_path):
    source, img = image_over(CountingSource, VALUES, compression=compression)
    derived = CHAINS[chain](img)
    scan = lv.Scan(derived)
    scan.add(lv.Mean())
    scan.add(lv.Std())
    scan.run("1GiB")
    source.assert_each_byte_once()
    source.clear()
    lv.save(derived, tmp_path / "derived.nii")
    source.assert_each_byte_once()


def scan_of(img):
    scan = lv.Scan(img)
    scan.add(lv.Mean())
    return scan


def test_progress_counts_the_volumes_of_the_scan_only():
    _, img = image_over(CountingSource, VALUES)
    seen = []
    scan = scan_of(resample_img(img, TARGET.affine, TARGET.shape))
    scan.run("1GiB", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (SHAPE[3], SHAPE[3])


def test_a_clipped_image_that_is_clipped_again_plans_each_pass():
    source, img = image_over(CountingSource, VALUES)
    derived = resample_img(img, TARGET.affine, TARGET.shape)
    again = resample_img(derived, np.diag([1.5, 1.5, 1.5, 1.0]), (4, 4, 4))
    scan = scan_of(again)
    plan = scan.plan("1GiB")
    scan.run("1GiB")
    assert plan.passes == 3
    assert source.bytes_read == plan.bytes_decoded == 3 * VALUES.nbytes


def test_clipping_splines_takes_one_pass_more_the_first_time(tmp_path):
    source, img = image_over(CountingSource, VALUES)
    derived = resample_img(img, TARGET.affine, TARGET.shape)
    for passes in (2, 1):
        source.clear()
        for plan in (scan_of(derived).plan("1GiB"), lv.plan(lv.save, derived, tmp_path / "a.nii")):
            assert plan.passes == passes
            assert plan.bytes_decoded == passes * VALUES.nbytes
        lv.save(derived, tmp_path / "derived.nii")
        assert source.bytes_read == passes * VALUES.nbytes
    for options in ({"clip": False}, {"interpolation": "linear"}):
        derived = resample_img(img, TARGET.affine, TARGET.shape, **options)
        source.clear()
        lv.save(derived, tmp_path / "derived.nii")
        source.assert_each_byte_once()


def test_one_volume_reads_one_volume():
    source, img = image_over(CountingSource, VALUES)
    assert smooth_img(img, 3).dataobj[..., 7].shape == SHAPE[:3]
    assert source.bytes_read == VALUES[..., 0].nbytes
