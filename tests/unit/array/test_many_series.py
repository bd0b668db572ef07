"""Expressions of many series: built in few steps, and read a few slices at a time."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import FileReader, expression, pointwise, transformed
from lazyvox.array.lazy_array import LazyArray
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import CountingSource, MemorySource

SHAPE = (6, 5, 7, 9)
RUNS = np.random.default_rng(0).normal(size=(6, *SHAPE)).astype(np.float32)
VOLUME = np.random.default_rng(1).normal(size=SHAPE[:3]).astype(np.float32)
ROW = np.arange(SHAPE[3], dtype=np.float32)


@pytest.fixture
def few_slices(monkeypatch):
    """Have two slices of each series held at a time."""
    volume_bytes = VOLUME.nbytes
    for module in (transformed, pointwise):
        monkeypatch.setattr(module, "ALL_SOURCES_BYTES", 2 * volume_bytes)


def array_of(values, compression):
    source = CountingSource(MemorySource(values.tobytes(order="F"), compression=compression))
    return source, LazyArray.over(FileReader(source, ArraySpec(values.shape, values.dtype, 0)))


@pytest.fixture(params=["none", "gzip"])
def mixed(request):
    """Return the sources, an expression of six series, a volume and a row, and its values."""
    pairs = [array_of(values, request.param) for values in (*RUNS, VOLUME)]
    arrays = [array for _, array in pairs]
    found = (sum(arrays[:6]) - arrays[6][..., None] * 2) * ROW
    expected = (sum(RUNS) - VOLUME[..., None] * 2) * ROW
    return [source for source, _ in pairs], found, expected


KEYS = {
    "everything": (...,),
    "volumes": (..., slice(2, 8, 3)),
    "one volume": (..., 4),
    "backwards": (..., slice(None, None, -2)),
    "slices": (slice(None), slice(None), slice(1, 6), slice(3, 5)),
    "a voxel": (1, 2, 3),
    "listed": (..., [5, 0, 5]),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_values_are_numpys(mixed, few_slices, key):
    _, found, expected = mixed
    assert found.reader.slab_slices == 2
    np.testing.assert_array_equal(found[key], expected[key])


def test_each_byte_is_read_once(mixed, few_slices):
    sources, found, _ = mixed
    found.read()
    assert {source.bytes_read for source in sources[:6]} == {RUNS[0].nbytes}


def test_a_scan_does_not_hold_a_volume_of_each(few_slices, tmp_path):
    paths = [tmp_path / f"run{number}.nii.gz" for number in range(6)]
    for path, values in zip(paths, RUNS, strict=True):
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    total = sum(lv.load(path) for path in paths)
    assert transformed.staging_of(total.dataobj) is None
    scan = lv.Scan(total)
    mean = scan.add(lv.Mean())
    scan.run()
    expected = sum(RUNS).astype(np.float64).mean(axis=-1)
    np.testing.assert_allclose(np.asarray(mean.result().dataobj), expected, rtol=1e-6)


def test_what_is_held_hardly_grows_with_the_series():
    spec = ArraySpec((182, 218, 182, 100), np.dtype("f4"), 0)
    runs = [
        LazyArray.over(FileReader(MemorySource(b"", path=str(number)), spec))
        for number in range(100)
    ]
    held = [sum(runs[:number]).reader.session_bytes for number in (4, 50, 100)]
    assert held[2] - held[1] < 8 << 20
    assert held[2] < held[0]


def test_a_sum_is_built_in_as_many_steps_as_it_has_images(monkeypatch):
    n_steps = 0
    add = expression._Builder._add

    def counting(self, *args):
        nonlocal n_steps
        n_steps += 1
        return add(self, *args)

    monkeypatch.setattr(expression._Builder, "_add", counting)
    runs = [array_of(RUNS[0], "none")[1] for _ in range(200)]
    total = sum(runs)
    assert n_steps < 200 * 4
    np.testing.assert_array_equal(total[1, 2, 3, 4], sum([RUNS[0]] * 200)[1, 2, 3, 4])
