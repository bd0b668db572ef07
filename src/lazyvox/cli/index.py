"""`lazyvox index`: access points of a gzip-compressed run, so that any volume is read immediately."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lazyvox._version import __version__
from lazyvox.cli.job import print_json
from lazyvox.cli.outputs import check_files
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    overwrite_option,
)
from lazyvox.errors import ParameterError
from lazyvox.lazyimage.random_access import ImageIndex, gzip_source
from lazyvox.lazyimage.random_access import index as index_image
from lazyvox.planning.memory import format_bytes, parse_memory
from lazyvox.store.files.paths import printable

__all__ = ["index"]

_PASSES = {False: 1, True: 2}


def _as_bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_memory(value)
    except ParameterError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox index run.nii.gz",
        "lazyvox index run.nii.gz --spacing 1MiB --beside",
        "lazyvox index run.nii.gz --export run.gzidx",
    ),
)
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--spacing",
    metavar="SIZE",
    callback=_as_bytes,
    help="Decoded bytes from one point to the next, 2MiB by default, at least 32KiB. Each point "
    "takes 32 KiB on disk; on average a read decodes half a spacing more than it needs.",
)
@click.option(
    "--import",
    "import_from",
    metavar="FILE",
    type=PATH,
    help="Take the points of a GZIDX file of indexed_gzip or rapidgzip, and prove them.",
)
@click.option(
    "--export",
    "export_to",
    metavar="FILE",
    type=PATH,
    help="Write the index as a GZIDX file for these programs, too.",
)
@click.option(
    "--beside",
    is_flag=True,
    help="Keep the index beside RUN, for everybody, and not in your cache folder.",
)
@overwrite_option
@common_options
@click.pass_context
def index(
    ctx: click.Context,
    run: str,
    spacing: int | None,
    import_from: str | None,
    export_to: str | None,
    *,
    beside: bool,
) -> None:
    """Build an index of RUN, a .nii.gz file: then any of its volumes is read immediately.

    One pass over RUN, in which its checksums are verified. A good index that is there already is
    kept: --overwrite builds it again, or, with --export, replaces the exported file.
    """
    settings = Settings.of(ctx)
    if export_to is not None:
        inputs = [run] if import_from is None else [run, import_from]
        check_files([export_to], inputs, settings, option="--export")
    if settings.explain:
        _explain(run, settings, n_passes=_PASSES[import_from is not None])
        return
    began = time.perf_counter()
    with settings.budget():
        found = index_image(
            run,
            spacing=spacing,
            import_from=import_from,
            beside=beside,
            overwrite=settings.overwrite and export_to is None,
            progress=settings.progress,
        )
    if export_to is not None:
        found.export(export_to, overwrite=settings.overwrite)
    _report(found, settings, export_to, time.perf_counter() - began)


def _explain(run: str, settings: Settings, *, n_passes: int) -> None:
    source = gzip_source(run)
    plan: dict[str, Any] = {"passes": n_passes, "bytes_read": n_passes * source.stored_size}
    if settings.as_json:
        print_json({"command": "index", "inputs": [source.path], "plan": plan})
        return
    click.echo(f"passes     {plan['passes']}")
    click.echo(f"read       {format_bytes(plan['bytes_read'])}, unless a good index is there")


def _report(found: ImageIndex, settings: Settings, export_to: str | None, seconds: float) -> None:
    if settings.as_json:
        exported = None if export_to is None else str(Path(export_to).absolute())
        record = {"command": "index", "version": __version__, **asdict(found)}
        print_json({**record, "exported": exported, "seconds": round(seconds, 6)})
    elif not settings.quiet:
        points = "1 point" if found.n_points == 1 else f"{found.n_points} points"
        click.echo(
            f"{printable(found.path)}: {points}, one every {format_bytes(found.spacing)}, "
            f"{format_bytes(found.n_bytes)}{'' if found.is_built else '; it was there already'}"
        )
        if export_to is not None:
            click.echo(printable(export_to))
