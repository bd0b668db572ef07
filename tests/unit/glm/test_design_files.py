import numpy as np
import pytest

from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.glm.design_files import read_design

XMAT = """# <matrix
#  ni_type = "3*double"
#  ColumnLabels = "Run#1Pol#0 ; face#0 ; house#0"
#  NRowFull = "{full}"
#  GoodList = "{good}"
# >
 1 0.5 0
 1 0.25 0.1
 1 0 -0.5
# </matrix>
"""


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_columns_of_afni_keep_their_labels(tmp_path):
    file = read_design(written(tmp_path, "X.xmat.1D", XMAT.format(full=3, good="0..2")))
    assert file.names == ("Run#1Pol#0", "face#0", "house#0")
    np.testing.assert_array_equal(file.values, [[1, 0.5, 0], [1, 0.25, 0.1], [1, 0, -0.5]])
    assert file.volumes is None


def test_volumes_that_afni_censored_are_left_out(tmp_path):
    file = read_design(written(tmp_path, "X.xmat.1D", XMAT.format(full=6, good="0,2..4(2)")))
    np.testing.assert_array_equal(file.volumes, [0, 2, 4])


def test_columns_of_fsl_are_explanatory_variables(tmp_path):
    text = "/NumWaves\t2\n/NumPoints\t2\n/PPheights\t1 1\n\n/Matrix\n1e+00\t2.5\t\n-1\t0\t\n"
    file = read_design(written(tmp_path, "design.mat", text))
    assert file.names == ("ev1", "ev2")
    np.testing.assert_array_equal(file.values, [[1, 2.5], [-1, 0]])


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("d.tsv", "face\tconstant\n0.5\t1\n0\t1\n", ("face", "constant")),
        ("d.csv", ",face,constant\n0,0.5,1\n1,0,1\n", ("face", "constant")),
        ("d.txt", "0.5 1\n0 1\n", ("x0", "x1")),
    ],
)
def test_tables_have_their_names(tmp_path, name, text, names):
    file = read_design(written(tmp_path, name, text))
    assert file.names == names
    np.testing.assert_array_equal(file.values, [[0.5, 1], [0, 1]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("X.xmat.1D", "1 2\n3\n", r"rows of as many numbers each. Got 2 rows of \[1, 2\] entries"),
        ("X.1D", "1 a\n2 3\n", "rows of as many numbers each"),
        ("X.1D", '# ColumnLabels = "a"\n1 2\n', "Got 1 for 2 columns"),
        ("X.1D", XMAT.format(full=9, good="0..4"), "Got 3 rows for 5 volumes"),
        ("design.mat", "face house\n1 2\n", "Got no line /Matrix"),
        ("design.mat", "/Matrix\n", r"Got 0 rows of \[\] entries"),
        ("d.tsv", "face\thouse\n1\tx\n", "'x'"),
    ],
)
def test_what_is_no_design_is_refused(tmp_path, name, text, message):
    with pytest.raises(ParameterError, match=message):
        read_design(written(tmp_path, name, text))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ImageNotFoundError, match=r"X\.1D"):
        read_design(str(tmp_path / "X.1D"))
