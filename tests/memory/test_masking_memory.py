"""Functions on masks take what their plan says; unmask takes nothing.

Each measurement is a process of its own, above what Python and the imports hold.
"""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import peak_of

MIB = 1 << 20
GRID = (64, 64, 36)
N_VOLUMES = 60

# scipy is imported by the first call that needs it: it is none of what a call takes.
PROBES = """
import numpy as np
import scipy.ndimage
import lazyvox as lv
from lazyvox.masking import (
    apply_mask, compute_background_mask, compute_epi_mask, compute_multi_epi_mask, unmask
)

def masked(run, mask, **options):
    with lv.memory_budget("128MiB"):
        apply_mask(run, mask, **options)

def smoothed(run, mask):
    masked(run, mask, smoothing_fwhm=6)

def cast(run, mask):
    masked(run, mask, dtype="f8")

def epi(run, mask):
    compute_epi_mask(run)

def background(run, mask):
    compute_background_mask(run, opening=2, connected=True)

def several(run, mask):
    with lv.memory_budget("40MiB"):
        compute_multi_epi_mask([run] * 6, n_jobs=4)

def unmasked(run, mask):
    img = unmask(np.broadcast_to(np.float32(1), (4000, 147456)), mask)
    img.slicer[..., 10:].dataobj[..., 0]
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A run of about 35 MB decoded, and a mask of all of its voxels."""
    folder = tmp_path_factory.mktemp("masking")
    few = np.random.default_rng(0).integers(0, 200, (*GRID, 4)).astype("f4")
    values = np.broadcast_to(few[..., None, :], (*GRID, N_VOLUMES // 4, 4))
    run = nib.Nifti1Image(values.reshape(*GRID, N_VOLUMES, order="F"), np.eye(4))
    lv.save(run, folder / "run.nii.gz")
    lv.save(nib.Nifti1Image(np.ones(GRID, "u1"), np.eye(4)), folder / "mask.nii.gz")
    return str(folder / "run.nii.gz"), str(folder / "mask.nii.gz")


@pytest.fixture
def probes(tmp_path, monkeypatch):
    (tmp_path / "masking_probes.py").write_text(PROBES)
    monkeypatch.syspath_prepend(tmp_path)
    import masking_probes

    return masking_probes


@pytest.mark.parametrize("name", ["masked", "smoothed", "cast", "epi", "background"])
def test_calls_take_what_the_plan_says(files, probes, name):
    call = getattr(probes, name)
    predicted = lv.plan(call, *files).peak_bytes
    measured = peak_of(call, *files)
    assert measured <= predicted, f"{measured / MIB:.1f} of {predicted / MIB:.1f} MiB"


def test_several_files_share_the_budget(files, probes):
    assert peak_of(probes.several, *files) <= 40 * MIB


def test_an_image_of_signals_takes_one_volume(files, probes):
    assert peak_of(probes.unmasked, *files) <= 10 * MIB
