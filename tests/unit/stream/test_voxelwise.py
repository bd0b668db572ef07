"""Consumers with one value per voxel agree with NumPy, for every way of cutting the series."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array.block_reading import BlockReading
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.blocks import BlockLayout
from lazyvox.runtime.progress import NoProgress
from lazyvox.stream.prepared_pass import feed_consumers
from lazyvox.testing.images import image_of as image

SHAPE = (4, 5, 3, 11)
DTYPES = ["u1", "i2", ">i2", "i4", "i8", "u8", "f4", ">f4", "f8"]


def values_of(dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(100, 10, SHAPE).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -1000), min(info.max, 1000), SHAPE).astype(dtype)


def feed(img, consumer, block_volumes, slab_slices=None):
    """Run a pass with a layout of the test's choice and return the consumer's result."""
    import threading

    series = as_series(img)
    slices = slab_slices or series.grid.shape[2]
    layout = BlockLayout(block_volumes, slices, 0, 0)
    consumer.lean_on([consumer])
    consumer.check(series.grid)
    consumer.init(series.grid)
    feed_consumers(
        BlockReading(series.array, series.grid.dtype, layout),
        [consumer],
        progress=NoProgress(),
        cancelled=threading.Event(),
    )
    return consumer.finalize()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("consumer", "oracle"),
    [
        (lv.Sum, lambda a: a.sum(axis=-1, dtype=np.float64 if a.dtype.kind == "f" else None)),
        (lv.Mean, lambda a: a.mean(axis=-1, dtype=np.float64)),
        (lv.Min, lambda a: a.min(axis=-1)),
        (lv.Max, lambda a: a.max(axis=-1)),
        (lv.Variance, lambda a: a.astype(np.float64).var(axis=-1)),
        (lv.Std, lambda a: a.astype(np.float64).std(axis=-1)),
    ],
)
def test_results_are_those_of_numpy(dtype, consumer, oracle):
    values = values_of(dtype)
    result = np.asarray(feed(image(values), consumer(), 4).dataobj)
    expected = oracle(values)
    assert result.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    "consumer", [lv.Sum, lv.Mean, lv.Min, lv.Max, lv.Variance, lv.Std, lv.TSNR]
)
@pytest.mark.parametrize("dtype", ["i2", "u8", "f4"])
def test_results_do_not_depend_on_blocks_and_slabs(consumer, dtype):
    img = image(values_of(dtype))
    expected = np.asarray(feed(img, consumer(), SHAPE[3]).dataobj)
    for block_volumes in range(1, SHAPE[3]):
        result = np.asarray(feed(img, consumer(), block_volumes).dataobj)
        np.testing.assert_array_equal(result, expected)
    for slab_slices in (1, 2):
        result = np.asarray(feed(img, consumer(), 1, slab_slices).dataobj)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "consumer", [lv.Sum, lv.Mean, lv.Min, lv.Max, lv.Variance, lv.Std, lv.TSNR]
)
def test_partial_results_merge(consumer):
    values = values_of("f4")
    first, second = consumer(), consumer()
    feed(image(values[..., :4]), first, 3)
    feed(image(values[..., 4:]), second, 3)
    # Finalizing may use up the state, so both parts are fed again.
    first, second = consumer(), consumer()
    for part, target in ((values[..., :4], first), (values[..., 4:], second)):
        series = as_series(image(part))
        target.lean_on([target])
        target.init(series.grid)
        target.update(np.asfortranarray(part), 0)
    first.merge(second)
    whole = np.asarray(feed(image(values), consumer(), 3).dataobj)
    np.testing.assert_allclose(np.asarray(first.finalize().dataobj), whole, rtol=1e-12)


def test_variance_of_a_small_change_on_a_large_mean_is_right():
    rng = np.random.default_rng(0)
    values = 1e8 + rng.normal(0, 1, SHAPE)
    result = np.asarray(feed(image(values), lv.Variance(), 3).dataobj)
    np.testing.assert_allclose(result, values.var(axis=-1), rtol=1e-12)


def test_variance_survives_a_first_volume_unlike_the_others():
    values = 1e8 + np.random.default_rng(0).normal(0, 1, SHAPE)
    values[..., 0] = 0
    result = np.asarray(feed(image(values), lv.Variance(), 3).dataobj)
    np.testing.assert_allclose(result, values.var(axis=-1), rtol=1e-12)


def test_float32_sums_are_accumulated_in_float64():
    values = np.full((2, 2, 2, 3000), 16_777_217.0, np.float64).astype("f4")
    values[..., ::2] = 1
    result = np.asarray(feed(image(values), lv.Sum(), 7).dataobj)
    np.testing.assert_array_equal(result, values.sum(axis=-1, dtype=np.float64))


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_sums_of_large_integers_are_exact(dtype):
    limit = np.iinfo(dtype).max
    values = np.full((2, 2, 1, 3), limit // 4, dtype)
    result = np.asarray(feed(image(values), lv.Sum(), 2).dataobj)
    assert result.dtype == np.dtype(dtype)
    assert int(result[0, 0, 0]) == 3 * (limit // 4)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_sums_that_overflow_are_refused(dtype):
    values = np.full((2, 2, 1, 3), np.iinfo(dtype).max // 2, dtype)
    with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
        feed(image(values), lv.Sum(), 2)


def test_negative_sums_of_large_integers_are_exact():
    values = np.full((2, 2, 1, 4), np.iinfo("i8").min // 4, "i8")
    result = np.asarray(feed(image(values), lv.Sum(), 3).dataobj)
    assert int(result[0, 0, 0]) == np.iinfo("i8").min


def test_nan_is_passed_on_where_it_is():
    values = values_of("f4")
    values[1, 2, 0, 5] = np.nan
    for consumer in (lv.Mean, lv.Min, lv.Max, lv.Std):
        result = np.asarray(feed(image(values), consumer(), 4).dataobj)
        assert np.isnan(result[1, 2, 0])
        assert np.isnan(result).sum() == 1


def test_complex_voxels_have_a_mean_and_no_order():
    values = (values_of("f4") + 1j * values_of("f4", 1)).astype("c8")
    result = np.asarray(feed(image(values), lv.Mean(), 4).dataobj)
    np.testing.assert_allclose(result, values.mean(axis=-1, dtype=np.complex128))
    with pytest.raises(lv.ParameterTypeError, match="Min needs voxels that can be ordered"):
        feed(image(values), lv.Min(), 4)
    with pytest.raises(lv.ParameterTypeError, match="Std needs real voxels"):
        feed(image(values), lv.Std(), 4)


def test_too_few_volumes_for_ddof_warn_and_give_nan_as_numpy_does():
    values = values_of("f4")[..., :1]
    with pytest.warns(RuntimeWarning, match="degrees of freedom <= 0"):
        result = np.asarray(feed(image(values), lv.Variance(ddof=1), 1).dataobj)
    assert np.isnan(result).all()


@pytest.mark.parametrize("ddof", [-1])
def test_negative_ddof_is_refused(ddof):
    with pytest.raises(
        lv.ParameterError, match=r"`ddof` must be an integer, 0 or larger\. Got -1"
    ):
        lv.Std(ddof)


def test_ddof_must_be_an_integer():
    with pytest.raises(
        lv.ParameterTypeError, match=r"`ddof` must be an integer, 0 or larger\. Got 0\.5"
    ):
        lv.Std(0.5)


def test_tsnr_is_zero_where_nothing_varies():
    values = values_of("f8")
    values[0] = 0
    values[1] = 1e5 / 3
    result = np.asarray(feed(image(values), lv.TSNR(), 4).dataobj)
    assert not result[:2].any()
    expected = values[2:].mean(axis=-1) / values[2:].std(axis=-1)
    np.testing.assert_allclose(result[2:], expected, rtol=1e-10)


def test_results_keep_the_grid_and_forget_the_display_range():
    values = values_of("i2")
    affine = np.diag([-2.0, 3, 4, 1])
    source = nib.Nifti1Image(values, affine)
    source.header["cal_max"] = 500
    source.header.set_xyzt_units("mm", "sec")
    result = feed(source, lv.Mean(), 4)
    assert isinstance(result, nib.Nifti1Image)
    np.testing.assert_array_equal(result.affine, affine)
    assert float(result.header["cal_max"]) == 0
    assert result.header.get_xyzt_units() == ("mm", "sec")
    assert result.shape == SHAPE[:3]
