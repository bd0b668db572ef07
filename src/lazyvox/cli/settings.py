"""Base of all commands, the type of their paths, and the options that every command has."""

import math
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from click.core import ParameterSource

from lazyvox._typing import override
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.errors import ParameterError
from lazyvox.planning.memory import parse_memory
from lazyvox.runtime.budget import memory_budget
from lazyvox.runtime.logs import logged_on_stderr
from lazyvox.store.files.paths import expand_home
from lazyvox.store.files.urls import is_url, public_url
from lazyvox.store.remote.options import storage_options
from lazyvox.store.remote.retrying import RemoteUse, remote_use

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "FOLDER_PATH",
    "PATH",
    "POSITIVE",
    "Command",
    "CommandGroup",
    "Settings",
    "chosen",
    "common_options",
    "common_options_of_many",
    "common_options_without_v",
    "examples",
    "is_given",
    "keep",
    "output_option",
    "overwrite_option",
    "parse_widths",
    "reporting_options",
    "runs_argument",
    "storage_option",
]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)
_Option = Callable[[_Decorated], _Decorated]
_Record = TypeVar("_Record", bound="DataclassInstance")

_KEY = "lazyvox.settings."


class _HomePath(click.Path):
    """A path in which a leading ``~`` is the home folder; the file may not exist."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path that was given, of a URL without its credentials."""
        path = expand_home(os.fsdecode(value))
        if not path:
            self.fail("a name must not be empty", param, ctx)
        return super().convert(public_url(path) if is_url(path) else path, param, ctx)


#: A path as text.
PATH = _HomePath(readable=False, path_type=str)

#: A path as a `pathlib.Path`.
FOLDER_PATH = _HomePath(readable=False, path_type=Path)


class _Positive(click.FloatRange):
    """A number above 0 that is finite."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number above 0.", param, ctx)
        return number


#: A width, a distance or a time.
POSITIVE = _Positive(min=0, min_open=True)


class Command(click.Command):
    """Base of all commands: an option that holds one value may not be given twice."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            # Of values click would keep the last one, without a word.
            _, _, given = self.make_parser(ctx).parse_args(list(args))
            for param in given:
                _refuse_twice(param, given.count(param))
            names = {param.name for param in given}
            # A table of runs may have URLs in it.
            if "storage_options" in names and "table" not in names:
                _refuse_without_urls(args)
        return super().parse_args(ctx, args)


class CommandGroup(click.Group):
    """A group of such commands."""

    command_class = Command


def _refuse_without_urls(args: list[str]) -> None:
    """Refuse options of URLs where none is given."""
    behind = [before == "--storage-option" for before in ["", *args[:-1]]]
    others = [
        text
        for text, is_value in zip(args, behind, strict=True)
        if not is_value and not text.startswith("--storage-option")
    ]
    if not any("://" in text or "::" in text for text in others):
        msg = "--storage-option concerns URLs, and none is given"
        raise WrongUsageError(msg)


def _refuse_twice(param: click.Parameter, count: int) -> None:
    if count < 2 or not isinstance(param, click.Option) or param.multiple:
        return
    # A flag without a counterpart says the same each time.
    if param.is_flag and not param.secondary_opts:
        return
    names = "/".join([max(param.opts, key=len), *param.secondary_opts])
    msg = f"{names} must be given once. Got it {'twice' if count == 2 else f'{count} times'}"
    raise WrongUsageError(msg)


@dataclass(frozen=True, slots=True)
class Settings:
    """Values of the common options of one command line.

    Attributes
    ----------
    memory : str or None
        Memory budget.
    jobs : int or None
        Number of threads; each command has its own default.
    progress : bool
        Whether a bar is shown on stderr.
    explain : bool
        Whether the plan is printed instead of doing the work.
    overwrite : bool
        Whether an existing output may be replaced.
    as_json : bool
        Whether the result is printed as JSON.
    quiet : bool
        Whether nothing is printed but errors and warnings.
    debug : bool
        Whether the traceback of an error is printed.
    fetched_before : RemoteUse
        Counts of what was fetched over a network before the command.
    """

    memory: str | None
    jobs: int | None
    progress: bool
    explain: bool
    overwrite: bool
    as_json: bool
    quiet: bool
    debug: bool
    fetched_before: RemoteUse = field(default_factory=RemoteUse)

    @classmethod
    def of(cls, ctx: click.Context) -> Self:
        """Return the settings of the command that runs."""
        found = {
            name.removeprefix(_KEY): value
            for name, value in ctx.meta.items()
            if name.startswith(_KEY)
        }
        quiet = bool(found.get("quiet"))
        if quiet and found.get("verbose"):
            msg = "--verbose says more, and --quiet nothing. Leave out one of them"
            raise WrongUsageError(msg)
        progress = found.get("progress")
        if progress is None:
            progress = not quiet and sys.stderr is not None and sys.stderr.isatty()
        return cls(
            memory=found.get("memory"),
            jobs=found.get("jobs"),
            progress=bool(progress),
            explain=bool(found.get("explain")),
            overwrite=bool(found.get("overwrite")),
            as_json=bool(found.get("json")),
            quiet=quiet,
            debug=bool(found.get("debug")),
            fetched_before=found.get("fetched_before", RemoteUse()),
        )

    @property
    def n_jobs(self) -> int:
        """Number of threads besides the one that decodes."""
        return 1 if self.jobs is None else self.jobs

    def budget(self) -> AbstractContextManager[object]:
        """Return the context in which the memory budget holds."""
        return nullcontext() if self.memory is None else memory_budget(self.memory)


def parse_widths(
    ctx: click.Context, param: click.Parameter, value: str, others: str = "or three of them"
) -> float | tuple[float, ...]:
    """Return a width in mm, or one for each axis, from the text of an option.

    Parameters
    ----------
    ctx : click.Context
        The command.
    param : click.Parameter
        The option.
    value : str
        Its value: a number, or three with commas between them.
    others : str, default="or three of them"
        What else it may be, for the message.

    Returns
    -------
    float or tuple of 3 floats
        The width or widths: finite, not below 0, and not all 0.

    Raises
    ------
    click.BadParameter
        If the text is anything else.
    """
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    is_width = all(0 <= number < math.inf for number in numbers) and any(numbers)
    if len(numbers) not in {1, 3} or not is_width:
        msg = f"must be a width in mm, above 0, {others}. Got {value!r}"
        raise click.BadParameter(msg, ctx, param)
    return numbers[0] if len(numbers) == 1 else numbers


def is_given(ctx: click.Context, name: str) -> bool:
    """Return whether a parameter stands on the command line, rather than has its default."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Store the value of an option in the object of the context, for `chosen`."""
    ctx.ensure_object(dict)[param.name] = value


def chosen(ctx: click.Context, kind: type[_Record]) -> _Record:
    """Return a record of the values that options left in the object of the context.

    Fields with a default may be those of options that the command has not.
    """
    given = ctx.ensure_object(dict)
    values: dict[str, Any] = {
        one.name: given[one.name]
        for one in fields(kind)
        if one.name in given or one.default is MISSING
    }
    return kind(**values)


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Store the value of a common option for `Settings.of`."""
    ctx.meta[f"{_KEY}{param.name}"] = value


def _keep_memory(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Store an amount of memory, or refuse it before anything else happens."""
    try:
        if value is not None:
            parse_memory(value, total=1 << 50)
    except ParameterError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    _keep(ctx, param, value)


def _keep_jobs(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    """Store a number of threads as in scikit-learn: anything but 0."""
    if value == 0:
        msg = "the number of threads must not be 0; -1 is all cores"
        raise click.BadParameter(msg, ctx, param)
    _keep(ctx, param, value)


def _use_storage_options(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> None:
    """Open the URLs of the command with options that are given as ``key=value``."""
    ctx.meta[f"{_KEY}fetched_before"] = remote_use()
    options: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        *parents, key = name.split(".")
        place: Any = options
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if not equals or not key or not isinstance(place, dict) or key in place:
            # The value may be a password.
            msg = f"must be KEY=VALUE, each key once. Got {name!r}"
            raise click.BadParameter(msg, ctx, param)
        place[key] = _typed(value)
    if options and not ctx.resilient_parsing:
        try:
            ctx.with_resource(storage_options(**options))
        except ParameterError as error:
            raise click.BadParameter(str(error), ctx, param) from error


def _typed(text: str) -> object:
    """Return a truth value, nothing, a number, or the text itself."""
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _flag(*names: str, text: str) -> _Option[Any]:
    default = None if "/" in names[0] else False
    return click.option(
        *names, is_flag=True, default=default, expose_value=False, callback=_keep, help=text
    )


def _log_if(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001
    """Print what is logged on stderr until the command ends."""
    _keep(ctx, param, value)
    if value and not ctx.resilient_parsing:
        ctx.with_resource(logged_on_stderr())


def _verbose(*names: str) -> _Option[Any]:
    return click.option(
        *names,
        is_flag=True,
        expose_value=False,
        callback=_log_if,
        help="Report on stderr the opened files, the passes with their plans, the outputs and the "
        "volumes left out.",
    )


def _jobs_option(text: str) -> _Option[Any]:
    return click.option(
        "--jobs",
        type=int,
        metavar="N",
        envvar="LAZYVOX_JOBS",
        show_envvar=True,
        expose_value=False,
        callback=_keep_jobs,
        help=text,
    )


_STORAGE_OPTION: _Option[Any] = click.option(
    "--storage-option",
    "storage_options",
    metavar="KEY=VALUE",
    multiple=True,
    expose_value=False,
    callback=_use_storage_options,
    help="Option of the URLs of this command, such as anon=true, endpoint_url=URL or timeout=10; "
    "may be given several times, headers.NAME=TEXT too.",
)

_COMMON: tuple[_Option[Any], ...] = (
    click.option(
        "--memory",
        metavar="SIZE",
        envvar="LAZYVOX_MEMORY",
        show_envvar=True,
        expose_value=False,
        callback=_keep_memory,
        help="Memory budget, such as 300MB or 25%; by default a quarter of the available memory, at "
        "most 2 GiB. Work that does not fit is refused before it starts.",
    ),
    _jobs_option("Threads, besides the one that decodes; -1 is all cores."),
    _STORAGE_OPTION,
    _flag("--explain", text="Print the plan, read and write nothing."),
    _flag("--json", text="Print the result, or the plan, as JSON."),
    _flag("--quiet", text="Print nothing but errors and warnings."),
    _flag(
        "--progress/--no-progress",
        text="Show a bar on stderr, or a line for each tenth where stderr is no terminal; by "
        "default where it is one.",
    ),
    _flag("--debug", text="Print the traceback of an error."),
)

_REPORTING: tuple[_Option[Any], ...] = (
    _flag("--json", text="Print the result as JSON."),
    _flag("--quiet", text="Print nothing but errors and warnings."),
    _flag("--debug", text="Print the traceback of an error."),
)


def common_options(command: _Decorated) -> _Decorated:
    """Add the options of every command; `Settings.of` gives their values."""
    for option in reversed((*_COMMON, _verbose("-v", "--verbose"))):
        command = option(command)
    return command


def common_options_of_many(command: _Decorated) -> _Decorated:
    """Add the options of every command to one in which --jobs is a number of processes."""
    memory, _, *others = _COMMON
    jobs = _jobs_option("Most runs at a time, each in a process; -1, the default, is all cores.")
    for option in reversed((memory, jobs, *others, _verbose("-v", "--verbose"))):
        command = option(command)
    return command


def common_options_without_v(command: _Decorated) -> _Decorated:
    """Add the options of every command to one in which -v is something else."""
    for option in reversed((*_COMMON, _verbose("--verbose"))):
        command = option(command)
    return command


def reporting_options(command: _Decorated) -> _Decorated:
    """Add the options of a command that reads no voxels: how it reports."""
    for option in reversed(_REPORTING):
        command = option(command)
    return command


def storage_option(command: _Decorated) -> _Decorated:
    """Add --storage-option to a command without the options of every command."""
    added: _Decorated = _STORAGE_OPTION(command)
    return added


def overwrite_option(command: _Decorated) -> _Decorated:
    """Add --overwrite; `Settings.of` gives its value."""
    added: _Decorated = _flag("--overwrite", text="Replace an existing output.")(command)
    return added


def output_option(text: str) -> Callable[[_Decorated], _Decorated]:
    """Return a decorator that adds -o/--output, with its help text, and --overwrite."""

    def add(command: _Decorated) -> _Decorated:
        command = overwrite_option(command)
        output: _Option[Any] = click.option(
            "-o",
            "--output",
            metavar="OUT",
            type=PATH,
            help=text,
        )
        added: _Decorated = output(command)
        return added

    return add


def runs_argument(command: _Decorated) -> _Decorated:
    """Add RUN...: one image, or several that are joined along time."""
    add: _Option[Any] = click.argument(
        "runs",
        metavar="RUN...",
        nargs=-1,
        required=True,
        type=PATH,
    )
    added: _Decorated = add(command)
    return added


def examples(*commands: str) -> str:
    """Return the examples below the help of a command, kept as they are by click."""
    heading = "Example:" if len(commands) == 1 else "Examples:"
    return "\n  ".join(["\b\n" + heading, *commands])
