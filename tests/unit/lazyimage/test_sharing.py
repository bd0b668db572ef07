"""Shared data are right, in memory once, for reading only, and gone when they should be."""

import gc
import os
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import LazyArray
from lazyvox.array.reader import FileReader
from lazyvox.lazyimage import shared_room
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import CountingSource, MemorySource, write_nifti

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])
RUN = np.random.default_rng(3).normal(size=(5, 6, 7, 8)).astype(np.float32)
COUNTS = np.random.default_rng(4).integers(-90, 90, (5, 6, 7, 8)).astype(np.int16)


pytestmark = pytest.mark.usefixtures("memory")


@pytest.fixture
def path(tmp_path):
    img = nib.Nifti1Image(RUN, AFFINE)
    img.header.set_zooms((2, 3, 4, 1.5))
    nib.save(img, tmp_path / "run.nii.gz")
    return tmp_path / "run.nii.gz"


@pytest.fixture
def scaled(tmp_path):
    return write_nifti(tmp_path / "scaled.nii", COUNTS, slope=0.5, inter=3.0)


def test_shared_image_is_the_image(path):
    img = lv.load(path)
    with lv.shared(img) as handle, handle.open() as opened:
        assert isinstance(opened, lv.LazyImage)
        assert type(opened) is type(img)
        assert opened.header == img.header
        assert opened.affine.tobytes() == img.affine.tobytes()
        assert opened.get_filename() == img.get_filename()
        assert opened.dataobj.dtype == RUN.dtype
        np.testing.assert_array_equal(opened.dataobj, RUN)
        np.testing.assert_array_equal(opened.get_fdata(), RUN.astype(np.float64))


@pytest.mark.parametrize("make", [str, Path, lv.load, nib.load], ids=["str", "Path", "lv", "nib"])
def test_paths_and_images_of_nibabel_are_shared_too(path, make):
    with lv.shared(make(path)) as handle:
        np.testing.assert_array_equal(handle.open().dataobj, RUN)


def test_values_are_not_copied_and_cannot_be_written(path):
    with lv.shared(path) as handle:
        values = np.asarray(handle.open().dataobj)
        assert not values.flags.owndata
        for array in (values, values[1:], handle.open().dataobj):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            values.flags.writeable = True
        np.testing.assert_array_equal(handle.open().dataobj, RUN)


def test_file_is_decoded_once():
    source = CountingSource(MemorySource(RUN.tobytes(order="F"), compression="gzip"))
    array = LazyArray.over(FileReader(source, ArraySpec(RUN.shape, RUN.dtype)))
    with lv.shared(array) as handle:
        for _ in range(3):
            np.testing.assert_array_equal(handle.open(), RUN)
    source.assert_each_byte_once()
    assert source.bytes_read == RUN.nbytes


def test_scaled_integers_stay_integers_in_memory(scaled):
    img = lv.load(scaled)
    with lv.shared(img) as handle:
        opened = handle.open()
        assert handle.dtype == np.int16
        assert opened.dataobj.slope == 0.5
        assert opened.dataobj.dtype == img.dataobj.dtype == np.float64
        np.testing.assert_array_equal(opened.dataobj, img.dataobj)
        np.testing.assert_array_equal(opened.dataobj[1, ..., 2], img.dataobj[1, ..., 2])
        np.testing.assert_array_equal(opened.dataobj.get_unscaled(), COUNTS)
        assert opened.header == img.header


def test_dtype_of_load_is_that_in_memory(scaled):
    img = lv.load(scaled, dtype=np.float32)
    with lv.shared(img) as handle:
        opened = handle.open()
        assert handle.dtype == opened.get_data_dtype() == np.float32
        np.testing.assert_array_equal(opened.dataobj, img.dataobj)


def test_byte_order_of_the_file_is_that_in_memory(tmp_path):
    img = lv.load(write_nifti(tmp_path / "big.nii", COUNTS.astype(">i2")))
    with lv.shared(img) as handle:
        assert handle.dtype == img.dataobj.dtype == np.dtype(">i2")
        np.testing.assert_array_equal(handle.open().dataobj, COUNTS)


@pytest.mark.parametrize(
    "make",
    [
        lambda img: img.slicer[1:4, :, ::-1, ::2],
        lambda img: img.slicer[..., 3],
        lambda img: (img + 1) * 2,
        lambda img: img.mean(axis=-1),
        lambda img: nib.Nifti1Image(np.asarray(img.dataobj), img.affine),
    ],
    ids=["slice", "volume", "expression", "mean", "in memory"],
)
def test_computed_images_are_shared(path, make):
    img = make(lv.load(path))
    with lv.shared(img) as handle:
        opened = handle.open()
        np.testing.assert_array_equal(opened.dataobj, img.dataobj)
        assert opened.affine.tobytes() == img.affine.tobytes()
        assert opened.dataobj.dtype == img.dataobj.dtype


@pytest.mark.parametrize(
    "array",
    [
        RUN,
        np.asfortranarray(RUN),
        RUN[::2, ::-1],
        np.float32(2) + np.zeros((0, 3), np.float32),
        np.ones((), np.int8),
        np.array([(1, 2, 3)], dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]),
        RUN > 0,
    ],
    ids=["C", "F", "strided", "empty", "scalar", "RGB", "bool"],
)
def test_arrays_are_shared(array):
    with lv.shared(array) as handle, handle.open() as opened:
        assert isinstance(opened, np.ndarray)
        assert opened.dtype == array.dtype
        assert opened.shape == handle.shape == array.shape
        assert opened.flags.f_contiguous or opened.flags.c_contiguous
        np.testing.assert_array_equal(opened, array)


def test_lazy_array_and_proxy_of_nibabel_become_arrays(path, scaled):
    for proxy in (lv.load(path).dataobj, nib.load(scaled).dataobj, lv.load(scaled).dataobj):
        with lv.shared(proxy) as handle:
            np.testing.assert_array_equal(handle.open(), np.asarray(proxy))
    with lv.shared(lv.load(path).dataobj.view(np.s_[..., None])) as handle:
        assert handle.open().shape == (*RUN.shape, 1)


def test_what_is_computed_from_a_shared_array_is_an_ordinary_array():
    with lv.shared(RUN) as handle:
        opened = handle.open()
        for result in (opened + 1, opened.mean(axis=0), np.sqrt(abs(opened))):
            assert type(result) is np.ndarray
        assert isinstance(opened.sum(), np.float32)
        plain = pickle.loads(pickle.dumps(opened[[0, 2]]))
        assert type(plain) is np.ndarray
        assert opened.copy().flags.writeable


def test_handles_and_what_they_open_pickle_by_reference(path):
    with lv.shared(path) as handle:
        img = handle.open()
        views = [handle, img, img.dataobj, img.dataobj[1:, ::-1, 2], img.slicer[..., 1:3]]
        for one in views:
            assert len(pickle.dumps(one)) < 2048
        again = pickle.loads(pickle.dumps(img.dataobj[1:, ::-1, 2]))
        np.testing.assert_array_equal(again, RUN[1:, ::-1, 2])
        assert not again.flags.writeable
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(img)).dataobj, RUN)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(handle)).open().dataobj, RUN)


def test_large_extensions_do_not_make_the_handle_large(tmp_path):
    img = nib.Nifti1Image(RUN, AFFINE)
    img.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100_000))
    nib.save(img, tmp_path / "noted.nii")
    with lv.shared(tmp_path / "noted.nii") as handle:
        assert len(pickle.dumps(handle)) < 2048
        assert len(handle.open().header.extensions[0].get_content()) >= 100_000


def test_functions_take_opened_images(path, scaled):
    for given in (path, scaled):
        mask = nib.Nifti1Image((RUN[..., 0] > 0).astype(np.uint8), lv.load(given).affine)
        with lv.shared(given) as handle:
            img = handle.open()
            expected, found = lv.extract(given, mask), lv.extract(img, mask)
            np.testing.assert_array_equal(found.values, expected.values)
            means = [np.asarray(lv.mean_img(one).dataobj) for one in (img, given)]
            np.testing.assert_array_equal(*means)


def test_saved_copy_has_the_same_stored_values(scaled, tmp_path):
    with lv.shared(scaled) as handle:
        lv.save(handle.open(), tmp_path / "copy.nii")
    assert (tmp_path / "copy.nii").read_bytes() == scaled.read_bytes()


def test_memory_is_given_back_when_the_block_ends(path, memory):
    with lv.shared(path) as handle:
        assert len(list(memory.iterdir())) == 1
        copy = pickle.loads(pickle.dumps(handle))
        with copy:
            pass
        copy.close()
        assert len(list(memory.iterdir())) == 1
        img = handle.open()
    assert list(memory.iterdir()) == []
    # What was opened stays valid, what was not cannot be opened any more.
    np.testing.assert_array_equal(img.dataobj, RUN)
    for closed in (handle, copy):
        with pytest.raises(lv.ImageNotFoundError, match="while their handle is held"):
            closed.open()
    handle.close()


def test_memory_is_given_back_when_the_block_fails(path, memory):
    with pytest.raises(KeyError, match="work"), lv.shared(path):
        raise KeyError("work")
    assert list(memory.iterdir()) == []


def test_memory_is_given_back_when_nobody_holds_the_handle(path, memory):
    handle = lv.shared(path)
    assert len(list(memory.iterdir())) == 1
    del handle
    gc.collect()
    assert list(memory.iterdir()) == []


def test_file_of_others_cannot_be_read_by_them(path, memory):
    with lv.shared(path):
        (file,) = memory.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600


def test_damaged_file_leaves_nothing(path, memory):
    damaged = bytearray(path.read_bytes())
    damaged[-6] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(lv.CorruptFileError, match=r"CRC|checksum"):
        lv.shared(path)
    assert list(memory.iterdir()) == []


def test_changed_memory_is_noticed(path, memory):
    with lv.shared(path) as handle:
        (file,) = memory.iterdir()
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(lv.CorruptFileError, match="must be what was written"):
            handle.open()
        file.write_bytes(content[:-1])
        with pytest.raises(lv.CorruptFileError, match=r"must have .* bytes"):
            handle.open()


@pytest.mark.parametrize(
    "given", [3, None, [RUN], nib.Nifti1Header()], ids=["3", "None", "l", "h"]
)
def test_what_is_no_image_is_refused(given):
    with pytest.raises(lv.ParameterTypeError, match="must be an image, its path, or an array"):
        lv.shared(given)


def test_arrays_of_objects_and_masked_arrays_are_refused():
    with pytest.raises(lv.ParameterError, match="must hold plain values"):
        lv.shared(np.array([{}], dtype=object))
    with pytest.raises(lv.ParameterError, match="Got a masked array"):
        lv.shared(np.ma.masked_array([1, 2], [True, False]))


def test_plan_tells_what_sharing_needs(path):
    plan = lv.plan(lv.shared, path)
    assert plan.passes == 1
    assert plan.bytes_decoded == RUN.nbytes
    assert RUN.nbytes < plan.peak_bytes < RUN.nbytes + (16 << 20)


def test_small_memory_falls_back_to_a_temporary_file(path, tmp_path, monkeypatch, memory):
    monkeypatch.setattr(shared_room.tempfile, "tempdir", str(tmp_path))
    real = os.statvfs

    def small(folder):
        if str(folder) != str(memory):
            return real(folder)
        fields = list(real(folder))
        fields[4] = 1
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", small)
    with pytest.warns(lv.LazyvoxWarning, match="temporary file in .* instead"):
        handle = lv.shared(path)
    with handle:
        assert list(memory.iterdir()) == []
        assert len(list(tmp_path.glob("*.shared"))) == 1
        np.testing.assert_array_equal(handle.open().dataobj, RUN)
    assert list(tmp_path.glob("*.shared")) == []


def test_memory_that_the_process_may_not_take_is_not_taken(path, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_room.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shared_room, "available_memory", lambda: RUN.nbytes // 2)
    with pytest.warns(lv.LazyvoxWarning, match="has room for"), lv.shared(path) as handle:
        np.testing.assert_array_equal(handle.open().dataobj, RUN)


def test_no_room_anywhere_is_an_error_before_reading(path, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_room.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shared_room, "free_bytes", lambda folder: 0)
    with (
        pytest.warns(lv.LazyvoxWarning, match="room for 0 B"),
        pytest.raises(lv.OutputError, match="Set TMPDIR to a folder on a larger disk"),
    ):
        lv.shared(path)


def n_descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_thousand_times_leaves_nothing(memory):
    values = np.arange(5)
    with lv.shared(values) as kept:
        before = n_descriptors()
        for _ in range(1000):
            kept.open()
        for _ in range(100):
            lv.shared(values).close()
        after = n_descriptors()
        assert after <= before
        assert len(list(memory.iterdir())) == 1
