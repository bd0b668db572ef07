import numpy as np
import pytest

from lazyvox.errors import (
    GridMismatchError,
    ImageNotFoundError,
    OutputError,
    OutputExistsError,
    ParameterError,
    ParameterTypeError,
    RegionError,
    TruncatedFileError,
)
from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.voxels import Voxels
from lazyvox.lazyimage.load import load
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.runtime.dry_run import plan
from lazyvox.store.write.sinks import ByteSink


@pytest.fixture
def values(folder):
    return np.asarray(load("run.nii.gz").dataobj)


def mask_of(name):
    return np.asarray(load(f"{name}.nii.gz").dataobj) != 0


def test_masks_and_atlases_in_one_call(values):
    found = extract("run.nii.gz", {"L": "left.nii.gz", "atlas": "atlas.nii.gz"}, lut="atlas.tsv")
    assert list(found) == ["L", "atlas"]
    assert (found["L"].values == values[mask_of("left")].T).all()
    assert found["atlas"].names[0] == "LeftFront"


def test_result_has_the_form_of_the_rois(folder):
    assert isinstance(extract("run.nii.gz", "mask.nii.gz"), Signals)
    assert isinstance(extract("run.nii.gz", ["mask.nii.gz"]), list)
    assert isinstance(extract("run.nii.gz", Voxels(["left.nii.gz", "right.nii.gz"])), list)
    nested = extract("run.nii.gz", ("mask.nii.gz", Voxels({"l": "left.nii.gz"})))
    assert isinstance(nested[1]["l"], Signals)


def test_images_in_memory_are_rois_too(values):
    found = extract(load("run.nii.gz"), [load("left.nii.gz"), load("atlas.nii.gz")])
    assert [signals.shape[1] for signals in found] == [260, 8]


def test_explicit_consumers_win(values):
    single = extract("run.nii.gz", Labels("mask.nii.gz"))
    assert single.labels == (1,)
    np.testing.assert_allclose(single.values[:, 0], values[mask_of("mask")].mean(axis=0), 1e-6)


class TestStrategy:
    """A strategy that is given holds for masks too: one column per mask."""

    def test_one_column_per_mask(self, values):
        found = extract("run.nii.gz", ["left.nii.gz", "atlas.nii.gz"], strategy="median")
        wanted = np.median(values[mask_of("left")], axis=0)
        assert found[0].shape == (40, 1)
        np.testing.assert_allclose(found[0].values[:, 0], wanted, 1e-6)
        assert found[0].names == ("left",)
        assert found[1].shape == (40, 8)

    def test_the_key_of_a_dict_is_the_name(self, values):
        assert extract("run.nii.gz", {"L": "left.nii.gz"}, strategy="mean")["L"].names == ("L",)

    def test_names_of_labels_are_not_those_of_masks(self, values):
        rois = ["left.nii.gz", "atlas.nii.gz"]
        mask, atlas = extract("run.nii.gz", rois, strategy="mean", lut="atlas.tsv")
        assert (mask.names, atlas.names[0]) == (("left",), "LeftFront")

    def test_the_default_is_the_mean_of_labels_and_the_voxels_of_masks(self, values):
        mask, atlas = extract("run.nii.gz", ["left.nii.gz", "atlas.nii.gz"])
        assert (mask.values == values[mask_of("left")].T).all()
        assert np.array_equal(atlas, extract("run.nii.gz", "atlas.nii.gz", strategy="mean"))

    def test_a_mask_confines_masks(self, values):
        both = mask_of("left") & mask_of("mask")
        found = extract("run.nii.gz", "mask.nii.gz", strategy="mean", mask_img="left.nii.gz")
        np.testing.assert_allclose(found.values[:, 0], values[both].mean(axis=0), 1e-6)

    def test_the_image_of_one_signal(self, values):
        found = extract("run.nii.gz", "left.nii.gz", strategy="mean")
        img = np.asarray(found.to_img().dataobj)
        assert (img[mask_of("left")] == found.values[:, 0]).all()
        assert not img[~mask_of("left")].any()


def test_several_runs_are_one_series(values):
    found = extract(["run.nii.gz", "run.nii.gz"], "left.nii.gz")
    expected = values[mask_of("left")].T
    assert (found.values == np.concatenate([expected, expected])).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_and_budget_change_nothing(values, n_jobs):
    found = extract(
        "run.nii.gz", ["left.nii.gz", "right.nii.gz"], n_jobs=n_jobs, memory="20MB", progress=None
    )
    for signals, name in zip(found, ("left", "right"), strict=True):
        assert (signals.values == values[mask_of(name)].T).all()


class TestSampleMask:
    @pytest.mark.parametrize(
        "keep", [[0, 3, 39], range(5), np.arange(40) % 3 == 0, np.array([2], "u1")]
    )
    def test_volumes_named_are_kept(self, values, keep):
        found = extract("run.nii.gz", "left.nii.gz", sample_mask=keep)
        expected = values[mask_of("left")].T[np.asarray(keep)]
        assert (found.values == expected).all()

    @pytest.mark.parametrize(
        ("keep", "error", "match"),
        [
            ([], ParameterError, "at least one of 40 volumes"),
            ([False] * 40, ParameterError, "at least one of 40 volumes"),
            ([True] * 39, ParameterError, "Got 39 for 40 volumes"),
            ([3, 1], ParameterError, "must ascend"),
            ([1, 1], ParameterError, "must ascend"),
            ([-1, 2], ParameterError, "from 0 to 39. Got -1 to 2"),
            ([5, 40], ParameterError, "from 0 to 39. Got 5 to 40"),
            ([0.5, 1.0], ParameterError, "whole numbers. Got 0.5"),
            (["a"], ParameterTypeError, "type <U1"),
            ([[0, 1]], ParameterTypeError, r"shape \(1, 2\)"),
        ],
    )
    def test_anything_else_is_refused(self, keep, error, match):
        with pytest.raises(error, match=match):
            checked_sample_mask(keep, 40)

    def test_whole_numbers_may_be_floats(self):
        assert checked_sample_mask([3.0, 9.0], 40).tolist() == [3, 9]


class TestOutputs:
    def test_name_is_inserted_before_the_ending(self, values):
        found = extract("run.nii.gz", ["left.nii.gz", "atlas.nii.gz"], out="roi.tsv")
        assert [signals.path.rsplit("/", 1)[1] for signals in found] == [
            "roi_left.tsv",
            "roi_atlas.tsv",
        ]
        assert (found[0].values == values[mask_of("left")].T).all()

    def test_single_region_set_gets_the_very_name(self, values):
        extract("run.nii.gz", "left.nii.gz", out="left.npy")
        assert (np.load("left.npy") == values[mask_of("left")].T).all()

    def test_npz_gathers_everything(self, values):
        rois = ["left.nii.gz", Voxels({"r": "right.nii.gz"}), Labels("atlas.nii.gz")]
        extract("run.nii.gz", rois, out="roi.npz")
        with np.load("roi.npz") as archive:
            assert archive.files == ["left", "right_r", "atlas"]
            assert (archive["right_r"] == values[mask_of("right")].T).all()

    @pytest.mark.parametrize("out", ["roi.npy", "roi.npz"])
    def test_existing_output_is_refused_before_anything_is_read(self, folder, out):
        extract("run.nii.gz", ["left.nii.gz"], out=out)
        with pytest.raises(OutputExistsError, match="the output exists"):
            extract("run.nii.gz", ["left.nii.gz"], out=out)
        extract("run.nii.gz", ["left.nii.gz"], out=out, overwrite=True)

    def test_damaged_run_leaves_no_file(self, folder):
        content = (folder / "run.nii.gz").read_bytes()
        (folder / "cut.nii.gz").write_bytes(content[: len(content) // 2])
        before = sorted(folder.iterdir())
        with pytest.raises(TruncatedFileError, match=r"cut\.nii\.gz"):
            extract("cut.nii.gz", ["left.nii.gz", "atlas.nii.gz"], out="roi.tsv")
        assert sorted(folder.iterdir()) == before

    def test_full_disk_leaves_none_of_several_files(self, folder, monkeypatch):
        prepare = ByteSink.prepare

        def full_at_the_second(sink):
            calls.append(sink)
            if len(calls) == 2:
                raise OutputError("no space left")
            prepare(sink)

        calls = []
        monkeypatch.setattr(ByteSink, "prepare", full_at_the_second)
        before = sorted(folder.iterdir())
        with pytest.raises(OutputError, match="no space left"):
            extract("run.nii.gz", ["left.nii.gz", "right.nii.gz"], out="roi.npy")
        assert sorted(folder.iterdir()) == before


def test_plan_reads_and_writes_nothing(folder):
    planned = plan(extract, "run.nii.gz", ["left.nii.gz", "right.nii.gz"], out="roi.npy")
    assert planned.passes == 1
    assert [name for name, _ in planned.consumer_bytes] == ["Voxels", "Voxels"]
    assert not list(folder.glob("roi*"))


class TestRois:
    def assert_refused(self, rois, error, match, **options):
        with pytest.raises(error, match=match):
            extract("run.nii.gz", rois, **options)

    def other(self, values, affine=None):
        """Write an image on the grid of the example and return its path."""
        import nibabel

        header = load("mask.nii.gz")
        img = nibabel.Nifti1Image(values, header.affine if affine is None else affine)
        img.to_filename("other.nii")
        return "other.nii"

    def test_fractions_name_the_explicit_forms(self, folder):
        path = self.other(np.linspace(0, 1, 1680, dtype="f4").reshape(12, 14, 10))
        self.assert_refused(
            path, RegionError, r"Got fractions: 0.*lazyvox\.Voxels.*lazyvox\.Labels"
        )

    def test_nan_is_refused(self, folder):
        path = self.other(np.full((12, 14, 10), np.nan, "f4"))
        self.assert_refused(path, RegionError, "must be finite")

    def test_zeros_are_no_region(self, folder):
        path = self.other(np.zeros((12, 14, 10), "u1"))
        self.assert_refused(path, RegionError, "there must be a region in it")

    def test_image_in_4d_is_maps(self, folder):
        path = self.other(np.random.default_rng(0).random((12, 14, 10, 3), "f4"))
        signals = extract("run.nii.gz", path, lut=["a", "b", "c"])
        assert signals.shape == (40, 3)
        assert signals.names == ("a", "b", "c")

    @pytest.mark.parametrize(
        "seeds",
        [
            np.array([[0.0, 0, 0], [9, 0, 3]]),
            [(0, 0, 0), (9, 0, 3)],
            ((0, 0, 0), np.array([9, 0, 3])),
            [[0, 0, 0], [9, 0, 3]],
        ],
    )
    def test_coordinates_are_seeds(self, folder, seeds):
        signals = extract("run.nii.gz", seeds, radius=4)
        assert signals.shape == (40, 2)
        both = extract("run.nii.gz", {"seeds": seeds, "mask": "mask.nii.gz"}, radius=4)
        assert (both["seeds"].values == signals.values).all()

    def test_one_triple_is_one_seed(self, folder):
        assert extract("run.nii.gz", (1.0, 2.0, 3.0)).shape == (40, 1)

    def test_tables_of_seeds(self, folder):
        import pandas as pd

        lines = ["x\ty\tz\tname\tradius", "0\t0\t0\tcentre\t4", "12\t0\t3\tright\t3"]
        (folder / "seeds.tsv").write_text("\n".join(lines) + "\n")
        from_file = extract("run.nii.gz", "seeds.tsv")
        assert from_file.names == ("centre", "right")
        frame = pd.read_csv(folder / "seeds.tsv", sep="\t")
        assert (extract("run.nii.gz", frame).values == from_file.values).all()
        (both,) = extract("run.nii.gz", ["seeds.tsv"], out="roi.npy")
        assert both.path.endswith("roi_seeds.npy")

    @pytest.mark.parametrize("seeds", [np.zeros((4, 2)), np.zeros((0, 3)), np.zeros(4)])
    def test_array_that_is_no_seeds(self, folder, seeds):
        self.assert_refused(seeds, RegionError, r"seeds of spheres, of shape \(n, 3\)")

    def test_mask_as_a_plain_array_says_how_to_make_an_image(self, folder):
        self.assert_refused(np.ones((12, 14, 10)), RegionError, "needs its affine: nibabel")

    def test_other_grid(self, folder):
        path = self.other(np.ones((12, 14, 10), "u1"), np.eye(4))
        self.assert_refused(path, GridMismatchError, "Pass resample=True")

    def test_place_in_the_list_is_named(self, folder):
        path = self.other(np.zeros((12, 14, 10), "u1"))
        self.assert_refused(["left.nii.gz", path], RegionError, r"rois\[1\]")

    def test_missing_file(self, folder):
        self.assert_refused("none.nii.gz", ImageNotFoundError, r"none\.nii\.gz")

    @pytest.mark.parametrize("rois", [[], {}])
    def test_nothing(self, folder, rois):
        self.assert_refused(rois, ParameterError, "at least one mask, labels image")

    def test_list_in_a_list(self, folder):
        rois = [["left.nii.gz", "right.nii.gz"]]
        self.assert_refused(rois, ParameterTypeError, r"lazyvox.Voxels\(\[...\]\) for several")

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"lut": "atlas.tsv"}, "`lut` holds for labels images and images of maps"),
            ({"radius": 3}, "`radius` holds for seeds of spheres. Got masks only"),
            ({"mask_img": "mask.nii.gz"}, "`mask_img` holds for labels images and"),
        ],
    )
    def test_option_that_concerns_no_region(self, folder, options, match):
        self.assert_refused("mask.nii.gz", ParameterError, match, **options)

    def test_table_of_names_for_masks_that_are_one_signal_each(self, folder):
        match = "`lut` holds for labels images and images of maps. Got masks only"
        self.assert_refused("mask.nii.gz", ParameterError, match, lut="atlas.tsv", strategy="mean")

    def test_strategy_of_spheres_and_maps(self, folder):
        path = self.other(np.random.default_rng(0).random((12, 14, 10, 3), "f4"))
        match = "`strategy` holds for labels images and seeds of spheres. Got images of maps only"
        self.assert_refused(path, ParameterError, match, strategy="median")
        found = extract("run.nii.gz", [(0, 0, 0)], radius=6, strategy="mean,max")
        assert found.names == ("0_mean", "0_max")
        mean = extract("run.nii.gz", [(0, 0, 0)], radius=6)
        assert np.array_equal(found.values[:, :1], mean)
        assert (found.values[:, 1] > found.values[:, 0]).all()

    def test_least_coverage_of_voxels(self, folder):
        match = "`min_coverage` holds for labels images and seeds of spheres. Got masks only"
        self.assert_refused("mask.nii.gz", ParameterError, match, min_coverage=0.5)
        assert extract("run.nii.gz", "mask.nii.gz").coverage is None

    @pytest.mark.parametrize(
        "options",
        [{"dtype": "f8"}, {"resample": True}, {"lut": {1: "a"}}, {"mask_img": "mask.nii.gz"}],
    )
    def test_option_beside_explicit_consumers(self, folder, options):
        rois = Labels("atlas.nii.gz")
        self.assert_refused(rois, ParameterError, "hold for images, paths", **options)

    def test_image_beside_explicit_consumers(self, folder):
        rois, mask = Labels("atlas.nii.gz"), load("mask.nii.gz")
        self.assert_refused(rois, ParameterError, "hold for images, paths", mask_img=mask)
