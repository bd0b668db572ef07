"""Stored type and scaling: as nibabel where nibabel decides, and never a silent loss."""

import copy
import pickle

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import LazyvoxWarning, ParameterError, ScalingError
from lazyvox.formats import mgh
from lazyvox.image import concat_imgs, index_img, math_img, mean_img, smooth_img

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(4, 5, 6, 3)).astype(np.float32)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


@pytest.fixture
def floats(tmp_path):
    nib.save(nib.Nifti1Image(FLOATS, AFFINE), tmp_path / "floats.nii")
    return tmp_path / "floats.nii"


def read(path):
    return nib.load(path).get_fdata()


def pickled(img):
    return pickle.loads(pickle.dumps(img))


#: Images made of another one: of new values, or of a part of its values.
DERIVED = {
    "smooth_img": lambda img: smooth_img(img, 2),
    "math_img": lambda img: math_img("img * 2", img=img),
    "math_img, its header": lambda img: math_img("img * 2", img=img, copy_header_from="img"),
    "operator": lambda img: img * 2,
    "mean": lambda img: img.mean(-1),
    "mean_img": lambda img: mean_img(img, copy_header=True),
    "index_img": lambda img: index_img(img, slice(1, 3)),
    "concat_imgs": lambda img: concat_imgs([img, img]),
    "slicer": lambda img: img.slicer[..., 1],
}


class TestMethodsOfNibabel:
    @pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
    def test_to_filename_with_a_type_scales_as_nibabel(self, floats, tmp_path, dtype):
        nib.load(floats).to_filename(tmp_path / "n.nii", dtype=dtype)
        lv.load(floats).to_filename(tmp_path / "m.nii", dtype=dtype)
        nib.save(lv.load(floats), tmp_path / "s.nii", dtype=dtype)
        theirs = np.abs(read(tmp_path / "n.nii") - FLOATS).max()
        for name in ("m.nii", "s.nii"):
            assert nib.load(tmp_path / name).get_data_dtype() == np.dtype(dtype)
            assert np.abs(read(tmp_path / name) - FLOATS).max() <= 1.01 * theirs

    def test_integers_that_do_not_fit_are_scaled_too(self, tmp_path):
        values = RNG.integers(-3000, 3000, (4, 5, 6)).astype("i2")
        nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "i.nii")
        nib.load(tmp_path / "i.nii").to_filename(tmp_path / "n.nii", dtype="uint8")
        lv.load(tmp_path / "i.nii").to_filename(tmp_path / "m.nii", dtype="uint8")
        theirs = np.abs(read(tmp_path / "n.nii") - values).max()
        assert np.abs(read(tmp_path / "m.nii") - values).max() <= 1.01 * theirs

    @pytest.mark.parametrize("save", [nib.save, lv.save], ids=["nibabel", "lazyvox"])
    @pytest.mark.parametrize("low", [-3000, 0, 100])
    @pytest.mark.parametrize("stored", ["i2", "u4"])
    def test_a_smaller_type_set_in_the_header_scales_as_nibabel(self, tmp_path, save, low, stored):
        values = RNG.integers(
            max(low, 0) if stored == "u4" else low, 200 + abs(low) * 9, (4, 5, 6)
        )
        nib.save(nib.Nifti1Image(values.astype(stored), AFFINE), tmp_path / "i.nii")
        for load, to, name in ((nib.load, nib.save, "n.nii"), (lv.load, save, "m.nii")):
            img = load(tmp_path / "i.nii")
            img.set_data_dtype("uint8")
            to(img, tmp_path / name)
        theirs = np.abs(read(tmp_path / "n.nii") - values).max()
        assert nib.load(tmp_path / "m.nii").get_data_dtype() == np.uint8
        assert np.abs(read(tmp_path / "m.nii") - values).max() <= 1.01 * theirs

    def test_integers_loaded_in_another_type_are_stored_in_it(self, tmp_path):
        values = RNG.integers(-3000, 3000, (4, 5, 6))
        nib.save(nib.Nifti1Image(values.astype("i2"), AFFINE), tmp_path / "i.nii")
        lv.save(lv.load(tmp_path / "i.nii", dtype="i4"), tmp_path / "m.nii")
        assert nib.load(tmp_path / "m.nii").dataobj.slope == 1
        np.testing.assert_array_equal(read(tmp_path / "m.nii"), values)

    def test_integers_that_fit_stay_as_they_are(self, tmp_path):
        values = RNG.integers(0, 255, (4, 5, 6)).astype("i2")
        nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "i.nii")
        lv.load(tmp_path / "i.nii").to_filename(tmp_path / "m.nii", dtype="uint8")
        assert nib.load(tmp_path / "m.nii").dataobj.slope == 1
        np.testing.assert_array_equal(read(tmp_path / "m.nii"), values)

    @pytest.mark.parametrize("make", [nib.Nifti1Image, type(None)])
    def test_a_scaling_set_in_the_header_is_stored_over_the_values(self, tmp_path, make):
        raw = np.arange(24, dtype="i2").reshape(2, 3, 4)
        nib.save(nib.Nifti1Image(raw, AFFINE), tmp_path / "raw.nii")
        lazy_class = type(lv.load(tmp_path / "raw.nii"))
        image_class = make if make is nib.Nifti1Image else lazy_class
        img, peer = image_class(raw, AFFINE), nib.Nifti1Image(raw, AFFINE)
        for one in (img, peer):
            one.header.set_slope_inter(2, 60)
        peer.to_filename(tmp_path / "n.nii")
        lv.save(img, tmp_path / "m.nii")
        scan = lv.Scan(img)
        scan.add(lv.Write(tmp_path / "w.nii"))
        scan.run()
        for name in ("m.nii", "w.nii"):
            np.testing.assert_array_equal(
                read(tmp_path / name).squeeze(), read(tmp_path / "n.nii")
            )
            assert read(tmp_path / name).max() == 106

    def test_a_scaling_set_on_a_loaded_image_lies_over_its_values_as_in_nibabel(self, tmp_path):
        img = nib.Nifti1Image(RNG.normal(size=(2, 3, 4)) * 100, AFFINE)
        img.set_data_dtype("i2")
        img.to_filename(tmp_path / "scaled.nii")
        for load, name in ((nib.load, "n.nii"), (lv.load, "m.nii")):
            one = load(tmp_path / "scaled.nii")
            one.header.set_slope_inter(2, 60)
            one.to_filename(tmp_path / name)
        np.testing.assert_array_equal(read(tmp_path / "m.nii"), read(tmp_path / "n.nii"))

    @pytest.mark.parametrize("name", DERIVED)
    @pytest.mark.parametrize("source", ["array", "file", "scaled file"])
    @pytest.mark.filterwarnings("ignore:.*splines between its values:lazyvox.LazyvoxWarning")
    def test_a_scaling_set_in_a_header_is_not_that_of_images_made_of_it(
        self, tmp_path, source, name
    ):
        raw = RNG.integers(1, 100, (4, 5, 6, 3)).astype("i2")
        plain = nib.Nifti1Image(raw, AFFINE)
        if source == "scaled file":
            plain.header.set_slope_inter(0.5, 3)
        nib.save(plain, tmp_path / "raw.nii")
        opened = lv.load(tmp_path / "raw.nii")
        img = type(opened)(raw, AFFINE) if source == "array" else opened
        expected = np.asarray(DERIVED[name](img).dataobj)
        img.header.set_slope_inter(2, 60)
        made = DERIVED[name](img)
        np.testing.assert_array_equal(np.asarray(made.dataobj), expected)
        lv.save(made, tmp_path / "m.nii")
        np.testing.assert_allclose(read(tmp_path / "m.nii"), expected, rtol=1e-6)

    @pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
    def test_a_scaling_set_in_a_header_is_copied_with_the_image(self, tmp_path, again):
        raw = np.arange(24, dtype="i2").reshape(2, 3, 4)
        nib.save(nib.Nifti1Image(raw, AFFINE), tmp_path / "raw.nii")
        for img in (
            lv.load(tmp_path / "raw.nii"),
            type(lv.load(tmp_path / "raw.nii"))(raw, AFFINE),
        ):
            img.header.set_slope_inter(2, 60)
            other = again(img)
            other.header.set_slope_inter(3, 60)
            assert img.header.get_slope_inter() == (2, 60)
            lv.save(again(img), tmp_path / "m.nii")
            np.testing.assert_array_equal(read(tmp_path / "m.nii"), raw * 2.0 + 60)

    @pytest.mark.parametrize("alias", ["compat", "smallest"])
    @pytest.mark.parametrize(
        "values",
        [
            np.array([0, 200], "i8"),
            np.array([-1, 200], "i8"),
            np.array([0, 70000], "i8"),
            np.array([0, 100], "i1"),
            np.array([-5, 100], "i1"),
            np.array([0, 40000], "u2"),
            np.array([0, 30000], "u2"),
        ],
    )
    def test_types_that_depend_on_the_values(self, tmp_path, alias, values):
        values = np.resize(values, (2, 3, 4))
        img = nib.Nifti1Image(values, AFFINE, dtype=values.dtype)
        img.to_filename(tmp_path / "v.nii")
        for load, name in ((nib.load, "n.nii"), (lv.load, "m.nii")):
            one = load(tmp_path / "v.nii")
            one.set_data_dtype(alias)
            nib.save(one, tmp_path / name)
        theirs, ours = nib.load(tmp_path / "n.nii"), nib.load(tmp_path / "m.nii")
        assert ours.get_data_dtype() == theirs.get_data_dtype()
        np.testing.assert_array_equal(ours.get_fdata(), values)

    def test_types_that_depend_on_values_and_hold_none_of_them(self, floats, tmp_path):
        with pytest.raises(ParameterError, match='"smallest" must be asked for integers'):
            lv.save(lv.load(floats), tmp_path / "m.nii", dtype="smallest")
        big = nib.Nifti1Image(np.full((2, 2, 2), 2**40), AFFINE, dtype="i8")
        with pytest.raises(ScalingError, match="must fit one of uint8, int16, int32"):
            lv.save(big, tmp_path / "m.nii", dtype="smallest")
        assert not (tmp_path / "m.nii").exists()
        lv.save(lv.load(floats), tmp_path / "m.nii", dtype="compat")
        assert nib.load(tmp_path / "m.nii").get_data_dtype() == np.float32


@pytest.mark.parametrize("scale", ["auto", (2.0, 0.0), False])
def test_complex_numbers_are_scaled_into_no_integers(tmp_path, scale):
    img = nib.Nifti1Image(np.full((2, 3, 4), 1 + 2j, "c8"), AFFINE)
    with pytest.raises(ScalingError, match=r"m\.nii: Values must be convertible .*Got complex64"):
        lv.save(img, tmp_path / "m.nii", dtype="u1", scale=scale)
    with pytest.raises(ScalingError, match=r"m\.nii: Values must be convertible .*Got complex64"):
        lv.plan(lv.save, img, tmp_path / "m.nii", dtype="u1", scale=scale)
    assert not list(tmp_path.iterdir())


class TestFractions:
    def test_integers_of_fractions_need_a_scale(self, floats, tmp_path):
        with pytest.raises(ScalingError, match="become int16 without scaling must be whole"):
            lv.save(lv.load(floats), tmp_path / "o.nii", dtype="int16")
        assert not (tmp_path / "o.nii").exists()
        lv.save(lv.load(floats), tmp_path / "o.nii", dtype="int16", scale="auto")
        np.testing.assert_allclose(read(tmp_path / "o.nii"), FLOATS, atol=1e-4)
        lv.save(lv.load(floats), tmp_path / "o.nii", dtype="int16", scale=False)
        np.testing.assert_array_equal(read(tmp_path / "o.nii"), np.rint(FLOATS))

    def test_write_asks_for_it_too(self, floats, tmp_path):
        scan = lv.Scan(floats)
        scan.add(lv.Write(tmp_path / "o.nii", dtype="int16"))
        with pytest.raises(ScalingError, match="must be whole"):
            scan.run()
        assert not (tmp_path / "o.nii").exists()

    def test_labels_that_went_through_a_slope_are_whole(self, tmp_path):
        img = nib.Nifti1Image(RNG.integers(0, 4, (4, 5, 6)) * 1.0, AFFINE)
        img.set_data_dtype("i2")
        img.to_filename(tmp_path / "labels.nii")
        lv.save(lv.load(tmp_path / "labels.nii"), tmp_path / "o.nii", dtype="int32")
        np.testing.assert_array_equal(read(tmp_path / "o.nii"), img.get_fdata())


class TestMgh:
    @pytest.mark.parametrize(
        ("dtype", "stored"),
        [("u2", ">i4"), ("i1", ">i2"), ("f8", ">f4"), ("u1", "u1"), ("i2", ">i2")],
    )
    def test_types_that_mgh_lacks_become_the_next_one(self, tmp_path, dtype, stored):
        values = RNG.integers(0, 100, (2, 3, 4)).astype(dtype)
        lv.save(nib.Nifti1Image(values, AFFINE), tmp_path / "o.mgz")
        assert nib.load(tmp_path / "o.mgz").get_data_dtype() == np.dtype(stored)
        np.testing.assert_array_equal(read(tmp_path / "o.mgz"), values)

    def test_scaled_values_become_float32(self, tmp_path):
        img = nib.Nifti1Image(FLOATS.astype("f8"), AFFINE)
        img.set_data_dtype("i2")
        img.to_filename(tmp_path / "scaled.nii")
        lv.save(lv.load(tmp_path / "scaled.nii"), tmp_path / "o.mgz")
        lv.save(img, tmp_path / "p.mgz")
        for name in ("o.mgz", "p.mgz"):
            np.testing.assert_allclose(read(tmp_path / name), FLOATS, atol=1e-4)

    def test_the_repetition_time_of_a_large_file_is_read_when_it_is_saved(
        self, tmp_path, monkeypatch
    ):
        img = nib.MGHImage(FLOATS, AFFINE)
        img.header.set_zooms((2, 2, 3, 2000.0))
        img.to_filename(tmp_path / "run.mgz")
        monkeypatch.setattr(mgh, "MAX_DECODED_FOR_FOOTER", 100)
        with pytest.warns(LazyvoxWarning, match="Repetition time.*were not read"):
            lazy = lv.load(tmp_path / "run.mgz")
        lv.save(lazy, tmp_path / "o.nii.gz")
        lv.save(lazy, tmp_path / "o.mgz")
        assert nib.load(tmp_path / "o.nii.gz").header.get_zooms()[3] == 2
        assert nib.load(tmp_path / "o.mgz").header.get_zooms()[3] == 2000
        # What was set since stays.
        lazy.header["tr"] = 1500
        lv.save(lazy, tmp_path / "o.mgz")
        assert nib.load(tmp_path / "o.mgz").header.get_zooms()[3] == 1500
