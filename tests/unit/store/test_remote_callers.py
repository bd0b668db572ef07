"""URLs handed to functions, maskers and studies in Python."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cohort import run_cohort
from lazyvox.errors import ImageNotFoundError, OutputError, ParameterError, ParameterTypeError
from lazyvox.image import concat_imgs, math_img
from lazyvox.lazyimage.fingerprint import fingerprint
from lazyvox.maskers import NiftiLabelsMasker
from lazyvox.store.remote.options import carried, chosen_options
from lazyvox.testing import ObjectServer, compress, nifti_bytes

SHAPE = (16, 16, 10, 60)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(1, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def server(values):
    atlas = np.zeros(SHAPE[:3], "u1")
    atlas[2:6, 2:6, 2:6], atlas[7:9] = 1, 2
    objects = {
        "sub-01_task-rest_bold.nii.gz": compress(nifti_bytes(values), "gzip"),
        "atlas.nii": nifti_bytes(atlas),
        "mask.nii": nifti_bytes((atlas > 0).astype("u1")),
    }
    with ObjectServer(objects) as server:
        yield server


@pytest.fixture
def run(server):
    return server.url("sub-01_task-rest_bold.nii.gz")


def test_functions_take_urls(server, run, values):
    both = concat_imgs([run, run])
    np.testing.assert_array_equal(both.dataobj[..., 60], values[..., 0])
    made = math_img("np.mean(a, axis=3) * b", a=run, b=server.url("mask.nii"))
    np.testing.assert_allclose(made.dataobj[8], values[8].mean(-1))
    sums = lv.map_images(lambda img: int(img.dataobj[..., 3].sum()), [run], n_jobs=1)
    assert sums == [int(values[..., 3].sum())]


def test_a_masker_keeps_what_it_made_of_an_object(server, run, tmp_path):
    masker = NiftiLabelsMasker(server.url("atlas.nii"), memory=str(tmp_path / "kept")).fit()
    first = masker.transform(run)
    server.forget()
    np.testing.assert_array_equal(masker.transform(run), first)
    assert server.ranges("sub-01_task-rest_bold.nii.gz") == [(0, 65536)]


def test_a_key_of_an_object_changes_with_it(server, run, values):
    before = fingerprint(run), fingerprint(lv.load(run))
    with ObjectServer({"x": nifti_bytes(values[..., ::-1])}) as other:
        assert fingerprint(other.url("x")) != before[0]
    assert before == (fingerprint(run), fingerprint(lv.load(run)))


def test_a_study_takes_a_table_of_urls(server, run, tmp_path):
    (tmp_path / "runs.tsv").write_text(f"bold\tmask\n{run}\t{server.url('mask.nii')}\n")
    study = {"table": tmp_path / "runs.tsv", "atlases": {"A": server.url("atlas.nii")}}
    run_cohort(None, tmp_path / "out", **study, n_jobs=1)
    assert len(list((tmp_path / "out").rglob("*_timeseries.tsv"))) == 1
    server.forget()
    run_cohort(None, tmp_path / "out", **study, n_jobs=1)
    assert server.n_bytes <= len(server.requests) * 65536


def test_options_hold_where_a_function_is_carried_to():
    with lv.storage_options(anon=True, key="secret"):
        func = carried(chosen_options)
    assert func(None)["anon"] is True
    with lv.storage_options(timeout=3), lv.storage_options(anon=True):
        assert chosen_options({"retries": 1}) == {"timeout": 3, "anon": True, "retries": 1}


def test_a_pair_is_read_by_either_name(values, tmp_path):
    nib.save(nib.Nifti1Pair(values, np.eye(4)), tmp_path / "x.hdr")
    objects = {name: (tmp_path / name).read_bytes() for name in ("x.hdr", "x.img")}
    with ObjectServer(objects) as server:
        for name in objects:
            img = lv.load(server.url(name))
            np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
        del server.objects["x.img"]
        with pytest.raises(ImageNotFoundError, match=r"x\.img: no such file, and http"):
            lv.load(server.url("x.hdr"))


def test_wrong_arguments_are_refused(run, tmp_path):
    with pytest.raises(ParameterError, match="pathlib leaves out one of its slashes"):
        lv.load(Path(run))
    with pytest.raises(ParameterTypeError, match="`storage_options` must be a dict"):
        lv.load(run, storage_options="anon")
    with pytest.raises(OutputError, match="reads objects and does not write them"):
        lv.save(lv.load(run), run)
