"""NIfTI header extensions, sound and damaged: voxels never depend on them."""

import struct

import nibabel as nib
import numpy as np
import pytest

from lazyvox.errors import LazyvoxWarning
from lazyvox.formats import ForeignFormatError, read_image_file

SHAPE = (2, 3, 4)


def with_extensions(path, block, *, image_class=nib.Nifti1Image):
    """Write an image with bytes between header and voxels."""
    raw = image_class(np.zeros(SHAPE, dtype="<i2"), np.eye(4)).to_bytes()
    start = 352 if image_class is nib.Nifti1Image else 544
    content = bytearray(raw[: start - 4] + b"\1\0\0\0" + block + raw[start:])
    place = (108, "<f") if start == 352 else (168, "<q")
    struct.pack_into(place[1], content, place[0], start + len(block))
    path.write_bytes(content)
    return str(path), start + len(block)


def extension(code, value, size=None):
    padded = value + b"\0" * (-(len(value) + 8) % 16)
    return struct.pack("<ii", size if size is not None else len(padded) + 8, code) + padded


DAMAGED = [
    ("X01-zero", extension(6, b"x", 0), 0),
    ("X01-negative", extension(6, b"x", -16), 0),
    ("X02", extension(6, b"x" * 9, 17) + b"\0" * 15, 1),
    ("X03-huge", extension(6, b"x", 2**31 - 1), 0),
    ("X03-past-voxels", extension(6, b"x", 64), 0),
    ("X01-second", extension(6, b"x") + extension(6, b"y", -1), 1),
]


@pytest.mark.parametrize(
    ("block", "n_read"), [case[1:] for case in DAMAGED], ids=[case[0] for case in DAMAGED]
)
def test_a_damaged_extension_is_left_out_with_one_warning(tmp_path, block, n_read):
    path, offset = with_extensions(tmp_path / "t.nii", block)
    with pytest.warns(LazyvoxWarning, match="extension") as caught:
        image = read_image_file(path)
    assert len(caught) == 1
    assert image.array.offset == offset
    assert len(image.header.extensions) == n_read


SOUND = [
    ("X04-unknown", 9998, b"whatever"),
    ("X04-bad-text", 4, b"\xff\xfe\x80"),
    ("X04-junk-dicom", 2, b"\xff\xfe\x80\x90\xa0\xb0\xc0"),
    ("X04-short-dicom", 2, b"x"),
    ("X04-bad-xml", 32, b"<not xml"),
    ("comment", 6, b"made by hand"),
]


@pytest.mark.parametrize(
    ("code", "value"), [case[1:] for case in SOUND], ids=[case[0] for case in SOUND]
)
def test_any_content_of_an_extension_is_carried_along(tmp_path, code, value):
    path, offset = with_extensions(tmp_path / "t.nii", extension(code, value))
    image = read_image_file(path)
    assert image.array.offset == offset
    assert image.header.extensions.get_codes() == [code]
    assert image.notes == ("The header has 1 extension(s).",)


def test_extensions_are_those_of_nibabel(tmp_path):
    block = extension(6, b"first") + extension(4, b"<xml/>") + extension(44, b'{"a": 1}')
    path, _ = with_extensions(tmp_path / "t.nii", block)
    ours, theirs = read_image_file(path).header.extensions, nib.load(path).header.extensions
    assert ours == theirs
    assert [type(ext) for ext in ours] == [type(ext) for ext in theirs]


def test_big_endian_extensions(tmp_path):
    path = tmp_path / "t.nii"
    img = nib.Nifti1Image(
        np.zeros(SHAPE, dtype=">i2"), np.eye(4), nib.Nifti1Header(endianness=">")
    )
    img.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"hello"))
    path.write_bytes(img.to_bytes())
    assert read_image_file(str(path)).header.extensions[0].get_content() == b"hello"


def test_zeros_behind_the_last_extension_are_padding(tmp_path):
    path, _ = with_extensions(tmp_path / "t.nii", extension(6, b"x") + b"\0" * 64)
    assert len(read_image_file(path).header.extensions) == 1


def test_x06_a_thousand_extensions(tmp_path):
    path, _ = with_extensions(tmp_path / "t.nii", extension(6, b"x") * 1000)
    assert len(read_image_file(path).header.extensions) == 1000


def test_x06_extensions_beyond_the_limit_stay_on_disk(tmp_path):
    path = tmp_path / "t.nii"
    small, _ = with_extensions(path, extension(6, b"x" * 56))
    content = bytearray(path.read_bytes())
    offset = 352 + (80 << 20)
    struct.pack_into("<f", content, 108, offset)
    struct.pack_into("<i", content, 352, 80 << 20)
    path.write_bytes(content)
    with path.open("r+b") as file:
        file.truncate(offset + 48)
    image = read_image_file(small)
    assert image.array.offset == offset
    assert not len(image.header.extensions)
    assert "left on disk" in image.notes[0]


def test_h40_cifti_is_left_to_nibabel(tmp_path):
    path, _ = with_extensions(
        tmp_path / "t.dscalar.nii", extension(32, b"<CIFTI/>"), image_class=nib.Nifti2Image
    )
    content = bytearray((tmp_path / "t.dscalar.nii").read_bytes())
    struct.pack_into("<i", content, 504, 3006)
    (tmp_path / "t.dscalar.nii").write_bytes(content)
    with pytest.raises(ForeignFormatError, match="CIFTI-2"):
        read_image_file(path)


def test_code_32_without_the_intent_is_a_plain_image(tmp_path):
    path, _ = with_extensions(
        tmp_path / "t.nii", extension(32, b"<CIFTI/>"), image_class=nib.Nifti2Image
    )
    assert read_image_file(path).format == "NIfTI-2"
