"""Region consumers behind a transform, and with voxels that are not finite."""

import pickle

import nibabel
import numpy as np
import pytest

from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.spheres import Spheres
from lazyvox.extraction.voxels import Voxels
from lazyvox.image.smooth_transform import SmoothTransform
from lazyvox.image.smoothing import smooth_img
from lazyvox.lazyimage.load import load
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan
from lazyvox.stream.transformed_consumers import Through

SEEDS = [(0, 0, 0), (9, 0, 3)]


def maps(seed=0):
    values = np.random.default_rng(seed).random((12, 14, 10, 3))
    return nibabel.Nifti1Image(values, load("run.nii.gz").affine)


def consumers(**options):
    return [
        Voxels("mask.nii.gz", **options),
        Labels("atlas.nii.gz", **options),
        Maps(maps(), **options),
        Spheres(SEEDS, 4, **options),
    ]


def test_behind_a_transform_they_see_what_a_transformed_image_shows(folder):
    grid = as_series("run.nii.gz").grid
    scan = Scan("run.nii.gz")
    smoothed = scan.add(Through(SmoothTransform.of(grid.affine, grid.shape, 5), consumers()))
    plain = scan.add(Maps(maps()))
    scan.run()
    alone = Scan(smooth_img("run.nii.gz", 5))
    handles = [alone.add(consumer) for consumer in consumers()]
    alone.run()
    for found, handle in zip(smoothed.result(), handles, strict=True):
        np.testing.assert_allclose(found.values, handle.result().values, rtol=1e-6)
    assert np.abs(plain.result().values - smoothed.result()[2].values).max() > 1


@pytest.mark.parametrize("slabs", [False, True])
def test_voxels_that_are_not_finite_count_as_zero_if_asked(folder, slabs):
    run = load("run.nii.gz")
    values = np.asarray(run.dataobj)
    values[5, 6, 5, 3] = np.nan
    values[6, 7, 4, 9] = np.inf
    grid = as_series(nibabel.Nifti1Image(values, run.affine)).grid
    zeroed = np.where(np.isfinite(values), values, 0)

    def feed(consumer, block):
        consumer.init(grid)
        for volume in range(40) if slabs else ():
            for k in range(10):
                slab = np.asfortranarray(block[:, :, k : k + 1, volume : volume + 1])
                consumer.update_slab(slab, volume, k)
        if not slabs:
            consumer.update(np.asfortranarray(block), 0)
        return consumer.finalize().values

    pairs = zip(consumers(ensure_finite=True), consumers(), strict=True)
    for replacing, plain in pairs:
        expected = feed(plain, zeroed)
        np.testing.assert_array_equal(feed(replacing, values), expected)
        assert not np.isfinite(feed(plain, values)).all()


def test_labels_that_a_mask_leaves_out(folder):
    half = Labels("atlas.nii.gz", mask_img="left.nii.gz", keep_masked_labels=True)
    scan = Scan("run.nii.gz")
    handle = scan.add(half)
    scan.run()
    assert handle.result().labels == tuple(range(1, 9))
    assert (handle.result().values[:, 1::2] == 0).all()
    atlas = np.asarray(load("atlas.nii.gz").dataobj)
    left = np.asarray(load("left.nii.gz").dataobj) != 0
    region_atlas = half.region_atlas(scan.grid)
    np.testing.assert_array_equal(region_atlas.get_fdata(), np.where(left, atlas, 0))


def test_mask_that_leaves_no_label(folder):
    atlas = np.asarray(load("atlas.nii.gz").dataobj) * 0
    atlas[0, 0, 0] = 4
    img = nibabel.Nifti1Image(atlas.astype("i2"), load("run.nii.gz").affine)
    with pytest.raises(ValueError, match="must leave a voxel of at least one label"):
        Labels(img, mask_img="mask.nii.gz").check(as_series("run.nii.gz").grid)
    kept = Labels(img, mask_img="mask.nii.gz", keep_masked_labels=True)
    scan = Scan("run.nii.gz")
    handle = scan.add(kept)
    scan.run()
    assert (handle.result().values == 0).all()
    assert handle.result().shape == (40, 1)


@pytest.mark.parametrize("number", range(4))
def test_a_consumer_that_was_checked_can_be_pickled(folder, number):
    consumer, grid = consumers()[number], as_series("run.nii.gz").grid
    wanted = consumer.state_bytes(grid)
    copy = pickle.loads(pickle.dumps(consumer))
    assert copy.state_bytes(grid) == wanted
    scan = Scan("run.nii.gz")
    kept = scan.add(copy)
    scan.run()
    assert kept.result().shape[0] == 40
