"""`--motion-format` and `--radius`: how motion parameters become framewise displacement."""

from typing import Any

import click

from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.settings import POSITIVE, is_given
from lazyvox.confounds.displacement import MOTION_FORMATS

__all__ = ["check_radius", "motion_options"]


def motion_options(command: Any) -> Any:
    """Add the options about the motion table of a command."""
    radius = click.option(
        "--radius",
        type=POSITIVE,
        default=50.0,
        show_default=True,
        metavar="MM",
        help="Radius of the sphere on which rotations are converted to mm.",
    )
    motion_format = click.option(
        "--motion-format",
        type=click.Choice(MOTION_FORMATS),
        help="Order and units of the six columns: fsl (.par: rotations in radians, then "
        "translations in mm), afni (.1D: rotations in degrees, then translations), spm (rp_*.txt: "
        "translations, then rotations in radians), fmriprep (trans_x to rot_z, by name). By default "
        "the names of the columns, or of the file, decide.",
    )
    return motion_format(radius(command))


def check_radius(ctx: click.Context, *, has_motion: bool) -> None:
    """Refuse a radius without a motion table."""
    if not has_motion and is_given(ctx, "radius"):
        msg = "--radius needs --motion, which is missing"
        raise WrongUsageError(msg)
