"""Peak of all processes of a study: within the budget, above what their imports take."""

import importlib
import sys

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv

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
