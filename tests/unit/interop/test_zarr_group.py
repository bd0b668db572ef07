"""Images as NIfTI-Zarr, there and back."""

import io
import json
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import zarr
from nibabel.nifti1 import Nifti1Extension

import lazyvox as lv
from lazyvox import image
from lazyvox.array.chunked_reader import ChunkedReader, ChunkedSession
from lazyvox.errors import (
    FileChangedError,
    HeaderError,
    ImageNotFoundError,
    MemoryBudgetError,
    MissingDependencyError,
    OutputError,
    OutputExistsError,
    OutputFolderError,
    ParameterError,
    ReadError,
    ScalingError,
    UnsupportedFormatError,
)
from lazyvox.interop import from_zarr, to_dask, to_zarr
from lazyvox.lazyimage.save import prepare_save
from lazyvox.store.files.temporary import host_tag
from lazyvox.testing import CountingSource, image_over, run_like

OBLIQUE = np.array([[2, 0.1, 0, -10], [0, 2.5, 0, 3], [0.2, 0, 3, 4], [0, 0, 0, 1]])


def image_file(path, shape=(7, 6, 5, 4), dtype="i2", kind=nib.Nifti1Image, scaling=None):
    """Write an image with an oblique affine and an extension; return it as nibabel reads it."""
    values = np.random.default_rng(3).integers(0, 200, shape).astype(dtype)
    header = kind.header_class(endianness=np.dtype(dtype).str[0].replace("|", "<"))
    img = kind(values, OBLIQUE, header, dtype=np.dtype(dtype))
    img.header.set_xyzt_units("mm", "msec")
    if len(shape) > 3:
        img.header.set_zooms((*img.header.get_zooms()[:3], 2500.0, *(1.0,) * (len(shape) - 4)))
    if scaling:
        img.header.set_slope_inter(*scaling)
    img.header.extensions.append(Nifti1Extension("comment", b"as it was"))
    img.to_filename(path)
    return nib.load(path)


def assert_same(found, expected):
    """Compare type, values, affine and every field of the header."""
    assert isinstance(found, type(expected))
    values = np.asarray(expected.dataobj)
    assert found.dataobj.dtype.newbyteorder("=") == values.dtype.newbyteorder("=")
    np.testing.assert_array_equal(np.asarray(found.dataobj), values)
    np.testing.assert_array_equal(found.affine, expected.affine)
    assert found.header.endianness == expected.header.endianness
    assert bytes(found.header.binaryblock) == bytes(expected.header.binaryblock)
    assert found.header.extensions == expected.header.extensions


CASES = {
    "integers": {},
    "big-endian": {"dtype": ">i2"},
    "scaled": {"scaling": (0.5, -3.0)},
    "NIfTI-2": {"kind": nib.Nifti2Image, "dtype": "f8"},
    "plane": {"shape": (7, 6), "dtype": "u1"},
    "volume": {"shape": (7, 6, 5), "dtype": "f4"},
    "channels": {"shape": (7, 6, 5, 4, 3), "dtype": "f4"},
    "complex": {"dtype": "c8"},
    "no voxel": {"shape": (7, 0, 5, 4)},
}


@pytest.mark.parametrize("chunks", ["time", "space"])
@pytest.mark.parametrize("name", CASES)
def test_round_trip(name, chunks, tmp_path):
    expected = image_file(tmp_path / "a.nii", **CASES[name])
    to_zarr(tmp_path / "a.nii", tmp_path / "a.zarr", chunks=chunks)
    assert_same(from_zarr(tmp_path / "a.zarr"), expected)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("chunks", [(3, 4, 2, 3), (7, 6, 5, 3), (7, 6, 2, 1), (1, 6, 5, 4)])
def test_chunks_of_any_shape(suffix, chunks, tmp_path):
    expected = image_file(tmp_path / f"a{suffix}")
    to_zarr(tmp_path / f"a{suffix}", tmp_path / "a.zarr", chunks=chunks, n_jobs=2)
    stored = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert stored["0"].chunks == chunks[::-1]
    np.testing.assert_array_equal(stored["0"][...].T, np.asarray(expected.dataobj))
    found = from_zarr(tmp_path / "a.zarr")
    assert_same(found, expected)
    np.testing.assert_array_equal(
        lv.mean_img(found, memory="64MB").get_fdata(), lv.mean_img(expected).get_fdata()
    )


def test_group_is_that_of_the_specification(tmp_path):
    img = image_file(tmp_path / "a.nii", shape=(7, 6, 5, 4, 3), scaling=(2.0, 1.0))
    to_zarr(img, tmp_path / "a.nii.zarr")
    root = json.loads(Path(tmp_path, "a.nii.zarr", "zarr.json").read_text())
    assert (root["zarr_format"], root["node_type"]) == (3, "group")
    ome = root["attributes"]["ome"]
    (multiscale,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert [axis["name"] for axis in multiscale["axes"]] == ["t", "c", "z", "y", "x"]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [
        "millisecond", None, "millimeter", "millimeter", "millimeter",
    ]  # fmt: skip
    x, y, z = img.header.get_zooms()[:3]
    (dataset,) = multiscale["datasets"]
    assert dataset["path"] == "0"
    assert dataset["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 1.0, float(z), float(y), float(x)]}
    ]
    assert multiscale["coordinateTransformations"] == [
        {"type": "scale", "scale": [2500.0, 1.0, 1.0, 1.0, 1.0]}
    ]
    array = json.loads(Path(tmp_path, "a.nii.zarr", "0", "zarr.json").read_text())
    assert array["dimension_names"] == ["t", "c", "z", "y", "x"]
    assert [codec["name"] for codec in array["codecs"]] == ["bytes", "blosc", "crc32c"]
    # Reading by the specification: stored values, and the header in one chunk of plain bytes.
    group = zarr.open_group(tmp_path / "a.nii.zarr", mode="r")
    raw = np.asarray(group["nifti"])
    assert group["nifti"].chunks == raw.shape
    header = nib.Nifti1Header.from_fileobj(io.BytesIO(raw.tobytes()))
    np.testing.assert_array_equal(header.get_best_affine(), img.affine)
    assert header.get_slope_inter() == (2.0, 1.0)
    stored = group["0"][...].transpose(4, 3, 2, 0, 1)
    np.testing.assert_array_equal(stored, img.dataobj.get_unscaled())


def test_header_without_extensions_is_its_own_length(tmp_path):
    for kind, length in ((nib.Nifti1Image, 348), (nib.Nifti2Image, 540)):
        to_zarr(kind(np.zeros((2, 2, 2), "f4"), np.eye(4)), tmp_path / "a.zarr", overwrite=True)
        assert zarr.open_group(tmp_path / "a.zarr")["nifti"].shape == (length,)


def test_values_are_kept_to_the_bit(tmp_path):
    values = np.zeros((4, 4, 4, 3), "f4")
    values[..., 1] = -0.0
    values[..., 2] = np.nan
    to_zarr(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.zarr")
    found = np.asarray(from_zarr(tmp_path / "a.zarr").dataobj)
    assert found.tobytes(order="F") == values.tobytes(order="F")


def test_types_and_scaling_are_those_of_save(tmp_path):
    img = nib.Nifti1Image(run_like((5, 6, 4, 3)), np.eye(4))
    for target in ("a.zarr", "a.nii"):
        lv.save(img, tmp_path / target, dtype="int16", scale="auto")
    assert_same(lv.load(tmp_path / "a.zarr"), nib.load(tmp_path / "a.nii"))
    with pytest.raises(ScalingError, match=r"a\.zarr"):
        to_zarr(img, tmp_path / "a.zarr", dtype="uint8", overwrite=True)
    assert_same(lv.load(tmp_path / "a.zarr"), nib.load(tmp_path / "a.nii"))


def test_computed_images_in_one_pass(tmp_path):
    source, img = image_over(CountingSource, run_like((16, 16, 8, 20)), compression="gzip")
    smooth = image.smooth_img(img, 4)
    to_zarr(smooth, tmp_path / "a.zarr", chunks="space", memory="64MB")
    source.assert_each_byte_once()
    np.testing.assert_array_equal(
        np.asarray(from_zarr(tmp_path / "a.zarr").dataobj), np.asarray(smooth.dataobj)
    )


def small_tiles(monkeypatch):
    """Let tiles be so small that chunks of all volumes do not fit them."""
    monkeypatch.setattr("lazyvox.lazyimage.zarr_tiles._MOST_TILE_BYTES", 1 << 16)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_chunks_of_all_times_do_not_hold_the_image(compression, monkeypatch, tmp_path):
    small_tiles(monkeypatch)
    values = run_like((16, 16, 8, 20), "i2")
    source, img = image_over(CountingSource, values, compression=compression)
    prepared = prepare_save(img, tmp_path / "a.zarr", chunks=(8, 8, 1, 20))
    assert not prepared.zarr.tiles.is_consecutive
    assert prepared.zarr.tiles.n_values * 2 < values.nbytes / 4
    # A compressed file is decoded once, into a temporary file.
    assert (prepared.plan.scratch_bytes > 2 * values.nbytes) == (compression == "gzip")
    prepared.run()
    if compression == "gzip":
        source.assert_each_byte_once()
    np.testing.assert_array_equal(np.asarray(from_zarr(tmp_path / "a.zarr").dataobj), values)


def test_write_of_a_scan_writes_a_store(example_folder, tmp_path):
    scan = lv.Scan(example_folder / "run.nii.gz")
    copy = scan.add(lv.Write(tmp_path / "copy.zarr"))
    scan.run()
    assert_same(lv.load(copy.result()), nib.load(example_folder / "run.nii.gz"))


def test_store_of_zarr_in_place_of_a_folder(tmp_path):
    expected = image_file(tmp_path / "a.nii")
    store = zarr.storage.MemoryStore()
    to_zarr(expected, store)
    assert_same(from_zarr(store), expected)
    assert_same(from_zarr(zarr.open_group(store, mode="r")), expected)
    with pytest.raises(OutputExistsError, match="the store must not hold a group yet"):
        to_zarr(expected, store)
    to_zarr(expected, store, chunks="space", overwrite=True)
    assert_same(from_zarr(store), expected)


def test_reading_decodes_the_chunks_that_are_needed(tmp_path, monkeypatch):
    image_file(tmp_path / "a.nii", shape=(8, 8, 8, 12))
    to_zarr(tmp_path / "a.nii", tmp_path / "a.zarr", chunks=(4, 4, 4, 6))
    decoded = []
    decode = ChunkedReader.decode

    def counted(self, number, absent):
        decoded.append(number)
        return decode(self, number, absent)

    monkeypatch.setattr(ChunkedReader, "decode", counted)
    img = from_zarr(tmp_path / "a.zarr")
    np.asarray(img.dataobj[5, 1, 2, :])
    assert sorted(decoded) == [(1, 0, 0, 0), (1, 0, 0, 1)]
    decoded.clear()
    lv.explain(img * 2)
    img.slicer[..., 3]
    assert decoded == []
    to_dask(img)[..., 7].compute(scheduler="synchronous")
    assert sorted(decoded) == [(i, j, k, 1) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    decoded.clear()
    # Block after block of volumes that share their chunks.
    monkeypatch.setattr("lazyvox.planning.blocks.TARGET_BLOCK_BYTES", 8 * 8 * 8 * 2)
    lv.mean_img(img)
    assert len(decoded) == len(set(decoded)) == 16


@pytest.mark.parametrize("kept_bytes", [1 << 20, 10])
def test_chunks_of_many_volumes_are_kept_in_memory_or_on_disk(kept_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.array.chunked_reader._KEPT_BYTES", kept_bytes)
    expected = image_file(tmp_path / "a.nii", shape=(5, 6, 7, 11))
    to_zarr(expected, tmp_path / "a.zarr", chunks=(2, 4, 3, 4))
    array = from_zarr(tmp_path / "a.zarr").dataobj
    assert (array.reader.file_bytes > 0) == (kept_bytes == 10)
    values = np.asarray(expected.dataobj)
    with array.open() as session:
        assert isinstance(session, ChunkedSession)
        for t in range(11):
            np.testing.assert_array_equal(array.view((..., t)).read_in(session), values[..., t])


def test_auto_chunks_of_dask_are_those_of_the_store(tmp_path):
    expected = image_file(tmp_path / "a.nii", shape=(5, 6, 7, 11))
    to_zarr(expected, tmp_path / "a.zarr", chunks=(2, 6, 3, 4))
    voxels = to_dask(tmp_path / "a.zarr")
    assert voxels.chunks == ((2, 2, 1), (6,), (3, 3, 1), (4, 4, 3))
    np.testing.assert_array_equal(
        voxels.compute(scheduler="synchronous"), np.asarray(expected.dataobj)
    )


def test_loads_pickles_and_saves_like_other_images(tmp_path):
    expected = image_file(tmp_path / "a.nii")
    to_zarr(expected, tmp_path / "a.zarr")
    img = lv.load(tmp_path / "a.zarr")
    assert img.get_filename() == str(tmp_path / "a.zarr")
    assert_same(pickle.loads(pickle.dumps(img)), expected)
    lv.save(img, tmp_path / "b.nii")
    assert_same(lv.load(tmp_path / "b.nii"), expected)
    # Onto itself.
    lv.save(img, tmp_path / "a.zarr", dtype="float32")
    assert lv.load(tmp_path / "a.zarr", dtype="f8").dataobj.dtype == np.float64
    with pytest.raises(FileChangedError, match="changed on disk"):
        img.get_fdata()
    with pytest.raises(ParameterError, match="mmap=True needs an uncompressed NIfTI"):
        lv.load(tmp_path / "a.zarr", mmap=True)


def without_header(folder, **attributes):
    """Write a pyramid of OME-Zarr without a NIfTI header; return the values of its level 1."""
    group = zarr.create_group(folder, overwrite=True, attributes=attributes)
    fine = np.arange(3 * 4 * 8 * 6, dtype="u2").reshape(3, 4, 8, 6)
    for name, values in (("a", fine), ("b", fine[:, ::2, ::2, ::2])):
        array = group.create_array(name, shape=values.shape, chunks=(1, 2, 2, 2), dtype="u2")
        array[...] = values
    return fine


MULTISCALE = {
    "axes": [
        {"name": "t", "type": "time", "unit": "millisecond"},
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ],
    "datasets": [
        {
            "path": path,
            "coordinateTransformations": [
                {"type": "scale", "scale": [1, 10 * by, 5 * by, 5 * by]},
                {"type": "translation", "translation": [0, 3, 2, 1]},
            ],
        }
        for path, by in (("a", 1), ("b", 2))
    ],
    "coordinateTransformations": [{"type": "scale", "scale": [100, 1, 1, 1]}],
}


@pytest.mark.parametrize(
    "attributes", [{"ome": {"multiscales": [MULTISCALE]}}, {"multiscales": [MULTISCALE]}]
)
def test_other_images_of_ome_zarr_get_a_header(attributes, tmp_path):
    fine = without_header(tmp_path / "a.zarr", **attributes)
    img = from_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(np.asarray(img.dataobj), fine.T)
    np.testing.assert_allclose(
        img.affine,
        [[0.005, 0, 0, 0.001], [0, 0.005, 0, 0.002], [0, 0, 0.01, 0.003], [0, 0, 0, 1]],
        atol=1e-9,
    )
    np.testing.assert_allclose(img.header.get_zooms(), [0.005, 0.005, 0.01, 0.1])
    coarse = from_zarr(tmp_path / "a.zarr", level=1)
    np.testing.assert_array_equal(np.asarray(coarse.dataobj), fine[:, ::2, ::2, ::2].T)
    np.testing.assert_allclose(np.diag(coarse.affine)[:3], [0.01, 0.01, 0.02])
    np.testing.assert_allclose(coarse.header.get_zooms()[:3], [0.01, 0.01, 0.02])


def test_level_of_a_pyramid_with_a_header_lies_in_the_same_place(tmp_path):
    img = nib.Nifti1Image(np.zeros((6, 8, 4, 3), "u2"), OBLIQUE)
    to_zarr(img, tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "a.zarr")
    ome = group.attrs["ome"]
    (scale,) = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    z, y, x = scale["scale"][1:]
    half = {"type": "scale", "scale": [1, 2 * z, 2 * y, 2 * x]}
    moved = {"type": "translation", "translation": [0, z / 2, y / 2, x / 2]}
    ome["multiscales"][0]["datasets"].append(
        {"path": "1", "coordinateTransformations": [half, moved]}
    )
    group.attrs["ome"] = ome
    group.create_array("1", shape=(3, 2, 4, 3), chunks=(3, 2, 4, 3), dtype="u2")
    coarse = from_zarr(tmp_path / "a.zarr", level=1)
    assert coarse.shape == (3, 4, 2, 3)
    np.testing.assert_allclose(
        coarse.affine @ [0, 0, 0, 1], OBLIQUE @ [0.5, 0.5, 0.5, 1], atol=1e-6
    )
    np.testing.assert_allclose(coarse.header.get_sform(), coarse.affine, atol=1e-6)
    with pytest.raises(ParameterError, match=r"`level` must be from 0 to 1.*Got 2"):
        from_zarr(tmp_path / "a.zarr", level=2)


def test_stores_that_are_no_images_are_refused(tmp_path):
    with pytest.raises(ImageNotFoundError, match="no such folder"):
        from_zarr(tmp_path / "missing.zarr")
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(UnsupportedFormatError, match="must hold a Zarr group"):
        from_zarr(tmp_path / "folder.zarr")
    zarr.create_array(tmp_path / "array.zarr", shape=(3,), dtype="f4")
    with pytest.raises(UnsupportedFormatError, match="must hold a Zarr group"):
        lv.load(tmp_path / "array.zarr")
    zarr.create_group(tmp_path / "group.zarr")
    with pytest.raises(UnsupportedFormatError, match="must be NIfTI-Zarr or another OME-Zarr"):
        lv.load(tmp_path / "group.zarr")


@pytest.mark.parametrize(
    ("head", "complaint"),
    [(b"short", "must hold a NIfTI header. Got 5 bytes"), (None, "must be of the stored array")],
)
def test_damaged_headers_are_refused(head, complaint, tmp_path):
    to_zarr(nib.Nifti1Image(np.zeros((3, 4, 5, 2), "f4"), np.eye(4)), tmp_path / "a.zarr")
    if head is None:
        other = nib.Nifti1Header()
        other.set_data_shape((3, 4, 6, 2))
        other.set_data_dtype("f4")
        other["vox_offset"] = 352
        head = other.binaryblock
    group = zarr.open_group(tmp_path / "a.zarr")
    group.create_array("nifti", shape=(len(head),), dtype="u1", overwrite=True)
    group["nifti"][:] = np.frombuffer(head, "u1")
    with pytest.raises(HeaderError, match=complaint):
        from_zarr(tmp_path / "a.zarr")


@pytest.mark.parametrize("place", [None, 0, 100, -1])
def test_damaged_chunk_is_an_error_that_names_its_place(tmp_path, place):
    to_zarr(nib.Nifti1Image(run_like((8, 8, 8, 3)), np.eye(4)), tmp_path / "a.zarr")
    chunk = Path(tmp_path, "a.zarr", "0", "c", "1", "0", "0", "0")
    content = bytearray(chunk.read_bytes() if place is not None else b"no chunk")
    content[place or 0] ^= 4
    chunk.write_bytes(content)
    img = lv.load(tmp_path / "a.zarr")
    np.asarray(img.dataobj[..., 2])
    with pytest.raises(ReadError, match=r"the chunk at \(0, 0, 0, 1\) could not be read"):
        np.asarray(img.dataobj)


@pytest.mark.parametrize("name", ["0", "nifti"])
def test_damaged_metadata_are_an_error_of_the_store(tmp_path, name):
    to_zarr(nib.Nifti1Image(run_like((8, 8, 8, 3)), np.eye(4)), tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / name / "zarr.json").write_text("{")
    with pytest.raises(UnsupportedFormatError, match=r"a\.zarr: the array .* that zarr can open"):
        from_zarr(tmp_path / "a.zarr")


def test_outputs_that_cannot_be_are_refused_before_anything_is_read(tmp_path):
    img = nib.Nifti1Image(np.zeros((3, 4, 5, 2), "f4"), np.eye(4))
    with pytest.raises(ParameterError, match=r"must end in \.zarr"):
        to_zarr(img, tmp_path / "a.nii")
    with pytest.raises(OutputFolderError, match="Create the folder first"):
        to_zarr(img, tmp_path / "missing" / "a.zarr")
    with pytest.raises(ParameterError, match=r"from 0 to 9 for a Zarr store\. Got 22"):
        to_zarr(img, tmp_path / "a.zarr", compresslevel=22)
    six = nib.Nifti1Image(np.zeros((2,) * 6, "f4"), np.eye(4))
    with pytest.raises(ParameterError, match="must have 2 to 5 axes"):
        to_zarr(six, tmp_path / "a.zarr")
    colours = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(ParameterError, match="a Zarr store holds numbers"):
        to_zarr(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "a.zarr")
    with pytest.raises(MemoryBudgetError, match="must hold the buffers of writing"):
        to_zarr(img, tmp_path / "a.zarr", memory="1MB")
    assert list(tmp_path.iterdir()) == []


def test_existing_folders(tmp_path):
    img = nib.Nifti1Image(run_like((3, 4, 5, 2)), np.eye(4))
    to_zarr(img, tmp_path / "a.zarr")
    with pytest.raises(OutputExistsError, match="must not exist yet"):
        to_zarr(img, tmp_path / "a.zarr")
    to_zarr(img, tmp_path / "a.zarr", chunks="space", overwrite=True)
    (tmp_path / "thesis.zarr").mkdir()
    (tmp_path / "thesis.zarr" / "chapter.tex").write_text("all of it")
    with pytest.raises(OutputError, match="only a folder of the same kind can be replaced"):
        to_zarr(img, tmp_path / "thesis.zarr", overwrite=True)
    (tmp_path / "file.zarr").write_text("a file")
    with pytest.raises(OutputError, match="a file has its name"):
        to_zarr(img, tmp_path / "file.zarr", overwrite=True)
    (tmp_path / "link.zarr").symlink_to("a.zarr")
    to_zarr(img, tmp_path / "link.zarr", overwrite=True)
    assert (tmp_path / "link.zarr").is_symlink()
    names = {one.name for one in tmp_path.iterdir()}
    assert names == {"a.zarr", "thesis.zarr", "file.zarr", "link.zarr"}


@pytest.mark.parametrize("target", ["a.zarr", "new.zarr"])
def test_failures_leave_nothing_behind(target, tmp_path, monkeypatch):
    good = nib.Nifti1Image(run_like((3, 4, 5, 2)), np.eye(4))
    to_zarr(good, tmp_path / "a.zarr")
    path = tmp_path / "cut.nii"
    lv.save(nib.Nifti1Image(run_like((20, 20, 20, 9)), np.eye(4)), path)
    img = lv.load(path)
    path.write_bytes(path.read_bytes()[:99_999])
    with pytest.raises(FileChangedError, match="changed on disk"):
        to_zarr(img, tmp_path / target, overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OutputError, match=r"What was there before is intact.*Free space"):
            to_zarr(good, tmp_path / target, overwrite=True)
    assert {one.name for one in tmp_path.iterdir()} == {"a.zarr", "cut.nii"}
    assert_values = np.asarray(from_zarr(tmp_path / "a.zarr").dataobj)
    np.testing.assert_array_equal(assert_values, np.asarray(good.dataobj))


def test_failure_leaves_no_image_in_another_store(tmp_path):
    path = tmp_path / "cut.nii"
    lv.save(nib.Nifti1Image(run_like((20, 20, 20, 9)), np.eye(4)), path)
    img = lv.load(path)
    path.write_bytes(path.read_bytes()[:99_999])
    store = zarr.storage.MemoryStore()
    with pytest.raises(FileChangedError, match="changed on disk"):
        to_zarr(img, store)
    assert list(zarr.open_group(store, mode="r")) == []


def test_full_disk_is_an_output_error(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    img = nib.Nifti1Image(run_like((3, 4, 5, 2)), np.eye(4))
    with pytest.raises(OutputError, match=r"No space left on device.*Free space on that disk"):
        to_zarr(img, tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_processes_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.store.files.temporary.is_dead", lambda pid: True)
    left = tmp_path / f".a.zarr.1-{host_tag()}00000000.tmp"
    (left / "0").mkdir(parents=True)
    to_zarr(nib.Nifti1Image(run_like((3, 4, 5)), np.eye(4)), tmp_path / "a.zarr")
    assert [one.name for one in tmp_path.iterdir()] == ["a.zarr"]


def test_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"package zarr .*pip install zarr"):
        to_zarr(nib.Nifti1Image(run_like((3, 4, 5)), np.eye(4)), tmp_path / "a.zarr")
    with pytest.raises(MissingDependencyError, match=r"package zarr .*pip install zarr"):
        from_zarr(tmp_path / "a.zarr")
