"""Finding the runs of a study, and what belongs to each."""

import errno
import os

import pytest

from lazyvox.cli.main import run as lazyvox
from lazyvox.cohort.bids_folder import find_runs
from lazyvox.cohort.runs import RunFilter, read_runs
from lazyvox.errors import ImageNotFoundError, LazyvoxWarning, ParameterError, ReadError


def labels(runs):
    return [one.label for one in runs]


def test_a_run_is_found_with_its_mask_and_confounds(study):
    first, second = find_runs(study / "fmriprep", RunFilter())
    assert first.label == "sub-01_task-rest_space-MNI"
    assert first.mask.endswith("sub-01_task-rest_space-MNI_desc-brain_mask.nii.gz")
    assert first.confounds.endswith("sub-01_task-rest_desc-confounds_timeseries.tsv")
    assert second.folder == "sub-02/func"


def test_derivatives_inside_of_a_raw_dataset_are_found(study, touch):
    raw = study / "raw"
    touch(raw, "sub-01/func/sub-01_task-rest_bold.nii.gz")
    (raw / "derivatives").mkdir()
    (study / "fmriprep").rename(raw / "derivatives" / "fmriprep")
    assert len(find_runs(raw, RunFilter())) == 2


def test_runs_of_xcp_d_and_sessions_are_found(tmp_path, touch):
    name = "sub-1_ses-a_task-rest_run-1_space-MNI_desc-{}_bold.nii.gz"
    names = [name.format(one) for one in ("denoised", "denoisedSmoothed")]
    touch(tmp_path, *(f"sub-1/ses-a/func/{one}" for one in names))
    (run,) = find_runs(tmp_path, RunFilter())
    assert run.name.get("desc") == "denoised"
    assert run.folder == "sub-1/ses-a/func"
    assert (run.mask, run.confounds) == (None, None)


def test_labels_are_taken_with_and_without_their_key(study):
    wanted = RunFilter(sub=("sub-02",), task=("rest",), space=("space-MNI",))
    assert labels(find_runs(study / "fmriprep", wanted)) == ["sub-02_task-rest_space-MNI"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            RunFilter(sub=("01", "7")),
            r"`participant_label` must be among those of the runs. Got 7",
        ),
        (RunFilter(sub=("7",)), "preprocessed runs of sub-7"),
        (RunFilter(task=("go",)), "`task` must be among those of the runs. Got go; .* has rest"),
        (RunFilter(ses=("a",)), "has none"),
    ],
)
def test_a_label_of_no_run_is_refused(study, wanted, message):
    with pytest.raises(ParameterError, match=message):
        find_runs(study / "fmriprep", wanted)


def test_participants_that_are_there_are_listed_all(study):
    with pytest.raises(ParameterError, match=r"Got 7; .*fmriprep has 01, 02\.$"):
        find_runs(study / "fmriprep", RunFilter(sub=("01", "7")))


def test_of_many_labels_a_message_has_the_first(tmp_path, touch):
    touch(tmp_path, *(f"sub-{n}/func/sub-{n}_desc-preproc_bold.nii.gz" for n in range(10, 40)))
    with pytest.raises(ParameterError, match=r"has 10, 11, .* 28, 29 and 10 more\.$"):
        find_runs(tmp_path, RunFilter(sub=("10", "7")))


def test_one_of_several_spaces_and_pipelines_must_be_chosen(tmp_path, touch):
    names = [f"sub-1/func/sub-1_space-{one}_desc-preproc_bold.nii.gz" for one in ("A", "B")]
    touch(tmp_path / "one", *names)
    with pytest.raises(ParameterError, match=r"`space` must be chosen.*runs in A, B"):
        find_runs(tmp_path / "one", RunFilter())
    assert len(find_runs(tmp_path / "one", RunFilter(space=("A", "B")))) == 2
    touch(tmp_path / "two" / "derivatives", *(f"{p}/{names[0]}" for p in ("fmriprep", "xcp_d")))
    with pytest.raises(ParameterError, match=r"one folder of derivatives .* fmriprep, xcp_d"):
        find_runs(tmp_path / "two", RunFilter())


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="there must be preprocessed runs, such as"):
        find_runs(tmp_path, RunFilter())
    with pytest.raises(ImageNotFoundError, match="there must be a folder"):
        find_runs(tmp_path / "none", RunFilter())


def test_a_table_names_runs_and_entities(tmp_path):
    table = tmp_path / "runs.tsv"
    rows = ["participant_id\tses\tbold\tmask\tevents", "sub-x1\tpre\ta/run.nii\tm.nii\tn/a"]
    table.write_text("\n".join(rows) + "\n")
    (run,) = read_runs(table, RunFilter())
    assert run.label == "sub-x1_ses-pre"
    assert (run.bold, run.mask) == (str(tmp_path / "a/run.nii"), str(tmp_path / "m.nii"))
    assert (run.confounds, run.events) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sub\tbold\tconfound\n1\tx.nii\ty\n", r"Got 'confound'. Did you mean confounds\?"),
        ("sub\tbold\tage\n1\tx.nii\t7\n", "or entities of BIDS, .* Got 'age'. Take it out"),
        ("sub\timg\n1\tx.nii\n", "must have the column bold. Got sub, img"),
        ("task\tbold\nrest\tx.nii\n", "line 2: every run must have a sub"),
        ("sub\tbold\n1\tx.nii\n1\ty.nii\n", "Got sub-1 twice"),
        ("sub\tbold\n", "a table of runs must have a row for each run. It has none"),
        ("sub\tsub\tbold\n1\t2\tx.nii\n", "every column must be there once. Got 'sub' twice"),
        ("sub\tsubject\tbold\n1\t2\tx.nii\n", "Got 'sub' twice"),
        ("sub\tbold\n1\tn/a\n", "line 2: the column bold must hold a path"),
    ],
)
def test_a_table_that_names_no_run_is_refused(tmp_path, text, message):
    table = tmp_path / "runs.tsv"
    table.write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_runs(table, RunFilter())


def test_two_tables_of_confounds_are_none(study):
    func = study / "fmriprep/sub-01/func"
    table = next(func.glob("*confounds*"))
    (func / table.name.replace("timeseries", "regressors")).write_bytes(table.read_bytes())
    first, second = find_runs(study / "fmriprep", RunFilter())
    assert first.confounds is None
    assert second.confounds


def damaged(study):
    """Make two more participants of which one is a link to nowhere, and a session that is a loop."""
    (study / "fmriprep/sub-03").symlink_to("nowhere")
    (study / "fmriprep/sub-02/ses-1").symlink_to("ses-1")
    (study / "fmriprep/sub-01.html").symlink_to("nowhere.html")
    return study / "fmriprep"


def test_folders_that_cannot_be_read_stand_in_the_place_of_their_runs(study):
    found = find_runs(damaged(study), RunFilter())
    assert [one.label for one in found if one.problem is None] == [
        "sub-01_task-rest_space-MNI",
        "sub-02_task-rest_space-MNI",
    ]
    session, participant = (one for one in found if one.problem is not None)
    assert (session.label, participant.label) == ("sub-02_ses-1", "sub-03")
    assert str(session.problem).endswith("Got: Too many levels of symbolic links.")
    assert str(participant.problem).endswith(
        "fmriprep/sub-03: a folder of runs must be one that can be read. Got: No such file or directory."
    )


def test_labels_choose_among_folders_that_cannot_be_read(study):
    folder = damaged(study)
    wanted = RunFilter(sub=("01", "03"))
    assert [one.label for one in find_runs(folder, wanted)] == [
        "sub-01_task-rest_space-MNI",
        "sub-03",
    ]
    assert len(find_runs(folder, RunFilter(sub=("02",)))) == 2
    with pytest.raises(ReadError, match=r"sub-03: a folder of runs must be one that can be read"):
        find_runs(folder, RunFilter(sub=("03",)))
    with pytest.raises(
        ParameterError, match=r"`participant_label` must be among those of the runs\. Got 9"
    ):
        find_runs(folder, RunFilter(sub=("01", "03", "9")))


def refusing(call, *refused):
    """Return a function that lists folders, to which the system refuses some of them."""

    def listed(path):
        if str(path).endswith(refused):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return call(path)

    return listed


def test_folders_that_the_user_may_not_read_are_listed(study, monkeypatch):
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", refusing(scandir, "sub-01"))
    monkeypatch.setattr(os, "listdir", refusing(os.listdir, "sub-02/func"))
    with pytest.raises(ReadError, match=r"sub-01: .* Got: Permission denied"):
        find_runs("fmriprep", RunFilter())
    monkeypatch.setattr(os, "scandir", scandir)
    assert [one.label for one in find_runs("fmriprep", RunFilter())][1:] == ["sub-02"]


def test_derivatives_that_cannot_be_read_are_left_out(study, monkeypatch):
    (study / "raw/derivatives/freesurfer").mkdir(parents=True)
    (study / "fmriprep").rename(study / "raw/derivatives/fmriprep")
    monkeypatch.setattr(os, "scandir", refusing(os.scandir, "freesurfer"))
    with pytest.warns(LazyvoxWarning, match=r"freesurfer: a dataset .* denied\. It is left out\."):
        assert len(find_runs("raw", RunFilter())) == 2
    monkeypatch.setattr(os, "scandir", refusing(os.scandir, "raw"))
    with pytest.raises(ReadError, match=r"raw: a dataset must be a folder that can be read"):
        find_runs("raw", RunFilter())


def test_the_study_goes_on_without_folders_that_cannot_be_read(study, capsys):
    damaged(study)
    argv = ["cohort", "fmriprep", "out", "participant", "--qc", "--jobs", "1"]
    assert lazyvox([*argv, "--dry-run"]) == 3
    plan = capsys.readouterr().out
    assert "\nsub-03: cannot be done: " in plan
    assert "4 runs: 2 to do, 0 finished, 2 that cannot be done" in plan
    assert lazyvox(argv) == 3
    assert "2 of 4 runs failed" in capsys.readouterr().err
    rows = [line.split("\t") for line in (study / "out/failures.tsv").read_text().splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["sub-02_ses-1", str(study / "fmriprep/sub-02/ses-1"), "find"],
        ["sub-03", str(study / "fmriprep/sub-03"), "find"],
    ]
    (study / "fmriprep/sub-03").unlink()
    (study / "fmriprep/sub-02/ses-1").unlink()
    assert lazyvox(argv) == 0
    assert not (study / "out/failures.tsv").exists()
