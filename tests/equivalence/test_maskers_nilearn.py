"""Maskers against nilearn's, over their parameters."""

import warnings
from pathlib import Path

import joblib
import nibabel as nib
import numpy as np
import pytest

from lazyvox import maskers as ours

theirs = pytest.importorskip("nilearn.maskers")

REAL = Path(__file__).parents[3] / "shared" / "data"
SHAPE = (9, 10, 8)
AFFINE = np.array([[3.0, 0, 0, -10], [0, 3, 0, -12], [0, 0, 3, -9], [0, 0, 0, 1]])
COARSE = np.array([[4.0, 0, 0, -8], [0, 4, 0, -8], [0, 0, 4, -8], [0, 0, 0, 1]])
N_VOLUMES = 40
SEEDS = [(-4, -3, -3), (5, 6, 3)]

#: Part of the values of the images that float32 leaves undecided: nilearn computes in it.
TOLERANCE = 1e-6
LEVEL = 100


def _rng():
    return np.random.default_rng(8)


def series(dtype=np.float32):
    values = _rng().normal(100, 5, (*SHAPE, N_VOLUMES))
    return nib.Nifti1Image(values.astype(dtype), AFFINE)


def mask():
    values = np.zeros(SHAPE, np.uint8)
    values[2:7, 2:8, 2:6] = 1
    return nib.Nifti1Image(values, AFFINE)


def atlas():
    values = np.zeros(SHAPE, np.int16)
    values[1:4, 1:5], values[5:8, 2:9, 1:7], values[1:4, 6:9] = 1, 3, 7
    return nib.Nifti1Image(values, AFFINE)


def fine_atlas():
    values = np.kron(np.asarray(atlas().dataobj)[:8:2, ::2, ::2], np.ones((2, 2, 2), np.int16))
    return nib.Nifti1Image(values[:8, :9, :7], np.diag([2.5, 2.5, 2.5, 1]))


def maps(shape=SHAPE, affine=AFFINE):
    return nib.Nifti1Image(_rng().random((*shape, 3)), affine)


REGIONS = {
    "NiftiMasker": lambda: {"mask_img": mask()},
    "NiftiLabelsMasker": lambda: {"labels_img": atlas()},
    "NiftiMapsMasker": lambda: {"maps_img": maps()},
    "NiftiSpheresMasker": lambda: {"seeds": SEEDS, "radius": 4.0, "mask_img": mask()},
}


def both(kind, img, parameters, **arguments):
    """Return both maskers, fitted, and their signals; only nilearn may warn of its own future."""
    parameters = {"standardize": None, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = getattr(ours, kind)(**parameters), getattr(theirs, kind)(**parameters)
        return (
            (one, one.fit_transform(img, **arguments)),
            (other, other.fit_transform(img, **arguments)),
        )


def check(kind, img, parameters, tolerance=TOLERANCE, **arguments):
    (one, found), (other, expected) = both(kind, img, parameters, **arguments)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    atol = tolerance * max(abs(expected).max(), LEVEL)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back, wanted = one.inverse_transform(found), other.inverse_transform(expected)
    assert isinstance(back, nib.Nifti1Image)
    assert back.shape == wanted.shape
    assert back.get_data_dtype() == wanted.get_data_dtype()
    np.testing.assert_allclose(back.affine, wanted.affine)
    np.testing.assert_allclose(back.get_fdata(), wanted.get_fdata(), rtol=0, atol=3 * atol)


@pytest.mark.parametrize("kind", REGIONS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"standardize": "zscore_sample", "detrend": True},
        {"standardize": "psc"},
        {"low_pass": 0.1, "high_pass": 0.01, "t_r": 2.0, "standardize": "zscore_sample"},
        {"high_pass": 0.02, "t_r": 2.0, "clean_args": {"filter": "cosine"}},
        {"smoothing_fwhm": 5.0, "detrend": True},
        {"high_variance_confounds": True, "detrend": True},
        {"dtype": "auto"},
        {"dtype": "float64"},
    ],
    ids=["plain", "z", "psc", "band", "cosine", "smooth", "compcor", "auto", "float64"],
)
def test_cleaning_smoothing_and_types(kind, parameters):
    img = series()
    check(kind, img, {**REGIONS[kind](), **parameters})


@pytest.mark.parametrize("kind", REGIONS)
def test_confounds_and_sample_mask(kind):
    confounds = _rng().normal(size=(N_VOLUMES, 3))
    kept = np.delete(np.arange(N_VOLUMES), [3, 4, 20])
    parameters = {**REGIONS[kind](), "standardize": "zscore_sample"}
    check(kind, series(), parameters, confounds=confounds, sample_mask=kept)


@pytest.mark.parametrize("kind", REGIONS)
def test_a_volume_gives_one_axis_a_list_of_volumes_two(kind):
    volume = nib.Nifti1Image(np.asarray(series().dataobj)[..., 0], AFFINE)
    check(kind, volume, REGIONS[kind]())
    check(kind, [volume, volume], REGIONS[kind]())


@pytest.mark.parametrize("kind", ["NiftiMasker", "NiftiLabelsMasker", "NiftiMapsMasker"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float64])
def test_types_of_images(kind, dtype):
    check(kind, series(dtype), REGIONS[kind]())


@pytest.mark.parametrize("of_maps", ["u1", "f4", "f8"])
@pytest.mark.parametrize("of_images", ["i2", "i4", "f4"])
def test_types_of_maps(of_maps, of_images):
    weights = (np.asarray(maps().dataobj) * 9).astype(of_maps)
    check("NiftiMapsMasker", series(of_images), {"maps_img": nib.Nifti1Image(weights, AFFINE)})


def test_means_of_integer_spheres_are_not_cut_as_nilearn_cuts_them():
    parameters = REGIONS["NiftiSpheresMasker"]()
    (_, found), (_, expected) = both("NiftiSpheresMasker", series(np.int16), parameters)
    np.testing.assert_array_equal(np.trunc(found), expected)
    assert (found != expected).any()


@pytest.mark.parametrize(
    "parameters",
    [
        {"mask_img": nib.Nifti1Image(np.ones((6, 6, 5), np.uint8), COARSE)},
        {"mask_img": nib.Nifti1Image(np.ones((6, 6, 5), np.uint8), COARSE), "smoothing_fwhm": 6},
        {"mask_img": mask(), "target_affine": np.diag([4.0, 4, 4])},
        {"mask_img": mask(), "target_affine": COARSE, "target_shape": (6, 6, 5)},
        {},
        {"mask_args": {"opening": 1}},
    ],
    ids=["coarse mask", "smoothed", "zooms", "grid", "computed mask", "mask_args"],
)
def test_voxels_on_other_grids_and_of_computed_masks(parameters):
    check("NiftiMasker", series(), parameters)


def test_runs_are_cleaned_by_themselves():
    runs = np.repeat([0, 1], N_VOLUMES // 2)
    parameters = {"mask_img": mask(), "runs": runs, "detrend": True}
    check("NiftiMasker", series(), parameters)


@pytest.mark.parametrize("target", ["data", "labels"])
@pytest.mark.parametrize("mask_img", [None, mask()], ids=["no mask", "mask"])
def test_labels_on_another_grid(target, mask_img):
    parameters = {"labels_img": fine_atlas(), "resampling_target": target, "mask_img": mask_img}
    check("NiftiLabelsMasker", series(), parameters)


@pytest.mark.parametrize("target", ["data", "maps", "mask"])
def test_maps_on_another_grid(target):
    fine = maps((8, 9, 7), np.diag([2.5, 2.5, 2.5, 1]))
    parameters = {"maps_img": fine, "resampling_target": target, "mask_img": mask()}
    check("NiftiMapsMasker", series(), parameters)


@pytest.mark.parametrize(
    "strategy", ["median", "sum", "minimum", "maximum", "standard_deviation", "variance"]
)
def test_strategies(strategy):
    check("NiftiLabelsMasker", series(), {"labels_img": atlas(), "strategy": strategy})


@pytest.mark.parametrize("kind", REGIONS)
def test_what_is_not_finite_counts_as_zero(kind):
    img = series()
    values = np.asarray(img.dataobj)
    values[3, 3, 3, 5], values[6, 5, 4, 7] = np.nan, np.inf
    check(kind, img, REGIONS[kind]())


def test_names_of_labels_and_their_tables():
    parameters = {"labels_img": atlas(), "labels": ["Background", "one", "three", "seven"]}
    (one, _), (other, _) = both("NiftiLabelsMasker", series(), parameters)
    assert list(one.get_feature_names_out()) == list(other.get_feature_names_out())
    assert one.region_names_ == other.region_names_
    assert one.region_ids_ == other.region_ids_
    assert one.labels_ == other.labels_
    assert one.lut_.to_dict("list") == other.lut_.to_dict("list")
    np.testing.assert_array_equal(
        np.asarray(one.region_atlas_.dataobj), np.asarray(other.region_atlas_.dataobj)
    )


@pytest.mark.parametrize("keep", [False, True])
def test_labels_outside_of_the_mask(keep):
    values = np.zeros(SHAPE, np.uint8)
    values[5:8] = 1
    parameters = {
        "labels_img": atlas(),
        "mask_img": nib.Nifti1Image(values, AFFINE),
        "keep_masked_labels": keep,
    }
    (one, found), (other, expected) = both("NiftiLabelsMasker", series(), parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert one.n_elements_ == other.n_elements_
    assert one.region_ids_ == other.region_ids_


@pytest.mark.parametrize("kind", ["NiftiMasker", "NiftiLabelsMasker", "NiftiMapsMasker"])
def test_lists_of_subjects(kind):
    imgs = [series(), nib.Nifti1Image(np.asarray(series().dataobj)[..., :25], AFFINE)]
    confounds = [_rng().normal(size=(len_, 2)) for len_ in (N_VOLUMES, 25)]
    parameters = {**REGIONS[kind](), "n_jobs": 2, "detrend": True}
    # Threads: other processes would import nilearn once more.
    with joblib.parallel_config("threading"):
        (_, found), (_, expected) = both(f"Multi{kind}", imgs, parameters, confounds=confounds)
    assert isinstance(found, list)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE * LEVEL)


@pytest.mark.parametrize("parameters", [{}, {"standardize": "zscore_sample", "detrend": True}])
def test_real_runs_by_path_pattern_and_list(parameters):
    runs = [REAL / f"haxby2001_sub001_run00{run}_25mm_bold.nii.gz" for run in (1, 2)]
    hoc = REAL / "haxby2001_sub001_25mm_hoc.nii.gz"
    if not (hoc.exists() and all(run.exists() for run in runs)):
        pytest.skip("the folder of real images is not there")
    brain = str(REAL / "haxby2001_sub001_25mm_brain.nii.gz")
    check("NiftiMasker", str(runs[0]), {"mask_img": brain, **parameters}, 1e-4)
    check("NiftiMasker", runs[0], {"mask_img": brain, "smoothing_fwhm": 30.0}, 1e-5)
    check("NiftiLabelsMasker", str(runs[0]), {"labels_img": str(hoc), **parameters}, 1e-4)
    (_, found), (_, expected) = both("MultiNiftiMasker", runs, {"mask_img": brain, "n_jobs": 2})
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_background_fills_what_labels_of_a_smaller_field_of_view_leave_out():
    labels = np.ones((4, 10, 8), np.int16)
    labels[0], labels[3] = 0, 2
    options = {
        "labels_img": nib.Nifti1Image(labels, AFFINE),
        "background_label": 2,
        "resampling_target": "data",
    }
    (_, found), (_, expected) = both("NiftiLabelsMasker", series(), options)
    values = np.asarray(series().dataobj)
    np.testing.assert_allclose(found[:, 0], values[0].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], expected[:, 1], rtol=1e-5)
    with_outside = np.concatenate([values[:1], values[4:]]).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(expected[:, 0], with_outside, rtol=1e-5)
