"""Names of labels: from lists, tables and files."""

import math

import pytest

from lazyvox.maskers.lookup import fit_table, read_table


def names(*args, **kwargs):
    table = fit_table(*args, background=0, **kwargs)
    return dict(zip(table.index, table.names, strict=True))


def test_without_names_regions_are_called_by_their_labels():
    assert names([0, 1, 7]) == {0: "Background", 1: "1", 7: "7"}
    assert names([0.0, 2.0]) == {0.0: "Background", 2.0: "2.0"}


def test_names_in_the_order_of_labels_with_or_without_the_background():
    expected = {0: "Background", 3: "a", 5: "b"}
    assert names([0, 3, 5], labels=["a", "b"]) == expected
    assert names([0, 3, 5], labels=["background", "a", "b"]) == expected


def test_the_given_list_stays_as_it_is():
    given = ["background", "a"]
    names([0, 3], labels=given)
    assert given == ["background", "a"]


def test_too_few_and_too_many_names_warn():
    with pytest.warns(UserWarning, match="the last regions are called 'unknown'"):
        assert names([0, 3, 5], labels=["a"]) == {0: "Background", 3: "a", 5: "unknown"}
    with pytest.warns(UserWarning, match="the last names are dropped"):
        assert names([0, 3], labels=["a", "b", "c"]) == {0: "Background", 3: "a"}


def test_tables_lose_rows_that_the_image_lacks_and_gain_unknown_ones():
    lut = {"index": [5, 9, 3], "name": ["five", "nine", "three"], "color": ["r", "g", "b"]}
    table = fit_table([0, 3, 4, 5], background=0, lut=lut)
    assert table.index == [0, 3, 4, 5]
    assert table.names == ["Background", "three", "unknown", "five"]
    assert table.columns["color"][1] == "b"
    assert math.isnan(table.columns["color"][2])


def test_the_background_has_its_name_whatever_the_table_says():
    assert names([0, 1], lut={"index": [0, 1], "name": ["void", "one"]})[0] == "Background"


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_tables_in_text(tmp_path, delimiter):
    path = tmp_path / "atlas.tsv"
    rows = [["index", "name", "size"], ["1", "left part", "2.5"], ["2", "right", ""]]
    path.write_text("\n".join(delimiter.join(row) for row in rows))
    table = read_table(path)
    assert table.index == [1, 2]
    assert table.names == ["left part", "right"]
    assert table.columns["size"][0] == 2.5


def test_tables_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="must have the columns 'index' and 'name'"):
        read_table({"label": [1]})
    with pytest.raises(TypeError, match="A list of names is `labels`"):
        read_table(["a", "b"])
    with pytest.raises(FileNotFoundError, match=r"missing\.tsv: no such file"):
        read_table(tmp_path / "missing.tsv")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(ValueError, match="at least one row"):
        read_table(tmp_path / "empty.tsv")
    (tmp_path / "wide.tsv").write_text("index\tname\n1\ta\tb\n")
    with pytest.raises(
        ValueError,
        match=r"line 2: every row must have one value for each of the 2 columns\. Got 3",
    ):
        read_table(tmp_path / "wide.tsv")
    with pytest.raises(ValueError, match="Got both"):
        fit_table([0, 1], background=0, labels=["a"], lut={"index": [1], "name": ["a"]})
    with pytest.raises(TypeError, match="Got tuple"):
        fit_table([0, 1], background=0, labels=("a",))
    with pytest.raises(TypeError, match="Got int at place 1"):
        fit_table([0, 1], background=0, labels=["a", 2])
