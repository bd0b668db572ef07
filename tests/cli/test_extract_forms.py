"""Statistics, coverage, places and numbers of `lazyvox extract`: the field's daily questions."""

import json

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run

LABELS = ("run.nii.gz", "--labels", "atlas.nii.gz")


@pytest.fixture
def holes(folder):
    """A run with a BIDS name in which a region has no signal, and another one half of it."""
    img = nib.load("run.nii.gz")
    values, labels = np.asarray(img.dataobj).copy(), np.asarray(nib.load("atlas.nii.gz").dataobj)
    values[labels == 3] = 0
    first = np.argwhere(labels == 5)
    values[tuple(first[: len(first) // 2].T)] = 0
    name = "sub-01_task-rest_desc-preproc_bold.nii.gz"
    nib.save(nib.Nifti1Image(values, img.affine, img.header), name)
    return name


def numbers(text):
    return np.array([line.split() for line in text.splitlines()], float)


class TestNumbers:
    """One line for each volume, on standard output or in a file."""

    def test_mean_of_masks_side_by_side(self, lazyvox):
        masks = ("--mask", "left.nii.gz", "--mask", "right.nii.gz", "--strategy", "mean")
        done = lazyvox("extract", "run.nii.gz", *masks, "-o", "-")
        assert (done.code, done.err) == (0, "")
        found = numbers(done.out)
        assert found.shape == (40, 2)
        for column, name in enumerate(("left", "right")):
            wanted = lv.extract("run.nii.gz", f"{name}.nii.gz", strategy="mean")
            np.testing.assert_array_equal(found[:, column], wanted.values[:, 0])

    @pytest.mark.parametrize("ending", [".txt", ".1D"])
    @pytest.mark.parametrize(
        "form", [[], ["--header"], ["--transpose"], ["--header", "--transpose"]]
    )
    def test_files_hold_what_is_printed(self, lazyvox, folder, ending, form):
        argv = (*LABELS, "--lut", "atlas.tsv", "--mask", "left.nii.gz", *form)
        printed = lazyvox("extract", *argv, "-o", "-").out
        done = lazyvox("extract", *argv, "-o", f"o{ending}")
        assert done.code == 0
        assert (folder / f"o{ending}").read_text() == printed
        is_turned = "--transpose" in form
        lines = printed.splitlines()
        assert len(lines) == (268 if is_turned else 40) + (form == ["--header"])
        if "--header" in form and is_turned:
            assert lines[260].startswith("LeftFront ")
        if form == ["--header"]:
            assert lines[0].startswith("# ")
            assert lines[0].split()[261] == "LeftFront"
            assert np.loadtxt(f"o{ending}").shape == (40, 268)

    def test_nothing_else_is_printed(self, lazyvox, folder):
        (folder / "keep.txt").write_text("\n".join(map(str, range(5, 40))))
        argv = (*LABELS, "--sample-mask", "keep.txt", "-o", "-")
        done = lazyvox("extract", *argv)
        assert len(done.out.splitlines()) == 35
        assert done.err == "lazyvox: 5 of 40 volumes left out: 0-4\n"
        assert lazyvox("extract", *argv, "--quiet").err == ""

    def test_a_report_has_no_room_beside_it(self, lazyvox):
        done = lazyvox("extract", *LABELS, "-o", "-", "--json")
        assert done.code == 2
        assert "there is one standard output. Write the signals to a file" in done.err

    def test_a_plan_reads_nothing(self, lazyvox):
        done = lazyvox("extract", *LABELS, "-o", "-", "--explain")
        assert done.code == 0
        assert done.out.startswith("source ")

    def test_the_measured_peak_stays_below_the_plan(self, lazyvox, folder):
        voxels = ("run.nii.gz", "--mask", "mask.nii.gz", "--sample-mask", "few.txt", "--json")
        (folder / "few.txt").write_text("0\n1\n")
        done = lazyvox("extract", *voxels, "-o", "o.1D")
        record = json.loads(done.out)
        assert record["increment_bytes"] <= record["plan"]["peak_bytes"]

    def test_a_reader_that_goes(self, folder, monkeypatch):
        def gone(*_, **__):
            raise BrokenPipeError

        monkeypatch.setattr("lazyvox.cli.extract.click.echo", gone)
        assert run(["extract", *LABELS, "-o", "-"]) == 141

    def test_a_full_disk_leaves_nothing(self, refuses, monkeypatch):
        from lazyvox.errors import OutputError

        def full(*_, **__):
            raise OutputError("o.1D: no space left on device.")

        monkeypatch.setattr("lazyvox.store.write.sinks.ByteSink.write", full)
        refuses("extract", *LABELS, "-o", "o.1D", message="no space left")

    def test_a_truncated_run_prints_no_number(self, refuses, short_run):
        refuses("extract", short_run, "--voxel", "1,2,3", "-o", "-", message=short_run)

    def test_an_interrupt_prints_no_number(self, lazyvox, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("lazyvox.extraction.labels.Labels.update", interrupt)
        done = lazyvox("extract", *LABELS, "-o", "-")
        assert (done.code, done.out) == (130, "")


class TestPlaces:
    def test_a_voxel_is_its_series(self, lazyvox):
        series = lv.load("run.nii.gz").dataobj[3, 4, 5]
        done = lazyvox("extract", "run.nii.gz", "--voxel", "3,4,5", "--voxel", "0,0,0", "-o", "-")
        np.testing.assert_array_equal(numbers(done.out)[:, 0], series)

    def test_seeds_are_spheres(self, lazyvox, folder):
        seeds = ("--seed", "-8,0,0", "--seed", "8,0,0,7", "--radius", "4")
        assert lazyvox("extract", "run.nii.gz", *seeds, "-o", "o.tsv").code == 0
        assert (folder / "o.tsv").read_text().split("\n")[0] == "-8_0_0\t8_0_0"
        places = [((-8, 0, 0), 4), ((8, 0, 0), 7)]
        wanted = [lv.extract("run.nii.gz", [xyz], radius=radius) for xyz, radius in places]
        found = np.loadtxt("o.tsv", skiprows=1)
        np.testing.assert_array_equal(found, np.hstack([one.values for one in wanted]))

    def test_millimetres_of_a_voxel(self, lazyvox):
        affine = lv.load("run.nii.gz").affine
        xyz = ",".join(map(str, (affine @ [3, 4, 5, 1])[:3]))
        done = lazyvox("extract", "run.nii.gz", "--seed", xyz, "--voxel", "3,4,5", "-o", "-")
        found = numbers(done.out)
        np.testing.assert_array_equal(found[:, 0], found[:, 1])

    def test_json_and_files_of_several(self, lazyvox, folder):
        argv = ("run.nii.gz", "--seed", "0,0,0,6", "--voxel", "3,4,5", "--strategy", "mean,max")
        done = lazyvox("extract", *argv, "-o", "o.csv", "--json")
        record = json.loads(done.out)
        assert [one["path"] for one in record["outputs"]] == ["o_seed.csv", "o_voxel.csv"]
        assert [one["name"] for one in record["outputs"]] == ["seed", "voxel"]
        assert (folder / "o_voxel.csv").read_text().startswith("3_4_5_mean,3_4_5_max\n")


def test_voxels_of_a_mask_have_coordinates(lazyvox, folder):
    masks = ("--mask", "left.nii.gz", "--mask", "right.nii.gz", "--coordinates")
    done = lazyvox("extract", "run.nii.gz", *masks, "-o", "o.npz", "--json")
    paths = [one["path"] for one in json.loads(done.out)["outputs"]]
    assert paths[2:] == ["o_left_coordinates.tsv", "o_right_coordinates.tsv"]
    lines = (folder / "o_left_coordinates.tsv").read_text().splitlines()
    assert lines[0] == "i\tj\tk\tx\ty\tz"
    rows = np.array([line.split("\t") for line in lines[1:]], float)
    signals = lv.extract("run.nii.gz", "left.nii.gz")
    np.testing.assert_array_equal(rows[:, :3], signals.ijk)
    np.testing.assert_allclose(
        rows[:, 3:], nib.affines.apply_affine(lv.load("run.nii.gz").affine, rows[:, :3])
    )
    assert lines[1].split("\t")[0].isdecimal()
    (folder / "d").mkdir()
    (folder / "sub-1_bold.nii.gz").symlink_to("run.nii.gz")
    done = lazyvox("extract", "sub-1_bold.nii.gz", *masks, "-o", "d")
    record = json.loads((folder / "d" / "sub-1_label-left_timeseries.json").read_text())
    assert record["Coordinates"] == "sub-1_label-left_coordinates.tsv"
    assert (folder / "d" / record["Coordinates"]).read_text().splitlines() == lines
    done = lazyvox("extract", "run.nii.gz", *masks[:2], "--coordinates", "-o", "o.txt")
    assert "o_coordinates.tsv (left): 260 x 6, text" in done.out


@pytest.mark.filterwarnings("default:.*regions are covered:lazyvox.errors.LazyvoxWarning")
class TestStatistics:
    def test_several_in_one_pass_with_names(self, lazyvox, folder):
        names = "mean,std,min,max,median"
        done = lazyvox(
            "extract", *LABELS, "--lut", "atlas.tsv", "--strategy", names, "-o", "o.tsv"
        )
        assert (done.code, done.err) == (0, "")
        head = (folder / "o.tsv").read_text().split("\n")[0].split("\t")
        assert head[:6] == [*(f"LeftFront_{one}" for one in names.split(",")), "RightFront_mean"]
        voxels = np.asarray(lv.load("run.nii.gz").dataobj)[
            lv.load("atlas.nii.gz").get_fdata() == 1
        ]
        found = np.loadtxt("o.tsv", skiprows=1)[:, :5].T
        reductions = (np.mean, np.std, np.min, np.max, np.median)
        wanted = [reduce(voxels.astype(float), axis=0) for reduce in reductions]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)

    def test_eigenvariate_of_a_mask(self, lazyvox):
        argv = ("run.nii.gz", "--mask", "left.nii.gz", "--strategy", "eigenvariate", "-o", "-")
        found = numbers(lazyvox("extract", *argv).out)[:, 0]
        voxels = np.asarray(lv.extract("run.nii.gz", "left.nii.gz"), float)
        voxels -= voxels.mean(axis=0)
        first = np.sqrt(40) * np.linalg.svd(voxels, full_matrices=False)[0][:, 0]
        np.testing.assert_allclose(found, first * np.sign(first @ voxels.mean(axis=1)), atol=1e-8)

    def test_coverage(self, lazyvox, folder, holes):
        argv = (holes, *LABELS[1:], "--lut", "atlas.tsv", "--coverage", "c.tsv")
        done = lazyvox("extract", *argv, "--min-coverage", "0.6", "-o", "o.tsv", "--json")
        assert done.code == 0
        assert "2 of 8 regions are covered by less than 0.6 of their voxels" in done.err
        assert "LeftBack (0)" in done.err
        table = [line.split("\t") for line in (folder / "c.tsv").read_text().splitlines()]
        assert table[0] == ["region", "label", "n_voxels", "n_covered", "coverage"]
        assert table[3][:2] == ["LeftBack", "3"]
        assert float(table[3][4]) == 0
        assert float(table[5][4]) == pytest.approx(0.5, abs=0.02)
        assert (folder / "o.tsv").read_text().splitlines()[1].split("\t")[2] == "n/a"
        (first, second) = json.loads(done.out)["outputs"]
        assert first["low_coverage"] == [table[3][0], table[5][0]]
        assert first["coverage"]["LeftFront"] == 1
        assert (second["path"], second["shape"]) == ("c.tsv", [8, 5])

    def test_names_of_bids(self, lazyvox, folder, holes):
        (folder / "d").mkdir()
        argv = (holes, *LABELS[1:], "--strategy", "mean,std", "--min-coverage", "0.6")
        done = lazyvox("extract", *argv, "--coverage", "d", "-o", "d")
        assert done.code == 0
        stem = "sub-01_task-rest_atlas-atlas"
        names = sorted(path.name for path in (folder / "d").iterdir())
        assert names == [
            f"{stem}_stat-coverage_bold.tsv",
            f"{stem}_stat-meanStd_timeseries.json",
            f"{stem}_stat-meanStd_timeseries.tsv",
        ]
        record = json.loads((folder / "d" / names[1]).read_text())
        assert record["LowCoverage"] == ["3", "5"]
        assert record["Coverage"]["1"] == 1
        assert record["Parameters"]["strategy"] == "mean,std"
        assert record["Parameters"]["min_coverage"] == 0.6

    def test_tables_of_several_region_sets(self, lazyvox, folder):
        sets = ("--labels", "atlas.nii.gz", "--mask", "left.nii.gz", "--seed", "0,0,0,6")
        done = lazyvox("extract", "run.nii.gz", *sets, "--coverage", "c.csv", "-o", "o.npz")
        assert (done.code, done.err) == (0, "")
        assert sorted(path.name for path in folder.glob("c_*")) == ["c_atlas.csv", "c_seed.csv"]
        assert (folder / "c_seed.csv").read_text().splitlines()[1].startswith("0_0_0,n/a,")

    def test_outputs_that_exist_are_kept(self, lazyvox, folder):
        (folder / "c_seed.tsv").write_text("old")
        (folder / "left_coordinates.tsv").write_text("old")
        before = sorted(folder.iterdir())
        sets = ("--labels", "atlas.nii.gz", "--seed", "0,0,0,6", "--coverage", "c.tsv")
        done = lazyvox("extract", "run.nii.gz", *sets, "-o", "o.npz")
        assert (done.code, done.out) == (2, "")
        assert "--coverage c_seed.tsv: the file exists. Pass --overwrite" in done.err
        mask = ("--mask", "left.nii.gz", "--coordinates", "-o", "left.npy")
        done = lazyvox("extract", "run.nii.gz", *mask)
        assert (done.code, done.out) == (2, "")
        assert "left_coordinates.tsv: the file exists" in done.err
        assert sorted(folder.iterdir()) == before
        assert lazyvox("extract", "run.nii.gz", *mask, "--overwrite").code == 0
        assert (folder / "left_coordinates.tsv").read_text().startswith("i\tj\tk\tx\ty\tz\n")

    def test_a_plan_writes_nothing(self, lazyvox, folder):
        before = sorted(folder.iterdir())
        argv = (
            "--strategy",
            "mean,eigenvariate",
            "--coverage",
            "c.tsv",
            "-o",
            "o.tsv",
            "--explain",
        )
        done = lazyvox("extract", *LABELS, *argv)
        assert "consumer   Labels, mean, eigenvariate" in done.out
        assert sorted(folder.iterdir()) == before

    def test_what_does_not_fit_is_refused(self, lazyvox, folder):
        argv = ("--strategy", "eigenvariate", "--memory", "4MiB", "-o", "o.tsv")
        done = lazyvox("extract", *LABELS, *argv)
        assert done.code == 1
        assert "Pass --memory " in done.err
