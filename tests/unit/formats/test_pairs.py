"""Pairs of .hdr and .img: NIfTI and Analyze, by either name, compressed, incomplete."""

import bz2
import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import scipy.io

from lazyvox.errors import (
    HeaderError,
    ImageNotFoundError,
    LazyvoxWarning,
    TruncatedFileError,
    UnsupportedFormatError,
)
from lazyvox.formats import read_image_file

VALUES = np.arange(24, dtype="<i2").reshape(2, 3, 4)
AFFINE = np.array([[-2.0, 0, 0, 3], [0, 2, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1]])


@pytest.fixture
def pair(tmp_path):
    nib.save(nib.Nifti1Pair(VALUES, AFFINE), tmp_path / "m.img")
    return tmp_path


@pytest.fixture
def analyze(tmp_path):
    img = nib.AnalyzeImage(VALUES, AFFINE)
    img.to_filename(tmp_path / "a.img")
    return tmp_path


def patch(path, offset, code, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(code, content, offset, *values)
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["m.hdr", "m.img"])
def test_h37_either_name_opens_the_pair(pair, name):
    image = read_image_file(str(pair / name))
    assert image.format == "NIfTI-1 pair"
    assert image.image_class is nib.Nifti1Pair
    assert image.source.path == str(pair / "m.img")
    assert image.header_source.path == str(pair / "m.hdr")
    assert image.array.offset == 0


@pytest.mark.parametrize(("compress", "suffix"), [(gzip.compress, ".gz"), (bz2.compress, ".bz2")])
@pytest.mark.parametrize("name", ["m.hdr", "m.img"])
def test_h37_compressed_pairs(pair, compress, suffix, name):
    for ending in (".hdr", ".img"):
        path = pair / f"m{ending}"
        (pair / f"m{ending}{suffix}").write_bytes(compress(path.read_bytes()))
        path.unlink()
    image = read_image_file(str(pair / (name + suffix)))
    assert image.source.path == str(pair / f"m.img{suffix}")
    assert image.array.shape == (2, 3, 4)


def test_h37_a_compressed_image_beside_a_plain_header(pair):
    (pair / "m.img.gz").write_bytes(gzip.compress((pair / "m.img").read_bytes()))
    (pair / "m.img").unlink()
    assert read_image_file(str(pair / "m.hdr")).source.compression == "gzip"
    assert read_image_file(str(pair / "m.img.gz")).header_source.compression == "none"


def test_h37_upper_case_names(pair):
    (pair / "m.hdr").rename(pair / "M.HDR")
    (pair / "m.img").rename(pair / "M.IMG")
    assert read_image_file(str(pair / "M.IMG")).array.shape == (2, 3, 4)


@pytest.mark.parametrize(("present", "missing"), [("m.hdr", "m.img"), ("m.img", "m.hdr")])
def test_h37_the_missing_file_is_named(pair, present, missing):
    (pair / missing).unlink()
    with pytest.raises(ImageNotFoundError, match=f"{missing}: no such file"):
        read_image_file(str(pair / present))


def test_h37_a_short_image_file(pair):
    content = (pair / "m.img").read_bytes()
    (pair / "m.img").write_bytes(content[:-1])
    with pytest.raises(TruncatedFileError, match=r"m\.img.*48 bytes expected.*47 present"):
        read_image_file(str(pair / "m.hdr"))


def test_neither_file_exists(tmp_path):
    with pytest.raises(ImageNotFoundError, match="no such file"):
        read_image_file(str(tmp_path / "m.img"))


def test_nifti2_pairs(tmp_path):
    nib.save(nib.Nifti2Pair(VALUES, AFFINE), tmp_path / "m.img")
    image = read_image_file(str(tmp_path / "m.img"))
    assert image.format == "NIfTI-2 pair"
    assert image.image_class is nib.Nifti2Pair


def test_pairs_have_extensions_up_to_the_end_of_the_header_file(tmp_path):
    img = nib.Nifti1Pair(VALUES, AFFINE)
    img.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"hello"))
    nib.save(img, tmp_path / "m.img")
    assert len(read_image_file(str(tmp_path / "m.img")).header.extensions) == 1


@pytest.mark.parametrize("name", ["one.img", "one.hdr"])
def test_a_single_file_with_the_name_of_a_part_is_read_with_a_warning(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(nib.Nifti1Image(VALUES, AFFINE).to_bytes())
    with pytest.warns(LazyvoxWarning, match="single NIfTI file"):
        image = read_image_file(str(path))
    assert image.source is image.header_source
    assert image.array.offset == 352


def test_the_magic_of_single_files_in_a_pair(pair):
    patch(pair / "m.hdr", 344, "4s", b"n+1\0")
    with pytest.warns(LazyvoxWarning, match="does not fit"):
        image = read_image_file(str(pair / "m.hdr"))
    assert image.array.offset == 0


def test_analyze_is_told_from_nifti_by_its_magic(analyze):
    image = read_image_file(str(analyze / "a.img"))
    assert image.format == "Analyze 7.5"
    assert not image.array.is_scaled


def test_big_endian_analyze(tmp_path):
    img = nib.AnalyzeImage(VALUES.astype(">i2"), AFFINE, nib.AnalyzeHeader(endianness=">"))
    img.set_data_dtype(">i2")
    img.to_filename(tmp_path / "a.img")
    assert read_image_file(str(tmp_path / "a.hdr")).array.dtype == np.dtype(">i2")


@pytest.mark.parametrize(
    ("patches", "name"),
    [
        ([(112, "<f", 2.5)], "SPM99 Analyze"),
        ([(112, "<2f", 2.5, 7.0)], "SPM2 Analyze"),
        ([(124, "<2f", 0.8, 0.2), (140, "<2i", 110, 10)], "SPM2 Analyze"),
        ([(253, "<3h", 1, 2, 3)], "SPM99 Analyze"),
        ([(112, "<f", np.nan)], "Analyze 7.5"),
    ],
    ids=["slope", "intercept", "ranges", "origin", "nan"],
)
def test_dialects_of_spm_agree_with_nibabel(analyze, patches, name):
    for offset, code, *values in patches:
        patch(analyze / "a.hdr", offset, code, *values)
    image, peer = read_image_file(str(analyze / "a.img")), nib.load(analyze / "a.img")
    assert image.format == name
    assert image.image_class is type(peer)
    assert image.array.slope == pytest.approx(peer.dataobj.slope, rel=1e-12)
    assert image.array.inter == pytest.approx(peer.dataobj.inter, rel=1e-12)
    np.testing.assert_array_equal(image.affine, peer.affine)


@pytest.mark.parametrize("content", [{"M": AFFINE}, {"mat": AFFINE * 2, "M": AFFINE}])
def test_the_affine_in_a_mat_file_is_read_as_nibabel_does(analyze, content):
    scipy.io.savemat(analyze / "a.mat", content, format="4")
    image, peer = read_image_file(str(analyze / "a.img")), nib.load(analyze / "a.img")
    np.testing.assert_array_equal(image.affine, peer.affine)


def test_several_affines_in_a_mat_file(analyze):
    scipy.io.savemat(analyze / "a.mat", {"mat": np.stack([AFFINE, AFFINE * 3], axis=2)})
    with pytest.warns(LazyvoxWarning, match="more than one affine"):
        image = read_image_file(str(analyze / "a.img"))
    assert image.affine[0, 0] == -2.0


def test_an_empty_mat_file_is_none(analyze):
    before = read_image_file(str(analyze / "a.img")).affine
    (analyze / "a.mat").write_bytes(b"")
    np.testing.assert_array_equal(read_image_file(str(analyze / "a.img")).affine, before)


@pytest.mark.parametrize("content", [b"junk", b"\0" * 400, b"MATLAB 5.0 " + b"x" * 200])
def test_a_damaged_mat_file_is_an_error_that_names_it(analyze, content):
    (analyze / "a.mat").write_bytes(content)
    with pytest.raises(HeaderError, match=r"a\.mat.*Matlab|a\.mat.*4 x 4"):
        read_image_file(str(analyze / "a.img"))


def test_a_mat_file_without_an_affine(analyze):
    scipy.io.savemat(analyze / "a.mat", {"other": AFFINE})
    with pytest.raises(HeaderError, match=r"4 x 4 matrix.*\['other'\]"):
        read_image_file(str(analyze / "a.img"))


@pytest.mark.parametrize(
    ("offset", "code", "value", "kind", "message"),
    [
        (70, "<h", 512, UnsupportedFormatError, r"datatype 512 \(uint16\)"),
        (70, "<h", 1, UnsupportedFormatError, "binary"),
        (40, "<h", 0, HeaderError, r"dim\[0\]=0"),
        (42, "<h", -1, HeaderError, r"dim\[1\]=-1"),
        (108, "<f", np.nan, HeaderError, "vox_offset=nan"),
        (108, "<f", 1e9, TruncatedFileError, "0 present"),
        (0, "<i", 5, Exception, "no known format"),
    ],
)
def test_damaged_analyze_headers(analyze, offset, code, value, kind, message):
    patch(analyze / "a.hdr", offset, code, value)
    with pytest.raises(kind, match=message):
        read_image_file(str(analyze / "a.img"))
