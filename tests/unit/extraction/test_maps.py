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
from lazyvox.extraction.linear_maps import solve_maps
from lazyvox.extraction.maps import Maps
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan
from lazyvox.testing import feed, run_like
from lazyvox.testing import image_of as image

SHAPE = (6, 5, 7)
N_VOLUMES = 150
N_MAPS = 4
run_values = partial(run_like, (*SHAPE, N_VOLUMES))


def weights(n_maps=N_MAPS, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*SHAPE, n_maps)) * (rng.random((*SHAPE, 1)) < 0.7)


def oracle(maps, values):
    flat = maps.reshape(-1, maps.shape[3]), values.reshape(-1, values.shape[3]).astype("f8")
    return np.linalg.lstsq(*flat, rcond=None)[0].T


def check(maps, affine=None, **options):
    grid = as_series(image(run_values())).grid
    consumer = Maps(image(maps, affine), **options)
    consumer.check(grid)
    return consumer


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4", "f8"])
def test_signals_are_those_of_least_squares_in_float64(dtype):
    values, maps = run_values(dtype), weights()
    signals = feed(Maps(image(maps)), image(values))
    assert signals.dtype == np.float64
    assert signals.names == ("0", "1", "2", "3")
    np.testing.assert_allclose(signals.values, oracle(maps, values), rtol=1e-10)


def test_results_do_not_depend_on_blocks():
    values = run_values()
    expected = feed(Maps(image(weights())), image(values), N_VOLUMES).values
    for block_volumes in (1, 7, 64, 65):
        found = feed(Maps(image(weights())), image(values), block_volumes).values
        np.testing.assert_array_equal(found, expected)
    for slab_slices in (1, 3):
        found = feed(Maps(image(weights())), image(values), 1, slab_slices).values
        np.testing.assert_array_equal(found, expected)


def test_two_halves_merge():
    values = run_values()
    consumers = [Maps(image(weights())) for _ in range(2)]
    for consumer, part in zip(consumers, (slice(0, 70), slice(70, N_VOLUMES)), strict=True):
        consumer.init(as_series(image(values)).grid)
        consumer.update(np.asfortranarray(values[..., part]), part.start)
    consumers[0].merge(consumers[1])
    expected = feed(Maps(image(weights())), image(values)).values
    np.testing.assert_allclose(consumers[0].finalize().values, expected, rtol=1e-12)


def test_scan_of_a_file(tmp_path):
    image(run_values()).to_filename(tmp_path / "run.nii.gz")
    image(weights()).to_filename(tmp_path / "maps.nii.gz")
    scan = Scan(tmp_path / "run.nii.gz")
    memory = scan.add(Maps(tmp_path / "maps.nii.gz"))
    stored = scan.add(Maps(tmp_path / "maps.nii.gz", dtype="f4", out=tmp_path / "maps.tsv"))
    scan.run()
    assert stored.result().dtype == np.float32
    np.testing.assert_array_equal(stored.result().values, memory.result().values.astype("f4"))


def test_ill_conditioned_maps_are_solved_as_exactly_as_lstsq():
    maps = weights()
    maps[..., 3] = maps[..., 0] + 1e-6 * weights(seed=9)[..., 3] * (maps[..., 0] != 0)
    values = run_values("f8")
    found = feed(Maps(image(maps)), image(values)).values
    expected = oracle(maps, values)
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


def test_scale_of_a_map_does_not_matter():
    maps, values = weights(), run_values("f8")
    maps[..., 1] *= 1e-9
    found = feed(Maps(image(maps)), image(values)).values
    np.testing.assert_allclose(found, oracle(weights(), values) / [1, 1e-9, 1, 1], rtol=1e-8)


def test_image_is_the_sum_of_the_maps():
    maps, values = weights(), run_values()
    signals = feed(Maps(image(maps)), image(values))
    expected = maps @ signals.values.T
    np.testing.assert_allclose(signals.to_img().get_fdata(), expected, atol=1e-8)
    assert signals.ijk is None


def test_orthonormal_basis_combines_to_the_same_maps():
    rows = weights().reshape(-1, N_MAPS).T.copy()
    rows[3] = rows[0] + rows[1]
    solved = solve_maps(rows, np.arange(N_MAPS), N_MAPS)
    assert solved.is_dependent
    assert solved.is_decomposed
    np.testing.assert_allclose(solved.combine(np.eye(N_MAPS)), rows, atol=1e-12)


class TestNames:
    def test_in_order(self):
        consumer = check(weights(), names=["a", "b", "c", "d"])
        assert list(consumer._column_names()) == ["a", "b", "c", "d"]

    @pytest.mark.parametrize("first", [0, 1])
    def test_tables_count_from_0_or_from_1(self, first):
        lut = {first + i: name for i, name in enumerate("abcd")}
        assert list(check(weights(), names=lut)._column_names()) == ["a", "b", "c", "d"]

    def test_too_few(self):
        with pytest.raises(RegionError, match="Got 2 names for 4 labels"):
            check(weights(), names=["a", "b"])


class TestRefused:
    def test_3d(self):
        with pytest.raises(RegionError, match=r"must be a 4D image.*Got shape \(6, 5, 7\)"):
            check(weights()[..., 0])

    def test_zeros(self):
        with pytest.raises(RegionError, match=r"must hold a weight\. Got zeros"):
            check(np.zeros((*SHAPE, 2)))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_that_are_not_finite(self, value):
        maps = weights()
        maps[1, 2, 3, 2] = value
        with pytest.raises(RegionError, match="Got 1 that are NaN or infinite in map 2"):
            check(maps)
        assert check(maps, ensure_finite=True)._numbers == [0, 1, 2, 3]

    def test_another_grid(self):
        affine = np.diag([2.0, 2, 2, 1])
        affine[0, 3] = 2
        with pytest.raises(GridMismatchError, match=r"must share one voxel grid.*resample"):
            check(weights(), affine)
        check(weights(), affine, resample=True)

    def test_overlap(self):
        maps = np.zeros((*SHAPE, 3))
        maps[0, 0, 0, 0] = maps[1, 1, 1, 1:] = 1
        maps[2, 2, 2, 2] = 1
        with pytest.raises(RegionError, match="Maps 1 and 2 are both positive"):
            check(maps, allow_overlap=False)
        maps[1, 1, 1, 1] = -1
        check(maps, allow_overlap=False)

    def test_mask_that_leaves_nothing(self):
        maps, mask = weights(), np.zeros(SHAPE, "u1")
        mask[0, 0, 0] = 1
        maps[0, 0, 0] = 0
        with pytest.raises(RegionError, match="a weight inside of `mask_img`"):
            check(maps, mask_img=image(mask))

    def test_complex_voxels(self):
        grid = as_series(image(run_values("c8"))).grid
        with pytest.raises(ParameterTypeError, match="Maps needs real voxels"):
            Maps(image(weights())).check(grid)

    def test_type_of_the_result(self):
        with pytest.raises(ParameterError, match="must be float64 or float32"):
            Maps(image(weights()), dtype="i2")


class TestWarnings:
    def test_empty_map_keeps_a_column_of_zeros(self):
        maps = weights()
        maps[..., 1] = 0
        with pytest.warns(LazyvoxWarning, match="1 of 4 maps hold no weight: 1. Their columns"):
            signals = feed(Maps(image(maps)), image(run_values()))
        assert signals.labels == (0, 1, 2, 3)
        assert (signals.values[:, 1] == 0).all()
        assert (signals.values[:, 2] != 0).all()
        assert (signals.to_img().get_fdata() != 0).any()

    def test_map_outside_of_the_mask_has_no_column(self):
        maps, mask = weights(), np.ones(SHAPE, "u1")
        maps[3:, ..., 1] = 0
        mask[:3] = 0
        with pytest.warns(LazyvoxWarning, match="inside of the mask: 1. They have no column"):
            signals = feed(
                Maps(image(maps), mask_img=image(mask), names=list("abcd")), image(run_values())
            )
        assert signals.names == ("a", "c", "d")
        assert signals.labels == (0, 2, 3)

    def test_maps_that_depend_on_each_other(self):
        maps = weights()
        maps[..., 3] = 2 * maps[..., 0]
        values = run_values()
        with pytest.warns(LazyvoxWarning, match="4 of them span 3 dimensions"):
            signals = feed(Maps(image(maps)), image(values))
        np.testing.assert_allclose(signals.values, oracle(maps, values), rtol=1e-8)


def test_nan_voxels():
    values = run_values()
    values[2, 2, 2, 5] = np.nan
    maps = weights()
    maps[2, 2, 2] = 1
    signals = feed(Maps(image(maps)), image(values))
    assert np.isnan(signals.values[5]).all()
    assert np.isfinite(np.delete(signals.values, 5, axis=0)).all()
    zeroed = np.nan_to_num(values)
    found = feed(Maps(image(maps), ensure_finite=True), image(values)).values
    np.testing.assert_allclose(found, oracle(maps, zeroed), rtol=1e-9)
