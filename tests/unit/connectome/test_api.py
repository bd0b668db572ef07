"""`lv.connectivity`: the command's twin in Python."""

from pathlib import Path

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run
from lazyvox.connectome import KINDS, connectivity_values
from lazyvox.errors import MemoryBudgetError, ParameterError, ParameterTypeError


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
