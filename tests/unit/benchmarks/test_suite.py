"""The suite for asv: every program of every benchmark does its work, on a tiny image."""

import importlib
import inspect
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
MODULES = sorted(path.stem for path in (BENCHMARKS / "suite").glob("[a-z]*.py"))


@pytest.fixture
def suite(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for package in ("indexed_gzip", "nilearn", "rapidgzip"):
        pytest.importorskip(package)
    return importlib.import_module("suite.base")


@pytest.fixture
def files(suite, tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    return suite.make_files(tmp_path, (10, 11, 12), suite.N_VOLUMES)


def benchmarks_of(suite, module):
    return [
        value
        for _, value in sorted(vars(module).items())
        if inspect.isclass(value)
        and issubclass(value, suite.SideBySide)
        and not inspect.isabstract(value)
    ]


@pytest.mark.parametrize("name", MODULES)
def test_each_program_of_each_benchmark_runs(suite, files, name):
    for kind in benchmarks_of(suite, importlib.import_module(f"suite.{name}")):
        benchmark = kind()
        for program in benchmark.params[0]:
            benchmark.setup(files, program)
            with warnings.catch_warnings():
                # nilearn speaks of its own future.
                warnings.simplefilter("ignore", FutureWarning)
                benchmark.time_work(files, program)
                # Of a benchmark of arrays no bytes are tracked.
                if benchmark.track_bytes_read is not None:
                    assert benchmark.track_bytes_read(files, program) > 0


def test_every_module_but_the_base_has_benchmarks(suite):
    empty = [
        name
        for name in MODULES
        if not benchmarks_of(suite, importlib.import_module(f"suite.{name}"))
    ]
    assert empty == ["base"]


def test_bytes_read_are_at_least_those_of_the_file(suite, files):
    passes = importlib.import_module("suite.passes")
    benchmark = passes.Mean()
    try:
        n_read = benchmark.track_bytes_read(files, "lazyvox")
    except NotImplementedError:
        pytest.skip("the system keeps no account of what a process reads")
    assert n_read >= Path(files.run).stat().st_size


def test_files_hold_one_run_three_times(files):
    values = np.asarray(nib.load(files.plain).dataobj)
    for path in (files.run, files.indexed):
        assert np.array_equal(np.asarray(nib.load(path).dataobj), values)
    assert Path(f"{files.indexed}.gzidx").exists()
