"""Several statistics over the voxels of a region in one pass, and the coverage of regions."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import (
    LazyvoxWarning,
    OutputExistsError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.spheres import Spheres
from lazyvox.extraction.tables import StoredTable
from lazyvox.testing import feed
from lazyvox.testing import image_of as image

SHAPE, N_VOLUMES = (6, 5, 7), 9
ORACLES = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max, "median": np.median}


def series(seed=0, dtype="f4"):
    values = np.random.default_rng(seed).normal(1000, 50, (*SHAPE, N_VOLUMES))
    return np.asfortranarray(values.astype(dtype))


def atlas(labels=(0, 1, 3, 7), seed=1):
    return np.random.default_rng(seed).choice(labels, SHAPE).astype("i2")


@pytest.mark.parametrize("strategy", ["mean,std,min,max,median", list(ORACLES), tuple(ORACLES)])
def test_columns_of_a_region_stand_side_by_side(strategy):
    values, labels = series(), atlas()
    signals = feed(
        Labels(image(labels), strategy=strategy, lut={1: "A", 3: "3", 7: "7"}), image(values)
    )
    assert signals.names[:6] == ("A_mean", "A_std", "A_min", "A_max", "A_median", "3_mean")
    assert signals.labels == (1,) * 5 + (3,) * 5 + (7,) * 5
    assert signals.regions.strategies == tuple(ORACLES)
    exact = values.astype(float)
    wanted = [
        reduce(exact[labels == one], axis=0) for one in (1, 3, 7) for reduce in ORACLES.values()
    ]
    np.testing.assert_allclose(signals.values, np.transpose(wanted), rtol=1e-12)


@pytest.mark.parametrize("how", [(1, None), (4, None), (1, 2)])
def test_several_are_each_as_alone(how):
    values, labels = image(series()), image(atlas())
    both = feed(Labels(labels, strategy="variance,sum"), values, *how).values
    for place, one in enumerate(("variance", "sum")):
        alone = feed(Labels(labels, strategy=one), values).values
        assert both[:, place::2].tobytes() == alone.tobytes()


def test_an_image_needs_one_strategy():
    signals = feed(Labels(image(atlas()), strategy="mean,std"), image(series()))
    with pytest.raises(ParameterError, match=r"a single one for an image.* Got mean, std"):
        signals.to_img()


@pytest.mark.parametrize(
    ("strategy", "error", "match"),
    [
        ("mode", ParameterError, "must be one of mean, .*eigenvariate, or several. Got 'mode'"),
        ("mean,", ParameterError, "Got ''"),
        ([], ParameterError, "Got ''"),
        ("std,standard_deviation", ParameterError, "Got 'standard_deviation' twice"),
        (3, ParameterTypeError, "must be a name, or a list of names. Got 3"),
        (["mean", 3], ParameterTypeError, "must be a name, or a list"),
    ],
)
def test_wrong_strategies(strategy, error, match):
    with pytest.raises(error, match=match):
        Labels(image(atlas()), strategy=strategy)


class TestCoverage:
    """Region 1 has 8 voxels: one always zero, one zero at times, one NaN once, one infinite."""

    @pytest.fixture
    def files(self):
        values, labels = series(), np.zeros(SHAPE, "i2")
        labels[:2, :2, :2], labels[4:, 4:, 4:] = 1, 2
        values[0, 0, 0], values[0, 0, 1, 3:], values[0, 1, 0, 2] = 0, 0, np.nan
        values[1, 1, 1, 8] = np.inf
        return image(values), image(labels)

    @pytest.mark.parametrize("how", [(N_VOLUMES, None), (2, None), (1, 1), (1, 3)])
    def test_voxels_that_are_finite_and_not_zero_throughout(self, files, how):
        signals = feed(Labels(files[1]), files[0], *how)
        assert signals.coverage.tolist() == [5 / 8, 1]
        assert signals.regions.coverage_rows() == [("1", 1, 8, 5, 5 / 8), ("2", 2, 6, 6, 1.0)]

    def test_integers_and_several_strategies(self):
        values = series(dtype="i2")
        values[:1] = 0
        labels = np.ones(SHAPE, "u1")
        found = feed(Labels(image(labels), strategy="mean,max"), image(values)).coverage
        assert found.tolist() == [5 / 6, 5 / 6]

    def test_merged_halves(self, files):
        run, labels = files
        whole = feed(Labels(labels), run)
        from lazyvox.lazyimage.series import as_series

        grid = as_series(run).grid
        first, second = Labels(labels), Labels(labels)
        data = np.asfortranarray(np.asarray(run.dataobj))
        for half, start, stop in ((first, 0, 4), (second, 4, 9)):
            half.init(grid)
            half.update(data[..., start:stop], start)
        first.merge(second)
        merged = first.finalize()
        assert merged.coverage.tolist() == whole.coverage.tolist()
        np.testing.assert_array_equal(merged.values, whole.values)

    def test_voxels_outside_of_the_mask_are_not_covered(self, files):
        run, labels = files
        mask = np.ones(SHAPE, "u1")
        mask[4] = 0
        found = feed(Labels(labels, mask_img=image(mask)), run)
        assert found.coverage.tolist() == [5 / 8, 1 / 2]
        mask[4:] = 0
        kept = feed(Labels(labels, mask_img=image(mask), keep_masked_labels=True), run)
        assert kept.coverage.tolist() == [5 / 8, 0]

    def test_spheres(self, files):
        mask = np.ones(SHAPE, "u1")
        mask[3] = 0
        seeds = [(3.0, 2, 3), (0.0, 0, 0)]
        radii = {"radius": 1.1, "mask_img": image(mask, np.eye(4))}
        run = image(np.asarray(files[0].dataobj), np.eye(4))
        found = feed(Spheres(seeds, **radii), run)
        assert found.coverage.tolist() == [2 / 7, 1 / 2]
        assert found.regions.labels is None

    @pytest.mark.parametrize("ending", [None, ".tsv", ".npy", ".parquet"])
    @pytest.mark.parametrize("block_volumes", [2, N_VOLUMES])
    def test_regions_below_the_least_coverage_have_no_values(
        self, files, tmp_path, ending, block_volumes
    ):
        out = None if ending is None else tmp_path / f"out{ending}"
        run, labels = files
        consumer = Labels(labels, strategy="mean,max", min_coverage=0.75, out=out)
        match = r"1 of 2 regions are covered by less than 0.75.*no values \(n/a\): 1 \(0.62\)"
        with pytest.warns(LazyvoxWarning, match=match):
            found = feed(consumer, run, block_volumes)
        assert isinstance(found._values, StoredTable) == (ending is not None)
        assert np.isnan(found.values[:, :2]).all()
        assert np.isfinite(found.values[:, 2:]).all()
        if ending == ".tsv":
            assert out.read_text().splitlines()[1].startswith("n/a\tn/a\t")

    def test_a_region_of_just_that_coverage_has_values(self, files):
        assert np.isfinite(feed(Labels(files[1], min_coverage=5 / 8), files[0]).values[0]).all()

    @pytest.mark.parametrize("least", [-0.1, 1.5, "0.5", True, np.nan])
    def test_wrong_least_coverage(self, files, least):
        with pytest.raises(ParameterError, match=r"a fraction, from 0 to 1. Got"):
            Labels(files[1], min_coverage=least)


class TestNumbersOnly:
    @pytest.mark.parametrize("ending", [".txt", ".1D"])
    def test_a_table_has_no_names(self, tmp_path, ending):
        labels = image(atlas())
        found = feed(Labels(labels, out=tmp_path / f"o{ending}"), image(series()), 2)
        assert found.path.endswith(ending)
        plain = feed(Labels(labels), image(series()))
        np.testing.assert_array_equal(np.loadtxt(found.path), plain.values)
        np.testing.assert_array_equal(found.values, plain.values)
        plain.save(tmp_path / "saved.1D")
        assert (tmp_path / "saved.1D").read_text() == (tmp_path / f"o{ending}").read_text()

    def test_several_stand_side_by_side(self, example_folder, monkeypatch):
        monkeypatch.chdir(example_folder)
        rois = {"voxels": "left.nii.gz", "regions": "atlas.nii.gz"}
        both = lv.extract("run.nii.gz", rois, out="both.txt")
        wanted = np.hstack([both["voxels"].values, both["regions"].values])
        np.testing.assert_array_equal(np.loadtxt("both.txt"), wanted)
        masks = lv.Voxels(["left.nii.gz", "right.nii.gz"], out="masks.1D")
        lv.extract("run.nii.gz", masks)
        assert np.loadtxt("masks.1D").shape == (40, 520)
        with pytest.raises(OutputExistsError, match="the output exists"):
            lv.extract("run.nii.gz", rois, out="both.txt")

    def test_values_that_are_missing(self, tmp_path):
        values = series()
        values[..., 3] = np.nan
        signals = feed(Labels(image(atlas())), image(values))
        for ending, text in (
            (".1D", "nan nan nan"),
            (".csv", "nan,nan,nan"),
            (".tsv", "n/a\tn/a\tn/a"),
        ):
            path = tmp_path / f"o{ending}"
            signals.save(path)
            assert text in path.read_text().splitlines()
