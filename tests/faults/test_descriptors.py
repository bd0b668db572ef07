"""More series in one expression than a process may open files."""

import resource
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.files import descriptors
from lazyvox.store.files.identity import SourceFile
from lazyvox.testing import n_descriptors

SHAPE = (24, 24, 20, 9)
VALUES = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
ENDINGS = pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nii.zst"])
ON_LINUX = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc"
)


def linked(folder, ending, n_files):
    """Return so many names of one file."""
    first = folder / f"r0{ending}"
    lv.save(nib.Nifti1Image(VALUES, np.eye(4)), first)
    paths = [first, *(folder / f"r{number}{ending}" for number in range(1, n_files))]
    for path in paths[1:]:
        path.hardlink_to(first)
    return paths


@pytest.fixture
def one_volume_at_a_time(monkeypatch):
    monkeypatch.setattr("lazyvox.array.transformed.GROUP_BYTES", 1)


@ON_LINUX
@ENDINGS
def test_a_sum_of_more_series_than_descriptors(tmp_path, ending, one_volume_at_a_time):
    paths = linked(tmp_path, ending, 150)
    total = sum(lv.load(path, dtype=np.int64) for path in paths)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_descriptors() + 60, hard))
    try:
        found = np.asarray(total.dataobj)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    np.testing.assert_array_equal(found, VALUES.astype(np.int64) * 150)


@ON_LINUX
def test_closed_files_go_on_where_they_were(tmp_path, one_volume_at_a_time, watch_reads):
    paths = linked(tmp_path, ".nii.gz", descriptors.MOST_HELD + 9)
    total = sum(lv.load(path, dtype=np.int64) for path in paths)
    before, n_read, most = n_descriptors(), 0, 0

    def count(nbytes):
        nonlocal n_read, most
        n_read += nbytes
        most = max(most, n_descriptors())

    watch_reads(count)
    values = np.asarray(total.dataobj)
    assert values[3, 4, 5].tolist() == (VALUES[3, 4, 5].astype(int) * len(paths)).tolist()
    # Once each, besides a look at their beginning.
    assert 1.0 <= n_read / (paths[0].stat().st_size * len(paths)) < 1.1
    assert most <= before + descriptors.MOST_HELD + 2
    assert n_descriptors() == before


@ENDINGS
def test_a_file_that_changes_while_it_is_closed_is_named(tmp_path, ending, one_volume_at_a_time):
    paths = linked(tmp_path, ending, descriptors.MOST_HELD + 9)
    own = tmp_path / f"own{ending}"
    lv.save(nib.Nifti1Image(VALUES, np.eye(4)), own)
    total = sum(lv.load(path) for path in [own, *paths]).dataobj

    def read_on():
        with total.open() as session:
            out = np.empty(SHAPE[:3], total.dtype, order="F")
            axes = tuple(range(n) for n in SHAPE[:3])
            session.read((*axes, 0), out)
            lv.save(nib.Nifti1Image(VALUES[::-1], np.eye(4)), own)
            session.read((*axes, 8), out)

    with pytest.raises(lv.FileChangedError, match=f"own{ending}"):
        read_on()


class TestOpenFile:
    @pytest.fixture
    def files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(descriptors, "MOST_HELD", 2)
        files = []
        for number in range(4):
            path = tmp_path / str(number)
            path.write_bytes(bytes([number]) * 9)
            files.append(SourceFile.at(str(path)).open_stored())
        yield files
        for file in files:
            file.close()

    def test_all_can_be_read_in_turn(self, files):
        for _ in range(3):
            for number, file in enumerate(files):
                assert file.pread(2, 1) == bytes([number]) * 2
                assert sum(one._fd is not None for one in files) == 2

    def test_the_last_used_are_kept(self, files):
        for file in (files[3], files[0], files[3], files[1]):
            file.pread(1, 0)
        assert [file._fd is not None for file in files] == [False, True, False, True]

    def test_one_that_is_used_is_kept(self, files):
        files[0]._take()
        for file in files[1:]:
            file.pread(1, 0)
        assert files[0]._fd is not None
        files[0]._is_used = False

    def test_a_change_before_it_was_closed_is_noticed(self, files):
        path = Path(files[2].path)
        path.write_bytes(b"longer than before")
        for file in (files[0], files[1]):
            file.pread(1, 0)
        with pytest.raises(lv.FileChangedError, match="the file must stay as it was"):
            files[2].check()
        with pytest.raises(lv.FileChangedError, match="the file must stay as it was"):
            files[2].pread(1, 0)

    def test_a_file_that_is_gone_is_named_when_it_is_needed(self, files):
        Path(files[0].path).unlink()
        files[0].check()
        with pytest.raises(lv.FileChangedError, match="deleted or moved since"):
            files[0].pread(1, 0)
