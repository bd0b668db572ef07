"""Every array reader keeps the contract of readers."""

import nibabel
import numpy as np
import pytest

from lazyvox.array import ConcatReader, FileReader, MappedReader
from lazyvox.array.chunked_reader import ChunkedReader
from lazyvox.array.memory_reader import MemoryReader
from lazyvox.planning.spec import ArraySpec
from lazyvox.store import open_source
from lazyvox.testing import check_array_reader, compress, random_values, write_lazy_array

SHAPES = [(9,), (5, 4), (4, 5, 6), (6, 5, 4, 7), (4, 4, 4, 4, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "zstd"])
def test_file_reader(tmp_path, shape, compression):
    values = random_values(shape, ">i4")
    path = tmp_path / "file"
    path.write_bytes(compress(b"header" + values.tobytes(order="F"), compression))
    check_array_reader(
        lambda: FileReader(open_source(path), ArraySpec(shape, values.dtype, 6)), values
    )


@pytest.mark.parametrize("dtype", ["u1", "<c16", [("R", "u1"), ("G", "u1"), ("B", "u1")]], ids=str)
def test_file_reader_with_types_of_every_size(tmp_path, dtype):
    values = random_values((4, 5, 6), dtype)
    path = tmp_path / "file"
    path.write_bytes(values.tobytes(order="F"))
    check_array_reader(
        lambda: FileReader(open_source(path), ArraySpec(values.shape, values.dtype)), values
    )


def test_file_reader_with_volumes_larger_than_its_scratch_memory(tmp_path):
    values = random_values((130, 90, 30, 4), "<i4")
    path = tmp_path / "file"
    path.write_bytes(values.tobytes(order="F"))
    check_array_reader(
        lambda: FileReader(open_source(path), ArraySpec(values.shape, values.dtype)), values
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mapped_reader(tmp_path, shape):
    values = random_values(shape, ">i4")
    source = write_lazy_array(tmp_path / "file", values).reader.source
    check_array_reader(lambda: MappedReader(source, ArraySpec(shape, values.dtype, 352)), values)


def test_memory_reader():
    values = random_values((4, 5, 6, 7), "<i4")
    check_array_reader(lambda: MemoryReader(values, "values", values.shape, values.dtype), values)


def test_memory_reader_over_a_proxy_of_nibabel(tmp_path):
    values = random_values((4, 5, 6, 7), "<i2")
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    proxy = nibabel.load(tmp_path / "a.nii.gz").dataobj
    check_array_reader(lambda: MemoryReader(proxy, "a", values.shape, values.dtype), values)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_concatenated_readers(tmp_path, compression):
    values = random_values((4, 5, 6, 11), "<i2")
    cuts = {"a": values[..., :4], "b": values[..., 4], "c": values[..., 5:6], "d": values[..., 6:]}
    parts = tuple(
        write_lazy_array(tmp_path / name, part, compression=compression)
        for name, part in cuts.items()
    )
    check_array_reader(lambda: ConcatReader(parts), values)


class InChunks:
    """An array that is sliced as one of a Zarr store is: basic slices, in the order of C."""

    def __init__(self, values, chunks):
        self.values, self.chunks = values, chunks
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key):
        return self.values[key].copy(order="C")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("edge", [3, 9])
def test_chunked_reader(shape, edge):
    values = random_values(shape, "<i4")
    stored = InChunks(values.T, (edge,) * len(shape))
    place = tuple(reversed(range(len(shape))))
    check_array_reader(lambda: ChunkedReader(stored, place, "a.zarr"), values)


def test_chunked_reader_of_axes_in_another_order_and_one_that_is_not_stored():
    values = random_values((4, 5, 1, 6), "<i4")
    stored = InChunks(values[:, :, 0].transpose(2, 0, 1), (2, 3, 5))
    reader = ChunkedReader(stored, (1, 2, None, 0), "a.zarr")
    assert (reader.shape, reader.chunks) == ((4, 5, 1, 6), (3, 5, 1, 2))
    with reader.open(tuple(map(range, values.shape))) as session:
        out = np.empty((2, 5, 3), "<i4")
        session.read((range(2, 4), range(5), 0, (5, 0, 1)), out)
    np.testing.assert_array_equal(out, values[2:, :, 0][..., [5, 0, 1]])
