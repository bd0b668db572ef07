"""`connectivity`: what the matrices are, and what is refused."""

import numpy as np
import pytest

from lazyvox.connectome import KINDS
from lazyvox.connectome import connectivity_values as connectivity
from lazyvox.connectome.covariance import ledoit_wolf_shrinkage
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError


def signals(n_volumes=50, n_regions=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_volumes, n_regions)) @ rng.normal(size=(n_regions, n_regions)) + 9


def test_empirical_matrices_are_those_of_numpy():
    values = signals()
    correlation = connectivity(values, estimator="empirical")
    np.testing.assert_allclose(correlation, np.corrcoef(values.T), atol=1e-13)
    covariance = connectivity(values, "covariance", estimator="empirical")
    np.testing.assert_allclose(covariance, np.cov(values.T, ddof=0), atol=1e-12)


def test_partial_correlation_is_that_of_residuals():
    values = signals()
    others = np.column_stack([values[:, 2:], np.ones(len(values))])
    residuals = values[:, :2] - others @ np.linalg.lstsq(others, values[:, :2], rcond=None)[0]
    found = connectivity(values, "partial correlation", estimator="empirical")
    assert found[0, 1] == pytest.approx(np.corrcoef(residuals.T)[0, 1], abs=1e-12)


def test_shrinkage_is_the_formula_of_the_paper():
    values = signals(20, 4) - signals(20, 4).mean(axis=0)
    n_rows, n_columns = values.shape
    covariance = values.T @ values / n_rows
    mean = np.trace(covariance) / n_columns
    distance = ((covariance - mean * np.eye(n_columns)) ** 2).sum() / n_columns
    spread = sum(((np.outer(row, row) - covariance) ** 2).sum() for row in values)
    wanted = min(spread / n_columns / n_rows**2, distance) / distance
    assert ledoit_wolf_shrinkage(values, covariance) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 1), (3, 5), (5, 5), (30, 1), (8, 40)])
def test_matrices_are_symmetric_and_finite(kind, shape):
    found = connectivity(signals(*shape), kind)
    assert found.shape == (shape[1], shape[1])
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, found.T)
    if kind != "covariance":
        assert (found.diagonal() == 1).all()
        assert np.abs(found).max() == 1


def test_input_is_not_changed_and_integers_do():
    values = np.array([[1, 2], [3, 5], [2, 9]], np.int16)
    before = values.copy()
    found = connectivity(values)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(found, connectivity(values.astype(float)))


@pytest.mark.parametrize("estimator", ["ledoit-wolf", "empirical"])
@pytest.mark.parametrize("kind", ["correlation", "partial correlation"])
def test_constant_columns_are_named_and_zero(kind, estimator):
    values = signals()
    # The mean of many of these is not exactly this.
    values[:, 3] = 1234.567
    with pytest.warns(LazyvoxWarning, match=r"Constant: column 3 \('d'\)\. Leave") as caught:
        found = connectivity(values, kind, estimator=estimator, names=list("abcdef"))
    assert len(caught) == 1
    assert found[3].tolist() == [0, 0, 0, 1, 0, 0]
    rest = np.delete(np.arange(6), 3)
    assert np.isfinite(found[np.ix_(rest, rest)]).all()


def test_all_constant():
    with pytest.warns(LazyvoxWarning, match=r"column 5 and 2 more"):
        found = connectivity(np.ones((5, 8)))
    np.testing.assert_array_equal(found, np.eye(8))
    assert not connectivity(np.ones((5, 8)), "covariance").any()


def test_two_volumes_have_correlations_of_one():
    found = connectivity(signals(2, 5))
    np.testing.assert_allclose(np.abs(found), 1)
    with pytest.raises(ParameterError, match=r"more volumes than regions"):
        connectivity(signals(2, 5), "partial correlation")


@pytest.mark.parametrize("values", [signals(4, 6), signals()[:, [0, 1, 0]]])
def test_singular_partial_correlation_is_refused(values):
    with pytest.raises(ParameterError, match=r"can be inverted.*estimator='ledoit-wolf'"):
        connectivity(values, "partial correlation", estimator="empirical")


def test_scales_of_columns_do_not_matter_to_empirical_partial_correlation():
    values = signals()
    options = {"kind": "partial correlation", "estimator": "empirical"}
    scaled = connectivity(values * np.logspace(-8, 8, 6), **options)
    np.testing.assert_allclose(scaled, connectivity(values, **options), atol=1e-10)


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        (np.ones((1, 3)), {}, ParameterError, r"at least two volumes .* Got shape \(1, 3\)"),
        (np.ones((3, 0)), {}, ParameterError, r"Got shape \(3, 0\)"),
        (np.ones(3), {}, ParameterTypeError, r"Got float64 of shape \(3,\)"),
        ([["a", "b"]], {}, ParameterTypeError, r"must be real numbers"),
        ([[1, 2], [np.nan, 3], [np.inf, 1]], {}, ParameterError,
         r"Got nan in volume 1 of column 0, and 2 such values"),
        (np.array([[1e200, 1], [-1e200, 2]]), {"kind": "covariance"}, ParameterError,
         r"small enough to be squared"),
        (np.array([[1e-200, 1], [-1e-200, 2]]), {"kind": "covariance"}, ParameterError,
         r"large enough to be squared"),
        (np.eye(3), {"kind": "tangent"}, ParameterError, r"`kind` must be one of 'correlation', "),
        (np.eye(3), {"estimator": "oas"}, ParameterError, r"`estimator` must be one of 'ledoit-wolf'"),
        (np.eye(3), {"names": ["a"]}, ParameterError, r"must name each of 3 columns\. Got 1 names"),
    ],
)  # fmt: skip
def test_what_is_refused(values, options, error, message):
    with pytest.raises(error, match=message):
        connectivity(values, **options)


@pytest.mark.parametrize("scale", [2.0**600, 2.0**-600])
def test_correlations_have_no_scale(scale):
    signals = np.random.default_rng(0).normal(size=(30, 4))
    found = connectivity(signals * scale)
    np.testing.assert_array_equal(found, connectivity(signals))
