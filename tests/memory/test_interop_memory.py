"""Stores are written and read within the plan, whatever their chunks."""

import dask
import dask.array
import nibabel as nib
import numpy as np
import pytest
import zarr

import lazyvox as lv
from lazyvox.interop import to_dask, to_zarr
from lazyvox.testing import assert_bounded, peak_of, run_like

#: Imported above: what imports hold is no part of a peak.
IMPORTED = (dask.array, zarr)
SHAPE = (64, 64, 40, 80)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("interop") / "run.nii.gz"
    lv.save(nib.Nifti1Image(run_like(SHAPE, "i2"), np.eye(4)), path)
    return path


def write(path, target, chunks, memory):
    to_zarr(path, target, chunks=chunks, memory=memory, overwrite=True)


@pytest.mark.parametrize(
    ("chunks", "memory"),
    [
        ("space", "40MB"),
        *(
            pytest.param(chunks, memory, marks=pytest.mark.slow)
            for chunks in ("time", "space", (16, 16, 8, 20))
            for memory in ("512MB", "36MB")
        ),
    ],
)
def test_writing_stays_within_its_plan_and_budget(run, chunks, memory, tmp_path):
    target = tmp_path / "a.zarr"
    plan = lv.plan(to_zarr, run, target, chunks=chunks, memory=memory)
    assert plan.peak_bytes <= plan.budget
    assert_bounded(plan.peak_bytes, peak_of(write, run, target, chunks, memory))


def mean(path):
    return lv.mean_img(path, memory="64MB").get_fdata().sum()


@pytest.mark.slow
@pytest.mark.parametrize("chunks", ["time", "space"])
def test_a_pass_over_a_store_stays_within_its_plan(run, chunks, tmp_path):
    to_zarr(run, tmp_path / "a.zarr", chunks=chunks)
    plan = lv.plan(lv.mean_img, tmp_path / "a.zarr", memory="64MB")
    assert_bounded(plan.peak_bytes, peak_of(mean, tmp_path / "a.zarr"))


def mean_by_dask(path):
    with dask.config.set(scheduler="threads", num_workers=2):
        return float(to_dask(path).astype("f8").mean().compute())


@pytest.mark.slow
def test_dask_holds_the_chunks_that_it_works_on(run):
    mean_by_dask(run)
    assert peak_of(mean_by_dask, run) < 8 << 23
