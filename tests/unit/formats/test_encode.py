"""Stored values decode to what was given, or are refused."""

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nibabel.arraywriters import SlopeInterArrayWriter

from lazyvox.errors import ParameterError, ScalingError
from lazyvox.formats.encode import auto_scale, encode

INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]


def stored(values, dtype, slope=1.0, inter=0.0):
    return encode(np.asarray(values), np.dtype(dtype), slope, inter)


@pytest.mark.parametrize("dtype", [*INTEGERS, ">i2", "f4", ">f8", "c8", "c16"])
def test_the_same_type_is_not_copied(dtype):
    values = np.arange(5).astype(dtype)
    assert encode(values, np.dtype(dtype), 1.0, 0.0) is values


def test_bits_of_nan_survive():
    values = np.array([0x7FC00123, 0xFF800001], "u4").view("f4")
    assert stored(values, "f4").tobytes() == values.tobytes()
    assert stored(values[:1], ">f4").byteswap().tobytes() == values[:1].tobytes()


def test_rounding_is_half_to_even_and_ends_fit():
    assert stored([0.5, 1.5, 2.5, -0.5, 255.49], "u1").tolist() == [0, 2, 2, 0, 255]
    assert stored([-128.5, 127.4], "i1").tolist() == [-128, 127]
    assert stored([True, False], "u1").tolist() == [1, 0]
    assert stored(np.array([60000], "f2"), "u2").tolist() == [60000]


@pytest.mark.parametrize(
    ("values", "dtype", "text"),
    [
        ([255.5], "u1", r"uint8 \(0 to 255\).*255.5 to 255.5.*scale=\"auto\""),
        ([-0.6], "u1", r"uint8 \(0 to 255\)"),
        ([np.nan, 3.0], "i2", "1 NaN and 0 infinite"),
        ([np.inf], "i4", "no finite value, 0 NaN and 1 infinite"),
        ([2.0**63], "i8", "int64"),
        ([2.0**64], "u8", "uint64"),
        ([300, 2], "i1", r"int8 \(-128 to 127\)\. Got int64: 2 to 300"),
        ([-1], "u8", r"uint64 .*Got int64: -1 to -1"),
        (np.array([2**63], "u8"), "i8", "9223372036854775808"),
        ([1e39], "f4", r"float32 \(up to 3.4"),
        ([1j], "f4", "without loss of a component"),
        ([1j], "i4", "without loss of a component"),
    ],
)
def test_what_does_not_fit_is_refused(values, dtype, text):
    with pytest.raises(ScalingError, match=text):
        stored(values, dtype)


def test_infinities_and_nan_stay_in_floats():
    values = np.array([np.inf, -np.inf, np.nan, 1e-60])
    assert np.array_equal(stored(values, "f4"), values.astype("f4"), equal_nan=True)


def test_scaled_nan_is_the_value_nearest_to_zero():
    assert stored([np.nan, 10.0], "i2", 0.5, 1.0).tolist() == [-2, 18]
    assert stored([np.nan, 10.0], "u1", 0.5, 1.0).tolist() == [0, 18]


def test_scaled_values_out_of_range_are_refused():
    with pytest.raises(ScalingError, match=r"Got slope 0\.5 and inter 0\.0"):
        stored([200.0], "u1", 0.5)
    with pytest.raises(ScalingError, match="1 infinite"):
        stored([1.0, np.inf], "i2", 0.5)


def test_scaling_of_floats_and_colours():
    assert stored([1.0, 3.0], "f4", 2.0, 1.0).tolist() == [0.0, 1.0]
    assert stored([1 + 2j], "c8", 2.0).tolist() == [0.5 + 1j]
    rgb = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    values = np.zeros(3, rgb)
    assert encode(values, rgb, 1.0, 0.0) is values
    with pytest.raises(ScalingError, match="without loss of a component"):
        encode(values, np.dtype("u1"), 1.0, 0.0)


def test_out_is_filled():
    values = np.array([1.2, 2.6])
    out = np.empty(2, "i2")
    assert encode(values, np.dtype("i2"), 1.0, 0.0, out=out) is out
    assert out.tolist() == [1, 3]
    assert values.tolist() == [1.2, 2.6]


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize(("slope", "inter"), [(1.0, 0.0), (0.37, -4.0)])
def test_blocks_give_what_the_whole_gives(dtype, slope, inter):
    values = np.random.default_rng(0).uniform(0, 80, (5, 6, 7, 8))
    whole = encode(values, np.dtype(dtype), slope, inter)
    for start in range(0, 8, 3):
        block = encode(values[..., start : start + 3], np.dtype(dtype), slope, inter)
        assert np.array_equal(block, whole[..., start : start + 3])


def test_empty_blocks():
    for dtype in ("u1", "f4"):
        assert stored(np.empty((0, 3)), dtype).shape == (0, 3)
        assert stored(np.empty((0, 3)), dtype, 2.0).shape == (0, 3)


finite = st.floats(-1e37, 1e37, allow_subnormal=True)


@given(st.lists(finite, min_size=1, max_size=20), st.sampled_from(INTEGERS))
def test_auto_scaled_values_come_back_within_half_a_step(numbers, dtype):
    values = np.array(numbers)
    slope, inter = auto_scale(values.min(), values.max(), np.dtype(dtype))
    assert np.float32(slope) == slope
    assert np.float32(inter) == inter
    back = stored(values, dtype, slope, inter).astype("f8") * slope + inter
    rounding = np.finfo("f4").eps * np.abs(values) + 4 * np.finfo("f8").eps * abs(inter)
    # Eight bytes hold more than float64, in which is computed.
    wide = slope * 4096 if dtype in ("u8", "i8") else 0.0
    assert (np.abs(back - values) <= slope / 2 * (1 + 1e-6) + rounding + wide).all()


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.sampled_from(["u1", "i1", "u2", "i2", "i4"]))
def test_auto_scale_uses_the_range(low, extent, dtype):
    high = low + extent
    assume(extent > 1e-3 * abs(low))
    slope, inter = auto_scale(low, high, np.dtype(dtype))
    info = np.iinfo(dtype)
    first, last = (int(v) for v in stored([low, high], dtype, slope, inter))
    assert last - first >= 0.99 * (int(info.max) - int(info.min))


@given(st.integers(-(2**63), 2**64 - 1), st.integers(0, 2**32), st.sampled_from(INTEGERS))
def test_integers_that_fit_are_stored_exactly(low, extent, dtype):
    info = np.iinfo(dtype)
    high = min(low + extent, 2**64 - 1)
    assume(low >= 0 or high < 2**63)
    slope, inter = auto_scale(low, high, np.dtype(dtype))
    if info.min <= low and high <= info.max:
        assert (slope, inter) == (1.0, 0.0)
    elif slope == 1.0:
        source = np.array([low, high], "i8") if high < 2**63 else np.array([low, high], "u8")
        back = [int(v) + int(inter) for v in stored(source, dtype, slope, inter)]
        assert back == [low, high] or abs(low) > 2**52


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -7.25, 1e10 + 7, -1e30, 1e-45])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i8"])
def test_constant_values(value, dtype):
    slope, inter = auto_scale(value, value, np.dtype(dtype))
    back = float(stored([value], dtype, slope, inter)[0]) * slope + inter
    assert back == pytest.approx(value, rel=1e-7, abs=1e-38)


def test_auto_scale_is_as_fine_as_nibabel():
    values = np.random.default_rng(0).normal(3, 20, 1000)
    for dtype in ("u1", "i2"):
        slope, _ = auto_scale(values.min(), values.max(), np.dtype(dtype))
        writer = SlopeInterArrayWriter(values, np.dtype(dtype))
        assert slope <= abs(float(nibabel.arraywriters.get_slope_inter(writer)[0])) * (1 + 1e-6)


def test_auto_scale_refuses():
    for low, high in ((np.nan, 1.0), (0.0, np.inf), (-1e300, 1e300)):
        with pytest.raises(ScalingError, match="must be finite and below"):
            auto_scale(low, high, np.dtype("i2"))
    with pytest.raises(ParameterError, match="minimum must not exceed maximum"):
        auto_scale(2.0, 1.0, np.dtype("i2"))
