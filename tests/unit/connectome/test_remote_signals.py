"""Signals in files behind URLs."""

import numpy as np
import pytest

from lazyvox.connectome.signals_file import open_signals
from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.testing import ObjectServer

VALUES = np.random.default_rng(0).normal(size=(30, 3)).round(6)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    np.save(folder / "s.npy", VALUES)
    np.savetxt(folder / "s.1D", VALUES, header="a comment")
    np.savetxt(folder / "s.tsv", VALUES, delimiter="\t", header="a\tb\tc", comments="")
    return folder


@pytest.mark.parametrize("name", ["s.npy", "s.1D", "s.tsv"])
def test_signals_behind_a_url_are_those_of_the_file(files, name):
    with ObjectServer({name: (files / name).read_bytes()}) as server:
        found, local = open_signals(server.url(name) + "?v=1"), open_signals(files / name)
        assert (found.names, found.shape) == (local.names, local.shape)
        assert found.n_bytes == (files / name).stat().st_size
        np.testing.assert_array_equal(found.read(), local.read())
        np.testing.assert_allclose(found.read(), VALUES)


def test_parquet_behind_a_url(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"a": VALUES[:, 0], "b": VALUES[:, 1]}), tmp_path / "s")
    with ObjectServer({"s.parquet": (tmp_path / "s").read_bytes()}) as server:
        found = open_signals(server.url("s.parquet"))
        assert found.names == ("a", "b")
        np.testing.assert_array_equal(found.read(), VALUES[:, :2])


def test_missing_and_foreign_objects_are_named():
    with ObjectServer({"s.npz": b"12345"}) as server:
        with pytest.raises(ImageNotFoundError, match=r"http://.*s\.tsv: no such object"):
            open_signals(server.url("s.tsv"))
        with pytest.raises(ParameterError, match=r"must be in a file that ends in \.tsv"):
            open_signals(server.url("s.npz"))


def test_comments_may_lie_between_rows(tmp_path):
    (tmp_path / "s.1D").write_text("# a\n1 2\n# b\n3 4\n")
    np.testing.assert_array_equal(open_signals(tmp_path / "s.1D").read(), [[1, 2], [3, 4]])
    (tmp_path / "s.1D").write_text("1 2\n\n3 4\n")
    with pytest.raises(ParameterError, match=r"line 2: every row must have one value"):
        open_signals(tmp_path / "s.1D")
