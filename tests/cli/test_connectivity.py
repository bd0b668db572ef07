"""`lazyvox connectivity`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lazyvox.connectome import connectivity_values as connectivity
from lazyvox.connectome.heat_map import draw_heat_map
from lazyvox.connectome.signals_file import open_signals
from lazyvox.errors import ParameterError


@pytest.fixture
def regions(lazyvox):
    """Name of a table of signals that `lazyvox extract` wrote."""
    argv = ["extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--lut", "atlas.tsv"]
    assert lazyvox(*argv, "-o", "regions.tsv").code == 0
    return "regions.tsv"


def signals(path="regions.tsv"):
    return np.loadtxt(path, delimiter="\t", skiprows=1)


def read(path, delimiter="\t"):
    with Path(path).open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file, delimiter=delimiter)
    return head, [row[0] for row in rows], np.array([row[1:] for row in rows], float)


@pytest.mark.parametrize(("ending", "delimiter"), [("tsv", "\t"), ("csv", ",")])
def test_matrix_with_names_on_two_sides(lazyvox, regions, ending, delimiter):
    done = lazyvox("connectivity", regions, "-o", f"c.{ending}")
    shown = f"c.{ending} (correlation): 8 x 8, float64\n"
    assert (done.code, done.out, done.err) == (0, shown, "")
    head, column, matrix = read(f"c.{ending}", delimiter)
    assert head == ["region", *column]
    assert column[:2] == ["LeftFront", "RightFront"]
    np.testing.assert_array_equal(matrix, connectivity(signals()))


def test_several_kinds_get_a_file_each(lazyvox, regions, folder):
    kinds = ["covariance", "partial-correlation", "covariance"]
    argv = [word for kind in kinds for word in ("--kind", kind)]
    done = lazyvox("connectivity", regions, *argv, "--estimator", "empirical", "-o", "c.npy")
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in folder.glob("c_*")) == [
        "c_covariance.npy",
        "c_partial_correlation.npy",
    ]
    wanted = connectivity(signals(), "partial correlation", estimator="empirical")
    np.testing.assert_array_equal(np.load("c_partial_correlation.npy"), wanted)
    assert done.out.splitlines()[0] == "c_covariance.npy (covariance): 8 x 8, float64"


@pytest.mark.parametrize("ending", ["npy", "csv", "parquet", "txt", "1D"])
def test_every_form_of_signals(lazyvox, regions, ending):
    argv = ["extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--lut", "atlas.tsv"]
    assert lazyvox(*argv, "-o", f"other.{ending}").code == 0
    assert lazyvox("connectivity", f"other.{ending}", "-o", "other_c.tsv").code == 0
    head, _, matrix = read("other_c.tsv")
    assert head[1] == ("LeftFront" if ending in {"csv", "parquet"} else "0")
    np.testing.assert_array_equal(matrix, connectivity(signals()))


def test_plot_is_a_png(lazyvox, regions, folder):
    done = lazyvox("connectivity", regions, "-o", "c.tsv", "--plot", "c.png", "--json")
    assert (done.code, done.err) == (0, "")
    record = json.loads(done.out)
    assert record["command"] == "connectivity"
    assert [output["path"] for output in record["outputs"]] == ["c.tsv", "c.png"]
    assert record["outputs"][1]["shape"][2] == 4
    assert record["plan"]["peak_bytes"] > 0
    assert (folder / "c.png").read_bytes()[:4] == b"\x89PNG"


def test_quiet_prints_nothing_and_explain_writes_nothing(lazyvox, regions, folder):
    before = sorted(folder.iterdir())
    done = lazyvox("connectivity", regions, "--explain")
    assert (done.code, done.err) == (0, "")
    assert "consumer   correlation, 512 B" in done.out
    assert sorted(folder.iterdir()) == before
    done = lazyvox("connectivity", regions, "-o", "c.tsv", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "missing option -o/--output: where should the result go?"),
        (["-o", "matrices"], "--output matrices: the name must end in .tsv, .csv, .npy, or in / for a folder"),
        (["-o", "c.txt"], "--output c.txt: the name must end in .tsv, .csv, .npy"),
        (["-o", "old.tsv"], "--output old.tsv: the file exists. Pass --overwrite to replace it"),
        (["-o", "regions.tsv", "--overwrite"],
         "--output regions.tsv: this is an input too. Write to another file"),
        (["-o", "c.tsv", "--plot", "c.jpg"], "--plot c.jpg: the name must end in .png"),
        (["-o", "c.tsv", "--plot", "old.png"],
         "--plot old.png: the file exists. Pass --overwrite to replace it"),
    ],
)  # fmt: skip
def test_wrong_usage(refuses, regions, folder, argv, message):
    for name in ("old.tsv", "old.png"):
        (folder / name).write_text("old")
    refuses("connectivity", regions, *argv, code=2, message=f"error: {message}\n")


def test_wrong_data_is_one_line_and_leaves_nothing(lazyvox, regions, folder):
    (folder / "bad.tsv").write_text("a\tb\n1\t2\nn/a\t3\n2\t5\n")
    done = lazyvox("connectivity", "bad.tsv", "-o", "c.tsv")
    assert done.code == 1
    assert "Got nan in volume 1 of column 0 ('a')" in done.err
    done = lazyvox("connectivity", regions, "-o", "c.tsv", "--memory", "1MB")
    assert done.code == 1
    assert "40 volumes of 8 regions need 8.0 MiB. Pass --memory " in done.err
    assert not (folder / "c.tsv").exists()


def test_second_kind_that_fails_leaves_no_first(lazyvox, folder):
    (folder / "few.tsv").write_text("a\tb\tc\n1\t2\t3\n2\t3\t1\n")
    kinds = ["--kind", "correlation", "--kind", "partial-correlation"]
    done = lazyvox("connectivity", "few.tsv", *kinds, "--estimator", "empirical", "-o", "c.tsv")
    assert done.code == 1
    assert "more volumes than regions" in done.err
    assert not list(folder.glob("c*"))


def test_constant_region_is_a_warning(shell, folder):
    (folder / "flat.tsv").write_text("a\t=b\n1\t2\n2\t2\n4\t2\n")
    done = shell("connectivity", "flat.tsv", "-o", "c.tsv")
    assert done.code == 0
    assert done.err.startswith("lazyvox: warning: Correlations with a constant are not defined")
    # A spreadsheet would take the name for a formula.
    assert read("c.tsv")[0] == ["region", "a", "'=b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.npz", b"", r"must be in a file that ends in \.tsv, \.csv, \.npy, \.parquet"),
        ("s.npy", b"no array", r"must hold one array of numbers"),
        ("s.parquet", b"no table", r"must be a Parquet table"),
        ("s.tsv", b"0.5\t0.6\n1\t2\n", r"must hold the names of the regions\. Got numbers"),
        ("s.txt", b"a b\n1 2\n3 4\n", r"must hold numbers alone\. Got 'a' in .* Names of regions"),
        ("s.1D", b"# no rows\n", r"a table of signals must have at least one row"),
        ("s.tsv", b"", r"must have at least one row\. The file is empty"),
    ],
)
def test_files_that_hold_no_signals(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        open_signals(str(tmp_path / name))


def test_labels_may_be_names(tmp_path):
    (tmp_path / "s.tsv").write_text("1\t17\n1\t2\n3\t4\n")
    assert open_signals(str(tmp_path / "s.tsv")).names == ("1", "17")
    np.save(tmp_path / "s.npy", np.zeros(3))
    with pytest.raises(ParameterError, match=r"\(volumes, regions\)\. Got shape \(3,\)"):
        open_signals(str(tmp_path / "s.npy"))


@pytest.mark.parametrize("n_regions", [1, 3, 150])
def test_pictures_of_any_size(n_regions):
    rng = np.random.default_rng(0)
    matrix = np.corrcoef(rng.normal(size=(n_regions, 50))).reshape(n_regions, n_regions)
    names = [f"${i} " + "long" * 20 for i in range(n_regions)]
    content, (height, width) = draw_heat_map(matrix, names, "correlation")
    assert content[:4] == b"\x89PNG"
    assert 200 < height < 4000
    assert 200 < width < 4000


@pytest.fixture
def tables(folder):
    """Names of two tables of three regions, in the second of which one has no values."""
    rng = np.random.default_rng(0)
    names = ["sub-01_task-rest_atlas-A_stat-mean_timeseries.tsv"]
    names.append(names[0].replace("01", "02"))
    for number, name in enumerate(names):
        values = rng.normal(size=(30, 3)) + rng.normal(size=(30, 1))
        rows = [[f"{value:.6f}" for value in row] for row in values]
        rows = [[*row[:2], "n/a"] if number else row for row in rows]
        (folder / name).write_text("\n".join("\t".join(row) for row in [["a", "b", "c"], *rows]))
    return names


@pytest.mark.filterwarnings("default:.*have no values:lazyvox.errors.LazyvoxWarning")
class TestSeveralTables:
    def test_a_matrix_each_and_the_mean(self, lazyvox, tables, folder):
        done = lazyvox("connectivity", *tables, "--fisher-z", "-o", "z.tsv", "--json")
        assert done.code == 0
        assert (
            "1 of 3 regions have no values; their rows and columns are n/a: column 2 ('c')"
            in done.err
        )
        stems = [Path(name).stem for name in tables]
        outputs = json.loads(done.out)["outputs"]
        assert [one["path"] for one in outputs] == [
            *(f"z_{stem}.tsv" for stem in stems), "z_mean.tsv"
        ]  # fmt: skip
        assert outputs[1]["name"] == f"{stems[1]}, correlation, Fisher's z"
        assert outputs[1]["missing_regions"] == ["c"]
        assert "missing_regions" not in outputs[2]
        first, second, mean = (
            np.genfromtxt(one["path"], delimiter="\t", skip_header=1)[:, 1:] for one in outputs
        )
        r = connectivity(signals(tables[0]))
        np.testing.assert_allclose(first[0, 1:], np.arctanh(r[0, 1:]))
        assert first.diagonal().tolist() == [4, 4, 4]
        assert np.isnan(second[2]).all()
        assert np.isnan(second[:, 2]).all()
        assert "n/a" in (folder / f"z_{stems[1]}.tsv").read_text()
        np.testing.assert_allclose(mean[0], [4, (first[0, 1] + second[0, 1]) / 2, first[0, 2]])

    def test_folder_gets_bids_names(self, lazyvox, tables, folder):
        kinds = ["--kind", "correlation", "--kind", "partial-correlation"]
        (folder / "out").mkdir()
        done = lazyvox("connectivity", *tables, *kinds, "--estimator", "empirical", "-o", "out")
        assert done.code == 0
        names = sorted(path.name for path in (folder / "out").iterdir())
        stem = "task-rest_atlas-A_stat"
        assert names[::2] == [
            f"{who}{stem}-{kind}_{end}relmat.json"
            for who, end in (("sub-01_", ""), ("sub-02_", ""), ("", "desc-mean_"))
            for kind in ("partialcorrelation", "pearsoncorrelation")
        ]
        record = json.loads((folder / "out" / names[0]).read_text())
        assert record["Sources"] == [f"../{tables[0]}"]
        assert record["RelationshipMeasure"] == "partial correlation"

    def test_plots_and_plan(self, lazyvox, tables, folder):
        done = lazyvox("connectivity", *tables, "-o", "c.npy", "--plot", "c.png")
        assert done.code == 0
        assert len(list(folder.glob("c_*.png"))) == 3
        done = lazyvox("connectivity", *tables, "--explain")
        assert "and 1 more" in done.out
        assert "consumer   correlation, 216 B" in done.out

    @pytest.mark.parametrize(
        ("argv", "code", "message"),
        [
            (["other.tsv"], 1, "tables must have the same regions, in the same order. Got 3 in"),
            (["same"], 2, "SIGNALS must be different tables. Got sub-01"),
            (["--fisher-z", "--kind", "covariance"], 2, "--fisher-z concerns correlations, and"),
            (["absent.tsv"], 1, "absent.tsv: no such file"),
            (
                ["holes.tsv"],
                1,
                "holes.tsv: SIGNALS must be finite. Got nan in volume 1 of column 0",
            ),
            (["none.tsv"], 1, "must have a region with values. Got NaN only"),
        ],
    )
    def test_refused(self, refuses, tables, folder, argv, code, message):
        (folder / "other.tsv").write_text("a\tx\tc\n1\t2\t3\n2\t2\t1\n")
        (folder / "holes.tsv").write_text("a\tb\tc\n1\t2\t3\nn/a\t2\t1\n")
        (folder / "none.tsv").write_text("a\tb\tc\nn/a\tn/a\tn/a\nn/a\tn/a\tn/a\n")
        more = tables[:1] if argv == ["same"] else argv
        refuses("connectivity", tables[0], *more, "-o", "c.tsv", code=code, message=message)
