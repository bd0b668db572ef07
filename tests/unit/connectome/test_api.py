"""`lv.connectivity`: the command's twin in Python."""

from pathlib import Path

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run
from lazyvox.connectome import KINDS, connectivity_values, mean_connectivity
from lazyvox.errors import LazyvoxWarning, MemoryBudgetError, ParameterError, ParameterTypeError


@pytest.fixture
def signals(example_folder, monkeypatch):
    monkeypatch.chdir(example_folder)
    return lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_signals_gives_the_same_matrix(signals, kind):
    expected = connectivity_values(signals.values, kind)
    forms = [signals]
    for ending in (".tsv", ".csv", ".npy"):
        signals.save(f"signals{ending}")
        forms.append(f"signals{ending}")
    for form in forms:
        found = lv.connectivity(form, kind)
        np.testing.assert_array_equal(found, expected)
        assert found.kind == kind
        named = form != "signals.npy"
        assert found.names == (signals.names if named else tuple(map(str, range(8))))
    assert lv.connectivity(signals.values, names=signals.names).names == signals.names


def test_frames(signals):
    pytest.importorskip("pandas")
    frame = signals.to_dataframe()
    frame.insert(0, "Unnamed: 0", range(len(frame)))
    found = lv.connectivity(frame)
    assert found.names == signals.names
    table = found.to_dataframe()
    assert list(table.index) == list(table.columns) == list(signals.names)
    np.testing.assert_array_equal(table.to_numpy(), lv.connectivity(signals).values)


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".npy"])
def test_saves_what_the_command_writes(signals, ending):
    signals.save("signals.tsv")
    assert run(["connectivity", "signals.tsv", "-o", f"by_command{ending}"]) == 0
    lv.connectivity("signals.tsv").save(f"by_python{ending}")
    assert Path(f"by_python{ending}").read_bytes() == Path(f"by_command{ending}").read_bytes()


def test_refused(signals):
    with pytest.raises(ParameterError, match=r"`path` must end in one of \.tsv, \.csv, \.npy"):
        lv.connectivity(signals).save("matrix.png")
    with pytest.raises(ParameterTypeError, match="must be real numbers of shape"):
        lv.connectivity(3)
    with pytest.raises(ParameterError, match=r"`names` must name each of 8 columns\. Got 1"):
        lv.connectivity(signals, names=["a"])
    signals.save("signals.npy")
    for form in (signals, "signals.npy"):
        with pytest.raises(MemoryBudgetError, match=r"40 volumes of 8 regions need 8\.0 MiB"):
            lv.connectivity(form, memory="1MiB")


def test_several_tables(signals):
    signals.save("signals.tsv")
    halves = [signals.values[:20], signals.values[20:]]
    assert len(lv.connectivity(halves)) == 2
    found = lv.connectivity([signals, "signals.tsv"], fisher_z=True)
    assert repr(found[1]) == "<Connectivity of 8 regions, correlation, Fisher's z>"
    assert found[0].names == found[1].names == signals.names
    mean = mean_connectivity(found)
    np.testing.assert_allclose(mean.values, found[0].values)
    planned = lv.plan(lv.connectivity, [signals, "signals.tsv"])
    assert planned.peak_bytes > lv.plan(lv.connectivity, signals).peak_bytes
    with pytest.raises(ParameterError, match=r"which 'LeftFront' and '0' differ first"):
        lv.connectivity([signals, signals.values])
    with pytest.raises(ParameterError, match="must be of the same regions, and of one kind"):
        mean_connectivity([found[0], lv.connectivity(signals)])
    with pytest.raises(ParameterError, match=r"at least one matrix\. Got none"):
        mean_connectivity([])


def test_means_are_of_the_matrices_that_have_a_value():
    rng = np.random.default_rng(0)
    tables = [rng.normal(size=(20, 3)) for _ in range(2)]
    tables[1][:, 2] = np.nan
    with pytest.warns(LazyvoxWarning, match=r"1 of 3 regions have no values.*: column 2 \('2'\)"):
        first, second = lv.connectivity(tables, "covariance")
    mean = mean_connectivity([first, second]).values
    assert mean[0, 1] == pytest.approx((first.values[0, 1] + second.values[0, 1]) / 2)
    assert mean[0, 2] == first.values[0, 2]
    np.testing.assert_array_equal(
        second.values[:2, :2], connectivity_values(tables[1][:, :2], "covariance")
    )


def test_fisher_z_is_of_correlations():
    with pytest.raises(ParameterError, match="`fisher_z` concerns correlations"):
        lv.connectivity(np.eye(4), "covariance", fisher_z=True)
    values = np.random.default_rng(1).normal(size=(50, 4))
    r = connectivity_values(values, "partial correlation")
    z = connectivity_values(values, "partial correlation", fisher_z=True)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(z[off], 0.5 * np.log((1 + r[off]) / (1 - r[off])))
    assert (z.diagonal() == 4).all()
    same = np.repeat(values[:, :1], 2, axis=1)
    assert connectivity_values(same, estimator="empirical", fisher_z=True)[0, 1] == 4
