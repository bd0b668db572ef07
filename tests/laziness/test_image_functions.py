"""Functions on images read nothing to be built, and each byte once to be computed."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
import lazyvox.image as im
from lazyvox.testing import CountingSource, TripwireSource, image_over

SHAPE = (9, 8, 7, 11)
VALUES = np.random.default_rng(0).integers(-99, 100, SHAPE).astype("<i2")
TURNED = np.array([[0, 0, 3.0, 1], [-3, 0, 0, 2], [0, 3, 0, 3], [0, 0, 0, 1]])
MASK = nib.Nifti1Image((VALUES[..., 0] > 0).astype("u1"), TURNED)


LAZY = {
    "check": im.check_niimg,
    "check 4d": lambda img: im.check_niimg_4d(img, dtype="auto"),
    "check list": lambda img: im.check_niimg([img, img]),
    "iterator": lambda img: list(im.check_niimg_4d(img, return_iterator=True)),
    "load": im.load_img,
    "index": lambda img: im.index_img(img, 3),
    "index list": lambda img: im.index_img(img, [5, 0, 5]),
    "index booleans": lambda img: im.index_img(img, np.arange(11) > 4),
    "iter": lambda img: list(im.iter_img(img)),
    "concat": lambda img: im.concat_imgs([img, img]),
    "concat volumes": lambda img: im.concat_imgs(list(im.iter_img(img))),
    "copy": im.copy_img,
    "new": lambda img: im.new_img_like(img, img.dataobj),
    "reorder": im.reorder_img,
    "swap": lambda img: im.swap_img_hemispheres(im.index_img(img, 2)),
    "threshold": lambda img: im.threshold_img(img, 5.0, cluster_threshold=3, mask_img=MASK),
    "binarize": lambda img: im.binarize_img(img, 5.0),
    "chain": lambda img: im.binarize_img(im.reorder_img(im.index_img(img, slice(2, 9))), 3),
}


@pytest.mark.parametrize("make", LAZY.values(), ids=LAZY)
def test_lazy_images_are_built_without_reading(make):
    _, img = image_over(TripwireSource, VALUES, TURNED)
    for one in np.atleast_1d(np.array(make(img), dtype=object)).ravel():
        assert one.get_filename() is None or one is img
        repr(one)


def test_building_reads_nothing_under_strict():
    source, img = image_over(CountingSource, VALUES, TURNED)
    with lv.strict():
        im.threshold_img(im.reorder_img(img), 4)
    assert source.bytes_read == 0


PASSES = {
    "mean": (im.mean_img, 1),
    "mean of a list": (lambda img: im.mean_img(list(im.iter_img(img))), 1),
    "crop": (im.crop_img, 1),
    "percentile of 16 bits": (lambda img: im.threshold_img(img, "63.2%"), 1),
    "percentile under a mask": (lambda img: im.binarize_img(img, "20%", mask_img=MASK), 1),
    "mean of a chain": (lambda img: im.mean_img(im.binarize_img(im.reorder_img(img), 9)), 1),
    "confounds": (lambda img: im.high_variance_confounds(img, percentile=20), 2),
}


@pytest.mark.parametrize(("compute", "n_passes"), PASSES.values(), ids=PASSES)
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_passes(compute, n_passes, compression):
    source, img = image_over(CountingSource, VALUES, TURNED, compression=compression)
    compute(img)
    assert source.bytes_read == n_passes * VALUES.nbytes
    if n_passes == 1:
        source.assert_each_byte_once()


@pytest.mark.parametrize(("dtype", "most"), [("<f4", 2), ("<f8", 4), ("u1", 1)])
def test_passes_of_a_percentile(dtype, most):
    values = np.abs(VALUES).astype(dtype)
    source, img = image_over(CountingSource, values, TURNED)
    im.threshold_img(img, "63.2%")
    assert source.bytes_read <= most * values.nbytes


def test_one_volume_reads_one_volume():
    source, img = image_over(CountingSource, VALUES, TURNED)
    found = np.asarray(im.index_img(img, 4).dataobj)
    np.testing.assert_array_equal(found, VALUES[..., 4])
    assert source.bytes_read == VALUES[..., 4].nbytes
