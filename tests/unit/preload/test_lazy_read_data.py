"""`LazyReadData`: what is loaded when, what counts, what is kept, in one thread."""

import copy
import operator
import pickle

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.preload import EditedDataError
from lazyvox.testing import write_nifti

SHAPE = (4, 5, 6)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


class Counting:
    """A reader of arrays by name, which counts its loads."""

    def __init__(self, **arrays):
        self.arrays = arrays
        self.loads = []

    def __call__(self, name):
        self.loads.append(name)
        return self.arrays[name].copy()


@pytest.fixture
def reader():
    return Counting(a=np.arange(1.0, 7.0), b=np.full(6, 3.0))


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    values = [rng.integers(1, 900, SHAPE).astype("<i2") for _ in range(6)]
    names = [
        write_nifti(tmp_path / f"v{number}.nii.gz", array, affine=AFFINE)
        for number, array in enumerate(values)
    ]
    return names, values


def lazies(reader, nops=0, names="ab"):
    return [lv.LazyReadData(name, nops, reader) for name in names]


OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]


class TestOperators:
    @pytest.mark.parametrize("nops", [0, 1, "auto"])
    @pytest.mark.parametrize("operate", OPERATORS)
    def test_all_forms_equal_numpys(self, reader, operate, nops):
        x, y = reader.arrays["a"], reader.arrays["b"]
        a, b = lazies(reader, nops)
        pairs = [
            (operate(a, b), operate(x, y)),
            (operate(a, y), operate(x, y)),
            (operate(x, b), operate(x, y)),
            (operate(a, 2), operate(x, 2)),
            (operate(2, b), operate(2, y)),
            (operate(np.float64(2), b), operate(2, y)),
            (operate(a, a), operate(x, x)),
        ]
        for found, expected in pairs:
            assert type(found) is lv.LazyReadData
            assert np.array_equal(found.data, expected)

    @pytest.mark.parametrize("operate", [operator.iadd, operator.isub, operator.imul])
    def test_in_place_is_the_same_object(self, reader, operate):
        a, b = lazies(reader, 1)
        before = a
        a = operate(a, b)
        assert a is before
        assert np.array_equal(a.data, operate(reader.arrays["a"].copy(), reader.arrays["b"]))

    def test_in_place_on_an_array(self, reader):
        (a,) = lazies(reader, 1, "a")
        kept = values = np.ones(6)
        values += a
        assert values is kept
        assert np.array_equal(values, 1 + reader.arrays["a"])
        assert not a.preloading()

    def test_in_place_with_itself(self, reader):
        (a,) = lazies(reader, names="a")
        a += a
        assert np.array_equal(a.data, reader.arrays["a"] * 2)

    def test_in_place_keeps_the_type_as_numpy_does(self):
        a = lv.LazyReadData(np.arange(3))
        with pytest.raises(TypeError, match="an in-place operation keeps the type and shape"):
            a += 0.5
        assert a.data.tolist() == [0, 1, 2]

    def test_in_place_on_an_expression_takes_its_place(self, reader):
        a, b = lazies(reader, "auto")
        total = before = a + b
        total += 1
        assert np.array_equal(total.data, before.data + 1)

    def test_unary(self, reader):
        for nops in (1, "auto"):
            (a,) = lazies(reader, nops, "a")
            assert np.array_equal((-a).data, -reader.arrays["a"])
            assert np.array_equal((+a).data, reader.arrays["a"])
            assert np.array_equal(abs(-a).data, reader.arrays["a"])
            assert np.allclose(np.log(a).data, np.log(reader.arrays["a"]))
            assert np.array_equal(np.maximum(a, 2).data, np.maximum(reader.arrays["a"], 2))

    def test_integers_follow_numpy(self):
        a = lv.LazyReadData(np.array([100, 120], np.int8))
        assert (a + 1).data.dtype == np.int8
        assert (a + a).data.tolist() == [-56, -16]
        assert (a / 2).data.dtype == np.float64


class TestCounting:
    def test_nothing_is_loaded_before_use(self, reader):
        a, b = lazies(reader)
        assert (a.filename, a.nops, a.preloading()) == ("a", 0, False)
        assert "not loaded" in repr(b)
        assert not reader.loads

    def test_zero_never_releases(self, reader):
        a, b = lazies(reader)
        for _ in range(5):
            a + b
        assert reader.loads == ["a", "b"]
        assert a.preloading()

    @pytest.mark.parametrize("nops", [1, 2, 3])
    def test_n_operations_then_one_at_a_time(self, reader, nops):
        (a,) = lazies(reader, nops, "a")
        for done in range(1, 6):
            a + 1
            assert len(reader.loads) == max(1, done - nops + 1)
            assert a.preloading() == (done < nops)

    def test_each_place_counts(self, reader):
        (a,) = lazies(reader, 2, "a")
        assert np.array_equal((a + a).data, reader.arrays["a"] * 2)
        assert reader.loads == ["a"]
        assert not a.preloading()

    def test_both_places_of_one_operation_share_a_load(self, reader):
        (a,) = lazies(reader, 1, "a")
        a * a
        assert reader.loads == ["a"]

    def test_what_does_not_count(self, reader):
        (a,) = lazies(reader, 1, "a")
        -a, +a, abs(a), a.data, a.shape, a.sum(), np.asarray(a), np.sqrt(a), np.maximum(a, 1)
        assert a.preloading()
        assert reader.loads == ["a"]
        a + 1
        assert not a.preloading()

    def test_reflected_and_numpy_forms_count(self, reader):
        for operate in (lambda a: 1 + a, lambda a: np.ones(6) + a, lambda a: np.add(a, 1)):
            (a,) = lazies(reader, 1, "a")
            operate(a)
            assert not a.preloading()

    def test_a_failed_operation_leaves_things_usable(self, reader):
        (a,) = lazies(reader, 1, "a")
        with pytest.raises(ValueError, match="could not be broadcast"):
            a + np.ones(7)
        assert np.array_equal((a + 1).data, reader.arrays["a"] + 1)


class TestReleasing:
    def test_release_and_load_again(self, reader):
        (a,) = lazies(reader, names="a")
        first = a.data
        a.release()
        a.release()
        assert not a.preloading()
        assert np.array_equal(a.data, first)
        assert reader.loads == ["a", "a"]

    def test_edits_are_kept_by_automatic_release(self, reader):
        (a,) = lazies(reader, 1, "a")
        a.data[0] = 100
        assert (a + 1).data[0] == 101
        assert a.preloading()
        assert (a + 1).data[0] == 101
        assert reader.loads == ["a"]

    def test_edits_in_place_are_kept(self, reader):
        a, b = lazies(reader, 1)
        a += b
        assert np.array_equal((a + 0).data, reader.arrays["a"] + 3)
        assert a.preloading()
        assert not b.preloading()

    def test_edits_are_not_released_by_mistake(self, reader):
        (a,) = lazies(reader, names="a")
        a.data[0] = 100
        with pytest.raises(EditedDataError, match="Those of a were edited and would be lost"):
            a.release()
        assert a.data[0] == 100
        a.release(discard=True)
        assert a.data[0] == 1

    def test_data_that_were_looked_at_are_released(self, reader):
        (a,) = lazies(reader, 1, "a")
        a.data.sum()
        a + 1
        assert not a.preloading()

    def test_results_are_in_no_file(self, reader):
        a, b = lazies(reader, 1)
        total = a + b
        with pytest.raises(EditedDataError, match="are in no file"):
            total.release()
        total.release(discard=True)
        with pytest.raises(EditedDataError, match="were in no file and were discarded"):
            _ = total.data

    def test_setting_data_counts_as_an_edit(self, reader):
        (a,) = lazies(reader, 1, "a")
        a.data = np.zeros(6)
        a + 1
        assert a.data.tolist() == [0] * 6
        assert not reader.loads

    @pytest.mark.parametrize("edit", ["dataobj", "fdata", "affine", "header"])
    def test_edits_of_images_are_seen(self, files, edit):
        lazy = lv.LazyReadData(files[0][0], 1)
        img = lazy.data
        if edit == "dataobj":
            img.dataobj[0, 0, 0] += 1
        elif edit == "fdata":
            img.get_fdata()[0, 0, 0] += 1
        elif edit == "affine":
            img.affine[0, 3] += 1
        else:
            img.header["descrip"] = b"other"
        lazy + 1
        assert lazy.data is img

    def test_looking_at_images_is_no_edit(self, files):
        lazy = lv.LazyReadData(files[0][0], 1)
        assert lazy.get_fdata().shape == lazy.shape == SHAPE
        assert lazy.affine[0, 0] == 2
        lazy + 1
        assert not lazy.preloading()


class TestImages:
    def test_data_is_an_image_in_memory(self, files):
        img = lv.LazyReadData(files[0][0]).data
        assert isinstance(img, nib.Nifti1Image)
        assert isinstance(img.dataobj, np.ndarray)
        assert img.dataobj.dtype == np.int16
        assert np.array_equal(img.affine, AFFINE)
        assert np.array_equal(img.dataobj, files[1][0])

    def test_dtype(self, files):
        img = lv.LazyReadData(files[0][0], dtype="float32").data
        assert img.dataobj.dtype == img.get_data_dtype() == np.float32

    @pytest.mark.parametrize("nops", [1, "auto"])
    @pytest.mark.parametrize("npreload", [None, 1, 3])
    def test_the_two_expressions_of_the_field(self, files, nops, npreload):
        names, values = files
        volumes = [lv.LazyReadData(name, nops=nops, dtype=np.float32) for name in names]
        loop = volumes if npreload is None else lv.PreloadIterator(volumes, npreload)
        found = sum(loop).data
        assert found.dataobj.dtype == np.float32
        assert np.array_equal(found.dataobj, sum(v.astype("f4") for v in values))
        v1, v2, v3, v4, v5, v6 = volumes
        x1, x2, x3, x4, x5, x6 = (v.astype("f4") for v in values)
        found = (v1 + v2 + v3 - v4 * v5 + v6).data
        assert np.array_equal(found.dataobj, x1 + x2 + x3 - x4 * x5 + x6)
        assert np.array_equal(found.affine, AFFINE)
        assert not any(volume.preloading() for volume in volumes)

    def test_images_take_part_without_being_loaded(self, files, monkeypatch):
        def load(self):
            raise AssertionError

        monkeypatch.setattr(lv.LazyReadData, "_lazy_read", load)
        names, values = files
        first, second, third = (lv.LazyReadData(name, "auto") for name in names[:3])
        found = (np.maximum(first, 2) * second - lv.load(names[2]) + third).data
        expected = np.maximum(values[0], 2) * values[1] - values[2] + values[2]
        assert np.array_equal(found.dataobj, expected)
        assert isinstance(found.dataobj, np.ndarray)
        assert found.dataobj.dtype == expected.dtype

    def test_recorded_expressions_do_not_follow_arrays(self, files):
        names, values = files
        weights = np.full(SHAPE, 2.0)
        found = lv.LazyReadData(names[0], "auto") * weights
        weights[:] = 0
        assert np.array_equal(found.data.dataobj, values[0] * 2.0)

    def test_other_grids_are_refused(self, files, tmp_path):
        other = write_nifti(tmp_path / "other.nii", files[1][0], affine=np.eye(4))
        a, b = lv.LazyReadData(files[0][0]), lv.LazyReadData(other)
        with pytest.raises(lv.GridMismatchError, match=r"other\.nii has shape .*v0\.nii\.gz has"):
            a + b
        with pytest.raises(lv.GridMismatchError, match="an array must fit the grid"):
            a + np.ones((2, *SHAPE))

    def test_a_volume_applies_to_each_of_a_series(self, files, tmp_path):
        series = np.arange(np.prod(SHAPE) * 3, dtype="f4").reshape(*SHAPE, 3)
        run = lv.LazyReadData(write_nifti(tmp_path / "run.nii", series, affine=AFFINE), 1)
        volume = lv.LazyReadData(files[0][0], 1)
        expected = series * files[1][0][..., None]
        assert np.array_equal((run * volume).data.dataobj, expected)
        assert np.array_equal((volume * run).data.dataobj, expected)
        assert np.array_equal((run * files[1][0]).data.dataobj, expected)

    def test_images_of_other_makers(self, files):
        names, values = files
        lazy = lv.LazyReadData(names[0], 1)
        for img in (nib.load(names[1]), lv.load(names[1]), lv.LazyReadData(names[1]).data):
            assert np.array_equal((lazy - img).data.dataobj, values[0] - values[1])
            assert np.array_equal((img - lazy).data.dataobj, values[1] - values[0])

    @pytest.mark.parametrize("load", [nib.load, lv.load], ids=["nibabel", "lazyvox"])
    def test_an_image_in_a_file_is_released_too(self, files, load):
        lazy = lv.LazyReadData(load(files[0][0]), 1, dtype="f4")
        assert not lazy.preloading()
        assert np.array_equal((lazy + 1).data.dataobj, files[1][0] + np.float32(1))
        assert not lazy.preloading()
        assert lazy.filename == str(files[0][0])

    def test_memory_that_a_reader_keeps_is_not_written_to(self):
        kept = {"a": np.ones(3), "b": np.ones(3)}
        a, b = (lv.LazyReadData(name, 1, kept.get) for name in "ab")
        (a + b).data[:] = 7
        assert kept["a"].tolist() == kept["b"].tolist() == [1, 1, 1]

    def test_data_that_the_user_holds_are_not_written_to(self, files):
        a, b = (lv.LazyReadData(name, 1) for name in files[0][:2])
        mine = a.data
        a + b
        assert np.array_equal(mine.dataobj, files[1][0])


class TestCopies:
    def test_the_copy_of_a_loaded_one_takes_its_data_along(self, reader):
        (a,) = lazies(reader, 0, "a")
        first = a.data
        again = lv.LazyReadData(a)
        assert again.preloading()
        assert again.data is first
        assert reader.loads == ["a"]
        again += 1
        assert np.array_equal(again.data, reader.arrays["a"] + 1)
        assert np.array_equal(a.data, reader.arrays["a"])

    def test_data_keep_the_name_of_their_file(self, reader):
        values = reader.arrays["a"] * 2
        lazy = lv.LazyReadData(values, 1, reader, filename="a")
        assert (lazy.filename, lazy.preloading()) == ("a", True)
        assert np.array_equal((lazy + 0).data, values)
        assert not lazy.preloading()
        assert np.array_equal(lazy.data, reader.arrays["a"])
        with pytest.raises(
            lv.errors.ParameterError, match="`filename` must name the file of data"
        ):
            lv.LazyReadData("a", filename="b")

    def test_a_subclass_gets_what_was_read(self, reader):
        class Doubled(lv.LazyReadData):
            def _lazy_read(self):
                return super()._lazy_read() * 2

        assert np.array_equal(Doubled("a", reader=reader).data, 2 * reader.arrays["a"])

    def test_the_copy_has_the_source(self, reader):
        (a,) = lazies(reader, 1, "a")
        again = lv.LazyReadData(lv.LazyReadData(a))
        assert (again.filename, again.nops) == ("a", 1)
        assert not reader.loads
        assert np.array_equal((again + 1).data, reader.arrays["a"] + 1)
        assert not again.preloading()

    def test_a_copy_of_edited_data_has_them_and_is_independent(self, reader):
        (a,) = lazies(reader, names="a")
        a.data[:] = 5
        again = lv.LazyReadData(a)
        again += 1
        assert again.data.tolist() == [6] * 6
        assert a.data.tolist() == [5] * 6

    def test_a_copy_of_a_result_and_of_an_expression(self, reader):
        for nops in (1, "auto"):
            a, b = lazies(reader, nops)
            again = lv.LazyReadData(a + b)
            assert np.array_equal(again.data, reader.arrays["a"] + 3)

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
    def test_copies_of_the_standard_library(self, files, duplicate):
        lazy = lv.LazyReadData(files[0][0], 1)
        _ = lazy.data
        again = duplicate(lazy)
        assert not again.preloading()
        assert np.array_equal(again.data.dataobj, files[1][0])

    def test_pickles(self, files):
        lazy = lv.LazyReadData(files[0][0], 1, dtype="f4")
        _ = lazy.data
        pickled = pickle.dumps(lazy)
        assert len(pickled) < 2000
        again = pickle.loads(pickled)
        assert not again.preloading()
        assert np.array_equal((again + lazy).data.dataobj, files[1][0] * np.float32(2))
        result = pickle.loads(pickle.dumps(lazy + 1))
        assert np.array_equal(result.data.dataobj, files[1][0] + np.float32(1))
        lazy += 1
        assert np.array_equal(pickle.loads(pickle.dumps(lazy)).data.dataobj, lazy.data.dataobj)

    def test_expressions_pickle_without_data_however_long(self, files):
        lazy = lv.LazyReadData(files[0][0], "auto", dtype="f8")
        total = sum([lazy] * 1500)
        pickled = pickle.dumps(total)
        assert len(pickled) < 100_000
        expected = files[1][0] * 1500.0
        assert np.array_equal(pickle.loads(pickled).data.dataobj, expected)
        assert np.array_equal(total.data.dataobj, expected)


class TestReaders:
    def test_options_reach_the_reader(self):
        def read(name, **options):
            return np.array([options["scale"], options["shift"]])

        lazy = lv.LazyReadData("x", 0, read, {"scale": 2}, shift=3)
        assert lazy.data.tolist() == [2, 3]

    def test_objects_that_read(self):
        class Reader:
            def read(self, name):
                return np.array([len(name)])

        assert lv.LazyReadData("abc", reader=Reader()).data.tolist() == [3]

    def test_subclasses_set_data(self, files):
        class Doubled(lv.LazyReadData):
            def _lazy_read(self):
                assert self.data is None
                super()._lazy_read()
                self.data = self.data.dataobj * 2

        lazy = Doubled(files[0][0], 1)
        assert np.array_equal(lazy.data, files[1][0] * 2)
        assert np.array_equal((lazy + 1).data, files[1][0] * 2 + 1)
        assert not lazy.preloading()
        assert np.array_equal(lv.LazyReadData(lazy).data, files[1][0] * 2)

    def test_subclasses_may_return_data(self):
        class Three(lv.LazyReadData):
            def _lazy_read(self):
                return np.full(3, 3)

        assert Three("nothing").data.tolist() == [3, 3, 3]

    def test_a_reader_that_gives_nothing(self):
        with pytest.raises(TypeError, match="x: the reader must return the data"):
            _ = lv.LazyReadData("x", reader=lambda name: None).data

    def test_private_attributes_load_nothing(self, reader):
        (a,) = lazies(reader, names="a")
        assert not hasattr(a, "_repr_html_")
        assert not hasattr(a, "__array_interface__")
        with pytest.raises(AttributeError, match="no attribute 'of_no_array'"):
            _ = a.of_no_array

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"nops": -1}, ValueError, "`nops` must be 0, for never"),
            ({"nops": 1.5}, TypeError, "`nops` must be a number of operations"),
            ({"nops": "often"}, TypeError, "`nops` must be a number of operations"),
            ({"reader": 7}, TypeError, "`reader` must be a function of a path"),
        ],
    )
    def test_arguments_are_checked_at_once(self, arguments, error, text):
        with pytest.raises(error, match=text):
            lv.LazyReadData("x.nii", **arguments)


@pytest.mark.parametrize("name", ["max", "min", "sum", "mean", "std", "var", "any", "all", "prod"])
@pytest.mark.parametrize("axis", [None, -1])
def test_reductions_of_numpy(tmp_path, name, axis):
    values = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4, 2, 6)).astype("f4")
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "run.nii.gz")
    found = getattr(np, name)(lv.LazyReadData(tmp_path / "run.nii.gz"), axis=axis)
    expected = getattr(np, name)(values, axis=axis)
    given = np.asarray(getattr(found, "dataobj", found))
    assert given.dtype == expected.dtype
    np.testing.assert_allclose(given, expected, rtol=1e-5)
