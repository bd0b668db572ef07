"""Limits of memory: what fits is done, what does not fit is refused with a number, all cleanly."""

import gc
import subprocess
import sys
import textwrap
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest.mock import Mock

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import MemoryBudgetError
from lazyvox.runtime import budget as budgets
from lazyvox.runtime.limits import available_memory
from lazyvox.testing import nifti_bytes, own_threads, write_nifti

SHAPE = (12, 13, 11, 40)
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def run(tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    return write_nifti(tmp_path / "run.nii.gz", values)


@pytest.fixture
def mask(tmp_path):
    return write_nifti(tmp_path / "mask.nii", np.ones(SHAPE[:3], "u1"))


def sparse_run(path, n_volumes, grid=(64, 64, 64)):
    """Write a run of float32 zeros that takes no room on disk."""
    header = bytearray(nifti_bytes(np.zeros((1, 1, 1, 1), "<f4"))[:352])
    header[40:56] = np.array([4, *grid, n_volumes, 1, 1, 1], "<i2").tobytes()
    with path.open("wb") as file:
        file.write(header)
        file.truncate(352 + 4 * int(np.prod(grid)) * n_volumes)
    return path


def test_the_default_budget_is_what_the_control_group_leaves(run, tmp_path, monkeypatch):
    proc, group = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    group.mkdir()
    (proc / "meminfo").write_text("MemAvailable: 64000000 kB\n")
    (proc / "self" / "cgroup").write_text("0::/\n")
    (group / "memory.max").write_text(f"{120 << 20}\n")
    (group / "memory.current").write_text(f"{20 << 20}\n")
    left = available_memory(proc_root=proc, cgroup_root=group, environ={})
    monkeypatch.setattr(budgets, "available_memory", lambda: left)
    assert left == 100 << 20
    plan = lv.plan(lv.mean_img, run)
    assert plan.budget == 25 << 20
    assert plan.peak_bytes <= plan.budget
    assert lv.mean_img(run).shape == SHAPE[:3]


LIMITED = """
    import resource, sys, warnings
    import numpy as np
    import lazyvox as lv
    path, mask, limit, memory = sys.argv[1], sys.argv[2], int(sys.argv[3]) << 20, sys.argv[4]
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        print(lv.mean_img(path, memory=memory or None).shape)
        print(lv.extract(path, mask, memory=memory or None).shape)
    except lv.MemoryBudgetError as error:
        print("refused:", error)
"""


def run_limited(path, mask, limit, memory=""):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), path, mask, str(limit), memory],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@ON_LINUX
@pytest.mark.parametrize("n_volumes", [300, pytest.param(2000, marks=pytest.mark.big)])
def test_a_run_larger_than_the_address_space_is_worked_on(tmp_path, n_volumes):
    run = sparse_run(tmp_path / "run.nii", n_volumes)
    few = np.zeros((64, 64, 64), "u1")
    few[:8, :8] = 1
    mask = write_nifti(tmp_path / "mask.nii", few)
    out = run_limited(run, mask, 1000 if n_volumes > 300 else 500)
    assert out == f"(64, 64, 64)\n({n_volumes}, 4096)\n"


@ON_LINUX
def test_a_budget_that_the_system_does_not_give_is_explained(tmp_path):
    run = sparse_run(tmp_path / "run.nii", 300)
    mask = write_nifti(tmp_path / "mask.nii", np.ones((64, 64, 64), "u1"))
    out = run_limited(run, mask, 400, "2GiB")
    assert out.startswith("(64, 64, 64)\nrefused: the system must give the memory")
    assert "of a budget of 2.0 GiB, and it gave no more. Pass memory=" in out
    assert "`ulimit -v`" in out


class Exhausted:
    """Stands in for `numpy.empty` and `numpy.zeros`; has no memory at the n-th call."""

    def __init__(self, patch, at):
        self.at = at
        self.n_calls = 0
        for name in ("empty", "zeros"):
            patch.setattr(np, name, partial(self.allocate, getattr(np, name)))

    def allocate(self, function, *args, **kwargs):
        self.n_calls += 1
        if self.n_calls == self.at:
            raise MemoryError
        return function(*args, **kwargs)


def test_whatever_allocation_fails_nothing_is_left_and_the_scan_works_again(
    run, mask, tmp_path, monkeypatch
):
    scan = lv.Scan(run)
    mean = scan.add(lv.Mean())
    voxels = scan.add(lv.Voxels(mask, out=tmp_path / "o.npy", overwrite=True))
    scan.add(lv.Write(tmp_path / "copy.nii.gz", overwrite=True))
    scan.run("32MiB")
    expected, before = np.asarray(mean.result().dataobj), sorted(tmp_path.iterdir())
    descriptors = len(list(Path("/dev/fd").iterdir()))
    at, n_failed = 0, 0
    while n_failed == at:
        at += 1
        with monkeypatch.context() as patch:
            Exhausted(patch, at)
            with suppress(MemoryError):
                scan.run("32MiB")
                n_failed -= 1
            n_failed += 1
        assert sorted(tmp_path.iterdir()) == before
        assert not own_threads()
    assert n_failed > 3
    scan.run("32MiB")
    gc.collect()
    assert len(list(Path("/dev/fd").iterdir())) <= descriptors
    assert np.array_equal(np.asarray(mean.result().dataobj), expected)
    assert voxels.result().shape == (SHAPE[3], np.prod(SHAPE[:3]))


USES = {"all": np.asarray, "volume": lambda array: array[..., 3], "plane": lambda array: array[2]}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_slice_that_finds_no_memory_leaves_no_state(run, monkeypatch, use):
    array = lv.load(run, dtype="f8").dataobj
    expected = np.array(use(array))
    for at in (1, 2):
        with monkeypatch.context() as patch:
            Exhausted(patch, at)
            try:
                found = use(array)
            except MemoryError:
                continue
            assert np.array_equal(found, expected)
    assert np.array_equal(use(array), expected)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_slice_that_finds_no_memory_says_what_was_asked_for(run, monkeypatch, use):
    array = lv.load(run, dtype="f8").dataobj
    with monkeypatch.context() as patch:
        Exhausted(patch, 1)
        with pytest.raises(MemoryBudgetError, match=r"run.*the system must give .* of shape \("):
            use(array)


def test_a_save_that_finds_no_memory_says_what_to_do(run, tmp_path, monkeypatch):
    img = lv.load(run)
    with monkeypatch.context() as patch:
        patch.setattr(
            import_module("lazyvox.lazyimage.save"), "iter_blocks", Mock(side_effect=MemoryError)
        )
        with pytest.raises(MemoryBudgetError, match=r"Pass `with lazyvox\.memory_budget\(\d+\)`"):
            lv.save(img, tmp_path / "copy.nii.gz")
    assert not list(tmp_path.glob("copy*"))
    lv.save(img, tmp_path / "copy.nii.gz")


def test_a_result_larger_than_the_budget_is_refused_before_reading_and_streamed_to_a_file(
    tmp_path, monkeypatch
):
    # 16 MB in all, whose voxels are all asked for.
    run = sparse_run(tmp_path / "run.nii", 250, (16, 16, 64))
    mask = write_nifti(tmp_path / "mask.nii", np.ones((16, 16, 64), "u1"))
    reads = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "lazyvox.stream.prepared_pass.feed_consumers", lambda *args, **kwargs: reads.append(1)
        )
        with pytest.raises(MemoryBudgetError, match=r"needs \d+\.\d MiB .* Pass memory=\d+"):
            lv.extract(run, mask, memory="14MiB")
    assert not reads
    stored = lv.extract(run, mask, memory="14MiB", out=tmp_path / "o.npy")
    assert stored.shape == (250, 16 * 16 * 64)
    assert np.load(tmp_path / "o.npy", mmap_mode="r").shape == stored.shape


@pytest.mark.big
def test_ten_thousand_labels_by_a_hundred_thousand_volumes_are_refused_at_once(tmp_path):
    grid = (22, 22, 22)
    run = sparse_run(tmp_path / "run.nii", 30_000, grid)
    labels = np.arange(22**3, dtype="i4").reshape(grid)
    with pytest.raises(MemoryBudgetError, match="Pass memory="):
        lv.extract([run] * 4, nib.Nifti1Image(labels, np.diag([2, 2, 2, 1])), memory="256MB")


@ON_LINUX
def test_random_slices_take_no_more_and_more_memory(run):
    array = lv.load(run).dataobj
    rng = np.random.default_rng(0)

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def slices(n):
        for _ in range(n):
            i, t = int(rng.integers(SHAPE[0])), int(rng.integers(SHAPE[3]))
            array[i:, ..., t]

    slices(300)
    before = resident()
    slices(1500)
    assert resident() - before < 4 << 20
