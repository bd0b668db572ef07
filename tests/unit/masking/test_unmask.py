"""Signals as images, against NumPy."""

import pickle

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.masking import unmask

SHAPE = (4, 5, 6)
AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


@pytest.fixture
def mask():
    return np.random.default_rng(1).random(SHAPE) > 0.5


@pytest.fixture
def mask_img(mask):
    return nib.Nifti1Image(mask.astype("u1"), AFFINE)


def expected_of(signals, mask):
    full = np.zeros((*SHAPE, *np.shape(signals)[:-1]), np.asarray(signals).dtype)
    full[mask] = np.asarray(signals).T
    return full


@pytest.fixture
def signals(mask):
    return np.random.default_rng(2).normal(size=(7, mask.sum()))


@pytest.mark.parametrize(
    "key",
    [
        np.s_[...],
        np.s_[..., 3],
        np.s_[..., ::-2],
        np.s_[1:3, 2, ::-1, [5, 0, 5]],
        np.s_[2, 3, 4, 5],
        np.s_[0],
    ],
    ids=str,
)
def test_volumes_are_lazy(signals, mask, mask_img, key):
    img = unmask(signals, mask_img)
    assert not img.in_memory
    assert isinstance(img, nib.Nifti1Image)
    np.testing.assert_array_equal(img.dataobj[key], expected_of(signals, mask)[key])


def test_the_header_is_fresh(signals, mask_img):
    mask_img.header.set_intent("z score")
    mask_img.header["cal_max"] = 1
    for one in (signals, signals[0]):
        img = unmask(one, mask_img)
        np.testing.assert_array_equal(img.affine, AFFINE)
        assert img.header.get_intent()[0] == "none"
        assert img.header["cal_max"] == 0
        assert img.header.get_zooms()[:3] == (2, 3, 4)


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_row_is_a_volume_in_memory(signals, mask, mask_img, order):
    img = unmask(signals[0], mask_img, order=order)
    assert isinstance(img.dataobj, np.ndarray)
    assert img.dataobj.flags[f"{order}_CONTIGUOUS"]
    np.testing.assert_array_equal(img.dataobj, expected_of(signals[0], mask))


def test_lists(signals, mask, mask_img):
    flat, nested = unmask([signals[0], [signals, signals[1]]], mask_img)
    assert flat.shape == SHAPE
    assert [img.shape for img in nested] == [(*SHAPE, 7), SHAPE]
    numbers = unmask([1.0] * int(mask.sum()), mask_img)
    np.testing.assert_array_equal(numbers.dataobj, mask)
    with pytest.raises(IndexError, match="at least one array"):
        unmask([], mask_img)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("f2", "f4"),
        ("?", "u1"),
        ("i8", "i4"),
        ("u8", "i4"),
        (">f4", "f4"),
        ("f4", "f4"),
        ("i2", "i2"),
        ("c8", "c8"),
    ],
)
@pytest.mark.parametrize("ndim", [1, 2])
def test_types(signals, mask, mask_img, given, stored, ndim):
    one = (np.abs(signals) * 3).astype(given)[: 7 if ndim == 2 else 1]
    one = one if ndim == 2 else one[0]
    img = unmask(one, mask_img)
    assert img.get_data_dtype() == img.dataobj.dtype == np.dtype(stored)
    np.testing.assert_array_equal(np.asarray(img.dataobj), expected_of(one, mask))


def test_wide_integers_that_do_not_fit_stay_wide(mask, mask_img):
    wide = np.full((2, mask.sum()), 2**40)
    assert unmask(wide, mask_img).dataobj.dtype == np.int64


def test_saving_streams(signals, mask, mask_img, tmp_path):
    img = unmask(signals.astype("f4"), mask_img)
    lv.save(img, tmp_path / "a.nii.gz")
    found = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(found.dataobj, expected_of(signals.astype("f4"), mask))
    scan = lv.Scan(img)
    mean = scan.add(lv.Mean())
    scan.run()
    expected = expected_of(signals.astype("f4"), mask).mean(axis=-1, dtype="f8")
    np.testing.assert_allclose(mean.result().dataobj, expected, rtol=1e-12)


def test_images_do_not_follow_their_signals(mask, mask_img):
    buffer = np.empty((3, int(mask.sum())), "f4")
    imgs = []
    for value in range(3):
        buffer[:] = value
        imgs.append(unmask(buffer, mask_img))
    assert [float(img.get_fdata().max()) for img in imgs] == [0, 1, 2]


def test_mapped_signals_are_not_loaded(signals, mask_img, tmp_path):
    np.save(tmp_path / "a.npy", signals)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    img = unmask(mapped, mask_img)
    np.testing.assert_array_equal(img.dataobj[..., 2], unmask(signals[2], mask_img).dataobj)


def test_pickles(signals, mask_img):
    img = unmask(signals, mask_img)
    copy = pickle.loads(pickle.dumps(img))
    np.testing.assert_array_equal(np.asarray(copy.dataobj), np.asarray(img.dataobj))


def test_masks_of_one_volume_in_4d(signals, mask, mask_img):
    four = nib.Nifti1Image(mask[..., None].astype("u1"), AFFINE)
    assert unmask(signals, four).shape == (*SHAPE, 7)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda n: np.zeros((3, n + 1)), "one column per voxel"),
        (lambda n: np.zeros((n, 3)), "Transpose it"),
        (lambda n: np.zeros(n - 1), r"Got shape \(\d+,\)"),
        (lambda n: np.zeros((1, 2, n)), r"Got shape \(1, 2"),
        (lambda n: np.float64(3), r"Got shape \(\)"),
        (lambda n: np.zeros(n, "S2"), "must hold numbers"),
    ],
)
def test_signals_that_do_not_fit(mask, mask_img, make, text):
    with pytest.raises(TypeError, match=text):
        unmask(make(int(mask.sum())), mask_img)


def test_an_order_that_is_none(signals, mask_img):
    with pytest.raises(ValueError, match="'F' or 'C'"):
        unmask(signals, mask_img, order="fortran")
