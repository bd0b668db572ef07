"""Images that nibabel reads, and errors that code for nibabel catches."""

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.brikhead import AFNIImage
from nibabel.filebasedimages import ImageFileError as NibabelImageFileError
from nibabel.testing import data_path

import lazyvox as lv

DATA = Path(data_path)

AFNI_HEAD = """
type = integer-attribute
name = DATASET_DIMENSIONS
count = 5
{shape} 0 0

type = integer-attribute
name = DATASET_RANK
count = 8
3 1 0 0 0 0 0 0

type = integer-attribute
name = BRICK_TYPES
count = 1
3

type = string-attribute
name = BYTEORDER_STRING
count = 10
'LSB_FIRST~

type = float-attribute
name = BRICK_FLOAT_FACS
count = 1
0

type = integer-attribute
name = ORIENT_SPECIFIC
count = 3
0 3 4

type = float-attribute
name = ORIGIN
count = 3
0 0 0

type = float-attribute
name = DELTA
count = 3
3 3 3

type = float-attribute
name = IJK_TO_DICOM_REAL
count = 12
3 0 0 0 0 3 0 0 0 0 3 0

type = integer-attribute
name = SCENE_DATA
count = 8
0 0 0 -999 -999 -999 -999 -999
"""


@pytest.fixture
def afni(tmp_path):
    """Write a float data set of 70 voxels in a row, 280 bytes, whose first voxels are zero."""
    values = np.random.default_rng(0).normal(size=(70, 9, 8)).astype("<f4")
    values[..., 0] = 0
    (tmp_path / "set+orig.HEAD").write_text(AFNI_HEAD.format(shape="70 9 8"))
    (tmp_path / "set+orig.BRIK").write_bytes(values.tobytes(order="F"))
    return tmp_path / "set+orig.HEAD", values


def test_afni_rows_of_more_than_256_bytes_open_under_either_name(afni):
    head, values = afni
    assert isinstance(nib.load(head), AFNIImage)
    for path in (head, head.with_name("set+orig.BRIK")):
        img = lv.load(path)
        assert img.dataobj.dtype == np.dtype("f4")
        np.testing.assert_array_equal(np.asarray(img.dataobj)[..., 0], values)


def test_a_missing_partner_is_named_with_advice(tmp_path):
    shutil.copy(DATA / "T1.PAR", tmp_path / "T1.PAR")
    with pytest.raises(lv.errors.ImageNotFoundError, match=r"T1\.REC: no such file"):
        lv.load(tmp_path / "T1.PAR")


def test_what_nibabel_refuses_is_an_error_of_ours():
    path = DATA / "bad_datatype+orig.HEAD"
    with pytest.raises(lv.errors.UnsupportedFormatError, match="multiple data types"):
        lv.load(path)


def test_a_broken_gifti_is_an_error_of_ours(tmp_path):
    path = tmp_path / "broken.gii"
    path.write_text("<GIFTI><Label>x</Label></GIFTI>")
    with pytest.raises(lv.errors.UnsupportedFormatError, match=r"broken\.gii.*could not open it"):
        lv.load(path)


@pytest.mark.parametrize(
    "content", [b"a\tb\n1\t2\n", b"", b"\0" * 400, b"\x5c\1\0\0" + b"\0" * 20]
)
def test_code_for_nibabel_catches_what_is_no_image(tmp_path, content):
    path = tmp_path / "table.nii"
    path.write_bytes(content)
    with pytest.raises(NibabelImageFileError, match=r"table\.nii") as caught:
        lv.load(path)
    assert isinstance(caught.value, lv.errors.ImageFileError)


def test_a_missing_file_is_no_image_error_of_nibabel(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        lv.load(tmp_path / "none.nii")
    assert not isinstance(caught.value, NibabelImageFileError)


def test_lazyvox_load_in_the_place_of_nibabel_load_reads_every_format(monkeypatch):
    monkeypatch.setattr(nib, "load", lv.load)
    img = nib.load(DATA / "tiny.mnc")
    assert np.asarray(img.dataobj).shape == img.shape
    assert nib.load(DATA / "example4d.nii.gz").in_memory is False


def test_the_slicer_has_the_methods_of_nibabel(tmp_path):
    path = DATA / "example4d.nii.gz"
    ours, theirs = lv.load(path).slicer, nib.load(path).slicer
    key = (slice(2, 20, 3), slice(None), slice(4, 9))
    np.testing.assert_array_equal(ours.slice_affine(key), theirs.slice_affine(key))
    assert len(ours.check_slicing((..., 0))) == 4
    assert len(ours.check_slicing(key, return_spatial=True)) == 3
    with pytest.raises(IndexError, match="spatial axes"):
        ours.check_slicing((0, slice(None), slice(None)))


def test_a_dataobj_has_the_attributes_of_nibabels_proxy():
    path = DATA / "example4d.nii.gz"
    ours, theirs = lv.load(path).dataobj, nib.load(path).dataobj
    assert ours.order == theirs.order
    assert Path(ours.file_like) == Path(theirs.file_like)
    np.testing.assert_array_equal(np.asarray(ours.copy()), np.asarray(theirs.copy()))


def test_an_image_without_voxels_is_verified_like_any_other(tmp_path):
    nib.save(nib.Nifti1Image(np.empty((2, 3, 4, 0), "f4"), np.eye(4)), tmp_path / "empty.nii")
    assert np.asarray(lv.load(tmp_path / "empty.nii").dataobj).shape == (2, 3, 4, 0)
    # As of a run whose number of volumes was damaged: what follows the header was never checked.
    more = np.random.default_rng(0).bytes(1 << 20)
    packed = bytearray(gzip.compress((tmp_path / "empty.nii").read_bytes() + more))
    packed[-6] ^= 1
    path = tmp_path / "run.nii.gz"
    path.write_bytes(packed)
    img = lv.load(path)
    with pytest.raises(lv.errors.CorruptFileError, match="CRC32"):
        np.asarray(img.dataobj)
    assert np.asarray(lv.load(DATA / "example4d.nii.gz").dataobj[..., :0]).size == 0
