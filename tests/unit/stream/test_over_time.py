"""Medians, percentiles, trends and autocorrelation over time, on numbers computed plainly."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import courses
from lazyvox.store.files import spool
from lazyvox.testing.images import image_of as image

SHAPE = (5, 4, 3, 13)


def values_of(dtype="f4", seed=0):
    rng = np.random.default_rng(seed)
    drift = np.linspace(0, 40, SHAPE[3]) ** 2 / 40
    return (500 + drift + rng.normal(0, 10, SHAPE)).astype(dtype)


def residual(values, order):
    """Return what least squares leave of the course of every voxel."""
    times = np.arange(values.shape[-1])
    flat = values.reshape(-1, len(times)).astype("f8")
    fitted = np.polynomial.polynomial.polyfit(times, flat.T, order)
    return (flat - np.polynomial.polynomial.polyval(times, fitted)).reshape(values.shape)


def numbers(img):
    return np.asarray(img.dataobj)


@pytest.fixture(params=["memory", "file"])
def place(request, monkeypatch):
    """Courses in memory, and in a file."""
    if request.param == "file":
        monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
    return request.param


class TestOrderStatistics:
    """They are NumPy's, wherever the courses are kept."""

    @pytest.mark.parametrize("dtype", ["u1", "i2", ">f4", "f8"])
    def test_median_and_percentiles_are_numpys(self, place, monkeypatch, dtype):
        monkeypatch.setattr(courses, "READ_VALUES", 300)
        monkeypatch.setattr(courses, "BLOCK_BYTES", 700)
        values = values_of("f8").astype(dtype)
        scan = lv.Scan(image(values))
        asked = [scan.add(lv.Median()), *(scan.add(lv.Percentile(q)) for q in (0, 12.5, 100))]
        assert scan.plan().passes == 1
        assert scan.plan().scratch_bytes == (values.nbytes if place == "file" else 0)
        scan.run()
        wanted = values.astype("f8")
        oracles = [np.median(wanted, -1), *np.percentile(wanted, (0, 12.5, 100), axis=-1)]
        for handle, oracle in zip(asked, oracles, strict=True):
            np.testing.assert_array_equal(numbers(handle.result()), oracle)
            assert handle.result().get_data_dtype() == np.float64

    def test_of_slabs(self, place):
        values = np.random.default_rng(1).integers(0, 99, (120, 100, 12, 9)).astype("i2")
        budget = 9 << 20
        assert lv.Scan(image(values)).grid.n_volumes == 9
        scan = lv.Scan(image(values))
        found = scan.add(lv.Median())
        least = scan.plan("1GB").peak_bytes - 3 * values[..., 0].nbytes
        scan.run(max(least, budget))
        np.testing.assert_array_equal(numbers(found.result()), np.median(values, -1))

    def test_nan_is_passed_on(self):
        values = values_of()
        values[0, 0, 0, 3], values[1, 0, 0, 2] = np.nan, np.inf
        found = numbers(lv.median_img(image(values)))
        np.testing.assert_array_equal(found, np.median(values.astype("f8"), -1))

    def test_a_scan_runs_twice(self):
        values = values_of()
        scan = lv.Scan(image(values))
        handles = [scan.add(lv.Median()), scan.add(lv.Std()), scan.add(lv.TSNR())]
        for _ in range(2):
            scan.run()
            np.testing.assert_array_equal(
                numbers(handles[0].result()), np.median(values.astype("f8"), -1)
            )
            assert np.isfinite(numbers(handles[2].result())).all()

    def test_parts_merge(self):
        values = values_of("f8")
        img, parts = image(values), []
        for part in (values[..., :5], values[..., 5:]):
            one = lv.Median()
            one.lean_on([one])
            one.init(lv.Scan(img).grid)
            one.update(np.asfortranarray(part), 0)
            parts.append(one)
        parts[0].merge(parts[1])
        np.testing.assert_array_equal(numbers(parts[0].finalize()), np.median(values, -1))

    @pytest.mark.parametrize("q", [-1, 100.5, float("nan")])
    def test_percentiles_outside_are_refused(self, q):
        with pytest.raises(lv.ParameterError, match="a percentile, must be from 0 to 100"):
            lv.Percentile(q)

    @pytest.mark.parametrize("q", ["90", True, [1, 2]])
    def test_percentiles_are_numbers(self, q):
        with pytest.raises(lv.ParameterTypeError, match="a percentile, must be a number"):
            lv.percentile_img(image(values_of()), q)

    def test_complex_voxels_are_refused(self):
        with pytest.raises(lv.ParameterTypeError, match="Median needs real voxels"):
            lv.median_img(image(values_of("c8")))


class TestTrends:
    """Statistics of residuals are those of an explicit fit."""

    @pytest.mark.parametrize("order", [0, 1, 2, 3])
    @pytest.mark.parametrize("dtype", ["i2", "f4"])
    def test_of_residuals(self, order, dtype):
        values = values_of("f8").astype(dtype)
        left = residual(values, order)
        squares = (left**2).sum(-1)
        img, n = image(values), SHAPE[3]
        wanted = {
            "std": np.sqrt(squares / (n - 1)),
            "var": squares / n,
            "tsnr": values.mean(-1, dtype="f8") / np.sqrt(squares / n),
            "ar1": (left[..., 1:] * left[..., :-1]).sum(-1) / squares,
        }
        found = {
            "std": lv.std_img(img, ddof=1, detrend=order),
            "var": lv.var_img(img, detrend=order),
            "tsnr": lv.tsnr_img(img, detrend=order),
            "ar1": lv.ar1_img(img, detrend=order),
        }
        for name, oracle in wanted.items():
            np.testing.assert_allclose(numbers(found[name]), oracle, rtol=1e-8, atol=1e-10)

    def test_autocorrelation_is_the_estimate_of_yule_and_walker(self):
        # From the definition, by hand: deviations -1, 1, 0 of the mean.
        values = np.broadcast_to([4.0, 6.0, 5.0], (2, 2, 2, 3))
        np.testing.assert_allclose(numbers(lv.ar1_img(image(values))), -0.5)

    def test_nothing_is_left_of_what_is_a_line(self):
        values = np.zeros((3, 3, 3, 50)) + 1e6 + 123.4 * np.arange(50)
        values[0] = 7
        img = image(values)
        for found in (lv.std_img(img, detrend=1), lv.tsnr_img(img, detrend=1)):
            np.testing.assert_array_equal(numbers(found), 0)
        np.testing.assert_array_equal(numbers(lv.ar1_img(img, detrend=1)), 0)

    def test_a_first_volume_unlike_the_others_costs_no_digits(self):
        values = 1e5 + np.random.default_rng(0).normal(0, 1, (4, 4, 4, 60))
        values[..., 0] = 0
        wanted = np.sqrt((residual(values, 1) ** 2).mean(-1))
        np.testing.assert_allclose(
            numbers(lv.std_img(image(values), detrend=1)), wanted, rtol=1e-9
        )

    def test_what_is_not_finite_is_nan(self):
        values = values_of("f8")
        values[0, 0, 0, 0], values[1, 0, 0, 4], values[2, 0, 0, 0] = np.nan, np.inf, -np.inf
        found = numbers(lv.ar1_img(image(values), detrend=1))
        assert np.isnan(found).sum() == 3
        assert np.isnan(found[:3, 0, 0]).all()

    def test_all_statistics_of_one_trend_share_one_pass_and_state(self):
        scan = lv.Scan(image(values_of()))
        alone = lv.Scan(image(values_of()))
        alone.add(lv.Std(detrend=1))
        for one in (lv.Std(detrend=1), lv.TSNR(detrend=1), lv.AR1(detrend=1)):
            scan.add(one)
        extra = scan.plan().peak_bytes - alone.plan().peak_bytes
        assert extra == 2 * 8 * scan.grid.n_voxels
        assert scan.plan().passes == 1

    def test_results_do_not_depend_on_the_order_of_consumers(self):
        img = image(values_of())
        scan = lv.Scan(img)
        handles = [scan.add(lv.TSNR(detrend=2)), scan.add(lv.Std()), scan.add(lv.Std(detrend=2))]
        scan.run()
        np.testing.assert_array_equal(
            numbers(handles[2].result()), numbers(lv.std_img(img, detrend=2))
        )
        np.testing.assert_array_equal(numbers(handles[1].result()), numbers(lv.std_img(img)))

    def test_orders_must_leave_something(self):
        with pytest.raises(lv.ParameterError, match="smaller than the number of volumes"):
            lv.std_img(image(values_of()), detrend=13)
        with pytest.raises(lv.ParameterError, match="`detrend` must be an integer, 0 or larger"):
            lv.AR1(detrend=-1)
        with pytest.raises(
            lv.ParameterTypeError, match="`detrend` must be an integer, 0 or larger"
        ):
            lv.Std(detrend=True)

    def test_parts_cannot_merge(self):
        parts = [lv.AR1(), lv.AR1()]
        for one in parts:
            one.lean_on([one])
            one.init(lv.Scan(image(values_of())).grid)
            one.update(np.asfortranarray(values_of()[..., :4]), 0)
        with pytest.raises(lv.ParameterError, match="cannot be merged"):
            parts[0].merge(parts[1])


def test_a_full_disk_is_an_error_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    nib.save(image(values_of()), tmp_path / "run.nii")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(lv.OutputError, match="the folder of temporary files"):
        lv.median_img(tmp_path / "run.nii")
    assert [path.name for path in tmp_path.iterdir()] == ["run.nii"]


class TestLazyImages:
    """The same as methods of images and as functions of NumPy, by the same state."""

    @pytest.fixture
    def img(self, tmp_path):
        nib.save(nib.Nifti1Image(values_of("i2"), np.eye(4)), tmp_path / "run.nii")
        return lv.load(tmp_path / "run.nii")

    def test_methods_and_functions(self, img, monkeypatch):
        monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
        values = values_of("i2")
        found = [img.median(-1), np.median(img, axis=3), np.median(img, -1, keepdims=True)]
        for one in found:
            np.testing.assert_array_equal(numbers(one).squeeze(), np.median(values, -1))
        found = [img.percentile(30, -1), np.percentile(img, 30, axis=-1)]
        for one in found:
            np.testing.assert_array_equal(numbers(one), np.percentile(values, 30, axis=-1))
            assert isinstance(one, lv.LazyImage)
        centred = numbers(img - img.median(-1, keepdims=True))
        np.testing.assert_array_equal(centred, values - np.median(values, -1, keepdims=True))

    def test_plans_show_the_temporary_file(self, img, monkeypatch, tmp_path):
        monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
        plan = lv.plan(lv.save, img - img.median(-1, keepdims=True), tmp_path / "out.nii")
        assert plan.scratch_bytes >= values_of("i2").nbytes
        assert plan.passes == 2

    @pytest.mark.parametrize("axis", [None, 0, (0, 1, 2)])
    def test_other_axes_are_refused(self, img, axis):
        with pytest.raises(lv.ParameterError, match=r"median is taken over time|one axis"):
            img.median(axis)

    def test_percentiles_that_are_none_are_refused(self, img):
        with pytest.raises(lv.ParameterError, match="must be from 0 to 100"):
            img.percentile(101, -1)
        with pytest.raises(lv.ParameterTypeError, match="`q` must be one number"):
            np.percentile(img, (5, 95), axis=-1)
