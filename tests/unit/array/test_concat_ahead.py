"""Files of a series that are decoded at a time give the volumes of one after the other."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import concat_ahead
from lazyvox.array.concat import ConcatReader
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import FileReader
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import CountingSource, MemorySource, own_threads

GRID = (5, 6, 7)
LENGTHS = (9, 1, 12, 4)
RNG = np.random.default_rng(8)
PARTS = [RNG.normal(size=(*GRID, n)).astype(np.float32) for n in LENGTHS]
WHOLE = np.concatenate(PARTS, axis=-1)
ENOUGH = 1 << 30


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    """Pieces of two volumes."""
    monkeypatch.setattr(concat_ahead, "_PIECE_BYTES", 2 * PARTS[0][..., 0].nbytes)


def reader_over(sources):
    parts = zip(sources, PARTS, strict=True)
    return ConcatReader(
        tuple(
            LazyArray.over(FileReader(source, ArraySpec(values.shape, values.dtype)))
            for source, values in parts
        )
    )


def gzip_source(values):
    return MemorySource(values.tobytes(order="F"), compression="gzip")


@pytest.fixture
def reader():
    return reader_over([gzip_source(values) for values in PARTS])


@pytest.fixture
def paths(tmp_path):
    found = []
    for number, values in enumerate(PARTS):
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"{number}.nii.gz")
        found.append(tmp_path / f"{number}.nii.gz")
    return found


def axes_of(times):
    return (*(range(n) for n in GRID), times)


def read_in_blocks(reader, times, n_jobs, memory, block):
    out = np.full((*GRID, len(times)), np.nan, np.float32, order="F")
    with reader.open(axes_of(times), memory, n_jobs) as session:
        for start in range(0, len(times), block):
            part = times[start : start + block]
            session.read(axes_of(part), out[..., start : start + len(part)])
    return out


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 8])
@pytest.mark.parametrize("block", [1, 3, 5, 26])
@pytest.mark.parametrize(
    "times",
    [range(26), range(2, 25, 3), (0, 1, 8, 9, 10, 24, 25), range(10, 21)],
    ids=["all", "steps", "listed", "one file"],
)
def test_values_are_those_of_one_file_after_the_other(times, block, n_jobs, reader):
    found = read_in_blocks(reader, times, n_jobs, ENOUGH, block)
    np.testing.assert_array_equal(found, WHOLE[..., list(times)])
    assert own_threads() == []


@pytest.mark.parametrize("extra", [0, 3000, 8000, 40_000])
def test_little_memory_means_fewer_threads_and_the_same_values(extra, reader):
    memory = 2 * concat_ahead._DECODER_BYTES + extra
    assert reader.ahead_bytes(axes_of(range(26)), memory, 4) <= memory
    np.testing.assert_array_equal(read_in_blocks(reader, range(26), 4, memory, 3), WHOLE)


def test_each_byte_is_decoded_once():
    sources = [CountingSource(gzip_source(values)) for values in PARTS]
    read_in_blocks(reader_over(sources), range(26), 3, ENOUGH, 4)
    for source, values in zip(sources, PARTS, strict=True):
        source.assert_each_byte_once()
        assert source.bytes_read == values.nbytes


def test_files_that_are_not_compressed_are_left_to_one_thread():
    reader = reader_over([MemorySource(values.tobytes(order="F")) for values in PARTS])
    assert reader.ahead_bytes(axes_of(range(26)), ENOUGH, 4) == 0


def test_session_that_ends_early_leaves_no_thread(reader):
    session = reader.open(axes_of(range(26)), ENOUGH, 3)
    out = np.empty((*GRID, 2), np.float32, order="F")
    session.__enter__().read(axes_of(range(2)), out)
    error = KeyError("work")
    session.__exit__(KeyError, error, None)
    assert own_threads() == []


@pytest.mark.parametrize("damaged", [0, 2, 3])
def test_damage_is_raised_and_names_its_file(damaged, paths):
    content = bytearray(paths[damaged].read_bytes())
    content[-6] ^= 1
    paths[damaged].write_bytes(content)
    scan = lv.Scan(paths)
    mean = scan.add(lv.Mean())
    with pytest.raises(lv.CorruptFileError, match=f"{damaged}.nii.gz"):
        scan.run(n_jobs=3)
    with pytest.raises(lv.LazyvoxError, match="run"):
        mean.result()
    assert own_threads() == []


def test_scans_and_extraction_give_the_same_bits_with_any_number_of_jobs(paths):
    mask = nib.Nifti1Image((RNG.random(GRID) < 0.3).astype(np.uint8), np.eye(4))
    given = [*paths, *[lv.load(paths[0]).slicer[..., i] for i in range(3)]]
    results = []
    for n_jobs in (1, 2, 5):
        scan = lv.Scan(given)
        handles = [scan.add(one) for one in (lv.Mean(), lv.Std(), lv.Voxels(mask))]
        scan.run(n_jobs=n_jobs)
        mean, std, voxels = (handle.result() for handle in handles)
        arrays = (np.asarray(mean.dataobj), np.asarray(std.dataobj), voxels.values)
        results.append([array.tobytes() for array in arrays])
    assert results[0] == results[1] == results[2]


def test_plan_counts_what_is_decoded_ahead(paths):
    scan = lv.Scan(paths)
    scan.add(lv.Mean())

    def peak(n_jobs, memory=None):
        return scan.plan(memory, n_jobs).peak_bytes

    assert peak(1) < peak(2)
    assert peak(2, peak(1) + 100) <= peak(1) + 100
