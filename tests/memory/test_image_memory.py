"""Measured peaks of image functions stay below what their plans say."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import binarize_img, concat_imgs, reorder_img, threshold_img
from lazyvox.image.high_variance import _Power
from lazyvox.image.ranks import _Look
from lazyvox.stream.gather import MaskedVoxels
from lazyvox.testing import scan_peaks

SHAPE = (60, 64, 50, 60)
AFFINE = np.array([[0, 0, 3.0, 1], [-3, 0, 0, 2], [0, 3, 0, 3], [0, 0, 0, 1]])
INSIDE = np.zeros(SHAPE[:3], bool)
INSIDE[10:50, 10:50, 10:40] = True


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.nii"
    rng = np.random.default_rng(0)
    values = rng.normal(size=SHAPE)
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return path


IMAGES = {
    "clusters": lambda run: threshold_img(run, 0.5, cluster_threshold=5),
    "binarize": lambda run: binarize_img(run, 0.5),
    "reorder": reorder_img,
    "concat": lambda run: concat_imgs([run, run]),
}


@pytest.mark.parametrize("name", IMAGES)
def test_scans_of_lazy_images(run, name):
    predicted, measured = scan_peaks(IMAGES[name](run), [lv.Mean()])
    # Plans do not count imports; that of scipy.ndimage happens when the first cluster is sought.
    imports = 40 << 20 if name == "clusters" else 0
    assert measured <= predicted + imports


CONSUMERS = {
    "percentile": lambda: _Look(50, None, two_sided=True),
    "percentile under a mask": lambda: _Look(50, INSIDE, two_sided=False),
    "power": lambda: _Power(INSIDE, detrend=True),
    "signals": lambda: MaskedVoxels(INSIDE, np.dtype("f8"), ensure_finite=True),
}


@pytest.mark.parametrize("make", CONSUMERS.values(), ids=CONSUMERS)
def test_consumers(run, make):
    predicted, measured = scan_peaks(run, [make()])
    assert measured <= predicted
