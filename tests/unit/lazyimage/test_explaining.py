"""Plans and `lv.explain` name the steps that were asked for, and the terms of the peak."""

import json

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import clean_img, concat_imgs, resample_img, smooth_img

CONFOUNDS = np.random.default_rng(0).normal(size=(40, 3))
CLEANED = "detrend, 0.01-0.1 Hz (butterworth), confounds (3), standardize psc"


def cleaned():
    return clean_img(
        "run.nii.gz",
        standardize="psc",
        confounds=CONFOUNDS,
        low_pass=0.1,
        high_pass=0.01,
        t_r=2.0,
    )


def step_lines(text):
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("step")]


@pytest.fixture(autouse=True)
def run_folder(example_files, monkeypatch):
    monkeypatch.chdir(example_files)


def test_a_formula_shows_what_it_is():
    (first, second) = step_lines(lv.explain(2 * cleaned()))
    assert first == CLEANED
    assert second.startswith("2 * (detrend")
    assert second.endswith("of run.nii.gz")


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda: smooth_img("run.nii.gz", 6), ["smooth, 6 mm"]),
        (
            lambda: smooth_img(resample_img("run.nii.gz", np.diag([2.0, 2, 2])), 6),
            ["resample to 18 x 21 x 15 voxels of 2 mm, separable continuous", "smooth, 6 mm"],
        ),
        (cleaned, [CLEANED]),
        (lambda: lv.load("run.nii.gz").mean(axis=-1), ["mean over axes (3,)"]),
        (lambda: lv.load("run.nii.gz"), []),
        (lambda: (lv.load("run.nii.gz") - 1) * 2, ["(run.nii.gz - 1) * 2"]),
        (lambda: np.clip(lv.load("run.nii.gz"), 0, 9), ["clip(run.nii.gz, 0, 9)"]),
    ],
)
def test_steps_are_those_that_were_asked_for(make, steps, tmp_path):
    assert step_lines(lv.explain(make())) == steps
    plan = lv.plan(lv.save, make(), tmp_path / "out.nii.gz")
    assert list(plan.steps) == steps


def test_the_cleaning_of_signals_is_a_step_too():
    plan = lv.plan(
        lv.extract, smooth_img("run.nii.gz", 5), [(0, 0, 0)], detrend=True, standardize="psc"
    )
    assert plan.steps == ("smooth, 5 mm", "detrend", "standardize psc")


@pytest.mark.parametrize("memory", ["14MiB", "100MiB", None])
def test_terms_add_up_to_the_peak(memory):
    scan = lv.Scan("run.nii.gz")
    scan.add(lv.Std())
    scan.add(lv.Histogram())
    plan = scan.plan(memory)
    assert sum(term.nbytes for term in plan.memory) == plan.peak_bytes
    record = json.loads(json.dumps(plan.to_dict()))
    assert sum(term["nbytes"] for term in record["memory"]) == record["peak_bytes"]
    lines = plan.explain().splitlines()
    assert any(line.endswith("block buffers") for line in lines)
    assert any(line.endswith("state and result: Std") for line in lines)


def test_a_spool_on_disk_is_scratch_and_one_in_memory_a_term():
    with lv.memory_budget("1GiB"):
        text = lv.explain(cleaned())
    assert "spool: detrend, 0.01-0.1 Hz" in text
    assert "scratch    0 B on disk" in text
    with lv.memory_budget("40MiB"):
        img = clean_img(concat_imgs(["run.nii.gz"] * 200), standardize="psc")
    assert "MiB on disk" in lv.explain(img)
    assert "spool" not in lv.explain(img)


def test_the_prompt_shows_computations_and_plans_as_text(tmp_path):
    path = tmp_path / "run.nii"
    lv.save(nib.Nifti1Image(np.ones((4, 5, 6, 7), "f4"), np.eye(4)), path)
    run = lv.load(path)
    assert "computes: (smooth, 6 mm) of run.nii," in repr(smooth_img(run, 6))
    assert "(smooth, 6 mm) of run.nii" in smooth_img(run, 6)._repr_html_()
    assert "computes: run.nii > 3," in repr(run > 3)
    assert repr((run > 3).dataobj).endswith("dtype=bool computed: run.nii > 3>")
    assert "on disk float32 in" in repr(run.dataobj)
    assert repr(lv.explain(run)) == str(lv.explain(run))
    plan = lv.plan(lv.mean_img, path)
    assert repr(plan) == plan.explain()
