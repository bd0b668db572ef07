"""The model gives one run, whatever the blocks, in bounded memory."""

import hashlib

import nibabel
import numpy as np
import pytest

from lazyvox.demo.model import T_R, brain, make_model, volumes, write_run
from lazyvox.errors import ParameterError
from lazyvox.runtime.peak import peak_memory


def written(path, n_volumes=20):
    model = make_model(n_volumes=n_volumes, step=3)
    return list(write_run(model, str(path)))


def whole(model, block_volumes):
    return np.concatenate([block.copy() for block in volumes(model, block_volumes)], axis=-1)


def test_the_mask_is_the_brain_on_the_3_mm_grid():
    mask, affine = brain()
    assert mask.shape == (61, 73, 61)
    assert mask.sum() == 69809
    np.testing.assert_array_equal(affine @ [0, 0, 0, 1], [-90, -126, -72, 1])


def test_the_same_model_writes_the_same_bytes(tmp_path):
    for name in ("first.nii.gz", "second.nii.gz"):
        written(tmp_path / name)
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.iterdir()}
    assert len(digests) == 1


def test_another_seed_gives_another_run():
    runs = [whole(make_model(n_volumes=3, step=3, seed=seed), 3) for seed in (1, 2)]
    assert not np.array_equal(*runs)


@pytest.mark.parametrize("block_volumes", [1, 3, 7, 50])
def test_values_do_not_depend_on_the_block(block_volumes):
    model = make_model(n_volumes=7, step=3)
    np.testing.assert_array_equal(whole(model, block_volumes), whole(model, 2))


def test_a_longer_run_begins_as_the_shorter_one():
    short, long = (whole(make_model(n_volumes=n, step=3), 4) for n in (5, 9))
    np.testing.assert_array_equal(long[..., :5], short)


def test_the_file_is_what_the_model_says(tmp_path):
    assert written(tmp_path / "run.nii.gz") == [8, 16, 20]
    img = nibabel.load(tmp_path / "run.nii.gz")
    model = make_model(n_volumes=20, step=3)
    assert img.get_data_dtype() == np.float32
    assert img.header.get_zooms() == (9.0, 9.0, 9.0, T_R)
    assert img.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_array_equal(img.affine, model.affine)
    np.testing.assert_array_equal(np.asarray(img.dataobj), whole(model, 5))


def test_the_run_looks_like_one():
    model = make_model(n_volumes=200, step=3)
    run = whole(model, 8)
    assert not run[~model.mask].any()
    inside = run[model.mask]
    assert inside.min() > 0
    change = inside.std(axis=1) / inside.mean(axis=1)
    assert 0.02 < np.median(change) < 0.05
    noise = inside[:, 1:] - inside.mean(axis=1, keepdims=True)
    before = inside[:, :-1] - inside.mean(axis=1, keepdims=True)
    assert 0.3 < (noise * before).sum() / (before**2).sum() < 0.6


def test_voxels_of_one_region_share_a_signal():
    model = make_model(n_volumes=200, step=3)
    run = whole(model, 8)
    means = np.stack([run[model.regions.labels == label].mean(axis=0) for label in (1, 64)])
    halves = run[model.regions.labels == 1]
    within = np.corrcoef(halves[::2].mean(axis=0), halves[1::2].mean(axis=0))[0, 1]
    assert within > 0.6
    assert abs(np.corrcoef(means)[0, 1]) < within


def test_one_volume_is_no_run():
    with pytest.raises(ParameterError, match=r"at least 2 volumes\. Got 1"):
        make_model(n_volumes=1, step=3)


def test_memory_does_not_grow_with_the_run(tmp_path):
    # 900 volumes are 38 MiB decoded.
    with peak_memory() as peak:
        written(tmp_path / "run.nii.gz", n_volumes=900)
    assert peak.increment < 24 << 20
