"""NaN, infinity, overflow, empty series, and results that no way of working changes by a bit."""

import warnings

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import image_of as image
from lazyvox.testing import write_nifti

SHAPE = (40, 41, 30, 23)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(0)
    write_nifti(folder / "run.nii.gz", rng.normal(1e4, 3, SHAPE).astype("f4"))
    write_nifti(folder / "mask.nii", rng.integers(0, 2, SHAPE[:3]).astype("u1"))
    write_nifti(folder / "atlas.nii", rng.integers(0, 40, SHAPE[:3]).astype("i2"))
    return folder


STRATEGIES = ("mean", "sum", "median", "minimum", "maximum", "standard_deviation", "variance")


def consumers(folder):
    made = [lv.Mean(), lv.Sum(), lv.Min(), lv.Max(), lv.Variance(), lv.Std(), lv.TSNR()]
    made += [lv.AR1(), lv.Std(detrend=0), lv.Median(), lv.Percentile(30)]
    made += [lv.GlobalSignal(), lv.GlobalSignal(folder / "mask.nii"), lv.DVARS()]
    made += [lv.DVARS(folder / "mask.nii"), lv.Histogram(), lv.Voxels(folder / "mask.nii")]
    return [*made, *(lv.Labels(folder / "atlas.nii", strategy=kind) for kind in STRATEGIES)]


def as_bytes(result):
    if isinstance(result, tuple):
        return b"".join(np.asarray(part).tobytes() for part in result)
    return np.asarray(getattr(result, "dataobj", result)).tobytes()


def test_results_are_the_same_to_the_bit_for_any_budget_and_number_of_threads(folder):
    found = []
    layouts = set()
    for memory, n_jobs in (("512MiB", 1), ("64MiB", 2), ("46MiB", 3), ("512MiB", -1)):
        scan = lv.Scan(folder / "run.nii.gz")
        handles = [scan.add(one) for one in consumers(folder)]
        try:
            plan = scan.plan(memory, n_jobs)
        except lv.MemoryBudgetError:
            continue
        layouts.add((plan.block_volumes, plan.slab_slices))
        scan.run(memory, n_jobs)
        found.append([as_bytes(handle.result()) for handle in handles])
    assert len(found) > 2
    assert len(layouts) > 1
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("n_wanted", range(7))
def test_nan_and_infinity_go_where_numpy_lets_them(n_wanted):
    """Policy: every number takes part as it is; nothing is skipped or replaced."""
    values = np.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype("f4")
    values[0, 0, 0, 2], values[1, 0, 0, 3], values[2, 0, 0] = np.nan, np.inf, np.nan
    values[0, 1, 0, :2] = np.inf, -np.inf
    exact = values.astype("f8")
    # Infinities that cancel are warned about as by NumPy.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        cases = [
            (lv.mean_img, exact.mean(axis=-1)),
            (lv.sum_img, exact.sum(axis=-1)),
            (lv.min_img, values.min(axis=-1)),
            (lv.max_img, values.max(axis=-1)),
            (lv.var_img, exact.var(axis=-1)),
            (lv.std_img, exact.std(axis=-1)),
            (lv.global_signal, exact.mean(axis=(0, 1, 2))),
        ]
        call, expected = cases[n_wanted]
        result = call(image(values))
    found = np.asarray(getattr(result, "dataobj", result))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_nan_and_infinity_in_extracted_voxels_keep_every_bit():
    values = np.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype("f4")
    values[0, 0, 0, 2], values[1, 0, 0, 3], values[2, 0, 0, 1] = np.nan, np.inf, -0.0
    mask = np.ones((3, 4, 5), "u1")
    found = lv.extract(image(values), image(mask))
    assert np.asarray(found).tobytes() == values[mask != 0].T.tobytes()


def test_a_series_without_volumes_or_voxels(tmp_path):
    for shape in ((3, 4, 5, 0), (3, 4, 0, 5), (0, 4, 5, 6)):
        img = lv.load(write_nifti(tmp_path / "empty.nii", np.zeros(shape, "<f4")))
        assert np.asarray(img.dataobj).shape == shape
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                found = np.asarray(lv.mean_img(img).dataobj)
        except lv.LazyvoxError as error:
            assert "volume" in str(error) or "voxel" in str(error)  # noqa: PT017
        else:
            assert found.shape == shape[:3]
            assert np.isnan(found).all()


@pytest.mark.parametrize(("dtype", "value"), [("u1", 255), ("i2", 30_000), ("i4", 2**31 - 1)])
def test_small_integers_never_overflow(dtype, value):
    img = image(np.full((3, 1, 1, 300), value, dtype))
    labels = image(np.ones((3, 1, 1), "i2") * np.array([1, 1, 2], "i2").reshape(3, 1, 1))
    assert np.all(np.asarray(lv.sum_img(img).dataobj) == 300 * value)
    assert np.all(np.asarray(lv.mean_img(img).dataobj) == value)
    assert np.all(np.asarray(lv.std_img(img).dataobj) == 0)
    assert np.all(lv.global_signal(img) == value)
    assert np.all(lv.dvars(img)[1:] == 0)
    assert np.all(np.asarray(lv.extract(img, labels)) == value)


def test_thousand_labels_far_apart_take_no_table_of_all_numbers(folder):
    numbers = np.unique(np.random.default_rng(2).integers(1, 10**9, 1000))
    labels = np.resize(np.append(numbers, 0), SHAPE[:3]).astype("i4")
    plan = lv.plan(lv.extract, folder / "run.nii.gz", image(labels), memory="64MiB")
    assert plan.peak_bytes < 64 << 20
    assert lv.extract(folder / "run.nii.gz", image(labels), memory="64MiB").shape == (
        SHAPE[3],
        len(numbers),
    )
