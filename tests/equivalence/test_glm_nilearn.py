"""`FirstLevelModel` gives nilearn's numbers: on real runs, and on made ones."""

import itertools
import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm import save_glm_to_bids
from nilearn.glm.first_level import FirstLevelModel as NilearnModel
from nilearn.maskers import NiftiMasker as NilearnMasker

from lazyvox.glm import FirstLevelModel
from lazyvox.maskers import NiftiMasker

TYPES = ("effect_size", "effect_variance", "stat", "z_score")
#: Of 10,000 voxels one may lie so near to the edge of a bin that rounding moves it.
MOST_MOVED = 1e-4


def events_of(n_volumes, t_r):
    onsets = np.arange(12, (n_volumes - 12) * t_r, 30.0)
    names = itertools.islice(itertools.cycle(["face", "house", "cat"]), len(onsets))
    return pd.DataFrame({"onset": onsets, "duration": 15.0, "trial_type": list(names)})


def in_float64(path):
    img = nib.load(path)
    return nib.Nifti1Image(np.asarray(img.dataobj, dtype=np.float64), img.affine)


def made_run(path, dtype="f4", seed=0):
    """Write a run with AR(1) noise on a large mean, trends and a response in some voxels."""
    rng = np.random.default_rng(seed)
    shape, n = (9, 10, 8), 90
    noise = rng.standard_normal((*shape, n))
    rho = rng.uniform(-0.2, 0.7, shape)
    for t in range(1, n):
        noise[..., t] += rho * noise[..., t - 1]
    wave = np.sin(np.arange(n) / 6) * (rng.uniform(size=shape) > 0.5)[..., None]
    values = 1000 + 3 * noise + 2 * wave + np.linspace(0, 5, n)
    img = nib.Nifti1Image(values.astype(dtype), np.diag([4.0, 4, 4, 1]))
    img.header.set_xyzt_units("mm", "sec")
    nib.save(img, path)
    return str(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return [made_run(folder / f"run{number}.nii.gz", seed=number) for number in range(2)]


def fitted_by_nilearn(imgs, *tables, bins=100, sample_masks=None, **options):
    """Fit nilearn's model; it warns of the masker that it makes itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NilearnModel(**options).fit(imgs, *tables, bins=bins, sample_masks=sample_masks)


def compare(runs, tables, *, bins=100, sample_masks=None, **options):
    """Fit both models, theirs to float64 images; compare maps; return both."""
    how = {"bins": bins, "sample_masks": sample_masks}
    theirs = fitted_by_nilearn([in_float64(run) for run in runs], *tables, **how, **options)
    ours = FirstLevelModel(**options).fit(list(runs), *tables, **how)
    n_moved = sum(
        (mine != its).sum() for mine, its in zip(ours.labels_, theirs.labels_, strict=True)
    )
    assert n_moved <= MOST_MOVED * sum(len(one) for one in ours.labels_)
    assert np.array_equal(ours.mask_img_.get_fdata() != 0, theirs.mask_img_.get_fdata() != 0)
    contrasts = ["face - house", np.eye(len(ours.design_matrices_[0].columns))[:2]]
    for contrast, kind in itertools.product(contrasts, TYPES):
        mine, its = (
            one.compute_contrast([contrast] * len(runs), output_type=kind).get_fdata()
            for one in (ours, theirs)
        )
        np.testing.assert_allclose(mine, its, rtol=0, atol=1e-6 * np.abs(its).max())
    return ours, theirs


@pytest.mark.filterwarnings("ignore:Running approximate fixed effects")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"noise_model": "ols", "signal_scaling": False},
        {"noise_model": "ar2", "random_state": 0, "drift_model": "polynomial"},
        {"signal_scaling": (0, 1), "hrf_model": "spm + derivative"},
        {"smoothing_fwhm": 30.0, "slice_time_ref": 0.5},
        {"mask_img": None},
    ],
)
def test_maps_of_real_runs_are_nilearns(real_data, options):
    runs = [str(real_data / f"haxby2001_sub001_run00{n}_25mm_bold.nii.gz") for n in (1, 2)]
    motion = [
        pd.read_csv(
            real_data / f"haxby2001_sub001_run00{n}_motion.txt", sep=r"\s+", header=None
        ).add_prefix("motion")
        for n in (1, 2)
    ]
    mask_img = str(real_data / "haxby2001_sub001_25mm_brain.nii.gz")
    events = [events_of(121, 2.5)] * 2
    bins = 5 if options.get("noise_model") == "ar2" else 100
    compare(
        runs,
        [events, motion],
        bins=bins,
        **{"t_r": 2.5, "mask_img": mask_img, **options},
    )


@pytest.mark.filterwarnings("ignore:Running approximate fixed effects")
def test_maps_of_made_runs_with_sample_masks_are_nilearns(made):
    kept = [np.r_[4:90], np.r_[0:40, 45:88]]
    events = [events_of(90, 2.0)] * 2
    mask_img = nib.Nifti1Image(np.ones((9, 10, 8), np.uint8), np.diag([4.0, 4, 4, 1]))
    compare(made, [events], sample_masks=kept, t_r=2.0, mask_img=mask_img)


@pytest.mark.parametrize("noise_model", ["ols", "ar1", "ar3"])
def test_series_of_a_fit_are_nilearns(made, noise_model):
    mask_img = nib.Nifti1Image(np.ones((9, 10, 8), np.uint8), np.diag([4.0, 4, 4, 1]))
    ours, theirs = compare(
        made[:1],
        [events_of(90, 2.0)],
        bins=100 if noise_model == "ar1" else 4,
        t_r=2.0,
        mask_img=mask_img,
        noise_model=noise_model,
        minimize_memory=False,
        random_state=1,
    )
    for name in ("residuals_", "predicted_", "r_square_"):
        mine, its = (getattr(one, name)[0] for one in (ours, theirs))
        assert name == "r_square_" or not isinstance(mine.dataobj, np.ndarray)
        expected = np.squeeze(its.get_fdata())
        np.testing.assert_allclose(
            mine.get_fdata(), expected, rtol=0, atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize("kind", ["lazyvox", "nilearn", "cleaning", "coarser grid"])
def test_maskers_of_both_libraries_can_be_the_mask(made, kind):
    values = np.zeros((9, 10, 8), np.uint8)
    values[2:7, 2:8, 1:7] = 1
    mask_img = nib.Nifti1Image(values, np.diag([4.0, 4, 4, 1]))
    options = {"detrend": True, "high_pass": 0.01, "t_r": 2.0} if kind == "cleaning" else {}
    if kind == "coarser grid":
        options = {"target_affine": np.diag([8.0, 8, 8])}
    events, design = events_of(90, 2.0), {"t_r": 2.0, "signal_scaling": False}
    its_masker = NilearnMasker(mask_img, standardize=None, **options).fit()
    my_masker = its_masker
    if kind != "nilearn":
        my_masker = NiftiMasker(mask_img, standardize=None, **options).fit()
    if kind == "coarser grid":
        with pytest.warns(UserWarning, match="images should be on the grid of the mask"):
            ours = FirstLevelModel(mask_img=my_masker, **design).fit(made[0], events)
    else:
        ours = FirstLevelModel(mask_img=my_masker, **design).fit(made[0], events)
    theirs = fitted_by_nilearn(in_float64(made[0]), events, mask_img=its_masker, **design)
    mine, its = (one.compute_contrast("face - house").get_fdata() for one in (ours, theirs))
    np.testing.assert_allclose(mine, its, rtol=0, atol=1e-6 * np.abs(its).max())


@pytest.mark.slow
def test_reports_and_files_are_made_by_nilearn(made, tmp_path):
    mask_img = nib.Nifti1Image(np.ones((9, 10, 8), np.uint8), np.diag([4.0, 4, 4, 1]))
    options = {"t_r": 2.0, "mask_img": mask_img, "signal_scaling": False}
    model = FirstLevelModel(minimize_memory=False, **options).fit(made[0], events_of(90, 2.0))
    report = model.generate_report({"faces": "constant"}, plot_type="slice")
    assert "constant" in str(report)
    save_glm_to_bids(model, {"faces": "face - house"}, out_dir=tmp_path, prefix="sub-1")
    names = {path.name for path in (tmp_path / "sub-1").iterdir()}
    assert {"sub-1_contrast-faces_stat-t_statmap.nii.gz", "sub-1_design.tsv"} <= names


def test_what_nilearn_ignores_is_done(made):
    mask_img = nib.Nifti1Image(np.ones((9, 10, 8), np.uint8), np.diag([4.0, 4, 4, 1]))
    options = {"t_r": 2.0, "mask_img": mask_img, "signal_scaling": False}
    events = events_of(90, 2.0)
    plain, scaled = (
        FirstLevelModel(standardize=how, **options).fit(made[0], events)
        for how in (None, "zscore_sample")
    )
    effects = [
        one.compute_contrast("face", output_type="effect_size").get_fdata()
        for one in (plain, scaled)
    ]
    spread = in_float64(made[0]).get_fdata().std(axis=3, ddof=1)
    np.testing.assert_allclose(effects[1], effects[0] / spread, rtol=1e-9)
    by_volume = FirstLevelModel(**{**options, "signal_scaling": 1}).fit(made[0], events)
    values = in_float64(made[0]).get_fdata()
    values = 100 * (values / values.mean(axis=(0, 1, 2)) - 1)
    scaled_img = nib.Nifti1Image(values, np.diag([4.0, 4, 4, 1]))
    expected = fitted_by_nilearn(scaled_img, events, **options).compute_contrast("face")
    np.testing.assert_allclose(
        by_volume.compute_contrast("face").get_fdata(), expected.get_fdata(), atol=1e-8
    )
