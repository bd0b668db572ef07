"""One table of names for extraction, `--lut` and the labels masker."""

import numpy as np
import pytest

from lazyvox.errors import ParameterTypeError, RegionError
from lazyvox.extraction.lut import read_lut
from lazyvox.maskers.lookup import fit_table, read_table
from lazyvox.tables.labels import read_label_table

ABC = {1: "A", 2: "B", 3: "C"}


def both(lut):
    """Names by label, the same in both doors."""
    table = fit_table([0, 1, 2, 3], background=0, lut=lut)
    names = dict(zip(table.index[1:], table.names[1:], strict=True))
    assert names == read_lut(lut)
    return names


@pytest.mark.parametrize(
    "text",
    [
        "index\tlabel\tnetwork_label\n1\tA\tVis\n2\tB\tVis\n3\tC\tn/a\n",
        "index\tregion\n1\tA\n2\tB\n3\tC\n",
        "Index\tName\n1\tA\n2\tB\n3\tC\n",
        "label\tname\tindex\n7\tA\t1\n8\tB\t2\n9\tC\t3\n",
        "index\tname\n1.0\tA\n2.0\tB\n3.0\tC\n",
        "index\tname\n1\tA\n2\tB\n3\tC\nn/a\tn/a\n",
        "index\tname\n1\tA\n\n2\tB\n3\tC\n\t\n",
        "index \t name\n1\tA\n2\tB\n3\tC\n",
        "index\tname\n1\tA\t\n2\tB\t\n3\tC\t\n",
        "index;name\n1;A\n2;B\n3;C\n",
        "index name\n1 A\n2 B\n3 C\n",
        ",index,name\n0,1,A\n1,2,B\n2,3,C\n",
        "index\tname\n1\tA\n1\tA\n2\tB\n3\tC\n",
        "1 A 220 20 20 0\n2 B 20 220 20 0\n3 C 20 20 220 0\n",
        """<atlas><type>Label</type><label index="1">A</label><label index="2">B</label>
        <label index="3">C</label></atlas>""",
    ],
    ids=[
        "XCP-D", "region", "capitals", "name before label", "floats", "n/a", "blank rows",
        "blanks in titles", "tabs at the end", "semicolons", "blanks", "row numbers", "repeated row",
        "FreeSurfer", "FSL",
    ],
)  # fmt: skip
def test_tables_in_files(tmp_path, text):
    (tmp_path / "atlas.txt").write_text(text)
    assert both(tmp_path / "atlas.txt") == ABC


def frames():
    pandas = pytest.importorskip("pandas")
    names = ["A", "B", "C", None]
    yield pandas.DataFrame({"index": [1, 2, 3, np.nan], "name": names})
    yield pandas.DataFrame({"index": pandas.array([1, 2, 3, None], "Int64"), "label": names})
    yield pandas.DataFrame({"index": ["1", "2", "3", "n/a"], "region": names})
    yield {"index": [1, 2, 3], "name": names[:3]}


@pytest.mark.parametrize("number", range(4))
def test_frames(number):
    assert both(list(frames())[number]) == ABC


def test_names_that_look_like_numbers_stay_text(tmp_path):
    (tmp_path / "atlas.tsv").write_text("index\tname\tsize\n1\t001\t5\n2\t002\t\n3\tNA\t7\n")
    assert both(tmp_path / "atlas.tsv") == {1: "001", 2: "002", 3: "NA"}
    sizes = read_table(tmp_path / "atlas.tsv").columns["size"]
    assert sizes[::2] == [5, 7]
    assert np.isnan(sizes[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('index\tname\n1\t"A\n2\tB\n3\tC\n', r"line 2: the table is malformed"),
        (
            "index\tname\n1\tA\n2\tB\n1\tC\n",
            r"line 4: every label must have one name\. Got 'A' and",
        ),
        ("index\tname\n1,0\tA\n2\tB\n", r"line 2: a label must be an integer\. Got '1,0'"),
        ("index\tname\n1\tA\n1.5\tB\n", r"line 3: a label must be an integer\. Got '1\.5'"),
        ("index\tname\n1_0\tA\n2\tB\n", r"line 2: a label must be an integer\. Got '1_0'"),
        ("index\tname\n1\n2\tB\n", r"line 2: a row must have an index and a name"),
        ("label\tregion\n1\tA\n", r"line 1: a table of regions must have the columns 'index'"),
    ],
)
def test_both_doors_refuse_the_same(tmp_path, text, message):
    (tmp_path / "atlas.tsv").write_text(text)
    for read in (read_lut, lambda lut: fit_table([0, 1, 2], background=0, lut=lut)):
        with pytest.raises(RegionError, match=message):
            read(tmp_path / "atlas.tsv")


def test_names_by_label():
    assert read_label_table({3: "C", np.int64(1): "A", 2: None}) == {
        "index": [3, 1],
        "name": ["C", "A"],
    }
    with pytest.raises(RegionError, match=r"entry 'x': a label must be an integer\. Got 'x'"):
        read_label_table({"x": "C"})
    with pytest.raises(ParameterTypeError, match=r"must be a path, table, dict or list of names"):
        read_label_table(3)


def test_labels_keep_every_digit(tmp_path):
    large = 2**62 + 1
    (tmp_path / "atlas.tsv").write_text(f"index\tname\n{large}\tA\n")
    assert read_lut(tmp_path / "atlas.tsv") == {large: "A"}
