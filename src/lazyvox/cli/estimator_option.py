"""The option `--estimator`: how the covariance of regions is estimated."""

from typing import Any

import click

from lazyvox.connectome import ESTIMATORS

__all__ = ["estimator_option"]


def estimator_option(command: Any) -> Any:
    """Add --estimator."""
    add = click.option(
        "--estimator",
        type=click.Choice(ESTIMATORS),
        default=ESTIMATORS[0],
        show_default=True,
        metavar="NAME",
        help="Estimator of the covariance: ledoit-wolf, with shrinkage, or empirical.",
    )
    return add(command)
