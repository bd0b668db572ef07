"""Decoding ahead from access points is part of the plan; a random volume takes little.

Each measurement is a process of its own, above what Python and the imports hold.
"""

import importlib

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import assert_bounded, gzip_member, nifti_bytes, peak_of, scan_peaks

MIB = 1 << 20
SHAPE = (64, 64, 36, 80)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    """The children that measure find it through the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def packed_run(dtype, **header):
    """Return 80 volumes, of which four differ, so that they are written fast."""
    rng = np.random.default_rng(0)
    few = rng.normal(0, 100, (*SHAPE[:3], 4)).astype(dtype)
    values = np.broadcast_to(few[..., None, :], (*SHAPE[:3], SHAPE[3] // 4, 4))
    content = nifti_bytes(values.reshape(SHAPE, order="F"), **header)
    return gzip_member(content, level=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """45 MiB decoded, with an index."""
    path = tmp_path_factory.mktemp("indexed") / "run.nii.gz"
    path.write_bytes(packed_run("<f4"))
    lv.index(path)
    return str(path)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    path = tmp_path_factory.mktemp("indexed") / "scaled.nii.gz"
    path.write_bytes(packed_run("<i2", slope=0.5))
    lv.index(path, spacing="1MiB")
    return str(path)


@pytest.mark.parametrize(
    "budget",
    ["20MiB", *(pytest.param(one, marks=pytest.mark.slow) for one in ("32MiB", "40MiB")), "1GiB"],
)
def test_a_scan_takes_what_the_plan_says(run, budget):
    predicted, measured = scan_peaks(run, [lv.Mean(), lv.Std()], budget)
    assert_bounded(predicted, measured)
    assert predicted <= int(budget[:-3]) * (MIB if "M" in budget else MIB << 10)


@pytest.mark.parametrize("budget", ["16MiB", "512MiB"])
def test_a_scan_of_scaled_values_takes_what_the_plan_says(scaled, budget):
    assert_bounded(*scan_peaks(scaled, [lv.Mean()], budget))


def test_a_scan_in_threads_takes_what_the_plan_says(run):
    assert_bounded(*scan_peaks(run, [lv.Mean(), lv.Std(), lv.DVARS()], "256MiB", 2))


READERS = """
import random
import threading

import numpy as np

import lazyvox as lv
from lazyvox.testing import find_points


def read_random_volumes(path):
    img = lv.load(path)
    chance = random.Random(0)
    for _ in range(12):
        img.dataobj[..., chance.randrange(img.shape[3])].max()


def read_in_threads(path, n_threads):
    img = lv.load(path)

    def work(seed):
        chance = random.Random(seed)
        for _ in range(6):
            img.dataobj[5:9, :, chance.randrange(img.shape[2]), chance.randrange(img.shape[3])]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(n_threads)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def read_one_voxel(path):
    np.asarray(lv.load(path).dataobj[3, 4, 5])


def find_all_points(path):
    find_points(path, spacing=1 << 20)
"""


@pytest.fixture
def readers(tmp_path, monkeypatch):
    """A module that the measured process can import, too."""
    (tmp_path / "readers_of_indexed_files.py").write_text(READERS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("readers_of_indexed_files")


def test_random_volumes_take_at_most_60_mib(run, readers):
    assert peak_of(readers.read_random_volumes, run) <= 60 * MIB


def test_slices_in_threads_take_a_segment_for_each_and_the_cache(run, readers):
    # In each thread one segment of 4 to 6 MiB is decoded; the cache keeps 32 MiB.
    assert peak_of(readers.read_in_threads, run, 8) <= (8 * 6 + 32) * MIB


def test_a_voxel_through_time_takes_what_is_decoded_ahead(run, readers):
    assert peak_of(readers.read_one_voxel, run) <= 64 * MIB


@pytest.mark.parametrize("kind", ["zeros", pytest.param("noise", marks=pytest.mark.slow)])
def test_finding_points_takes_little_however_well_a_file_is_compressed(tmp_path, readers, kind):
    raw = bytes(200 * MIB) if kind == "zeros" else np.random.default_rng(0).bytes(30 * MIB)
    path = tmp_path / "extreme.gz"
    path.write_bytes(gzip_member(raw, level=1))
    # The windows of the points that are found are in memory here: 32 KiB for each MiB.
    assert peak_of(readers.find_all_points, str(path)) <= 12 * MIB
