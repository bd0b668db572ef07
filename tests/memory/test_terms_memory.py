"""Each term of a plan is there when it is measured: without it the peak could not be explained."""

from functools import partial

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import clean_img, smooth_img
from lazyvox.planning.blocks import DECODER
from lazyvox.testing import peak_of

MIB = 1 << 20
AFFINE = np.diag([3.0, 3, 3, 1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a run of many volumes, one of large volumes, and a mask of all voxels."""
    path = tmp_path_factory.mktemp("terms")
    rng = np.random.default_rng(0)
    few = rng.normal(100, 9, (48, 48, 30, 4)).astype("f4")
    lv.save(nib.Nifti1Image(np.concatenate([few] * 24, axis=-1), AFFINE), path / "run.nii")
    lv.save(nib.Nifti1Image(np.ones((48, 48, 30), "u1"), AFFINE), path / "mask.nii")
    large = rng.normal(100, 9, (150, 150, 100, 4)).astype("f4")
    lv.save(nib.Nifti1Image(large, AFFINE), path / "large.nii")
    lv.save(nib.Nifti1Image(large[..., 0].astype("f8"), AFFINE), path / "volume.nii")
    np.save(path / "signals.npy", rng.normal(size=(20_000, 100)))
    lv.interop.to_zarr(path / "large.nii", path / "large.zarr", chunks=(75, 150, 100, -1))
    return path


def cleaned(path):
    with lv.memory_budget("600MiB"):
        return clean_img(path, standardize="psc")


def minus_volumes(folder):
    volume = lv.load(folder / "volume.nii")
    return lv.load(folder / "large.nii") - volume - 2 * volume - 3 * volume


CALLS = {
    "block buffers": lambda path: partial(lv.max_img, str(path / "large.nii")),
    "state and result": lambda path: partial(
        lv.extract, str(path / "run.nii"), str(path / "mask.nii")
    ),
    "spool": lambda path: partial(lv.max_img, cleaned(str(path / "run.nii"))),
    "scratch": lambda path: partial(lv.max_img, smooth_img(str(path / "large.nii"), 6)),
    "state": lambda path: partial(
        lv.save, lv.load(path / "large.nii").std(-1), path / "std.nii", overwrite=True
    ),
    "volumes": lambda path: partial(lv.max_img, minus_volumes(path)),
    "signals": lambda path: partial(lv.connectivity, str(path / "signals.npy")),
    "chunks": lambda path: partial(lv.mean_img, str(path / "large.zarr")),
    "compression": lambda path: partial(
        lv.save,
        smooth_img(str(path / "run.nii"), 3),
        path / "out.nii.zst",
        n_jobs=4,
        compresslevel=12,
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_term_is_part_of_the_measured_peak(folder, name):
    call = CALLS[name](folder)
    plan = lv.plan(call)
    term = sum(one.nbytes for one in plan.memory if one.name == name)
    assert term > 8 * MIB, plan.explain()
    # The passes that fill a spool and that read it count their buffers twice.
    # A plain file has no decoder.
    others = 0 if name == "spool" else plan.peak_bytes - term - 8 * MIB
    assert max(others, term / 2) < peak_of(call) <= plan.peak_bytes, plan.explain()


@pytest.mark.parametrize("call", ["max", "save", "mean of an expression"])
def test_the_passes_of_a_spooled_image_count_one_decoder(folder, call):
    img = cleaned(str(folder / "run.nii"))
    plan = {
        "max": lambda: lv.plan(lv.max_img, img),
        "save": lambda: lv.plan(lv.save, img, folder / "cleaned.nii"),
        "mean of an expression": lambda: lv.plan(lv.mean_img, 2 * img),
    }[call]()
    assert [term for term in plan.memory if term.name.startswith("decoder")] == [DECODER]
