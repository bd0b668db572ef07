"""`lazyvox.masking` next to `nilearn.masking`."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox import masking
from lazyvox.testing import write_nifti

nilearn = pytest.importorskip("nilearn.masking", reason="compares with nilearn")

SHAPE = (24, 26, 22)
AFFINE = nib.affines.from_matvec(np.diag([3.0, 3.0, 3.5]), [-30, -40, -35])

#: What nilearn warns of by itself, in these calls.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Computed an empty mask"),
    pytest.mark.filterwarnings("ignore:The mask that was computed is empty"),
    pytest.mark.filterwarnings("ignore:Non-finite values detected"),
    pytest.mark.filterwarnings("ignore:.*are NaN or infinite"),
    pytest.mark.filterwarnings("ignore:NaNs or infinite values are present"),
    pytest.mark.filterwarnings("ignore:the image that is resampled has NaN"),
    pytest.mark.filterwarnings("ignore:invalid value encountered in reduce"),
]


def phantom(seed=0, n_volumes=9, dtype="f4", background=0.0):
    """Return a run with a head in noise, and a bridge to a second blob."""
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(SHAPE)
    head = ((i - 11) / 8) ** 2 + ((j - 12) / 9) ** 2 + ((k - 10) / 7) ** 2 <= 1
    blob = (abs(i - 3) < 3) & (abs(j - 3) < 3) & (abs(k - 3) < 3)
    bright = 800 * head + 500 * blob + background
    noise = rng.normal(scale=60, size=(*SHAPE, n_volumes))
    values = bright[..., None] + noise * (1 + head[..., None])
    if np.dtype(dtype).kind in "iu":
        values = np.clip(values, 0, np.iinfo(dtype).max)
    return values.astype(dtype)


def padded(dtype="f4"):
    values = phantom(1, dtype=dtype)
    values[:3] = values[-3:] = 0
    values[:, :4] = values[:, -3:] = 0
    values[:, :, :3] = values[:, :, -3:] = 0
    return values


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    with_nan = padded()
    with_nan[:2] = with_nan[-2:] = np.nan
    with_nan[12, 12, 10, 3] = np.inf
    kinds = {
        "float32": (phantom(), {}),
        "int16": (phantom(2, dtype="i2"), {}),
        "scaled": (phantom(3, dtype="i2"), {"slope": 0.37, "inter": -3.5}),
        "big endian": (phantom(4, dtype=">f4"), {}),
        "float64": (phantom(5, dtype="f8"), {}),
        "padded": (padded(), {}),
        "nan": (with_nan, {}),
        "volume": (phantom(6)[..., 0], {}),
        "integer volume": (phantom(7, dtype="i2")[..., 0], {}),
    }
    return {
        name: write_nifti(folder / f"{name}.nii.gz", values, affine=AFFINE, **options)
        for name, (values, options) in kinds.items()
    }


KINDS = [
    "float32",
    "int16",
    "scaled",
    "big endian",
    "float64",
    "padded",
    "nan",
    "volume",
    "integer volume",
]


def assert_same_mask(ours, theirs, *, types=True):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine)
    found, expected = np.asarray(ours.dataobj), np.asarray(theirs.dataobj)
    assert not types or found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


EPI = [
    {},
    {"opening": False},
    {"opening": 1, "connected": False},
    {"opening": True},
    {"exclude_zeros": True},
    {"exclude_zeros": True, "opening": False},
    {"lower_cutoff": 0.4, "upper_cutoff": 0.95},
    {"ensure_finite": False},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", EPI, ids=str)
def test_epi_masks_are_the_same(runs, kind, options):
    theirs = nilearn.compute_epi_mask(runs[kind], **options)
    assert_same_mask(masking.compute_epi_mask(runs[kind], **options), theirs)


BACKGROUND = [
    {},
    {"border_size": 1},
    {"connected": True},
    {"opening": 2, "connected": True},
    {"opening": 1},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", BACKGROUND, ids=str)
def test_background_masks_are_the_same(runs, kind, options):
    theirs = nilearn.compute_background_mask(runs[kind], **options)
    assert_same_mask(masking.compute_background_mask(runs[kind], **options), theirs)


@pytest.mark.parametrize("memory", ["8.8MiB", "9.3MiB", "1GiB"])
def test_masks_do_not_depend_on_the_budget(runs, memory):
    with lv.memory_budget(memory):
        found = masking.compute_epi_mask(runs["float32"])
    assert_same_mask(found, nilearn.compute_epi_mask(runs["float32"]))


GRIDS = [
    {"target_affine": np.diag([4.0, 4.0, 4.0])},
    {
        "target_affine": nib.affines.from_matvec(np.eye(3) * 3.2, [-33, -41, -36]),
        "target_shape": SHAPE,
    },
]


@pytest.mark.parametrize("options", GRIDS, ids=["zooms", "grid"])
@pytest.mark.parametrize("name", ["compute_epi_mask", "compute_background_mask"])
def test_masks_on_another_grid(runs, name, options):
    for kind in ("padded", "nan", "scaled", "volume"):
        theirs = getattr(nilearn, name)(runs[kind], **options)
        assert_same_mask(getattr(masking, name)(runs[kind], **options), theirs)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("threshold", [0, 0.4, 0.5, 1])
def test_masks_of_several_runs(runs, n_jobs, threshold):
    several = [runs[kind] for kind in ("float32", "int16", "scaled", "volume")]
    for name in ("compute_multi_epi_mask", "compute_multi_background_mask"):
        theirs = getattr(nilearn, name)(several, threshold=threshold)
        ours = getattr(masking, name)(several, threshold=threshold, n_jobs=n_jobs)
        assert_same_mask(ours, theirs)


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("threshold", [0, 0.25, 0.5, 2 / 3, 1])
def test_intersections(connected, threshold):
    rng = np.random.default_rng(3)
    imgs = [
        nib.Nifti1Image((rng.random(SHAPE) > 0.6).astype(dtype) * value, AFFINE)
        for dtype, value in (("u1", 1), ("f4", 0.3), ("i2", -7))
    ]
    theirs = nilearn.intersect_masks(imgs, threshold=threshold, connected=connected)
    ours = masking.intersect_masks(imgs, threshold=threshold, connected=connected)
    assert_same_mask(ours, theirs)


SIGNALS = [
    {},
    {"dtype": "f8"},
    {"dtype": "f4"},
    {"dtype": "i4", "ensure_finite": False},
    {"ensure_finite": False},
]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nan"])
@pytest.mark.parametrize("options", SIGNALS, ids=str)
def test_signals_are_the_same(runs, kind, options):
    mask = nib.Nifti1Image((phantom()[..., 0] > 500).astype("u1"), AFFINE)
    theirs = nilearn.apply_mask(runs[kind], mask, **options)
    ours = masking.apply_mask(runs[kind], mask, **options)
    assert ours.dtype == theirs.dtype.newbyteorder("=")
    np.testing.assert_array_equal(ours, theirs)


def test_signals_of_values_that_are_not_finite(runs):
    mask = nib.Nifti1Image(np.ones(SHAPE, "u1"), AFFINE)
    for options in ({}, {"ensure_finite": False}):
        theirs = nilearn.apply_mask(runs["nan"], mask, **options)
        np.testing.assert_array_equal(masking.apply_mask(runs["nan"], mask, **options), theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"dtype": "f4"}, {"dtype": "f8"}], ids=str)
def test_smoothed_signals(runs, kind, options):
    mask = nib.Nifti1Image((phantom()[..., 0] > 500).astype("u1"), AFFINE)
    theirs = nilearn.apply_mask(runs[kind], mask, smoothing_fwhm=7, **options)
    ours = masking.apply_mask(runs[kind], mask, smoothing_fwhm=7, **options)
    assert ours.dtype == theirs.dtype.newbyteorder("=")
    bound = 1e-6 if ours.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound * np.abs(theirs).max())


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2", "i8", "?"])
@pytest.mark.parametrize("shape", [(5,), ()])
@pytest.mark.filterwarnings("ignore:Data array used to create a new image contains 64-bit ints")
def test_images_of_signals(dtype, shape):
    mask = nib.Nifti1Image((phantom()[..., 0] > 500).astype("u1"), AFFINE)
    n_voxels = int(np.asarray(mask.dataobj).sum())
    signals = (np.random.default_rng(0).normal(size=(*shape, n_voxels)) * 9).astype(dtype)
    theirs, ours = nilearn.unmask(signals, mask), masking.unmask(signals, mask)
    assert ours.get_data_dtype() == theirs.get_data_dtype().newbyteorder("=")
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert ours.header.get_zooms() == theirs.header.get_zooms()
    assert ours.header["sform_code"] == theirs.header["sform_code"]


def test_real_runs(real_data):
    runs = sorted(real_data.glob("*_bold.nii.gz")) + sorted(real_data.glob("multi_delay*"))
    for run in runs:
        for options in ({}, {"opening": False}):
            theirs = nilearn.compute_epi_mask(run, **options)
            assert_same_mask(masking.compute_epi_mask(run, **options), theirs)
            theirs = nilearn.compute_background_mask(run, **options)
            assert_same_mask(masking.compute_background_mask(run, **options), theirs)
    mask = real_data / "haxby2001_sub001_25mm_brain.nii.gz"
    run = real_data / "haxby2001_sub001_run001_25mm_bold.nii.gz"
    theirs = nilearn.apply_mask(run, mask)
    np.testing.assert_array_equal(masking.apply_mask(run, mask), theirs)


@pytest.mark.parametrize(
    ("zoom", "shape", "corner"),
    [(3, (61, 73, 61), (-90, -126, -72)), (4, (48, 58, 48), (-95, -130, -75))],
)
def test_the_brain_of_the_template_is_close(zoom, shape, corner):
    """The templates differ, and the page of differences says so: not equal, but the same place."""
    affine = nib.affines.from_matvec(np.eye(3) * zoom, corner)
    target = nib.Nifti1Image(np.zeros(shape, "f4"), affine)
    theirs = np.asarray(nilearn.compute_brain_mask(target).dataobj) > 0
    ours = np.asarray(masking.compute_brain_mask(target).dataobj) > 0
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.9


@pytest.mark.parametrize("mask_type", ["gm", "wm"])
def test_the_masks_of_tissues_are_nilearns(mask_type):
    affine = nib.affines.from_matvec(np.eye(3) * 6, (-90, -126, -72))
    target = nib.Nifti1Image(np.zeros((31, 37, 31), "f4"), affine)
    theirs = nilearn.compute_brain_mask(target, mask_type=mask_type)
    ours = masking.compute_brain_mask(target, mask_type=mask_type)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    assert np.asarray(ours.dataobj).any()


def kind_of_error(call, *args, **kwargs):
    """Return the built-in kind of error that a call raises."""
    kinds = (TypeError, ValueError, IndexError)
    try:
        call(*args, **kwargs)
    except kinds as error:
        return next(kind for kind in kinds if isinstance(error, kind))
    return None


RUN = nib.Nifti1Image(phantom(n_volumes=2), AFFINE)
MASK = nib.Nifti1Image((phantom(n_volumes=1)[..., 0] > 500).astype("u1"), AFFINE)
ODD = nib.Nifti1Image(np.ones((3, 3, 3), "u1"), AFFINE)
WRONG = {
    "threshold above": ("intersect_masks", ([MASK],), {"threshold": 2}),
    "threshold text": ("intersect_masks", ([MASK],), {"threshold": "a"}),
    "no masks": ("intersect_masks", ([],), {}),
    "masks that differ": ("intersect_masks", ([MASK, ODD],), {}),
    "no runs": ("compute_multi_epi_mask", ([],), {}),
    "no images": ("compute_multi_background_mask", ([],), {}),
    "no targets": ("compute_multi_brain_mask", ([],), {}),
    "cutoff text": ("compute_epi_mask", (RUN,), {"lower_cutoff": "0.2"}),
    "cutoffs crossed": ("compute_epi_mask", (RUN,), {"lower_cutoff": 0.9, "upper_cutoff": 0.1}),
    "connected": ("compute_epi_mask", (RUN,), {"connected": 1}),
    "opening": ("compute_epi_mask", (RUN,), {"opening": 1.5}),
    "border": ("compute_background_mask", (RUN,), {"border_size": 1.5}),
    "shape alone": ("compute_epi_mask", (RUN,), {"target_shape": (3, 3, 3)}),
    "tissue": ("compute_brain_mask", (RUN,), {"mask_type": "csf"}),
    "targets that differ": ("compute_multi_brain_mask", ([MASK, ODD],), {}),
    "mask elsewhere": ("apply_mask", (RUN, ODD), {}),
    "4D mask": ("apply_mask", (RUN, RUN), {}),
    "no mask": ("apply_mask", (RUN, 3), {}),
    "fast": ("apply_mask", (RUN, MASK), {"smoothing_fwhm": "fast"}),
    "width of signals": ("unmask", (np.zeros((2, 3)), MASK), {}),
    "3D signals": ("unmask", (np.zeros((2, 3, 4)), MASK), {}),
    "empty list": ("unmask", ([], MASK), {}),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_errors_are_of_the_same_kind(case):
    name, args, kwargs = case
    theirs = kind_of_error(getattr(nilearn, name), *args, **kwargs)
    assert theirs is not None
    assert kind_of_error(getattr(masking, name), *args, **kwargs) is theirs
