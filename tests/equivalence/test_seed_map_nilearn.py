"""The steps of nilearn's example of seed-to-voxel correlation, with nilearn and in one call."""

import nibabel
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import smooth_img

pytestmark = pytest.mark.filterwarnings("ignore")

SEED = (-4.5, 1.5, 1.5)
CONFOUNDS = np.cumsum(np.random.default_rng(0).normal(size=(40, 4)), axis=0)
CLEANING = {
    "butterworth": {"low_pass": 0.1, "high_pass": 0.01},
    "cosine": {"high_pass": 0.03},
}


def by_nilearn(run, mask, *, kind, seed_fwhm=None):
    """Return the map of nilearn's example, and its Fisher z, as images.

    The seed masker of the example does not smooth, the brain masker does. Its products are divided
    by the number of volumes; with "zscore_sample" that is one less.
    """
    from nilearn.maskers import NiftiMasker, NiftiSpheresMasker

    options = {
        "detrend": True,
        "standardize": "zscore_sample",
        "t_r": 2.0,
        "clean_args": {"filter": kind},
        "reports": False,
        **CLEANING[kind],
    }
    seed_masker = NiftiSpheresMasker([SEED], radius=6, smoothing_fwhm=seed_fwhm, **options)
    brain_masker = NiftiMasker(mask, smoothing_fwhm=6, **options)
    seed = seed_masker.fit_transform(run, confounds=[CONFOUNDS])
    brain = brain_masker.fit_transform(run, confounds=[CONFOUNDS])
    found = np.dot(brain.T, seed) / (len(seed) - 1)
    # Ours are at most 4, as AFNI's.
    maps = (found, np.clip(np.arctanh(found), -4, 4))
    return [brain_masker.inverse_transform(one.T).get_fdata()[..., 0] for one in maps]


@pytest.mark.parametrize("kind", CLEANING)
@pytest.mark.parametrize("smooths_seed", [False, True])
def test_the_example_of_nilearn(nilearn, example_files, kind, smooths_seed):
    stored = nibabel.load(example_files / "run.nii.gz")
    # nilearn filters float32 in float32.
    run = nibabel.Nifti1Image(stored.get_fdata(), stored.affine)
    mask = str(example_files / "mask.nii.gz")
    expected = by_nilearn(run, mask, kind=kind, seed_fwhm=6 if smooths_seed else None)
    img = smooth_img(run, 6) if smooths_seed else run
    for measure, want in zip(("correlation", "fisher-z"), expected, strict=True):
        got = lv.seed_map(
            img,
            SEED,
            radius=6,
            mask_img=mask,
            confounds=CONFOUNDS,
            drift_order=1,
            filter=kind,
            t_r=2.0,
            smoothing_fwhm=None if smooths_seed else 6,
            measure=measure,
            **CLEANING[kind],
        )
        np.testing.assert_allclose(got.get_fdata(), want, atol=2e-6)


def test_t_is_that_of_a_regression(nilearn, example_files):
    """The seed as a regressor of nilearn's first-level model beside confounds and drifts."""
    import pandas as pd
    from nilearn.glm.first_level import FirstLevelModel

    run = nibabel.load(example_files / "run.nii.gz")
    mask = str(example_files / "mask.nii.gz")
    seed = lv.extract(run, [SEED], radius=6).values[:, 0]
    design = pd.DataFrame(CONFOUNDS, columns=list("abcd")).assign(
        line=np.arange(40.0), constant=1.0, seed=seed
    )
    model = FirstLevelModel(t_r=2.0, mask_img=mask, noise_model="ols", signal_scaling=False)
    model.fit(run, design_matrices=design)
    names = {"t": "stat", "regression": "effect_size"}
    for measure, output in names.items():
        want = model.compute_contrast("seed", output_type=output).get_fdata()
        got = lv.seed_map(
            run, SEED, radius=6, mask_img=mask, confounds=CONFOUNDS, drift_order=1, measure=measure
        ).get_fdata()
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
