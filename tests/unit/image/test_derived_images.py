"""Cropped, reordered, thresholded images, components and means: what equivalence does not show."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import DimensionError, GridMismatchError, ParameterError, RegionError
from lazyvox.image import (
    binarize_img,
    coord_transform,
    crop_img,
    high_variance_confounds,
    largest_connected_component_img,
    mean_img,
    reorder_img,
    swap_img_hemispheres,
    threshold_img,
)
from lazyvox.image.ranks import percentile_of

AFFINE = np.diag([2.0, 2, 2, 1])
SHAPE = (6, 7, 8, 12)
VALUES = np.random.default_rng(0).normal(scale=30, size=SHAPE)


def image(values=VALUES, affine=AFFINE):
    return nib.Nifti1Image(values, affine)


class TestPercentiles:
    @pytest.mark.parametrize(
        "dtype", ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
    )
    @pytest.mark.parametrize("two_sided", [True, False])
    def test_equal_to_numpy_for_every_type(self, dtype, two_sided):
        rng = np.random.default_rng(1)
        values = (rng.normal(scale=40, size=SHAPE) * (rng.random(SHAPE) > 0.5)).round(1)
        kept = (np.abs(values) if dtype[0] == "u" else values).astype(dtype)
        img = nib.Nifti1Image(kept, AFFINE, dtype=dtype) if dtype != "f2" else None
        img = img or lv.image.new_img_like(image(), lv.LazyArray.over(reader_of(kept)))
        taken = np.abs(kept.astype("f8")) if two_sided else kept[kept >= 0].astype("f8")
        for percentile in (0, 1, 33.3, 50, 77.7, 99.99, 100):
            found = percentile_of(img, percentile, None, two_sided=two_sided)
            assert found == pytest.approx(np.percentile(taken, percentile), rel=1e-14)

    def test_signed_zero_and_subnormal_numbers(self):
        values = np.zeros(SHAPE, "f4")
        values[0], values[1] = -0.0, np.float32(1e-45)
        for percentile in (10, 90, 100):
            found = percentile_of(image(values), percentile, None, two_sided=False)
            assert found == np.percentile(values.astype("f8"), percentile)

    def test_the_smallest_integer_has_a_magnitude(self):
        values = np.full(SHAPE, -(2**15), "i2")
        assert percentile_of(image(values), 50, None, two_sided=True) == 2**15

    def test_nothing_to_rank(self):
        assert np.isnan(percentile_of(image(-np.ones(SHAPE)), 50, None, two_sided=False))

    @pytest.mark.parametrize("memory", ["60MiB", "1GiB"])
    def test_blocks_do_not_matter(self, memory):
        found = percentile_of(image(), 63.2, None, two_sided=True, memory=memory)
        assert found == pytest.approx(np.percentile(np.abs(VALUES), 63.2), rel=1e-14)


def reader_of(values):
    from lazyvox.array.memory_reader import MemoryReader

    return MemoryReader(values, "values", values.shape, values.dtype)


class TestThresholds:
    @pytest.mark.parametrize(
        ("threshold", "error", "match"),
        [
            ("12", ParameterError, "number and the percent sign"),
            ("ab%", ValueError, "number and the percent sign"),
            ("101%", ValueError, "from 0 to 100"),
            ("-3%", ValueError, "must not be negative"),
            (-3, ValueError, "two_sided=False"),
            ([3], TypeError, "must be a number or a percentage"),
            (None, TypeError, "must be a number or a percentage"),
        ],
    )
    def test_bad_thresholds(self, threshold, error, match):
        with pytest.raises(error, match=match):
            threshold_img(image(), threshold)
        with pytest.raises(error, match=match):
            binarize_img(image(), threshold, two_sided=True)

    @pytest.mark.parametrize("cluster", [3.0, True, "3", None])
    def test_bad_cluster_sizes(self, cluster):
        with pytest.raises(TypeError, match="`cluster_threshold` must be a number of voxels"):
            threshold_img(image(), 3, cluster_threshold=cluster)

    def test_a_list_is_no_image(self):
        with pytest.raises(TypeError, match="Join a list with concat_imgs"):
            threshold_img([image()], 3)

    @pytest.mark.parametrize("threshold", [1e4, -1e4])
    def test_a_threshold_beyond_a_3d_image_is_warned_of(self, threshold):
        with pytest.warns(UserWarning, match="should lie between the values"):
            found = threshold_img(image(VALUES[..., 0]), threshold, two_sided=False)
        assert not np.asarray(found.dataobj).any()

    def test_non_finite_voxels(self):
        values = VALUES[..., 0].copy()
        values[0, 0, 0], values[1, 1, 1] = np.nan, -np.inf
        with pytest.warns(UserWarning, match="2 of 336 voxels are NaN or infinite"):
            found = threshold_img(image(values), 1)
        assert np.isfinite(found.dataobj).all()

    @pytest.mark.parametrize(
        ("values", "match"),
        [
            (np.zeros(SHAPE[:3]), "Got zeros only"),
            (np.arange(336.0).reshape(SHAPE[:3]), "336 values"),
        ],
    )
    def test_bad_masks(self, values, match):
        with pytest.raises(RegionError, match=match):
            threshold_img(image(), 3, mask_img=image(values))

    def test_a_mask_far_away(self):
        far = AFFINE.copy()
        far[0, 3] = 1e4
        with pytest.raises(RegionError, match="must overlap"):
            threshold_img(image(), 3, mask_img=image(np.ones(SHAPE[:3]), far))

    def test_the_input_stays(self):
        values = VALUES.copy()
        np.asarray(threshold_img(image(values), 20, copy=False).dataobj)
        np.testing.assert_array_equal(values, VALUES)

    def test_scans_and_saves_agree_with_slices(self, tmp_path):
        found = threshold_img(image(VALUES.astype("f4")), "70%", cluster_threshold=3)
        found.to_filename(tmp_path / "a.nii.gz")
        whole = np.asarray(found.dataobj)
        np.testing.assert_array_equal(lv.load(tmp_path / "a.nii.gz").dataobj, whole)
        np.testing.assert_array_equal(found.dataobj[2:4, ::-1, 3, 5], whole[2:4, ::-1, 3, 5])


class TestGeometry:
    def test_rotated_axes(self):
        angle = np.eye(4)
        angle[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
        with pytest.raises(ParameterError, match="Its affine has rotations"):
            reorder_img(image(affine=angle))
        with pytest.raises(ParameterError, match="`resample` must be one of"):
            reorder_img(image(), resample="cubic")

    def test_nothing_to_crop(self):
        zeros = image(np.zeros(SHAPE))
        with pytest.warns(UserWarning, match="the whole image is returned"):
            found, offset = crop_img(zeros, return_offset=True)
        assert (found.shape, offset) == (SHAPE, tuple(slice(0, n) for n in SHAPE[:3]))

    def test_voxels_stay_in_the_world(self):
        values = np.zeros(SHAPE[:3], "i2")
        values[3, 4, 5] = -(2**15)
        found = crop_img(image(values))
        where = np.argwhere(np.asarray(found.dataobj))[0]
        np.testing.assert_array_equal(found.affine @ [*where, 1], AFFINE @ [3, 4, 5, 1])

    def test_hemispheres_are_swapped_once_and_back(self):
        img = image(VALUES[..., 0])
        again = swap_img_hemispheres(swap_img_hemispheres(img))
        np.testing.assert_array_equal(again.dataobj, img.dataobj)
        with pytest.raises(DimensionError, match="must be 3D"):
            swap_img_hemispheres(image())

    def test_bad_points(self):
        with pytest.raises(ParameterError, match="as many x as y and z"):
            coord_transform([1, 2], [1], [1], AFFINE)
        with pytest.raises(ParameterError, match=r"must be of shape \(4, 4\)"):
            coord_transform(1, 2, 3, np.eye(3))


class TestReductions:
    def test_no_component(self):
        with pytest.raises(ValueError, match="Got zeros only"):
            largest_connected_component_img(image(np.zeros(SHAPE[:3])))
        with pytest.raises(DimensionError, match="must be 3D"):
            largest_connected_component_img(image())

    def test_confounds_need_a_mask_on_the_grid(self):
        with pytest.raises(GridMismatchError, match="must share one voxel grid"):
            high_variance_confounds(image(), mask_img=image(np.ones((6, 7, 8)), AFFINE * 1.5))
        with pytest.raises(ValueError, match="`percentile` must be from 0 to 100"):
            high_variance_confounds(image(), percentile=101)
        with pytest.raises(DimensionError, match="must be 4D"):
            high_variance_confounds(image(VALUES[..., 0]))

    def test_a_voxel_that_is_nan_is_not_chosen(self):
        values = VALUES.copy()
        values[0, 0, 0, 3] = np.nan
        found = high_variance_confounds(image(values), percentile=20)
        assert np.isfinite(found).all()

    def test_a_single_pass_over_equal_runs(self):
        runs = [image(VALUES + i) for i in range(3)]
        np.testing.assert_allclose(mean_img(runs).dataobj, (VALUES + 1).mean(axis=-1))

    def test_each_image_of_a_list_has_the_same_weight(self):
        found = mean_img([image(), image(VALUES[..., 0])])
        expected = (VALUES.mean(axis=-1) + VALUES[..., 0]) / 2
        np.testing.assert_allclose(found.dataobj, expected)
