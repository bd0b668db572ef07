"""Formats are found from the content of files; files that are no images are named."""

import bz2
import gzip
import lzma
import struct
import zlib

import nibabel as nib
import numpy as np
import pytest

from lazyvox.errors import (
    HeaderError,
    ImageFileError,
    LazyvoxWarning,
    TruncatedFileError,
    UnsupportedFormatError,
)
from lazyvox.formats import ForeignFormatError, read_image_file
from lazyvox.store.frames.decoders import load_zstd

RAW = nib.Nifti1Image(np.arange(24, dtype="<i2").reshape(2, 3, 4), np.eye(4)).to_bytes()
PACKED = {"gzip": gzip.compress, "bzip2": bz2.compress, "zstd": load_zstd().compress}


NO_IMAGES = [
    ("html", b"<!DOCTYPE html>\n<html><head><title>404</title>", "HTML page"),
    ("html-space", b"\n  <HTML><body>Google Drive - Virus scan warning", "HTML page"),
    ("git-lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
    ("annex", b"/annex/objects/MD5E-s1234--abc.nii.gz\n", "datalad get"),
    ("annex-link", b"../../.git/annex/objects/xx/yy/MD5E-s1--a.nii.gz", "datalad get"),
    ("xz", lzma.compress(RAW), "xz archive"),
    ("zip", b"PK\x03\x04" + b"\0" * 400, "zip archive"),
    ("zlib", zlib.compress(RAW), "zlib"),
    ("gzip-gzip", gzip.compress(gzip.compress(RAW)), "gzip inside gzip"),
    ("bz2-gzip", gzip.compress(bz2.compress(RAW)), "bzip2 inside gzip"),
    ("numpy", b"\x93NUMPY\x01\0" + b" " * 500, "NumPy"),
    ("dicom", b"\0" * 128 + b"DICM" + b"x" * 500, "DICOM"),
    ("trk", b"TRACK\0" + b"\0" * 1000, "tractogram"),
]


@pytest.mark.parametrize(
    ("content", "message"), [case[1:] for case in NO_IMAGES], ids=[case[0] for case in NO_IMAGES]
)
@pytest.mark.parametrize("name", ["t.nii", "t.nii.gz"])
def test_what_is_no_image_is_named(write, content, message, name):
    path = write(content, name)
    with pytest.raises(UnsupportedFormatError, match=message) as caught:
        read_image_file(path)
    assert not isinstance(caught.value, ForeignFormatError)
    assert path in str(caught.value)


FOREIGN = [
    ("H40-minc2", b"\x89HDF\r\n\x1a\n" + b"\0" * 600, "t.nii", "HDF5.*MINC2"),
    ("H40-minc1", b"CDF\x01" + b"\0" * 600, "t.mnc", "MINC1"),
    ("gifti", b'<?xml version="1.0"?>\n<GIFTI Version="1.0">', "t.gii", "GIFTI"),
    ("head", b"\ntype  = string-attribute\n", "t+orig.HEAD", "AFNI"),
    ("brik", b"\1\2\3\4" * 200, "t+orig.BRIK", "AFNI"),
    ("par", b"# === DATA DESCRIPTION FILE ====", "t.PAR", "PAR"),
    ("rec", b"\1\2\3\4" * 200, "t.REC", "PAR/REC"),
    ("ecat", b"MATRIX72v" + b"\0" * 600, "t.v", "ECAT"),
    ("unknown", b"\1\2\3\4" * 200, "t.nii", "no known format"),
]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [case[1:] for case in FOREIGN],
    ids=[case[0] for case in FOREIGN],
)
def test_formats_of_nibabel_can_be_told_apart(write, content, name, message):
    with pytest.raises(ForeignFormatError, match=message):
        read_image_file(write(content, name))


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["t.nii", "t.nii.gz", "t.nii.bz2", "t.dat"])
@pytest.mark.filterwarnings("ignore::lazyvox.errors.LazyvoxWarning")
def test_compression_is_found_from_the_content(write, kind, name):
    image = read_image_file(write(PACKED[kind](RAW), name))
    assert image.source.compression == kind
    assert image.array.shape == (2, 3, 4)


def test_another_compression_than_the_name_says_is_warned_about(write):
    with pytest.warns(LazyvoxWarning, match="says compression gzip, the content is bzip2"):
        read_image_file(write(bz2.compress(RAW), "t.nii.gz"))


def test_a_plain_file_named_gz_is_noted(write):
    assert "the content is none" in read_image_file(write(RAW, "t.nii.gz")).notes[0]


def test_h01_a_stream_of_nothing_is_empty(write):
    with pytest.raises(ImageFileError, match="empty file"):
        read_image_file(write(gzip.compress(b""), "t.nii.gz"))


def test_g25_a_text_mode_transfer_of_a_compressed_file_is_named(write):
    values = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype("<i2")
    packed = gzip.compress(nib.Nifti1Image(values, np.eye(4)).to_bytes())
    with pytest.raises(ImageFileError, match="text-mode transfer"):
        read_image_file(write(packed.replace(b"\n", b"\r\n"), "t.nii.gz"))


def test_only_zeros_are_an_interrupted_copy(write):
    with pytest.raises(ImageFileError, match="all zero"):
        read_image_file(write(b"\0" * 5000))


def _mgh(shape=(2, 3, 4), dtype=np.int16):
    img = nib.MGHImage(np.zeros(shape, dtype=dtype), np.diag([2.0, 2, 2, 1]))
    if len(shape) == 4:
        img.header.set_zooms((2.0, 2.0, 2.0, 1500.0))
    return img.to_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (5, 1, 1)])
@pytest.mark.parametrize("name", ["t.mgh", "t.mgz"])
def test_mgh_agrees_with_nibabel(write, dtype, shape, name):
    raw = _mgh(shape, dtype)
    path = write(gzip.compress(raw) if name == "t.mgz" else raw, name)
    image, peer = read_image_file(path), nib.MGHImage.from_bytes(raw)
    assert image.format == "MGH"
    assert image.image_class is nib.MGHImage
    assert image.array.shape == peer.shape
    assert image.array.dtype == peer.get_data_dtype()
    assert image.array.offset == peer.dataobj.offset
    np.testing.assert_array_equal(image.affine, peer.affine)
    assert image.header == peer.header


def test_large_compressed_mgh_files_are_not_decoded_for_their_footer(write):
    raw = _mgh((256, 256, 256, 5), np.uint8)
    with pytest.warns(LazyvoxWarning, match="Repetition time.*were not read"):
        image = read_image_file(write(gzip.compress(raw, 1), "t.mgz"))
    assert float(image.header["tr"]) == 0.0
    assert "not read" in image.notes[0]


@pytest.mark.parametrize(
    ("offset", "value", "kind", "message"),
    [
        (4, 0, HeaderError, "width.*Got 0"),
        (16, -1, HeaderError, "nframes.*Got -1"),
        (20, 2, UnsupportedFormatError, "MGH type 2"),
        (8, 1 << 27, TruncatedFileError, "bytes expected"),
    ],
)
def test_damaged_mgh_headers(write, offset, value, kind, message):
    content = bytearray(_mgh())
    struct.pack_into(">i", content, offset, value)
    with pytest.raises(kind, match=message):
        read_image_file(write(content, "t.mgh"))


def test_short_mgh_files(write):
    with pytest.raises(TruncatedFileError, match="header needs 284 bytes"):
        read_image_file(write(_mgh()[:100], "t.mgh"))
    with pytest.raises(TruncatedFileError, match="48 bytes expected"):
        read_image_file(write(_mgh()[:300], "t.mgh"))


@pytest.mark.parametrize("name", ["t.nii", "t.nii.gz"])
def test_h40_mgh_under_the_name_of_nifti_is_called_mgh(write, name):
    raw = _mgh()
    with pytest.raises(HeaderError, match="This is an MGH file"):
        read_image_file(write(gzip.compress(raw) if name.endswith("gz") else raw, name))
