"""`lazyvox compare`."""

import json
import signal

import nibabel
import numpy as np
import psutil
import pytest

MASKS = ("--mask", "left.nii.gz", "--mask", "right.nii.gz")
OUTPUTS = ["compare.csv", "compare.html", "compare.json", "compare.png"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_numpy_and_lazyvox_agree_and_four_files_are_written(lazyvox, folder, tmp_path):
    methods = ("--methods", "numpy-shared,lazyvox-shared,lazyvox-one-pass")
    done = lazyvox("compare", "run.nii.gz", *MASKS, "-o", "out", *methods)
    assert (done.code, done.err) == (0, "")
    assert names(folder / "out") == OUTPUTS
    lines = done.out.splitlines()
    assert lines[0].split() == ["method", "input", "wall", "time", "CPU", "time", "peak", "memory",
                                "bytes", "read", "agrees"]  # fmt: skip
    assert [line.split()[-1] for line in lines[2:5]] == ["yes"] * 3
    assert lines[5:] == [f"out/compare{ending}" for ending in (".json", ".csv", ".png", ".html")]
    record = json.loads((folder / "out" / "compare.json").read_text())
    assert [one["status"] for one in record["records"]] == ["done"] * 3
    assert [one["largest_difference"] for one in record["records"]] == [0.0] * 3
    assert record["references"] == ["numpy-shared"]
    assert (record["masks"], record["n_jobs"]) == (["left.nii.gz", "right.nii.gz"], 2)
    assert record["inputs"][0]["shape"] == [12, 14, 10, 40]
    for name in OUTPUTS:
        content = (folder / "out" / name).read_bytes()
        assert str(tmp_path).encode() not in content
        assert b"lazyvox-compare-" not in content


def test_nilearn_agrees(lazyvox):
    pytest.importorskip("nilearn")
    done = lazyvox(
        "compare", "run.nii.gz", "--mask", "left.nii.gz", "--jobs", "1", "--explain", "--json"
    )
    assert json.loads(done.out)["methods"][0]["missing"] == []
    done = lazyvox(
        "compare", "mean", "run.nii.gz", "--methods", "nilearn-path,lazyvox-path", "--json"
    )
    assert (done.code, done.err) == (0, "")
    record = json.loads(done.out)
    assert record["references"] == ["nilearn-path"]
    assert [one["agrees"] for one in record["records"]] == [True] * 2
    assert record["outputs"] == []


def test_load_compares_opening_with_opening_and_values_with_values(lazyvox, folder):
    (folder / "load").mkdir()
    methods = "nibabel-open,lazyvox-open,nibabel-dataobj,lazyvox-dataobj"
    done = lazyvox("compare", "load", "run.nii.gz", "mask.nii.gz", "--methods", methods)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[-1] for line in done.out.splitlines()[2:]] == ["yes"] * 4


def test_concat_writes_the_file(lazyvox, folder):
    argv = ("compare", "concat", "run.nii.gz", "run.nii.gz", "-o", "both.nii.gz")
    done = lazyvox(*argv, "--methods", "lazyvox", "--report", "report")
    assert (done.code, done.err) == (0, "")
    both, one = nibabel.load("both.nii.gz"), nibabel.load("run.nii.gz")
    np.testing.assert_array_equal(np.asarray(both.dataobj)[..., 40:], np.asarray(one.dataobj))
    assert names(folder / "report") == OUTPUTS
    done = lazyvox(*argv, "--methods", "lazyvox")
    assert done.code == 2
    assert "--output both.nii.gz: the file exists. Pass --overwrite to replace it" in done.err


def test_failures_are_rows_and_the_code_is_3(lazyvox, folder, monkeypatch):
    monkeypatch.setattr("lazyvox.compare.ways.find_spec", lambda name: None)
    argv = ("compare", "run.nii.gz", *MASKS, "-o", "out", "--json")
    done = lazyvox(*argv, "--methods", "nilearn-paths,lazyvox-one-pass")
    assert (done.code, done.err) == (0, "")
    records = json.loads(done.out)["records"]
    assert [one["status"] for one in records] == ["missing: nilearn, joblib", "done"]
    assert records[1]["agrees"] is None
    done = lazyvox(*argv, "--methods", "nilearn", "--overwrite")
    assert (done.code, done.err) == (
        1,
        "lazyvox: error: no method could be tried: packages are missing, or memory\n",
    )


def test_a_way_that_dies_is_a_row_and_the_code_is_3(lazyvox, folder, monkeypatch):
    broken = folder / "broken"
    broken.mkdir()
    (broken / "joblib.py").write_text("raise OSError('this joblib is broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken), prepend=":")
    argv = ("compare", "run.nii.gz", *MASKS, "-o", "out")
    done = lazyvox(*argv, "--methods", "numpy-paths,lazyvox-one-pass")
    assert done.code == 3
    assert done.err == (
        "lazyvox: error: 1 of 2 methods failed or gave other values: numpy-paths\n"
    )
    assert "failed: OSError: this joblib is broken" in done.out
    assert names(folder / "out") == OUTPUTS


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "missing option --mask: which voxels should be taken?"),
        (["--mask", "left.nii.gz"], "missing option -o/--output: where should the result go?"),
        ([*MASKS, "-o", "old"],
         "--output old/compare.csv: the file exists. Pass --overwrite to replace it"),
        ([*MASKS, "-o", "atlas.tsv"], "--output atlas.tsv: this is a file. Name a folder"),
        ([*MASKS, "-o", "a/b"], "/a. Create it first"),
        ([*MASKS, "-o", "out", "--methods", "numpy-path"],
         "--methods: no such method: 'numpy-path'. Did you mean numpy-paths or"),
        ([*MASKS, "-o", "out", "--jobs", "0"], "the number of threads must not be 0"),
    ],
    ids=["mask", "output", "exists", "file", "folder", "method", "jobs"],
)  # fmt: skip
def test_wrong_usage(refuses, folder, argv, message):
    (folder / "old").mkdir()
    (folder / "old" / "compare.csv").write_text("old")
    refuses("compare", "run.nii.gz", *argv, code=2, message=message)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["none.nii.gz", *MASKS, "-o", "out"], "none.nii.gz: no such file"),
        (["run.nii.gz", "--mask", "atlas.nii.gz", "-o", "out"], "atlas.nii.gz"),
        (["mean", "mask.nii.gz"], "mask.nii.gz: a mean over time needs a 4D image"),
        (["concat", "run.nii.gz", "mask.nii.gz", "-o", "c.nii.gz"], "mask.nii.gz"),
    ],
    ids=["missing", "labels", "3D", "mixed"],
)
def test_wrong_data_is_refused_before_anything_runs(lazyvox, folder, argv, message, monkeypatch):
    monkeypatch.delattr("lazyvox.cli.comparing.measure_ways")
    before = names(folder)
    done = lazyvox("compare", *argv)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert names(folder) == before


def test_a_file_of_the_name_of_a_command(lazyvox, folder):
    (folder / "run.nii.gz").rename(folder / "load")
    done = lazyvox("compare", "load", *MASKS, "--explain")
    assert done.code == 2
    assert "no such option: --mask" in done.err
    for argv in (["./load", *MASKS], [*MASKS, "load"]):
        done = lazyvox("compare", *argv, "--explain", "--methods", "lazyvox")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("2 masks out of load: 4 methods, one after the other\n")


def test_help_of_the_group_is_that_of_its_default(lazyvox):
    done = lazyvox("compare", "--help")
    assert done.code == 0
    assert done.out.startswith("Usage: lazyvox compare [OPTIONS] RUN\n")
    assert "--jobs" in done.out
    assert "--jobs" not in lazyvox("compare", "load", "--help").out


def test_an_interrupt_leaves_no_process_and_no_file(start, folder, tmp_path):
    (tmp_path / "scratch").mkdir()
    methods = ("--methods", "numpy-paths")
    env = {"TMPDIR": str(tmp_path / "scratch")}
    process = start("compare", "run.nii.gz", *MASKS, "-o", "out", *methods, env=env)
    tree = psutil.Process(process.pid)
    while len(tree.children(recursive=True)) < 2:
        assert process.poll() is None
    running = tree.children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"lazyvox: error: interrupted; no unfinished output is left\n"
    gone = [one for one in running if one.is_running() and one.status() != "zombie"]
    assert gone == []
    assert not (folder / "out").exists()
    assert names(tmp_path / "scratch") == []
