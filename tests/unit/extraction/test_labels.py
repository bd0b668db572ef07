from functools import partial

import numpy as np
import pytest

from lazyvox.errors import (
    GridMismatchError,
    LazyvoxWarning,
    ParameterError,
    ParameterTypeError,
    RegionError,
)
from lazyvox.extraction.labels import Labels
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan
from lazyvox.testing import feed, run_like
from lazyvox.testing import image_of as image

SHAPE = (6, 5, 7)
N_VOLUMES = 9
run_values = partial(run_like, (*SHAPE, N_VOLUMES))
ORACLES = {
    "mean": np.mean,
    "sum": np.sum,
    "median": np.median,
    "minimum": np.min,
    "maximum": np.max,
    "standard_deviation": np.std,
    "variance": np.var,
}


def atlas(labels=(0, 1, 3, 7, 10**6), dtype=np.int32, seed=0):
    return np.random.default_rng(seed).choice(labels, SHAPE).astype(dtype)


def check(labels, affine=None, **options):
    grid = as_series(image(run_values())).grid
    Labels(image(labels, affine), **options).check(grid)


@pytest.mark.parametrize("strategy", ORACLES)
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_columns_are_numpys_reductions_in_float64(strategy, dtype):
    values, labels = run_values(dtype), atlas()
    signals = feed(Labels(image(labels), strategy=strategy), image(values))
    assert signals.labels == (1, 3, 7, 10**6)
    assert signals.names == ("1", "3", "7", "1000000")
    assert signals.dtype == np.float64
    exact = values.astype(np.float64)
    expected = [ORACLES[strategy](exact[labels == label], axis=0) for label in signals.labels]
    np.testing.assert_allclose(signals.values, np.transpose(expected), rtol=1e-12)


@pytest.mark.parametrize("strategy", ["median", "minimum", "maximum"])
def test_order_statistics_are_exact(strategy):
    values, labels = run_values(), atlas()
    signals = feed(Labels(image(labels), strategy=strategy), image(values))
    expected = [
        ORACLES[strategy](values[labels == label].astype(float), axis=0) for label in (1, 3, 7)
    ]
    np.testing.assert_array_equal(signals.values[:, :3], np.transpose(expected))


@pytest.mark.parametrize("strategy", ORACLES)
def test_result_does_not_depend_on_blocks_or_slabs(strategy):
    values, labels = run_values(), image(atlas())
    whole = feed(Labels(labels, strategy=strategy), image(values), N_VOLUMES).values
    for block_volumes in (1, 2, 4):
        found = feed(Labels(labels, strategy=strategy), image(values), block_volumes).values
        assert found.tobytes() == whole.tobytes()
    for slab_slices in (1, 2, 7):
        found = feed(Labels(labels, strategy=strategy), image(values), 1, slab_slices).values
        assert found.tobytes() == whole.tobytes()


def test_large_offsets_cost_no_precision():
    values = np.full((40, 40, 40, 1), 1e6, "f4")
    values += np.random.default_rng(0).integers(0, 2, values.shape).astype("f4")
    labels = image(np.ones(values.shape[:3], "u1"))
    exact = values.astype(np.float64)
    mean = feed(Labels(labels), image(values)).values[0, 0]
    variance = feed(Labels(labels, strategy="variance"), image(values)).values[0, 0]
    assert mean == pytest.approx(exact.mean(), rel=1e-14)
    assert variance == pytest.approx(exact.var(), rel=1e-10)


def test_constant_region_does_not_vary():
    values = np.full((*SHAPE, 2), 1234.567, "f4")
    found = feed(Labels(image(atlas()), strategy="standard_deviation"), image(values)).values
    assert np.abs(found).max() < 1e-9


def test_integers_do_not_overflow():
    values = np.full((*SHAPE, 2), 30000, "i2")
    labels = np.zeros(SHAPE, "i2")
    labels[0, 0, :3] = 1
    assert feed(Labels(image(labels)), image(values)).values.tolist() == [[30000.0], [30000.0]]
    assert feed(Labels(image(labels), strategy="sum"), image(values)).values[0, 0] == 90000.0


@pytest.mark.parametrize("strategy", ORACLES)
def test_nan_stays_in_its_region_and_volume(strategy):
    values, labels = run_values(), atlas()
    bad = tuple(np.argwhere(labels == 3)[0])
    values[(*bad, 4)] = np.nan
    found = np.isnan(feed(Labels(image(labels), strategy=strategy), image(values)).values)
    assert np.argwhere(found).tolist() == [[4, 1]]


def test_infinity_in_a_volume_does_not_reach_the_next():
    values, labels = run_values(), atlas()
    values[(*np.argwhere(labels == 3)[0], 4)] = np.inf
    found = feed(Labels(image(labels), strategy="variance"), image(values)).values
    assert np.argwhere(~np.isfinite(found)).tolist() == [[4, 1]]


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "f8", "u8"])
def test_labels_of_any_type_of_number(dtype):
    labels = atlas((0, 1, 2, 200), dtype)
    assert feed(Labels(image(labels)), image(run_values())).labels == (1, 2, 200)


def test_negative_labels_and_other_backgrounds():
    labels = atlas((-5, 0, 4))
    assert feed(Labels(image(labels)), image(run_values())).labels == (-5, 4)
    assert feed(Labels(image(labels), background_label=-5), image(run_values())).labels == (0, 4)


def test_dtype_float32():
    signals = feed(Labels(image(atlas()), dtype="f4"), image(run_values()))
    assert signals.values.dtype == np.float32


def test_merge_joins_what_two_consumers_saw():
    values, labels = run_values(), image(atlas())
    grid = as_series(image(values)).grid
    first, second = Labels(labels), Labels(labels)
    for consumer, part in ((first, slice(0, 5)), (second, slice(5, 9))):
        consumer.init(grid)
        consumer.update(np.asfortranarray(values[..., part]), part.start)
    first.merge(second)
    assert (first.finalize().values == feed(Labels(labels), image(values)).values).all()


@pytest.mark.parametrize("ending", [".npy", ".tsv", ".csv", ".parquet"])
def test_output_file_reads_back_exactly(tmp_path, ending):
    values, labels = run_values(), image(atlas())
    scan = Scan(image(values))
    stored = scan.add(Labels(labels, out=tmp_path / f"out{ending}"))
    held = scan.add(Labels(labels))
    scan.run()
    assert (stored.result().values == held.result().values).all()
    assert stored.result().names == held.result().names
    assert [path.name for path in tmp_path.iterdir()] == [f"out{ending}"]


class TestRules:
    def test_fractions_are_refused(self):
        labels = atlas(dtype="f8")
        labels[0, 0, 0] = 1.5
        with pytest.raises(RegionError, match=r"labels must be integers. Got 1\.5 at 1 voxels"):
            check(labels)

    def test_nan_is_refused(self):
        labels = atlas(dtype="f8")
        labels[0, 0, 0] = np.nan
        with pytest.raises(RegionError, match="must be finite"):
            check(labels)

    def test_background_only_is_refused(self):
        with pytest.raises(RegionError, match="at least one label besides the background 0"):
            check(np.zeros(SHAPE, "i2"))

    def test_4d_is_refused(self):
        with pytest.raises(RegionError, match="must be 3D"):
            check(np.ones((*SHAPE, 2), "i2"))

    def test_huge_labels_are_refused(self):
        with pytest.raises(RegionError, match=r"within 2\*\*53"):
            check(np.full(SHAPE, 2**60, "u8"))

    def test_other_grid_is_refused(self):
        with pytest.raises(GridMismatchError, match=r"\(6, 5, 8\).*\(6, 5, 7\)"):
            check(np.ones((6, 5, 8), "i2"))

    def test_complex_voxels_are_refused(self):
        grid = as_series(image(run_values("c8"))).grid
        with pytest.raises(ParameterTypeError, match="needs real voxels"):
            Labels(image(atlas())).check(grid)

    def test_unknown_strategy_is_refused(self):
        with pytest.raises(ParameterError, match="must be one of mean, sum, median"):
            Labels(image(atlas()), strategy="average")

    @pytest.mark.parametrize("dtype", ["i4", "f2", "c8"])
    def test_dtype_is_a_float(self, dtype):
        with pytest.raises(ParameterError, match="must be float64 or float32"):
            Labels(image(atlas()), dtype=dtype)

    def test_label_lost_by_resampling_is_named(self):
        labels = np.ones((12, 10, 14), "i2")
        labels[0, 0, 0] = 44
        labels[0, 0, 1] = 55
        affine = np.eye(4)
        affine[:3, 3] = -0.5
        consumer = Labels(image(labels, affine), resample=True, lut=["one", "lost", "lost too"])
        with pytest.warns(LazyvoxWarning, match="2 of 3 labels have no voxel.*44, 55"):
            signals = feed(consumer, image(run_values()))
        assert signals.labels == (1,)
        assert signals.names == ("one",)


def test_memory_is_that_of_the_labelled_voxels():
    grid = as_series(image(run_values())).grid
    labels = np.zeros(SHAPE, "i4")
    labels[0, 0, 0], labels[1, 1, 1] = 1, 2**31 - 1
    assert Labels(image(labels)).state_bytes(grid) < 1000
