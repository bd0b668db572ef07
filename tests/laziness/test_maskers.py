"""Fitting reads no voxel of a series; a transform reads and inflates each byte once."""

import warnings

import nibabel as nib
import numpy as np
import pytest

from lazyvox.maskers import (
    MultiNiftiMasker,
    NiftiLabelsMasker,
    NiftiMapsMasker,
    NiftiMasker,
    NiftiSpheresMasker,
    transform_all,
)
from lazyvox.testing import CountingSource, TripwireSource, image_over

SHAPE = (8, 9, 7, 30)
VALUES = np.random.default_rng(3).normal(10, 1, SHAPE).astype(np.float32)


def labels():
    values = np.zeros(SHAPE[:3], np.uint8)
    values[1:4, 2:7, 1:6], values[5:7, 2:7, 1:6] = 1, 2
    return values


def img_of(values):
    return nib.Nifti1Image(values, np.eye(4))


def maskers(**parameters):
    mask = img_of((labels() > 0).astype(np.uint8))
    maps = img_of(np.stack([labels() == 1, labels() == 2], axis=3).astype(np.float32))
    parameters = {"standardize": None, **parameters}
    if "target_affine" in parameters:
        return [NiftiMasker(mask, **parameters)]
    return [
        NiftiMasker(mask, **parameters),
        NiftiLabelsMasker(img_of(labels()), **parameters),
        NiftiMapsMasker(maps, **parameters),
        NiftiSpheresMasker([(2, 4, 3), (6, 4, 3)], radius=1.5, mask_img=mask, **parameters),
        MultiNiftiMasker(mask, **parameters),
    ]


KINDS = range(5)


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_with_given_regions_reads_no_voxel_of_the_images(kind):
    _, img = image_over(TripwireSource, VALUES)
    masker = maskers()[kind]
    if isinstance(masker, NiftiMasker):
        with pytest.warns(RuntimeWarning, match="the mask is used, the images are not"):
            masker.fit(img)
    else:
        masker.fit(img)
    assert masker.n_elements_ > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"detrend": True, "smoothing_fwhm": 2.0}],
    ids=["as they are", "smoothed and cleaned"],
)
def test_a_transform_reads_each_byte_once(kind, compression, parameters):
    source, img = image_over(CountingSource, VALUES, compression=compression)
    masker = maskers(**parameters)[kind].fit()
    source.clear()
    masker.transform(img)
    source.assert_each_byte_once()
    assert source.bytes_read >= VALUES.nbytes


def test_all_maskers_share_one_pass_whatever_they_do_to_volumes():
    source, img = image_over(CountingSource, VALUES, compression="gzip")
    several = [one.fit() for one in maskers()]
    several += [one.fit() for one in maskers(smoothing_fwhm=3.0)[:2]]
    grid = {"target_affine": np.diag([2.0, 2, 2, 1]), "target_shape": (4, 4, 3)}
    several += [maskers(**grid)[0].fit(), maskers(smoothing_fwhm=3.0, **grid)[0].fit()]
    source.clear()
    with pytest.warns(UserWarning, match="images should be on the grid of the mask"):
        together = transform_all(img, several)
    source.assert_each_byte_once()
    for masker, signals in zip(several, together, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            alone = masker.transform(img)
        np.testing.assert_allclose(signals, alone, rtol=1e-5)


def test_what_is_written_back_is_computed_when_it_is_read():
    masker = maskers()[1].fit()
    signals = np.ones((1000, 2), np.float32)
    img = masker.inverse_transform(signals)
    assert img.shape == (*SHAPE[:3], 1000)
    assert not isinstance(img.dataobj, np.ndarray)
    np.testing.assert_array_equal(np.asarray(img.dataobj[..., 7]), labels() > 0)


def test_the_volume_for_the_report_is_not_read():
    _, img = image_over(TripwireSource, VALUES)
    masker = maskers()[1].fit(img)
    assert masker._reporting_data["images"].shape == SHAPE[:3]
    assert masker._reporting_data["dim"] == 4
