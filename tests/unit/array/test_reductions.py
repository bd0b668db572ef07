"""One kit of reductions: the same value, type and error by whatever door it is asked for."""

import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.numpy_functions import REDUCING
from lazyvox.array.reader import FileReader
from lazyvox.array.reduction_reader import evaluate, reduced
from lazyvox.array.reductions import REDUCTIONS
from lazyvox.array.value_range import ValueRange
from lazyvox.image import math_img
from lazyvox.lazyimage.classes import lazy_image
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import CountingSource, MemorySource, nifti_bytes
from lazyvox.testing.images import image_of as image

SHAPE = (3, 4, 5, 6)
RNG = np.random.default_rng(4)
IN_NUMPY = sorted(name for name in REDUCTIONS if hasattr(np, name))
METHODS = sorted(name for name in set(REDUCING.values()) if not REDUCTIONS[name].needs_time)


@pytest.fixture
def loaded(tmp_path):
    """Return a function that saves values and loads them lazily."""

    def load(values):
        path = tmp_path / f"{values.dtype.str[1:]}{values.size}.nii"
        path.write_bytes(nifti_bytes(values))
        return lv.load(path)

    return load


def values_of(found):
    return np.asarray(getattr(found, "dataobj", found))


def plain(name, values, axis=-1, ddof=0):
    """Return NumPy's reduction in the types of the voxelwise images."""
    values = values if name in {"min", "max", "argmin", "argmax"} else values.astype("f8")
    options = {"ddof": ddof} if REDUCTIONS[name].has_ddof else {}
    options |= {"q": ddof} if name == "percentile" else {}
    return getattr(np, name)(values, axis=axis, **options)


class TestStates:
    """The states of the kit, fed by hand."""

    @given(
        name=st.sampled_from(sorted(REDUCTIONS)),
        dtype=st.sampled_from(["u1", "i2", "i8", "u8", "f4", "f8"]),
        cuts=st.lists(st.integers(1, 8), max_size=3).map(sorted),
        n_slices=st.integers(1, 5),
        seed=st.integers(0, 9),
    )
    def test_parts_merge_into_the_whole(self, name, dtype, cuts, n_slices, seed):
        values = np.random.default_rng(seed).integers(0, 9, (*SHAPE[:3], 9)).astype(dtype)
        whole, *parts = (
            self.fed(name, values[..., start:stop], n_slices)
            for start, stop in [(0, 9), *zip([0, *cuts], [*cuts, 9], strict=True)]
        )
        merged = parts[0]
        for part in parts[1:]:
            if merged.count:
                merged.merge(part)
            else:
                merged = part
        expected = REDUCTIONS[name].finalize(whole, 1)
        np.testing.assert_allclose(REDUCTIONS[name].finalize(merged, 1), expected, atol=1e-9)

    @staticmethod
    def fed(name, values, n_slices):
        state = REDUCTIONS[name].new_state(values.shape[:3], values.dtype, 9)
        for volume in np.moveaxis(values, -1, 0):
            for k in range(0, volume.shape[2], n_slices):
                slab = np.asfortranarray(volume[:, :, k : k + n_slices])
                state.take(slab, slice(k, k + slab.shape[2]))
        return state

    @pytest.mark.parametrize("name", IN_NUMPY)
    def test_states_are_numpys(self, name):
        values = RNG.normal(size=SHAPE).astype("f4")
        found = REDUCTIONS[name].finalize(self.fed(name, values, 2), 1)
        np.testing.assert_allclose(found, plain(name, values, ddof=1), rtol=1e-6)


class TestOverflow:
    """A sum of integers that would wrap around is an error by every door."""

    @pytest.mark.parametrize("dtype", ["i8", "u8"])
    @pytest.mark.parametrize("axis", [-1, None, (0, 1, 2), 0, (1, 3)])
    def test_of_methods_and_formulas(self, loaded, dtype, axis):
        img = loaded(np.full(SHAPE, np.iinfo(dtype).max // 2, dtype))
        with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
            values_of(img.sum(axis))
        with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
            values_of(np.sum(img, axis))
        for formula in (
            f"np.sum(img, {axis})",
            f"img.sum(axis={axis})",
            f"np.nansum(img, {axis})",
        ):
            with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
                math_img(formula, img=img)

    def test_of_images(self, loaded):
        img = loaded(np.full(SHAPE, np.iinfo("i8").max // 2, "i8"))
        with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
            lv.sum_img(img)

    def test_of_arrays_in_a_formula(self, loaded):
        img = loaded(np.full(SHAPE, np.iinfo("i8").max // 2, "i8"))
        with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
            math_img("np.sum(np.sort(img, axis=0), axis=-1)", img=img)

    @pytest.mark.parametrize("dtype", ["i8", "u8"])
    @pytest.mark.parametrize("axis", [-1, None, (0, 1, 2), 0, (1, 3)])
    def test_what_fits_is_exact(self, loaded, dtype, axis):
        values = RNG.integers(0, np.iinfo(dtype).max // 400, SHAPE, dtype)
        values[0] += np.iinfo(dtype).max // 400
        found = values_of(loaded(values).sum(axis))
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, values.sum(axis))

    def test_a_type_that_was_asked_for(self, loaded):
        img = loaded(np.full(SHAPE, 100, "i2"))
        assert values_of(img.sum(-1, dtype="i2")).dtype == np.int16
        with pytest.raises(lv.ParameterError, match="must fit `dtype`, int8 here"):
            values_of(img.sum(-1, dtype="i1"))


class TestInfiniteValues:
    """The variance of a voxel with an infinite value is NaN, as NumPy's."""

    CASES = (
        [1, 2, np.inf],
        [np.inf, 1, 2],
        [1, -np.inf, 2],
        [np.inf],
        [np.inf, np.inf],
        [np.nan, 1],
    )

    @pytest.mark.parametrize("course", CASES)
    def test_is_nan(self, course):
        values = np.ones((2, 2, 2, len(course)))
        values[1, 0, 1] = course
        img = image(values)
        with warnings.catch_warnings():
            # NumPy warns of what is left of an infinite value without its mean.
            warnings.simplefilter("ignore", RuntimeWarning)
            scan = lv.Scan(img)
            handles = [scan.add(one) for one in (lv.Std(), lv.Variance(), lv.TSNR())]
            scan.run()
            found = [handle.result() for handle in handles]
            found += [lv.std_img(img), lv.var_img(img), lv.tsnr_img(img)]
            found += [math_img("np.std(img, -1)", img=img), math_img("img.var(axis=-1)", img=img)]
        for one in found:
            result = values_of(one)
            assert np.isnan(result[1, 0, 1])
            assert np.isnan(result).sum() == 1

    @pytest.mark.parametrize("course", CASES)
    @pytest.mark.parametrize("axis", [-1, (0, 3), (0, 1, 2), None])
    @pytest.mark.parametrize("name", ["std", "var"])
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_of_methods(self, loaded, course, axis, name):
        values = np.ones((2, 2, 2, len(course)))
        values[1, 0, 1] = course
        expected = getattr(values, name)(axis=axis)
        np.testing.assert_array_equal(values_of(getattr(loaded(values), name)(axis)), expected)


class TestPositions:
    """`argmin` and `argmax`, as NumPy has them."""

    @pytest.mark.parametrize("name", ["argmin", "argmax"])
    @pytest.mark.parametrize("axis", [-1, 0, 1, 2, None])
    @pytest.mark.parametrize("dtype", ["u1", "f4"])
    def test_are_numpys(self, loaded, name, axis, dtype):
        values = RNG.integers(0, 4, SHAPE).astype(dtype)
        if dtype == "f4":
            values[0, 1, 2, 3:5] = np.nan
        img = loaded(values)
        expected = getattr(np, name)(values, axis=axis)
        for found in (getattr(img, name)(axis), getattr(np, name)(img, axis=axis)):
            assert values_of(found).dtype == np.intp
            np.testing.assert_array_equal(values_of(found), expected)
        kept = getattr(np, name)(values, axis=axis, keepdims=True)
        np.testing.assert_array_equal(values_of(getattr(img, name)(axis, keepdims=True)), kept)
        volume = loaded(values[..., 3])
        expected = getattr(np, name)(values[..., 3], axis=axis)
        np.testing.assert_array_equal(values_of(getattr(volume, name)(axis)), expected)

    @pytest.mark.parametrize("name", ["argmin", "argmax"])
    def test_in_formulas(self, loaded, name):
        values = RNG.normal(size=SHAPE).astype("f4")
        found = math_img(f"np.{name}(img, axis=-1) + 0.5", img=loaded(values))
        np.testing.assert_array_equal(values_of(found), getattr(np, name)(values, axis=-1) + 0.5)

    def test_take_one_axis(self, loaded):
        with pytest.raises(lv.ParameterError, match="axis` of argmin must be None or one axis"):
            loaded(np.ones(SHAPE, "f4")).argmin(axis=(0, 1))


class TestOrderStatistics:
    """Median and percentile over time; only the courses of voxels have them."""

    def test_share_a_pass_and_a_spool(self, loaded):
        values = RNG.normal(size=SHAPE).astype("f4")
        array = loaded(values).dataobj
        found = [reduced(array, "median", axis=-1), reduced(array, "percentile", axis=-1, q=20)]
        evaluate([one.reader for one in found])
        np.testing.assert_array_equal(found[0].read(), np.median(values, axis=-1))
        wanted = np.percentile(values.astype("f8"), 20, axis=-1).astype("f4")
        np.testing.assert_array_equal(found[1].read(), wanted)

    def test_need_time(self, loaded):
        array = loaded(np.ones(SHAPE, "f4")).dataobj
        with pytest.raises(lv.ParameterError, match="median is taken over time"):
            reduced(array, "median", axis=0)


class TestMeanSquares:
    """Mean of the squares, and of what mean and linear trend leave."""

    @pytest.mark.parametrize("mean", [0.0, 1e7])
    @pytest.mark.parametrize("n_volumes", [1, 2, 3, 40])
    def test_are_those_of_least_squares(self, mean, n_volumes):
        values = mean + np.cumsum(RNG.normal(size=(3, 4, 5, n_volumes)), axis=-1)
        array = in_memory_array(values, "run")
        plain = reduced(array, "mean_square", axis=-1).read()
        np.testing.assert_allclose(plain, (values**2).mean(axis=-1), rtol=1e-12)
        series = values.reshape(-1, n_volumes).T
        design = np.column_stack([np.ones(n_volumes), np.arange(n_volumes)])
        left = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
        expected = (left**2).mean(axis=0).reshape(values.shape[:3])
        found = reduced(array, "detrended_mean_square", axis=-1).read()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 + mean * 1e-14)

    @pytest.mark.parametrize("name", ["mean_square", "detrended_mean_square"])
    def test_are_nan_where_a_value_is_not_finite(self, name):
        values = np.ones((2, 1, 1, 5))
        values[1, 0, 0, 3] = np.inf
        with np.errstate(invalid="ignore"):
            found = reduced(in_memory_array(values, "run"), name, axis=-1).read()
        assert np.isfinite(found[0]).all()
        assert np.isnan(found[1]).all()


class TestDoors:
    """Methods, NumPy's functions and formulas give one answer."""

    @pytest.mark.parametrize("name", METHODS)
    @pytest.mark.parametrize("dtype", ["i2", "u1", "f4", "f8"])
    @pytest.mark.parametrize("axis", [-1, None, 0])
    def test_types_and_values(self, loaded, name, dtype, axis):
        values = RNG.integers(0, 100, SHAPE).astype(dtype)
        img = loaded(values)
        expected = np.asarray(getattr(np, name)(values, axis=axis))
        found = [
            getattr(img, name)(axis),
            getattr(np, name)(img, axis),
            getattr(np, name)(a=img, axis=axis),
        ]
        if axis == -1:
            given = values_of(math_img(f"np.{name}(img, axis=-1) * 1.0", img=img))
            np.testing.assert_allclose(given, expected, rtol=1e-6)
        for one in found:
            assert values_of(one).dtype == expected.dtype
            np.testing.assert_allclose(values_of(one), expected, rtol=1e-6)

    @pytest.mark.parametrize("name", ["sum", "mean", "std", "var"])
    @pytest.mark.parametrize("dtype", ["f4", "f8", np.float64])
    def test_a_type_of_ones_own(self, loaded, name, dtype):
        values = RNG.integers(0, 100, SHAPE).astype("i2")
        img = loaded(values)
        expected = getattr(np, name)(values, axis=-1, dtype=dtype)
        formula = f"np.{name}(img, axis=-1, dtype=np.{np.dtype(dtype).name})"
        for found in (getattr(np, name)(img, axis=-1, dtype=dtype), math_img(formula, img=img)):
            assert values_of(found).dtype == expected.dtype
            np.testing.assert_allclose(values_of(found), expected, rtol=1e-5)

    def test_what_is_not_known_is_refused_by_name(self, loaded):
        img = loaded(np.ones(SHAPE, "f4"))
        with pytest.raises(
            lv.ParameterTypeError, match=r"numpy\.sum of images knows .* Got 'initial'"
        ):
            np.sum(img, initial=3)
        with pytest.raises(lv.ParameterTypeError, match="Got 'where'"):
            np.mean(img, where=np.ones(SHAPE, bool))
        with pytest.raises(lv.ParameterTypeError, match="`out` of max must be left out"):
            np.max(img, out=np.empty(()))
        with pytest.raises(
            lv.ParameterTypeError, match="`dtype` of mean must be a type of floats"
        ):
            np.mean(img, dtype=np.int16)
        with pytest.raises(TypeError, match="unexpected keyword argument 'ddof'"):
            img.mean(ddof=1)

    def test_arrays_of_any_number_of_axes(self, loaded):
        values = RNG.normal(size=SHAPE)
        img = loaded(values)
        found = img.mean(axis=(0, 1)).sum(axis=0).max()
        np.testing.assert_allclose(float(found), values.mean(axis=(0, 1)).sum(axis=0).max())

    @pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
    def test_arrays_without_a_value(self):
        array = in_memory_array(np.empty((2, 3, 0, 4)), "nothing")
        assert reduced(array, "sum", axis=-1).read().shape == (2, 3, 0)
        np.testing.assert_array_equal(reduced(array, "sum", axis=2).read(), np.zeros((2, 3, 4)))
        assert np.isnan(reduced(array, "mean").read())
        with pytest.raises(lv.ParameterError, match="max needs at least one value"):
            reduced(array, "max")

    def test_a_formula_of_many_reductions_is_one_pass(self, loaded):
        values = RNG.normal(size=SHAPE)
        source = CountingSource(MemorySource(values.tobytes(order="F"), compression="gzip"))
        array = lv.LazyArray.over(FileReader(source, ArraySpec(SHAPE, values.dtype, 0)))
        header = nib.Nifti1Header()
        header.set_data_dtype(values.dtype)
        img = lazy_image(nib.Nifti1Image, array, np.eye(4), header)
        formula = "img.mean(axis=-1) * (np.max(img) - np.min(img)) / np.std(img) + np.argmax(img)"
        found = math_img(formula, img=img)
        source.assert_each_byte_once()
        expected = values.mean(-1) * np.ptp(values) / values.std() + values.argmax()
        np.testing.assert_allclose(values_of(found), expected)


class TestValueRange:
    """Smallest and largest value of everything."""

    def test_integers_keep_every_digit(self):
        seen = ValueRange("not finite")
        seen.take(np.array([2**63 - 1, 5]))
        seen.take(np.array([-(2**62) - 1]))
        assert seen.limits == (-(2**62) - 1, 2**63 - 1)

    @pytest.mark.parametrize(
        ("skip", "expected"),
        [("", (np.nan, np.nan)), ("nan", (-1.0, np.inf)), ("not finite", (-1.0, 4.0))],
    )
    def test_what_does_not_count(self, skip, expected):
        seen, others = ValueRange(skip), ValueRange(skip)
        seen.take(np.array([np.nan, np.nan]))
        others.take(np.array([4.0, np.inf, -1.0]))
        seen.merge(others)
        np.testing.assert_array_equal(seen.limits, expected)

    def test_of_nothing(self):
        assert ValueRange().limits == (0, 0)
