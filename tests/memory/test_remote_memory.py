"""Ranges that are fetched over a network are within the plan."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.remote.open_object import FETCH_BYTES
from lazyvox.testing import (
    ObjectServer,
    assert_bounded,
    compress,
    nifti_bytes,
    peak_of,
    run_like,
)

SHAPE = (64, 64, 40, 80)
DECODER = 8 << 20


@pytest.fixture(scope="module")
def server():
    plain = nifti_bytes(run_like(SHAPE, "i2"))
    with ObjectServer({"x.nii": plain, "x.nii.gz": compress(plain, "gzip")}) as server:
        # What imports hold is no part of a peak.
        lv.mean_img(lv.load(server.url("x.nii")).slicer[..., :2])
        yield server


def mean(url, options):
    with lv.storage_options(**options):
        lv.mean_img(url, memory="64MB").get_fdata()


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize("is_kept", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_pass_stays_within_its_plan(server, tmp_path, name, is_kept):
    options = {"cache_dir": str(tmp_path)} if is_kept else {}
    with lv.storage_options(**options):
        plan = lv.plan(lv.mean_img, server.url(name), memory="64MB")
    assert "fetched ranges" in [term.name for term in plan.memory]
    assert_bounded(plan.peak_bytes, peak_of(mean, server.url(name), options))


@pytest.mark.slow
def test_a_pass_with_an_index_stays_within_its_plan(server, tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path))
    lv.index(server.url("x.nii.gz"))
    plan = lv.plan(lv.mean_img, server.url("x.nii.gz"), memory="64MB")
    assert_bounded(plan.peak_bytes, peak_of(mean, server.url("x.nii.gz"), {}))


@pytest.mark.parametrize(
    "index",
    [
        np.s_[20:40, 20:40, ::3, :],
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in (np.s_[..., 3:60], np.s_[:, :, 5:25, ::2])
        ),
    ],
)
def test_a_slice_holds_few_ranges(server, index):
    img = lv.load(server.url("x.nii"))

    def read(img):
        return img.dataobj[index].size

    result = np.empty(SHAPE, "i2")[index].nbytes
    assert_bounded(result + FETCH_BYTES + DECODER, peak_of(read, img))
