"""Images as dask arrays."""

import pickle

import dask
import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox import image
from lazyvox.errors import FileChangedError, MissingDependencyError, ParameterError
from lazyvox.interop import dask_array, to_dask
from lazyvox.planning.chunks import volume_runs
from lazyvox.testing import CountingSource, image_over, run_like


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def computed_images(run):
    return {
        "smooth": image.smooth_img(run, 6),
        "clean": image.clean_img(run, t_r=2.0, low_pass=0.1, standardize=None),
        "formula": image.math_img("a * 2 + b", a=run, b=run),
        "mean": run.dataobj.mean(axis=-1),
        "slice": run.slicer[2:, :, ::-1, 3::2],
        "series": image.concat_imgs([run, run]),
    }


def values_of(img):
    return np.asarray(img if isinstance(img, lv.LazyArray) else img.dataobj)


@pytest.mark.parametrize("name", ["smooth", "clean", "formula", "mean", "slice", "series"])
def test_computed_images_equal_what_they_read(name, example_folder):
    img = computed_images(lv.load(example_folder / "run.nii.gz"))[name]
    np.testing.assert_array_equal(to_dask(img).compute(), values_of(img))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_files_equal_what_nibabel_reads(suffix, example_folder):
    path = example_folder / f"run{suffix}"
    lv.save(lv.load(example_folder / "run.nii.gz"), path)
    voxels = to_dask(path)
    expected = np.asarray(nib.load(path).dataobj)
    assert voxels.dtype == expected.dtype
    np.testing.assert_array_equal(voxels.compute(scheduler="threads"), expected)
    np.testing.assert_array_equal(voxels[..., [7, 3]].compute(), expected[..., [7, 3]])


def test_scaled_integers_and_images_in_memory(tmp_path):
    values = run_like((5, 6, 4, 3))
    lv.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii", dtype="int16", scale="auto")
    scaled = lv.load(tmp_path / "a.nii")
    np.testing.assert_array_equal(to_dask(scaled).compute(), np.asarray(scaled.dataobj))
    np.testing.assert_array_equal(to_dask(nib.Nifti1Image(values, np.eye(4))).compute(), values)


def test_graph_reads_nothing_and_a_volume_reads_its_own_bytes():
    source, img = image_over(CountingSource, run_like((8, 8, 8, 40)))
    voxels = to_dask(img, chunks=(8, 8, 8, 10))
    doubled = voxels[..., 25] * 2
    assert source.bytes_read == 0
    doubled.compute()
    assert source.bytes_read == 8 * 8 * 8 * 4


def test_graph_holds_no_voxel(example_folder):
    voxels = to_dask(example_folder / "run.nii.gz", chunks=(12, 14, 10, 1))
    assert voxels.npartitions == 40
    assert len(pickle.dumps(voxels)) < 3000


def test_names_tell_images_and_states_of_a_file_apart(example_folder):
    path = example_folder / "run.nii.gz"
    run = lv.load(path)
    named = {name: to_dask(img).name for name, img in computed_images(run).items()}
    named["file"] = to_dask(run).name
    assert len(set(named.values())) == len(named)
    again = {name: to_dask(img).name for name, img in computed_images(lv.load(path)).items()}
    assert named == {**again, "file": to_dask(path).name}
    assert to_dask(path, chunks=(12, 14, 10, 1)).name != named["file"]
    lv.save(run.slicer[..., ::-1], path)
    assert to_dask(path).name != named["file"]


def test_name_does_not_depend_on_what_was_read(example_folder):
    run = lv.load(example_folder / "run.nii.gz")
    formula = run * 2 + 1
    before = to_dask(formula).name
    np.asarray(formula.dataobj[..., 3])
    lv.plan(lv.mean_img, formula)
    assert to_dask(formula).name == before


def test_file_that_changed_since_is_refused(example_folder):
    path = example_folder / "run.nii.gz"
    voxels = to_dask(path)
    lv.save(lv.load(path).slicer[..., :20], path)
    with pytest.raises(FileChangedError, match="it changed on disk"):
        voxels.compute()


def test_any_scheduler_of_processes(example_folder):
    run = lv.load(example_folder / "run.nii.gz")
    smooth = image.smooth_img(run, 6)
    voxels = to_dask(smooth, chunks=(12, 14, 10, 20))
    with dask.config.set({"multiprocessing.context": "fork"}):
        found = voxels.compute(scheduler="processes", num_workers=2)
    np.testing.assert_array_equal(found, np.asarray(smooth.dataobj))


def test_tasks_of_one_process_share_what_is_computed_as_a_whole(example_folder):
    run = lv.load(example_folder / "run.nii.gz")
    cleaned = image.clean_img(run, t_r=2.0, low_pass=0.1, standardize=None)
    packed = pickle.dumps(dask_array._Voxels(cleaned.dataobj, "a token"))
    first, second = pickle.loads(packed), pickle.loads(packed)
    assert first._array is second._array
    many = [pickle.dumps(dask_array._Voxels(cleaned.dataobj, f"{n}")) for n in range(4)]
    for one in many:
        pickle.loads(one)
    assert pickle.loads(packed)._array is not first._array
    file = pickle.dumps(dask_array._Voxels(run.dataobj, "a file"))
    assert pickle.loads(file)._array is not pickle.loads(file)._array


def test_chunks_begin_near_the_access_points(tmp_path, cache):
    shape = (40, 40, 20, 60)
    nib.Nifti1Image(run_like(shape), np.eye(4)).to_filename(tmp_path / "run.nii.gz")
    volume_bytes = 4 * 40 * 40 * 20
    plain = to_dask(tmp_path / "run.nii.gz").chunks[3]
    assert plain == volume_runs(60, volume_bytes) == (32, 28)
    lv.index(tmp_path / "run.nii.gz", spacing="1MiB")
    runs = to_dask(tmp_path / "run.nii.gz").chunks[3]
    assert sum(runs) == 60
    assert runs != plain
    points = lv.load(tmp_path / "run.nii.gz").dataobj.reader.source.access_points()
    for start in np.cumsum(runs)[:-1]:
        behind = 352 + start * volume_bytes - points.decoded_offsets
        assert min(behind[behind >= 0]) < volume_bytes


def test_fifth_axis_is_cut_into_positions():
    values = run_like((4, 4, 4, 6, 3))
    voxels = to_dask(nib.Nifti1Image(values, np.eye(4)))
    assert voxels.chunks[3:] == ((6,), (1, 1, 1))
    np.testing.assert_array_equal(voxels.compute(), values)


@pytest.mark.parametrize(
    ("n_volumes", "volume_bytes", "points", "runs"),
    [
        (3, 1 << 30, (), (1, 1, 1)),
        (0, 100, (), (0,)),
        (5, 0, (), (5,)),
        (6, 2 << 20, (0, 6 << 20), (3, 2, 1)),
    ],
)
def test_runs_of_volumes(n_volumes, volume_bytes, points, runs):
    assert volume_runs(n_volumes, volume_bytes, points=points) == runs


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"need the package dask .*pip install dask"):
        to_dask("run.nii.gz")


@pytest.mark.parametrize("chunks", [0, "time", (1, 2), (12, 14, 10, (3, 4)), {9: 1}])
def test_chunks_that_dask_cannot_make_are_refused(example_folder, chunks):
    with pytest.raises(ParameterError, match=r'`chunks` must be "auto", .* Got '):
        to_dask(example_folder / "run.nii.gz", chunks=chunks)
