"""Images that take part in others again and again: read in time and memory that grow evenly."""

import pickle
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.shared_sessions import Sessions
from lazyvox.array.transformed import staged
from lazyvox.image import concat_imgs, smooth_img

SHAPE = (5, 4, 6, 7)
RUN = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Halved:
    """Half of a volume; counts the volumes."""

    counts: list = field(default_factory=list)
    name = "halved"

    def out_shape(self, shapes):
        return shapes[0]

    def out_dtype(self, dtypes):
        return dtypes[0]

    def work_bytes(self, shapes, dtypes):
        return 0

    def apply(self, blocks, out):
        self.counts.append(out.shape[3])
        np.multiply(blocks[0], np.float32(0.5), out=out)


@pytest.mark.parametrize("ndim", [3, 4])
@pytest.mark.parametrize("ahead", [0, 3])
def test_each_stage_computes_each_volume_once(ndim, ahead):
    values = RUN if ndim == 4 else RUN[..., 0]
    array, expected, halved = in_memory_array(values, "run"), values, Halved()
    for _ in range(12):
        array = staged(halved, array) + array
        expected = expected * np.float32(0.5) + expected
    n_volumes = SHAPE[3] if ndim == 4 else 1
    n_first = max(n_volumes - ahead, 1) if ndim == 4 else 1
    view = array.view((..., slice(ahead, None))) if ndim == 4 else array
    np.testing.assert_allclose(view.read(), expected[..., ahead:] if ndim == 4 else expected)
    # In waves of volumes, the stages below a wave compute for it.
    assert sum(halved.counts) <= 12 * n_first * (1 if ndim == 4 else 12)


def test_a_scan_and_a_save_share_too(tmp_path):
    nib.save(nib.Nifti1Image(RUN, np.eye(4)), tmp_path / "run.nii.gz")
    img = lv.load(tmp_path / "run.nii.gz")
    expected = RUN
    for _ in range(25):
        img = smooth_img(img * 0.5, None) + img * 0.5
    lv.save(img, tmp_path / "out.nii")
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii").dataobj, expected, rtol=1e-5)
    np.testing.assert_allclose(lv.mean_img(img).dataobj, expected.mean(axis=-1), rtol=1e-4)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(img)).dataobj[..., 3], expected[..., 3])
    assert lv.plan(lv.save, img, tmp_path / "out.nii").peak_bytes < 300 << 20
    assert "read       " in lv.explain(img)


def test_neighbours_of_a_stage_are_kept():
    array, halved = in_memory_array(RUN, "run"), Halved()
    stage = staged(halved, array)
    change = stage.view((..., slice(1, None))) - stage.view((..., slice(None, -1)))
    np.testing.assert_array_equal(change.read(), np.diff(RUN * np.float32(0.5)))
    assert sum(halved.counts) == SHAPE[3]
    below = Sessions(change.reader.sources)
    assert below.kept_bytes > 0
    assert change.reader.session_bytes > below.kept_bytes


def test_series_that_grow_stay_flat():
    img = whole = nib.Nifti1Image(RUN, np.eye(4))
    expected = RUN
    for _ in range(50):
        img = concat_imgs([img, lv.image.index_img(img, slice(-1, None))])
        expected = np.concatenate([expected, expected[..., -1:]], axis=-1)
    assert len(img.dataobj.reader.parts) == 51
    np.testing.assert_array_equal(np.asarray(img.dataobj), expected)
    img, expected = whole, RUN
    for _ in range(20):
        parts = [lv.image.index_img(img, slice(3)), lv.image.index_img(img, slice(3, None))]
        img = concat_imgs([*parts, whole])
        expected = np.concatenate([expected, RUN], axis=-1)
    assert len(img.dataobj.reader.parts) == 22
    np.testing.assert_array_equal(img.dataobj[..., ::-3], expected[..., ::-3])


def test_joined_series_of_joined_series_share_their_parts():
    whole = nib.Nifti1Image(RUN, np.eye(4))
    img, expected = concat_imgs([whole]), RUN
    for _ in range(15):
        img = concat_imgs([smooth_img(img, None) * 0.5 + img * 0.5, whole])
        expected = np.concatenate([expected, RUN], axis=-1)
    np.testing.assert_allclose(np.asarray(img.dataobj), expected, rtol=1e-5)


def again_and_again(kind, n_times):
    img = whole = nib.Nifti1Image(RUN, np.eye(4))
    for _ in range(n_times):
        img = smooth_img(img, None) if kind == "smoothed" else concat_imgs([img, whole]) + 0
    return img


@pytest.mark.parametrize("kind", ["smoothed", "joined"])
def test_what_is_too_deep_is_refused(kind):
    with pytest.raises(lv.ParameterError, match=r"at most 80 .* Save the image and load it again"):
        again_and_again(kind, 400)
    img = again_and_again(kind, 40)
    assert np.asarray(img.dataobj).shape[:3] == SHAPE[:3]
