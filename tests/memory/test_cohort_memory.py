"""Peak of all processes of a study: within the budget, above what their imports take."""

import importlib
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cohort import Atlas, CohortOptions, RunFilter, prepare_cohort
from lazyvox.cohort.model import StudyModel

MIB = 1 << 20
SHAPE, N_VOLUMES = (64, 64, 36), 120

JOBS = """
import lazyvox as lv

def study(table, out, memory, n_jobs):
    found = lv.run_cohort(None, out, table=table, atlases={"Q": "atlas.nii"}, qc=True, detrend=True,
                          t_r=2.0, memory=memory, n_jobs=n_jobs)
    return len(found.done)

def signals(paths, memory, n_jobs):
    return len(lv.extract_all(paths, "atlas.nii", detrend=True, t_r=2.0, memory=memory, n_jobs=n_jobs))
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that other processes can import too; runs of 35 MB and tiny ones."""
    (tmp_path / "cohort_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).integers(0, 2000, (*SHAPE, N_VOLUMES)).astype(np.int16)
    labels = np.arange(np.prod(SHAPE)).reshape(SHAPE) // 2000
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.eye(4)), "atlas.nii")
    for name, some in (("large", values), ("small", values[..., :4])):
        nib.save(nib.Nifti1Image(some, np.eye(4)), f"{name}.nii")
        rows = [f"{number}\t{name}.nii" for number in range(6)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["sub\tbold", *rows]) + "\n")
    yield importlib.import_module("cohort_jobs")
    sys.modules.pop("cohort_jobs", None)


@pytest.mark.slow
@pytest.mark.parametrize("memory", [64 * MIB, 110 * MIB])
def test_processes_of_a_study_fit_the_budget(jobs, memory):
    imports = lv.measure(jobs.study, "small.tsv", "tiny", memory, 2)
    measured = lv.measure(jobs.study, "large.tsv", "out", memory, 2)
    assert (imports.result, measured.result) == (6, 6)
    assert measured.peak_bytes <= imports.peak_bytes + memory


@pytest.mark.slow
def test_processes_of_extract_all_fit_the_budget(jobs):
    memory = 64 * MIB
    imports = lv.measure(jobs.signals, ["small.nii"] * 6, memory, 2)
    measured = lv.measure(jobs.signals, ["large.nii"] * 6, memory, 2)
    assert measured.peak_bytes <= imports.peak_bytes + memory


EVENTS = "onset\tduration\ttrial_type\n4\t8\tface\n20\t8\thouse\n36\t8\tface\n52\t8\thouse\n"


def costs_of_a_run(kind: str, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Study of one run in the current folder: bytes planned and measured, promised and written."""
    folder = Path("x".join(map(str, shape)))
    folder.mkdir()
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    values = np.random.default_rng(0).integers(500, 2000, shape).astype(np.int16)
    img = nib.Nifti1Image(values, affine)
    img.header.set_zooms((3, 3, 3, 2.0))
    nib.save(img, folder / "sub-1_bold.nii")
    labels = np.arange(values[..., 0].size).reshape(shape[:3]) // 140 + 1
    nib.save(nib.Nifti1Image(labels.astype(np.int16), affine), folder / "atlas.nii")
    nib.save(nib.Nifti1Image(np.ones(shape[:3], np.uint8), affine), folder / "mask.nii")
    (folder / "events.tsv").write_text(EVENTS)
    (folder / "runs.csv").write_text("bold,mask,events\nsub-1_bold.nii,mask.nii,events.tsv\n")
    matrix = ("correlation", "partial correlation")
    atlases = (Atlas.opened("Q", folder / "atlas.nii"),)
    options = {
        "signals": CohortOptions(atlases, matrix=matrix, qc=True, detrend=True, t_r=2.0),
        "model": CohortOptions(mask="auto", glm=StudyModel(("face - house", "face")), qc=True),
    }[kind]
    out = folder / "out"
    cohort = prepare_cohort(None, out, folder / "runs.csv", RunFilter(), options)
    planned = cohort.plan(n_jobs=1).runs[0]
    (done,) = cohort.run(n_jobs=1).done
    written = sum(one.stat().st_size for one in (out / "sub-1").rglob("*") if one.is_file())
    return planned.peak_bytes, done.peak_bytes, planned.output_bytes, written


def costs_without_imports(kind: str, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The same after a tiny run, which leaves imports behind and no memory to be taken again."""
    costs_of_a_run(kind, (5, 5, 5, 60))
    return costs_of_a_run(kind, shape)


@pytest.mark.parametrize(
    ("kind", "shape"), [("signals", (36, 40, 30, 120)), ("model", (40, 40, 30, 60))]
)
def test_a_run_stays_below_its_plan(tmp_path, monkeypatch, kind, shape):
    monkeypatch.chdir(tmp_path)
    costs = lv.measure(costs_without_imports, kind, shape).result
    planned, measured, promised, written = costs
    assert 0 < measured <= planned
    assert 0 < written <= promised
