"""Costs of process trees, and their end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lazyvox.compare.trees import run_tree

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="what a tree holds is known on Linux"
)

MIB = 1 << 20
PARENT = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", '''
import pathlib, time
held = b"x" * (40 << 20)
pathlib.Path("child").touch()
time.sleep(100)
'''])
while not pathlib.Path("child").exists():
    time.sleep(0.01)
held = b"x" * (60 << 20)
pathlib.Path("worked").touch()
while not pathlib.Path("seen").exists():
    time.sleep(0.005)
"""


def command(code):
    return [sys.executable, "-S", "-c", code]


def test_memory_of_all_processes_together_and_none_is_left(tmp_path):
    tree = run_tree(command(f"{PARENT}\npathlib.Path('pid').write_text(str(child.pid))"), tmp_path)
    assert (tree.code, tree.said, tree.n_processes) == (0, "", 2)
    assert 100 * MIB < tree.peak_bytes < 140 * MIB
    assert 100 * MIB < tree.high_water_bytes < 180 * MIB
    left = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == "zombie"


def test_a_spike_between_two_looks_is_in_the_mark_of_the_first_process(tmp_path):
    code = "held = b'x' * (80 << 20); del held\n" + PARENT.replace("(60 << 20)", "1")
    tree = run_tree(command(code), tmp_path)
    assert tree.peak_bytes > 80 * MIB


@pytest.mark.parametrize(
    ("code", "ended", "said"),
    [
        ("print('out'); raise SystemExit('why')", 1, "out\nwhy\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("print('x' * 9000 + 'end')", 0, "x" * 3996 + "end\n"),
    ],
    ids=["error", "killed", "long"],
)
def test_how_it_ended_and_what_it_said_last(tmp_path, code, ended, said):
    tree = run_tree(command(code), tmp_path)
    assert (tree.code, tree.said) == (ended, said)


def test_an_interrupt_ends_all_processes(tmp_path, monkeypatch):
    wait = subprocess.Popen.wait
    pids = []

    def interrupted(process, timeout=None):
        if not pids:
            while not (tmp_path / "child").exists():
                os.sched_yield()
            pids.append(process.pid)
            pids.extend(child.pid for child in psutil.Process(process.pid).children())
            raise KeyboardInterrupt("in the midst")
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    code = PARENT.replace('("worked")', '("other")')
    with pytest.raises(KeyboardInterrupt, match="in the midst"):
        run_tree(command(code), tmp_path)
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid)
                and psutil.Process(pid).status() != "zombie"]  # fmt: skip
