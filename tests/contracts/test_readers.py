"""Every array reader keeps the contract of readers."""

import pytest

from lazyvox.array import FileReader
from lazyvox.plan.spec import ArraySpec
from lazyvox.store import open_source
from lazyvox.testing import check_array_reader, compress, random_values

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
