"""`FirstLevelModel`: what is refused, said, or not read."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import lazyvox as lv
from lazyvox.errors import (
    LazyvoxWarning,
    MemoryBudgetError,
    ParameterError,
    ParameterTypeError,
    RegionError,
)
from lazyvox.glm import FirstLevelModel
from lazyvox.maskers import NiftiMasker
from lazyvox.masking import compute_multi_epi_mask
from lazyvox.testing import CountingSource, TripwireSource, image_of, image_over

SHAPE, N = (6, 7, 5), 40
VALUES = np.random.default_rng(0).normal(500, 5, (*SHAPE, N)).astype("f4")
EVENTS = pd.DataFrame({"onset": [4.0, 30], "duration": 6.0, "trial_type": ["a", "b"]})
DESIGN = pd.DataFrame({"wave": np.sin(np.arange(N) / 4), "constant": np.ones(N)})


def mask_of(img, inside=None):
    values = np.ones(SHAPE, np.uint8) if inside is None else inside.astype(np.uint8)
    return nib.Nifti1Image(values, img.affine)


@pytest.fixture
def img():
    return image_of(VALUES)


def model(img, **options):
    return FirstLevelModel(**{"mask_img": mask_of(img), **options})


def test_planning_reads_no_voxel_and_a_fit_each_byte_once():
    _, wired = image_over(TripwireSource, VALUES)
    plan = lv.plan(model(wired).fit, wired, design_matrices=DESIGN)
    assert plan.passes == 1
    assert [name for name, _ in plan.consumer_bytes] == ["GLM"]
    planned = model(wired)
    lv.plan(planned.fit, wired, design_matrices=DESIGN)
    with pytest.raises(NotFittedError, match="not fitted"):
        planned.compute_contrast("wave")
    source, img = image_over(CountingSource, VALUES, compression="gzip")
    source.clear()
    model(img, smoothing_fwhm=4).fit(img, design_matrices=DESIGN)
    source.assert_each_byte_once()


def test_design_matrices_of_events_read_headers_only():
    _, wired = image_over(TripwireSource, VALUES)
    (design,) = FirstLevelModel(t_r=2.0).make_design_matrices(wired, EVENTS)
    assert design.shape[0] == N
    assert list(design)[:2] == ["a", "b"]


def test_a_computed_mask_is_that_of_all_runs(example_files):
    run = str(example_files / "run.nii.gz")
    fitted = FirstLevelModel().fit([run, run], design_matrices=[DESIGN, DESIGN])
    expected = compute_multi_epi_mask([run, run])
    np.testing.assert_array_equal(fitted.mask_img_.get_fdata(), expected.get_fdata())


def test_a_budget_that_is_too_small_is_refused_before_anything_is_read():
    _, wired = image_over(TripwireSource, VALUES)
    with lv.memory_budget("1MiB"), pytest.raises(MemoryBudgetError, match="budget"):
        model(wired).fit(wired, design_matrices=DESIGN)


def test_runs_of_different_length_are_fitted_and_other_grids_are_refused(img):
    short = image_of(VALUES[..., :30])
    fitted = model(img).fit([img, short], design_matrices=[DESIGN, DESIGN[:30]])
    assert [len(one) for one in fitted.design_matrices_] == [40, 30]
    other = nib.Nifti1Image(VALUES, np.diag([9.0, 9, 9, 1]))
    with pytest.raises(ValueError, match="affine"):
        model(img).fit([img, other], design_matrices=[DESIGN, DESIGN])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"design_matrices": DESIGN[:30]}, ParameterError, "Got 30 rows for 40 volumes"),
        (
            {"design_matrices": DESIGN.replace(1.0, np.nan)},
            ParameterError,
            "Got nan in column 'co",
        ),
        ({"design_matrices": DESIGN * 0}, ParameterError, "Got 2 columns of zeros"),
        ({"design_matrices": [DESIGN, DESIGN]}, ValueError, "does not match"),
        ({"events": EVENTS}, ValueError, "t_r not given"),
        ({}, ValueError, "events or design matrices must be provided"),
        (
            {"design_matrices": DESIGN, "sample_masks": [np.array([3, 2])]},
            ParameterError,
            "must ascend",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(img, options, error, message):
    with pytest.raises(error, match=message):
        model(img).fit(img, **options)


def test_masks_that_cannot_be_used_are_refused(img):
    with pytest.raises(RegionError, match="at least one voxel"):
        model(img, mask_img=mask_of(img, np.zeros(SHAPE))).fit(img, design_matrices=DESIGN)
    elsewhere = nib.Nifti1Image(np.ones(SHAPE, np.uint8), img.affine + 900)
    with (
        pytest.warns(UserWarning, match="images should be on the grid"),
        pytest.raises(RegionError, match="`mask_img` must overlap with"),
    ):
        model(img, mask_img=elsewhere).fit(img, design_matrices=DESIGN)
    masker = NiftiMasker(mask_of(img), high_variance_confounds=True).fit()
    with pytest.raises(ParameterError, match="cannot have high_variance_confounds"):
        model(img, mask_img=masker).fit(img, design_matrices=DESIGN)
    masker = NiftiMasker(mask_of(img)).fit()
    masker.mask_img_ = None
    with pytest.raises(ParameterError, match="Got a masker whose mask_img_ is None"):
        model(img, mask_img=masker).fit(img, design_matrices=DESIGN)


def test_surfaces_are_refused():
    class SurfaceImage:
        """Double of nilearn's class of this name, which takes long to make."""

    with pytest.raises(ParameterTypeError, match=r"must be images of voxels\. Got SurfaceImage"):
        FirstLevelModel().fit(SurfaceImage(), design_matrices=DESIGN)


def test_a_column_of_zeros_has_no_weight(img):
    design = DESIGN.assign(empty=0.0)
    with pytest.warns(LazyvoxWarning, match="3 columns of rank 2"):
        fitted = model(img).fit(img, design_matrices=design)
    assert all(not one.theta[2].any() for one in fitted.results_[0].values())


def test_faults_of_voxels_are_said(img):
    values = VALUES.copy()
    values[1, 1, 1], values[2, 2, 2, 3] = 8.0, np.inf
    with (
        pytest.warns(LazyvoxWarning, match="1 of 210 do not"),
        pytest.warns(LazyvoxWarning, match="1 values are NaN or infinite"),
    ):
        fitted = model(img).fit(nib.Nifti1Image(values, img.affine), design_matrices=DESIGN)
    z = fitted.compute_contrast("wave").get_fdata()
    assert z[1, 1, 1] == 0
    assert np.isfinite(z).all()


def test_events_after_the_end_are_said(img):
    late = pd.concat([EVENTS, EVENTS.assign(onset=500.0)])
    with pytest.warns(LazyvoxWarning, match="run 1 should begin before its end, at 80 s. 2 of 4"):
        FirstLevelModel(t_r=2.0).make_design_matrices(img, late)


def test_attributes_of_a_fit_that_kept_none_raise_nilearns_error(img):
    fitted = model(img).fit(img, design_matrices=DESIGN)
    with pytest.raises(AttributeError, match="minimize_memory"):
        _ = fitted.residuals_


@pytest.mark.parametrize("name", ["normalized_residuals", "SSE", "MSE"])
def test_further_attributes_are_those_of_the_residuals(img, name):
    fitted = model(img, minimize_memory=False, noise_model="ols", signal_scaling=False)
    fitted.fit(img, design_matrices=DESIGN)
    residuals = fitted.residuals_[0].get_fdata()
    squares = (residuals**2).sum(axis=3)
    expected = {
        "SSE": squares,
        "MSE": squares / (N - 2),
        "normalized_residuals": residuals / np.sqrt(squares / (N - 2))[..., None],
    }[name]
    (found,) = fitted._get_element_wise_model_attribute(name, name == "normalized_residuals")
    np.testing.assert_allclose(found.get_fdata(), expected, rtol=1e-7)
