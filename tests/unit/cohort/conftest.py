"""A small study in the form of fMRIPrep's derivatives."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

N_VOLUMES = 40
MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]


def write_run(folder: Path, subject: str, files: Path, *, has_mask: bool = True) -> Path:
    """Write a run of a subject, its mask and its table of confounds."""
    func = folder / f"sub-{subject}" / "func"
    func.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{subject}_task-rest"
    bold = func / f"{stem}_space-MNI_desc-preproc_bold.nii.gz"
    shutil.copyfile(files / "run.nii.gz", bold)
    if has_mask:
        shutil.copyfile(files / "mask.nii.gz", func / f"{stem}_space-MNI_desc-brain_mask.nii.gz")
    rng = np.random.default_rng(int(subject))
    names = [*MOTION, "framewise_displacement", "std_dvars", "white_matter", "csf"]
    values = rng.normal(scale=0.01, size=(N_VOLUMES, len(names)))
    values[:, 6] = 0.1
    values[3, 6] = 2.0
    lines = ["\t".join(names), *("\t".join(map(repr, row)) for row in values.tolist())]
    (func / f"{stem}_desc-confounds_timeseries.tsv").write_text("\n".join(lines) + "\n")
    return bold


@pytest.fixture(name="write_run")
def run_writer():
    """Function that writes a run."""
    return write_run


@pytest.fixture
def contents():
    """Function that returns the bytes of every output below a folder, without the log."""

    def of(folder):
        files = [one for one in sorted(Path(folder).rglob("*")) if one.is_file()]
        return {
            one.relative_to(folder).as_posix(): one.read_bytes()
            for one in files
            if "logs" not in one.parts
        }

    return of


@pytest.fixture
def touch():
    """Function that makes empty files below a folder."""

    def make(folder, *names):
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


@pytest.fixture
def study(example_folder, monkeypatch) -> Path:
    """Folder with derivatives of two participants in "fmriprep"; it is the current one."""
    monkeypatch.chdir(example_folder)
    derivatives = example_folder / "fmriprep"
    for subject in ("01", "02"):
        write_run(derivatives, subject, example_folder)
    description = {"Name": "x", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    (derivatives / "dataset_description.json").write_text(json.dumps(description))
    return example_folder
