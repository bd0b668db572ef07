"""Results of `load_confounds`, and the tables that it finds."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ImageNotFoundError, ParameterError, ParameterTypeError
from lazyvox.signal import clean

N_VOLUMES = 40
IMAGE = "sub-01_task-rest_run-1_space-MNI_res-2_desc-preproc_bold.nii.gz"
TABLE = "sub-01_task-rest_run-1_desc-confounds_timeseries.tsv"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, (4, 4, 3, N_VOLUMES)).astype("f4")
    nib.save(nib.Nifti1Image(values, np.eye(4)), IMAGE)
    names = ["trans_x", "csf", "framewise_displacement", "std_dvars", "non_steady_state_outlier00"]
    columns = rng.normal(size=(N_VOLUMES, 5))
    columns[:, 2:4] = 0.1
    columns[:, 4] = np.arange(N_VOLUMES) == 0
    columns[20, 2], columns[30, 3] = 0.9, 2.0
    write(TABLE, names, columns)
    return tmp_path


def write(name, names, columns):
    rows = ["\t".join(names), *("\t".join(map(str, row)) for row in columns)]
    text = "\n".join(rows) + "\n"
    content = text.encode()
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def assert_same(found, expected):
    assert found.names == expected.names
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.sample_mask, expected.sample_mask)


def test_the_table_beside_an_image(folder):
    expected = lv.load_confounds(TABLE, columns="csf")
    assert_same(lv.load_confounds(IMAGE, columns="csf"), expected)
    assert_same(lv.load_confounds(lv.load(IMAGE), columns="csf"), expected)
    write("sub-01_task-rest_desc-confounds_timeseries.tsv", ["csf"], np.ones((9, 1)))
    write("sub-02_task-rest_run-1_desc-confounds_timeseries.tsv", ["csf"], np.ones((9, 1)))
    assert_same(lv.load_confounds(IMAGE, columns="csf"), expected)


def test_no_table_and_two(folder):
    write(TABLE.replace("timeseries", "regressors"), ["csf"], np.ones((9, 1)))
    with pytest.raises(
        ParameterError, match=r"one table .* Got .*_regressors\.tsv, .*_timeseries"
    ):
        lv.load_confounds(IMAGE, columns="csf")
    with pytest.raises(
        ImageNotFoundError, match=r"beside the image.* as sub-03_run-1_desc-conf.*\.tsv\. The"
    ):
        lv.load_confounds("sub-03_run-1_space-T1w_bold.nii.gz")
    with pytest.raises(ParameterTypeError, match="must be the path of a table, or a DataFrame"):
        lv.load_confounds([IMAGE, IMAGE])


def test_gzipped_table_with_its_facts(folder):
    columns = np.random.default_rng(1).normal(size=(N_VOLUMES, 3))
    names = ["a_comp_cor_00", "a_comp_cor_01", "cosine00"]
    write("x_desc-confounds_timeseries.tsv.gz", names, columns)
    facts = '{"a_comp_cor_00": {"Mask": "combined"}, "a_comp_cor_01": {"Mask": "WM"}}'
    (folder / "x_desc-confounds_timeseries.json").write_text(facts)
    found = lv.load_confounds("x_desc-confounds_timeseries.tsv.gz", "acompcor,high_pass")
    assert found.names == ("a_comp_cor_00", "cosine00")


def test_reasons(folder):
    found = lv.load_confounds(TABLE, "scrub", scrub=10)
    reasons = {reason: volumes.tolist() for reason, volumes in found.reasons.items()}
    between = [*range(21, 30), *range(31, 40)]
    assert reasons == {
        "non-steady state": [0],
        "framewise displacement above 0.5 mm": [20],
        "standardized DVARS above 1.5": [30],
        "fewer than 10 volumes between these": between,
    }
    assert found.censored.tolist() == [0, 20, 21, *range(22, 40)]
    assert found.summary.startswith("21 of 40 volumes censored: 0 (non-steady state), 20 (framew")
    assert lv.load_confounds(TABLE, "scrub", scrub=0, fd_threshold=np.inf).censored.tolist() == [
        0,
        30,
    ]


def test_an_infinite_threshold_needs_no_column(folder):
    write("fd.tsv", ["csf", "framewise_displacement"], np.full((N_VOLUMES, 2), 0.1))
    found = lv.load_confounds("fd.tsv", "scrub", columns="csf", std_dvars_threshold=float("inf"))
    assert found.sample_mask is None
    with pytest.raises(
        ParameterError, match=r"Missing: 'std_dvars'.* pass std_dvars_threshold=inf\."
    ):
        lv.load_confounds("fd.tsv", "scrub")


def test_unpacks_as_the_pair_of_nilearn(folder):
    pandas = pytest.importorskip("pandas")
    found = lv.load_confounds(TABLE, columns="csf,trans_x")
    table, sample_mask = found
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == ["csf", "trans_x"]
    np.testing.assert_array_equal(table.to_numpy(), found.values)
    assert sample_mask.tolist() == list(range(1, N_VOLUMES))


class TestTaken:
    """`confounds=` takes the object, and the volumes that it keeps."""

    @pytest.fixture
    def found(self, folder):
        return lv.load_confounds(TABLE, "scrub", columns="csf", scrub=2)

    def test_extract_and_clean(self, found):
        options = {"detrend": True, "low_pass": 0.1, "t_r": 2.0}
        values = np.asarray(lv.load(IMAGE).dataobj)[:2].reshape(-1, N_VOLUMES).T
        expected = clean(values, confounds=found.values, sample_mask=found.sample_mask, **options)
        np.testing.assert_array_equal(clean(values, confounds=found, **options), expected)
        np.testing.assert_array_equal(
            clean(values, confounds=[found, found.values[:, :0]], **options), expected
        )
        mask = np.zeros((4, 4, 3), "u1")
        mask[:2] = 1
        signals = lv.extract(
            IMAGE, nib.Nifti1Image(mask, np.eye(4)), confounds=found, detrend=True
        )
        assert len(signals) == len(found.sample_mask) == 37

    def test_runs(self, found):
        values = np.random.default_rng(1).normal(size=(N_VOLUMES, 3))
        runs = np.arange(N_VOLUMES) // 20
        masks = [
            np.flatnonzero(np.isin(np.arange(20) + 20 * run, found.sample_mask)) for run in (0, 1)
        ]
        np.testing.assert_array_equal(
            clean(values, runs=runs, confounds=found),
            clean(values, runs=runs, confounds=found.values, sample_mask=masks),
        )

    def test_masks_that_disagree(self, found):
        values = np.random.default_rng(1).normal(size=(N_VOLUMES, 3))
        same = clean(values, confounds=found, sample_mask=found.sample_mask)
        np.testing.assert_array_equal(same, clean(values, confounds=found))
        with pytest.raises(
            ParameterError, match=r"Got 39 and 37 volumes, which differ in 2, first in 20"
        ):
            clean(values, confounds=found, sample_mask=range(1, N_VOLUMES))
        other = lv.load_confounds(TABLE, columns="trans_x")
        with pytest.raises(ParameterError, match=r"must keep the same volumes\. Got 37 and 39"):
            clean(values, confounds=[found, other])

    def test_edits_of_the_values_come_too_late(self, found):
        values = np.random.default_rng(1).normal(size=(N_VOLUMES, 3))
        cleaner = lv.signal.prepare_cleaning(N_VOLUMES, confounds=found.values)
        found.values[:] = 0
        assert not np.allclose(cleaner.apply(values), clean(values))
