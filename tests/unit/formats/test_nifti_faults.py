"""Damaged and odd NIfTI headers: an error that says what is wrong, or the data and one warning."""

import gzip
import struct
import warnings

import nibabel as nib
import numpy as np
import pytest

from lazyvox.errors import (
    CorruptFileError,
    HeaderError,
    ImageFileError,
    LazyvoxWarning,
    TruncatedFileError,
    UnsupportedFormatError,
)
from lazyvox.formats import read_image_file

SHAPE = (4, 5, 6, 7)
N_BYTES = 4 * 5 * 6 * 7 * 2
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
BIG = 1 << 40


def _raw(image_class=nib.Nifti1Image, dtype="<i2"):
    header = image_class.header_class(endianness=dtype[0])
    values = np.arange(N_BYTES // 2).reshape(SHAPE).astype(dtype)
    img = image_class(values, AFFINE, header)
    img.set_data_dtype(dtype)
    return img.to_bytes()


RAW = _raw()
RAW2 = _raw(nib.Nifti2Image)


def patched(offset, code, *values, raw=RAW):
    content = bytearray(raw)
    struct.pack_into(code, content, offset, *values)
    return bytes(content)


def _patched_all(*patches, raw=RAW):
    for offset, code, *values in patches:
        raw = patched(offset, code, *values, raw=raw)
    return raw


def warned(path):
    """Read a file that must warn exactly once, and name the file."""
    with pytest.warns(LazyvoxWarning) as caught:
        image = read_image_file(path)
    assert len(caught) == 1
    assert path in str(caught[0].message)
    return image, str(caught[0].message)


ERRORS = [
    ("H01", b"", ImageFileError, "empty"),
    ("H02", RAW[:100], TruncatedFileError, "header needs 348 bytes, the file has 100"),
    ("H02-nifti2", RAW2[:400], TruncatedFileError, "header needs 540 bytes, the file has 400"),
    ("H03-348", RAW[:348], TruncatedFileError, f"no image data: {N_BYTES} bytes.*, 0 present"),
    ("H03-352", RAW[:352], TruncatedFileError, f"no image data: {N_BYTES} bytes.*, 0 present"),
    ("H04", RAW[:-1], TruncatedFileError, f"{N_BYTES} bytes expected.*{N_BYTES - 1} present"),
    ("H07", patched(344, "4s", b""), HeaderError, "not NIfTI.*Analyze"),
    ("H09", patched(344, "4s", b"n+2\0"), HeaderError, "NIfTI-2 header.*byte 344"),
    ("H10", patched(40, "<h", 0), HeaderError, r"dim\[0\]=0"),
    ("H11-8", patched(40, "<h", 8), HeaderError, r"1\.\.7.*dim\[0\]=8"),
    ("H11-neg", patched(40, "<h", -1), HeaderError, r"dim\[0\]=-1"),
    ("H11-max", patched(40, "<h", 32767), HeaderError, r"dim\[0\]=32767"),
    ("H11-swapped", patched(40, "<h", 256), HeaderError, r"dim\[0\]=256"),
    ("H13-1", patched(42, "<h", -4), HeaderError, r"dim\[1\]=-4"),
    ("H13-4", patched(48, "<h", -1), HeaderError, r"dim\[4\]=-1"),
    ("H14", patched(40, "<5h", 4, *[32767] * 4), TruncatedFileError, f"{2 * 32767**4} bytes"),
    ("H15", patched(40, "<8h", 7, *[32767] * 7), TruncatedFileError, "bytes expected"),
    ("H17-0", patched(70, "<h", 0), UnsupportedFormatError, "datatype 0"),
    ("H17-1", patched(70, "<h", 1), UnsupportedFormatError, r"datatype 1 \(binary.*unsupported"),
    ("H17-9999", patched(70, "<h", 9999), HeaderError, "unsupported datatype 9999"),
    ("H17-neg", patched(70, "<h", -1), HeaderError, "unsupported datatype -1"),
    ("H20-1", patched(108, "<f", 1), HeaderError, "vox_offset=1"),
    ("H20-16", patched(108, "<f", 16), HeaderError, "vox_offset=16"),
    ("H20-351", patched(108, "<f", 351), HeaderError, "vox_offset.*at least 352"),
    ("H20-neg", patched(108, "<f", -352), HeaderError, "vox_offset=-352"),
    ("H21-half", patched(108, "<f", 352.5), HeaderError, r"whole number.*vox_offset=352\.5"),
    ("H21-odd-short", patched(108, "<f", 353), TruncatedFileError, "bytes expected"),
    ("H22-nan", patched(108, "<f", np.nan), HeaderError, "vox_offset=nan"),
    ("H22-inf", patched(108, "<f", np.inf), HeaderError, "vox_offset=inf"),
    ("H22-1e12", patched(108, "<f", 1e12), TruncatedFileError, "0 present"),
    ("H22-max", patched(108, "<f", 3.4e38), TruncatedFileError, "0 present"),
    ("H23-big", patched(168, "<q", 2**53 + 1, raw=RAW2), TruncatedFileError, str(2**53 + 1)),
    ("H23-neg", patched(168, "<q", -544, raw=RAW2), HeaderError, "vox_offset=-544"),
    ("H25-nan", patched(112, "<2f", 1, np.nan), HeaderError, "scl_inter"),
    ("H25-inf", patched(112, "<2f", 1, np.inf), HeaderError, "scl_inter"),
    ("H25-neginf", patched(112, "<2f", 2, -np.inf), HeaderError, "scl_inter"),
    ("H33", patched(8, "4s", b"\n\n\n\n", raw=RAW2), HeaderError, "text-mode transfer"),
    ("H34", patched(16, "<q", 200, raw=RAW2), HeaderError, r"dim\[0\]=200"),
    ("H35", patched(16, "<4q", 3, BIG, BIG, BIG, raw=RAW2), TruncatedFileError, str(2 * BIG**3)),
    ("H36-no-length", patched(40, "<4h", 3, -1, 1, 1), HeaderError, "glmin"),
    ("V02-16", patched(70, "<h", 1536), UnsupportedFormatError, "float128.*fewer bits"),
    ("V02-32", patched(70, "<h", 2048), UnsupportedFormatError, "complex256.*fewer bits"),
    ("text-mode", RAW.replace(b"\x02", b"\r\n"), CorruptFileError, "text-mode transfer"),
]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [case[1:] for case in ERRORS],
    ids=[case[0] for case in ERRORS],
)
def test_a_damaged_header_is_refused(write, content, kind, message):
    path = write(content)
    with pytest.raises(kind, match=message) as caught:
        read_image_file(path)
    assert path in str(caught.value)
    assert isinstance(caught.value, ImageFileError)


WARNINGS = [
    *[
        (f"H06-{n}", patched(0, "<i", n), f"sizeof_hdr must be 348, got {n}")
        for n in (0, 349, 540)
    ],
    ("H06-neg", patched(0, "<i", -1), "sizeof_hdr must be 348, got -1"),
    ("H06-nifti2", patched(0, "<i", 5, raw=RAW2), "sizeof_hdr must be 540, got 5"),
    ("H08", patched(344, "4s", b"ni1\0"), "magic 'ni1' does not fit"),
    ("H18", patched(72, "<h", 8), "8 bits a voxel"),
    ("H19", patched(108, "<f", 0), "vox_offset is 0"),
    ("H27-0", patched(80, "<f", 0), r"pixdim[1]=0"),
    ("H27-neg", patched(80, "<f", -2), r"pixdim[1]=-2"),
    ("H27-nan", patched(80, "<f", np.nan), r"pixdim[1]=nan"),
    ("H27-inf", patched(80, "<f", np.inf), r"pixdim[1]=inf"),
    ("H27-t_r", patched(92, "<f", np.nan), r"pixdim[4]=nan"),
    ("H28", patched(76, "<f", 5), "qfac"),
    ("H29-sform", _patched_all((252, "<h", 1), (256, "<3f", 1, 1, 1)), "quatern_b"),
    ("H29", _patched_all((252, "<2h", 1, 0), (256, "<3f", 1, np.nan, 1)), "are no rotation"),
    ("H29-long", _patched_all((252, "<2h", 1, 0), (256, "<3f", 1, 1, 1)), "a half turn"),
    (
        "H30-qform",
        _patched_all((252, "<h", 1), (280, "<12f", *[0] * 12)),
        "sform is singular, or holds NaN or infinity; the qform is used",
    ),
    ("H30-zero", patched(280, "<12f", *[0] * 12), "singular affine"),
    ("H30-nan", patched(280, "<12f", *[np.nan] * 12), "affine holds NaN"),
    ("H31-code", patched(254, "<h", 99), "sform_code 99"),
    (
        "H31-apart",
        _patched_all((252, "<2h", 1, 1), (256, "<6f", 0, 0, 0, 5, 0, 0)),
        "qform and sform place the image up to 5 mm apart",
    ),
    ("X05", patched(348, "4s", b"\1"), "announces extensions"),
]


@pytest.mark.parametrize(
    ("content", "message"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS]
)
def test_an_odd_header_gives_the_data_and_one_warning(write, content, message):
    image, text = warned(write(content))
    assert message in text
    assert image.array.shape == SHAPE
    assert image.array.dtype == np.dtype("<i2")
    assert image.array.offset == (544 if image.format == "NIfTI-2" else 352)
    assert not image.array.is_scaled
    assert message in " ".join(image.notes)


def test_a_quaternion_longer_than_1_by_rounding_is_a_half_turn(write):
    content = _patched_all((252, "<2h", 1, 0), (256, "<3f", 0, 1.0000002384185791, 0))
    path = write(content)
    with pytest.raises(ValueError, match="w2 should be positive"):
        nib.load(path)
    image = read_image_file(path)
    assert not image.notes
    zooms = image.header.get_zooms()[:3]
    # Half a turn about the second axis, as nifti_quatern_to_mat44 of nifti1_io.c computes it.
    np.testing.assert_allclose(image.affine[:3, :3], np.diag([-1, 1, -1]) * zooms, atol=1e-6)


CLEAN = [
    ("H05", RAW + b"x" * 100),
    ("H24-zero", patched(112, "<2f", 0, 5)),
    ("H24-nan", patched(112, "<2f", np.nan, 0)),
    ("H24-inf", patched(112, "<2f", np.inf, 0)),
    ("H38-units", patched(123, "B", 255)),
    ("H38-intent", patched(68, "<h", 9999)),
    ("H38-descrip", patched(148, "8s", b"\xff\xfe\x80caf\xe9")),
    ("H38-aux", patched(228, "8s", b"a\0b\0c")),
    ("H39-dim-info", patched(39, "B", 255)),
    ("H39-slice-code", patched(122, "B", 200)),
    ("t_r-unknown", patched(92, "<f", 0)),
    ("qfac-0", patched(76, "<f", 0)),
    ("template-sform", _patched_all((252, "<2h", 1, 4), (268, "<3f", 50, 0, 0))),
]


@pytest.mark.parametrize("content", [case[1] for case in CLEAN], ids=[case[0] for case in CLEAN])
def test_a_harmless_oddity_is_read_without_a_warning(write, content):
    image = read_image_file(write(content))
    assert image.array.shape == SHAPE
    assert (image.array.slope, image.array.inter) == (1.0, 0.0)
    assert str(image.header)


def test_h03_every_length_below_the_header_is_refused(write):
    for n_bytes in range(1, 348, 13):
        with pytest.raises(TruncatedFileError, match=f"the file has {n_bytes}"):
            read_image_file(write(RAW[:n_bytes]))


def test_h05_bytes_behind_the_data_are_noted(write):
    notes = read_image_file(write(RAW + b"x" * 100)).notes
    assert notes == ("100 bytes follow the image data.",)


@pytest.mark.parametrize("place", [42, 48], ids=["dim1", "dim4"])
def test_h12_an_axis_of_length_zero_keeps_its_shape(write, place):
    image = read_image_file(write(patched(place, "<h", 0)))
    expected = list(SHAPE)
    expected[(place - 42) // 2] = 0
    assert image.array.shape == tuple(expected)
    assert image.array.stored_bytes == 0


def test_h16_a_claim_beyond_any_ratio_is_refused_before_reading(write):
    content = gzip.compress(patched(40, "<5h", 4, *[32767] * 4))
    path = write(content, "t.nii.gz")
    with pytest.raises(TruncatedFileError, match=rf"{2 * 32767**4 + 352}.*cannot decode to more"):
        read_image_file(path)


def test_h19_voxels_begin_behind_the_extensions_where_the_offset_is_missing(write):
    img = nib.Nifti1Image(np.zeros(SHAPE, dtype="i2"), AFFINE)
    img.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"x" * 50))
    content = img.to_bytes()
    offset = read_image_file(write(content)).array.offset
    image, _ = warned(write(patched(108, "<f", 0, raw=content)))
    assert image.array.offset == offset > 352
    assert image.header.get_data_offset() == offset


@pytest.mark.parametrize("offset", [353, 360])
def test_h21_an_offset_that_is_no_multiple_of_16_is_taken_as_it_is(write, offset):
    content = patched(108, "<f", offset) + b"\0" * 16
    assert read_image_file(write(content)).array.offset == offset


@pytest.mark.parametrize(
    ("slope", "inter"), [(-1.0, 0.0), (1e38, 0.0), (1e-45, 0.0), (1.0, 3.0), (2.5, -7.0)]
)
def test_h26_scaling_is_the_stored_float32(write, slope, inter):
    array = read_image_file(write(patched(112, "<2f", slope, inter))).array
    assert (array.slope, array.inter) == (float(np.float32(slope)), inter)


def test_h27_sizes_are_repaired_as_nibabel_does(write):
    image, _ = warned(write(patched(80, "<2f", 0, -3)))
    assert image.header.get_zooms()[:2] == (1.0, 3.0)


def test_h32_big_endian_data_keep_their_order(write):
    image = read_image_file(write(_raw(dtype=">i2")))
    assert image.array.dtype == np.dtype(">i2")
    assert image.header.endianness == ">"


@pytest.mark.parametrize(
    ("dim", "shape"),
    [((3, -1, 1, 1), (40000, 1, 1)), ((4, -1, 1, 1, 2), (40000, 1, 1, 2))],
)
def test_h36_the_length_of_a_long_surface_is_in_glmin(write, dim, shape):
    content = _patched_all((40, f"<{len(dim)}h", *dim), (144, "<i", 40000))
    image = read_image_file(write(content + b"\0" * 200_000))
    assert image.array.shape == shape == image.header.get_data_shape()


def test_h36_the_seventh_icosahedron_is_unfolded(write):
    content = patched(40, "<4h", 3, 27307, 1, 6) + b"\0" * 330_000
    assert read_image_file(write(content)).array.shape == (163842, 1, 1)


def test_h36_nifti2_has_no_such_device(write):
    with pytest.raises(HeaderError, match=r"dim\[1\]=-1"):
        read_image_file(write(patched(16, "<4q", 3, -1, 1, 1, raw=RAW2)))


@pytest.mark.parametrize(("code", "names"), [(128, "RGB"), (2304, "RGBA")])
def test_v03_colours_are_structured_and_never_scaled(write, code, names):
    content = _patched_all((70, "<2h", code, 8 * len(names))) + b"\0" * N_BYTES
    dtype = read_image_file(write(content)).array.dtype
    assert dtype == np.dtype([(name, "u1") for name in names])
    image, text = warned(write(patched(112, "<2f", 2, 0, raw=content)))
    assert "colours are not scaled" in text
    assert not image.array.is_scaled


@pytest.mark.parametrize(
    "shape",
    [(5,), (5, 4), (2, 3, 4, 5, 6), (2, 3, 1, 2, 3, 4), (2, 1, 2, 1, 2, 1, 2), (3, 3, 3, 1)],
)
def test_v06_one_to_seven_axes(write, shape):
    content = nib.Nifti1Image(np.zeros(shape, dtype="i2"), AFFINE).to_bytes()
    assert read_image_file(write(content)).array.shape == shape


@pytest.mark.parametrize("shape", [(2, 3, 0), (0,), (2, 3, 4, 0)])
def test_v07_empty_images_keep_their_shape(write, shape):
    content = patched(40, f"<{len(shape) + 1}h", len(shape), *shape)[:352]
    assert read_image_file(write(content)).array.shape == shape


def test_several_causes_come_in_one_warning(write):
    _, text = warned(write(_patched_all((0, "<i", 5), (72, "<h", 8), (254, "<h", 99))))
    assert "sizeof_hdr" in text
    assert "bits a voxel" in text
    assert "sform_code 99" in text


def test_opening_reads_headers_only(tmp_path):
    path = tmp_path / "sparse.nii"
    with path.open("wb") as file:
        file.write(patched(40, "<5h", 4, 1000, 1000, 1000, 4))
        file.truncate(352 + 8 * 10**9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_image_file(str(path))
    assert image.array.stored_bytes == 8 * 10**9
