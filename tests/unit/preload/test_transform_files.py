"""Transforms in files of ITK, FSL, FreeSurfer and X5, by the package that reads them."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import write_nifti

linear = pytest.importorskip("nitransforms.linear", reason="needs the extra transforms")
manip = pytest.importorskip("nitransforms.manip")

pytestmark = pytest.mark.filterwarnings("ignore:Reference space not set")

SHAPE = (12, 14, 11)
MATRIX = np.array([[0.99, -0.1, 0, 4], [0.1, 0.99, 0.02, -2], [0, -0.02, 1, 3], [0, 0, 0, 1.0]])


@pytest.fixture
def moving(tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    return write_nifti(tmp_path / "moving.nii.gz", values, affine=np.diag([3, 3, 3, 1.0]))


@pytest.fixture
def affine(moving):
    return linear.Affine(MATRIX, reference=nib.load(moving))


@pytest.mark.parametrize(("name", "form"), [("t.tfm", "itk"), ("t.txt", "itk"), ("t.lta", "fs")])
def test_linear_transforms_are_read(tmp_path, affine, moving, name, form):
    affine.to_filename(tmp_path / name, fmt=form, moving=nib.load(moving))
    read = lv.LazyReadData(tmp_path / name)
    assert np.allclose(read.matrix, MATRIX, atol=1e-4)


def test_a_matrix_of_fsl_needs_the_grids_that_it_is_between(tmp_path, affine, moving):
    affine.to_filename(tmp_path / "t.mat", fmt="fsl", moving=nib.load(moving))
    with pytest.raises(lv.ParameterError, match="must come with the grids that it is between"):
        _ = lv.LazyReadData(tmp_path / "t.mat").data
    with pytest.raises(lv.ParameterError, match=r"Got reference\. Pass reference= and moving="):
        _ = lv.LazyReadData(tmp_path / "t.mat", reference=str(moving)).data
    grids = {"reference": str(moving), "moving": str(moving)}
    assert np.allclose(lv.LazyReadData(tmp_path / "t.mat", **grids).matrix, MATRIX, atol=1e-4)


def test_a_binary_matrix_of_itk_is_none_of_fsl(tmp_path, affine):
    from nitransforms.io.itk import ITKLinearTransform

    ITKLinearTransform.from_ras(MATRIX).to_filename(tmp_path / "t.mat")
    assert np.allclose(lv.LazyReadData(tmp_path / "t.mat").matrix, MATRIX, atol=1e-4)


def test_the_only_transform_of_an_x5_file_needs_no_chain(tmp_path, affine):
    affine.to_filename(tmp_path / "t.x5", fmt="X5")
    assert np.allclose(lv.LazyReadData(tmp_path / "t.x5").matrix, MATRIX)


def test_a_chain_in_an_x5_file_is_read(tmp_path, affine):
    chain = manip.TransformChain([affine, linear.Affine(np.linalg.inv(MATRIX))])
    chain.to_filename(tmp_path / "t.x5", fmt="X5")
    read = lv.LazyReadData(tmp_path / "t.x5").data
    assert len(read) == 2
    point = np.array([[3.0, 4, 5]])
    assert np.allclose(read.map(point), point)


def test_resampling_is_that_of_the_package(tmp_path, affine, moving):
    from nitransforms.resampling import apply

    affine.to_filename(tmp_path / "t.lta", fmt="fs", moving=nib.load(moving))
    expected = apply(affine, nib.load(moving), reference=nib.load(moving), order=1)
    lazy = lv.LazyResampleVolume(
        moving, target_img=moving, transform=tmp_path / "t.lta", interpolation="linear"
    )
    inside = (slice(2, -2),) * 3
    found = np.asarray(lazy.data.dataobj)[inside]
    assert np.allclose(found, np.asarray(expected.dataobj)[inside], atol=1e-3)
