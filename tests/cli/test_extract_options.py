"""`lazyvox extract` gives what `lazyvox.extract` gives with the same options."""

import json

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.confounds import load_confounds

MOTION = [
    f"{kind}_{axis}{power}"
    for kind in ("trans", "rot")
    for axis in "xyz"
    for power in ("", "_derivative1", "_power2", "_derivative1_power2")
]
NAMES = ["csf", "white_matter", "framewise_displacement", "std_dvars", *MOTION, "cosine00"]
CENSORED = [7, 20]
TABLE = "sub-1_desc-confounds_timeseries.tsv"
CLEANING = ["--detrend", "--low-pass", "0.2", "--high-pass", "0.02", "--standardize"]


def write_confounds(path, seed=0):
    values = np.random.default_rng(seed).normal(size=(40, len(NAMES)))
    values[:, 2:4] = 0.1
    values[CENSORED, 2] = 2
    rows = [[f"{value:.6f}" for value in row] for row in values]
    for column, name in enumerate(NAMES):
        if "derivative" in name or column in {2, 3}:
            rows[0][column] = "n/a"
    path.write_text("\n".join("\t".join(row) for row in [NAMES, *rows]) + "\n")


@pytest.fixture
def files(folder):
    """Besides the examples: maps, seeds, fMRIPrep's table, and a plain one without names."""
    img = nib.load("run.nii.gz")
    halves = [nib.load(f"{name}.nii.gz").get_fdata() for name in ("left", "right")]
    nib.save(nib.Nifti1Image(np.stack(halves, -1).astype("f4"), img.affine), "maps.nii.gz")
    (folder / "seeds.tsv").write_text("name\tx\ty\tz\nleft\t-8\t0\t0\nright\t8\t0\t0\n")
    write_confounds(folder / "sub-1_desc-confounds_timeseries.tsv")
    write_confounds(folder / "second.tsv", seed=1)
    np.savetxt("motion.txt", np.random.default_rng(2).normal(size=(40, 3)))
    return folder


def extracted(lazyvox, *argv):
    done = lazyvox("extract", *argv, "-o", "out.npy", "--overwrite")
    assert (done.code, done.err) == (0, "")
    return np.load("out.npy")


def assert_same(found, wanted):
    np.testing.assert_array_equal(found, wanted.values)


REGIONS = {
    "mask": (["--mask", "left.nii.gz"], lambda: lv.Voxels("left.nii.gz")),
    "labels": (
        ["--labels", "atlas.nii.gz", "--mask-img", "left.nii.gz", "--strategy", "median"],
        lambda: lv.Labels("atlas.nii.gz", strategy="median", mask_img="left.nii.gz"),
    ),
    "maps": (
        ["--maps", "maps.nii.gz", "--mask-img", "mask.nii.gz"],
        lambda: lv.Maps("maps.nii.gz", mask_img="mask.nii.gz"),
    ),
    "seeds": (["--seeds", "seeds.tsv", "--radius", "5"], lambda: lv.Spheres("seeds.tsv", 5)),
}


def test_a_strategy_holds_for_masks(lazyvox, files):
    arguments = ["run.nii.gz", "--mask", "left.nii.gz", "--mask", "right.nii.gz"]
    assert lazyvox("extract", *arguments, "--strategy", "mean", "-o", "out.tsv").code == 0
    for name in ("left", "right"):
        wanted = lv.extract("run.nii.gz", lv.Labels(f"{name}.nii.gz"))
        head, *rows = (files / f"out_{name}.tsv").read_text().splitlines()
        assert head == name
        assert [float(row) for row in rows] == wanted.values[:, 0].tolist()


def test_several_region_sets_of_every_kind(lazyvox, files):
    nib.save(nib.load("atlas.nii.gz"), "second.nii.gz")
    nib.save(nib.load("maps.nii.gz"), "others.nii.gz")
    (files / "seeds2.tsv").write_text("x\ty\tz\n0\t0\t0\n")
    (files / "names.tsv").write_text("index\tname\n" + "".join(f"{k}\tR{k}\n" for k in range(9)))
    (files / "maps.tsv").write_text("index\tname\n1\tone\n2\ttwo\n")
    sets = ["--labels", "atlas.nii.gz", "--labels", "second.nii.gz", "--maps", "maps.nii.gz",
            "--maps", "others.nii.gz", "--seeds", "seeds.tsv", "--seeds", "seeds2.tsv"]  # fmt: skip
    tables = ["--lut", "atlas.tsv", "--lut", "names.tsv", "--lut", "maps.tsv", "--lut", "maps.tsv"]
    done = lazyvox("extract", "run.nii.gz", *sets, *tables, "-o", "out.tsv")
    assert (done.code, done.err) == (0, "")
    heads = {
        path.stem: path.read_text().split("\n", 1)[0].split("\t") for path in files.glob("out_*")
    }
    assert heads["out_atlas"][0] == "LeftFront"
    assert heads["out_second"] == [f"R{k}" for k in range(1, 9)]
    assert heads["out_maps"] == heads["out_others"] == ["one", "two"]
    assert heads["out_seeds"] == ["left", "right"]
    assert heads["out_seeds2"] == ["0"]


@pytest.mark.filterwarnings("ignore:.*labels.*:lazyvox.errors.LazyvoxWarning")
@pytest.mark.parametrize("kind", REGIONS)
def test_region_sets_are_those_of_the_library(lazyvox, files, kind):
    argv, consumer = REGIONS[kind]
    done = lazyvox("extract", "run.nii.gz", *argv, "-o", "out.npy")
    assert done.code == 0
    assert_same(np.load("out.npy"), lv.extract("run.nii.gz", consumer()))


@pytest.mark.parametrize("kind", ["mask", "seeds"])
@pytest.mark.parametrize("how", ["zscore_sample", "psc"])
def test_signals_are_smoothed_and_cleaned(lazyvox, files, kind, how):
    argv, consumer = REGIONS[kind]
    found = extracted(
        lazyvox, "run.nii.gz", *argv, "--smoothing-fwhm", "6", *CLEANING, how, "--jobs", "2"
    )
    wanted = lv.extract(
        "run.nii.gz", consumer(), smoothing_fwhm=6, detrend=True, low_pass=0.2, high_pass=0.02,
        standardize=how,
    )  # fmt: skip
    assert_same(found, wanted)


def test_further_forms_of_smoothing_and_filters(lazyvox, files):
    labels = ["run.nii.gz", "--labels", "atlas.nii.gz"]
    found = extracted(lazyvox, *labels, "--smoothing-fwhm", "4,0,6")
    assert_same(found, lv.extract("run.nii.gz", "atlas.nii.gz", smoothing_fwhm=(4, 0, 6)))
    found = extracted(lazyvox, *labels, "--filter", "cosine", "--high-pass", "0.02", "--t-r", "1")
    wanted = lv.extract("run.nii.gz", "atlas.nii.gz", filter="cosine", high_pass=0.02, t_r=1)
    assert_same(found, wanted)


def test_confounds_are_chosen_by_strategy_and_column(lazyvox, files):
    table = "sub-1_desc-confounds_timeseries.tsv"
    found = extracted(
        lazyvox, "run.nii.gz", "--labels", "atlas.nii.gz", "--confounds", table,
        "--confound-strategy", "motion6,high_pass", "--confound-columns", "csf,white*",
    )  # fmt: skip
    chosen = load_confounds(table, "motion6,high_pass", "csf,white*")
    assert chosen.names == (
        "cosine00", "csf", "rot_x", "rot_y", "rot_z", "trans_x", "trans_y", "trans_z",
        "white_matter",
    )  # fmt: skip
    assert_same(found, lv.extract("run.nii.gz", "atlas.nii.gz", confounds=chosen.values))


def test_plain_tables_are_taken_as_they_are(lazyvox, files):
    found = extracted(
        lazyvox, "run.nii.gz", "--labels", "atlas.nii.gz", "--confounds", "motion.txt"
    )
    assert_same(found, lv.extract("run.nii.gz", "atlas.nii.gz", confounds="motion.txt"))


@pytest.mark.parametrize(
    ("options", "n_kept"),
    [
        (["--confound-strategy", "wm_csf,scrub", "--scrub", "0"], 38),
        (["--confound-strategy", "wm_csf", "--fd-threshold", "0.5", "--scrub", "0"], 38),
        (["--confound-strategy", "wm_csf", "--fd-threshold", "0.5", "--scrub", "9"], 31),
        (["--confound-strategy", "wm_csf", "--fd-threshold", "3"], 40),
    ],
)
def test_volumes_that_move_are_left_out(lazyvox, files, options, n_kept):
    table = "sub-1_desc-confounds_timeseries.tsv"
    argv = ["run.nii.gz", "--labels", "atlas.nii.gz", "--confounds", table, *options]
    found = extracted(lazyvox, *argv, "--high-pass", "0.02")
    values = dict(zip(options[::2], options[1::2], strict=True))
    limits = {"scrub": int(values.get("--scrub", 5))}
    limits["fd_threshold"] = float(values.get("--fd-threshold", 0.5))
    chosen = load_confounds(table, "wm_csf,scrub", **limits)
    wanted = lv.extract(
        "run.nii.gz", "atlas.nii.gz", confounds=chosen.values, sample_mask=chosen.sample_mask,
        high_pass=0.02,
    )  # fmt: skip
    assert len(found) == n_kept
    assert_same(found, wanted)


def test_thresholds_alone_censor_and_remove_nothing(lazyvox, files):
    (files / "keep.txt").write_text("\n".join(map(str, range(30))))
    found = extracted(
        lazyvox, "run.nii.gz", "--mask", "left.nii.gz", "--sample-mask", "keep.txt",
        "--confounds", "sub-1_desc-confounds_timeseries.tsv", "--fd-threshold", "0.5",
        "--scrub", "0",
    )  # fmt: skip
    kept = [volume for volume in range(30) if volume not in CENSORED]
    assert_same(found, lv.extract("run.nii.gz", "left.nii.gz", sample_mask=kept))


def test_runs_are_cleaned_one_by_one(lazyvox, files):
    tables = ["sub-1_desc-confounds_timeseries.tsv", "second.tsv"]
    options = ["--confound-strategy", "wm_csf,scrub", "--scrub", "0", *CLEANING, "zscore_sample"]
    given = [part for table in tables for part in ("--confounds", table)]
    both = extracted(
        lazyvox, "run.nii.gz", "run.nii.gz", "--labels", "atlas.nii.gz", *given, *options
    )
    for number, table in enumerate(tables):
        one = extracted(
            lazyvox, "run.nii.gz", "--labels", "atlas.nii.gz", "--confounds", table, *options
        )
        np.testing.assert_allclose(both[number * 38 : number * 38 + 38], one, atol=1e-12)


def test_volumes_in_files_of_their_own_are_one_run(lazyvox, files):
    names = [f"v{number:02}.nii" for number in range(40)]
    for number, name in enumerate(names):
        lazyvox("slice", "run.nii.gz", f"..., {number}", "-o", name)
    options = ["--labels", "atlas.nii.gz", "--detrend", "--confounds", "motion.txt"]
    found = extracted(lazyvox, *names, *options)
    np.testing.assert_allclose(found, extracted(lazyvox, "run.nii.gz", *options), atol=1e-9)


@pytest.mark.parametrize("with_table", [False, True])
def test_inverse_is_the_image_of_the_signals(lazyvox, files, with_table):
    output = ["-o", "out.tsv"] if with_table else []
    done = lazyvox(
        "extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--mask", "left.nii.gz", "--detrend",
        *output, "--inverse", "inverse.nii.gz",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    wanted = lv.extract("run.nii.gz", "atlas.nii.gz", detrend=True)
    img = nib.load("inverse_atlas.nii.gz")
    np.testing.assert_array_equal(img.get_fdata(), wanted.to_img().get_fdata())
    np.testing.assert_array_equal(img.affine, nib.load("run.nii.gz").affine)
    assert nib.load("inverse_left.nii.gz").shape == (12, 14, 10, 40)
    assert sorted(path.name for path in files.glob("out*")) == (
        ["out_atlas.tsv", "out_left.tsv"] if with_table else []
    )


def test_plan_counts_cleaning_scratch_and_the_image(lazyvox, files):
    argv = ["extract", "run.nii.gz", "--mask", "mask.nii.gz", "-o", "out.npy", "--explain"]
    plain = lazyvox(*argv)
    cleaned = lazyvox(*argv, "--detrend")
    inverse = lazyvox(*argv, "--detrend", "--inverse", "image.nii")
    peaks = [
        float(done.out.split("peak ")[1].split("MiB")[0]) for done in (plain, cleaned, inverse)
    ]
    assert peaks == sorted(set(peaks))
    assert sorted(path.name for path in files.glob("out*")) == []


def test_concat_joins_along_time(lazyvox, files):
    lazyvox("slice", "run.nii.gz", "..., :10", "-o", "a.nii")
    lazyvox("slice", "run.nii.gz", "..., 10:", "-o", "b.nii.gz")
    done = lazyvox("concat", "a.nii", "b.nii.gz", "-o", "all.nii.gz")
    assert (done.code, done.out, done.err) == (0, "all.nii.gz: 12 x 14 x 10 x 40, float32\n", "")
    run, joined = nib.load("run.nii.gz"), nib.load("all.nii.gz")
    np.testing.assert_array_equal(np.asarray(joined.dataobj), np.asarray(run.dataobj))
    assert joined.header.get_zooms() == run.header.get_zooms()


def test_concat_keeps_integers_and_casts_on_demand(lazyvox, files):
    assert lazyvox("concat", "atlas.nii.gz", "left.nii.gz", "-o", "all.nii").code == 0
    joined = nib.load("all.nii")
    assert (joined.shape, joined.get_data_dtype()) == ((12, 14, 10, 2), np.int16)
    assert joined.dataobj.slope == 1
    done = lazyvox("concat", "atlas.nii.gz", "left.nii.gz", "-o", "f.nii", "--dtype", "float64")
    assert done.out == "f.nii: 12 x 14 x 10 x 2, float64\n"


def test_concat_of_scaled_integers_is_float32(lazyvox, files):
    lazyvox("convert", "run.nii.gz", "s.nii", "--dtype", "int16", "--scale", "auto")
    done = lazyvox("concat", "s.nii", "s.nii", "-o", "both.nii")
    assert done.out == "both.nii: 12 x 14 x 10 x 80, float32\n"
    stored = np.asarray(nib.load("s.nii").dataobj)
    np.testing.assert_allclose(nib.load("both.nii").dataobj[..., 40:], stored, rtol=1e-6)
    assert "passes     1\n" in lazyvox("concat", "s.nii", "s.nii", "--explain").out
    done = lazyvox("concat", "s.nii", "left.nii.gz", "-o", "bad.nii")
    assert done.code == 1
    assert "each image of the list must be 4D" in done.err


class TestCensored:
    """Volumes that a table censors are reported, and have the rows that were asked for."""

    ARGUMENTS = (
        "run.nii.gz", "--labels", "atlas.nii.gz", "--confounds", TABLE,
        "--confound-strategy", "motion6,scrub", "--fd-threshold", "0.5", "--scrub", "0",
    )  # fmt: skip

    def rows(self, lazyvox, *options):
        done = lazyvox("extract", *self.ARGUMENTS, *options, "-o", "out.npy", "--overwrite")
        assert (done.code, done.err) == (0, "")
        return done.out, np.load("out.npy")

    def test_terminal(self, lazyvox, files):
        out, dropped = self.rows(lazyvox)
        assert out.splitlines()[1] == "2 of 40 volumes left out: 7, 20"
        assert len(dropped) == 38

    @pytest.mark.parametrize(
        ("censored", "text"),
        [("zero", "set to zero"), ("interpolate", "interpolated"), ("keep", "censored, and kept")],
    )
    def test_rows(self, lazyvox, files, censored, text):
        _, dropped = self.rows(lazyvox)
        out, found = self.rows(lazyvox, "--censored", censored)
        assert out.splitlines()[1] == f"2 of 40 volumes {text}: 7, 20"
        assert len(found) == 40
        rest = np.delete(np.arange(40), CENSORED)
        if censored != "keep":
            np.testing.assert_array_equal(found[rest], dropped)
        if censored == "zero":
            assert not found[CENSORED].any()
        if censored == "interpolate":
            np.testing.assert_allclose(found[7], (found[6] + found[8]) / 2)

    @pytest.mark.parametrize("explain", [[], ["--explain"]])
    def test_json(self, lazyvox, files, explain):
        done = lazyvox("extract", *self.ARGUMENTS, "-o", "out.npy", "--json", *explain)
        assert json.loads(done.out)["censored_volumes"] == CENSORED

    def test_the_plan_says_it(self, lazyvox, files):
        done = lazyvox("extract", *self.ARGUMENTS, "-o", "out.npy", "--explain")
        assert done.out.splitlines()[-1] == "2 of 40 volumes left out: 7, 20"

    @pytest.mark.parametrize(("censored", "n"), [("drop", 38), ("zero", 40), ("interpolate", 40)])
    def test_images_of_signals(self, lazyvox, files, censored, n):
        done = lazyvox("extract", *self.ARGUMENTS, "--censored", censored, "--inverse", "back.nii")
        assert done.code == 0
        assert nib.load("back.nii").shape == (12, 14, 10, n)

    def test_side_file(self, lazyvox, files):
        (files / "run.nii.gz").rename("sub-1_task-rest_bold.nii.gz")
        (files / "results").mkdir()
        arguments = ["sub-1_task-rest_bold.nii.gz", *self.ARGUMENTS[1:]]
        assert lazyvox("extract", *arguments, "--censored", "zero", "-o", "results").code == 0
        (path,) = (files / "results").glob("*.json")
        record = json.loads(path.read_text())
        assert record["CensoredVolumes"] == CENSORED
        assert record["Parameters"]["censored"] == "zero"

    def test_all_volumes_are_kept_or_some(self, lazyvox, files):
        (files / "few.txt").write_text("0\n1\n2\n")
        options = ["--censored", "keep", "--sample-mask", "few.txt", "-o", "out.npy"]
        done = lazyvox("extract", *self.ARGUMENTS, *options)
        assert done.code == 2
        assert "--censored keep keeps all volumes, and --sample-mask leaves some out" in done.err
