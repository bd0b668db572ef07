"""Whatever the shape, type, scaling, compression and budget: streaming gives one and the same."""

import re
import tempfile
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.array.block_reading import BlockReading
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.blocks import BlockLayout
from lazyvox.runtime.progress import NoProgress
from lazyvox.stream.prepared_pass import feed_consumers
from lazyvox.testing import compress, nifti_bytes

DTYPES = ["u1", "i1", "<i2", ">i2", "u2", "i4", ">u4", "i8", "u8", "<f4", ">f4", "f8"]
SCALINGS = [(1.0, 0.0), (0.5, 3.0), (-2.0, 0.0), (1.0, 100.0), (0.1, -0.3)]
MAKERS = [
    lv.Mean,
    lv.Sum,
    lv.Std,
    lv.TSNR,
    lv.AR1,
    lambda: lv.Std(detrend=0),
    lv.Median,
    lambda: lv.Percentile(30),
    lv.Min,
    lv.Max,
    lv.GlobalSignal,
    lv.DVARS,
    lambda: lv.Histogram(bins=7, range=(-50, 300)),
]


def run_with(source, block_volumes, slab_slices):
    """Run every consumer with blocks of the test's choice and return the bytes of the results."""

    series = as_series(source)
    consumers = [make() for make in MAKERS]
    for consumer in consumers:
        consumer.check(series.grid)
        consumer.lean_on(consumers)
        consumer.init(series.grid)
    n_slices = min(slab_slices, series.grid.shape[2])
    volumes = block_volumes if n_slices == series.grid.shape[2] else 1
    layout = BlockLayout(volumes, n_slices, 0, 0)
    feed_consumers(
        BlockReading(series.array, series.grid.dtype, layout),
        consumers,
        progress=NoProgress(),
        cancelled=threading.Event(),
    )
    found = [consumer.finalize() for consumer in consumers]
    arrays = [one[0] if isinstance(one, tuple) else getattr(one, "dataobj", one) for one in found]
    return [np.asarray(one).tobytes() for one in arrays]


@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3, st.integers(1, 9)),
    dtype=st.sampled_from(DTYPES),
    scaling=st.sampled_from(SCALINGS),
    compression=st.sampled_from(["none", "gzip", "bzip2", "zstd"]),
    cast=st.sampled_from([None, None, "f4"]),
    blocks=st.tuples(st.integers(1, 9), st.integers(1, 6)),
    seed=st.integers(0, 99),
)
def test_blocks_and_slabs_do_not_show(shape, dtype, scaling, compression, cast, blocks, seed):
    info = np.dtype(dtype)
    low = 0 if info.kind == "u" else -100
    stored = np.random.default_rng(seed).integers(low, 101, shape).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nii"
        content = nifti_bytes(stored, slope=scaling[0], inter=scaling[1])
        path.write_bytes(compress(content, compression))
        img = lv.load(path, dtype=cast)
        whole = nib.Nifti1Image(np.asarray(img.dataobj), img.affine, dtype=img.dataobj.dtype)
        expected = run_with(whole, shape[3], shape[2])
        assert run_with(img, *blocks) == expected
        if cast is None and compression == "none":
            assert run_with(nib.load(path), *blocks) == expected


@settings(max_examples=15)
@given(
    budget=st.integers(0, 24 << 20),
    takes_threads=st.booleans(),
    dtype=st.sampled_from(["i2", "f4", "f8"]),
)
def test_budgets_do_not_show(budget, takes_threads, dtype):
    values = np.random.default_rng(0).normal(100, 9, (33, 40, 21, 17)).astype(dtype)
    img = nib.Nifti1Image(values, np.eye(4), dtype=dtype)
    mask = nib.Nifti1Image((values[..., 0] > 95).astype("u1"), np.eye(4))
    makers = [lv.Mean, lv.Std, lv.GlobalSignal, lv.DVARS]
    makers += [lambda: lv.GlobalSignal(mask), lambda: lv.DVARS(mask)]

    def results(memory):
        scan = lv.Scan(img)
        handles = [scan.add(make()) for make in makers]
        try:
            scan.run(memory, n_jobs=2 if takes_threads else 1)
        except lv.MemoryBudgetError as error:
            named = int(re.search(r"memory=(\d+) or more", str(error))[1])
            assert memory < named
            return results(named)
        found = [handle.result() for handle in handles]
        return [np.asarray(getattr(one, "dataobj", one)).tobytes() for one in found]

    assert results(budget + 1) == results("1GiB")


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=7).map(tuple),
    dtype=st.sampled_from(DTYPES),
    scaling=st.sampled_from(SCALINGS),
    ending=st.sampled_from([".nii", ".nii.gz", ".nii.zst", ".img"]),
    seed=st.integers(0, 99),
)
def test_saving_keeps_every_stored_bit(shape, dtype, scaling, ending, seed):
    stored = np.frombuffer(
        np.random.default_rng(seed).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype
    ).reshape(shape)
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "a.nii", Path(folder) / f"b{ending}"
        path.write_bytes(nifti_bytes(stored, slope=scaling[0], inter=scaling[1]))
        img = lv.load(path)
        lv.save(img, target)
        back = lv.load(target)
        assert back.shape == shape
        assert back.dataobj.ondisk_dtype == stored.dtype
        assert back.dataobj.get_unscaled().tobytes() == stored.tobytes()
        assert (back.dataobj.slope, back.dataobj.inter) == (img.dataobj.slope, img.dataobj.inter)


@given(
    keep=st.lists(st.booleans(), min_size=9, max_size=9).filter(any),
    compression=st.sampled_from(["none", "gzip"]),
    pieces=st.integers(1, 3),
    block=st.integers(1, 9),
)
def test_any_volumes_of_any_list(keep, compression, pieces, block):
    values = np.arange(3 * 4 * 2 * 9, dtype="i4").reshape(3, 4, 2, 9)
    parts = np.array_split(values, pieces, axis=-1)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, part in enumerate(parts):
            paths.append(Path(folder) / f"{number}.nii")
            paths[-1].write_bytes(compress(nifti_bytes(part), compression))
        series = as_series(paths, np.flatnonzero(keep))
        total = lv.Sum()
        total.init(series.grid)

        feed_consumers(
            BlockReading(series.array, series.grid.dtype, BlockLayout(block, 2, 0, 0)),
            [total],
            progress=NoProgress(),
            cancelled=threading.Event(),
        )
        np.testing.assert_array_equal(
            total.finalize().dataobj, values[..., np.flatnonzero(keep)].sum(axis=-1)
        )
