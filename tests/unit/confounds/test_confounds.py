"""`load_confounds`: what it takes, and what it refuses."""

import json

import numpy as np
import pytest

from lazyvox.confounds import Confounds, load_confounds
from lazyvox.confounds.load import drop_short_segments
from lazyvox.errors import ImageNotFoundError, LazyvoxWarning, ParameterError, ParameterTypeError

MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
SUFFIXES = ["", "_derivative1", "_power2", "_derivative1_power2"]
N_VOLUMES = 30


def cells():
    """Columns of a table as text, with n/a at the beginning of derivatives."""
    rng = np.random.default_rng(7)
    names = [f"{name}{suffix}" for name in [*MOTION, "csf", "white_matter"] for suffix in SUFFIXES]
    names += ["global_signal", "cosine00", "cosine01", "framewise_displacement", "std_dvars"]
    names += [f"a_comp_cor_{i:02}" for i in range(5)] + ["t_comp_cor_00", "t_comp_cor_01"]
    table = {name: list(map(repr, rng.uniform(0, 0.1, N_VOLUMES).tolist())) for name in names}
    for name in names:
        if "derivative1" in name or name in ("framewise_displacement", "std_dvars"):
            table[name][0] = "n/a"
    return table


def write(path, table, delimiter="\t"):
    rows = [table.keys(), *zip(*table.values(), strict=True)]
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    return path


@pytest.fixture
def tsv(tmp_path):
    path = write(tmp_path / "sub-1_desc-confounds_timeseries.tsv", cells())
    masks = ["combined", "combined", "WM", "CSF", "WM"]
    facts = {f"a_comp_cor_{i:02}": {"Mask": mask} for i, mask in enumerate(masks)}
    facts |= {"t_comp_cor_00": {}, "t_comp_cor_01": {}}
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize(
    ("strategy", "n_columns"),
    [
        ("motion6", 6),
        ("motion12", 12),
        ("motion24", 24),
        ("motion", 24),
        (["motion6", "wm_csf", "global_signal"], 9),
        ("wm_csf8", 8),
        ("high_pass, acompcor1", 3),
        ("high_pass,acompcor", 4),
        ("high_pass,tcompcor", 4),
        ("cosine0?,csf", 3),
        ("motion24,motion6", 24),
        ("scrub", 0),
        ("non_steady_state", 0),
        (None, 28),
    ],
)
def test_strategies_by_name(tsv, strategy, n_columns):
    found = load_confounds(tsv, strategy)
    assert found.values.shape == (N_VOLUMES, n_columns)
    assert found.values.dtype == np.float64
    assert list(found.names) == sorted(found.names)
    assert found.sample_mask is None
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-15)


def test_columns_alone_take_no_default_strategy(tsv):
    found = load_confounds(tsv, columns=["global_signal", "csf*"], demean=False)
    assert found.names == ("csf", *sorted(f"csf{one}" for one in SUFFIXES[1:]), "global_signal")
    wanted = [float(cell) for cell in cells()["global_signal"]]
    assert found.values[:, -1].tolist() == wanted


def test_first_row_of_derivatives_is_the_second(tsv):
    values = load_confounds(tsv, columns="csf_derivative1").values[:, 0]
    assert values[0] == values[1]


def test_masks_of_anatomical_compcor(tsv):
    found = load_confounds(tsv, "high_pass,compcor", compcor="anat_separated", n_compcor=1)
    assert found.names[:2] == ("a_comp_cor_02", "a_comp_cor_03")


def test_metadata_may_be_passed(tsv):
    facts = {"a_comp_cor_04": {"Mask": "combined"}}
    found = load_confounds(tsv, "high_pass,acompcor", metadata=facts)
    assert found.names[0] == "a_comp_cor_04"
    tsv.with_suffix(".json").rename(tsv.with_name("facts.json"))
    assert load_confounds(tsv, "high_pass,acompcor", metadata=tsv.with_name("facts.json")).names


def test_temporal_compcor_needs_no_metadata(tsv):
    tsv.with_suffix(".json").unlink()
    assert len(load_confounds(tsv, "high_pass,tcompcor1").names) == 3


def test_scrubbing_and_non_steady_state(tmp_path):
    table = cells()
    table["framewise_displacement"][10] = "0.51"
    table["std_dvars"][14] = "1.6"
    table["non_steady_state_outlier00"] = ["1"] + ["0"] * (N_VOLUMES - 1)
    path = write(tmp_path / "c.tsv", table)
    found = load_confounds(path, "motion6,scrub")
    assert found.censored.tolist() == [0, 10, 11, 12, 13, 14]
    assert found.n_volumes == N_VOLUMES
    np.testing.assert_allclose(found.values[found.sample_mask].mean(axis=0), 0, atol=1e-15)
    assert load_confounds(path, "scrub", scrub=0).censored.tolist() == [0, 10, 14]
    assert load_confounds(path, "motion6").censored.tolist() == [0]
    assert "6 volumes censored" in repr(found)


def test_motion_outlier_columns_censor(tmp_path):
    table = {"x": ["1", "2", "4"], "motion_outlier00": ["0", "1", "0"]}
    found = load_confounds(write(tmp_path / "c.csv", table, ","), columns="*")
    assert found.names == ("x",)
    assert found.sample_mask.tolist() == [0, 2]
    assert found.values[:, 0].tolist() == [-1.5, -0.5, 1.5]


@pytest.mark.parametrize(
    ("outliers", "shortest", "wanted"),
    [
        ([], 5, []),
        ([2], 3, [0, 1, 2]),
        ([7], 3, [7, 8, 9]),
        ([2, 5], 2, [2, 5]),
        ([2, 5], 3, [0, 1, 2, 3, 4, 5]),
        ([0, 9], 0, [0, 9]),
    ],
)
def test_short_segments(outliers, shortest, wanted):
    before = np.isin(np.arange(10), outliers)
    assert drop_short_segments(before, shortest).nonzero()[0].tolist() == wanted


def test_frames_are_tables(tsv):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(tsv, delimiter="\t")
    from_file = load_confounds(tsv, "motion24,scrub")
    np.testing.assert_array_equal(load_confounds(frame, "motion24,scrub").values, from_file.values)
    as_text = pandas.read_csv(tsv, delimiter="\t", dtype=str, keep_default_na=False)
    found = load_confounds(as_text.set_index(np.arange(100, 130)), "motion24,scrub")
    np.testing.assert_array_equal(found.values, from_file.values)
    as_text.loc[104, "csf"] = as_text.loc[4, "csf"] = "bad"
    with pytest.raises(ParameterError, match=r"the DataFrame, column 'csf', row 4: .*Got 'bad'"):
        load_confounds(as_text, "wm_csf")


def test_length_is_checked_against_a_run(tsv):
    found = load_confounds(tsv, "motion6")
    found.check_length(N_VOLUMES)
    with pytest.raises(ParameterError, match=r"tsv: .*Got 30 rows for 29 volumes"):
        found.check_length(29)
    assert isinstance(found, Confounds)


def test_delimiter_is_seen_where_the_name_does_not_tell(tmp_path):
    path = write(tmp_path / "confounds.txt", {"a b": ["1", "2"], "c": ["3", "4"]}, ",")
    assert load_confounds(path, columns="a b,c").names == ("a b", "c")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "motoin"}, r"Got 'motoin', which is none\. Did you mean motion"),
        ({"strategy": "xyzzy"}, r"which is none\. Strategies are motion, wm_csf"),
        ({"strategy": "ica_aroma"}, r"must not have 'ica_aroma'.*columns='aroma_motion_\*'"),
        ({"strategy": "tedana"}, r"must not have 'tedana', which is not supported"),
        ({"strategy": "acompcor5"}, r"must have 'high_pass' with CompCor"),
        ({"strategy": "motion", "motion": "ful"}, r"`motion` must be one of 'basic', 'power2'"),
        ({"compcor": "all"}, r"`compcor` must be one of 'anat_combined'"),
        ({"n_compcor": 0}, r"`n_compcor` must be 'all' or an integer of at least 1\. Got 0"),
        ({"scrub": 1.5}, r"`scrub` must be an integer of at least 0\. Got 1\.5"),
        ({"fd_threshold": float("nan")}, r"`fd_threshold` must be a number of at least 0"),
        ({"columns": "global_signl"}, r"Missing: 'global_signl'\. Near them are 'global_signal'"),
        ({"columns": ["q*"]}, r"Missing: 'q\*'\. It has 'trans_x', .* and 38 more\. Correct"),
        ({"strategy": "global_signal4"}, r"Missing: 'global_signal_derivative1'"),
        ({"strategy": "scrub", "fd_threshold": 0.0, "std_dvars_threshold": 0.0},
         r"at least one volume must be left\. All 30 are censored"),
    ],
)  # fmt: skip
def test_what_is_refused(tsv, options, message):
    with pytest.raises(ParameterError, match=message):
        load_confounds(tsv, **options)


def test_missing_columns_are_all_named(tmp_path):
    path = write(tmp_path / "c.tsv", {"trans_x": ["1", "2"], "csf": ["1", "2"]})
    with pytest.raises(ParameterError, match=r"Missing: 'trans_y', .*, 'white_matter'\. Near"):
        load_confounds(path, "motion6,wm_csf")
    with pytest.raises(ParameterError, match=r"Missing: 'framewise_displacement', 'std_dvars'"):
        load_confounds(path, "scrub")
    with (
        pytest.warns(LazyvoxWarning, match="'high_pass' asks for cosines, and the table has none"),
        pytest.raises(ParameterError, match="which is in the JSON file beside"),
    ):
        load_confounds(path, "high_pass,acompcor")


@pytest.mark.parametrize(
    ("cell", "row", "message"),
    [
        ("n/a", 3, r"c\.tsv, column 'x', row 3: a confound must not be n/a below the first row"),
        ("", 1, r"row 1: a confound must not be n/a"),
        ("inf", 0, r"row 0: a confound must not be inf in any row"),
        ("1_0", 2, r"column 'x', row 2 \(line 4\): a value must be a number or n/a\. Got '1_0'"),
        ("abc", 2, r"Got 'abc'"),
        ("1\t2", 2, r"line 4: every row must have one value for each of the 2 columns\. Got 3"),
    ],
)
def test_bad_cells_are_named(tmp_path, cell, row, message):
    table = {"x": ["1", "2", "3", "4", "6"], "y": ["1"] * 5}
    table["x"][row] = cell
    path = write(tmp_path / "c.tsv", table)
    with pytest.raises(ParameterError, match=message):
        load_confounds(path, columns="x")


def test_bad_cells_of_other_columns_do_no_harm(tmp_path):
    path = write(tmp_path / "c.tsv", {"x": ["1", "2"], "y": ["a", "n/a"]})
    assert load_confounds(path, columns="x").n_volumes == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"must have at least one row\. The file is empty"),
        (b"a\tb\n", r"must have one row for each volume\. Got no row"),
        (b"0.1\t0.2\n0.3\t0.4\n", r"Got numbers only: '0\.1', '0\.2'"),
        (b"a\ta\n1\t2\n", r"the names of columns must differ\. Got 'a' 2 times"),
        (b"a\tb\n1\t2\n\n3\t4\n", r"line 3: every row must have one value .* Got 0"),
        (b"\x1f\x8b\x08\x00", r"c\.tsv: the gzip data are damaged or incomplete"),
        (b"\x00\x01\xff", r"line 1: a table must be text in UTF-8.*not an image"),
        (b'a\tb\n"1\t2\n', r"line 2: the table is malformed"),
        (b"a\tb\nn/a\t2\n", r"column 'a', row 0: a confound must not be n/a"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    path = tmp_path / "c.tsv"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        load_confounds(path, columns="a")


def test_empty_lines_at_the_end_are_harmless(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text("﻿a\tb\r\n1\t2\r\n3\t4\r\n\r\n\r\n", newline="")
    assert load_confounds(path, columns="a").values[:, 0].tolist() == [-1, 1]


def test_missing_file_and_wrong_type(tmp_path):
    with pytest.raises(ImageNotFoundError, match="no such file"):
        load_confounds(tmp_path / "none.tsv")
    with pytest.raises(ParameterTypeError, match="must be the path of a table, or a DataFrame"):
        load_confounds(3)
    path = write(tmp_path / "c.tsv", {"a": ["1", "2"]})
    with pytest.raises(ParameterTypeError, match="`columns` must be a text with commas"):
        load_confounds(path, columns=3)
    path.with_suffix(".json").write_text("[1]")
    with pytest.raises(ParameterError, match=r"must hold a JSON object\. Got list"):
        load_confounds(path, "high_pass,acompcor")
