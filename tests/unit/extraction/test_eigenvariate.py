"""The eigenvariate of a region: sqrt(n) times the first left singular vector, voxels centred."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import MemoryBudgetError
from lazyvox.extraction.eigenvariate import eigenvariate
from lazyvox.extraction.labels import Labels
from lazyvox.testing import feed, image_of, run_like, write_nifti

SHAPE = (6, 5, 7)


def defined(voxels):
    """Return the eigenvariate of voxels of shape (n_volumes, n_voxels), by its definition."""
    centred = voxels.astype(float) - voxels.astype(float).mean(axis=0)
    first = np.linalg.svd(centred, full_matrices=False)[0][:, 0]
    return np.sqrt(len(voxels)) * first * np.sign(first @ centred.sum(axis=1))


def course(voxels):
    return eigenvariate(lambda start, stop: voxels[:, start:stop], len(voxels), 0, voxels.shape[1])


def driven(n_volumes, n_voxels, seed=0, dtype="f4"):
    rng = np.random.default_rng(seed)
    signal = np.outer(rng.normal(size=n_volumes), rng.normal(2, 1, n_voxels))
    return (1000 + 20 * signal + rng.normal(0, 10, signal.shape)).astype(dtype)


@pytest.mark.parametrize("shape", [(50, 200), (200, 50), (60, 60), (3, 1), (2, 9), (40, 3)])
@pytest.mark.parametrize("dtype", ["f4", "i2", "f8"])
def test_the_definition(shape, dtype):
    voxels = driven(*shape, dtype=dtype)
    found = course(voxels)
    np.testing.assert_allclose(found, defined(voxels), rtol=0, atol=1e-8)
    assert abs(found.mean()) < 1e-12
    assert found.std() == pytest.approx(1)


def test_blocks_of_voxels(monkeypatch):
    voxels = driven(30, 400)
    whole = course(voxels)
    monkeypatch.setattr("lazyvox.extraction.eigenvariate._BLOCK_BYTES", 30 * 8 * 7)
    np.testing.assert_allclose(course(voxels), whole, atol=1e-10)


def test_two_directions_of_one_size_are_a_time_course_all_the_same():
    voxels = np.kron(np.eye(2), np.array([[1.0, -1, 1, -1]]).T) @ np.ones((2, 40))
    voxels[:4, :20], voxels[4:, 20:] = 0, 0
    found = course(voxels)
    assert np.isfinite(found).all()
    assert found.std() == pytest.approx(1)


@pytest.mark.parametrize("shape", [(50, 9), (9, 50)])
def test_constants_and_what_is_not_finite(shape):
    assert (course(np.full(shape, 0.1)) == 0).all()
    for bad in (np.nan, np.inf):
        voxels = driven(*shape)
        voxels[2, 3] = bad
        assert np.isnan(course(voxels)).all()


@pytest.mark.parametrize("how", [(12, None), (5, None), (1, 2)])
def test_regions_beside_other_statistics(how):
    run = run_like((*SHAPE, 12))
    labels = np.random.default_rng(1).choice([0, 1, 2, 9], SHAPE).astype("i2")
    consumer = Labels(image_of(labels), strategy="mean,eigenvariate")
    found = feed(consumer, image_of(run), *how)
    assert found.names[:2] == ("1_mean", "1_eigenvariate")
    for place, label in enumerate((1, 2, 9)):
        voxels = run[labels == label].T
        np.testing.assert_allclose(found.values[:, 2 * place], voxels.mean(axis=1), rtol=1e-6)
        wanted = defined(voxels)
        np.testing.assert_allclose(found.values[:, 2 * place + 1], wanted, atol=1e-7)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shape = (20, 20, 20)
    labels = np.random.default_rng(0).choice([0, 1, 2], shape).astype("u1")
    write_nifti(tmp_path / "run.nii", run_like((*shape, 30)))
    write_nifti(tmp_path / "atlas.nii", labels)
    return tmp_path


def test_voxels_wait_on_disk_where_they_are_large(files):
    small, large = (
        lv.plan(lv.extract, "run.nii", "atlas.nii", strategy="eigenvariate", memory=memory)
        for memory in ("12MiB", "1GiB")
    )
    n_labelled = int((np.asarray(lv.load("atlas.nii").dataobj) > 0).sum())
    nbytes = 30 * n_labelled * 4
    assert (small.scratch_bytes, large.scratch_bytes) == (nbytes if nbytes > 3 << 20 else 0, 0)
    assert large.peak_bytes > nbytes


def test_a_spool_gives_the_same(files, monkeypatch):
    held = lv.extract("run.nii", "atlas.nii", strategy="eigenvariate", detrend=True)
    monkeypatch.setattr("lazyvox.extraction.eigenvariate._HELD_PART", 1 << 30)
    plan = lv.plan(lv.extract, "run.nii", "atlas.nii", strategy="eigenvariate")
    assert plan.scratch_bytes > 0
    spooled = lv.extract(
        "run.nii", "atlas.nii", strategy="eigenvariate", detrend=True, out="out.tsv"
    )
    np.testing.assert_array_equal(spooled.values, held.values)


def test_what_does_not_fit_is_refused(files):
    with pytest.raises(MemoryBudgetError, match="budget"):
        lv.extract("run.nii", "atlas.nii", strategy="eigenvariate", memory="9MiB")


def test_the_measured_peak_stays_below_the_plan(files):
    call = {"strategy": "eigenvariate", "memory": "64MiB"}
    lv.extract("run.nii", "atlas.nii", **call)
    planned = lv.plan(lv.extract, "run.nii", "atlas.nii", **call)
    with lv.peak_memory() as peak:
        lv.extract("run.nii", "atlas.nii", **call)
    assert peak.increment <= planned.peak_bytes
