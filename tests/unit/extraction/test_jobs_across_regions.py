"""Regions in several threads share one pass, and give the same values."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import LazyArray
from lazyvox.array.reader import FileReader
from lazyvox.lazyimage.classes import lazy_image
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import CountingSource, MemorySource, own_threads

RNG = np.random.default_rng(6)
RUN = RNG.normal(size=(6, 7, 8, 20)).astype(np.float32)
MASKS = {
    f"region {number}": nib.Nifti1Image((RNG.random(RUN.shape[:3]) < 0.2).astype("u1"), np.eye(4))
    for number in range(6)
}


@pytest.fixture
def source():
    return CountingSource(MemorySource(RUN.tobytes(order="F"), compression="gzip"))


@pytest.fixture
def img(source):
    array = LazyArray.over(FileReader(source, ArraySpec(RUN.shape, RUN.dtype)))
    return lazy_image(nib.Nifti1Image, array, np.eye(4), nib.Nifti1Image(RUN, np.eye(4)).header)


def test_six_regions_in_six_threads_read_each_byte_once(img, source):
    found = lv.extract(img, MASKS, n_jobs=6)
    source.assert_each_byte_once()
    assert source.bytes_read == RUN.nbytes
    assert own_threads() == []
    for name, mask in MASKS.items():
        expected = RUN[np.asarray(mask.dataobj) > 0].T
        assert found[name].values.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_threads_do_not_change_what_a_pass_holds_by_more_than_their_work(img):
    one, six = (lv.plan(lv.extract, img, MASKS, n_jobs=n) for n in (1, 6))
    assert one.passes == six.passes == 1
    assert six.buffer_bytes == one.buffer_bytes
    assert dict(six.consumer_bytes) == dict(one.consumer_bytes)
