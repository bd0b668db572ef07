"""Progress of a pass, as callers see it."""

import pytest

from lazyvox.errors import ParameterTypeError
from lazyvox.runtime import progress as progress_module
from lazyvox.runtime.progress import (
    ArrayProgress,
    CallbackProgress,
    NoProgress,
    Progress,
    TqdmProgress,
    resolve_progress,
)
from lazyvox.testing import own_threads


@pytest.mark.parametrize("silent", [None, False])
def test_silence_prints_nothing(capsys, silent):
    report = resolve_progress(silent)
    report.start(3, "volumes", "mean")
    report.advance(3)
    report.close()
    assert capsys.readouterr() == ("", "")


def test_a_function_hears_what_is_done_of_how_much():
    heard = []
    report = resolve_progress(lambda done, total: heard.append((done, total)))
    for _ in range(2):
        report.start(5, "volumes", "mean")
        report.advance(2)
        report.advance(3)
        report.close()
    assert heard == [(2, 5), (5, 5)] * 2


def test_what_a_function_raises_reaches_the_pass():
    def cancel(done, total):
        raise KeyboardInterrupt("enough")

    report = resolve_progress(cancel)
    report.start(5, "volumes", "mean")
    with pytest.raises(KeyboardInterrupt, match="enough"):
        report.advance(1)


def test_an_own_object_is_taken_as_it_is():
    own = NoProgress()
    assert isinstance(own, Progress)
    assert resolve_progress(own) is own


@pytest.mark.parametrize("wrong", ["yes", 1, 2.5])
def test_other_things_are_refused(wrong):
    with pytest.raises(ParameterTypeError, match=f"Got {type(wrong).__name__}"):
        resolve_progress(wrong)


@pytest.fixture
def columns(monkeypatch):
    """Return a function that sets the width of the terminal."""
    return lambda number: monkeypatch.setattr(progress_module, "_columns", lambda: number)


def test_the_bar_shows_speed_and_memory_on_stderr(capsys, columns):
    columns(120)
    before = own_threads()
    report = TqdmProgress()
    report.start(4, "volumes", "mean of run.nii.gz")
    for _ in range(4):
        report.advance(1)
    report.close()
    report.close()
    out, err = capsys.readouterr()
    assert out == ""
    for shown in ("mean of run.nii.gz", "4/4", "volumes/s", "mem ", "MiB"):
        assert shown in err
    assert own_threads() == before


def test_the_bar_keeps_what_was_done_when_the_pass_fails(capsys):
    report = TqdmProgress()
    report.start(4, "volumes", "mean")
    report.advance(1)
    report.close()
    assert "1/4" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run.nii.gz", "sub-01_task-rest_desc-preproc_bold.nii.gz"])
def test_the_bar_is_readable_in_60_columns(capsys, columns, name):
    columns(60)
    report = TqdmProgress()
    report.start(1200, "volumes", name)
    report.advance(600)
    report.close()
    last = capsys.readouterr().err.replace("\n", "").split("\r")[-1]
    assert len(last) <= 60
    assert name[:8] in last
    assert " 50%|" in last
    assert "| 600/1200 volumes " in last
    assert last.count("█") >= 4


def test_a_log_has_a_line_for_each_tenth(capsys):
    before = own_threads()
    report = resolve_progress(True)
    report.start(40, "volumes", "run.nii.gz")
    for n in (1, 1, 1, 1, 12, 3, 21):
        report.advance(n)
    report.close()
    report.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.rsplit(",", 1)[0] for line in lines] == [
        "lazyvox: run.nii.gz: 10 %, 4 of 40 volumes",
        "lazyvox: run.nii.gz: 40 %, 16 of 40 volumes",
        "lazyvox: run.nii.gz: 100 %, 40 of 40 volumes",
    ]
    assert own_threads() == before


@pytest.mark.parametrize(
    ("shape", "steps", "units"),
    [((4, 4, 4, 3), [100, 92], [1, 3, 3]), ((1 << 20, 3), [1 << 20, 2 << 20], [4, 12, 12])],
)
def test_values_are_told_as_volumes_or_as_mebibytes(shape, steps, units):
    heard = []
    report = ArrayProgress(CallbackProgress(lambda *args: heard.append(args)), shape, 4)
    report.start("run.nii.gz")
    for step in steps:
        report.advance(step)
    report.close()
    assert heard == [(units[0], units[2]), (units[1], units[2])]


def test_the_bar_is_drawn_at_most_ten_times_a_second(capsys, monkeypatch, columns):
    columns(120)
    asked = []
    monkeypatch.setattr(progress_module, "process_memory", lambda: asked.append(1) or 1024)
    ticks = iter(range(1, 10_000))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(ticks) / 1000)
    report = TqdmProgress()
    report.start(1000, "volumes", "mean")
    for _ in range(1000):
        report.advance(1)
    report.close()
    assert 5 <= len(asked) <= 12
    assert "1000/1000" in capsys.readouterr().err
