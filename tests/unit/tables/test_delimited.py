"""Text files as spreadsheets, pandas, R, NumPy and AFNI write them."""

import gzip
import os

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.sample_mask import read_sample_mask
from lazyvox.connectome.matrix_file import write_matrix
from lazyvox.errors import ParameterError, ReadError, RegionError
from lazyvox.extraction.seeds import read_seeds
from lazyvox.extraction.tables import TableSpec, save_table
from lazyvox.signal import clean
from lazyvox.signal.confound_files import read_confounds
from lazyvox.signal.confounds import Confounds
from lazyvox.tables.delimited import open_delimited
from lazyvox.tables.labels import read_label_table
from lazyvox.tables.numeric import open_text

VALUES = [[0.5, -1.0], [0.25, 2.0], [4.0, 1e-3]]


def write(tmp_path, content, name="table.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    table = open_text(path)
    return table.names, table.read_all().tolist()


def lines(separator, *, names=("a", "b"), front=(), end=""):
    rows = [[*map(str, row)] for row in VALUES]
    if front:
        rows = [[cell, *row] for cell, row in zip(front, rows, strict=True)]
    return "".join(separator.join(row) + end + "\n" for row in [list(names), *rows])


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.txt", "t.1D", "t"])
@pytest.mark.parametrize("separator", ["\t", ",", ";", " ", "   "])
def test_the_separator_is_that_which_divides_the_lines(tmp_path, separator, name):
    assert read(write(tmp_path, lines(separator), name)) == (("a", "b"), VALUES)


@pytest.mark.parametrize(
    ("content", "names", "column"),
    [
        ("Left, upper Insula\n0.5\n", ("Left, upper Insula",), [0.5]),
        ("Left Insula\r\n0.5\r\n\r\n", ("Left Insula",), [0.5]),
        ('"a;b"\tc\n0.5\t1\n', ("a;b", "c"), [0.5, 1.0]),
        ('"two\nlines"\tc\n0.5\t1\n', ("two\nlines", "c"), [0.5, 1.0]),
        ('"a ""b"""\tc" d\n"0.5"\t1\n', ('a "b"', 'c" d'), [0.5, 1.0]),
        ("\n \na\tb\r0.5\t1\r", ("a", "b"), [0.5, 1.0]),
        ("\ufeffa\tb\n0.5\t1", ("a", "b"), [0.5, 1.0]),
    ],
    ids=["comma", "blank", "semicolon", "newline", "quotes", "old Macintosh", "byte order mark"],
)
def test_names_may_hold_what_separates_elsewhere(tmp_path, content, names, column):
    assert read(write(tmp_path, content)) == (names, [column])


@pytest.mark.parametrize("first", ["", "Unnamed: 0", "Unnamed: 0.1"])
@pytest.mark.parametrize("start", [0, 1])
def test_row_numbers_of_pandas_are_no_column(tmp_path, first, start):
    numbers = [str(start + row) for row in range(3)]
    path = write(tmp_path, lines("\t", names=(first, "a", "b"), front=numbers))
    assert read(path) == (("a", "b"), VALUES)
    assert read_confounds(path)[1] == ("a", "b")


def test_row_numbers_of_r_have_no_title(tmp_path):
    assert read(write(tmp_path, lines("\t", front=('"1"', '"2"', '"3"')))) == (("a", "b"), VALUES)


@pytest.mark.parametrize("front", [("5", "6", "7"), ("0", "2", "4"), ("x", "y", "z")])
def test_a_column_without_a_name_that_counts_nothing_is_refused(tmp_path, front):
    path = write(tmp_path, lines("\t", names=("", "a", "b"), front=front))
    with pytest.raises(
        ParameterError, match=r"table\.tsv: every column must have a name.*col.* 1"
    ):
        open_text(path).read_all()
    assert open_text(path).read(["b"])[:, 0].tolist() == [-1.0, 2.0, 1e-3]


def test_frames_have_the_same_rule():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"Unnamed: 0": range(40), "a": np.arange(40.0) % 7})
    signals = np.random.default_rng(0).normal(size=(40, 2)) + np.arange(40)[:, None]
    options = {"detrend": False, "standardize": None}
    np.testing.assert_array_equal(
        clean(signals, confounds=frame, **options),
        clean(signals, confounds=frame[["a"]], **options),
    )
    frame["Unnamed: 0"] = np.sin(frame["a"])
    with pytest.raises(ParameterError, match="every column must have a name"):
        clean(signals, confounds=frame)


@pytest.mark.parametrize("title_end", ["", "\t"])
def test_separators_at_the_end_make_no_column(tmp_path, title_end):
    text = lines("\t", end="\t")
    first, rest = text.split("\n", 1)
    path = write(tmp_path, first.rstrip("\t") + title_end + "\n" + rest)
    assert read(path) == (("a", "b"), VALUES)


def test_a_value_beyond_the_last_title_is_an_error_with_its_line(tmp_path):
    path = write(tmp_path, "a\tb\n1\t2\t\n3\t4\t5\n")
    with pytest.raises(ParameterError, match=r"table\.tsv, line 3: .* 2 columns\. Got 3"):
        open_text(path).read_all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Größe\n1\n".encode("latin-1"), r"line 1: a table must be text in UTF-8\. Got other"),
        (b"a\n1\n\xe4\n", r"line 3: a table must be text in UTF-8"),
        ("a\n1\n".encode("utf-16"), r"line 1: .* Got UTF-16\. Save it as UTF-8"),
        ("a\n1\n".encode("utf-16-le"), r"line 1: .* Got bytes of zero, as in UTF-16"),
        ('a\tb\n1\t"A\n2\tB\n', r"line 2: the table is malformed \(unexpected end of data\)"),
        ('a\tb\n1\t"A\n2\t"B\n', r"line 2: the table is malformed .* begins with a quote"),
        (
            gzip.compress(b"a\n" + b"1\n" * 99, mtime=0)[:-9],
            "the gzip data are damaged or incomplete",
        ),
    ],
)
def test_what_is_no_text_or_no_table_says_where(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ParameterError, match=message):
        open_text(path).read_all()


def test_gzipped_tables_are_tables(tmp_path):
    path = write(tmp_path, gzip.compress(lines("\t").encode()), "c.tsv.gz")
    assert read(path) == (("a", "b"), VALUES)
    assert lv.load_confounds(path, columns="a,b", demean=False).values.tolist() == VALUES


READERS = {
    "confounds": (read_confounds, ParameterError),
    "load_confounds": (lambda path: lv.load_confounds(path, columns="x"), ParameterError),
    "seeds": (read_seeds, RegionError),
    "names": (read_label_table, RegionError),
    "volumes": (lambda path: read_sample_mask(str(path)), ParameterError),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_other_encodings_and_pipes(tmp_path, reader):
    call, error = READERS[reader]
    for encoding in ("latin-1", "utf-16"):
        path = write(tmp_path, "index\tname\tx\ty\tz\n1\té\t1\t2\t3\n".encode(encoding))
        with pytest.raises(error, match=r"table\.tsv, line [12]: .* must be text in UTF-8"):
            call(path)
    os.mkfifo(tmp_path / "pipe.tsv")
    with pytest.raises(ReadError, match=r"pipe\.tsv: the file must be a regular file"):
        call(tmp_path / "pipe.tsv")


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_expands_the_home_folder(tmp_path, monkeypatch, reader):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/none\.tsv: no such file"):
        READERS[reader][0]("~/none.tsv")


def test_comments_are_for_those_who_ask(tmp_path):
    path = write(tmp_path, "# 3dROIstats\n0.5 1\n0.25 2\n# end\n", "t.1D")
    values, names, first_line = read_confounds(path)
    assert (values.tolist(), names, first_line) == ([[0.5, 1.0], [0.25, 2.0]], None, 2)
    assert open_delimited(write(tmp_path, "#1\t#2\n1\t2\n"), "a table").names == ("#1", "#2")


class TestSampleMask:
    @pytest.mark.parametrize(
        "content",
        ["4\n5\n6\n", "\ufeff4\n5\n6\n", "kept\n4\n5\n6\n", "4.0\r\n5\r\n6\r\n", "\n4\n5e0\n6"],
    )
    def test_every_number_counts(self, tmp_path, content):
        path = write(tmp_path, content, "keep.txt")
        assert read_sample_mask(str(path)).tolist() == [4, 5, 6]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("4,\n5\n", r"Got '4,' on line 1\."),
            ("O\n1\n", r"Got 'O' on line 1\."),
            ("4a\n5\n", r"Got '4a' on line 1\."),
            ("4,5,6\n", r"Got '4,5,6' on line 1\."),
            ("kept\n4.5\n", r"Got '4\.5' on line 2\."),
            ("kept\n4\nn/a\n", r"Got 'n/a' on line 3\."),
            ("", "a list of volumes must have at least one row"),
        ],
    )
    def test_anything_else_is_refused_with_its_line(self, tmp_path, content, message):
        with pytest.raises(ParameterError, match=message):
            read_sample_mask(str(write(tmp_path, content, "keep.txt")))


class TestConfoundsNameTheirTable:
    def test_a_missing_value_has_file_and_line(self, tmp_path):
        good = write(tmp_path, "a\n" + "".join(f"{k % 7}\n" for k in range(40)), "good.tsv")
        text = "\nb\n" + "".join(f"{k * k % 11}\n" for k in range(39)) + "n/a\n"
        bad = write(tmp_path, text, "bad.tsv")
        signals = np.random.default_rng(0).normal(size=(40, 2))
        match = r"nan in column b, row 39 \(counted from 0\) of .*bad\.tsv, line 42, and 1 such"
        with pytest.raises(ParameterError, match=match):
            clean(signals, confounds=[good, bad])

    def test_a_missing_value_of_one_run_among_several_has_file_and_line(self, tmp_path):
        good = write(tmp_path, "a\tb\n" + "1\t2\n" * 40, "good.tsv")
        rows = [f"{k % 7}\t{'n/a' if k == 5 else k * k % 11}\n" for k in range(40)]
        bad = write(tmp_path, "a\tb\n" + "".join(rows), "bad.tsv")
        img = nib.Nifti1Image(np.random.default_rng(0).normal(size=(2, 2, 2, 40)), np.eye(4))
        mask = nib.Nifti1Image(np.ones((2, 2, 2), "u1"), np.eye(4))
        match = r"column b, row 5 \(counted from 0\) of .*bad\.tsv, line 7 \(run 2\)"
        with pytest.raises(ParameterError, match=match):
            lv.extract([img, img], mask, confounds=[good, bad])
        missing = np.where(np.arange(40) == 5, np.nan, 1.0)[:, np.newaxis]
        chosen = [Confounds(missing, ("b",), None, "bad.tsv")] * 2
        match = r"row 5 \(counted from 0\) of bad\.tsv \(run 1\)"
        with pytest.raises(ParameterError, match=match):
            lv.extract([img, img], mask, confounds=chosen)

    def test_paths_may_be_bytes(self, tmp_path):
        rows = "".join(f"{k % 7}\t{k * k % 11}\n" for k in range(40))
        path = write(tmp_path, "a\tb\n" + rows)
        signals = np.random.default_rng(0).normal(size=(40, 2))
        expected = clean(signals, confounds=path)
        assert np.array_equal(clean(signals, confounds=os.fsencode(path)), expected)
        seeds = write(tmp_path, "x\ty\tz\n1\t2\t3\n", "seeds.tsv")
        assert read_seeds(os.fsencode(seeds)).xyz.tolist() == [[1, 2, 3]]

    def test_a_table_of_fmriprep_names_load_confounds(self, tmp_path):
        text = "a\tb\nn/a\t1\n" + "".join(f"{k % 7}\t{k * k % 11}\n" for k in range(39))
        path = write(tmp_path, text, "sub-1_desc-confounds_timeseries.tsv")
        signals = np.random.default_rng(0).normal(size=(40, 2))
        with pytest.raises(ParameterError, match=r"by confounds=lazyvox\.load_confounds\(path"):
            clean(signals, confounds=path)


@pytest.mark.parametrize("name", ["m.tsv", "m.csv"])
def test_names_with_any_end_of_a_line_read_back(tmp_path, name):
    names = ["le\rft", "ri\nght", "bo\r\nth"]
    spec = TableSpec((3, 3), np.dtype(np.float64), lambda: names)
    save_table(tmp_path / name, np.ones((3, 3)), spec, overwrite=False)
    assert read(tmp_path / name) == (tuple(names), [[1.0] * 3] * 3)
    write_matrix(str(tmp_path / f"matrix_{name}"), np.eye(3), names, overwrite=False)
    rows = list(open_delimited(tmp_path / f"matrix_{name}", "a matrix").rows())
    assert [cells[0] for _, cells in rows] == names


def test_blanks_at_the_end_of_each_line_are_no_column(tmp_path):
    path = tmp_path / "run_mcf.par"
    path.write_text("-0.1  0.2  0.3  \n0.4  -0.5  0.6  \n")
    table = open_delimited(path, "a table").without_titles()
    assert [cells for _, cells in table.rows()] == [["-0.1", "0.2", "0.3"], ["0.4", "-0.5", "0.6"]]
