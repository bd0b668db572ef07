"""nilearn's own tests, and the page that says how close lazyvox is to nilearn."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "parity.md").read_text()
SUITE = Path(__file__).with_name("nilearn_suite.py")
COMPARED = set(re.findall(r"(?m)^\| `([\w.]+)`", PAGE))

#: Names that hold no values to compare, or that the table compares under another name.
NOT_COMPARED = {
    "image": {"check_niimg", "check_niimg_3d", "check_niimg_4d", "copy_img", "get_data"}
    | {"iter_img", "load_img", "new_img_like"},
    "masking": {"compute_brain_mask", "compute_multi_brain_mask", "load_mask_img"},
    "maskers": {"MultiNiftiMapsMasker"},
    "signal": set(),
}


@pytest.mark.parametrize("module", sorted(NOT_COMPARED))
def test_the_page_has_every_function_that_nilearn_has_too(module):
    ours = importlib.import_module(f"lazyvox.{module}")
    theirs = importlib.import_module(f"nilearn.{module}")
    shared = {
        name
        for name in ours.__all__
        if callable(getattr(theirs, name, None)) and not name.endswith(("Error", "Warning"))
    }
    compared = {name.split(".")[1] for name in COMPARED if name.startswith(f"{module}.")}
    assert shared - NOT_COMPARED[module] == compared


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT.parent / "shared" / "data").is_dir(), reason="the images to compare on are not here"
)
def test_every_difference_is_within_what_the_page_says():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "parity", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_nilearns_own_tests_pass_or_say_why_not():
    done = subprocess.run([sys.executable, SUITE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
