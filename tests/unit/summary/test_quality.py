"""Measures of quality, on numbers computed from their definitions."""

import numpy as np
import pytest
import scipy.stats

import lazyvox as lv
from lazyvox.store.files import spool
from lazyvox.summary import quality
from lazyvox.testing.images import image_of

SHAPE = (6, 5, 4, 31)


def values_of(dtype="f4", shape=SHAPE):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 20, shape)
    noise[..., 1:] += 0.4 * noise[..., :-1]
    values = 800 + rng.normal(0, 100, (*shape[:3], 1)) + noise
    values[..., 12] += 90
    values[0, 0, 0] = 500
    return values.astype(dtype)


MASK = np.random.default_rng(1).integers(0, 2, SHAPE[:3]).astype("u1")
MASK[0, 0, 0] = 1


def fmriprep(values):
    """Return std_dvars and dvars of voxels, (n_voxels, n_volumes), step by step as nipype has them."""
    scaled = values / np.median(values) * 1000
    quartiles = [np.percentile(scaled, q, axis=1, method="lower") for q in (25, 75)]
    sd = (quartiles[1] - quartiles[0]) / 1.349
    scaled, sd = scaled[sd != 0], sd[sd != 0]
    left = scaled - scaled.mean(1, keepdims=True)
    ar1 = np.array([(one[1:] @ one[:-1]) / (one @ one) for one in left])
    expected = (np.sqrt(2 * (1 - ar1)) * sd).mean()
    dvars = np.sqrt((np.diff(scaled, axis=1) ** 2).mean(0))
    return dvars / expected, dvars


def outliers(values):
    """Return the fraction of voxels that are outliers, by the definition of 3dToutcount."""
    deviations = np.abs(values - np.median(values, axis=1, keepdims=True))
    mad = np.median(deviations, axis=1, keepdims=True)
    alpha = scipy.stats.norm.isf(0.001 / values.shape[1])
    is_far = (deviations > alpha * np.sqrt(np.pi / 2) * mad) & (mad > 0)
    return is_far.mean(0)


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", ">f8"])
@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize("place", ["memory", "file"])
def test_columns_are_those_of_the_definitions(dtype, is_masked, place, monkeypatch):
    monkeypatch.setattr(quality, "READ_VALUES", 700)
    monkeypatch.setattr(quality, "BLOCK_VALUES", 300)
    if place == "file":
        monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
    values = values_of(dtype)
    table = lv.qc(image_of(values), mask_img=image_of(MASK) if is_masked else None)
    chosen = values[MASK == 1] if is_masked else values.reshape(-1, SHAPE[3])
    chosen = chosen.astype("f8")
    std_dvars, dvars = fmriprep(chosen)
    for name, wanted in (("std_dvars", std_dvars), ("dvars", dvars)):
        assert np.isnan(table[name][0])
        np.testing.assert_allclose(table[name][1:], wanted, rtol=1e-10)
    np.testing.assert_allclose(table["global_signal"], chosen.mean(0))
    np.testing.assert_allclose(table["spatial_sd"], chosen.std(0, ddof=1))
    np.testing.assert_allclose(table["outlier_fraction"], outliers(chosen))
    assert table["outlier_fraction"][12] > 0.3
    n = len(chosen)
    assert table.remarks == (f"1 of {n} voxels that hardly vary were left out of DVARS",)


def test_dvars_by_hand():
    # Two voxels; median 10, so that DVARS is in units of a hundredth: changes 1, 1 and 3, 1.
    values = np.array([[10.0, 11, 10, 11, 9], [8, 11, 10, 12, 9]]).reshape(2, 1, 1, 5)
    found = lv.qc(image_of(values))["dvars"]
    np.testing.assert_allclose(found[1], 100 * np.sqrt((1 + 9) / 2))


def test_voxels_that_are_not_finite_are_left_out_and_told():
    values = values_of()
    values[1, 1, 1, 4], values[2, 2, 2, 5] = np.nan, -np.inf
    table = lv.qc(image_of(values))
    kept = np.isfinite(values).all(-1)
    np.testing.assert_allclose(table["std_dvars"][1:], fmriprep(values[kept].astype("f8"))[0])
    assert table.remarks[0] == "2 of 120 voxels with values that are not finite were left out"


def test_a_background_of_zeros_leaves_dvars_without_a_unit():
    values = values_of()
    values[:4] = 0
    table = lv.qc(image_of(values))
    assert np.isnan(table["dvars"]).all()
    assert np.isfinite(table["std_dvars"][1:]).all()
    assert table.remarks[-1].endswith("the median of all voxels is 0: pass a mask")


def test_nothing_varies_and_nothing_is_finite():
    table = lv.qc(image_of(np.ones((3, 3, 3, 4))))
    assert np.isnan(table["std_dvars"]).all()
    assert not table["outlier_fraction"].any()
    table = lv.qc(image_of(np.full((3, 3, 3, 4), np.nan)))
    assert np.isnan(table["global_signal"]).all()
    assert lv.qc(image_of(np.ones((3, 3, 3, 1)))).n_rows == 1


def test_results_do_not_depend_on_blocks_and_slabs():
    values = np.random.default_rng(3).normal(10, 3, (70, 60, 9, 6)).astype("f4")
    mask = image_of((values[..., 0] > 10).astype("u1"))
    expected = list(lv.qc(image_of(values), mask_img=mask).rows())
    least = lv.plan(lv.qc, image_of(values), mask_img=mask).peak_bytes
    for less in (2, 3, 4):
        budget = least - less * values[..., 0].nbytes
        assert list(lv.qc(image_of(values), mask_img=mask, memory=budget).rows()) == expected


def test_halves_merge():
    values = values_of()
    img, parts = lv.Scan(image_of(values)), []
    for part in (values[..., :9], values[..., 9:]):
        one = quality._QualityMeasures(quality.Voxels())
        one.init(img.grid)
        one.update(np.asfortranarray(part), 0)
        parts.append(one)
    parts[0].merge(parts[1])
    found = parts[0].finalize().columns["std_dvars"]
    np.testing.assert_array_equal(found, lv.qc(image_of(values))["std_dvars"])


REFUSED = [
    ({"img": [image_of(values_of())]}, lv.ParameterTypeError, "`img` must be one run"),
    ({"img": image_of(values_of("c8"))}, lv.ParameterTypeError, "need real voxels"),
    ({"motion": np.zeros((3, 6)), "motion_format": "spm"}, lv.ParameterError, "a row for each volume"),
    ({"motion_format": "spm"}, lv.ParameterError, "`motion_format` needs `motion`"),
    ({"mask_img": image_of(np.zeros(SHAPE[:3]))}, lv.RegionError, "at least one voxel"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED)
def test_bad_options_are_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        lv.qc(**{"img": image_of(values_of()), **options})


def test_displacement_is_a_column():
    motion = np.random.default_rng(2).normal(0, 0.01, (SHAPE[3], 6))
    table = lv.qc(image_of(values_of()), motion=motion, motion_format="fsl", radius=80)
    change = np.abs(np.diff(motion, axis=0))
    wanted = 80 * change[:, :3].sum(1) + change[:, 3:].sum(1)
    assert np.isnan(table["framewise_displacement"][0])
    np.testing.assert_allclose(table["framewise_displacement"][1:], wanted)


def test_a_table_of_the_library_confounds_reads(tmp_path):
    motion = np.random.default_rng(2).normal(0, 0.01, (SHAPE[3], 6))
    table = lv.qc(image_of(values_of()), motion=motion, motion_format="spm")
    table.save(tmp_path / "qc.tsv")
    heading, first, *_ = (tmp_path / "qc.tsv").read_text().splitlines()
    assert heading.split("\t") == [
        "global_signal", "spatial_sd", "dvars", "std_dvars", "outlier_fraction",
        "framewise_displacement",
    ]  # fmt: skip
    assert first.split("\t")[2:4] == ["n/a", "n/a"]
