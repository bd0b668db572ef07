"""`img.slicer`: NumPy's voxels at the world coordinates where they were."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import write_nifti

SHAPE = (7, 8, 9, 6)
VALUES = np.arange(np.prod(SHAPE), dtype="i4").reshape(SHAPE)
AFFINE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.3, -0.2, 0.5) @ np.diag([-2.0, 3, 4]), [10, -20, 30]
)

KEYS = {
    "crop": np.s_[1:5, 2:, :4],
    "negative bounds": np.s_[-5:-1, :-3, -2:],
    "steps": np.s_[::2, 1::3, 2:8:2],
    "reversed": np.s_[::-1, :, :],
    "negative steps": np.s_[-2:0:-2, ::-3, 7::-1],
    "one voxel": np.s_[3:4, 3:4, 3:4],
    "out of range": np.s_[-99:99, 2:99, :],
    "ellipsis": np.s_[..., 2:4],
    "empty ellipsis": np.s_[..., :, :, :, :],
    "volume": np.s_[:, :, :, 2],
    "last volume": np.s_[2:, ..., -1],
    "volumes reversed": np.s_[1:, ..., ::-2],
    "new axis behind": np.s_[:, ::2, :, None],
    "new axis at the end": np.s_[:, :, 1:, :, None],
    "list of volumes": np.s_[:, :, 2:, [0, 3, 4]],
    "mask of volumes": np.s_[..., np.array([True, False, True, True, False, False])],
    "NumPy integers": np.s_[np.int64(2) :, :, :, np.int16(1)],
    "everything": np.s_[:],
}


@pytest.fixture
def img(tmp_path):
    source = nib.Nifti1Image(VALUES, AFFINE)
    source.header.set_zooms((2.0, 3.0, 4.0, 2.5))
    nib.save(source, tmp_path / "run.nii.gz")
    return lv.load(tmp_path / "run.nii.gz")


def world(img, position):
    return nib.affines.apply_affine(img.affine, position)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_voxels_are_numpys_and_stay_where_they_were(img, key):
    part = img.slicer[key]
    expected = VALUES[key]
    assert not part.in_memory
    assert part.shape == expected.shape == part.header.get_data_shape()
    np.testing.assert_array_equal(np.asarray(part.dataobj), expected)
    # The value of a voxel says where it came from.
    for ijk in ([0, 0, 0], [n - 1 for n in part.shape[:3]]):
        value = np.asarray(part.dataobj)[(*ijk, *[0] * (part.ndim - 3))]
        origin = np.unravel_index(value, SHAPE)[:3]
        np.testing.assert_allclose(world(part, ijk), world(img, origin), atol=1e-9)


@pytest.mark.parametrize(
    "key", [KEYS["crop"], KEYS["steps"], KEYS["volume"], KEYS["ellipsis"], KEYS["new axis behind"]]
)
def test_slices_are_nibabels(img, key):
    ours, theirs = img.slicer[key], nib.load(img.get_filename()).slicer[key]
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    np.testing.assert_allclose(ours.header.get_zooms()[:3], theirs.header.get_zooms()[:3])
    for code in ("sform_code", "qform_code"):
        assert ours.header[code] == theirs.header[code]


@pytest.mark.parametrize(
    ("key", "zooms"),
    [
        (np.s_[::2, ::-3, 1:], (4, 9, 4, 2.5)),
        (np.s_[..., ::2], (2, 3, 4, 5)),
        (np.s_[..., ::-1], (2, 3, 4, 2.5)),
        (np.s_[..., 3], (2, 3, 4)),
        (np.s_[..., None, :], (2, 3, 4, 1, 2.5)),
        (np.s_[..., [0, 2]], (2, 3, 4, 2.5)),
    ],
)
def test_zooms_and_repetition_time_follow(img, key, zooms):
    np.testing.assert_allclose(img.slicer[key].header.get_zooms(), zooms)


def test_header_and_affine_of_a_slice_agree(img):
    part = img.slicer[2:, ::-1]
    np.testing.assert_allclose(part.header.get_best_affine(), part.affine, atol=1e-4)
    np.testing.assert_allclose(part.get_sform(), part.affine, atol=1e-4)


def test_a_slice_in_time_keeps_the_codes_of_the_space(tmp_path):
    source = nib.Nifti1Image(VALUES, AFFINE)
    source.set_sform(AFFINE, code="mni")
    source.set_qform(AFFINE, code="scanner")
    nib.save(source, tmp_path / "a.nii")
    part = lv.load(tmp_path / "a.nii").slicer[..., 1:]
    assert part.get_sform(coded=True)[1] == 4
    assert part.get_qform(coded=True)[1] == 1


def test_the_image_itself_is_not_changed(img):
    before = img.header.copy(), img.affine.copy()
    part = img.slicer[1:, ..., 0]
    part.affine[:] = 0
    part.header["descrip"] = b"changed"
    assert img.header == before[0]
    np.testing.assert_array_equal(img.affine, before[1])


def test_slices_of_slices(img):
    part = img.slicer[1:].slicer[::-2, 2:, ..., 1:].slicer[:, ::-1, ..., 2]
    expected = VALUES[1:][::-2, 2:, ..., 1:][:, ::-1, ..., 2]
    np.testing.assert_array_equal(np.asarray(part.dataobj), expected)


def test_slices_keep_scaling_and_dtype(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VALUES[..., 0].astype("i2"), slope=0.5, inter=1)
    part = lv.load(path, dtype=np.float32).slicer[2:, ::-1]
    assert part.dataobj.dtype == np.float32
    np.testing.assert_array_equal(part.get_fdata(), VALUES[2:, ::-1, :, 0] * 0.5 + 1)


def test_images_in_memory_can_be_sliced_too(img):
    mean = lv.mean_img(img)
    part = mean.slicer[1:3, ::-1]
    np.testing.assert_array_equal(part.dataobj, mean.dataobj[1:3, ::-1])
    assert part.in_memory
    origin = [1, SHAPE[1] - 1, 0]
    np.testing.assert_allclose(world(part, [0, 0, 0]), world(mean, origin))


def test_images_that_nibabel_opened_in_our_classes_slice_lazily(img):
    ours = type(img).from_filename(img.get_filename())
    part = ours.slicer[2:, ..., 1]
    assert isinstance(part.dataobj, lv.LazyArray)
    np.testing.assert_array_equal(np.asarray(part.dataobj), VALUES[2:, ..., 1])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (np.s_[2], "the three spatial axes of an image must stay"),
        (np.s_[:, :, -1], "the three spatial axes of an image must stay"),
        (np.s_[[0, 1]], "the three spatial axes of an image must stay"),
        (np.s_[np.ones(SHAPE[:3], bool)], "the three spatial axes of an image must stay"),
        (np.s_[True], "the three spatial axes of an image must stay"),
        (np.s_["x"], "the three spatial axes of an image must stay"),
        (np.s_[None], "new axes are not possible among the three spatial axes"),
        (np.s_[:, None], "new axes are not possible among the three spatial axes"),
        (np.s_[3:3], "must hold at least one voxel. Got shape \\(0, 8, 9, 6\\)"),
        (np.s_[..., 5:2], "must hold at least one voxel"),
        (np.s_[..., []], "must hold at least one voxel"),
        (np.s_[..., 6], "index 6 is out of bounds for axis 3 with size 6"),
        (np.s_[..., [0, 6]], "index 6 is out of bounds for axis 3 with size 6"),
        (np.s_[:, :, :, :, :], "too many indices"),
        (np.s_[..., ...], "single ellipsis"),
        (np.s_[:, :, :, 0.5], "valid indices"),
    ],
)
def test_what_is_no_slice_of_an_image_is_refused(img, key, message):
    with pytest.raises(lv.ImageIndexError, match=message):
        img.slicer[key]


def test_indexing_the_image_itself_is_refused_as_in_nibabel(img):
    with pytest.raises(TypeError, match="dataobj"):
        img[0]


def test_images_whose_time_comes_first_are_refused():
    pytest.importorskip("scipy")
    img = lv.load(Path(nib.__file__).parent / "tests" / "data" / "minc1_4d.mnc")
    with pytest.raises(lv.ImageIndexError, match="needs the three spatial axes first"):
        img.slicer[1:]
    with pytest.raises(lv.ParameterError, match="time must be the last axis"):
        lv.Scan(img)
