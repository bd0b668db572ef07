"""Pickled images are small descriptions, and come back as they were."""

import copy
import pickle

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv

AFFINE = np.array([[-2.0, 0.1, 0, 30], [0, 3.0, 0.2, -40], [0.3, 0, 4.0, 5], [0, 0, 0, 1]])
VALUES = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
KINDS = {
    "one.nii": nib.Nifti1Image,
    "one.nii.gz": nib.Nifti1Image,
    "two.nii": nib.Nifti2Image,
    "pair.img": nib.Nifti1Pair,
    "free.mgz": nib.MGHImage,
    "spm.img": nib.Spm2AnalyzeImage,
}


@pytest.fixture(params=list(KINDS))
def img(request, tmp_path):
    path = tmp_path / request.param
    nib.save(KINDS[request.param](VALUES, AFFINE), path)
    return lv.load(path)


def test_pickled_image_takes_less_than_2_kib(img):
    assert len(pickle.dumps(img)) < 2048


def test_pickled_image_comes_back_as_it_was(img):
    again = pickle.loads(pickle.dumps(img))
    assert type(again) is type(img)
    assert type(again.header) is type(img.header)
    assert again.header == img.header
    assert again.header.endianness == img.header.endianness
    assert again.affine.tobytes() == img.affine.tobytes()
    assert again.get_filename() == img.get_filename()
    assert not again.in_memory
    np.testing.assert_array_equal(again.dataobj, img.dataobj)


def test_pickled_image_is_opened_without_reading(img, monkeypatch):
    packed = pickle.dumps(img)
    monkeypatch.setattr("os.open", lambda *args, **options: pytest.fail("a file was opened"))
    assert pickle.loads(packed).shape == img.shape


def test_byte_order_of_the_file_stays(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(VALUES, AFFINE, header), tmp_path / "big.nii")
    img = lv.load(tmp_path / "big.nii")
    again = pickle.loads(pickle.dumps(img))
    assert again.header.endianness == img.header.endianness == ">"
    assert again.dataobj.dtype == img.dataobj.dtype


def test_extensions_of_a_header_stay(tmp_path):
    plain = nib.Nifti1Image(VALUES, AFFINE)
    plain.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"scanned twice"))
    nib.save(plain, tmp_path / "noted.nii")
    again = pickle.loads(pickle.dumps(lv.load(tmp_path / "noted.nii")))
    assert again.header.extensions[0].get_content().rstrip(b"\0") == b"scanned twice"


def test_edited_header_is_pickled_and_the_original_stays_usable(tmp_path):
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / "run.nii")
    img = lv.load(tmp_path / "run.nii")
    img.header["descrip"] = b"edited"
    again = pickle.loads(pickle.dumps(img))
    again.header["descrip"] = b"again"
    assert img.header["descrip"] == b"edited"
    np.testing.assert_array_equal(img.dataobj, VALUES)


def test_copies_do_not_share_headers(img):
    other = copy.deepcopy(img)
    other.header.set_data_dtype(np.float32)
    assert img.get_data_dtype().kind == "i"


def test_slices_and_arrays_in_memory_are_pickled_too(img):
    part = pickle.loads(pickle.dumps(img.slicer[..., 1:3]))
    np.testing.assert_array_equal(part.dataobj, VALUES[..., 1:3])
    made = type(img)(VALUES, None)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.dataobj, VALUES)
    assert (again.affine is None) == (made.affine is None)


def test_image_is_a_context_that_drops_its_cached_array(img):
    with img as same:
        assert same is img
        img.get_fdata()
        assert img.in_memory
    assert not img.in_memory
