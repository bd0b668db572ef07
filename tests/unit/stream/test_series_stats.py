"""Global signal, DVARS and histogram agree with NumPy."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing.images import image_of as image

SHAPE = (4, 5, 3, 11)


@pytest.fixture
def values():
    return np.random.default_rng(3).normal(100, 10, SHAPE).astype("f4")


@pytest.fixture
def mask():
    mask = np.random.default_rng(4).random(SHAPE[:3]) < 0.5
    mask[:, :, 1] = False
    return mask


def test_global_signal_is_the_mean_over_voxels(values):
    expected = values.reshape(-1, SHAPE[3]).mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(lv.global_signal(image(values)), expected, rtol=1e-12)


def test_global_signal_within_a_mask(values, mask):
    signal = lv.global_signal(image(values), mask_img=image(mask.astype("u1")))
    np.testing.assert_allclose(signal, values[mask].mean(axis=0, dtype=np.float64), rtol=1e-12)


def test_values_outside_of_the_mask_do_not_count_even_nan(values, mask):
    values[~mask] = np.nan
    signal = lv.global_signal(image(values), mask_img=image(mask.astype("u1")))
    assert np.isfinite(signal).all()


def test_dvars_is_the_root_mean_square_of_the_change(values):
    change = np.diff(values.astype("f8"), axis=-1).reshape(-1, SHAPE[3] - 1)
    result = lv.dvars(image(values))
    assert np.isnan(result[0])
    np.testing.assert_allclose(result[1:], np.sqrt((change**2).mean(axis=0)), rtol=1e-12)


def test_dvars_of_integers_does_not_wrap():
    values = np.zeros((2, 2, 2, 3), "u1")
    values[..., 1] = 200
    np.testing.assert_allclose(lv.dvars(image(values))[1:], [200, 200])


def test_dvars_within_a_mask(values, mask):
    change = np.diff(values[mask].astype("f8"), axis=-1)
    result = lv.dvars(image(values), mask_img=image(mask.astype("u1")))
    np.testing.assert_allclose(result[1:], np.sqrt((change**2).mean(axis=0)), rtol=1e-12)


def test_parts_of_dvars_merge_at_their_seam(values):
    whole = lv.dvars(image(values))
    grid = lv.Scan(image(values)).grid
    first, second = lv.DVARS(), lv.DVARS()
    for consumer, start, stop in ((first, 0, 5), (second, 5, 11)):
        consumer.init(grid)
        consumer.update(np.asfortranarray(values[..., start:stop]), start)
    first.merge(second)
    np.testing.assert_array_equal(first.finalize(), whole)


def test_parts_of_dvars_that_do_not_touch_are_refused(values):
    grid = lv.Scan(image(values)).grid
    first, second = lv.DVARS(), lv.DVARS()
    for consumer, start, stop in ((first, 0, 5), (second, 6, 11)):
        consumer.init(grid)
        consumer.update(np.asfortranarray(values[..., start:stop]), start)
    with pytest.raises(lv.ParameterError, match="neighbouring volumes can be merged"):
        first.merge(second)


@pytest.mark.parametrize("memory", ["9MiB", "64MiB"])
def test_results_do_not_depend_on_the_budget(memory):
    values = np.random.default_rng(5).normal(size=(64, 64, 40, 3)).astype("f4")
    img = image(values)
    np.testing.assert_array_equal(
        lv.global_signal(img), lv.global_signal(img, memory=memory_for(memory))
    )


def memory_for(text):
    return {"9MiB": "17MiB"}.get(text, text)


def test_histogram_is_numpys(values):
    counts, edges = lv.histogram(image(values), bins=20)
    expected = np.histogram(values, bins=20)
    np.testing.assert_array_equal(counts, expected[0])
    np.testing.assert_array_equal(edges, expected[1])


def test_histogram_with_edges_and_with_a_range(values):
    for bins, limits in (([80.0, 100.0, 130.0], None), (7, (90, 110))):
        counts, edges = lv.histogram(image(values), bins=bins, range=limits)
        expected = np.histogram(values, bins=bins, range=limits)
        np.testing.assert_array_equal(counts, expected[0])
        np.testing.assert_array_equal(edges, expected[1])


def test_histogram_without_a_range_takes_a_second_pass_and_says_so(values):
    scan = lv.Scan(image(values))
    scan.add(lv.Histogram())
    assert scan.plan().passes == 2
    scan = lv.Scan(image(values))
    scan.add(lv.Histogram(range=(0, 1)))
    assert scan.plan().passes == 1


def test_histogram_of_nan_without_a_range_is_refused(values):
    values[0, 0, 0, 0] = np.nan
    with pytest.raises(lv.ParameterError, match="all voxels must be finite"):
        lv.histogram(image(values))
    counts, _ = lv.histogram(image(values), bins=4, range=(0.0, 200.0))
    assert counts.sum() == values.size - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": 0}, "`bins` must be at least 1. Got 0"),
        ({"range": (2, 1)}, "`range` must be"),
        ({"range": (0, np.nan)}, "`range` must be"),
    ],
)
def test_impossible_histograms_are_refused(arguments, message):
    with pytest.raises(lv.ParameterError, match=message):
        lv.Histogram(**arguments)


def test_histograms_have_numpys_edges_and_counts_to_the_last_digit():
    rng = np.random.default_rng(0)
    for n_bins in rng.integers(1, 300, 200):
        spread = rng.uniform(0.1, 100)
        drawn = rng.normal(rng.uniform(-1000, 1000), spread, (3, 4, 2, 6)).astype("f4")
        counts, edges = lv.histogram(image(drawn), bins=int(n_bins))
        expected = np.histogram(drawn, int(n_bins))
        np.testing.assert_array_equal(counts, expected[0])
        np.testing.assert_array_equal(edges, expected[1])
        assert edges.dtype == expected[1].dtype


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i8", "u8", "f8"])
def test_histograms_of_whole_ranges_of_types(dtype):
    values = np.zeros((2, 2, 2, 3), dtype)
    info = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo("f4")
    values[0, 0, 0, :2] = info.min, info.max
    img = nib.Nifti1Image(values, np.eye(4), dtype=values.dtype)
    counts, edges = lv.histogram(img, bins=11)
    expected = np.histogram(values, 11)
    np.testing.assert_array_equal(counts, expected[0])
    np.testing.assert_array_equal(edges, expected[1])


def test_bins_that_are_narrower_than_the_digits_are_refused_before_anything_is_read(tmp_path):
    values = np.full((2, 2, 2, 3), 1e8, "f4")
    message = r"`bins` must be wider than the digits of float32\. Got 256 bins"
    with pytest.raises(lv.ParameterError, match=message):
        lv.histogram(image(values))
    scan = lv.Scan(image(values))
    scan.add(lv.Histogram(range=(1e8, 1e8 + 32)))
    with pytest.raises(lv.ParameterError, match=message):
        scan.plan()
