import numpy as np
import pytest

from lazyvox.errors import ImageNotFoundError, LazyvoxWarning, ParameterTypeError, RegionError
from lazyvox.extraction.lut import names_of_labels, read_lut

DSEG = "index\tname\tabbreviation\tcolor\tmapping\n0\tBackground\tBG\t#000\t0\n3\tLeft A\tLA\t#f00\t1\n"
FSL = """<?xml version="1.0" encoding="ISO-8859-1"?>
<atlas version="1.0"><header><name>Cortical</name><type>{kind}</type></header>
<data>
<label index="0" x="48" y="94" z="35">Frontal Pole</label>
<label index="1" x="25" y="70" z="32">Insular &amp; Opercular</label>
</data></atlas>
"""
FREESURFER = """#$Id: colours
#No. Label Name:                            R   G   B   A
0   Unknown                                 0   0   0   0

17  Left-Hippocampus                        220 216 20  0
1000 ctx lh unknown                         25  5   25  0
"""


def write(tmp_path, text, name="table.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        DSEG,
        DSEG.replace("\n", "\r\n"),
        "\ufeff" + DSEG,
        DSEG.replace("\t", ","),
        "name\tindex\nLeft A\t3\nBackground\t0\n",
        'index\tname\n0\tBackground\n3\t"Left A"\n',
    ],
    ids=["BIDS", "CRLF", "BOM", "CSV", "columns turned", "quoted"],
)
def test_dseg_table(tmp_path, text):
    assert read_lut(write(tmp_path, text)) == {0: "Background", 3: "Left A"}


def test_rows_without_a_name_have_none(tmp_path):
    table = write(tmp_path, "index\tname\n1\tn/a\n2\tTwo\n3\t\n")
    assert read_lut(table) == {2: "Two"}


@pytest.mark.parametrize(("kind", "first"), [("Probabilistic", 1), ("Label", 0)])
def test_fsl_atlas_counts_by_its_type(tmp_path, kind, first):
    names = read_lut(write(tmp_path, FSL.format(kind=kind), "atlas.xml"))
    assert names == {first: "Frontal Pole", first + 1: "Insular & Opercular"}


def test_fsl_value_attribute_wins(tmp_path):
    text = FSL.format(kind="Probabilistic").replace('index="1"', 'index="1" value="77"')
    assert read_lut(write(tmp_path, text))[77] == "Insular & Opercular"


def test_freesurfer_colour_table(tmp_path):
    expected = {0: "Unknown", 17: "Left-Hippocampus", 1000: "ctx lh unknown"}
    assert read_lut(write(tmp_path, FREESURFER)) == expected


def test_data_frame_as_nilearn_makes_it():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"index": [0, 5.0, 6], "name": ["Background", "Five", np.nan]})
    assert read_lut(frame) == {0: "Background", 5: "Five"}
    with pytest.raises(RegionError, match=r"the columns 'index' and 'name'. Got \['label'\]"):
        read_lut(pandas.DataFrame({"label": [1]}))


def test_names_by_label():
    assert names_of_labels([1, 9], {1: "one", np.int64(9): "nine", 4: "extra"}) == {
        1: "one",
        9: "nine",
    }
    assert names_of_labels([1, 9], None) == {1: "1", 9: "9"}


@pytest.mark.parametrize("names", [["a", "b"], ["Background", "a", "b"], np.array(["a", "b"])])
def test_names_in_the_order_of_the_labels(names):
    assert names_of_labels([1, 9], names) == {1: "a", 9: "b"}


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_list_of_another_length_is_refused(names):
    with pytest.raises(RegionError, match=f"Got {len(names)} names for 2 labels"):
        names_of_labels([1, 9], names)


def test_label_without_a_name_is_called_by_its_number():
    with pytest.warns(LazyvoxWarning, match="no name for 4, 9"):
        assert names_of_labels([1, 4, 9], {1: "one"}) == {1: "one", 4: "4", 9: "9"}


def test_shared_names_get_their_labels():
    with pytest.warns(LazyvoxWarning, match="every label differently.*Insula"):
        names = names_of_labels([1, 2, 3], {1: "Insula", 2: "Insula", 3: "Caudate"})
    assert names == {1: "Insula 1", 2: "Insula 2", 3: "Caudate"}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("index\tname\n1\tone\n1\tuno\n", r"line 3: every label must have one name. Got 'one'"),
        ("index\tname\nx\tone\n", r"line 2: a label must be an integer. Got 'x'"),
        ("index\tname\n1.5\tone\n", r"a label must be an integer. Got '1.5'"),
        ("index\tname\n1\n", "line 2: a row must have an index and a name"),
        ("label\tregion\n1\tone\n", "line 1: a table of regions must have the columns"),
        ("17 Left-Hippocampus 220 216 20 0\nnonsense\n", "line 2: a table of regions must have"),
        ("", "at least one row"),
        ("# only a comment\n", "at least one row"),
        (b"index\tname\n1\t\xff\xfe\n", "line 2: a table of regions must be text in UTF-8"),
        ("<atlas><data>", "line 1: the XML is malformed"),
        ("<atlas></atlas>", "must have <label> elements"),
        ("<atlas><label>x</label></atlas>", "a label must be an integer. Got None"),
    ],
)
def test_malformed_table_names_file_and_line(tmp_path, text, match):
    with pytest.raises(RegionError, match=match) as caught:
        read_lut(write(tmp_path, text))
    assert "table.txt" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_entities_is_refused_before_they_expand(tmp_path, encoding):
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><atlas><label index="0">&b;</label></atlas>'
    header = f'<?xml version="1.0" encoding="{encoding}"?>'
    with pytest.raises(RegionError, match=r"document type|UTF-8"):
        read_lut(write(tmp_path, (header + bomb).encode(encoding)))


def test_missing_file_and_wrong_type_are_told_apart(tmp_path):
    with pytest.raises(ImageNotFoundError, match=r"none\.tsv: no such file"):
        read_lut(tmp_path / "none.tsv")
    with pytest.raises(ParameterTypeError, match="must be a path, table, dict or list"):
        read_lut(17)
