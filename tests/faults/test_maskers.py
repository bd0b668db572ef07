"""Bad and hard inputs of maskers: nilearn's kind of error, with a message that helps."""

import re
import warnings

import nibabel as nib
import numpy as np
import pytest

from lazyvox import maskers as ours

theirs = pytest.importorskip("nilearn.maskers")

SHAPE = (7, 8, 6)
KINDS = (ValueError, TypeError, IndexError, ZeroDivisionError, FileNotFoundError)


def img_of(values, affine=None):
    return nib.Nifti1Image(np.asarray(values), np.eye(4) if affine is None else affine)


def series(n_volumes=20):
    rng = np.random.default_rng(0)
    return img_of(rng.normal(100, 5, (*SHAPE, n_volumes)).astype(np.float32))


def mask(value=1):
    values = np.zeros(SHAPE, np.uint8)
    values[1:6, 1:7, 1:5] = value
    return img_of(values)


def labels(dtype=np.int16):
    values = np.zeros(SHAPE, dtype)
    values[1:3, 1:7, 1:5], values[4:6, 1:7, 1:5] = 1, 2
    return img_of(values)


def with_values(img, *values):
    changed = np.array(img.dataobj, dtype=np.float64)
    changed[1, 1, 1 : 1 + len(values)] = values
    return img_of(changed)


def run(package, kind, parameters, img, arguments):
    """Return the signals, or the error, and the categories of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            masker = getattr(package, kind)(standardize=None, **parameters)
            found = masker.fit_transform(img, **arguments)
        except KINDS as error:
            found = error
    return found, caught


NAN = float("nan")
CONFOUNDS = np.random.default_rng(1).normal(size=(20, 2))

#: Name: (masker, parameters, images, arguments of the transform, what our message holds).
REFUSED = {
    "M05 empty mask": ("NiftiMasker", {"mask_img": mask(0)}, {}, "at least one voxel"),
    "M09 no label": ("NiftiLabelsMasker", {"labels_img": mask(0)}, {}, "besides the background"),
    "M09 labels in 4D": ("NiftiLabelsMasker", {"labels_img": series(3)}, {}, "must be 3D"),
    "M11 mask takes all labels": (
        "NiftiLabelsMasker",
        {"labels_img": labels(), "mask_img": img_of((np.asarray(labels().dataobj) == 0) * 1.0)},
        {},
        "at least one label",
    ),
    "M13 overlapping maps": (
        "NiftiMapsMasker",
        {"maps_img": img_of(np.ones((*SHAPE, 2))), "allow_overlap": False},
        {},
        "must not overlap",
    ),
    "M13 zero maps": (
        "NiftiMapsMasker",
        {"maps_img": img_of(np.zeros((*SHAPE, 2)))},
        {},
        "must hold a weight",
    ),
    "M13 overlapping spheres": (
        "NiftiSpheresMasker",
        {"seeds": [(2, 2, 2), (3, 2, 2)], "radius": 2.0},
        {},
        "must not overlap",
    ),
    "M14 sphere outside": (
        "NiftiSpheresMasker",
        {"seeds": [(99, 0, 0)], "radius": 1.0},
        {},
        "none: ",
    ),
    "M14 NaN seed": ("NiftiSpheresMasker", {"seeds": [(NAN, 0, 0)], "radius": 1.0}, {}, "finite"),
    "M20 high_pass without t_r": (
        "NiftiMasker",
        {"mask_img": mask(), "high_pass": 0.01},
        {},
        "t_r",
    ),
    "M20 t_r text": (
        "NiftiMasker",
        {"mask_img": mask(), "t_r": "2"},
        {},
        "`t_r` must be a number",
    ),
    "M21 filter longer than the run": (
        "NiftiMasker",
        {"mask_img": mask(), "high_pass": 0.01, "low_pass": 0.1, "t_r": 2.0},
        {},
        "at least",
    ),
    "M22 confounds too short": (
        "NiftiMasker",
        {"mask_img": mask()},
        {"confounds": CONFOUNDS[1:]},
        "20 volumes",
    ),
    "M22 confounds in 3D": (
        "NiftiMasker",
        {"mask_img": mask()},
        {"confounds": CONFOUNDS[None]},
        "confounds",
    ),
    "M23 NaN in confounds": (
        "NiftiMasker",
        {"mask_img": mask()},
        {"confounds": np.where(np.arange(20)[:, None] == 0, NAN, CONFOUNDS)},
        "column 0, row 0",
    ),
    "M26 sample_mask out of range": (
        "NiftiMasker",
        {"mask_img": mask()},
        {"sample_mask": np.array([3, 25])},
        "25",
    ),
    "M26 sample_mask empty": (
        "NiftiMasker",
        {"mask_img": mask()},
        {"sample_mask": np.array([], int)},
        "",
    ),
    "names and table": (
        "NiftiLabelsMasker",
        {"labels_img": labels(), "labels": ["a", "b"], "lut": "table.tsv"},
        {},
        "Got both",
    ),
    "resampling_target": (
        "NiftiLabelsMasker",
        {"labels_img": labels(), "resampling_target": "mask"},
        {},
        "`resampling_target` must be one of",
    ),
    "strategy": (
        "NiftiLabelsMasker",
        {"labels_img": labels(), "strategy": "avg"},
        {},
        "`strategy` must be one of",
    ),
    "no labels": ("NiftiLabelsMasker", {}, {}, "an image must be a path"),
    "missing mask": ("NiftiMasker", {"mask_img": "missing.nii"}, {}, "no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_as_nilearn_refuses_it_and_saying_what_to_do(case):
    kind, parameters, arguments, text = REFUSED[case]
    found, _ = run(ours, kind, parameters, series(), arguments)
    expected, _ = run(theirs, kind, parameters, series(), arguments)
    assert isinstance(found, Exception), "not refused"
    assert isinstance(expected, Exception), "nilearn takes it"
    shared = [one for one in KINDS if isinstance(expected, one)]
    assert isinstance(found, tuple(shared)), f"{type(expected)} in nilearn"
    assert re.search(re.escape(text), str(found))


#: Name: (masker, parameters, images).
TAKEN = {
    "M01 mask on another grid": (
        "NiftiMasker",
        {"mask_img": img_of(np.ones((4, 4, 4), np.uint8), np.diag([1.5, 1.5, 1.5, 1]))},
        series(),
    ),
    "M03 affine that differs by rounding": (
        "NiftiMasker",
        {"mask_img": img_of(np.asarray(mask().dataobj), np.eye(4) + 1e-9)},
        series(),
    ),
    "M06 mask with NaN": ("NiftiMasker", {"mask_img": with_values(mask(), NAN)}, series()),
    "M07 mask of 255": ("NiftiMasker", {"mask_img": mask(255)}, series()),
    "M07 mask of labels": ("NiftiMasker", {"mask_img": labels()}, series()),
    "M07 mask of probabilities": (
        "NiftiMasker",
        {"mask_img": with_values(mask(), 0.3, 0.5)},
        series(),
    ),
    "M08 float labels": ("NiftiLabelsMasker", {"labels_img": labels(np.float32)}, series()),
    "M08 labels with a fraction": (
        "NiftiLabelsMasker",
        {"labels_img": with_values(labels(), 1.5)},
        series(),
    ),
    "M15 NaN and infinity in voxels": (
        "NiftiMasker",
        {"mask_img": mask()},
        img_of(np.where(np.arange(20) == 3, np.nan, np.asarray(series().dataobj))),
    ),
    "M15 NaN and infinity in regions": (
        "NiftiLabelsMasker",
        {"labels_img": labels()},
        img_of(np.where(np.arange(20) == 3, np.inf, np.asarray(series().dataobj))),
    ),
    "M16 constant voxels": (
        "NiftiMasker",
        {"mask_img": mask(), "detrend": True},
        img_of(np.full((*SHAPE, 20), 5.0)),
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_taken_as_nilearn_takes_it(case):
    kind, parameters, img = TAKEN[case]
    found, warned = run(ours, kind, parameters, img, {})
    expected, known = run(theirs, kind, parameters, img, {})
    assert not isinstance(expected, Exception)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    spoken = any(issubclass(one.category, UserWarning) for one in known)
    assert spoken == any(issubclass(one.category, UserWarning) for one in warned)


@pytest.mark.parametrize("t_r", [0, -2.0, NAN])
def test_m20_repetition_times_that_cannot_be(t_r):
    masker = ours.NiftiMasker(mask(), standardize=None, high_pass=0.01, t_r=t_r).fit()
    with pytest.raises(ValueError, match="t_r"):
        masker.transform(series(60))


def test_m16_constant_voxels_are_exactly_zero():
    img = img_of(np.full((*SHAPE, 20), 1234.567, np.float32))
    masker = ours.NiftiMasker(mask(), standardize="zscore_sample")
    assert (masker.fit_transform(img) == 0).all()


def test_m19_what_is_neither_3d_nor_4d():
    masker = ours.NiftiMasker(mask(), standardize=None).fit()
    with pytest.raises(TypeError, match="must be 3D"):
        masker.transform([series(), series()])
    with pytest.raises(TypeError, match="Got ndarray"):
        masker.transform(np.ones((3, 4)))
    with pytest.raises((TypeError, ValueError), match="5"):
        masker.transform(img_of(np.ones((*SHAPE, 3, 2))))


def test_m27_a_masker_can_be_fitted_again():
    masker = ours.NiftiLabelsMasker(labels(), standardize=None)
    masker.fit_transform(series())
    one = np.asarray(labels().dataobj).copy()
    one[one == 2] = 0
    masker.set_params(labels_img=img_of(one))
    assert masker.fit_transform(series()).shape == (20, 1)
    assert masker.n_elements_ == 1


@pytest.mark.parametrize("kind", ["NiftiMasker", "NiftiLabelsMasker"])
def test_m28_signals_of_a_wrong_width(kind):
    regions = {"mask_img": mask()} if kind == "NiftiMasker" else {"labels_img": labels()}
    masker = getattr(ours, kind)(standardize=None, **regions).fit()
    n_elements = masker.n_elements_
    with pytest.raises(ValueError, match=f"one column per element.*{n_elements + 1}"):
        masker.inverse_transform(np.ones((3, n_elements + 1)))
    with pytest.raises(ValueError, match="Transpose it"):
        masker.inverse_transform(np.ones((n_elements, 3)))
    with pytest.warns(UserWarning, match="Got booleans"):
        img = masker.inverse_transform(np.ones(n_elements, bool))
    assert img.get_data_dtype() == np.int32


def test_m29_images_of_a_list_that_differ_are_named():
    other = img_of(np.ones(SHAPE), np.diag([2.0, 2, 2, 1]))
    volume = img_of(np.ones(SHAPE))
    masker = ours.NiftiMasker(mask(), standardize=None).fit()
    with pytest.raises(ValueError, match="Image 2"):
        masker.transform([volume, volume, other])


def test_a_transform_that_fails_leaves_the_masker_as_it_was(tmp_path):
    masker = ours.NiftiLabelsMasker(labels(), standardize=None, memory_budget="16MB").fit()
    path = tmp_path / "run.nii.gz"
    nib.save(series(), path)
    good = masker.transform(path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "bad.nii.gz").write_bytes(damaged)
    before = vars(masker).copy()
    with pytest.raises((ValueError, EOFError), match=r"bad\.nii"):
        masker.transform(tmp_path / "bad.nii.gz")
    assert all(vars(masker)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(masker.transform(path), good)
