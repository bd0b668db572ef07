"""Images of signals: repetition time, labels of many digits, and arrays that are edited later."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import DimensionError, RegionError
from lazyvox.image import clean_img
from lazyvox.lazyimage.describe import repetition_time, set_repetition_time
from lazyvox.maskers import (
    MultiNiftiLabelsMasker,
    NiftiLabelsMasker,
    NiftiMapsMasker,
    NiftiMasker,
    NiftiSpheresMasker,
    transform_all,
)
from lazyvox.maskers.parameters import MaskerWarning

AFFINE = np.diag([3.0, 3, 3, 1])
RUN = np.random.default_rng(0).normal(100, 10, (6, 6, 6, 20)).astype("f4")
ATLAS = np.zeros((6, 6, 6), "i2")
ATLAS[:2, 1:], ATLAS[2:4, 1:], ATLAS[4:, 1:] = 1, 2, 3


def write_run(name, t_r, units="sec"):
    img = nib.Nifti1Image(RUN, AFFINE)
    img.header.set_xyzt_units("mm", units)
    img.header["pixdim"][4] = t_r
    nib.save(img, name)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run("run.nii", 1.5)
    write_run("msec.nii", 1500, "msec")
    write_run("none.nii", 0)
    nib.save(nib.Nifti1Image(ATLAS, AFFINE), "atlas.nii")
    nib.save(nib.Nifti1Image((ATLAS > 0).astype("u1"), AFFINE), "mask.nii")
    maps = np.stack([ATLAS == 1, ATLAS == 2], axis=-1).astype("f4")
    nib.save(nib.Nifti1Image(maps, AFFINE), "maps.nii")
    return tmp_path


MASKERS = {
    "mask": lambda **more: NiftiMasker("mask.nii", **more),
    "labels": lambda **more: NiftiLabelsMasker("atlas.nii", **more),
    "maps": lambda **more: NiftiMapsMasker("maps.nii", **more),
    "spheres": lambda **more: NiftiSpheresMasker(
        [(6, 6, 6)], radius=4, mask_img="mask.nii", **more
    ),
}


def written(img):
    """Return the repetition time in the file of an image, in seconds, read by nibabel."""
    lv.save(img, "out.nii", overwrite=True)
    header = nib.load("out.nii").header
    return float(header.get_zooms()[3]) * {"msec": 1e-3}.get(header.get_xyzt_units()[1], 1)


@pytest.mark.parametrize("make", MASKERS.values(), ids=MASKERS)
class TestRepetitionTime:
    @pytest.mark.parametrize("run", ["run.nii", "msec.nii"])
    def test_of_the_run_that_was_transformed_last(self, files, make, run):
        masker = make(standardize=None)
        masker.fit_transform("none.nii")
        signals = masker.transform(run)
        assert written(masker.inverse_transform(signals)) == 1.5

    def test_that_is_given(self, files, make):
        masker = make(standardize=None, t_r=2.0)
        assert written(masker.inverse_transform(masker.fit_transform("run.nii"))) == 2.0

    def test_nothing_is_known(self, files, make):
        masker = make(standardize=None)
        signals = masker.fit_transform("none.nii")
        assert repetition_time(masker.inverse_transform(signals).header) is None

    def test_one_volume(self, files, make):
        masker = make(standardize=None)
        signals = masker.fit_transform("run.nii")
        assert masker.inverse_transform(signals[0]).ndim == 3

    def test_signals_that_are_edited_later(self, files, make):
        masker = make(standardize=None)
        signals = masker.fit_transform("run.nii")
        wanted = masker.inverse_transform(signals.copy()).get_fdata()
        img = masker.inverse_transform(signals)
        signals[:] = 0
        np.testing.assert_array_equal(img.get_fdata(), wanted)

    def test_a_name_in_bytes(self, files, make):
        masker = make(standardize=None)
        np.testing.assert_array_equal(
            masker.fit_transform(b"run.nii"), masker.fit_transform("run.nii")
        )


def test_several_maskers_and_several_subjects(files):
    maskers = [make(standardize=None).fit() for make in MASKERS.values()]
    for masker, signals in zip(maskers, transform_all("run.nii", maskers), strict=True):
        assert written(masker.inverse_transform(signals)) == 1.5
    multi = MultiNiftiLabelsMasker("atlas.nii", standardize=None)
    signals = multi.fit_transform([b"none.nii", "run.nii"])[1]
    assert written(multi.inverse_transform(signals)) == 1.5


@pytest.mark.parametrize("mask", [None, "mask.nii"])
def test_a_cleaned_run(files, mask):
    assert written(clean_img("run.nii", standardize=None, mask_img=mask)) == 1.5
    assert written(clean_img("run.nii", standardize=None, mask_img=mask, t_r=2.0)) == 2.0
    assert written(clean_img("none.nii", standardize=None, mask_img=mask, t_r=2.0)) == 2.0


@pytest.mark.filterwarnings("ignore:.*Voxel sizes must be positive:lazyvox.errors.LazyvoxWarning")
@pytest.mark.parametrize("given", [0, np.nan, np.inf, -2, 2000])
def test_the_image_of_signals_has_the_time_that_was_used(files, given):
    write_run("lie.nii", given)
    signals = lv.extract("lie.nii", "atlas.nii", t_r=2.0, low_pass=0.1)
    assert signals.t_r == 2.0
    assert written(signals.to_img()) == 2.0
    plain = lv.extract("lie.nii", "atlas.nii")
    valid = given == 2000
    assert plain.t_r == (2000 if valid else None)
    assert written(plain.to_img()) == (2000 if valid else 0)


def test_headers_of_other_formats():
    mgh = nib.MGHImage(RUN, AFFINE).header
    set_repetition_time(mgh, 1.5)
    assert mgh.get_zooms()[3] == 1500
    spm = nib.Spm99AnalyzeImage(RUN, AFFINE).header
    set_repetition_time(spm, 1.5)
    assert (spm.get_zooms()[3], repetition_time(spm)) == (1.5, 1.5)
    volume = nib.Nifti1Image(RUN[..., 0], AFFINE).header
    set_repetition_time(volume, 1.5)
    assert len(volume.get_zooms()) == 3


def test_labels_of_many_digits_stay_what_they_are(files):
    big = ATLAS.astype("i8")
    big[big == 2], big[big == 3] = 2**32, 2**32 + 1
    nib.save(nib.Nifti1Image(big, AFFINE, dtype="i8"), "big.nii")
    masker = NiftiLabelsMasker("big.nii", standardize=None)
    masker.fit_transform("run.nii")
    np.testing.assert_array_equal(np.asarray(masker.region_atlas_.dataobj), big)
    small = NiftiLabelsMasker("atlas.nii", standardize=None)
    small.fit_transform("run.nii")
    assert np.asarray(small.region_atlas_.dataobj).dtype == np.int32


class TestMessages:
    """Messages about masks and images name the parameter and the file."""

    @pytest.fixture
    def masks(self, files):
        nib.save(nib.Nifti1Image(np.zeros((6, 6, 6), "u1"), AFFINE), "empty.nii")
        holed = np.ones((6, 6, 6), "f4")
        holed[0, 0, :2] = np.nan
        nib.save(nib.Nifti1Image(holed, AFFINE), "holed.nii")
        far = AFFINE.copy()
        far[:3, 3] = 500
        nib.save(nib.Nifti1Image(np.ones((6, 6, 6), "u1"), far), "far.nii")

    @pytest.mark.parametrize("make", MASKERS.values(), ids=MASKERS)
    def test_an_empty_mask(self, masks, make):
        masker = make().set_params(mask_img="empty.nii")
        with pytest.raises(RegionError, match=r"`mask_img` \(.*empty\.nii\): .* Got zeros only"):
            masker.fit("run.nii")

    @pytest.mark.parametrize("make", MASKERS.values(), ids=MASKERS)
    def test_a_mask_with_holes(self, masks, make):
        with pytest.warns(
            MaskerWarning, match=r"`mask_img` \(.*holed\.nii\): .* 2 of 216 are NaN"
        ):
            make().set_params(mask_img="holed.nii").fit()

    @pytest.mark.parametrize("kind", ["labels", "maps"])
    def test_a_mask_elsewhere(self, masks, kind):
        masker = MASKERS[kind](mask_img="far.nii", standardize=None)
        with pytest.raises(RegionError, match="`mask_img` must overlap with the images"):
            masker.fit("run.nii")

    def test_what_is_resampled(self, files):
        shifted = AFFINE.copy()
        shifted[0, 3] = 3
        nib.save(nib.Nifti1Image(RUN, shifted), "shifted.nii")
        masker = NiftiLabelsMasker("atlas.nii", standardize=None).fit()
        with pytest.warns(
            MaskerWarning, match=r"^labels are not on the grid .*: labels are resampled for this"
        ):
            masker.transform("shifted.nii")

    @pytest.mark.parametrize("make", MASKERS.values(), ids=MASKERS)
    def test_five_axes(self, files, make):
        nib.save(nib.Nifti1Image(RUN[:, :, :, None], AFFINE), "five.nii")
        with pytest.raises(DimensionError, match=r"five\.nii: the image must be 4D. Got 5D"):
            make(standardize=None).fit_transform("five.nii")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("run.nii", r"Its header says 1\.5: pass t_r=1\.5 if that is right\."),
        ("none.nii", r"Its header has none: pass `t_r`\."),
    ],
)
def test_filters_of_clean_img_ask_for_the_repetition_time_of_the_header(path, said):
    with pytest.raises(lv.ParameterError, match=said):
        clean_img(path, low_pass=0.1, standardize=None)


@pytest.mark.usefixtures("files")
def test_regions_on_another_grid_are_one_error_in_good_english():
    nib.save(nib.Nifti1Image(ATLAS, AFFINE + np.eye(4, k=3)), "moved.nii")
    masker = NiftiLabelsMasker("moved.nii", resampling_target=None)
    with pytest.raises(lv.GridMismatchError, match=r"images must share one voxel grid\. imgs"):
        masker.fit().transform("run.nii")
    with pytest.warns(UserWarning, match="labels are not on the grid of the other images: labels"):
        NiftiLabelsMasker("moved.nii").fit().transform("run.nii")
