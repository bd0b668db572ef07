"""The options about first-level models that commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lazyvox.glm.model_choice import DRIFT_MODELS, HRF_MODELS, ModelChoice

__all__ = ["MODEL_OPTIONS", "contrast_option", "model_options"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

_DEFAULTS = ModelChoice()

_OPTIONS = (
    click.option(
        "--hrf-model",
        type=click.Choice(HRF_MODELS),
        default=_DEFAULTS.hrf_model,
        show_default=True,
        metavar="NAME",
        help=f"Response to events: {', '.join(HRF_MODELS)}.",
    ),
    click.option(
        "--drift-model",
        type=click.Choice(DRIFT_MODELS),
        default=_DEFAULTS.drift_model,
        show_default=True,
        help="Regressors of slow drifts.",
    ),
    click.option(
        "--drift-order",
        metavar="N",
        type=click.IntRange(min=0),
        default=_DEFAULTS.drift_order,
        show_default=True,
        help="Order of the polynomials.",
    ),
    click.option(
        "--noise-model",
        metavar="NAME",
        default=_DEFAULTS.noise_model,
        show_default=True,
        help="Noise: ar1, or arN for a dependence on N volumes; ols for none.",
    ),
    click.option(
        "--slice-time-ref",
        metavar="X",
        type=click.FloatRange(0, 1),
        default=_DEFAULTS.slice_time_ref,
        show_default=True,
        help="Time of the reference slice, as a fraction of the time between volumes.",
    ),
)

#: Parameters of the options that `model_options` adds.
MODEL_OPTIONS = ("hrf_model", "drift_model", "drift_order", "noise_model", "slice_time_ref")


def contrast_option(*, required: bool) -> Callable[[_Decorated], _Decorated]:
    """Return the option for contrasts."""
    return click.option(
        "--contrast",
        "contrasts",
        metavar="EXPRESSION",
        multiple=True,
        required=required,
        help='Difference or mean of columns of the design, such as "face - house"; with a name as '
        'in "faces=face - house". May be given several times.',
    )


def model_options(command: _Decorated) -> _Decorated:
    """Add the options about the design that is made of events, and about noise."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
