"""`lazyvox seedmap`: the maps of `seed_map`, one file for each seed, and one line for each fault."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv

SEED = ["--seed", "-8,0,0,5"]
RUN = ["run.nii.gz", *SEED]
OUT = ["-o", "o.nii.gz"]
FMRIPREP = "sub-01_task-rest_desc-confounds_timeseries.tsv"


@pytest.fixture
def files(folder):
    rng = np.random.default_rng(0)
    names = ["trans_x", "csf", "framewise_displacement", "std_dvars"]
    values = rng.uniform(0.1, 0.4, size=(40, len(names)))
    values[[7, 8], 2] = 2
    lines = ["\t".join(f"{value:.6f}" for value in row) for row in values]
    (folder / FMRIPREP).write_text("\n".join(["\t".join(names), *lines]) + "\n")
    np.savetxt("plain.txt", values[:, :2])
    (folder / "seeds.tsv").write_text("name\tx\ty\tz\nPCC\t-8\t0\t0\nfar\t8\t0\t0\n")
    (folder / "lost.tsv").write_text("name\tx\ty\tz\nPCC\t-8\t0\t0\nlost\t800\t0\t0\n")
    (folder / "few.txt").write_text("\n".join(map(str, range(3, 40))) + "\n")
    shutil.copy("run.nii.gz", "sub-01_task-rest_bold.nii.gz")
    return folder


def values_of(path):
    return np.asarray(lv.load(path).dataobj)


def test_one_seed_is_one_image(lazyvox, files):
    done = lazyvox("seedmap", *RUN, *OUT)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "o.nii.gz (-8_0_0): 12 x 14 x 10, float32; 0 at 1160 voxels without variation\n"
    )
    want = lv.seed_map("run.nii.gz", (-8, 0, 0), radius=5).get_fdata()
    np.testing.assert_array_equal(values_of("o.nii.gz"), want.astype("f4"))
    assert nib.load("o.nii.gz").get_data_dtype() == np.float32


def test_options_are_those_of_the_library(lazyvox, files):
    done = lazyvox(
        "seedmap", *RUN, *OUT, "--confounds", "plain.txt", "--detrend", "2", "--fwhm", "6",
        "--high-pass", "0.02", "--low-pass", "0.1", "--measure", "t", "--mask-img", "mask.nii.gz",
        "--sample-mask", "few.txt", "--dtype", "float64", "--t-r", "2",
    )  # fmt: skip
    assert done.code == 0
    assert "3 of 40 volumes left out: 0-2" in done.out
    want = lv.seed_map(
        "run.nii.gz",
        (-8, 0, 0),
        radius=5,
        confounds=np.loadtxt("plain.txt"),
        drift_order=2,
        smoothing_fwhm=6,
        high_pass=0.02,
        low_pass=0.1,
        measure="t",
        mask_img="mask.nii.gz",
        sample_mask=range(3, 40),
    )
    np.testing.assert_array_equal(values_of("o.nii.gz"), want.get_fdata())


def test_seeds_of_all_kinds_get_a_file_each(lazyvox, files):
    done = lazyvox(
        "seedmap", *RUN, "--seeds", "seeds.tsv", "--radius", "3", "--mask", "left.nii.gz",
        "--labels", "atlas.nii.gz", "--lut", "atlas.tsv", "--voxel", "5,6,5", "-o", "m.nii.gz",
    )  # fmt: skip
    assert done.code == 0
    names = [line.split(" ")[0] for line in done.out.splitlines()]
    assert names[:2] == ["m_left.nii.gz", "m_LeftFront.nii.gz"]
    assert names[9:] == ["m_PCC.nii.gz", "m_far.nii.gz", "m_-8_0_0.nii.gz", "m_5_6_5.nii.gz"]
    want = lv.seed_map("run.nii.gz", "left.nii.gz").get_fdata()
    np.testing.assert_array_equal(values_of("m_left.nii.gz"), want.astype("f4"))
    want = lv.seed_map("run.nii.gz", lv.Spheres("seeds.tsv", 3)).get_fdata()
    np.testing.assert_array_equal(values_of("m_far.nii.gz"), want[..., 1].astype("f4"))


def test_a_folder_gets_bids_names_and_what_was_done(lazyvox, files):
    (files / "out").mkdir()
    table = ["--confounds", FMRIPREP, "--confound-columns", "csf", "--fd-threshold", "0.5"]
    run = "sub-01_task-rest_bold.nii.gz"
    argv = [run, "--seeds", "seeds.tsv", *table, "--scrub", "0", "--measure", "fisher-z"]
    done = lazyvox("seedmap", *argv, "-o", "out", "--json")
    assert done.code == 0
    facts = json.loads(done.out)
    assert facts["censored_volumes"] == [7, 8]
    stem = "out/sub-01_task-rest_stat-fisherz_seed-"
    assert [one["path"] for one in facts["outputs"]] == [
        f"{stem}PCC_statmap.nii.gz",
        f"{stem}far_statmap.nii.gz",
    ]
    assert facts["outputs"][0]["voxels_without_variation"] == 1160
    record = json.loads((files / f"{stem}PCC_statmap.json").read_text())
    assert record["CensoredVolumes"] == [7, 8]
    assert record["Parameters"]["confounds"] == ["csf"]
    assert record["Parameters"]["measure"] == "fisher-z"
    assert record["Parameters"]["filter"] is None
    assert (record["VoxelsWithoutVariation"], record["VoxelsNotFinite"]) == (1160, 0)
    assert f"../{run}" in record["Sources"]
    again = lazyvox("seedmap", *argv, "-o", "out")
    assert (again.code, "the file exists. Pass --overwrite" in again.err) == (2, True)


def test_seeds_of_one_name_need_files_of_their_own(lazyvox, files):
    (files / "out").mkdir()
    argv = ["sub-01_task-rest_bold.nii.gz", "--seed", "1,10,0", "--seed", "11,0,0", "-o"]
    done = lazyvox("seedmap", *argv, "out/")
    assert done.code == 2
    assert "--output out/: each seed must have a name of its own. Got sub-01" in done.err
    assert lazyvox("seedmap", *argv, "o.nii.gz").code == 0
    assert (files / "o_1_10_0.nii.gz").exists()


@pytest.mark.parametrize("kind", ["fourier", "butterworth"])
def test_explain_reads_nothing_and_writes_nothing(lazyvox, files, kind):
    before = sorted(files.iterdir())
    done = lazyvox("seedmap", *RUN, "--high-pass", "0.02", "--filter", kind, *OUT, "--explain")
    assert done.code == 0
    assert "dimensions removed" in done.out
    assert "state and result: seed maps (Spheres around 1 seed)" in done.out
    assert sorted(files.iterdir()) == before


USAGE = [
    (["run.nii.gz", *OUT], "no seed: pass --seed X,Y,Z or X,Y,Z,R in mm, --voxel I,J,K, --seeds TABLE, --mask MASK or --labels ATLAS, or several of them"),
    (["run.nii.gz", "--seed", "1,2", *OUT], "Invalid value for '--seed': must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in 0,-52,18,8. Got '1,2'; see lazyvox seedmap --help"),
    (["run.nii.gz", "--seed", "1,2,x", *OUT], "Invalid value for '--seed': must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in 0,-52,18,8. Got '1,2,x'; see lazyvox seedmap --help"),
    (["run.nii.gz", "--seed", "1,2,3,-4", *OUT], "Invalid value for '--seed': must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in 0,-52,18,8. Got '1,2,3,-4'; see lazyvox seedmap --help"),
    ([*RUN, *OUT, "--t-r", "3"], "--t-r concerns --high-pass and --low-pass, and neither is given"),
    ([*RUN, *OUT, "--radius", "3"], "--radius concerns --seed without a radius of its own, and --seeds: there is none"),
    ([*RUN, *OUT, "--lut", "atlas.tsv"], "--lut must be given once for each --labels. Got 1 for 0"),
    ([*RUN, *OUT, "--filter", "fourier"], "--filter fourier needs a cutoff: pass --low-pass, --high-pass, or both"),
    ([*RUN, *OUT, "--filter", "cosine"], "--filter cosine removes what is slower than --high-pass, which is missing"),
    ([*RUN, *OUT, "--measure", "t", "--measure", "t"], "--measure must be given once. Got it twice"),
    (RUN, "missing option -o/--output: where should the result go?"),
    ([*RUN, "-o", "o.tsv"], "--output o.tsv: the name must end in .mgz, .zarr, or .nii, .hdr, .img or .mgh, each also with .gz, .bz2 or .zst behind it"),
    ([*RUN, "-o", "run.nii.gz"], "--output run.nii.gz: this is an input too. Write to another file"),
    ([*RUN, "-o", "mask.nii.gz"], "--output mask.nii.gz: the file exists. Pass --overwrite to replace it"),
    ([*RUN, *OUT, "--confounds", FMRIPREP], f"--confounds {FMRIPREP}: fMRIPrep's tables hold more than should be removed. Choose with --confound-strategy, such as motion24,wm_csf,high_pass, or with --confound-columns"),
    ([*RUN, *OUT, "--censored", "keep", "--sample-mask", "few.txt"], "--censored keep keeps all volumes, and --sample-mask leaves some out"),
    ([*RUN, "-o", "."], "--output . is a folder, where files get BIDS names. run.nii.gz: a BIDS name must be sub-01_key-label_..._suffix.extension; it does not begin with sub-. Rename the file, or name the output yourself"),
]  # fmt: skip

FAILURES = [
    (["run.nii.gz", "--seed", "800,0,0", *OUT], "--seed: every sphere must hold a voxel of the image. 1 of 1 hold none: 800_0_0"),
    (["run.nii.gz", "--seeds", "lost.tsv", *OUT], "--seeds: every sphere must hold a voxel of the image. 1 of 2 hold none: lost"),
    (["run.nii.gz", "--seed", "-16,-19,-13", *OUT], "--seed: the signal of every seed must vary over time. 1 of 1 do not: -16_-19_-13."),
    (["run.nii.gz", "--mask", "atlas.nii.gz", *OUT], "It looks like labels: pass it as --labels to lazyvox extract for one signal per label."),
    (["run.nii.gz", "--mask", "run.nii.gz", *OUT], "it must be 3D, or 4D with one volume. Got shape (12, 14, 10, 40).\n"),
    (["run.nii.gz", "--mask", "absent.nii.gz", *OUT], "absent.nii.gz: no such file."),
    (["absent.nii.gz", *SEED, *OUT], "absent.nii.gz: no such file."),
    (["run.nii.gz", "--seeds", "plain.txt", *OUT], "a table of seeds must be .tsv or .csv. Got '.txt'."),
    ([*RUN, *OUT, "--high-pass", "0.3"], "--high-pass must be below half of the sampling rate, 0.25 Hz for --t-r 2. Got 0.3 Hz. Check --t-r, or leave --high-pass out."),
    ([*RUN, *OUT, "--mask-img", "atlas.nii.gz"], "--mask-img ("),
    ([*RUN, *OUT, "--memory", "9MB"], "the memory budget must hold the buffers and the results of the pass."),
    (["cut.nii", *SEED, *OUT], "cut.nii"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "message"), USAGE, ids=[f"{i} {case[1][:40]}" for i, case in enumerate(USAGE)]
)
def test_wrong_usage(lazyvox, files, argv, message):
    before = sorted(files.iterdir())
    done = lazyvox("seedmap", *argv)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"lazyvox: error: {message}\n"
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("argv", "message"), FAILURES, ids=[f"{i} {case[1][:40]}" for i, case in enumerate(FAILURES)]
)
def test_failures_leave_no_output(refuses, files, argv, message):
    lv.save(lv.load("run.nii.gz"), "cut.nii")
    with (files / "cut.nii").open("r+b") as file:
        file.truncate(200_000)
    refuses("seedmap", *argv, message=message)
