"""`lazyvox glm`: maps of contrasts with nilearn's numbers, and what is refused before reading."""

import gzip
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel as NilearnModel
from nilearn.glm.first_level import make_first_level_design_matrix

RUN = "sub-01_task-faces_run-1_desc-preproc_bold.nii.gz"
EVENTS = pd.DataFrame(
    {
        "onset": [4.0, 20, 36, 52],
        "duration": 8.0,
        "trial_type": ["face", "house", "face", "house"],
    }
)

HEAD = "onset\tduration\ttrial_type\n"


@pytest.fixture
def runs(folder):
    """Two runs with BIDS names, their events, and confounds; returns options of the first run."""
    for number in (1, 2):
        img = nib.load("run.nii.gz")
        name = RUN.replace("run-1", f"run-{number}")
        values = np.roll(img.get_fdata(), number, axis=3).astype("f4")
        nib.save(nib.Nifti1Image(values, img.affine, img.header), name)
        EVENTS.to_csv(f"events{number}.tsv", sep="\t", index=False)
    rng = np.random.default_rng(0)
    confounds = pd.DataFrame(rng.standard_normal((40, 2)), columns=["trans_x", "csf"])
    confounds.to_csv("confounds.tsv", sep="\t", index=False)
    return [RUN, "--events", "events1.tsv", "--contrast", "face - house", "--mask", "mask.nii.gz"]


def values_of(path):
    return nib.load(path).get_fdata()


def test_maps_are_nilearns_and_have_bids_names(lazyvox, runs, folder):
    done = lazyvox(
        *("glm", *runs, "--contrast", "faces=face", "--confounds", "confounds.tsv"),
        *("--smoothing-fwhm", 4, "--no-report", "-o", "out"),
    )
    assert done.code == 0, done.err
    assert "1 run, 40 volumes" in done.out.splitlines()[-1]
    model = NilearnModel(t_r=2.0, mask_img="mask.nii.gz", smoothing_fwhm=4)
    img = nib.load(RUN)
    img = nib.Nifti1Image(img.get_fdata(), img.affine)
    confounds = pd.read_csv("confounds.tsv", sep="\t")
    with pytest.warns(RuntimeWarning, match="Generation of a mask"):
        model.fit(img, EVENTS, confounds)
    prefix = "out/sub-01_task-faces_run-1_"
    for label, kind in {
        "effect": "effect_size",
        "variance": "effect_variance",
        "t": "stat",
    }.items():
        expected = model.compute_contrast("face - house", output_type=kind).get_fdata()
        found = values_of(f"{prefix}contrast-faceMinusHouse_stat-{label}_statmap.nii.gz")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert (folder / f"{prefix}contrast-faces_stat-z_statmap.nii.gz").exists()
    design = pd.read_csv(f"{prefix}design.tsv", sep="\t")
    assert list(design)[:4] == ["face", "house", "trans_x", "csf"]
    assert (folder / f"{prefix}design.png").read_bytes()[:4] == b"\x89PNG"
    contrasts = json.loads((folder / f"{prefix}contrasts.json").read_text())
    assert contrasts == {"face - house": [{"face": 1, "house": -1}], "faces": [{"face": 1}]}
    described = json.loads((folder / "out/dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    np.testing.assert_array_equal(values_of(f"{prefix}mask.nii.gz"), values_of("mask.nii.gz"))


@pytest.mark.slow
def test_runs_together_have_fixed_effects_a_computed_mask_and_a_report(lazyvox, runs, folder):
    second = RUN.replace("run-1", "run-2")
    done = lazyvox(
        *("glm", RUN, second, "--events", "events1.tsv", "--events", "events2.tsv", "--json"),
        *("--contrast", "face - house", "-o", "out"),
    )
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["outputs"][-1]["runs"] == 2
    names = {path.name for path in (folder / "out").iterdir()}
    prefix = "sub-01_task-faces_"
    assert {f"{prefix}run-2_design.tsv", f"{prefix}report.html"} <= names
    assert "face - house" in (folder / f"out/{prefix}report.html").read_text()


def test_design_matrices_of_files_give_the_maps_of_events(lazyvox, runs, folder):
    assert lazyvox("glm", *runs, "--no-report", "-o", "events").code == 0
    design = make_first_level_design_matrix(np.arange(40) * 2.0, EVENTS, high_pass=0.01)
    labels = " ; ".join(["f#0", "h#0", *design.columns[2:]])
    rows = "\n".join(" ".join(map(repr, row)) for row in design.to_numpy().tolist())
    head = f'# ColumnLabels = "{labels}"\n# NRowFull = "40"\n'
    (folder / "X.xmat.1D").write_text(f"{head}{rows}\n")
    (folder / "design.mat").write_text(f"/NumWaves {design.shape[1]}\n/Matrix\n{rows}\n")
    stem = "sub-01_task-faces_run-1_contrast-{}_stat-t_statmap.nii.gz"
    expected = values_of("events/" + stem.format("faceMinusHouse"))
    for file, contrast, label in (
        ("X.xmat.1D", "f#0 - h#0", "f0MinusH0"),
        ("design.mat", "ev1-ev2", "ev1MinusEv2"),
    ):
        done = lazyvox(
            *("glm", RUN, "--design", file, "--contrast", contrast, "--mask", "mask.nii.gz"),
            *("--no-report", "-o", file[:3]),
        )
        assert done.code == 0, done.err
        np.testing.assert_allclose(
            values_of(f"{file[:3]}/" + stem.format(label)), expected, rtol=1e-5, atol=1e-5
        )


def test_volumes_that_confounds_censor_are_left_out(lazyvox, runs, folder):
    table = pd.read_csv("confounds.tsv", sep="\t")
    table["std_dvars"] = 1.0
    table["framewise_displacement"] = np.where(np.arange(40) == 7, 2.0, 0.1)
    table.to_csv("sub-01_task-faces_desc-confounds_timeseries.tsv", sep="\t", index=False)
    done = lazyvox(
        *("glm", *runs, "--confounds", "sub-01_task-faces_desc-confounds_timeseries.tsv"),
        *("--confound-columns", "csf", "--fd-threshold", 0.5, "--scrub", 0),
        *("--no-report", "-o", "out"),
    )
    assert done.code == 0, done.err
    assert "1 run, 39 volumes" in done.out


def test_a_plan_reads_no_voxel_and_writes_nothing(lazyvox, runs, folder):
    done = lazyvox("glm", *runs, "--explain")
    assert done.code == 0, done.err
    assert "state and result: GLM" in done.out
    assert "columns: face, house, drift_1" in done.out
    assert not (folder / "out").exists()


def test_only_a_folder_of_this_command_is_replaced(lazyvox, runs, folder):
    arguments = ("glm", *runs, "--no-report", "-o", "out")
    assert lazyvox(*arguments).code == 0
    done = lazyvox(*arguments)
    assert done.code == 2
    assert "--output out: it exists. Pass --overwrite to replace a folder" in done.err
    (folder / "out/old.nii.gz").write_bytes(b"")
    assert lazyvox(*arguments, "--overwrite").code == 0
    assert not (folder / "out/old.nii.gz").exists()
    (folder / "mine").mkdir()
    (folder / "mine/notes.txt").write_text("mine")
    done = lazyvox(*arguments[:-1], "mine", "--overwrite")
    assert done.code == 1
    assert "only a folder of the same kind can be replaced" in done.err
    assert (folder / "mine/notes.txt").read_text() == "mine"
    done = lazyvox(*arguments[:-1], "none/out")
    assert done.code == 2
    assert "--output none/out: there is no folder" in done.err


@pytest.mark.filterwarnings("always::UserWarning")
def test_heights_and_lengths_of_zero_say_each_thing_once(lazyvox, runs):
    table = pd.concat([EVENTS, EVENTS.assign(onset=9.0, trial_type="$\\bad{$")[:1]])
    table = table.assign(modulation=1.0, duration=[0, 8, 8, 8, 8], response_time=0.3)
    table.to_csv("events1.tsv", sep="\t", index=False)
    done = lazyvox("glm", *runs, "--no-report", "--json", "-o", "out")
    assert json.loads(done.out)["contrasts"] == {"face - house": [[0, 1, -1, 0, 0]]}
    assert done.err.count("warning") == done.err.count("events with null duration") == 1


@pytest.mark.filterwarnings("always::lazyvox.LazyvoxWarning")
def test_what_is_odd_in_a_header_is_said_once(lazyvox, runs, folder):
    content = bytearray(gzip.decompress((folder / RUN).read_bytes()))
    # The size of a voxel along y.
    content[84:88] = bytes(4)
    (folder / RUN).write_bytes(gzip.compress(content))
    done = lazyvox("glm", *runs, "--no-report", "-o", "out")
    assert (done.code, done.err.count("warning")) == (0, 1)
    assert "Voxel sizes must be positive numbers" in done.err
    img = nib.load("run.nii.gz")
    flat = [[3, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    nib.save(nib.Nifti1Image(np.asarray(img.dataobj), flat, img.header), RUN)
    done = lazyvox("glm", *runs, "--no-report", "-o", "other")
    assert f"{RUN} must be invertible: each axis needs a length and a direction of" in done.err


def test_nothing_is_left_of_a_failure(lazyvox, runs, folder, monkeypatch):
    import nilearn.plotting

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nilearn.plotting, "plot_design_matrix", fail)
    before = sorted(path.name for path in folder.iterdir())
    done = lazyvox("glm", *runs, "--no-report", "-o", "out")
    assert done.code == 1
    assert "out: writing failed: No space left on device" in done.err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--contrast", "face - cat"], 1, "'cat' is none of them. Columns: face, house, drift_1"),
        (["--contrast", "face-house"], 2, "names must differ in letters and digits"),
        (["--contrast", "Face=face", "--contrast", "face"], 2, "Got 'Face' and 'face'"),
        (["--contrast", "0 * face"], 1, "--contrast must have finite weights, and one that is"),
        (["--contrast", "face * 1e400"], 1, "Got NaN or infinity of 'face * 1e400'"),
        (["--contrast", "\xe9=face"], 2, "must have letters (a to z) or digits, for names of fil"),
        (["--drift-order", "3"], 1, "--drift-order needs --drift-model polynomial"),
        (["--drift-model", "none", "--high-pass", "0.1"], 2, "--high-pass needs --drift-mod"),
        (["--t-r", "0.002"], 1, "--t-r must be from 0.01 to 100 s for responses to events"),
        (["small.nii.gz", "--events", "events1.tsv"], 1, "images must share one voxel grid"),
        (["--confounds", "twice.tsv"], 1, "twice.tsv: the names of columns must differ. Got 'a'"),
        (["--contrast", "face - house"], 2, "must be given once for each name"),
        (
            ["--events", "events2.tsv"],
            2,
            "--events must be given once for each run. Got 2 for one",
        ),
        (["--design", "x.tsv"], 2, "pass --events or --design, not both"),
        (["--noise-model", "arma"], 1, '--noise-model must be "ols"'),
        (
            ["--confounds", "confounds.tsv", "--confounds", "confounds.tsv"],
            2,
            "--confounds must be",
        ),
        (["--mask", "none.nii.gz"], 2, "--mask must be given once"),
        (["--t-r", "0"], 2, "--t-r"),
        (["--smoothing-fwhm", "6,6,8"], 2, "--smoothing-fwhm"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(
    lazyvox, runs, folder, options, code, message
):
    nib.save(nib.load("run.nii.gz").slicer[:4], "small.nii.gz")
    (folder / "twice.tsv").write_text("a\ta\n" + "1\t2\n2\t5\n" * 20)
    done = lazyvox("glm", *runs, *options, "-o", "out")
    assert message in done.err
    assert done.code == code


def test_options_of_events_do_not_concern_a_design(lazyvox, runs):
    arguments = [RUN, "--design", "d.tsv", "--contrast", "face", "-o", "out"]
    done = lazyvox("glm", *arguments, "--hrf-model", "spm")
    assert done.code == 2
    assert "--hrf-model concerns designs made of --events" in done.err
    done = lazyvox("glm", *arguments, "--confounds", "confounds.tsv")
    assert done.code == 2
    assert "--confounds are part of the design matrix" in done.err
    done = lazyvox("glm", *arguments)
    assert done.code == 1
    assert "d.tsv: no such file" in done.err


def test_faults_of_tables_and_headers_are_said(lazyvox, runs, folder):
    pd.DataFrame({"face": [1.0] * 39}).to_csv("short.tsv", sep="\t", index=False)
    done = lazyvox("glm", RUN, "--design", "short.tsv", "--contrast", "face", "-o", "out")
    assert "--design: short.tsv must have a row per volume. Got 39 rows for 40" in done.err
    table = pd.read_csv("confounds.tsv", sep="\t")
    table.loc[0, "csf"] = np.nan
    table.to_csv("gaps.tsv", sep="\t", index=False, na_rep="n/a")
    done = lazyvox("glm", *runs, "--confounds", "gaps.tsv", "-o", "out")
    assert "gaps.tsv must hold finite numbers. Got nan in column 'csf' at volume 0" in done.err
    img = nib.load("run.nii.gz")
    img.header.set_zooms((3.0, 3, 3, 0))
    nib.save(img, "silent.nii.gz")
    done = lazyvox("glm", "silent.nii.gz", *runs[1:], "-o", "out")
    assert "the header has none. Pass --t-r SECONDS" in done.err
    done = lazyvox("glm", "mask.nii.gz", *runs[1:], "-o", "out3d")
    assert "mask.nii.gz: a run must be 4D. Got shape (12, 14, 10)" in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, ": no such file"),
        ("start\tduration\n4\t8\n", ": a table of events must have the columns onset and"),
        (f"{HEAD}x\t8\tface\n", ", line 2: the onset must be a number of seconds. Got 'x'"),
        (f"{HEAD}4\t8\tface\n9\t-1\tface\n", ", line 3: the duration must be a number of sec"),
        (f"{HEAD}4\tn/a\tface\n", ", line 2: the duration must be a number of seconds, at leas"),
        (f"{HEAD}4\t8\tn/a\n9\t8\tface\n", ", line 2: the trial_type must be the name of a c"),
        (f"{HEAD}4\t8\tface\n99\t8\thouse\n", "'house' is zero at all volumes of run 1"),
    ],
)
@pytest.mark.filterwarnings("default:.*should begin before its end:lazyvox.errors.LazyvoxWarning")
def test_tables_that_are_none_of_events_are_refused(lazyvox, runs, folder, text, message):
    (folder / "events1.tsv").unlink()
    if text is not None:
        (folder / "events1.tsv").write_text(text)
    done = lazyvox("glm", *runs, "-o", "out")
    assert done.code == 1
    assert message in done.err
    assert "should not happen" not in done.err
    assert message.startswith("'") or f"/events1.tsv{message}" in done.err


@pytest.mark.filterwarnings("default:.*should begin before its end:lazyvox.errors.LazyvoxWarning")
def test_events_after_the_end_are_said(lazyvox, runs):
    late = pd.concat(
        [EVENTS, pd.DataFrame({"onset": [900.0], "duration": 1, "trial_type": "face"})]
    )
    late.to_csv("events1.tsv", sep="\t", index=False)
    done = lazyvox("glm", *runs, "--explain")
    assert done.code == 0
    assert "--events of run 1 should begin before its end, at 80 s. 1 of 5 begin later" in done.err
