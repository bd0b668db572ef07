"""Blocks, runs, memory in place, files of confounds, and the plain paths behind fast ones."""

import gzip
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest

from lazyvox.errors import ParameterError
from lazyvox.signal import clean, high_variance_confounds, prepare_cleaning
from lazyvox.signal.filter_design import design_butterworth
from lazyvox.signal.recursion import BLOCK, BlockFilter, recurse

BAND = {"low_pass": 0.1, "high_pass": 0.01, "t_r": 2.0}


@pytest.fixture
def signals():
    rng = np.random.default_rng(3)
    return rng.normal(size=(130, 90)).cumsum(axis=0) + 500


@pytest.mark.parametrize("n_volumes", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize(("kind", "cutoffs"), [("low", [0.3]), ("band", [0.004, 0.3])])
def test_filtering_in_blocks_is_the_plain_recursion(n_volumes, kind, cutoffs):
    values = np.random.default_rng(0).normal(size=(n_volumes, 6)) + 3
    sections = design_butterworth(5, cutoffs, kind)
    plain, _ = recurse(sections, values, np.outer(sections.steady_states(), values[0]))
    BlockFilter.of(sections).run(values)
    np.testing.assert_allclose(values, plain, atol=1e-11)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_blocks_of_columns_and_threads_do_not_change_results(signals, n_jobs):
    confounds = signals[:, :3] ** 2
    wide = np.tile(signals, 60)
    whole = clean(wide, confounds=confounds, n_jobs=n_jobs, **BAND)
    cleaner = prepare_cleaning(130, confounds=confounds, **BAND)
    parts = np.hstack([cleaner.apply(signals[:, :7]), cleaner.apply(signals[:, 7:])])
    np.testing.assert_allclose(whole, np.tile(parts, 60), atol=1e-11)


@pytest.mark.parametrize("mask", [None, range(10, 120)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_overwriting_gives_the_same_in_place(signals, mask, dtype):
    values = signals.astype(dtype)
    runs = np.repeat([0, 1], 65) if mask is None else None
    expected = clean(values, runs=runs, sample_mask=mask, **BAND)
    result = clean(values, runs=runs, sample_mask=mask, overwrite=True, **BAND)
    assert np.shares_memory(result, values)
    np.testing.assert_array_equal(result, expected)


def test_inputs_stay_as_they_are(signals):
    mask, confounds = np.arange(5, 130, dtype=np.int32), signals[:, :2].copy()
    before = signals.copy(), mask.copy(), confounds.copy()
    clean(signals, sample_mask=mask, confounds=confounds, **BAND)
    for now, then in zip((signals, mask, confounds), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_runs_are_cleaned_apart_and_volumes_keep_their_order(signals):
    runs = np.array(["b", "a"] * 65)
    masks = [np.r_[0:20, 23:65], np.r_[4:65]]
    options = {"standardize_confounds": False, "extrapolate": True, "butterworth__order": 2}
    cleaned = clean(
        signals, runs=runs, sample_mask=masks, confounds=signals[:, :2], **options, **BAND
    )
    kept = np.sort(np.concatenate([np.flatnonzero(runs == "a")[masks[0]], masks[1] * 2]))
    for label, mask in zip("ab", masks, strict=True):
        own = runs == label
        alone = clean(
            signals[own], sample_mask=mask, confounds=signals[own, :2], **options, **BAND
        )
        np.testing.assert_allclose(cleaned[runs[kept] == label], alone, atol=1e-10)


def test_censored_volumes_have_no_influence(signals):
    mask = np.delete(np.arange(130), [0, 40, 41, 90, 129])
    spiked = signals.copy()
    spiked[[0, 40, 41, 90, 129]] = 1e6
    cosine = {"filter": "cosine", "high_pass": 0.01, "t_r": 2.0}
    for options in (BAND, BAND | {"extrapolate": True}, cosine):
        expected = clean(signals, sample_mask=mask, **options)
        np.testing.assert_array_equal(clean(spiked, sample_mask=mask, **options), expected)


def test_all_forms_of_a_sample_mask_are_the_same(signals):
    kept = np.r_[3:50, 52:130]
    expected = clean(signals, sample_mask=kept)
    is_kept = np.isin(np.arange(130), kept)
    for mask in (kept.tolist(), is_kept, is_kept.tolist(), [kept], (is_kept,), kept.astype(float)):
        np.testing.assert_array_equal(clean(signals, sample_mask=mask), expected)


@pytest.mark.parametrize(
    ("name", "head", "mark"),
    [
        ("a.tsv", "x\ty", "\t"),
        ("a.csv", "x,y", ","),
        ("a.csv", '"x","y"', ","),
        ("a.csv", None, ";"),
        ("a.txt", None, " "),
        ("a.tsv.gz", "x\ty", "\t"),
    ],
)
def test_confounds_come_from_tables_in_files(signals, tmp_path, name, head, mark):
    rows = [mark.join(repr(float(value)) for value in row) for row in signals[:, :2]]
    text = "\n".join([*([head] if head else []), *rows]) + "\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    np.save(tmp_path / "c.npy", signals[:, 2])
    expected = clean(signals, confounds=signals[:, :3])
    for given in (path, str(path)):
        cleaned = clean(signals, confounds=[given, tmp_path / "c.npy"])
        np.testing.assert_allclose(cleaned, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a\tb\n1\t2\n3\n",
            r"line 3: every row must have one value for each of the 2 columns\. Got 1",
        ),
        ("a\tb\n1\t2\n3\tx\n", r"column 'b', row 1 \(line 3\): .* Got 'x'"),
        ("", "at least one row"),
        ("\n".join(["a\tb", "n/a\t1", *["1\t2"] * 129]), r"nan in column a, row 0"),
    ],
)
def test_tables_that_are_not_numbers_say_where(signals, tmp_path, text, message):
    path = tmp_path / "confounds.tsv"
    path.write_text(text)
    with pytest.raises(ParameterError, match=message):
        clean(signals, confounds=path)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("f4", "f4"), ("f8", "f8"), ("i2", "f4"), ("u1", "f4"), ("i8", "f8"), ("?", "f4")],
)
def test_types_of_results(dtype, expected):
    values = (np.random.default_rng(0).random((50, 3)) * 3).astype(dtype)
    assert clean(values).dtype == expected
    assert clean(values, low_pass=0.1, butterworth__copy=True).dtype == "f8"


def test_float32_signals_lose_no_more_than_their_last_digits(signals):
    single = signals.astype(np.float32)
    exact = clean(single.astype(np.float64), confounds=signals[:, :4], **BAND)
    cleaned = clean(single, confounds=signals[:, :4], **BAND)
    np.testing.assert_array_equal(cleaned, exact.astype(np.float32))


def test_memory_is_the_result_and_what_work_bytes_says():
    values = np.random.default_rng(0).random((300, 12_000), np.float32)
    confounds = np.random.default_rng(1).random((300, 10))
    clean(values[:, :40], confounds=confounds, **BAND)
    cleaner = prepare_cleaning(300, confounds=confounds, **BAND)
    tracemalloc.start()
    cleaner.apply(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= values.nbytes + cleaner.work_bytes(12_000) + (1 << 16)
    large = prepare_cleaning(840, confounds=np.random.default_rng(2).random((840, 24)), **BAND)
    assert large.work_bytes(69_798) <= 840 * 69_798 * 4 / 10


def test_the_package_imports_nothing_heavy():
    code = (
        "import sys, numpy, lazyvox.signal as s; s.clean(numpy.ones((60, 2)), high_pass=.01);"
        "print([m for m in ('scipy', 'pandas', 'nibabel', 'sklearn') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_few_signals_for_many_confounds_warn():
    with pytest.warns(UserWarning, match="Got 2 signals above percentile 98"):
        high_variance_confounds(np.random.default_rng(0).normal(size=(30, 100)))
    with pytest.raises(ParameterError, match="`percentile` must be from 0 to 100"):
        high_variance_confounds(np.ones((3, 3)), percentile=101)


@pytest.mark.parametrize("how", ["zscore_sample", "psc", None])
@pytest.mark.parametrize("runs", [None, np.repeat([0, 1], [20, 30])])
@pytest.mark.parametrize("filters", [None, "butterworth"])
def test_zeros_are_what_they_are_among_others(how, runs, filters):
    """Blocks of nothing but zeros are not computed."""
    rng = np.random.default_rng(0)
    signals = rng.normal(100, 1, (50, 200))
    signals[:, 50:195] = 0
    signals[3, 64] = 1e-3
    options = {"standardize": how, "runs": runs, "filter": filters, "t_r": 2.0}
    options |= {"high_pass": 0.02} if filters else {}
    order = rng.permutation(200)
    with warnings.catch_warnings(record=True) as apart:
        warnings.simplefilter("always")
        found = clean(signals, **options)
    with warnings.catch_warnings(record=True) as mixed:
        warnings.simplefilter("always")
        expected = clean(signals[:, order], **options)
    np.testing.assert_allclose(found[:, order], expected, atol=1e-12, rtol=1e-9)
    assert (found[:, 65:195] == 0).all()
    assert [str(one.message) for one in apart] == [str(one.message) for one in mixed]
    assert len(apart) == (how == "psc")
