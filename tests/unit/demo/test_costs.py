"""Commands are measured from outside, and their errors come back."""

import sys

import pytest

from lazyvox.demo.costs import CommandFailedError, run_command

HOLD = "import time; block = bytearray(b'x') * 60_000_000; time.sleep(0.3)"


def test_time_and_memory_are_those_of_the_command(tmp_path):
    cost = run_command("hold", [sys.executable, "-c", HOLD], tmp_path)
    assert cost.seconds >= 0.3
    assert 60_000_000 < cost.peak_bytes < 140_000_000


def test_the_command_runs_in_the_folder(tmp_path):
    run_command("touch", [sys.executable, "-c", "open('here', 'w').close()"], tmp_path)
    assert (tmp_path / "here").exists()


def test_the_error_is_the_line_that_lazyvox_printed(tmp_path):
    text = "import sys; sys.exit('noise\\nlazyvox: error: run.nii.gz: the file ends early')"
    with pytest.raises(CommandFailedError, match=r"^run\.nii\.gz: the file ends early$"):
        run_command("mean", [sys.executable, "-c", text], tmp_path)


def test_any_other_error_is_its_last_line_and_exit_code(tmp_path):
    with pytest.raises(CommandFailedError, match="mean ended with exit code 3: it said nothing"):
        run_command("mean", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


def test_a_killed_command_is_reported_with_its_signal(tmp_path):
    text = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(CommandFailedError, match="ended by signal 9"):
        run_command("whole array", [sys.executable, "-c", text], tmp_path)
