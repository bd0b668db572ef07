"""Progress of a pass, as callers see it."""

import pytest

from lazyvox.errors import ParameterTypeError
from lazyvox.runtime import progress as progress_module
from lazyvox.runtime.progress import NoProgress, Progress, TqdmProgress, resolve_progress
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


def test_the_bar_shows_speed_and_memory_on_stderr(capsys):
    before = own_threads()
    report = resolve_progress(True)
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


def test_the_bar_is_drawn_at_most_ten_times_a_second(capsys, monkeypatch):
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
