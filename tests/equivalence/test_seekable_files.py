"""Seekable files are ordinary files to every reader of gzip and zstd."""

import bz2
import gzip
import shutil
import subprocess
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ParameterError
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.opening import open_source
from lazyvox.testing import random_values

REAL = Path(__file__).parents[3] / "shared" / "data" / "haxby2001_sub001_run001_25mm_bold.nii.gz"


pytestmark = pytest.mark.usefixtures("cache")


def image(shape=(64, 64, 40, 12), dtype="<i2"):
    values = np.random.default_rng(2).normal(900, 20, shape).astype(dtype)
    return nib.Nifti1Image(values, np.diag([3.0, 3, 3, 1]))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((64, 64, 40, 12), "<i2"),
        ((96, 96, 70), "<f4"),
        ((80, 80, 50, 2), "<f8"),
        ((4, 5, 6, 7), "<i2"),
        ((1, 1, 1), "u1"),
        ((3,), "<f4"),
        ((5, 6, 7, 3, 2), "<i2"),
    ],
)
@pytest.mark.parametrize("level", [1, 6])
def test_nibabel_reads_what_was_written(tmp_path, shape, dtype, level):
    img = image(shape, dtype)
    path = tmp_path / "run.nii.gz"
    lv.save(img, path, seekable=True, compresslevel=level)
    assert np.array_equal(np.asarray(nib.load(path).dataobj), np.asarray(img.dataobj))
    lazy = lv.load(path)
    assert np.array_equal(np.asarray(lazy.dataobj), np.asarray(img.dataobj))
    assert np.array_equal(np.asarray(lazy.dataobj[..., -1]), np.asarray(img.dataobj)[..., -1])
    points = open_source(path).access_points()
    assert points.decoded_size == len(gzip.decompress(path.read_bytes()))
    assert not (tmp_path / "cache" / "indexes").exists()


def test_every_gzip_program_and_library_takes_it(tmp_path):
    path, plain = tmp_path / "run.nii.gz", tmp_path / "run.nii"
    lv.save(image(), path, seekable=True)
    lv.save(image(), plain)
    expected, content = plain.read_bytes(), path.read_bytes()
    assert gzip.decompress(content) == expected
    with gzip.open(path) as stream:
        stream.seek(1_000_000)
        assert stream.read(99) == expected[1_000_000:1_000_099]
    decoder = zlib.decompressobj(31)
    # The header is a member of its own.
    assert decoder.decompress(content) == expected[:352]
    for program in ("gzip", "pigz", "igzip", "bgzip", "zstd"):
        if shutil.which(program) is not None:
            done = subprocess.run([program, "-dc", str(path)], capture_output=True, check=True)
            assert done.stdout == expected
    if shutil.which("zcat") is not None:
        assert subprocess.run(["zcat", path], capture_output=True, check=True).stdout == expected


def test_the_zstd_program_and_library_take_it(tmp_path):
    path, plain = tmp_path / "run.nii.zst", tmp_path / "run.nii"
    lv.save(image(), path, seekable=True)
    lv.save(image(), plain)
    expected = plain.read_bytes()
    assert load_zstd().decompress(path.read_bytes()) == expected
    assert np.array_equal(np.asarray(lv.load(path).dataobj), np.asarray(image().dataobj))
    points = open_source(path).access_points()
    assert len(points.bit_offsets) == 2
    if shutil.which("zstd") is not None:
        done = subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True)
        assert done.stdout == expected


@pytest.mark.parametrize("ending", [".nii.gz", ".nii.zst", ".mgz", ".img.gz"])
def test_the_bytes_do_not_depend_on_the_threads(tmp_path, ending):
    img = image((64, 64, 40, 12), "<f4")
    found = set()
    for n_jobs in (1, 2, 3):
        path = tmp_path / f"run{n_jobs}{ending}"
        lv.save(img, path, seekable=True, n_jobs=n_jobs)
        found.add(path.read_bytes())
    assert len(found) == 1
    lazy = lv.load(tmp_path / f"run1{ending}")
    assert np.array_equal(np.asarray(lazy.dataobj[..., 7]), np.asarray(img.dataobj)[..., 7])


def test_a_volume_lies_in_members_of_its_own(tmp_path):
    path = tmp_path / "run.nii.gz"
    lv.save(image(), path, seekable=True)
    volume = 64 * 64 * 40 * 2
    offsets = open_source(path).access_points().decoded_offsets
    # Six volumes in a member; the header is read with the first one.
    assert offsets.tolist() == [0, 352 + 6 * volume]


def test_an_index_of_other_programs_is_made_of_the_headers(tmp_path):
    indexed_gzip = pytest.importorskip("indexed_gzip")
    img = image((64, 64, 40, 30))
    path = tmp_path / "run.nii.gz"
    lv.save(img, path, seekable=True)
    found = lv.index(path, beside=True, spacing="1MiB")
    assert found.n_points > 3
    raw = gzip.decompress(path.read_bytes())
    with indexed_gzip.IndexedGzipFile(str(path), index_file=found.path) as stream:
        stream.seek(6_000_000)
        assert stream.read(1000) == raw[6_000_000:6_001_000]
    assert np.array_equal(np.asarray(lv.load(path).dataobj), np.asarray(img.dataobj))


def test_ordinary_files_stay_as_they_were(tmp_path):
    lv.save(image(), tmp_path / "a.nii.gz")
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content[3] == 0
    decoder = zlib.decompressobj(31)
    decoder.decompress(content)
    assert decoder.unused_data == b""
    assert open_source(tmp_path / "a.nii.gz").access_points() is None


def test_plain_files_are_seekable_anyway_and_bzip2_is_refused(tmp_path):
    lv.save(image(), tmp_path / "a.nii", seekable=True)
    lv.save(image(), tmp_path / "b.nii")
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
    with pytest.raises(
        ParameterError, match="must be compressed with gzip or zstd, or not at all"
    ):
        lv.save(image(), tmp_path / "a.nii.bz2", seekable=True)
    assert not (tmp_path / "a.nii.bz2").exists()
    lv.save(image((2, 2, 2)), tmp_path / "c.nii.bz2")
    assert len(bz2.decompress((tmp_path / "c.nii.bz2").read_bytes())) == 368


def test_a_zstd_file_with_a_table_needs_no_index(tmp_path):
    img = nib.Nifti1Image(random_values((4, 5, 6), "<i2"), np.eye(4))
    lv.save(img, tmp_path / "a.nii.zst", seekable=True)
    lv.save(img, tmp_path / "b.nii.zst")
    with pytest.raises(ParameterError, match="has a table of its frames"):
        lv.index(tmp_path / "a.nii.zst")
    with pytest.raises(ParameterError, match="must be of a file that is compressed with gzip"):
        lv.index(tmp_path / "b.nii.zst")


@pytest.mark.skipif(not REAL.exists(), reason="the shared data are not here")
def test_a_real_run_keeps_every_value_and_hardly_grows(tmp_path):
    img = lv.load(REAL)
    for ending in (".nii.gz", ".nii.zst"):
        lv.save(img, tmp_path / f"a{ending}")
        lv.save(img, tmp_path / f"b{ending}", seekable=True)
        sizes = [(tmp_path / f"{name}{ending}").stat().st_size for name in "ab"]
        assert sizes[1] < 1.03 * sizes[0]
        assert np.array_equal(
            np.asarray(lv.load(tmp_path / f"b{ending}").dataobj), np.asarray(img.dataobj)
        )
