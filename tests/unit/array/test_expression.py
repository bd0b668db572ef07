"""Element-wise expressions of lazy arrays."""

import pickle

import numpy as np
import pytest

from lazyvox.array.expression import cast, elementwise
from lazyvox.array.memory_reader import in_memory_array

SHAPE = (5, 6, 7, 8)


@pytest.fixture
def run():
    return in_memory_array(np.random.default_rng(0).normal(size=SHAPE).astype("f4"), "run")


@pytest.fixture
def counts():
    values = np.random.default_rng(1).integers(0, 255, SHAPE).astype(np.uint8)
    return in_memory_array(values, "counts")


def expression_of(array):
    return array.reader.transform


def test_equal_steps_are_computed_once(run):
    double = elementwise(np.multiply, run, 2)
    again = elementwise(np.multiply, run, 2)
    both = elementwise(np.add, double, again)
    assert expression_of(both).name == "multiply, add"
    assert len(both.reader.sources) == 1


def test_equal_numbers_of_other_types_are_other_numbers(counts):
    one = elementwise(np.add, counts, 1)
    wide = elementwise(np.add, counts, 1.0)
    assert one.dtype == np.uint8
    assert elementwise(np.add, one, wide).dtype == np.float64
    zero, negative = elementwise(np.copysign, 1.0, elementwise(np.multiply, wide, 0.0)), -0.0
    assert np.signbit(elementwise(np.copysign, zero, negative).read()).all()
    assert not np.signbit(elementwise(np.copysign, zero, 0.0).read()).any()


def test_integers_wrap_as_in_numpy(counts):
    expected = counts.read() + counts.read()
    np.testing.assert_array_equal(elementwise(np.add, counts, counts).read(), expected)


def test_a_number_that_does_not_fit_is_refused_at_once(counts):
    with pytest.raises(OverflowError, match="out of bounds for uint8"):
        elementwise(np.add, counts, 300)


def test_a_power_that_has_no_integer_is_refused_at_once(counts):
    with pytest.raises(ValueError, match="negative integer powers"):
        elementwise(np.power, counts.astype(np.int16), -1)


def test_shapes_that_do_not_go_together(run):
    with pytest.raises(ValueError, match="shape mismatch"):
        elementwise(np.add, run, np.ones(3))


def test_rows_volumes_and_numbers_broadcast(run):
    row, volume = np.arange(8.0), np.ones((5, 6, 7, 1), np.int16)
    array = elementwise(np.add, elementwise(np.multiply, run, row), volume)
    np.testing.assert_array_equal(array.read(), run.read() * row + volume)


def test_one_volume_broadcasts_to_many(run):
    first = run.view((..., slice(0, 1)))
    array = elementwise(np.subtract, run, elementwise(np.add, first, 1))
    np.testing.assert_array_equal(array.read(), run.read() - (run.read()[..., :1] + 1))


def test_a_sum_of_a_thousand_images_is_flat(run):
    total = run
    for _ in range(1000):
        total = elementwise(np.add, total, run)
    again = pickle.loads(pickle.dumps(expression_of(total)))
    assert len(again.steps) == 1001
    view = total.view((..., slice(0, 1)))
    np.testing.assert_allclose(view.read(), run.read()[..., :1] * 1001, rtol=1e-4)


def test_intermediate_results_share_buffers(run):
    array = run
    for number in range(50):
        array = elementwise(np.add, array, number)
    shapes, dtypes = (SHAPE[:3],), (run.dtype,)
    values = np.prod(SHAPE[:3])
    assert expression_of(array).work_bytes(shapes, dtypes) <= 2 * 4 * values


def test_what_a_function_returns_may_be_a_view(run):
    double = elementwise(np.multiply, run, 2)
    same = elementwise(np.real, double)
    array = elementwise(np.subtract, elementwise(np.add, run, 1), same)
    values = run.read()
    np.testing.assert_array_equal(array.read(), values + 1 - values * 2)


def test_casts_and_byte_orders():
    values = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    array = elementwise(cast, in_memory_array(values, "big"), dtype=np.dtype("f4"))
    assert array.dtype == np.dtype("f4")
    np.testing.assert_array_equal(array.read(), values.astype("f4"))
