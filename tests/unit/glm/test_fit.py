import numpy as np
import pytest
from nilearn.glm.first_level import mean_scaling, run_glm

from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.glm.design import Design
from lazyvox.glm.fit import Model, fit_sums
from lazyvox.glm.noise import noise_order
from lazyvox.glm.sums import VoxelSums, stack_lagged

N = 80


def noise(n_voxels, seed=0, n_volumes=N):
    """Return noise whose voxels have different autocorrelation, on a mean of 500."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n_volumes, n_voxels))
    rho = np.linspace(-0.2, 0.7, n_voxels)
    for t in range(1, n_volumes):
        values[t] += rho * values[t - 1]
    return values + 500


def design_matrix(constant=True, seed=1, n_volumes=N):
    rng = np.random.default_rng(seed)
    columns = [rng.standard_normal(n_volumes), np.linspace(0, 1, n_volumes) ** 2]
    if constant:
        columns.append(np.ones(n_volumes))
    return np.column_stack(columns)


def fitted(values, matrix, noise_model="ar1", scaling="none", **options):
    model = Model(Design.of(matrix), noise_model, scaling=scaling, has_r_square=True, **options)
    rows = stack_lagged(model.design.basis, model.order)
    sums = VoxelSums(values.shape[1], rows.shape[1], model.order, dtype=values.dtype, n_waiting=16)
    sums.add(values, rows)
    sums.finish()
    return fit_sums(sums, model)


def assert_close(found, expected, tolerance=1e-9):
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


def assert_fit(fit, labels, results, tolerance=1e-9):
    np.testing.assert_array_equal(fit.labels, labels)
    assert set(fit.by_label) == set(results)
    for label, one in results.items():
        mine = fit.by_label[label]
        assert_close(mine.theta, one.theta, tolerance)
        assert_close(mine.cov, one.cov, tolerance)
        assert_close(mine.dispersion, one.dispersion, tolerance)
        assert_close(mine.r_square, one.r_square, tolerance)


@pytest.mark.parametrize("noise_model", ["ols", "ar1", "ar2", "ar3"])
@pytest.mark.parametrize("constant", [True, False])
def test_labels_and_results_are_those_of_nilearn(noise_model, constant):
    values, matrix = noise(60), design_matrix(constant)
    options = {"bins": 100 if noise_model == "ar1" else 7, "random_state": 3}
    fit = fitted(values, matrix, noise_model, **options)
    assert_fit(fit, *run_glm(values, matrix, noise_model, **options))


@pytest.mark.parametrize(("scaling", "axis"), [("voxel", 0), ("grand", (0, 1))])
@pytest.mark.parametrize("constant", [True, False])
def test_scaled_sums_are_the_sums_of_scaled_signals(scaling, axis, constant):
    values, matrix = noise(40), design_matrix(constant)
    scaled = mean_scaling(values, axis)[0]
    assert_fit(fitted(values, matrix, scaling=scaling), *run_glm(scaled, matrix), 1e-8)


@pytest.mark.parametrize("how", ["zscore_sample", "psc"])
def test_standardised_sums_are_the_sums_of_standardised_signals(how):
    values, matrix = noise(40), design_matrix()
    center = values.mean(axis=0)
    scaled = (values - center) / values.std(axis=0, ddof=1)
    if how == "psc":
        scaled = 100 * (values - center) / center
    assert_fit(fitted(values, matrix, scaling=how), *run_glm(scaled, matrix), 1e-8)


def test_a_design_that_lacks_rank_has_nilearns_weights_and_its_own_degrees_of_freedom():
    values, matrix = noise(30), design_matrix()
    matrix = np.column_stack([matrix, matrix[:, 0] * 2, np.zeros(N)])
    with pytest.warns(LazyvoxWarning, match="5 columns of rank 3"):
        fit = fitted(values, matrix)
    labels, results = run_glm(values, matrix)
    np.testing.assert_array_equal(fit.labels, labels)
    for label, one in results.items():
        assert_close(fit.by_label[label].theta, one.theta)
        assert_close(fit.by_label[label].dispersion, one.dispersion * (N - 5) / (N - 3))


@pytest.mark.parametrize("noise_model", ["ols", "ar1", "ar2"])
def test_voxels_that_do_not_vary_have_no_effect_and_no_t(noise_model):
    values = noise(20).astype("f4")
    values[:, 3], values[:, 7], values[:, 9] = 0, 0.1, 1e7
    fit = fitted(values, design_matrix(), noise_model, bins=5, random_state=0)
    assert fit.n_still == 3
    found = np.full(20, -1.0)
    for label, one in fit.by_label.items():
        members = np.flatnonzero(fit.labels == label)
        still = np.isin(members, [3, 7, 9])
        assert not one.theta[:2, still].any()
        np.testing.assert_allclose(one.theta[2, still], values[0, members[still]], rtol=1e-6)
        found[members] = one.dispersion
    assert found[3] == 0
    assert np.isnan(found[[7, 9]]).all()
    assert (np.delete(found, [3, 7, 9]) > 0).all()


def test_constants_are_zero_once_they_are_in_percent_of_themselves():
    values = noise(6)
    values[:, 2], values[:, 4] = 512.3, 7
    fit = fitted(values, design_matrix(), scaling="voxel")
    for label, one in fit.by_label.items():
        still = np.isin(np.flatnonzero(fit.labels == label), [2, 4])
        assert not one.theta[:, still].any()
        assert not one.dispersion[still].any()


@pytest.mark.parametrize("noise_model", ["ols", "ar1"])
def test_a_design_without_degrees_of_freedom_has_weights_and_no_variance(noise_model):
    values = noise(5, n_volumes=4)
    matrix = np.column_stack([np.eye(4), np.ones(4)])
    with pytest.warns(LazyvoxWarning) as said:
        fit = fitted(values, matrix, noise_model)
    assert "Got rank 4 for 4 volumes: variances and statistics are NaN" in str(said[0].message)
    (one,) = fit.by_label.values()
    np.testing.assert_allclose(matrix @ one.theta, values, rtol=1e-9)
    assert np.isnan(one.dispersion).all()


def test_zero_means_are_said_where_signals_are_divided_by_them():
    values = noise(5)
    values[:, 2] = 0
    with pytest.warns(LazyvoxWarning, match="Mean values of 0 observed, in 1 voxels"):
        fit = fitted(values, design_matrix(), scaling="voxel")
    assert fit.n_still == 1


def test_a_mean_of_1e5_spreads_costs_no_more_than_the_rounding_of_float32():
    exact = noise(50) - 500
    values = (1e5 + exact).astype("f4")
    fit = fitted(values, design_matrix())
    labels, results = run_glm(values.astype(float) - 1e5, design_matrix())
    np.testing.assert_array_equal(fit.labels, labels)
    for label, one in results.items():
        assert_close(fit.by_label[label].theta[:2], one.theta[:2], 1e-6)
        assert_close(fit.by_label[label].dispersion, one.dispersion, 1e-6)


def test_columns_of_very_different_size_lose_nothing():
    values, matrix = noise(10), design_matrix()
    sizes = np.array([1e-9, 1e7, 1])
    fit, plain = fitted(values, matrix * sizes), fitted(values, matrix)
    for label, one in plain.by_label.items():
        assert_close(fit.by_label[label].theta * sizes[:, None], one.theta)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (
            np.ones(5),
            r"`design` must have a row per volume and a column per regressor. Got \(5,\)",
        ),
        ([["a"], ["b"]], "`design` must hold numbers"),
        ([[1.0], [np.nan], [2.0]], "Got nan in column 'x0' at row 1, and 1 such numbers in all"),
        (np.zeros((5, 2)), "must have a column that is not zero. Got 2 columns"),
    ],
)
def test_bad_designs_are_refused(matrix, message):
    with pytest.raises(ParameterError, match=message):
        Design.of(matrix)


@pytest.mark.parametrize("name", ["ar0", "ar", "AR1", "ar-1", "arma", 1])
def test_noise_models_have_names(name):
    with pytest.raises(ParameterError, match='`noise_model` must be "ols", or "arN"'):
        noise_order(name)
