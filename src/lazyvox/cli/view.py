"""`lazyvox view`: a run in the browser."""

from typing import Any

import click

from lazyvox.cli.cleaning_options import confound_options
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.motion_options import check_radius, motion_options
from lazyvox.cli.outcome import options_named
from lazyvox.cli.settings import PATH, Command, Settings, chosen, examples, reporting_options
from lazyvox.lazyimage.series import as_series
from lazyvox.viewer.api import LOOPBACK, serve
from lazyvox.viewer.opened import ViewOptions

__all__ = ["view"]


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox view run.nii.gz",
        "lazyvox view run.nii.gz --overlay zmap.nii.gz --atlas atlas.nii.gz --lut atlas.tsv \\",
        "      --mask brain.nii.gz --events events.tsv --motion run_mcf.par --confounds csf.tsv",
    ),
)
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--overlay",
    "overlays",
    metavar="IMG",
    type=PATH,
    multiple=True,
    help="Image on top of RUN, on any grid. May be given several times.",
)
@click.option("--atlas", metavar="ATLAS", type=PATH, help="Regions to outline and name.")
@click.option("--lut", metavar="TABLE", type=PATH, help="Names of the labels.")
@click.option(
    "--mask",
    metavar="MASK",
    type=PATH,
    help="Voxels to measure and correlate, those of the brain say.",
)
@click.option(
    "--events",
    metavar="TABLE",
    type=PATH,
    help="Onsets, durations and trial types, as BIDS has them.",
)
@click.option(
    "--motion",
    metavar="TABLE",
    type=PATH,
    help="Motion parameters, for the framewise displacement: fMRIPrep's table of confounds, or one "
    "of FSL, AFNI or SPM.",
)
@motion_options
@confound_options
@click.option(
    "--host",
    metavar="ADDRESS",
    default=LOOPBACK,
    show_default=True,
    help="Address to listen on. Any other lets other machines ask, over a connection that is not "
    "encrypted.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=0,
    help="Port to listen on; by default one that is free.",
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@reporting_options
@click.pass_context
def view(ctx: click.Context, /, run: str, no_browser: bool, **options: Any) -> None:  # noqa: FBT001
    """Show RUN in the browser: any volume, series and correlations of a voxel, measures.

    Prints the address of the page, which holds a secret, opens it, and answers until Ctrl-C, or
    until the last page has been closed for a minute. One pass in the background finds where a gzip
    file can be entered, and computes maps over time, measures of volumes and a carpet plot.

    --confounds are removed before voxels are correlated.
    """
    Settings.of(ctx)
    check_radius(ctx, has_motion=options["motion"] is not None)
    address = {name: options.pop(name) for name in ("host", "port")}
    options["mask_img"] = options.pop("mask")
    choice = chosen(ctx, ConfoundChoice)
    names = {"img": "RUN", "mask_img": "--mask", "overlays": "--overlay"}
    with options_named(**names):
        series = as_series(run)
        found = choice.load([series.grid.n_volumes])
        kept = None if found.kept.all() else found.kept
        shown = ViewOptions(**options, confounds=found.frame, sample_mask=kept)
        server = serve(series, shown, **address, ends_alone=True)
    click.echo(server.url)
    if not no_browser:
        server.open_browser()
    server.run()
