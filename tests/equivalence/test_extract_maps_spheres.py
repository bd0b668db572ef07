"""Signals of maps and spheres: those of nilearn, where nilearn is right."""

import nibabel
import numpy as np
import pytest

from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.spheres import Spheres
from lazyvox.geometry.spheres import sphere_voxels
from lazyvox.lazyimage.series import as_series

# nilearn and scikit-learn warn of their own changes to come.
pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (12, 14, 10)
OBLIQUE = np.array([[2.9, 0.3, 0, -16], [-0.3, 2.9, 0.1, -19], [0, -0.1, 3.1, -13], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def files(example_files):
    return {one: str(example_files / f"{one}.nii.gz") for one in ("run", "mask", "left", "atlas")}


def maps_like(path, n_maps=5, seed=0, dtype="f4"):
    """Return smooth overlapping maps, some weights negative, on the grid of an image."""
    reference = nibabel.load(path)
    rng = np.random.default_rng(seed)
    ijk = np.indices(reference.shape[:3])
    centres = rng.uniform(2, 9, (n_maps, 3))
    distance = [((ijk - centre[:, None, None, None]) ** 2).sum(axis=0) for centre in centres]
    weights = np.stack([np.exp(-one / 20) - 0.05 for one in distance], axis=-1)
    weights[np.abs(weights) < 0.03] = 0
    return nibabel.Nifti1Image(weights.astype(dtype), reference.affine)


def assert_close(found, expected, tolerance=1e-6):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


class TestMaps:
    @pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
    def test_least_squares(self, nilearn, files, tmp_path, dtype):
        from nilearn.regions import img_to_signals_maps

        source = nibabel.load(files["run"])
        run = nibabel.Nifti1Image(np.asarray(source.dataobj).astype(dtype), source.affine)
        maps = maps_like(files["run"])
        exact = nibabel.Nifti1Image(maps.get_fdata(), maps.affine)
        double = nibabel.Nifti1Image(run.get_fdata(), run.affine)
        # In float64: nilearn solves float32 data in float32, to 1e-4 of the scale.
        expected, _ = img_to_signals_maps(double, exact)
        assert_close(extract(run, maps).values, expected, 1e-10)
        assert_close(extract(run, maps).values, img_to_signals_maps(run, maps)[0], 1e-3)

    @pytest.mark.parametrize("keep", [False, True])
    def test_mask(self, nilearn, files, keep):
        from nilearn.regions import img_to_signals_maps

        maps = maps_like(files["run"], 6)
        weights = maps.get_fdata()
        weights[:6, ..., 2] = 0
        maps = nibabel.Nifti1Image(weights, maps.affine)
        expected, numbers = img_to_signals_maps(
            nibabel.load(files["run"]), maps, files["left"], keep_masked_maps=keep
        )
        found = extract(files["run"], Maps(maps, mask_img=files["left"], keep_masked_maps=keep))
        assert list(found.labels) == list(numbers)
        assert_close(found.values, expected)

    def test_image_of_maps_is_the_inverse_transform(self, nilearn, files):
        from nilearn.regions import signals_to_img_maps

        maps = maps_like(files["run"])
        signals = extract(files["run"], Maps(maps, mask_img=files["mask"]))
        expected = signals_to_img_maps(signals.values, maps, files["mask"]).get_fdata()
        found = signals.to_img()
        assert found.shape == expected.shape
        assert_close(found.get_fdata(), expected, 1e-9)
        assert_close(found.dataobj[2:5, ..., 7], expected[2:5, ..., 7], 1e-9)

    def test_masker(self, nilearn, files):
        from nilearn.maskers import NiftiMapsMasker

        maps = maps_like(files["run"], dtype="f8")
        masker = NiftiMapsMasker(maps, standardize=None, smoothing_fwhm=6, allow_overlap=True)
        expected = masker.fit_transform(files["run"])
        assert_close(extract(files["run"], maps, smoothing_fwhm=6).values, expected, 1e-5)

    def test_another_grid(self, nilearn, files):
        from nilearn.maskers import NiftiMapsMasker

        fine = maps_like(files["run"], dtype="f8")
        moved = fine.affine.copy()
        moved[:3, 3] += 1.2
        maps = nibabel.Nifti1Image(fine.get_fdata(), moved)
        masker = NiftiMapsMasker(maps, standardize=None, resampling_target="data")
        expected = masker.fit_transform(files["run"])
        assert_close(extract(files["run"], maps, resample=True).values, expected, 1e-5)

    def test_maps_that_are_the_same_have_half_of_the_signal_each(self, nilearn, files):
        maps = maps_like(files["run"], 3, dtype="f8")
        twice = nibabel.Nifti1Image(
            np.concatenate([maps.get_fdata(), maps.get_fdata()[..., :1]], axis=-1), maps.affine
        )
        single = extract(files["run"], maps).values
        with pytest.warns(UserWarning, match="should not depend on each other"):
            found = extract(files["run"], twice).values
        assert_close(found[:, 0], single[:, 0] / 2, 1e-9)
        assert_close(found[:, 3], single[:, 0] / 2, 1e-9)
        assert_close(found[:, 1:3], single[:, 1:], 1e-9)


SEEDS = [(0.0, 0.0, 0.0), (8.6, -7.5, 4.4), (-9.2, 10.5, -3.0), (-0.5, 0.3, 9.9)]


class TestSpheres:
    @pytest.mark.parametrize("radius", [None, 0, 1, 3, 4.5, 7])
    @pytest.mark.parametrize("mask", [None, "mask", "left"])
    def test_mean_of_the_same_voxels(self, nilearn, files, radius, mask):
        from nilearn.maskers import NiftiSpheresMasker

        seeds = SEEDS if mask != "left" else [SEEDS[2], (-6.0, 0, 0)]
        mask = files.get(mask)
        masker = NiftiSpheresMasker(
            seeds, radius, mask_img=mask, allow_overlap=True, standardize=None
        )
        expected = masker.fit_transform(files["run"])
        found = extract(files["run"], Spheres(seeds, radius, mask_img=mask, allow_overlap=True))
        assert_close(found.values, expected)

    @pytest.mark.parametrize(
        "affine", [np.diag([3.0, 3, 3, 1]), OBLIQUE, np.diag([-0.7, 0.7, 0.9, 1])]
    )
    def test_voxels_of_many_seeds(self, nilearn, affine):
        from nilearn.maskers.nifti_spheres_masker import apply_mask_and_get_affinity

        rng = np.random.default_rng(3)
        mask = rng.random(SHAPE) < 0.8
        centre = affine[:3, 3] + affine[:3, :3] @ (np.array(SHAPE) / 2)
        extent = np.abs(affine[:3, :3]) @ (np.array(SHAPE) / 3)
        seeds = centre + rng.uniform(-1, 1, (25, 3)) * extent
        seeds[:10] = np.round(seeds[:10])
        img = nibabel.Nifti1Image(mask.astype("u1"), affine)
        radius = 2.2 * abs(affine[0, 0])
        _, expected = apply_mask_and_get_affinity(
            seeds.tolist(), None, radius, allow_overlap=True, mask_img=img
        )
        fortran = np.ravel_multi_index(np.nonzero(mask), SHAPE, order="F")
        for row, seed in zip(expected.rows, seeds, strict=True):
            found = sphere_voxels(seed, radius, affine, SHAPE, mask)
            np.testing.assert_array_equal(found, np.sort(fortran[row]))

    def test_image_of_spheres_is_the_inverse_transform(self, nilearn, files):
        from nilearn.maskers import NiftiSpheresMasker

        seeds = [(0, 0, 0), (4, 2, 0), (-10, 0, 0)]
        masker = NiftiSpheresMasker(
            seeds, 5, mask_img=files["mask"], allow_overlap=True, standardize=None
        )
        signals = extract(
            files["run"], Spheres(seeds, 5, mask_img=files["mask"], allow_overlap=True)
        )
        masker.fit()
        expected = masker.inverse_transform(signals.values).get_fdata()
        assert_close(signals.to_img().get_fdata(), expected, 1e-7)

    def test_means_of_integers_keep_their_fraction(self, nilearn, files):
        """nilearn cuts the means of spheres in integer images to integers."""
        from nilearn.maskers import NiftiSpheresMasker

        source = nibabel.load(files["run"])
        run = nibabel.Nifti1Image(np.asarray(source.dataobj).astype("i2"), source.affine)
        double = nibabel.Nifti1Image(run.get_fdata(), run.affine)
        masker = NiftiSpheresMasker([(0, 0, 0)], 5, standardize=None)
        found = extract(run, [(0, 0, 0)], radius=5).values
        assert_close(found, masker.fit_transform(double), 1e-10)
        cut = masker.fit_transform(run)
        assert 0.1 < np.abs(found - cut).max() < 1

    def test_non_finite_voxels_as_zeros(self, nilearn, files):
        from nilearn.maskers import NiftiSpheresMasker

        source = nibabel.load(files["run"])
        values = source.get_fdata()
        values[6, 7, 5, 3] = np.nan
        run = nibabel.Nifti1Image(values, source.affine)
        # nilearn sets the voxels of the image that it is given to zero.
        given = nibabel.Nifti1Image(values.copy(), source.affine)
        expected = NiftiSpheresMasker([(0, 0, 0)], 5, standardize=None).fit_transform(given)
        found = extract(run, Spheres([(0, 0, 0)], 5, ensure_finite=True)).values
        assert_close(found, expected)
        assert np.isnan(extract(run, [(0, 0, 0)], radius=5).values[3, 0])


class TestMaskedLabels:
    @pytest.mark.parametrize("keep", [False, True])
    def test_labels_in_a_mask(self, nilearn, files, keep):
        from nilearn.regions import img_to_signals_labels

        expected, labels, atlas = img_to_signals_labels(
            files["run"], files["atlas"], mask_img=files["left"], keep_masked_labels=keep
        )
        consumer = Labels(files["atlas"], mask_img=files["left"], keep_masked_labels=keep)
        found = extract(files["run"], consumer)
        assert list(found.labels) == [int(one) for one in labels]
        assert_close(found.values, expected)
        region_atlas = consumer.region_atlas(as_series(files["run"]).grid)
        np.testing.assert_array_equal(region_atlas.get_fdata(), atlas.get_fdata())
        assert region_atlas.get_data_dtype() == np.int32


@pytest.mark.parametrize("name", ["vt", "gray"])
def test_real_run(nilearn, real_data, name):
    from nilearn.maskers import NiftiSpheresMasker

    run = str(real_data / "haxby2001_sub001_run001_25mm_bold.nii.gz")
    mask = str(real_data / f"haxby2001_sub001_25mm_{name}.nii.gz")
    img = nibabel.load(mask)
    seeds = nibabel.affines.apply_affine(img.affine, np.argwhere(img.get_fdata() > 0)[::3])
    masker = NiftiSpheresMasker(seeds, 30, mask_img=mask, allow_overlap=True, standardize=None)
    double = nibabel.Nifti1Image(nibabel.load(run).get_fdata(), img.affine)
    found = extract(run, Spheres(seeds, 30, mask_img=mask, allow_overlap=True))
    assert_close(found.values, masker.fit_transform(double))
