"""The space that cleaning leaves is that of least squares, for any band, trend, table and volumes."""

import warnings

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from lazyvox.errors import ParameterError
from lazyvox.seedmaps.space import Band, clean_space
from lazyvox.signal.volumes import RunVolumes


def least_squares(run, regressors, order, band):
    """Return the projector onto what is left, and its rank, from all columns written out."""
    n = len(run.rows)
    kept = np.arange(n) if run.kept is None else run.kept
    columns = [np.linspace(-1, 1, n)[:, None] ** np.arange(order + 1)]
    if band is not None:
        numbers = np.arange(1, n // 2 + 1)
        low, high = band.high_pass or 0, band.low_pass or np.inf
        frequencies = numbers / (n * band.t_r)
        bad = (frequencies < low * (1 - 1e-9)) | (frequencies > high * (1 + 1e-9))
        phase = 2 * np.pi * np.outer(np.arange(n), numbers[bad]) / n
        columns += [np.cos(phase), np.sin(phase)[:, 2 * numbers[bad] < n]]
    design = np.concatenate([np.concatenate(columns, axis=1)[kept], regressors], axis=1)
    size = np.abs(design).max(axis=0)
    left, singular, _ = np.linalg.svd(design[:, size > 1e-12] / size[size > 1e-12])
    # Of a matrix between regular and singular either answer would do.
    assume(not ((singular > 1e-11) & (singular < 1e-4)).any())
    rank = int((singular > 1e-8).sum())
    rest = left[:, rank:]
    return rest @ rest.T, rest.shape[1]


@given(data=st.data())
def test_the_space_that_is_left(data):
    n = data.draw(st.integers(6, 50), "volumes")
    n_left_out = data.draw(st.integers(0, n // 3), "left out")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), "seed"))
    kept = np.sort(rng.permutation(n)[n_left_out:]) if n_left_out else None
    run = RunVolumes(np.arange(n), kept)
    regressors = rng.normal(size=(run.n_kept, data.draw(st.integers(0, 4), "confounds"))) + 3
    if regressors.shape[1] > 2:
        regressors[:, 2] = regressors[:, 0] - 2 * regressors[:, 1]
    order = data.draw(st.integers(0, 3), "order")
    edges = sorted(data.draw(st.tuples(*[st.integers(1, n // 2)] * 2), "edges"))
    band = None
    if data.draw(st.booleans(), "filtered") and edges[0] < edges[1] < n / 2:
        # Edges on a frequency, where they are kept.
        low, high = (edge / (n * 2.0) for edge in edges)
        band = data.draw(st.sampled_from([Band(low, high, 2.0), Band(low, None, 2.0)]), "band")
    want, n_left = least_squares(run, regressors, order, band)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = clean_space(run, regressors, drift_order=order, band=band)
        except ParameterError:
            assert n_left < 2 or run.n_kept < 3
            return
    assert found.n_left == n_left
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(found.n_columns), atol=1e-12)
    got = found.basis @ found.basis.T
    if not found.is_left:
        got = np.eye(run.n_kept) - got
    np.testing.assert_allclose(got, want, atol=1e-6)
