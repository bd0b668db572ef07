import pickle

import nibabel
import numpy as np
import pytest

from lazyvox.errors import OutputExistsError, ParameterError
from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.signals import Signals
from lazyvox.lazyimage.load import load
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan


@pytest.fixture
def run(example_files):
    return load(example_files / "run.nii.gz")


@pytest.fixture
def voxels(example_files):
    return extract(example_files / "run.nii.gz", example_files / "left.nii.gz")


@pytest.fixture
def regions(example_files):
    return extract(
        example_files / "run.nii.gz",
        example_files / "atlas.nii.gz",
        lut=example_files / "atlas.tsv",
    )


def test_is_an_array_to_numpy(voxels):
    assert np.asarray(voxels) is voxels.values
    assert np.asarray(voxels, dtype="f8").dtype == np.float64
    assert np.array(voxels) is not voxels.values
    assert (len(voxels), voxels.shape, voxels.dtype) == (40, (40, 260), np.dtype("f4"))


def test_knows_names_labels_and_repetition_time(voxels, regions):
    assert voxels.names is None
    assert voxels.labels is None
    assert regions.names[:2] == ("LeftFront", "RightFront")
    assert regions.labels == (1, 2, 3, 4, 5, 6, 7, 8)
    assert regions.ijk is None
    assert regions.t_r == 2.0
    assert repr(regions) == "<Signals of 8 regions, 40 volumes, float64, t_r=2.0>"


def test_ijk_lists_voxels_in_the_order_of_the_columns(voxels, example_files):
    mask = np.asarray(nibabel.load(example_files / "left.nii.gz").dataobj)
    np.testing.assert_array_equal(voxels.ijk, np.argwhere(mask))


def test_image_of_voxels_is_the_masked_run(voxels, run, example_files):
    mask = np.asarray(nibabel.load(example_files / "left.nii.gz").dataobj) != 0
    expected = np.where(mask[..., None], np.asarray(run.dataobj), 0)
    img = voxels.to_img()
    assert isinstance(img, nibabel.Nifti1Image)
    np.testing.assert_array_equal(np.asarray(img.dataobj), expected)
    np.testing.assert_array_equal(img.affine, run.affine)
    assert img.header.get_zooms() == run.header.get_zooms()
    for key in [(..., 3), (2, slice(None), 4, slice(1, 9, 3)), (slice(4, 1, -1), 5)]:
        np.testing.assert_array_equal(img.dataobj[key], expected[key])


def test_image_of_regions_repeats_the_value_of_each_region(regions, example_files):
    labels = np.asarray(nibabel.load(example_files / "atlas.nii.gz").dataobj)
    expected = np.zeros((*labels.shape, 40))
    for column, label in enumerate(regions.labels):
        expected[labels == label] = regions.values[:, column]
    np.testing.assert_array_equal(np.asarray(regions.to_img().dataobj), expected)


def test_image_can_be_saved_and_scanned(voxels, example_files, tmp_path):
    img = voxels.to_img()
    img.to_filename(tmp_path / "back.nii.gz")
    again = extract(tmp_path / "back.nii.gz", example_files / "left.nii.gz")
    assert (again.values == voxels.values).all()
    assert (extract(img, example_files / "left.nii.gz").values == voxels.values).all()


def test_data_frame_has_the_names(voxels, regions):
    pytest.importorskip("pandas")
    frame = regions.to_dataframe()
    assert tuple(frame.columns) == regions.names
    assert (frame.to_numpy() == regions.values).all()
    i, j, k = voxels.ijk[0]
    assert voxels.to_dataframe().columns[0] == f"{i}_{j}_{k}"


@pytest.mark.parametrize("ending", [".npy", ".tsv", ".csv", ".parquet"])
def test_saved_file_equals_one_written_during_the_pass(regions, example_files, tmp_path, ending):
    regions.save(tmp_path / f"saved{ending}")
    labels = Labels(
        example_files / "atlas.nii.gz",
        lut=example_files / "atlas.tsv",
        out=tmp_path / f"written{ending}",
    )
    scan = Scan(example_files / "run.nii.gz")
    written = scan.add(labels)
    scan.run()
    saved = (tmp_path / f"saved{ending}").read_bytes()
    assert saved == (tmp_path / f"written{ending}").read_bytes()
    assert f"in {tmp_path}" in repr(written.result())
    with pytest.raises(OutputExistsError, match="the output exists"):
        regions.save(tmp_path / f"saved{ending}")
    regions.save(tmp_path / f"saved{ending}", overwrite=True)


def test_unknown_ending_says_which_there_are(regions, tmp_path):
    with pytest.raises(
        ParameterError, match=r"must end in \.npy, \.tsv, \.csv, \.txt, \.1D, \.parquet"
    ):
        regions.save(tmp_path / "signals.mat")


def test_survives_pickling(regions):
    again = pickle.loads(pickle.dumps(regions))
    assert isinstance(again, Signals)
    assert again.names == regions.names
    assert (again.values == regions.values).all()
    assert (np.asarray(again.to_img().dataobj) == np.asarray(regions.to_img().dataobj)).all()


def test_plot_draws_lines_or_an_image(voxels, regions):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = regions.plot()
    assert len(ax.lines) == 8
    assert ax.get_xlabel() == "time (s)"
    assert voxels.plot(plt.subplots()[1]).images
    plt.close("all")


def test_grid_is_that_of_the_series(voxels, run):
    assert voxels.to_img().shape == as_series(run).array.shape
