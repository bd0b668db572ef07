"""`lazyvox cache`: the indexes in the user's cache folder, and which one an image has."""

from datetime import datetime
from typing import Any

import click

from lazyvox.cli.job import print_json
from lazyvox.cli.settings import PATH, CommandGroup, Settings, examples, reporting_options
from lazyvox.errors import ParameterError
from lazyvox.planning.memory import format_bytes
from lazyvox.store.files.paths import printable
from lazyvox.store.index.cache import judge_all
from lazyvox.store.index.folder import cache_folder, cache_limit, parse_limit
from lazyvox.store.index.listing import ListedIndex, list_indexes, prune
from lazyvox.store.index.places import Verdict
from lazyvox.store.opening import open_source
from lazyvox.store.stream_source import StreamSource

__all__ = ["cache"]

_STATES = {
    "current": "current",
    "changed": "the file has changed since",
    "gone": "the file is gone",
    "damaged": "damaged: it cannot be used",
}
_PLACES = {"beside": "beside the file", "cache": "in the cache"}


def _as_bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_limit(value)
    except ParameterError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.group(
    cls=CommandGroup,
    epilog=examples(
        "lazyvox cache ls",
        "lazyvox cache prune --max-size 500MiB",
        "lazyvox cache why run.nii.gz",
    ),
)
def cache() -> None:
    """Show and remove the indexes of .nii.gz files that are in your cache folder.

    The folder is LAZYVOX_CACHE_DIR, by default that of the system. It takes at most
    LAZYVOX_CACHE_SIZE, by default 2GiB; the least recently used go first.
    """


@cache.command("ls")
@reporting_options
@click.pass_context
def list_command(ctx: click.Context) -> None:
    """List the indexes, the least recently used first."""
    settings, folder = Settings.of(ctx), cache_folder()
    found = list_indexes(folder)
    if settings.as_json:
        indexes = [_facts(one) for one in found]
        limit = cache_limit()
        print_json(
            {"command": "cache ls", "folder": folder.path, "limit": limit, "indexes": indexes}
        )
    elif not settings.quiet:
        for one in found:
            click.echo(_line(one))
        click.echo(f"{printable(folder.path)}: {_total(found)} of {format_bytes(cache_limit())}")


@cache.command("prune")
@click.option(
    "--max-size",
    metavar="SIZE",
    callback=_as_bytes,
    help="Size to keep, such as 500MiB; by default the limit of the cache.",
)
@click.option("--all", "everything", is_flag=True, help="Remove all of them.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@reporting_options
@click.pass_context
def prune_command(
    ctx: click.Context, max_size: int | None, *, everything: bool, dry_run: bool
) -> None:
    """Remove indexes that are damaged, or whose file has changed or is gone.

    Then the least recently used, until the others fit into --max-size.
    """
    settings, folder = Settings.of(ctx), cache_folder()
    limit = cache_limit() if max_size is None else max_size
    removed = prune(folder, limit=limit, everything=everything, dry_run=dry_run)
    if settings.as_json:
        indexes = [_facts(one) for one in removed]
        print_json({"command": "cache prune", "dry_run": dry_run, "removed": indexes})
    elif not settings.quiet:
        done = "would remove" if dry_run else "removed"
        for one in removed:
            click.echo(f"{done} {_line(one)}")
        click.echo(f"{done} {_total(removed)}")


@cache.command("why")
@click.argument("run", metavar="RUN", type=PATH)
@reporting_options
@click.pass_context
def why_command(ctx: click.Context, run: str) -> None:
    """Tell which index is used for RUN, and why others are not; reads all of each."""
    settings = Settings.of(ctx)
    source = open_source(run)
    verdicts: list[Verdict] = []
    if isinstance(source, StreamSource) and source.compression == "gzip":
        verdicts = judge_all(source)
    used = next((one for one in verdicts if one.points is not None), None)
    if settings.as_json:
        print_json(
            {
                "command": "cache why",
                "input": source.path,
                "compression": source.compression,
                "used": None if used is None else used.path,
                "places": [_verdict_facts(one) for one in verdicts],
            }
        )
    elif not settings.quiet:
        for one in verdicts:
            click.echo(_verdict_line(one, is_used=one is used))
        click.echo(_conclusion(source.path, source.compression, used))


def _facts(one: ListedIndex) -> dict[str, Any]:
    record = one.record
    return {
        "path": one.stored.path,
        "state": one.state,
        "n_bytes": one.stored.n_bytes,
        "used": one.stored.used_ns / 1e9,
        "source": None if record is None else record.path,
        "n_points": None if record is None else record.n_points,
        "spacing": None if record is None else record.spacing,
        "decoded_size": None if record is None else record.decoded_size,
    }


def _line(one: ListedIndex) -> str:
    used = datetime.fromtimestamp(one.stored.used_ns / 1e9).astimezone()
    path = one.stored.path if one.record is None else one.record.path
    return (
        f"{printable(path)}: {_STATES[one.state]}, {format_bytes(one.stored.n_bytes)}, used "
        f"{used:%Y-%m-%d %H:%M}"
    )


def _total(listed: list[ListedIndex]) -> str:
    nbytes = format_bytes(sum(one.stored.n_bytes for one in listed))
    return f"{len(listed)} {'index' if len(listed) == 1 else 'indexes'}, {nbytes}"


def _verdict_facts(one: Verdict) -> dict[str, Any]:
    points = one.points
    return {
        "path": one.path,
        "where": one.where,
        "is_good": points is not None,
        "reason": one.reason or None,
        "n_points": None if points is None else len(points.bit_offsets),
        "spacing": None if points is None else points.spacing,
        "has_checksums": None if points is None else points.checksums is not None,
    }


def _verdict_line(one: Verdict, *, is_used: bool) -> str:
    place = f"{_PLACES[one.where]}: {printable(one.path)}"
    points = one.points
    if points is None:
        return f"{place}: {one.reason}"
    checked = "with" if points.checksums is not None else "without"
    use = "used" if is_used else "good, and not needed"
    n_points = len(points.bit_offsets)
    return (
        f"{place}: {use}: {n_points} {'point' if n_points == 1 else 'points'}, one every "
        f"{format_bytes(points.spacing)}, {checked} checksums of what lies between"
    )


def _conclusion(path: str, compression: str, used: Verdict | None) -> str:
    shown = printable(path)
    if compression == "none":
        return f"{shown}: not compressed, so that any part is read immediately: no index is needed"
    if compression != "gzip":
        return f"{shown}: compressed with {compression}, of which no index can be made"
    if used is None:
        return f"{shown}: has no index; `lazyvox index` makes one"
    return f"{shown}: has an index {_PLACES[used.where]}"
