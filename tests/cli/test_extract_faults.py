"""Options of `lazyvox extract` that contradict each other or the data: one line, an exit code."""

import nibabel as nib
import numpy as np
import pytest

LABELS = ["run.nii.gz", "--labels", "atlas.nii.gz", "-o", "o.npy"]
SEEDS = ["run.nii.gz", "--radius", "5", "-o", "o.npy", "--seeds"]
MASK = ["run.nii.gz", "--mask", "left.nii.gz"]
FMRIPREP = "sub-1_desc-confounds_timeseries.tsv"
TABLE = [*LABELS, "--confounds", FMRIPREP]

USAGE = [
    ([*LABELS, "--radius", "5"], "--radius concerns the spheres around --seeds and --seed, which are missing"),
    ([*LABELS, "--allow-overlap"], "--allow-overlap concerns the spheres around --seeds and --seed, which are missing"),
    (["run.nii.gz", "--mask", "left.nii.gz", "--mask-img", "mask.nii.gz", "-o", "o.npy"],
     "--mask-img confines --labels, --maps, --seeds and --seed, and there is none of them. For the signals of its voxels pass --mask"),
    (["run.nii.gz", "--maps", "maps.nii", "--strategy", "sum,min", "-o", "o.npy"], "--strategy sum,min concerns --labels, --mask, --seeds, --seed and --voxel, which are missing"),
    ([*LABELS, "--strategy", "mean,mode"], "Invalid value for '--strategy': must be one of mean, sum, median, minimum, maximum, standard_deviation, variance, min, max, std, var, eigenvariate, or several. Got 'mode'; see lazyvox extract --help"),
    ([*MASK, "--min-coverage", "0.5", "-o", "o.npy"], "--min-coverage concerns --labels, --seeds, --seed, and --mask with --strategy, which are missing"),
    ([*LABELS, "--min-coverage", "1.5"], "Invalid value for '--min-coverage': 1.5 is not in the range 0<=x<=1; see lazyvox extract --help"),
    ([*MASK, "--coverage", "c.tsv", "-o", "o.npy"], "--coverage concerns --labels, --seeds, --seed, and --mask with --strategy, which are missing"),
    ([*LABELS, "--coverage", "c.npy"], "--coverage c.npy: the name must end in .tsv, .csv"),
    ([*LABELS, "--coverage", "atlas.tsv"], "--coverage atlas.tsv: the file exists. Pass --overwrite to replace it"),
    ([*LABELS, "--coordinates"], "--coordinates lists the voxels of --mask, without --strategy, which is missing"),
    ([*MASK, "--coordinates", "-o", "-"], "--coordinates writes a table beside that of the signals. Pass -o FILE"),
    ([*LABELS, "--transpose"], "--transpose concerns numbers: -o -, or a file that ends in .txt or .1D"),
    ([*LABELS, "--header"], "--header concerns numbers: -o -, or a file that ends in .txt or .1D"),
    ([*LABELS, "--strategy", "mean,std", "--inverse", "i.nii"], "--inverse gives each voxel one value, and --strategy mean,std has 2. Pass one of them"),
    ([*LABELS, "--detrend", "1"], "--detrend removes mean and linear trend here, and takes no degree. Leave out 1"),
    ([*LABELS, "--seed", "1,2"], "Invalid value for '--seed': must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in 0,-52,18,8. Got '1,2'; see lazyvox extract --help"),
    ([*LABELS, "--seed", "1,2,3,-1"], "Invalid value for '--seed': must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in 0,-52,18,8. Got '1,2,3,-1'; see lazyvox extract --help"),
    ([*LABELS, "--seed", "1,2,3", "--seed", "1,2,3"], "Invalid value for '--seed': must be a seed that is given once. Got '1,2,3' twice; see lazyvox extract --help"),
    ([*LABELS, "--seed", "1,nan,3"], "Invalid value for '--seed': must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in 0,-52,18,8. Got '1,nan,3'; see lazyvox extract --help"),
    ([*LABELS, "--voxel", "1,2.5,3"], "Invalid value for '--voxel': must be I,J,K: indices of a voxel, counted from 0. Got '1,2.5,3'; see lazyvox extract --help"),
    ([*LABELS, "--voxel", "-1,2,3"], "Invalid value for '--voxel': must be I,J,K: indices of a voxel, counted from 0. Got '-1,2,3'; see lazyvox extract --help"),
    ([*LABELS, "--voxel", "1,2,3", "--voxel", "1,2,3"], "--voxel 1,2,3 must be given once. Got it twice"),
    ([*LABELS, "--labels", "atlas.nii.gz", "--lut", "atlas.tsv"], "--lut must be given once for each --labels, and may be given for each --maps after that. Got 1 for 2 and 0"),
    ([*LABELS, "--t-r", "2", "--t-r", "3"], "--t-r must be given once. Got it twice"),
    ([*LABELS, "--filter", "butterworth"], "--filter butterworth needs a cutoff: pass --low-pass, --high-pass, or both"),
    ([*LABELS, "--filter", "cosine"], "--filter cosine removes what is slower than --high-pass, which is missing"),
    ([*LABELS, "--filter", "cosine", "--high-pass", "0.1", "--low-pass", "0.2"], "--filter cosine removes slow changes only. Leave out --low-pass, or --filter"),
    ([*LABELS, "--t-r", "0"], "Invalid value for '--t-r': 0.0 is not in the range x>0; see lazyvox extract --help"),
    ([*LABELS, "--smoothing-fwhm", "6,6"], "Invalid value for '--smoothing-fwhm' / '--fwhm': must be a width in mm, above 0, three of them as in 6,6,8, or fast. Got '6,6'; see lazyvox extract --help"),
    ([*LABELS, "--confound-strategy", "motion24"], "--confound-strategy concerns the table of --confounds, which is missing"),
    ([*LABELS, "--fd-threshold", "0"], "--fd-threshold concerns the table of --confounds, which is missing"),
    (TABLE, f"--confounds {FMRIPREP}: fMRIPrep's tables hold more than should be removed. Choose with --confound-strategy, such as motion24,wm_csf,high_pass, or with --confound-columns"),
    ([*TABLE, "--confound-strategy", ", "], "--confound-strategy must hold a name. Got ', '"),
    ([*LABELS, "run.nii.gz", "--confounds", "plain.txt"], "--confounds must be given once for each run, in their order. Got 1 for 2 runs"),
]  # fmt: skip

FAILURES = [
    (["no_t_r.nii", *LABELS[1:], "--high-pass", "0.01"],
     "no_t_r.nii: filtering needs the seconds between volumes. The header has none. Pass --t-r SECONDS."),
    ([*LABELS, "--high-pass", "0.2", "--low-pass", "0.1"], "--high-pass must be below --low-pass: frequencies between them are kept. Got --high-pass 0.2 Hz and --low-pass 0.1 Hz."),
    ([*LABELS, "--high-pass", "0.1", "--sample-mask", "few.txt"], "needs at least 19 volumes. Got 2. Pass --filter cosine."),
    ([*LABELS, "run.nii.gz", "--detrend", "--sample-mask", "few.txt"], "--sample-mask of run 1 (counted from 0) must keep at least one of 40 volumes. Got none."),
    ([*TABLE, "--confound-strategy", "moton24"], "--confound-strategy must name strategies, columns, or shell patterns of columns. Got 'moton24', which is none. Did you mean motion24"),
    ([*TABLE, "--confound-columns", "trans_xx"], "Missing: 'trans_xx'. Near them are 'trans_x'"),
    ([*TABLE, "--confound-strategy", "csf", "--fd-threshold", "0"], "All 40 are censored. Raise --fd-threshold and --std-dvars-threshold, lower --scrub, or leave the run out."),
    ([*TABLE, "--confound-strategy", "acompcor5,high_pass"], "name the columns, such as --confound-columns 'a_comp_cor_0[0-4]'"),
    ([*LABELS, "--confounds", "short.txt"], "confounds in short.txt must have one row for each of the 40 volumes. Got 30 rows"),
    ([*LABELS, "--confounds", "absent.tsv"], "absent.tsv: no such file"),
    ([*LABELS, "--confounds", "atlas.tsv"], "column 'name', row 0 (line 2): a value must be a number or n/a. Got 'Background'"),
    ([*SEEDS, "outside.tsv"], "--seeds: every sphere must hold a voxel of the image. 1 of 2 hold none: far at (800.0, 0.0, 0.0)."),
    ([*LABELS, "--voxel", "12,2,3"], "--voxel must be on the grid of the images, 12 x 14 x 10, its indices counted from 0. Got 12,2,3."),
    ([*LABELS, "--seed", "-8,0,0,5", "--seed", "-5,0,0,5"], "--seed: spheres must not overlap. Those around -8_0_0 at (-8.0, 0.0, 0.0), -5_0_0 at"),
    ([*LABELS, "--seed", "800,0,0"], "--seed: every sphere must hold a voxel of the image. 1 of 1 hold none: 800_0_0 at (800.0, 0.0, 0.0)."),
    ([*SEEDS, "near.tsv"], "Those around 0 at (-8.0, 0.0, 0.0), 1 at (-5.0, 0.0, 0.0) share voxels. Pass a smaller radius, or --allow-overlap."),
    ([*SEEDS, "atlas.tsv"], "a table of seeds must have the columns x, y and z. Got ['index', 'name']."),
    ([*SEEDS, "plain.txt"], "a table of seeds must be .tsv or .csv. Got '.txt'."),
    ([*LABELS, "--inverse", "o.nii", "--memory", "16980000"], "the memory budget must hold the signals, and blocks of the image of them. Got"),
    (["run.nii.gz", "--maps", "atlas.nii.gz", "-o", "o.npy"], "--maps ("),
    (["run.nii.gz", "--labels", "run.nii.gz", "-o", "o.npy"], "It looks like maps: pass --maps for one signal per map."),
    ([*LABELS, "--mask-img", "atlas.nii.gz"], "--mask-img ("),
]  # fmt: skip


@pytest.fixture
def files(folder):
    names = ["trans_x", "csf", "framewise_displacement", "std_dvars", "cosine00"]
    values = np.random.default_rng(0).uniform(0.1, 1, size=(40, len(names)))
    lines = ["\t".join(f"{value:.6f}" for value in row) for row in values]
    (folder / FMRIPREP).write_text("\n".join(["\t".join(names), *lines]) + "\n")
    np.savetxt("plain.txt", values[:, :2])
    np.savetxt("short.txt", values[:30, :2])
    (folder / "few.txt").write_text("0\n1\n")
    (folder / "outside.tsv").write_text("name\tx\ty\tz\nnear\t0\t0\t0\nfar\t800\t0\t0\n")
    (folder / "near.tsv").write_text("x\ty\tz\n-8\t0\t0\n-5\t0\t0\n")
    run = nib.load("run.nii.gz")
    img = nib.Nifti1Image(np.asarray(run.dataobj), run.affine)
    img.header["pixdim"][4] = 0
    nib.save(img, "no_t_r.nii")
    return folder


@pytest.mark.parametrize(
    ("argv", "message"), USAGE, ids=[f"{case[1][:40]} {case[0][-1]}" for case in USAGE]
)
def test_options_that_contradict_each_other_are_wrong_usage(lazyvox, files, argv, message):
    before = sorted(files.iterdir())
    done = lazyvox("extract", *argv)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"lazyvox: error: {message}\n"
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize("explain", [[], ["--explain"]], ids=["run", "explain"])
@pytest.mark.parametrize(("argv", "message"), FAILURES, ids=[case[1][:50] for case in FAILURES])
@pytest.mark.usefixtures("files")
def test_options_that_contradict_the_data_are_failed_work(refuses, argv, message, explain):
    refuses("extract", *argv, *explain, message=message)
