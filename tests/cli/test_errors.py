"""Wrong usage and failed work: one line on stderr, an exit code, nothing read, nothing left."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lazyvox.cli.index_text import parse_index
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.testing.images import write_nifti

MEAN = ["mean", "run.nii.gz", "-o"]
MASK = ["extract", "run.nii.gz", "--mask", "left.nii.gz"]
USAGE = [
    (["extract", "run.nii.gz", "--maks", "m"], "no such option: --maks; did you mean --mask or --maps or --mask-img?"),
    (["--json", "info"], "no such option: --json; options of a command follow its name, see lazyvox --help"),
    (["mean", "--zzz"], "no such option: --zzz; see lazyvox mean --help"),
    (["extrat"], "no such command: extrat; did you mean extract?"),
    (["xyz"], "no such command: xyz; see lazyvox --help"),
    (["mean"], "Missing argument 'RUN...'; see lazyvox mean --help"),
    (["mean", "run.nii.gz"], "missing option -o/--output: where should the result go?"),
    (["extract", "run.nii.gz", "-o", "o.npy"], "no regions: pass --mask MASK, once or more, --labels ATLAS, --maps MAPS, --seeds TABLE, --seed X,Y,Z or --voxel I,J,K, or several of them"),
    ([*MASK, "--lut", "atlas.tsv", "-o", "o.npy"], "--lut names the regions of --labels, or of --maps; both are missing"),
    ([*MASK, "-o", "o.xlsx"], "--output o.xlsx: the name must end in .tsv, .csv, .npy, .npz, .parquet, .txt, .1D"),
    ([*MASK, "-o", "o.zarr"], "--output o.zarr: the name must end in .tsv, .csv, .npy, .npz, .parquet, .txt, .1D"),
    ([*MEAN, "o.txt"], "--output o.txt: the name must end in .mgz, .zarr, or .nii, .hdr, .img or .mgh, each also with .gz, .bz2 or .zst behind it"),
    ([*MEAN, "folder.nii"], "--output folder.nii: this is a directory. Add a file name"),
    ([*MEAN, ""], "Invalid value for '-o' / '--output': a name must not be empty; see lazyvox mean --help"),
    ([*MEAN, "new/"], "--output new/: this is a directory. Add a file name"),
    ([*MEAN, "old.nii"], "--output old.nii: the file exists. Pass --overwrite to replace it"),
    (["mean", "run.nii.gz", "-o", "run.nii.gz", "--overwrite"], "--output run.nii.gz: this is an input too. Write to another file"),
    (["mean", "run.nii.gz", "-o", "link.nii.gz", "--overwrite"], "--output link.nii.gz: this is an input too. Write to another file"),
    (["extract", "run.nii.gz", "--mask", "left.nii.gz", "--mask", "right.nii.gz", "-o", "taken.npy"], "--output taken_right.npy: the file exists. Pass --overwrite to replace it"),
    (["convert", "run.nii.gz", "pair.hdr"], "--output pair.img: the file exists. Pass --overwrite to replace it"),
    (["convert", "run.nii.gz", "o.nii", "--scale", "2"], "--scale must be auto, none or two numbers such as 0.5,0. Got '2'"),
    ([*MEAN, "o.nii", "--jobs", "0"], "Invalid value for '--jobs' (env var: 'LAZYVOX_JOBS'): the number of threads must not be 0; -1 is all cores; see lazyvox mean --help"),
    (["slice", "run.nii.gz", "1, 2x", "-o", "o.nii"], "INDEX '1, 2x': at position 4: '2x', expected an integer, ... or a slice such as 2:10:2"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "message"), USAGE, ids=[case[1][:50] for case in USAGE])
def test_wrong_usage_is_one_line_and_code_2(refuses, folder, argv, message):
    (folder / "folder.nii").mkdir()
    for name in ("old.nii", "taken_right.npy", "pair.img"):
        (folder / name).write_text("old")
    (folder / "link.nii.gz").symlink_to("run.nii.gz")
    # Whoever opens the run now, fails with code 1.
    content = (folder / "run.nii.gz").read_bytes()
    (folder / "run.nii.gz").write_bytes(b"no image")
    refuses(*argv, code=2, message=f"error: {message}\n")
    assert (folder / "run.nii.gz").read_bytes() == b"no image" != content
    assert (folder / "old.nii").read_text() == "old"


def test_output_folder_must_exist(lazyvox, folder):
    done = lazyvox(*MEAN, "new/o.nii")
    assert done.code == 2
    assert done.err == (
        f"lazyvox: error: --output new/o.nii: there is no folder {folder / 'new'}. Create it first\n"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_must_be_writable(lazyvox, folder):
    (folder / "closed").mkdir(mode=0o500)
    done = lazyvox(*MEAN, "closed/o.nii")
    assert done.code == 2
    assert "this user may not write into" in done.err


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices here")
def test_device_is_not_replaced(lazyvox, folder):
    (folder / "null.nii").symlink_to("/dev/null")
    done = lazyvox(*MEAN, "null.nii", "--overwrite")
    assert done.code == 2
    assert "only a regular file can be replaced" in done.err


def test_no_command_at_all_shows_the_help(lazyvox):
    done = lazyvox()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: lazyvox")


FAILURES = [
    (["mean", "absent.nii.gz", "-o", "o.nii"], "absent.nii.gz: no such file"),
    (["mean", "atlas.tsv", "-o", "o.nii"], "atlas.tsv: "),
    (["mean", "run.nii.gz", "mask5.nii", "-o", "o.nii"], "must share one voxel grid"),
    (["extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--lut", "no.tsv", "-o", "o.npy"], "no.tsv"),
    (["extract", "run.nii.gz", "--mask", "left.nii.gz", "--sample-mask", "atlas.tsv", "-o", "o.npy"], "--sample-mask must hold numbers of volumes"),
    ([*MASK, "--sample-mask", "few.npy", "-o", "o.npy"], "--sample-mask must have one boolean per volume. Got 3 for 40 volumes."),
    ([*MASK, "--sample-mask", "far.txt", "-o", "o.npy"], "--sample-mask must name volumes from 0 to 39. Got 0 to 99."),
    ([*MASK, "--sample-mask", "words.txt", "-o", "o.npy"], "Got 'two' on line 2."),
    (["extract", "run.nii.gz", "--mask", "mask5.nii", "-o", "o.npy"], "mask5.nii) has shape (5, 5, 5)"),
    (["extract", "run.nii.gz", "--mask", "atlas.nii.gz", "-o", "o.npy"], "pass it as --labels to lazyvox extract for one signal per label"),
    (["convert", "run.nii.gz", "o.nii", "--dtype", "uint8"], "Pass --scale auto, or another dtype"),
    (["mean", "run5.nii", "-o", "o.nii"], 'Take a part of it first: `lazyvox slice` with ":, :, :, :, 0"'),
    (["mean", "run.nii.gz", "-o", "o.nii", "--memory", "1MB"], "Pass --memory "),
    (["slice", "run.nii.gz", "12", "-o", "o.nii"], "index 12 is out of bounds for axis 0 with size 12"),
    (["slice", "run.nii.gz", "12", "-o", "o.npy"], "index 12 is out of bounds for axis 0 with size 12"),
    (["slice", "run.nii.gz", "3:3", "-o", "o.nii"], "at least one voxel"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "message"), FAILURES, ids=[" ".join(c[0]) for c in FAILURES])
def test_failed_work_is_one_line_and_code_1(refuses, folder, argv, message):
    write_nifti(folder / "mask5.nii", np.ones((5, 5, 5), "u1"))
    write_nifti(folder / "run5.nii", np.ones((5, 5, 5, 2, 2), "u1"))
    np.save(folder / "few.npy", [True, False, True])
    (folder / "far.txt").write_text("0\n99\n")
    (folder / "words.txt").write_text("volume\ntwo\n")
    refuses(*argv, message=message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_unreadable_input_is_failed_work_as_a_missing_one_is(lazyvox, folder):
    (folder / "run.nii.gz").chmod(0)
    done = lazyvox(*MEAN, "o.nii")
    assert done.code == 1
    assert "this user may not read the file" in done.err


def test_debug_prints_the_traceback_before_the_line(lazyvox):
    done = lazyvox("mean", "absent.nii.gz", "-o", "o.nii", "--debug")
    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last)")
    assert done.err.splitlines()[-1].startswith("lazyvox: error: ")


def test_debug_prints_the_tracebacks_of_inputs_that_info_cannot_read(lazyvox):
    done = lazyvox("info", "absent.nii.gz", "run.nii.gz", "--debug")
    assert done.code == 3
    assert done.err.startswith("Traceback (most recent call last)")
    assert "absent.nii.gz: no such file" in done.err.splitlines()[-2]
    assert "Traceback" not in lazyvox("info", "absent.nii.gz").err


@pytest.mark.parametrize(
    ("argv", "facts"),
    [
        (["mean", "absent.nii.gz", "-o", "o.nii"], ("ImageNotFoundError", 1, None)),
        (["mean", "--nothing"], ("NoSuchOption", 2, None)),
        ([*MASK, "--sample-mask", "few.txt", "-o", "o.npy"], ("ParameterError", 1, "--sample-mask")),
    ],
)  # fmt: skip
def test_json_of_a_failure_is_an_error_object(lazyvox, folder, argv, facts):
    (folder / "few.txt").write_text("5\n3\n")
    done = lazyvox(*argv, "--json")
    error = json.loads(done.out)["error"]
    assert (error["type"], error["exit_code"], error.get("parameter")) == facts
    assert done.err == f"lazyvox: error: {error['message']}\n"
    assert done.code == error["exit_code"]


def test_json_of_some_failures_is_one_object(lazyvox):
    done = lazyvox("info", "absent.nii.gz", "run.nii.gz", "--json")
    assert done.code == 3
    assert [bool(report["error"]) for report in json.loads(done.out)["images"]] == [True, False]


def test_error_of_the_program_itself_is_one_line_too(lazyvox, monkeypatch):
    def broken(*args, **kwargs):
        raise TypeError("no such thing\nat all")

    monkeypatch.setattr("lazyvox.stream.scan.Scan.run", broken)
    done = lazyvox(*MEAN, "o.nii")
    assert done.code == 1
    assert done.err == (
        "lazyvox: error: this should not happen: TypeError: no such thing at all. Run it again "
        "with --debug, and report what that prints\n"
    )


def test_lack_of_memory_is_explained(lazyvox, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("lazyvox.stream.scan.Scan.run", exhausted)
    done = lazyvox(*MEAN, "o.nii")
    assert done.code == 1
    assert done.err == (
        "lazyvox: error: the system gave no more memory. Pass a smaller --memory, or raise its "
        "limits.\n"
    )


def test_budget_that_an_error_names_is_enough(lazyvox):
    refused = lazyvox(*MEAN, "o.nii", "--memory", "1MB").err
    needed = refused.split("Pass --memory ")[1].split()[0]
    assert lazyvox("mean", "run.nii.gz", "--explain", "--memory", needed).code == 0
    assert lazyvox("mean", "run.nii.gz", "--explain", "--memory", int(needed) - 1).code == 1


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("1,,2", 3),
        ("a", 1),
        ("0.5", 1),
        ("1, 2:b", 6),
        ("::0", 1),
        ("1:2:3:4", 1),
        ("..., ...", 6),
        ("None", 1),
        ("[1, 2", 1),
        ("__import__('os').system('id')", 1),
        ("9" * 30, 1),
        ("٣", 1),
    ],
)
def test_index_that_numpy_would_not_take_is_refused_with_its_place(text, position):
    with pytest.raises(WrongUsageError, match=r"INDEX .*at position") as caught:
        parse_index(text)
    assert f"at position {position}: " in caught.value.message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("..., 700", np.s_[..., 700]),
        (" 1 , -2 ", np.s_[1, -2]),
        ("5", (5,)),
        ("[:, 1:, :-1, ::2]", np.s_[:, 1:, :-1, ::2]),
        ("+3,", (3,)),
        ("5 : -1 : 2", (np.s_[5:-1:2],)),
    ],
)
def test_index_means_what_numpy_means(text, key):
    assert parse_index(text) == key
