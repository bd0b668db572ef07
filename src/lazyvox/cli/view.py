"""`lazyvox view`: a run in the browser."""

import contextlib
from typing import Any

import click

from lazyvox._letters import printable_text
from lazyvox._version import __version__
from lazyvox.cli.cleaning_options import confound_options
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.job import print_json
from lazyvox.cli.motion_options import check_radius, motion_options
from lazyvox.cli.outcome import options_named
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    chosen,
    examples,
    reporting_options,
    storage_option,
)
from lazyvox.confounds.displacement import has_motion
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.plan import Plan
from lazyvox.viewer.api import LOOPBACK, serve
from lazyvox.viewer.background import background_plan
from lazyvox.viewer.opened import Opened, ViewOptions, opened

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
    help="Voxels to measure and correlate, such as the brain.",
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
    help="Motion parameters, for the framewise displacement: fMRIPrep's table of confounds, whose "
    "own displacements are taken where it lacks parameters, or one of FSL, AFNI or SPM.",
)
@motion_options
@confound_options
@click.option(
    "--host",
    metavar="ADDRESS",
    default=LOOPBACK,
    show_default=True,
    help="Address to listen on. Any but the loopback address lets other machines see the run, over a "
    "connection that is not encrypted.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=0,
    help="Port to listen on; by default one that is free.",
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@click.option(
    "--explain",
    is_flag=True,
    help="Print the plan of the pass in the background, and serve nothing.",
)
@storage_option
@reporting_options
@click.pass_context
def view(
    ctx: click.Context,
    /,
    run: str,
    no_browser: bool,  # noqa: FBT001
    explain: bool,  # noqa: FBT001
    **options: Any,
) -> None:
    """Show RUN in the browser: any volume, series and correlations of a voxel, measures.

    Prints the address of the page, which holds a secret, opens it, and answers until Ctrl-C, or
    until the last page has been closed for a minute. One pass in the background finds where a gzip
    file can be entered, and computes maps over time, measures of volumes and a carpet plot.

    --confounds are removed before voxels are correlated. If their table has motion parameters or
    framewise displacement as fMRIPrep names them, it need not be given as --motion too. Ctrl-C is
    the way to end it, and no failure.
    """
    settings = Settings.of(ctx)
    address = {name: options.pop(name) for name in ("host", "port")}
    names = {"img": "RUN", "mask_img": "--mask", "overlays": "--overlay"}
    with options_named(**names):
        series = as_series(run)
        shown = _chosen(ctx, series.grid.n_volumes, options)
        if explain:
            _print_plan(background_plan(opened(series, shown)), settings)
            return
        server = serve(series, shown, **address, ends_alone=True)
    if not settings.quiet:
        _tell_removed(server.opened)
    if settings.as_json:
        print_json({"command": "view", "version": __version__, "url": server.url})
    else:
        click.echo(server.url)
    if not no_browser:
        server.open_browser()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


def _tell_removed(shown: Opened) -> None:
    """Say on stderr how voxels are cleaned before they are correlated."""
    names = shown.confound_names or []
    if names:
        remark = printable_text(f"removed before correlating: {', '.join(names)}")
        click.echo(f"lazyvox: {remark}", err=True)
    if shown.n_left_out:
        n_volumes = shown.subject.grid.n_volumes
        remark = f"{shown.n_left_out} of {n_volumes} volumes are left out of correlations"
        click.echo(f"lazyvox: {remark}", err=True)


def _chosen(ctx: click.Context, n_volumes: int, options: dict[str, Any]) -> ViewOptions:
    choice = chosen(ctx, ConfoundChoice)
    found = choice.load([n_volumes])
    if options["motion"] is None and choice.confounds and has_motion(choice.confounds[0]):
        options["motion"] = choice.confounds[0]
    check_radius(ctx, has_motion=options["motion"] is not None)
    return ViewOptions(
        **{"mask_img" if name == "mask" else name: value for name, value in options.items()},
        confounds=found.frame,
        sample_mask=None if found.kept.all() else found.kept,
    )


def _print_plan(plan: Plan, settings: Settings) -> None:
    if settings.as_json:
        print_json({"command": "view", "version": __version__, "plan": plan.to_dict()})
    else:
        click.echo(plan.explain())
