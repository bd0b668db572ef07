"""Every array reader keeps the contract of readers."""

import nibabel
import numpy as np
import pytest

from lazyvox.array import ConcatReader, FileReader, MappedReader
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
