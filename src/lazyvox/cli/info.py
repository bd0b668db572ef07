"""`lazyvox info`: headers, the cost of loading, and the integrity of images."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

import click

from lazyvox.cli.checking import Check, check_image, plan_check
from lazyvox.cli.facts import Facts, describe_image
from lazyvox.cli.job import print_json
from lazyvox.cli.outcome import (
    SomeFailedError,
    WrongUsageError,
    one_line,
    print_error,
    print_traceback,
    spelled,
)
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples
from lazyvox.errors import LazyvoxError
from lazyvox.formats.zarr_names import is_zarr_folder
from lazyvox.planning.memory import format_bytes
from lazyvox.planning.plan import Plan
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import AccessPoints
from lazyvox.store.opening import open_source
from lazyvox.store.stream_source import StreamSource

__all__ = ["info"]

#: Facts that can be asked for by name.
_FIELDS = ("path", *(one.name for one in fields(Facts)))


@dataclass(frozen=True, slots=True)
class _Report:
    """Report about one input.

    Attributes
    ----------
    path : str
        The input as it was given.
    facts : Facts or None
        What its header says.
    check : Check or None
        What reading all of it showed.
    error : str
        What is wrong with it, empty where it is good.
    index : AccessPoints or None
        Its access points, where it has any.
    plan : Plan or None
        What would be read, where only that was asked for.
    """

    path: str
    facts: Facts | None
    check: Check | None = None
    error: str = ""
    index: AccessPoints | None = None
    plan: Plan | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        record = {"path": self.path, **(self.facts.to_dict() if self.facts else {})}
        if self.check is not None:
            record["check"] = self.check.to_dict()
        if self.index is not None:
            n_points, spacing = len(self.index.bit_offsets), self.index.spacing
            record["index"] = {"n_points": n_points, "spacing": spacing}
        if self.plan is not None:
            record["plan"] = self.plan.to_dict()
        return {**record, "error": self.error or None}


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox info run.nii.gz",
        "lazyvox info --check sub-*/func/*.nii.gz",
        "lazyvox info --field n_volumes,t_r run.nii.gz",
    ),
)
@click.argument(
    "images",
    metavar="IMG...",
    nargs=-1,
    required=True,
    type=PATH,
)
@click.option(
    "--check",
    "is_checked",
    is_flag=True,
    help="Read the whole file, in bounded memory: checksums, size, non-finite values, and "
    "volumes of zeros at the end, as interrupted copies have them.",
)
@click.option(
    "--field",
    "field_texts",
    metavar="NAMES",
    multiple=True,
    help="Print the values of these facts only: one line for each image, with a tab between "
    "values, spaces between the numbers of one, and n/a for missing ones. Names are those "
    f"of --json: {', '.join(_FIELDS)}.",
)
@common_options
@click.pass_context
def info(
    ctx: click.Context, images: tuple[str, ...], field_texts: tuple[str, ...], *, is_checked: bool
) -> None:
    """Show shape, grid, type, scaling and compression of IMG, and the cost of loading it.

    Reads headers only, unless --check is given. Damaged images do not keep the others from being
    shown; the exit code is then 3, or 1 if there is no good one.
    """
    settings = Settings.of(ctx)
    names = _parse_fields(field_texts)
    if names and settings.explain:
        msg = "--explain shows what would be read, and --field what was. Leave out one of them"
        raise WrongUsageError(msg)
    reports = []
    for path in images:
        report = _inspect(path, settings, is_checked=is_checked)
        reports.append(report)
        if not settings.as_json and not settings.quiet:
            if names:
                _print_fields(report, names)
            else:
                _print(report, is_last=len(reports) == len(images))
        if report.error:
            print_error(report.error)
    if settings.as_json:
        kept = {*names, "path", "error"}
        records = [
            {name: one for name, one in report.to_dict().items() if not names or name in kept}
            for report in reports
        ]
        print_json({"command": "info", "images": records})
    bad = [printable(report.path) for report in reports if report.error]
    if len(images) > 1 and bad:
        print_error(f"{len(bad)} of {len(images)} inputs failed: {', '.join(bad)}")
    if bad:
        ctx.exit(SomeFailedError.exit_code if len(bad) < len(images) else 1)


def _inspect(path: str, settings: Settings, *, is_checked: bool) -> _Report:
    """Return the report about one image; what is wrong with it is part of the report."""
    facts = None
    try:
        with settings.budget():
            if settings.explain:
                return _Report(path, None, plan=plan_check(path, is_checked=is_checked))
            facts = describe_image(path)
            source = None if is_zarr_folder(path) else open_source(path)
            index = source.access_points() if isinstance(source, StreamSource) else None
            if not is_checked:
                return _Report(path, facts, index=index)
            check = check_image(path, progress=settings.progress)
    except LazyvoxError as error:
        if settings.debug:
            print_traceback(error)
        return _Report(path, facts, error=one_line(spelled(error)))
    problem = "; ".join(check.problems)
    trouble = f"{printable(path)}: {problem}" if problem else ""
    return _Report(path, facts, check, trouble, index)


def _parse_fields(texts: Sequence[str]) -> list[str]:
    """Return the names of facts in the order in which they were given."""
    names = [name.strip() for text in texts for name in text.split(",")]
    for name in names:
        if name not in _FIELDS:
            near = get_close_matches(name, _FIELDS, n=1)
            hint = f". Did you mean {near[0]}?" if near else ""
            msg = f"--field must name facts: {', '.join(_FIELDS)}. Got {name!r}{hint}"
            raise WrongUsageError(msg)
    return names


def _print_fields(report: _Report, names: Sequence[str]) -> None:
    """Print facts of one image in one line."""
    if report.facts is None:
        return
    known = {"path": report.path, **report.facts.to_dict()}
    click.echo("\t".join(_bare(known[name]) for name in names))


def _bare(value: object) -> str:
    """Return a value as text without a unit.

    Examples
    --------
    >>> _bare(2.0), _bare([3.0, 3.0, 3.5]), _bare(None)
    ('2', '3 3 3.5', 'n/a')
    """
    if isinstance(value, list):
        return " ".join(_bare(one) for one in value) or "n/a"
    if value is None or value == "":
        return "n/a"
    return f"{value:.15g}" if isinstance(value, float) else printable(str(value))


def _print(report: _Report, *, is_last: bool) -> None:
    if report.plan is not None:
        click.echo(report.plan.explain() + "\n" * (not is_last))
    if report.facts is None:
        return
    lines = report.facts.lines()
    if report.index is not None:
        n_points, spacing = len(report.index.bit_offsets), format_bytes(report.index.spacing)
        lines.append(("index", f"access points: {n_points}, one every {spacing}"))
    if report.check is not None:
        lines.append(("check", str(report.check)))
    click.echo(printable(report.path))
    click.echo("\n".join(f"  {name:<9} {text}" for name, text in lines))
    if not is_last:
        click.echo()
