"""Every error and warning: its text, its parameter, its hints, in copies and in other processes."""

import copy
import pickle

import pytest
from tblib import pickling_support

from lazyvox import errors
from lazyvox.cli.outcome import options_named, spelled
from lazyvox.image.formula import FormulaSyntaxError

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", CLASSES, ids=errors.__all__)
def test_copies_keep_the_text_the_parameter_and_the_hints(cls):
    error = cls("`t_r` must be above 0. Got 0.", value=0, hint="Call f(x).", cli_hint="Ask.")
    for same in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(same) is cls
        assert str(same) == "`t_r` must be above 0. Got 0. Call f(x)."
        assert same.message == "`t_r` must be above 0. Got 0."
        assert (same.parameter, same.value) == ("t_r", 0)
        assert (same.hint, same.cli_hint) == ("Call f(x).", "Ask.")


@pytest.mark.parametrize("cls", CLASSES, ids=errors.__all__)
def test_errors_travel_where_dask_pickles_exceptions(cls):
    error = cls("`t_r` must be above 0. Got 0.", value=0, hint="Call f(x).", cli_hint="Ask.")
    make, args, *state = pickling_support.pickle_exception(error)
    same = make(*args)
    same.__dict__.update(*state)
    assert type(same) is cls
    assert (str(same), same.hint, same.cli_hint) == (str(error), "Call f(x).", "Ask.")


def test_error_of_a_place_keeps_its_class_and_its_hints():
    error = errors.ScalingError("`dtype` must hold it.", hint="x.astype(f)", cli_hint="Change it.")
    placed = error.at("a.nii")
    assert type(placed) is errors.ScalingError
    assert str(placed) == "a.nii: `dtype` must hold it. x.astype(f)"
    assert (placed.parameter, placed.cli_hint) == ("dtype", "Change it.")


def test_error_of_syntax_prints_its_text():
    assert str(FormulaSyntaxError("no formula")) == "no formula"
    assert FormulaSyntaxError("no formula").msg == "no formula"


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("`t_r` must be above 0.", "--t-r must be above 0."),
        ("`mask_imgs[2]`: empty.", "--mask: empty."),
        ("Pass resample=True.", "Pass --resample."),
        ("Pass memory=5000 or more.", "Pass --memory 5000 or more."),
        ("Got high_pass=0.1 Hz and n_jobs=-1.", "Got --high-pass 0.1 Hz and --jobs -1."),
        ("Strategies are wm_csf, high_pass, scrub", "Strategies are wm_csf, high_pass, scrub"),
        ("motion24,high_pass, my_t_r", "motion24,high_pass, my_t_r"),
        ("Pass estimator='empirical'.", "Pass --estimator empirical."),
        ('Pass scale="auto", or t_r.', "Pass --scale auto, or t_r."),
        # Names of strategies and columns, and of files, are not parameters.
        ("Add 'high_pass'. There is wm_csf, high_pass.", "Add 'high_pass'. There is wm_csf, high_pass."),
        ("/data/t_r=2/run.nii: `datalad get` it.", "/data/t_r=2/run.nii: `datalad get` it."),
    ],
)  # fmt: skip
def test_command_line_names_the_option(message, wanted):
    assert spelled(errors.ParameterError(message)) == wanted
    assert spelled(errors.LazyvoxWarning(message)) == wanted
    assert spelled(ValueError(message)) == message


def test_options_of_other_names():
    with (
        pytest.raises(errors.ParameterError, match=r"^--confound-strategy must be one$"),
        options_named(strategy="--confound-strategy"),
    ):
        raise errors.ParameterError("`strategy` must be one")
