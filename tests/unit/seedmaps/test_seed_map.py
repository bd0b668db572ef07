"""Seed maps equal those of cleaning first and relating afterwards, for every measure and option."""

from functools import partial

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import clean_img, smooth_img
from lazyvox.lazyimage.series import as_series
from lazyvox.seedmaps.api import SeedMapOptions, prepare_seed_maps
from lazyvox.seedmaps.cleaning import SeedCleaning
from lazyvox.signal import clean
from lazyvox.testing import image_of

SHAPE = (7, 8, 6)
N = 90
T_R = 2.0
RNG = np.random.default_rng(0)
TIMES = np.arange(N)
COMMON = np.sin(TIMES / 7) + RNG.normal(size=N)
VALUES = (
    500
    + 20 * RNG.normal(size=(*SHAPE, N))
    + RNG.uniform(-1, 1, SHAPE)[..., None] * (8 * COMMON + 0.3 * TIMES)
).astype("f4")
AFFINE = np.diag([3.0, 3.0, 3.0, 1])
CONFOUNDS = np.cumsum(RNG.normal(size=(N, 4)), axis=0) + 10
KEPT = np.delete(TIMES, [0, 1, 30, 31, 32, 70])
SEED = (6.0, 9.0, 6.0)
MASK = RNG.random(SHAPE) < 0.7


def run_of(values, t_r=T_R):
    img = image_of(values, AFFINE)
    img.header.set_zooms((3, 3, 3, t_r))
    img.header.set_xyzt_units("mm", "sec")
    return img


RUN = run_of(VALUES)


def near(xyz, radius):
    ijk = np.stack(np.indices(SHAPE), axis=-1) * 3.0
    return ((ijk - xyz) ** 2).sum(axis=-1) <= radius**2


def projector(kept=None, confounds=None, order=0, band=None, cosines=None, n=N):
    """Return a function that removes regressors from columns, by least squares."""
    columns = [np.linspace(-1, 1, n)[:, None] ** np.arange(order + 1)]
    if band is not None:
        numbers = np.arange(1, n // 2 + 1)
        low, high = band
        bad = (numbers < low * n * T_R - 1e-6) | (numbers > high * n * T_R + 1e-6)
        phase = 2 * np.pi * np.outer(np.arange(n), numbers[bad]) / n
        # Half of the sampling rate has no sine.
        columns += [np.cos(phase), np.sin(phase)[:, 2 * numbers[bad] < n]]
    if cosines is not None:
        n_cosines = int(2 * n * T_R * cosines)
        columns.append(
            np.cos(np.pi / n * np.outer(np.arange(n) + 0.5, np.arange(1, n_cosines + 1)))
        )
    if confounds is not None:
        columns.append(confounds)
    rows = np.arange(n) if kept is None else kept
    design = np.concatenate(columns, axis=1)[rows]
    design /= np.abs(design).max(axis=0)
    inverse = np.linalg.pinv(design, rcond=1e-10)
    rank = np.linalg.matrix_rank(design, tol=1e-9)

    def cleaned(courses):
        taken = courses[rows]
        taken = taken - taken[0]
        return taken - design @ (inverse @ taken)

    return cleaned, len(rows) - rank


def related(seed, voxels, measure, n_left):
    """Return a measure of two cleaned signals, by its definition."""
    products = voxels.T @ seed
    if measure == "regression":
        return products / (seed @ seed)
    r = products / np.sqrt((voxels**2).sum(axis=0) * (seed @ seed))
    if measure == "correlation":
        return r
    if measure == "fisher-z":
        return np.arctanh(r)
    return r * np.sqrt((n_left - 1) / (1 - r**2))


def expected(cleaned, measure, n_left, voxels=VALUES, seed=None):
    signal = VALUES[near(SEED, 4)].mean(axis=0, dtype=float) if seed is None else seed
    columns = voxels.reshape(-1, voxels.shape[3]).astype(float).T
    maps = related(cleaned(signal[:, None])[:, 0], cleaned(columns), measure, n_left)
    return maps.reshape(SHAPE)


MEASURES = ("correlation", "fisher-z", "regression", "t")
CASES = {
    "mean only": ({}, {}),
    "confounds": ({"confounds": CONFOUNDS}, {"confounds": CONFOUNDS}),
    "trends": ({"drift_order": 3}, {"order": 3}),
    "few out of band": (
        {"high_pass": 0.01, "confounds": CONFOUNDS},
        {"band": (0.01, np.inf), "confounds": CONFOUNDS},
    ),
    "few in band": (
        {"high_pass": 0.02, "low_pass": 0.1, "confounds": CONFOUNDS, "drift_order": 1},
        {"band": (0.02, 0.1), "confounds": CONFOUNDS, "order": 1},
    ),
    "in band, volumes left out": (
        {"high_pass": 0.02, "low_pass": 0.1, "confounds": CONFOUNDS, "sample_mask": KEPT},
        {"band": (0.02, 0.1), "confounds": CONFOUNDS, "kept": KEPT},
    ),
    "out of band, volumes left out": (
        {"high_pass": 0.02, "sample_mask": KEPT, "drift_order": 2},
        {"band": (0.02, np.inf), "kept": KEPT, "order": 2},
    ),
    "cosines": (
        {"high_pass": 0.015, "filter": "cosine", "confounds": CONFOUNDS, "drift_order": 1},
        {"cosines": 0.015, "confounds": CONFOUNDS, "order": 1},
    ),
    "cosines, volumes left out": (
        {"high_pass": 0.015, "filter": "cosine", "sample_mask": KEPT},
        {"cosines": 0.015, "kept": KEPT},
    ),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(("options", "design"), CASES.values(), ids=CASES)
def test_equals_cleaning_first_and_relating_afterwards(options, design, measure):
    got = lv.seed_map(RUN, SEED, radius=4, measure=measure, **options)
    cleaned, n_left = projector(**design)
    np.testing.assert_allclose(
        got.get_fdata(), expected(cleaned, measure, n_left), rtol=1e-6, atol=1e-7
    )


CLEANED = {
    "trend": ({"drift_order": 1}, {"detrend": True}),
    "confounds and cosines": (
        {"drift_order": 1, "confounds": CONFOUNDS, "high_pass": 0.012, "filter": "cosine"},
        {"detrend": True, "confounds": CONFOUNDS, "high_pass": 0.012, "filter": "cosine"},
    ),
    "Butterworth": (
        {"drift_order": 1, "confounds": CONFOUNDS, "high_pass": 0.01, "low_pass": 0.1, "filter": "butterworth"},
        {"detrend": True, "confounds": CONFOUNDS, "high_pass": 0.01, "low_pass": 0.1},
    ),
    "Butterworth, cubic trend": (
        {"drift_order": 3, "confounds": CONFOUNDS, "high_pass": 0.01, "filter": "butterworth"},
        {"detrend": True, "trend_degree": 3, "confounds": CONFOUNDS, "high_pass": 0.01},
    ),
    "Butterworth, volumes left out": (
        {"high_pass": 0.01, "low_pass": 0.1, "filter": "butterworth", "sample_mask": KEPT},
        {"detrend": False, "high_pass": 0.01, "low_pass": 0.1, "sample_mask": KEPT},
    ),
}  # fmt: skip


def by_signal_clean(courses, **cleaning):
    cleaned = clean(courses, standardize=None, t_r=T_R, **cleaning)
    return cleaned - cleaned.mean(axis=0)


@pytest.mark.parametrize("measure", ["correlation", "regression"])
@pytest.mark.parametrize(("options", "cleaning"), CLEANED.values(), ids=CLEANED)
def test_equals_signal_clean_of_seed_and_voxels(options, cleaning, measure):
    got = lv.seed_map(RUN, SEED, radius=4, measure=measure, **options)

    want = expected(partial(by_signal_clean, **cleaning), measure, 0)
    np.testing.assert_allclose(got.get_fdata(), want, atol=1e-6)


def test_equals_clean_img_of_the_run():
    options = {"high_pass": 0.01, "low_pass": 0.1, "t_r": T_R, "confounds": CONFOUNDS}
    img = clean_img(RUN, detrend=True, standardize="zscore_sample", **options)
    values = img.get_fdata().reshape(-1, N)
    seed = img.get_fdata()[2, 3, 2]
    got = lv.seed_map(RUN, SEED, filter="butterworth", drift_order=1, **options)
    np.testing.assert_allclose(got.get_fdata().reshape(-1), values @ seed / (N - 1), atol=1e-5)


@pytest.mark.parametrize("kind", ["fourier", "butterworth"])
def test_voxels_are_smoothed_and_seeds_are_not(kind):
    options = {"high_pass": 0.02, "low_pass": 0.1, "filter": kind}
    run = run_of(VALUES.astype(float))
    got = lv.seed_map(run, SEED, radius=4, smoothing_fwhm=6, **options)
    smooth = smooth_img(run, 6).get_fdata()
    if kind == "fourier":
        cleaned, _ = projector(band=(0.02, 0.1))
    else:
        cleaned = partial(by_signal_clean, detrend=False, high_pass=0.02, low_pass=0.1)
    want = expected(cleaned, "correlation", 0, voxels=smooth)
    np.testing.assert_allclose(got.get_fdata(), want, atol=1e-6)
    both = lv.seed_map(smooth_img(run, 6), SEED, radius=4, **options)
    seed = smooth[near(SEED, 4)].mean(axis=0)
    want = expected(cleaned, "correlation", 0, voxels=smooth, seed=seed)
    np.testing.assert_allclose(both.get_fdata(), want, atol=1e-6)


def test_several_seeds_are_one_image_and_a_dict_is_a_dict():
    mask = near(SEED, 4).astype("u1")
    labels = (np.indices(SHAPE)[0] // 3).astype("i2")
    seeds = [SEED, (15.0, 3.0, 6.0)]
    two = lv.seed_map(RUN, seeds, radius=4)
    assert two.shape == (*SHAPE, 2)
    one = lv.seed_map(RUN, image_of(mask, AFFINE))
    assert one.shape == SHAPE
    np.testing.assert_allclose(one.get_fdata(), two.get_fdata()[..., 0], atol=1e-12)
    named = lv.seed_map(RUN, {"sphere": SEED, "halves": image_of(labels, AFFINE)}, radius=4)
    np.testing.assert_allclose(named["sphere"].get_fdata(), one.get_fdata(), atol=1e-12)
    assert named["halves"].shape == (*SHAPE, 2)
    listed = lv.seed_map(RUN, [image_of(mask, AFFINE), lv.Spheres(seeds, 4, allow_overlap=True)])
    np.testing.assert_allclose(listed.get_fdata()[..., 1:], two.get_fdata(), atol=1e-12)
    assert np.all(listed.header.get_zooms()[:3] == (3, 3, 3))


def test_seeds_may_share_voxels():
    maps = lv.seed_map(RUN, [SEED, SEED], radius=4).get_fdata()
    np.testing.assert_array_equal(maps[..., 0], maps[..., 1])


def test_voxels_outside_of_the_mask_are_zero_and_those_inside_do_not_change():
    whole = lv.seed_map(RUN, SEED, radius=4, drift_order=1).get_fdata()
    some = lv.seed_map(
        RUN, SEED, radius=4, drift_order=1, mask_img=image_of(MASK.astype("u1"), AFFINE)
    )
    np.testing.assert_allclose(some.get_fdata(), np.where(MASK, whole, 0), atol=1e-12)


def test_a_butterworth_filter_inside_of_a_mask_is_that_of_the_whole_grid():
    values = VALUES.copy()
    bad = tuple(np.argwhere(MASK & ~near(SEED, 4))[0])
    values[bad][5] = np.nan
    options = {"radius": 4, "filter": "butterworth", "high_pass": 0.01, "confounds": CONFOUNDS}
    with pytest.warns(lv.LazyvoxWarning, match="1 voxels are not finite"):
        whole = lv.seed_map(run_of(values), SEED, **options).get_fdata()
    mask = image_of(MASK.astype("u1"), AFFINE)
    with pytest.warns(lv.LazyvoxWarning, match="1 voxels are not finite"):
        some = lv.seed_map(run_of(values), SEED, mask_img=mask, **options).get_fdata()
    assert np.isnan(some[bad])
    np.testing.assert_allclose(some, np.where(MASK, whole, 0), atol=1e-7)
    planned = [
        lv.plan(lv.seed_map, RUN, SEED, mask_img=one, **options).memory for one in (None, mask)
    ]
    spools = [sum(one.nbytes for one in terms if one.name == "spool") for terms in planned]
    assert spools[1] < 0.8 * spools[0]


def test_the_seed_itself_is_one_and_its_t_infinite():
    voxel = (2, 3, 2)
    assert lv.seed_map(RUN, SEED, drift_order=2).get_fdata()[voxel] == 1
    assert lv.seed_map(RUN, SEED, measure="fisher-z").get_fdata()[voxel] == 4
    assert (
        lv.seed_map(RUN, SEED, measure="t", high_pass=0.02, low_pass=0.1).get_fdata()[voxel]
        == np.inf
    )


@pytest.mark.parametrize(
    "further", [{}, {"high_pass": 0.02, "low_pass": 0.1}, {"high_pass": 0.02}]
)
def test_runs_are_cleaned_each_by_itself(further):
    first, second = VALUES[..., :50], VALUES[..., 50:] * 3 + 1000
    runs = [run_of(first), run_of(second)]
    confounds = [CONFOUNDS[:50], CONFOUNDS[50:, :2]]
    got = lv.seed_map(
        runs, SEED, radius=4, confounds=confounds, drift_order=1, measure="t", **further
    )
    parts, n_left = [], 0
    for values, own in zip((first, second), confounds, strict=True):
        band = (0.02, further.get("low_pass", np.inf)) if further else None
        cleaned, left = projector(confounds=own, order=1, n=values.shape[3], band=band)
        n_left += left
        columns = values.reshape(-1, values.shape[3]).astype(float).T
        seed = values[near(SEED, 4)].mean(axis=0, dtype=float)
        parts.append((cleaned(seed[:, None])[:, 0], cleaned(columns)))
    seed, voxels = (np.concatenate(one) for one in zip(*parts, strict=True))
    want = related(seed, voxels, "t", n_left).reshape(SHAPE)
    np.testing.assert_allclose(got.get_fdata(), want, rtol=1e-6)


def test_runs_may_be_joined_or_interleaved():
    halves = [run_of(VALUES[..., :50]), run_of(VALUES[..., 50:])]
    options = {"radius": 4, "high_pass": 0.02, "drift_order": 1}
    joined = lv.seed_map(halves, SEED, runs="joined", confounds=CONFOUNDS, **options)
    whole = lv.seed_map(RUN, SEED, confounds=CONFOUNDS, **options)
    np.testing.assert_allclose(joined.get_fdata(), whole.get_fdata(), atol=1e-12)
    labels = TIMES % 2
    mixed = lv.seed_map(RUN, SEED, runs=labels, confounds=CONFOUNDS, **options)
    apart = [run_of(VALUES[..., labels == one]) for one in (0, 1)]
    tables = [CONFOUNDS[labels == one] for one in (0, 1)]
    want = lv.seed_map(apart, SEED, confounds=tables, **options)
    np.testing.assert_allclose(mixed.get_fdata(), want.get_fdata(), atol=1e-12)


def test_runs_and_a_butterworth_filter():
    runs = [run_of(VALUES[..., :45]), run_of(VALUES[..., 45:])]
    got = lv.seed_map(runs, SEED, radius=4, filter="butterworth", high_pass=0.02, drift_order=1)
    labels = np.repeat([0, 1], 45)

    def cleaned(courses):
        found = clean(courses, labels, standardize=None, high_pass=0.02, t_r=T_R)
        return found - np.array([found[labels == run].mean(axis=0) for run in (0, 1)])[labels]

    np.testing.assert_allclose(got.get_fdata(), expected(cleaned, "correlation", 0), atol=1e-6)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("options", [{}, {"high_pass": 0.02, "low_pass": 0.1}, {"drift_order": 1}])
def test_voxels_without_variation_are_zero_and_those_not_finite_are_nan(options, measure):
    values = VALUES.astype(float)
    values[0, 0, 0], values[0, 0, 1] = 0, 0.1
    values[0, 0, 2, 7], values[0, 0, 3, 3] = np.nan, np.inf
    values[0, 0, 4] = 1e9
    mask = image_of(np.ones(SHAPE, "u1"), AFFINE)
    with pytest.warns(lv.LazyvoxWarning) as caught:
        maps = lv.seed_map(
            run_of(values), SEED, radius=4, measure=measure, mask_img=mask, **options
        )
    found = maps.get_fdata()
    assert found[0, 0, [0, 1, 4]].tolist() == [0, 0, 0]
    assert np.isnan(found[0, 0, 2:4]).all()
    assert np.isnan(found).sum() == 2
    texts = [str(one.message) for one in caught]
    assert texts == [
        "2 voxels are not finite in a volume: maps are NaN there.",
        "3 voxels of `mask_img` do not vary over time: maps are 0 there.",
    ]


def test_what_the_regressors_explain_wholly_is_zero():
    values = VALUES.astype(float)
    values[1, 1, 1] = 300 + 5 * TIMES
    values[1, 1, 2] = 7 * CONFOUNDS[:, 1]
    options = {"confounds": CONFOUNDS, "drift_order": 1, "measure": "t"}
    maps = lv.seed_map(run_of(values), SEED, radius=4, **options).get_fdata()
    assert maps[1, 1, 1:3].tolist() == [0, 0]


@pytest.mark.parametrize("fwhm", [None, 6])
@pytest.mark.parametrize("band", [{}, {"high_pass": 0.02, "low_pass": 0.1}])
def test_a_large_mean_costs_no_precision(band, fwhm):
    """A mean of 100,000 standard deviations, in float32: as in float64, but for its own rounding."""
    values = (1e6 + VALUES - 500).astype("f4")
    exact = values.astype(float) - 1e6
    options = {"radius": 4, "confounds": CONFOUNDS, "smoothing_fwhm": fwhm, **band}
    got = lv.seed_map(run_of(values), SEED, **options).get_fdata()
    want = lv.seed_map(run_of(exact), SEED, **options).get_fdata()
    np.testing.assert_allclose(got, want, atol=1e-7)


def test_scaled_integers(tmp_path):
    path = tmp_path / "run.nii.gz"
    lv.save(run_of(VALUES), path, dtype="int16", scale=(0.05, 300))
    got = lv.seed_map(path, SEED, radius=4, drift_order=1).get_fdata()
    values = np.asarray(lv.load(path).dataobj)
    cleaned, _ = projector(order=1)
    seed = values[near(SEED, 4)].mean(axis=0, dtype=float)
    want = expected(cleaned, "correlation", 0, voxels=values, seed=seed)
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 64])
@pytest.mark.parametrize("split", [1, 33, 60, 89])
def test_any_block_and_any_split_give_the_same(block, split):
    """Two halves of a pass that are merged, across two runs of 45 volumes."""

    def made():
        prepared = prepare_seed_maps(
            as_series([run_of(VALUES[..., :45]), run_of(VALUES[..., 45:])]),
            SEED,
            SeedMapOptions(4, measure="t"),
            SeedCleaning(CONFOUNDS, KEPT, 1, 0.02, None),
        )
        return prepared.handle.consumer, prepared.scan.grid

    def fed(consumer, grid, start, stop):
        consumer.check(grid)
        consumer.init(grid)
        for first in range(start, stop, block):
            last = min(first + block, stop)
            consumer.update(np.asfortranarray(VALUES[..., first:last]), first)
        return consumer

    whole = fed(*made(), 0, N).finalize()
    halves = [fed(*made(), *ends) for ends in ((0, split), (split, N))]
    halves[0].merge(halves[1])
    np.testing.assert_allclose(halves[0].finalize().values, whole.values, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*of its voxels lie inside")
def test_seeds_and_masks_on_another_grid():
    fine = np.diag([1.5, 1.5, 1.5, 1])
    seed = np.repeat(np.repeat(np.repeat(near(SEED, 4), 2, 0), 2, 1), 2, 2).astype("u1")
    inside = np.ones(seed.shape, "u1")
    with pytest.raises(lv.GridMismatchError, match="resample=True"):
        lv.seed_map(RUN, image_of(seed, fine))
    options = {"resample": True, "mask_img": image_of(inside, fine)}
    got = lv.seed_map(RUN, image_of(seed, fine), **options).get_fdata()
    signals = lv.extract(RUN, image_of(seed, fine), strategy="mean", resample=True).values
    cleaned, _ = projector()
    want = expected(cleaned, "correlation", 0, seed=signals[:, 0])
    np.testing.assert_allclose(got, want, atol=1e-9)


def test_smoothing_by_neighbours():
    run = run_of(VALUES.astype(float))
    got = lv.seed_map(run, SEED, radius=4, smoothing_fwhm="fast").get_fdata()
    cleaned, _ = projector()
    want = expected(cleaned, "correlation", 0, voxels=smooth_img(run, "fast").get_fdata())
    np.testing.assert_allclose(got, want, atol=1e-9)
