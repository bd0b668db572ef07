import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.contrasts import compute_contrast
from nilearn.glm.first_level import run_glm

import lazyvox as lv
from lazyvox.errors import GridMismatchError, LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.glm import GLM
from lazyvox.glm.contrasts import contrast_weights
from lazyvox.lazyimage.series import as_series
from lazyvox.testing import CountingSource, feed, image_of, image_over, write_nifti

SHAPE, N = (4, 5, 3), 50
VALUES = np.random.default_rng(4).normal(300, 5, (*SHAPE, N)).astype("f4")
MASK = np.arange(60).reshape(SHAPE) % 3 != 0
DESIGN = pd.DataFrame(
    {
        "face": np.sin(np.arange(N) / 3),
        "house": np.cos(np.arange(N) / 5),
        "constant": np.ones(N),
    }
)
MASK_IMG = image_of(MASK.astype(np.uint8))


def consumer(**options):
    return GLM(DESIGN, **{"mask_img": MASK_IMG, "signal_scaling": False, **options})


def scanned(imgs, *consumers, **options):
    scan = lv.Scan(imgs, **options)
    handles = [scan.add(one) for one in consumers]
    scan.run()
    return [handle.result() for handle in handles]


def assert_same(found, expected, tolerance=1e-10):
    np.testing.assert_array_equal(found.labels, expected.labels)
    for label, one in expected.results.items():
        size = np.abs(one.theta).max()
        np.testing.assert_allclose(found.results[label].theta, one.theta, atol=tolerance * size)
        np.testing.assert_allclose(found.results[label].dispersion, one.dispersion, rtol=tolerance)


def test_labels_and_contrasts_are_those_of_nilearn_beside_other_consumers():
    img = image_of(VALUES)
    found, mean = scanned(img, consumer(), lv.Mean())
    labels, results = run_glm(VALUES[MASK].T.astype(float), DESIGN.to_numpy())
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(mean.get_fdata(), VALUES.mean(axis=3), rtol=1e-6)
    for weights in ([1, -1, 0], np.eye(3)[:2]):
        theirs = compute_contrast(labels, results, np.asarray(weights, float))
        maps = found.compute_contrast(weights)
        for name, img in maps.items():
            expected = np.squeeze(getattr(theirs, name)())
            np.testing.assert_allclose(img.get_fdata()[MASK].T, expected, atol=1e-8)
            assert not img.get_fdata()[~MASK].any()
    one = found.compute_contrast("face - house", output_type="stat")
    np.testing.assert_array_equal(
        one.get_fdata(), found.compute_contrast([1, -1])["stat"].get_fdata()
    )


@given(
    block=st.integers(1, 20),
    split=st.integers(1, N - 1),
    noise_model=st.sampled_from(["ols", "ar1", "ar2"]),
    scaling=st.sampled_from([False, 0, 1, (0, 1)]),
)
@settings(max_examples=25, deadline=None)
def test_any_block_size_and_any_split_give_the_same(block, split, noise_model, scaling):
    options = {"noise_model": noise_model, "signal_scaling": scaling, "random_state": 0, "bins": 5}
    img = image_of(VALUES)
    whole = feed(consumer(**options), img, block_volumes=N)
    cut = feed(consumer(**options), img, block_volumes=block)
    assert_same(cut, whole, 0)
    grid = as_series(img).grid
    parts = [consumer(**options) for _ in range(2)]
    for part in parts:
        part.init(grid)
    for part, volumes in zip(parts, (range(split), range(split, N)), strict=True):
        for start in range(volumes.start, volumes.stop, block):
            stop = min(start + block, volumes.stop)
            part.update(np.asfortranarray(VALUES[..., start:stop]), start)
    parts[0].merge(parts[1])
    assert_same(parts[0].finalize(), whole)


@given(kept=st.sets(st.integers(0, N - 1), min_size=8))
@settings(max_examples=15, deadline=None)
def test_a_sample_mask_drops_rows_of_data_and_design(kept):
    numbers = sorted(kept)
    glm = GLM(DESIGN.iloc[numbers], mask_img=MASK_IMG, signal_scaling=False)
    (found,) = scanned(image_of(VALUES), glm, volumes=numbers)
    values = VALUES[..., numbers]
    labels, results = run_glm(values[MASK].T.astype(float), DESIGN.to_numpy()[numbers])
    np.testing.assert_array_equal(found.labels, labels)
    for label, one in results.items():
        size = np.abs(one.theta).max()
        np.testing.assert_allclose(found.results[label].theta, one.theta, atol=1e-9 * size)


def test_ranges_that_are_no_neighbours_are_not_merged():
    grid = as_series(image_of(VALUES)).grid
    parts = [consumer() for _ in range(2)]
    for part, start in zip(parts, (0, 6), strict=True):
        part.init(grid)
        part.update(np.asfortranarray(VALUES[..., start : start + 4]), start)
    with pytest.raises(ParameterError, match="Got volumes 0 to 3 and then 6"):
        parts[0].merge(parts[1])


def test_scaled_integers_are_fitted_in_their_scale(tmp_path):
    stored = np.random.default_rng(1).integers(0, 3000, (*SHAPE, N)).astype("i2")
    img = lv.load(write_nifti(tmp_path / "run.nii", stored, slope=0.01, inter=500.0))
    values = np.asarray(img.dataobj)
    (found,) = scanned(img, consumer(mask_img=image_of(MASK.astype("u1"), img.affine)))
    labels, results = run_glm(values[MASK].T.astype(float), DESIGN.to_numpy())
    np.testing.assert_array_equal(found.labels, labels)
    for label, one in results.items():
        np.testing.assert_allclose(found.results[label].dispersion, one.dispersion, rtol=1e-9)


def test_nan_and_infinity_count_as_zero_and_are_said():
    values = VALUES.copy()
    values[MASK.nonzero()[0][3], MASK.nonzero()[1][3], MASK.nonzero()[2][3], 7] = np.nan
    values[0, 0, 0, 5] = np.inf
    assert not MASK[0, 0, 0]
    with pytest.warns(LazyvoxWarning, match="1 values are NaN or infinite; they count as zero"):
        (found,) = scanned(image_of(values), consumer())
    (expected,) = scanned(image_of(np.nan_to_num(values, posinf=0)), consumer())
    assert_same(found, expected, 0)


def test_voxels_that_do_not_vary_are_said_and_are_zero_in_each_map():
    values = VALUES.copy()
    values[1, 1, 1], values[2, 0, 2] = 17.3, 0
    assert MASK[1, 1, 1]
    assert MASK[2, 0, 2]
    with pytest.warns(LazyvoxWarning, match="2 of 40 do not"):
        (found,) = scanned(image_of(values), consumer())
    maps = found.compute_contrast("face + constant")
    for name in ("effect_variance", "stat", "z_score"):
        img = maps[name].get_fdata()
        assert np.isnan(img[1, 1, 1])
        assert abs(img[2, 0, 2]) < 1e-12
    maps = found.compute_contrast("face")
    assert maps["effect_size"].get_fdata()[1, 1, 1] == 0


def test_without_a_mask_every_voxel_is_fitted():
    (found,) = scanned(image_of(VALUES), consumer(mask_img=None))
    assert len(found.labels) == 60


def test_planning_reads_nothing_and_a_pass_reads_each_byte_once():
    source, img = image_over(CountingSource, VALUES, compression="gzip")
    mask_img = image_of(MASK.astype("u1"), img.affine)
    scan = lv.Scan(img)
    scan.add(consumer(mask_img=mask_img))
    source.clear()
    assert "state and result: GLM" in scan.explain()
    assert source.bytes_read == 0
    scan.run()
    source.assert_each_byte_once()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bins": 0}, ParameterError, "`bins` must be a number of at least 1. Got 0"),
        ({"noise_model": "ar"}, ParameterError, '`noise_model` must be "ols"'),
        ({"noise_model": "ar50"}, ParameterError, "Got order 50 for 50 volumes"),
        ({"signal_scaling": 2}, ParameterError, "`signal_scaling` must be 0, 1"),
        ({"signal_scaling": True}, ParameterError, "`signal_scaling` must be 0, 1"),
    ],
)
def test_bad_arguments_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        consumer(**options)


def test_series_that_do_not_fit_are_refused_before_anything_is_read():
    with pytest.raises(ParameterError, match="Got 50 rows for 49 volumes"):
        lv.Scan(image_of(VALUES[..., 1:])).add(consumer()).consumer.check(
            as_series(image_of(VALUES[..., 1:])).grid
        )
    with pytest.raises(ParameterTypeError, match=r"GLM needs real voxels\. Got complex64"):
        consumer().check(as_series(image_of(VALUES.astype("c8"))).grid)
    moved = nib.Nifti1Image(MASK.astype(np.uint8), np.diag([7.0, 7, 7, 1]))
    with pytest.raises(GridMismatchError, match="mask_img"):
        consumer(mask_img=moved).check(as_series(image_of(VALUES)).grid)


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [
        ("face", [1, 0, 0]),
        ("face - house", [1, -1, 0]),
        ("(face + house) / 2 - 0.5*constant", [0.5, 0.5, -0.5]),
        ("-2e0 * face + house", [-2, 1, 0]),
        ("`face` - -house", [1, 1, 0]),
    ],
)
def test_contrasts_are_expressions_of_columns(contrast, expected):
    np.testing.assert_array_equal(contrast_weights(contrast, list(DESIGN)), expected)


def test_names_of_any_characters_can_stand_in_a_contrast():
    names = ["a#0", "a#0_x", "left-right", "Run#1Pol#0", "trial 1"]
    np.testing.assert_array_equal(
        contrast_weights("a#0 - left-right + 3*trial 1 - a#0_x", names), [1, -1, -1, 0, 3]
    )


@pytest.mark.parametrize(
    ("contrast", "message"),
    [
        ("face - cat", "'cat' is none of them. Columns: face, house, constant"),
        ("face -", "it ends, or goes on with a sign"),
        ("face house", "'house' comes too early"),
        ("(face", "a bracket is not closed"),
        ("face * house", "columns can be multiplied with"),
        ("face / 0", "it divides by zero"),
        ("face + 1", "a number is added to columns"),
        ("2 - 1", "it names no column"),
        ("", "it ends"),
        ([1, 0, 0, 1], r"a weight for each of 3 columns.*Got shape \(4,\)"),
    ],
)
def test_what_is_no_contrast_is_refused(contrast, message):
    with pytest.raises(ParameterError, match=message):
        contrast_weights(contrast, list(DESIGN))
