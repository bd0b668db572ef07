"""Regions on any grid."""

import nibabel
import numpy as np
import pytest

from lazyvox.demo.model import brain
from lazyvox.demo.regions import choose_shown, divide, mask_from_mean, write_regions
from lazyvox.errors import RegionError


def head(shape=(20, 24, 18)):
    places = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    return ((places / (np.array(shape)[:, None, None, None] * 0.4)) ** 2).sum(axis=0) < 1


def test_every_voxel_of_the_mask_is_in_one_region():
    mask, affine = brain(step=3)
    regions = divide(mask, affine, n_regions=64)
    np.testing.assert_array_equal(regions.labels > 0, mask)
    assert set(np.unique(regions.labels[mask])) == set(range(1, 65))
    sizes = np.bincount(regions.labels[mask])[1:]
    assert sizes.max() < 5 * sizes.mean()


def test_the_same_mask_gives_the_same_regions():
    mask, affine = brain(step=3)
    first, second = (divide(mask, affine, n_regions=64) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)


def test_regions_are_compact_in_mm_not_in_voxels():
    mask = np.ones((20, 20, 2), bool)
    regions = divide(mask, np.diag([1.0, 10.0, 1.0, 1.0]), n_regions=10)
    extent = [np.ptp(np.argwhere(regions.labels == label), axis=0) for label in range(1, 11)]
    assert np.mean(extent, axis=0)[0] > 3 * np.mean(extent, axis=0)[1]


@pytest.mark.parametrize("n_voxels", [1, 2, 5])
def test_there_are_no_more_regions_than_voxels(n_voxels):
    mask = np.zeros((5, 4, 3), bool)
    mask.flat[:n_voxels] = True
    regions = divide(mask, np.eye(4), n_regions=64)
    assert len(regions.names) == n_voxels
    assert choose_shown(regions) == tuple(range(1, n_voxels + 1))


def test_six_regions_are_shown_and_each_is_there():
    mask, affine = brain(step=3)
    shown = choose_shown(divide(mask, affine, n_regions=64))
    assert len(set(shown)) == 6
    assert all(1 <= label <= 64 for label in shown)


def test_a_threshold_finds_the_head_in_noise():
    inside = head()
    mean = inside * 700 + np.random.default_rng(0).normal(60, 20, inside.shape)
    mean[0, 0, 0], mean[1, 0, 0] = np.nan, np.inf
    assert (mask_from_mean(mean) == inside).mean() > 0.999


def test_a_constant_image_is_inside_everywhere():
    assert mask_from_mean(np.full((3, 3, 3), 5)).all()


def test_nothing_finite_is_an_error():
    with pytest.raises(RegionError, match="must hold finite values"):
        mask_from_mean(np.full((3, 3, 3), np.nan))


def test_the_files_are_an_atlas_with_a_bids_table_and_masks(tmp_path):
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    regions = divide(head(), affine, n_regions=8)
    write_regions(tmp_path, regions, affine, {"region-03": regions.labels == 3})
    atlas, mask = (nibabel.load(tmp_path / f"{name}.nii.gz") for name in ("atlas", "region-03"))
    np.testing.assert_array_equal(np.asarray(atlas.dataobj), regions.labels)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), regions.labels == 3)
    np.testing.assert_array_equal(atlas.affine, affine)
    rows = [line.split("\t") for line in (tmp_path / "atlas.tsv").read_text().splitlines()]
    assert rows[0] == ["index", "name", "color"]
    assert [row[:2] for row in rows[1:]] == [[str(n), f"region-{n:02d}"] for n in range(1, 9)]
