"""A function of one image, for many: in order, within the budget, errors at their image."""

import importlib
import os
import subprocess
import sys
import threading

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.runtime.budget import resolve_budget
from lazyvox.testing import own_threads

VALUES = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)

JOBS = """
import os, signal, sys, threading, time
from pathlib import Path
import numpy as np
import lazyvox as lv
from lazyvox.runtime.budget import resolve_budget

def total(img):
    return int(np.asarray(getattr(img, "dataobj", img)).sum())

def facts(img):
    return os.getpid(), resolve_budget(None), os.environ.get("OMP_NUM_THREADS")

def fail_on_third(img):
    if img.get_filename().endswith("2.nii"):
        raise KeyError("third")
    return 1

def die_on_third(img):
    if img.get_filename().endswith("2.nii"):
        os.kill(os.getpid(), 9)
    return 1

def leave(img):
    sys.exit(7)

def unpicklable(img):
    return threading.Lock()

def greedy(img):
    if resolve_budget(None) < 150_000_000:
        msg = "150 MB"
        raise lv.MemoryBudgetError(msg)
    return resolve_budget(None)

def at_once(img):
    # How many are here at the same time: each has its mark while it is.
    folder = Path(img.get_filename()).parent / "here"
    mark = folder / str(os.getpid())
    mark.touch()
    time.sleep(0.05)
    there = len(list(folder.iterdir()))
    mark.unlink()
    return there
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that other processes can import too."""
    (tmp_path / "mapped_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mapped_jobs", raising=False)
    yield importlib.import_module("mapped_jobs")
    del sys.modules["mapped_jobs"]
    assert own_threads() == []


@pytest.fixture
def paths(tmp_path):
    found = []
    for number in range(4):
        nib.save(nib.Nifti1Image(VALUES * (number + 1), np.eye(4)), tmp_path / f"{number}.nii")
        found.append(str(tmp_path / f"{number}.nii"))
    return found


TOTALS = [int(VALUES.sum()) * number for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_results_come_in_order_from_other_processes(context, jobs, paths):
    given = [paths[0], lv.load(paths[1]), nib.load(paths[2]), np.asarray(VALUES * 4)]
    assert lv.map_images(jobs.total, given, n_jobs=2, context=context) == TOTALS


def test_shares_of_budget_and_cores(jobs, paths):
    found = lv.map_images(jobs.facts, iter(paths), n_jobs=2, memory="200MB")
    assert os.getpid() not in {pid for pid, _, _ in found}
    assert {budget for _, budget, _ in found} == {100_000_000}
    assert all(int(threads) >= 1 for _, _, threads in found)


def test_one_job_runs_here(jobs, paths):
    with lv.memory_budget("90MB"):
        found = lv.map_images(lambda img: (os.getpid(), resolve_budget(None)), paths, n_jobs=1)
    assert found == [(os.getpid(), 90_000_000)] * 4


def test_handles_are_opened_and_progress_is_told(paths):
    seen = []
    with lv.shared(paths[3]) as handle:
        found = lv.map_images(
            lambda img: int(np.asarray(img.dataobj).sum()),
            [handle, handle],
            n_jobs=1,
            progress=lambda done, n_images: seen.append((done, n_images)),
        )
    assert found == [TOTALS[3]] * 2
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_error_is_raised_for_its_image(n_jobs, jobs, paths):
    with pytest.raises(KeyError, match="third") as caught:
        lv.map_images(jobs.fail_on_third, paths, n_jobs=n_jobs)
    assert f"map_images: raised for image 2 ({paths[2]})." in caught.value.__notes__


def test_missing_file_is_an_error_at_its_image(jobs, paths):
    with pytest.raises(lv.ImageNotFoundError, match="no such file") as caught:
        lv.map_images(jobs.total, [paths[0], "absent.nii"], n_jobs=1)
    assert "map_images: raised for image 1 (absent.nii)." in caught.value.__notes__


def test_killed_process_is_an_error_that_names_signal_and_image(jobs, paths):
    with pytest.raises(lv.LazyvoxError, match=r"worker died \(signal 9\).* image 2 \(.*2\.nii\)"):
        lv.map_images(jobs.die_on_third, paths, n_jobs=2)


def test_process_that_leaves_is_an_error(jobs, paths):
    with pytest.raises(lv.LazyvoxError, match="ended with exit code 7 while it worked on image 0"):
        lv.map_images(jobs.leave, paths[:2], n_jobs=2)


def test_result_that_cannot_be_sent_is_an_error(jobs, paths):
    with pytest.raises(TypeError, match="cannot pickle"):
        lv.map_images(jobs.unpicklable, paths[:2], n_jobs=2)


def test_call_that_needs_more_memory_gets_more(jobs, paths):
    found = lv.map_images(jobs.greedy, paths[:2], n_jobs=2, memory="200MB")
    assert found == [200_000_000] * 2
    with pytest.raises(lv.MemoryBudgetError, match="150 MB"):
        lv.map_images(jobs.greedy, paths[:2], n_jobs=2, memory="100MB")


def test_no_more_at_once_than_fit(jobs, paths, tmp_path):
    (tmp_path / "here").mkdir()
    options = {"n_jobs": 2, "memory": "100MB", "size_of": lambda path: 60_000_000}
    assert lv.map_images(jobs.at_once, paths, **options) == [1, 1, 1, 1]


def test_function_that_cannot_be_sent_is_refused_before_any_process_starts(paths):
    lock = threading.Lock()
    with pytest.raises(lv.ParameterTypeError, match=r"map_images: the function .* picklable"):
        lv.map_images(lambda img: lock.locked(), paths, n_jobs=2)


def test_functions_of_a_notebook_are_sent_with_their_code(paths):
    # As in a notebook, what `python -c` defines is in no module that another process could import.
    program = f"""
import numpy as np
import lazyvox as lv

class Total:
    def __init__(self, value):
        self.value = value

def doubled(img):
    return Total(2 * int(np.asarray(img.dataobj).sum()))

found = lv.map_images(lambda img, one: (doubled(img), one), {paths!r}, ["x", *[Total(1)] * 3], n_jobs=2)
print([total.value for total, _ in found], [type(one).__name__ for _, one in found])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == f"{[2 * one for one in TOTALS]} ['str', 'Total', 'Total', 'Total']\n"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_take_the_places_of_their_results(n_jobs, jobs, paths):
    found = lv.map_images(jobs.fail_on_third, paths, n_jobs=n_jobs, on_error="return")
    assert [found[number] for number in (0, 1, 3)] == [1, 1, 1]
    assert isinstance(found[2], KeyError)
    assert f"map_images: raised for image 2 ({paths[2]})." in found[2].__notes__


def test_nothing_to_do(jobs):
    assert lv.map_images(jobs.total, []) == []


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        (("x", []), {}, lv.ParameterTypeError, "`func` must be a function of one image"),
        ((len, "run.nii"), {}, lv.ParameterTypeError, "`imgs` must be a list of images"),
        ((len, 3), {}, lv.ParameterTypeError, "`imgs` must be an iterable"),
        ((len, []), {"n_jobs": 0}, lv.ParameterError, "n_jobs must be"),
        ((len, []), {"memory": "none"}, lv.ParameterError, "memory"),
        ((len, [], 2), {}, lv.ParameterTypeError, "lists of arguments.* by their names"),
        ((len, ["a"], [1, 2]), {}, lv.ParameterError, "must have 1 items.* Got 2"),
        (
            (len, []),
            {"on_error": "skip"},
            lv.ParameterError,
            "`on_error` must be one of .raise., .return.",
        ),
        ((len, []), {"context": "fork"}, lv.ParameterError, "`context` must be one of spawn"),
        ((len, []), {"size_of": 3}, lv.ParameterTypeError, "`size_of` must be a function"),
    ],
    ids=[
        "func",
        "path",
        "number",
        "n_jobs",
        "memory",
        "option",
        "lengths",
        "on_error",
        "context",
        "size_of",
    ],
)
def test_wrong_arguments_are_refused(arguments, options, error, match):
    with pytest.raises(error, match=match):
        lv.map_images(*arguments, **options)
