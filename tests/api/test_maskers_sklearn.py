"""Maskers keep scikit-learn's rules, as far as these hold where the input is images."""

import pickle
import subprocess
import sys
import warnings

import nibabel as nib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from lazyvox import maskers

_ARRAYS = "fits to an array of numbers; maskers take images, and refuse arrays"
_TEXT = "looks for words about arrays in the message"

#: Checks that nilearn's maskers do not pass either.
EXPECTED = {
    "check_complex_data": _TEXT,
    "check_dict_unchanged": _ARRAYS,
    "check_dont_overwrite_parameters": _ARRAYS,
    "check_dtype_object": _TEXT,
    "check_estimators_dtypes": _ARRAYS,
    "check_estimators_empty_data_messages": _TEXT,
    "check_estimators_fit_returns_self": _ARRAYS,
    "check_estimators_nan_inf": _TEXT,
    "check_estimators_overwrite_params": _ARRAYS,
    "check_estimators_pickle": _ARRAYS,
    "check_f_contiguous_array_estimator": _ARRAYS,
    "check_fit1d": _TEXT,
    "check_fit2d_1feature": _ARRAYS,
    "check_fit2d_1sample": _ARRAYS,
    "check_fit2d_predict1d": _ARRAYS,
    "check_fit_check_is_fitted": _ARRAYS,
    "check_fit_idempotent": _ARRAYS,
    "check_fit_score_takes_y": _ARRAYS,
    "check_methods_sample_order_invariance": _ARRAYS,
    "check_methods_subset_invariance": _ARRAYS,
    "check_n_features_in": _ARRAYS,
    "check_n_features_in_after_fitting": _ARRAYS,
    "check_pipeline_consistency": _ARRAYS,
    "check_positive_only_tag_during_fit": _ARRAYS,
    "check_readonly_memmap_input": _ARRAYS,
    "check_transformer_data_not_an_array": _ARRAYS,
    "check_transformer_general": _ARRAYS,
    "check_transformer_preserve_dtypes": _ARRAYS,
}

NAMES = [name for name in maskers.__all__ if name.endswith("Masker")]


@pytest.mark.parametrize("name", NAMES)
def test_rules_of_scikit_learn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = check_estimator(
            getattr(maskers, name)(), expected_failed_checks=EXPECTED, on_skip=None, on_fail=None
        )
    states = {(one["check_name"], one["status"]): one["exception"] for one in outcomes}
    failed = {check: error for (check, state), error in states.items() if state == "failed"}
    assert not failed
    # What is expected to fail and passes must leave the list.
    passed = {check for check, state in states if state == "passed"}
    failing = {check for check, state in states if state == "xfail"}
    assert not (passed & set(EXPECTED)) - failing
    assert len(passed) > 15


def _series():
    return nib.Nifti1Image(np.random.default_rng(1).normal(size=(6, 7, 5, 12)), np.eye(4))


def _made(name):
    labels = np.zeros((6, 7, 5), np.uint8)
    labels[1:3, 1:6, 1:4], labels[3:5, 1:6, 1:4] = 1, 2
    img = nib.Nifti1Image(labels, np.eye(4))
    weights = np.stack([labels == 1, labels == 2], axis=3).astype(np.float32)
    regions = {
        "NiftiMasker": {"mask_img": nib.Nifti1Image((labels > 0).astype(np.uint8), np.eye(4))},
        "NiftiLabelsMasker": {"labels_img": img},
        "NiftiMapsMasker": {"maps_img": nib.Nifti1Image(weights, np.eye(4))},
        "NiftiSpheresMasker": {
            "seeds": [(2, 2, 2), (4, 4, 2)],
            "radius": 1.0,
            "mask_img": nib.Nifti1Image(np.ones_like(labels), np.eye(4)),
        },
    }
    return getattr(maskers, name)(standardize=None, **regions[name.removeprefix("Multi")])


@pytest.mark.parametrize("name", NAMES)
class TestWithImages:
    def test_is_an_estimator_with_the_tags_of_a_masker(self, name):
        masker = _made(name)
        assert isinstance(masker, BaseEstimator)
        tags = masker.__sklearn_tags__()
        assert tags.estimator_type == "masker"
        assert tags.input_tags.niimg_like

    def test_parameters_can_be_read_set_and_cloned(self, name):
        masker = _made(name).set_params(detrend=True, memory_budget="64MB")
        copy = clone(masker)
        assert copy.get_params()["detrend"]
        assert copy.memory_budget == "64MB"
        assert not hasattr(clone(masker.fit()), "n_elements_")

    def test_fit_changes_no_parameter_and_returns_the_masker(self, name):
        masker = _made(name)
        before = dict(masker.get_params(deep=False))
        assert masker.fit() is masker
        after = masker.get_params(deep=False)
        assert all(after[key] is value for key, value in before.items())

    def test_transform_changes_no_attribute_but_what_it_tells_of_columns(self, name):
        masker = _made(name).fit()
        before = set(vars(masker))
        masker.transform(_series())
        assert set(vars(masker)) - before <= {"region_atlas_"}

    def test_needs_fit_first(self, name):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            _made(name).transform(_series())
        with pytest.raises(NotFittedError, match="not fitted yet"):
            _made(name).inverse_transform(np.ones((2, 2)))

    def test_pickle_and_the_original_still_work(self, name):
        masker = _made(name).fit()
        copy = pickle.loads(pickle.dumps(masker))
        img = _series()
        np.testing.assert_array_equal(copy.transform(img), masker.transform(img))

    @pytest.mark.parametrize("kind", ["pandas", "polars"])
    def test_set_output(self, name, kind):
        library = pytest.importorskip(kind)
        masker = _made(name)
        plain = masker.fit_transform(_series())
        table = masker.set_output(transform=kind).fit_transform(_series())
        assert isinstance(table, library.DataFrame)
        assert list(table.columns) == [str(one) for one in masker.get_feature_names_out()]
        np.testing.assert_array_equal(table.to_numpy(), plain)
        back = masker.inverse_transform(table)
        assert back.shape == (6, 7, 5, 12)
        volume = nib.Nifti1Image(np.asarray(_series().dataobj)[..., 0], np.eye(4))
        assert masker.transform(volume).shape == (1, masker.n_elements_)
        again = masker.set_output(transform="default").transform(_series())
        assert isinstance(again, np.ndarray)

    def test_pipeline(self, name):
        if name.startswith("Multi"):
            pytest.skip("a list of signals is no input for another step")
        found = make_pipeline(_made(name), StandardScaler()).fit_transform(_series())
        np.testing.assert_allclose(found.std(axis=0), 1)

    def test_pages_show_the_parameters(self, name):
        assert name in _made(name)._repr_html_()
        assert name in repr(_made(name))

    def test_number_and_names_of_columns(self, name):
        masker = _made(name).fit()
        assert len(masker.get_feature_names_out()) == masker.n_elements_


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_lists_of_subjects_become_lists_of_tables(kind):
    library = pytest.importorskip(kind)
    masker = _made("MultiNiftiLabelsMasker").set_output(transform=kind)
    tables = masker.fit_transform([_series(), _series()])
    assert all(isinstance(table, library.DataFrame) for table in tables)
    assert list(tables[0].columns) == ["1", "2"]


def test_without_scikit_learn_the_extra_is_named(run_without_sklearn):
    assert "pip install scikit-learn" in run_without_sklearn


@pytest.fixture
def run_without_sklearn():
    code = "import sys; sys.modules['sklearn'] = None; import lazyvox.maskers"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    return done.stderr
