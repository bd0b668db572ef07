import csv

import numpy as np
import pytest

from lazyvox.errors import OutputExistsError, ParameterError
from lazyvox.extraction.rows import RowsPlan
from lazyvox.extraction.tables import (
    StoredTable,
    TableSpec,
    save_table,
    table_memory,
    write_npz,
)
from lazyvox.store.files.paths import split_target

ENDINGS = [".npy", ".tsv", ".csv", ".parquet"]


def spec_of(values, names=None):
    names = names or [f"c{i}" for i in range(values.shape[1])]
    return TableSpec(values.shape, values.dtype, lambda: names)


def random_table(dtype="f8", shape=(23, 5), seed=0):
    values = np.random.default_rng(seed).normal(size=shape) * 10.0 ** np.arange(shape[1])
    return values.astype(dtype)


def grow(path, values, step, overwrite=False):
    rows = RowsPlan(spec_of(values), None if path is None else str(path), overwrite).open()
    for start in range(0, len(values), step):
        part = rows.part(start, len(values[start : start + step]))
        part[...] = values[start : start + step]
        rows.add(part, start)
    return rows.finish()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i8", "u1"])
@pytest.mark.parametrize("step", [1, 4, 23])
def test_rows_read_back_exactly(tmp_path, ending, dtype, step):
    values = random_table(dtype)
    stored = grow(tmp_path / f"out{ending}", values, step)
    found = stored.load()
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_special_floats_survive(tmp_path, ending):
    values = np.array([[np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308]])
    stored = grow(tmp_path / f"out{ending}", values, 1)
    np.testing.assert_array_equal(stored.load(), values)
    assert np.signbit(stored.load()[0, 3])


def test_memory_rows_are_filled_in_place():
    values = random_table()
    assert (grow(None, values, 4) == values).all()


def test_npy_is_what_numpy_writes(tmp_path):
    values = random_table("f4")
    grow(tmp_path / "ours.npy", values, 3)
    np.save(tmp_path / "theirs.npy", values)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


def test_stored_npy_is_read_on_demand(tmp_path):
    stored = grow(tmp_path / "out.npy", random_table(), 3)
    assert isinstance(stored, StoredTable)
    assert isinstance(stored.load(), np.memmap)


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_seen_before_the_end_nor_after_an_abort(tmp_path, ending):
    values = random_table()
    target = tmp_path / f"out{ending}"
    rows = RowsPlan(spec_of(values), str(target)).open()
    rows.add(values[:4], 0)
    assert not target.exists()
    rows.abort()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_abort_leaves_an_older_file_intact(tmp_path, ending):
    target = tmp_path / f"out{ending}"
    target.write_bytes(b"older")
    values = random_table()
    rows = RowsPlan(spec_of(values), str(target), overwrite=True).open()
    rows.add(values, 0)
    rows.abort()
    assert target.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_abort_after_the_end_keeps_the_file(tmp_path):
    values = random_table()
    rows = RowsPlan(spec_of(values), str(tmp_path / "out.npy")).open()
    rows.add(values, 0)
    rows.finish()
    rows.abort()
    assert (np.load(tmp_path / "out.npy") == values).all()


@pytest.mark.parametrize(("ending", "delimiter"), [(".tsv", "\t"), (".csv", ",")])
def test_hostile_names_stay_in_their_cell(tmp_path, ending, delimiter):
    names = ["tab\there", "line\nbreak", 'quo"te', "com,ma", "=HYPERLINK(1)", "@x", "-5", "-x"]
    values = random_table(shape=(2, 8))
    save_table(tmp_path / f"out{ending}", values, spec_of(values, names), overwrite=False)
    with (tmp_path / f"out{ending}").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter=delimiter)
    assert header == [*names[:4], "'=HYPERLINK(1)", "'@x", "-5", "'-x"]
    assert [len(row) for row in rows] == [8, 8]


def test_pandas_reads_the_same_numbers(tmp_path):
    pandas = pytest.importorskip("pandas")
    values = random_table()
    save_table(tmp_path / "out.tsv", values, spec_of(values), overwrite=False)
    save_table(tmp_path / "out.parquet", values, spec_of(values), overwrite=False)
    frame = pandas.read_csv(tmp_path / "out.tsv", sep="\t")
    np.testing.assert_allclose(frame.to_numpy(), values, rtol=1e-15)
    assert (pandas.read_parquet(tmp_path / "out.parquet").to_numpy() == values).all()
    assert list(frame.columns) == ["c0", "c1", "c2", "c3", "c4"]


def test_parquet_has_several_row_groups_for_long_tables(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    values = random_table(shape=(5000, 2))
    save_table(tmp_path / "out.parquet", values, spec_of(values), overwrite=False)
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups > 1
    assert table_memory("out.parquet", spec_of(values)) < 3 * values.nbytes


def test_existing_file_is_refused(tmp_path):
    (tmp_path / "out.npy").touch()
    with pytest.raises(OutputExistsError, match=r"out\.npy: the output exists. Pass overwrite"):
        grow(tmp_path / "out.npy", random_table(), 3)
    grow(tmp_path / "out.npy", random_table(), 3, overwrite=True)


def test_complex_needs_npy(tmp_path):
    values = np.ones((2, 2), "c8")
    save_table(tmp_path / "out.npy", values, spec_of(values), overwrite=False)
    with pytest.raises(ParameterError, match=r"complex values need \.npy"):
        save_table(tmp_path / "out.tsv", values, spec_of(values), overwrite=False)


def test_npz_is_read_by_numpy(tmp_path):
    tables = [("left", random_table("f4")), ("a/b", random_table("i2")), ("left", random_table())]
    write_npz(tmp_path / "out.npz", tables, overwrite=False)
    with np.load(tmp_path / "out.npz") as archive:
        assert archive.files == ["left", "a_b", "left_2"]
        for name, (_, values) in zip(archive.files, tables, strict=True):
            assert archive[name].dtype == values.dtype
            assert (archive[name] == values).all()
    with pytest.raises(OutputExistsError, match="the output exists"):
        write_npz(tmp_path / "out.npz", tables, overwrite=False)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", ".hidden", "", "a\x00b", "x" * 5 + "/"])
def test_names_stay_in_the_folder(tmp_path, name):
    (path,) = split_target(tmp_path / "out.npy", [name])
    assert path.rsplit("/", 1)[0] == str(tmp_path)
    assert path.endswith(".npy")
