"""The logger `lazyvox`: silent by default, and cheap; what it says of a command."""

import logging
import subprocess
import sys

import numpy as np

import lazyvox as lv
from lazyvox.runtime.logs import log_info, logged_on_stderr


class Costly:
    """A value that must not be formatted."""

    def __str__(self) -> str:
        raise AssertionError


def test_nothing_is_said_or_formatted_by_default(capsys):
    log_info("value %s", Costly())
    assert capsys.readouterr() == ("", "")


def test_python_logging_hears_of_passes_plans_files_and_volumes(
    example_folder, caplog, monkeypatch
):
    monkeypatch.chdir(example_folder)
    caplog.set_level(logging.INFO, "lazyvox")
    cleaned = lv.image.clean_img(
        lv.image.smooth_img("run.nii.gz", 6), standardize=None, clean__sample_mask=np.arange(4, 40)
    )
    lv.save(cleaned, "out.nii.gz")
    lv.extract("run.nii.gz", "left.nii.gz", out="voxels.npy")
    said = caplog.text
    for part in (
        "open ",
        "4 of 40 volumes left out: 0-3",
        "spool and clean ",
        "smooth, 6 mm; 1 pass, ",
        "write ",
        "pass over ",
        "wrote ",
        "voxels.npy",
    ):
        assert part in said
    assert {record.name for record in caplog.records} == {"lazyvox"}


def test_messages_go_to_stderr_while_asked_for(capsys):
    with logged_on_stderr():
        log_info("pass over %s", "run.nii.gz")
        log_info("open %s", "two\nlines.nii")
    log_info("pass over %s", "other.nii.gz")
    assert capsys.readouterr().err == (
        "lazyvox: pass over run.nii.gz\nlazyvox: open two\\nlines.nii\n"
    )
    assert not logging.getLogger("lazyvox").handlers


def test_logging_is_not_imported_for_it():
    code = "import sys, lazyvox.runtime.logs as logs; logs.log_info('x'); print('logging' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
