"""Any part of an image that has an index is what nibabel makes of it, in any number of threads."""

import gzip
import random
import shutil
import threading

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.index.cache import find_index
from lazyvox.store.opening import open_source
from lazyvox.testing import gzip_member, nifti_bytes

N_THREADS = 8


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    shared_blocks().begin_anew()


def indexed(path):
    """Return a lazy image, of which points are as near to each other as may be."""
    lv.index(path, spacing="32KiB")
    return lv.load(path)


def random_index(chance, shape):
    """Return an index of any kind that nibabel takes, too."""
    parts = []
    for length in shape:
        start, stop = sorted(chance.choices(range(length), k=2))
        step = chance.choice([1, 1, 2, -1])
        picks = [chance.randrange(length), slice(None), slice(start, max(stop, start + 1))]
        parts.append(chance.choice([*picks, slice(None, None, step)]))
    return tuple(parts)


def assert_same_parts(img, other, seed, count):
    chance = random.Random(seed)
    for _ in range(count):
        index = random_index(chance, img.shape)
        expected = other.dataobj[index]
        found = img.dataobj[index]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


REAL = [
    "haxby2001_sub001_oneslice_1452vols_bold.nii.gz",
    "haxby2001_sub001_run001_25mm_bold.nii.gz",
    "multi_delay_asl_64x64x24x25_float32.nii.gz",
]


@pytest.fixture
def real(real_data, tmp_path):
    """Return a function that copies a scan, so that its folder can be written to."""
    return lambda name: shutil.copy(real_data / name, tmp_path / name)


@pytest.mark.parametrize("name", REAL)
def test_parts_of_real_scans(real, name):
    path = real(name)
    img = indexed(path)
    whole = nib.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    assert_same_parts(img, whole, 1, 60)
    np.testing.assert_array_equal(img.get_fdata(), whole.get_fdata())


@pytest.mark.parametrize("name", REAL)
def test_every_volume_of_real_scans_backwards(real, name):
    path = real(name)
    img = indexed(path)
    expected = np.asarray(nib.load(path).dataobj)
    for volume in range(min(img.shape[3], 120) - 1, -1, -1):
        np.testing.assert_array_equal(img.dataobj[..., volume], expected[..., volume])


def test_real_files_have_more_than_one_point(real):
    path = real(REAL[2])
    indexed(path)
    assert len(find_index(open_source(path)).bit_offsets) > 10


@pytest.fixture
def scaled(tmp_path):
    """Integers with slope and intercept, in two members."""
    values = np.random.default_rng(2).normal(0, 900, (20, 21, 22, 30)).astype(">i2")
    raw = nifti_bytes(values, slope=0.37, inter=-12.5)
    path = tmp_path / "scaled.nii.gz"
    half = len(raw) // 2
    path.write_bytes(gzip_member(raw[:half], mem_level=4) + gzip_member(raw[half:], level=1))
    return path


def test_parts_of_scaled_integers(scaled):
    img, other = indexed(scaled), nib.load(scaled)
    assert_same_parts(img, other, 3, 60)
    np.testing.assert_array_equal(img.get_fdata(), other.get_fdata())


def test_scans_of_scaled_integers(scaled):
    values = nib.load(scaled).get_fdata()
    indexed(scaled)
    scan = lv.Scan(scaled)
    mean, least = scan.add(lv.Mean()), scan.add(lv.Min())
    scan.run()
    np.testing.assert_allclose(mean.result().get_fdata(), values.mean(axis=3), rtol=1e-5)
    np.testing.assert_allclose(least.result().get_fdata(), values.min(axis=3), rtol=1e-6)


@pytest.mark.parametrize("budget", ["1MiB", "1GiB"])
def test_many_threads_read_one_image(scaled, budget):
    img = indexed(scaled)
    expected = nib.Nifti1Image.from_bytes(gzip.decompress(scaled.read_bytes()))
    errors = []

    def work(seed):
        try:
            with lv.memory_budget(budget):
                assert_same_parts(img, expected, seed, 25)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(N_THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not errors, errors[0]
