"""The program in a process of its own: signals, closed pipes, terminals, locales, start-up."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lazyvox.testing.images import nifti_bytes

ODD_NAMES = [
    "données 日本.nii.gz",
    os.fsdecode(b"\xff\xfe.nii.gz"),
    "new\nline.nii.gz",
    "a%s'\".nii.gz",
]
HEAVY = {"matplotlib", "pandas", "psutil", "pyarrow", "tqdm", "zstandard", "unittest"}


@pytest.fixture
def long_run(folder) -> Path:
    """A run of 4 GiB that takes seconds to read, and no room on disk: all of it is a hole."""
    header = bytearray(nifti_bytes(np.zeros((1, 1, 1, 1), "<f4"))[:352])
    header[40:56] = np.array([4, 64, 64, 64, 4096, 1, 1, 1], "<i2").tobytes()
    path = folder / "long.nii"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(352 + 4 * 64**3 * 4096)
    return path


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail("nothing happened in time")
        select.select([], [], [], 0.01)


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, "lazyvox: error: interrupted; no unfinished output is left"),
        (signal.SIGTERM, 143, ""),
    ],
    ids=["SIGINT", "SIGTERM"],
)
@pytest.mark.parametrize(
    "argv",
    [
        ["convert", "long.nii", "o.nii.gz"],
        ["extract", "long.nii", "--mask", "m.nii", "-o", "o.npy"],
    ],
    ids=["convert", "extract"],
)
def test_interrupted_work_leaves_nothing(start, folder, long_run, argv, number, code, message):
    mask = np.zeros((64, 64, 64), "u1")
    mask[:8] = 1
    (folder / "m.nii").write_bytes(nifti_bytes(mask))
    before = sorted(folder.iterdir())
    process = start(*argv)
    # The temporary file is there: the pass has begun.
    wait_for(lambda: sorted(folder.iterdir()) != before or process.poll() is not None)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert (out.decode(), err.decode().rstrip("\n")) == ("", message)
    assert sorted(folder.iterdir()) == before


def test_reader_that_goes_away_is_no_error(start):
    process = start("info", *["run.nii.gz"] * 20)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_printed_is_one_line(shell):
    with Path("/dev/full").open("w") as full:
        done = shell("info", "run.nii.gz", stdout=full)
    assert done.code == 1
    assert done.err == "lazyvox: error: No space left on device\n"


def test_closed_output_is_no_error(folder):
    command = f"{sys.executable} -m lazyvox mean run.nii.gz -o o.nii >&-"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
    assert nib.load(folder / "o.nii").shape == (12, 14, 10)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
@pytest.mark.parametrize("locale", ["C", pytest.param("C.UTF-8", marks=pytest.mark.slow)])
def test_any_name_can_be_read_written_and_printed(shell, folder, name, locale):
    try:
        (folder / "run.nii.gz").rename(folder / name)
    except OSError:
        pytest.skip("the file system does not take this name")
    # Python would switch to UTF-8 by itself otherwise.
    env = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = shell("info", name, env=env)
    assert (done.code, done.err) == (0, "")
    assert "12 x 14 x 10 x 40" in done.out
    done = shell("mean", name, "-o", f"mean {name}", env=env)
    assert (done.code, done.err) == (0, "")
    assert (folder / f"mean {name}").is_file()
    done = shell("mean", f"no {name}", "-o", "o.nii", env=env)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "no such file" in done.err


def test_warning_is_one_line(shell, folder):
    packed = (folder / "run.nii.gz").read_bytes()
    (folder / "run.nii.gz").write_bytes(packed + b"no gzip member")
    done = shell("mean", "run.nii.gz", "-o", "o.nii")
    assert done.code == 0
    assert re.fullmatch(r"lazyvox: warning: \S+run\.nii\.gz: .+\n", done.err)


def test_no_bar_where_stderr_is_no_terminal(lazyvox):
    assert lazyvox("mean", "run.nii.gz", "-o", "o.nii").err == ""


def test_lines_on_demand_where_stderr_is_no_terminal(lazyvox):
    done = lazyvox("mean", "run.nii.gz", "-o", "o.nii", "--progress")
    assert done.code == 0
    last = done.err.splitlines()[-1]
    assert re.fullmatch(r"lazyvox: run\.nii\.gz: 100 %, 40 of 40 volumes, \d+ s", last)


def test_bar_on_a_terminal(start):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = start("mean", "run.nii.gz", "-o", "o.nii", stderr=theirs, env={"NO_COLOR": "1"})
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        # On Linux reading a terminal that nobody holds any more is an error.
        while select.select([terminal], [], [], 30)[0]:
            try:
                piece = terminal.read(1 << 16)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    assert process.wait(timeout=30) == 0
    assert b"40/40" in shown
    assert b"\x1b[3" not in shown


@pytest.mark.parametrize("columns", ["10", "80"])
def test_help_fits_any_terminal(lazyvox, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    done = lazyvox("extract", "--help")
    assert (done.code, done.err) == (0, "")
    assert "--mask" in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    "kind", ["bash", *(pytest.param(one, marks=pytest.mark.slow) for one in ("zsh", "fish"))]
)
def test_completion_script_is_printed(shell, kind):
    if kind == "bash" and not Path("/bin/bash").exists():
        pytest.skip("no bash here")
    done = shell(env={"_LAZYVOX_COMPLETE": f"{kind}_source"})
    assert done.code == 0
    assert "_LAZYVOX_COMPLETE" in done.out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("lazyvox extract --strategy med", ["plain,median"]),
        pytest.param("lazyvox ex", ["plain,extract"], marks=pytest.mark.slow),
        pytest.param("lazyvox extract --me", ["plain,--memory"], marks=pytest.mark.slow),
        pytest.param("lazyvox mean run", ["file,run"], marks=pytest.mark.slow),
    ],
)
def test_completion_knows_commands_options_values_and_files(shell, words, wanted):
    env = {
        "_LAZYVOX_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    assert shell(env=env).out.split() == wanted


CLEANING = [
    "--detrend", "--low-pass", "0.1", "--sample-mask", "keep.txt", "--confounds", "confounds.tsv",
    "--confound-strategy", "wm_csf", "-o", "o.tsv",
]  # fmt: skip


def modules_of(*argv):
    """Return the modules that a command has imported when it is done."""
    code = (
        "import sys; from lazyvox.cli.main import run; code = run(sys.argv[1:]);"
        "print(*sorted(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], check=True, capture_output=True, text=True, timeout=60
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("argv", [["--help"], ["--version"]], ids=lambda argv: argv[0])
def test_overview_loads_no_command(folder, argv):
    modules = modules_of(*argv)
    commands = {f"lazyvox.cli.{name}" for name in ("info", "extract", "mean", "convert", "demo")}
    assert not modules & {*HEAVY, *commands}


@pytest.mark.parametrize(
    "argv",
    [
        ["mean", "run.nii.gz", "-o", "o.nii.gz"],
        ["extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--smoothing-fwhm", "6", *CLEANING],
        *(
            pytest.param(argv, marks=pytest.mark.slow)
            for argv in (
                ["extract", "run.nii.gz", "--mask", "left.nii.gz", "-o", "o.npz"],
                ["slice", "run.nii.gz", "..., 3", "-o", "o.nii.gz"],
                ["info", "run.nii.gz"],
            )
        ),
    ],
    ids=["mean", "extract and clean", "extract", "slice", "info"],
)
def test_command_loads_what_it_needs_only(folder, argv):
    (folder / "keep.txt").write_text("\n".join(map(str, range(3, 40))))
    rows = [f"{number % 3}\t{number % 5}" for number in range(40)]
    (folder / "confounds.tsv").write_text("\n".join(["csf\twhite_matter", *rows]) + "\n")
    modules = modules_of(*argv)
    assert not {name for name in modules if name.split(".")[0] in HEAVY}
    assert not {name for name in modules if re.fullmatch(r"scipy\.[a-z]\w*", name)} - {
        "scipy.version"
    }


def test_interrupt_during_imports_is_one_line_and_code_130(folder):
    program = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'lazyvox.cli.main': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "import runpy; runpy.run_module('lazyvox', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 130
    assert done.stderr == b"lazyvox: error: interrupted; no unfinished output is left\n"
