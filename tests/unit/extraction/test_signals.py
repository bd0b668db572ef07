import pickle

import nibabel
import numpy as np
import pytest

from lazyvox.errors import OutputExistsError, ParameterError
from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.signals import Signals
from lazyvox.lazyimage.load import load
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


def test_shows_its_first_values(voxels, regions, tmp_path):
    head, names, first, *_, last = repr(regions).splitlines()
    assert head == "<Signals of 8 regions, 40 volumes, float64, t_r=2.0>"
    assert names.split("  ")[:2] == ["time (s)", "LeftFront"]
    assert names.endswith("  ...")
    assert first.split()[:2] == ["0", f"{regions.values[0, 0]:.6g}"]
    assert last.strip() == "..."
    assert repr(voxels).splitlines()[1].split()[2] == "_".join(map(str, voxels.ijk[0]))
    html = regions._repr_html_()
    assert "<p>&lt;Signals of 8 regions" in html
    assert html.count("<tr>") == 5
    assert html.count("<th>") == 8


def test_columns_by_name(voxels, regions):
    np.testing.assert_array_equal(regions["RightFront"], regions.values[:, 1])
    np.testing.assert_array_equal(voxels["_".join(map(str, voxels.ijk[7]))], voxels.values[:, 7])
    np.testing.assert_array_equal(regions[2:5, ::2], regions.values[2:5, ::2])
    match = r"Got 'LeftFrnt'; none is. Near it are 'LeftFront'"
    with pytest.raises(ParameterError, match=match):
        regions["LeftFrnt"]


def test_means(regions):
    np.testing.assert_array_equal(regions.mean(), regions.values.mean(axis=0))
    np.testing.assert_array_equal(regions.mean(1), regions.values.mean(axis=1))
    assert np.mean(regions) == regions.values.mean()
    assert np.mean(regions, axis=0, keepdims=True).shape == (1, 8)


@pytest.mark.parametrize("options", [{}, {"detrend": True}])
def test_times_count_through_volumes_without_a_row(example_files, options):
    pytest.importorskip("pandas")
    kept = [0, 1, 5, 6, 39]
    signals = extract(
        example_files / "run.nii.gz", example_files / "atlas.nii.gz", sample_mask=kept, **options
    )
    assert signals.volumes.tolist() == kept
    assert signals.times.tolist() == [2.0 * volume for volume in kept]
    frame = signals.to_dataframe()
    assert (frame.index.name, frame.index.tolist()) == ("time (s)", [0.0, 2, 10, 12, 78])


def test_volumes_are_counted_where_there_is_no_time(run, example_files):
    pytest.importorskip("pandas")
    img = nibabel.Nifti1Image(np.asarray(run.dataobj), run.affine)
    img.header["pixdim"][4] = 0
    signals = extract(img, example_files / "atlas.nii.gz")
    assert signals.times is None
    assert signals.to_dataframe().index.name == "volume"
    assert repr(signals).splitlines()[1].startswith("volume  ")


def test_edits_are_seen_by_the_image(voxels):
    img = voxels.to_img()
    voxels.values[3] = 7
    assert (img.dataobj[..., 3][tuple(voxels.ijk.T)] == 7).all()


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
    assert repr(written.result()).endswith(f"in {tmp_path / ('written' + ending)}>")
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


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_plot_of_some_columns_has_lines_names_and_a_scale(regions, plt):
    ax = regions.plot()
    named = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in named] == list(regions.names)
    assert [text.get_text() for text in ax.get_yticklabels()] == list(regions.names)
    assert ax.get_xlabel() == "time (s)"
    percent = 100 * (regions.values[:, 7] / regions.values[:, 7].mean() - 1)
    np.testing.assert_allclose(named[7].get_ydata(), percent)
    assert ax.texts[-1].get_text().endswith(" %")
    ax.figure.canvas.draw()


def test_plot_of_many_columns_is_a_carpet_with_a_colour_bar(voxels, plt):
    ax = voxels.plot(plt.subplots()[1])
    (image,) = ax.images
    assert image.get_array().shape == (260, 40)
    assert ax.get_ylabel() == "260 voxels"
    assert ax.figure.axes[1].get_ylabel() == "standard deviations from the mean"


def test_plot_leaves_gaps_where_there_is_no_value(example_files, plt):
    run, atlas = example_files / "run.nii.gz", example_files / "atlas.nii.gz"
    signals = extract(run, atlas, sample_mask=[0, 1, 2, 6, 7], strategy="mean,std,max")
    (image,) = signals.plot().images
    assert np.ma.getmaskarray(image.get_array())[0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    few = extract(run, atlas, sample_mask=[0, 1, 2, 6, 7])
    few.values[:, 2] = np.nan
    ax = few.plot()
    assert "n/a" in [text.get_text() for text in ax.texts]
    assert np.isnan(ax.lines[1].get_ydata()).tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    ax.figure.canvas.draw()


def test_plot_of_one_volume(example_files, plt):
    one = extract(example_files / "run.nii.gz", example_files / "atlas.nii.gz", sample_mask=[3])
    ax = one.plot()
    ax.figure.canvas.draw()
    assert sum(len(line.get_ydata()) == 1 for line in ax.lines) == one.values.shape[1]
