"""Numbers of the header agree with nibabel's, for every type, sample file and damaged header."""

import struct
import tempfile
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.filebasedimages import ImageFileError as NibabelImageFileError
from nibabel.spatialimages import HeaderDataError

from lazyvox.errors import ImageFileError
from lazyvox.formats import ForeignFormatError, read_image_file

NIBABEL_DATA = Path(nib.__file__).parent / "tests" / "data"
SAMPLES = sorted(
    path.name
    for path in NIBABEL_DATA.glob("*")
    if path.name.endswith((".nii", ".nii.gz", ".mgz")) and "dconn" not in path.name
)
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16"]


def assert_agrees(image, peer, affine=None):
    proxy = peer.dataobj
    array = image.array
    assert array.shape == peer.shape
    assert array.dtype == peer.get_data_dtype()
    assert (array.slope, array.inter, array.offset) == (proxy.slope, proxy.inter, proxy.offset)
    np.testing.assert_array_equal(image.affine, peer.affine if affine is None else affine)
    assert image.affine.dtype == np.float64
    assert image.image_class is type(peer)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_files(name):
    path = str(NIBABEL_DATA / name)
    image, peer = read_image_file(path), nib.load(path)
    assert_agrees(image, peer)
    if hasattr(peer.header, "extensions"):
        assert image.header.extensions == peer.header.extensions


@pytest.mark.parametrize("name", ["nifti1.hdr", "nifti2.hdr", "analyze.hdr"])
def test_sample_headers(name, tmp_path):
    content = (NIBABEL_DATA / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    with (tmp_path / name).with_suffix(".img").open("wb") as file:
        file.truncate(1 << 32)
    path = str(tmp_path / name)
    assert_agrees(read_image_file(path), nib.load(path))


def test_real_scans(real_data):
    for path in sorted(real_data.glob("*.nii.gz")):
        assert_agrees(read_image_file(str(path)), nib.load(path))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("scaling", [None, (2.5, -3.0)], ids=["plain", "scaled"])
@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair])
def test_v01_types_orders_and_scaling(tmp_path, dtype, order, scaling, image_class):
    values = np.zeros((2, 3, 4, 5), dtype=order + dtype)
    affine = np.array([[-2.0, 0.1, 0, 3], [0, 2, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1]])
    img = image_class(values, affine, image_class.header_class(endianness=order))
    img.set_data_dtype(order + dtype)
    if scaling is not None:
        img.header.set_slope_inter(*scaling)
    name = "t.img" if image_class is nib.Nifti1Pair else "t.nii"
    nib.save(img, tmp_path / name)
    path = str(tmp_path / name)
    image = read_image_file(path)
    assert_agrees(image, nib.load(path))
    assert image.header.endianness == order
    if dtype not in ("u1", "i1"):
        assert image.array.dtype.newbyteorder("=").newbyteorder(order) == image.array.dtype


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 1), (1, 1), (4, 2)])
def test_affines_by_codes(tmp_path, codes):
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, 0.2, 0.3) * 2, [1, 2, 3])
    img = nib.Nifti1Image(np.zeros((4, 5, 6), dtype="i2"), None)
    img.header.set_zooms((2, 2, 2))
    img.set_qform(affine, codes[0], update_affine=False)
    img.set_sform(affine, codes[1], update_affine=False)
    (tmp_path / "t.nii").write_bytes(img.to_bytes())
    path = str(tmp_path / "t.nii")
    assert_agrees(read_image_file(path), nib.load(path))


def _template(image_class, extension=b""):
    img = image_class(np.arange(24, dtype="<i2").reshape(2, 3, 4), np.diag([2.0, 3, 4, 1]))
    img.set_qform(img.affine, 1)
    return img.to_bytes() + bytes(70_000) + extension


NIFTI1, NIFTI2 = _template(nib.Nifti1Image), _template(nib.Nifti2Image)
DAMAGE = st.lists(st.tuples(st.integers(0, 539), st.integers(0, 255)), min_size=1, max_size=6)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from([40, 42, 44, 46, 48, 68, 70, 72, 120, 252, 254]),
        st.integers(-3, 20) | st.sampled_from([64, 256, 512, 1024, -32768, 32767]),
    ),
    max_size=4,
)


def _check_against_nibabel(content):
    with tempfile.TemporaryDirectory() as folder:
        _check_agreement(Path(folder) / "t.nii", content)


def _check_agreement(path, content):
    """Read bytes as a file: numbers as nibabel's, or an error of ours, nothing else."""
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = read_image_file(str(path))
        except ImageFileError:
            return
        peer = _peer(path)
        # Where vox_offset is 0 in a single file nibabel hands out the header as voxels.
        if peer is None or (path.suffix == ".nii" and not peer.dataobj.offset):
            return
        # An sform without an inverse gives way to the qform, or to the half turn nearest to it.
        gives_way = any("the qform is used" in note for note in image.notes)
        assert_agrees(image, peer, image.affine if gives_way else None)
        assert not gives_way or np.linalg.det(image.affine) != 0
        assert image.array.end <= image.source.stored_size


def _peer(path):
    try:
        return nib.load(path)
    except (ArithmeticError, HeaderDataError, LookupError, NibabelImageFileError, OSError):
        return None
    except (TypeError, ValueError):
        return None


@settings(max_examples=300, deadline=None, database=None)
@given(DAMAGE, st.booleans())
def test_damaged_bytes_give_nibabels_numbers_or_an_error(damage, is_nifti2):
    content = bytearray(NIFTI2 if is_nifti2 else NIFTI1)
    n_header = 540 if is_nifti2 else 348
    for place, byte in damage:
        content[place % n_header] = byte
    _check_against_nibabel(bytes(content))


@settings(max_examples=300, deadline=None, database=None)
@given(
    FIELDS,
    st.lists(st.tuples(st.sampled_from(range(76, 340, 4)), st.floats(width=32)), max_size=3),
)
def test_odd_fields_give_nibabels_numbers_or_an_error(shorts, floats):
    content = bytearray(NIFTI1)
    for place, value in floats:
        struct.pack_into("<f", content, place, value)
    for place, value in shorts:
        struct.pack_into("<h", content, place, value)
    _check_against_nibabel(bytes(content))


@pytest.mark.parametrize("place", [4, 14, 39, 148, 200, 227, 228, 251, 328, 343])
def test_texts_of_a_header_may_hold_anything(tmp_path, place):
    content = bytearray(NIFTI1)
    content[place] = 0xFF
    (tmp_path / "t.nii").write_bytes(content)
    assert_agrees(read_image_file(str(tmp_path / "t.nii")), nib.load(tmp_path / "t.nii"))


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 347), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_analyze_headers_give_nibabels_numbers_or_an_error(damage):
    content = bytearray(nib.AnalyzeImage(np.zeros((2, 3, 4), dtype="f4"), None).header.binaryblock)
    struct.pack_into("<4h", content, 40, 3, 2, 3, 4)
    for place, byte in damage:
        content[place] = byte
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.img").write_bytes(bytes(70_000))
        _check_agreement(Path(folder) / "t.hdr", bytes(content))


@settings(max_examples=200, deadline=None, database=None)
@given(st.binary(max_size=600))
def test_random_bytes_are_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.nii"
        path.write_bytes(content)
        with pytest.raises(ImageFileError, match=r"t\.nii"):
            read_image_file(str(path))


def test_foreign_formats_derive_from_the_errors_that_nibabel_users_catch():
    assert issubclass(ForeignFormatError, ValueError)
