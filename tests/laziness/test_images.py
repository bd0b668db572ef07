"""Opening, slicing, planning read no voxel; a pass reads each byte that it needs once."""

import copy
import gzip
import pickle

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import (
    CountingSource,
    TripwireSource,
    image_over,
    random_values,
    write_nifti,
)

SHAPE = (16, 17, 18, 19)
VALUES = random_values(SHAPE, "<i2")
OFFSET = 352
VOLUME = VALUES[..., 0].nbytes
#: What opening a file may inflate.
HEADER = 1024


USES = {
    "repr": repr,
    "html": lambda img: img._repr_html_(),
    "str": str,
    "shape": lambda img: (img.shape, img.ndim, img.affine, img.header, img.get_data_dtype()),
    "in memory": lambda img: img.in_memory,
    "uncache": lambda img: img.uncache(),
    "slicer": lambda img: img.slicer[2:9, ::-1, 3:, ::2].slicer[:2, ..., 1].slicer[1:],
    "repr of a slice": lambda img: repr(img.slicer[..., [0, 3]]),
    "copy": copy.deepcopy,
    "pickle": lambda img: pickle.loads(pickle.dumps(img)),
    "is_proxy": lambda img: nib.is_proxy(img.dataobj),
    "list": lambda img: lv.Scan([img, img.slicer[..., 3], img]).grid,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_descriptions_read_no_voxel(use):
    source, img = image_over(CountingSource, VALUES, slope=0.5)
    use(img)
    assert source.bytes_read == 0


@pytest.mark.parametrize(
    "make", [lv.Mean, lv.TSNR, lv.Histogram, lv.DVARS, lv.GlobalSignal, lv.Sum, lv.Min]
)
def test_building_planning_and_explaining_a_scan_read_no_voxel(make):
    _, img = image_over(TripwireSource, VALUES)
    scan = lv.Scan(img.slicer[2:])
    scan.add(make())
    assert scan.plan("1GiB").passes in {1, 2}
    assert "peak" in scan.explain()
    assert lv.plan(scan.run).peak_bytes > 0


def test_opening_reads_no_voxel(tmp_path):
    """The end of the file can be garbage, as long as it is not read."""
    path = write_nifti(tmp_path / "a.nii.gz", VALUES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    img = lv.load(path)
    assert img.slicer[1:].shape == (15, *SHAPE[1:])
    scan = lv.Scan(path)
    scan.add(lv.Mean())
    assert scan.plan().bytes_read == len(content)
    with pytest.raises(lv.ImageFileError, match=r"a\.nii\.gz"):
        scan.run()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("memory", ["20MiB", "1GiB"])
def test_a_pass_reads_each_byte_once(compression, memory, tmp_path):
    source, img = image_over(CountingSource, VALUES, compression=compression)
    scan = lv.Scan(img)
    for consumer in (lv.Mean(), lv.Std(), lv.Min(), lv.Write(tmp_path / "copy.nii")):
        scan.add(consumer)
    scan.run(memory)
    source.assert_each_byte_once()
    assert source.bytes_read == VALUES.nbytes


def test_a_plain_file_is_read_where_its_volumes_are():
    source, img = image_over(CountingSource, VALUES)
    volumes = [0, 7, 8, 18]
    scan = lv.Scan(img, volumes=volumes)
    total = scan.add(lv.Sum())
    scan.run()
    source.assert_each_byte_once()
    # Neighbours less than 64 KiB apart may be read in one go; these are further apart or touch.
    wanted = set()
    for volume in volumes:
        start = OFFSET + volume * VOLUME
        wanted |= set(range(start, start + VOLUME))
    read = set()
    for offset, nbytes in source.reads:
        read |= set(range(offset, offset + nbytes))
    assert wanted <= read
    np.testing.assert_array_equal(total.result().dataobj, VALUES[..., volumes].sum(axis=-1))
    extra = len(read) - len(wanted)
    assert extra <= 64 * 1024 * len(volumes)
    assert len(read) < 0.5 * VALUES.nbytes


def test_a_spatial_slice_of_a_plain_file_reads_its_slices_only():
    source, img = image_over(CountingSource, VALUES)
    big = lv.Scan(img.slicer[:, :, 3:5])
    big.add(lv.Mean())
    big.run()
    source.assert_each_byte_once()
    assert source.bytes_read <= VALUES.nbytes


@pytest.mark.parametrize("passes", [1, 2])
def test_saving_reads_each_byte_once_per_pass(tmp_path, passes):
    source, img = image_over(CountingSource, VALUES, slope=0.5)
    scale = {1: {}, 2: {"dtype": "u1", "scale": "auto"}}[passes]
    lv.save(img, tmp_path / "copy.nii", **scale)
    assert source.bytes_read == passes * VALUES.nbytes
    half = len(source.reads) // passes
    for i in range(passes):
        part = sorted(source.reads[i * half : (i + 1) * half])
        assert sum(nbytes for _, nbytes in part) == VALUES.nbytes


class CountedInflate:
    """Counts what is inflated, over all streams that are begun meanwhile."""

    def __init__(self, monkeypatch):
        from lazyvox.store import cursors

        self.nbytes = 0
        plain = cursors.Cursor.next_piece

        def counted(cursor, limit):
            piece = plain(cursor, limit)
            self.nbytes += len(piece)
            return piece

        monkeypatch.setattr(cursors.Cursor, "next_piece", counted)


@pytest.mark.parametrize("opener", [lv.load, nib.load, str], ids=["lazyvox", "nibabel", "path"])
@pytest.mark.parametrize("memory", ["12MiB", "1GiB"])
def test_a_gzip_run_is_inflated_once_per_pass(tmp_path, monkeypatch, opener, memory):
    values = np.random.default_rng(0).integers(0, 99, (64, 64, 32, 12)).astype("f4")
    path = write_nifti(tmp_path / "run.nii.gz", values)
    total = len(gzip.decompress(path.read_bytes()))
    img = opener(path)
    counted = CountedInflate(monkeypatch)
    scan = lv.Scan(img)
    scan.add(lv.Mean())
    scan.add(lv.GlobalSignal())
    scan.run(memory)
    assert counted.nbytes <= total + HEADER
    counted.nbytes = 0
    lv.histogram(img, memory="14MiB")
    assert counted.nbytes <= 2 * total + HEADER


def test_saving_and_iterating_inflate_once(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 99, (40, 40, 32, 12)).astype("f4")
    path = write_nifti(tmp_path / "run.nii.gz", values)
    total = len(gzip.decompress(path.read_bytes()))
    counted = CountedInflate(monkeypatch)
    lv.save(lv.load(path), tmp_path / "copy.nii")
    assert counted.nbytes <= total + HEADER
    counted.nbytes = 0
    img = lv.load(path)
    for volume in range(values.shape[3]):
        np.testing.assert_array_equal(img.slicer[..., volume].dataobj, values[..., volume])
    assert counted.nbytes <= total + HEADER
