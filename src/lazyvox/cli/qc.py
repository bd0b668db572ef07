"""`lazyvox qc`: measures of the quality of every volume of a run."""

import click

from lazyvox.cli.job import perform
from lazyvox.cli.motion_options import check_radius, motion_options
from lazyvox.cli.outcome import options_named
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    output_option,
)
from lazyvox.cli.table_output import OUTPUT_TEXT, TableOutput
from lazyvox.summary.quality import prepare_qc

__all__ = ["qc"]


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox qc run.nii.gz --mask mask.nii.gz -o qc.tsv",
        "lazyvox qc run.nii.gz --mask mask.nii.gz --motion run_mcf.par -o qc.tsv",
        "lazyvox qc run.nii.gz --motion motion.txt --motion-format afni --radius 80",
    ),
)
@click.argument("run", type=PATH)
@click.option("--mask", metavar="MASK", type=PATH, help="Voxels to measure, such as the brain.")
@click.option(
    "--motion",
    metavar="TABLE",
    type=PATH,
    help="Motion parameters of RUN, for the framewise displacement.",
)
@motion_options
@output_option(OUTPUT_TEXT)
@common_options
@click.pass_context
def qc(
    ctx: click.Context,
    run: str,
    mask: str | None,
    motion: str | None,
    motion_format: str | None,
    radius: float,
    output: str | None,
) -> None:
    """Print a table with measures of quality of every volume of RUN.

    Columns: global_signal, spatial_sd, dvars (scaled to a median of 1000), std_dvars (standardized
    as by Nichols), outlier_fraction (as by 3dToutcount), and framewise_displacement (Power) with
    --motion. Names are fMRIPrep's where the quantity is the same. One pass; values are kept in a
    temporary file, in the folder that TMPDIR names.
    """
    settings = Settings.of(ctx)
    check_radius(ctx, has_motion=motion is not None)
    inputs = [run, *(one for one in (mask, motion) if one is not None)]
    target = TableOutput.checked(output, inputs, settings)
    names = {"motion": "--motion", "motion_format": "--motion-format", "mask_img": "--mask"}
    with options_named(**names):
        prepared = prepare_qc(
            run, mask_img=mask, motion=motion, motion_format=motion_format, radius=radius
        )
    perform(target.job("qc", inputs, prepared), settings)
