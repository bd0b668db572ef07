"""Connectivity equals nilearn's ConnectivityMeasure."""

import numpy as np
import pytest

from lazyvox.connectome import KINDS
from lazyvox.connectome import connectivity_values as connectivity

connectome = pytest.importorskip("nilearn.connectome")
covariance = pytest.importorskip("sklearn.covariance")


def signals(shape, seed=1):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(shape[0], 1))
    return common + rng.normal(size=shape) * rng.uniform(0.5, 3, shape[1]) + 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", ["ledoit-wolf", "empirical"])
@pytest.mark.parametrize("shape", [(40, 6), (30, 25), (20, 60), (5, 1), (3, 4)])
def test_same_matrix(kind, estimator, shape):
    if kind == "partial correlation" and estimator == "empirical" and shape[0] <= shape[1]:
        pytest.skip("not defined")
    values = signals(shape)
    estimate = None if estimator == "ledoit-wolf" else covariance.EmpiricalCovariance()
    theirs = connectome.ConnectivityMeasure(estimate, kind=kind).fit_transform([values])[0]
    ours = connectivity(values, kind, estimator=estimator)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("constant", [5.0, 1234.56789])
def test_constant_column_is_zero_in_both(constant):
    values = signals((40, 5))
    values[:, 2] = constant
    with pytest.warns(UserWarning, match="Constant: column 2"):
        ours = connectivity(values)
    theirs = connectome.ConnectivityMeasure(kind="correlation").fit_transform([values])[0]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_constant_column_is_nan_in_empirical_matrices_of_nilearn_only():
    values = signals((40, 5))
    values[:, 2] = 5.0
    with pytest.warns(UserWarning, match="Constant: column 2"):
        ours = connectivity(values, estimator="empirical")
    estimator = covariance.EmpiricalCovariance(store_precision=False)
    measure = connectome.ConnectivityMeasure(estimator, kind="correlation")
    with pytest.warns(RuntimeWarning):
        theirs = measure.fit_transform([values])[0]
    assert np.isnan(theirs[2, 0])
    assert ours[2].tolist() == [0, 0, 1, 0, 0]
