"""Exit codes of the command line, and its line on stderr for an error or a warning."""

import contextlib
import json
import math
import os
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TextIO

import click

from lazyvox._letters import printable_text
from lazyvox.errors import PARAMETER, LazyvoxError, LazyvoxWarning

__all__ = [
    "Outcome",
    "SomeFailedError",
    "WrongUsageError",
    "described",
    "one_line",
    "options_named",
    "print_error",
    "print_traceback",
    "spelled",
]

_INTERRUPTED = 130
_NO_READER = 141


#: The option for each parameter that errors of the library name.
_OPTIONS = {
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            "allow_overlap",
            "atlas",
            "chunks",
            "compresslevel",
            "confounds",
            "contrast",
            "ddof",
            "design",
            "detrend",
            "drift_model",
            "drift_order",
            "dtype",
            "estimator",
            "events",
            "fd_threshold",
            "filter",
            "high_pass",
            "host",
            "hrf_model",
            "interpolation",
            "inverse",
            "low_pass",
            "lut",
            "mask_img",
            "memory",
            "min_coverage",
            "motion",
            "motion_format",
            "noise_model",
            "overwrite",
            "port",
            "radius",
            "resample",
            "sample_mask",
            "scale",
            "scrub",
            "seed",
            "seeds",
            "slice_time_ref",
            "smoothing_fwhm",
            "spacing",
            "standardize",
            "std_dvars_threshold",
            "strategy",
            "t_r",
            "voxel",
        )
    },
    "fwhm": "--smoothing-fwhm",
    "formula": "FORMULA",
    "imgs": "RUN",
    "labels_img": "--labels",
    "maps_img": "--maps",
    "mask_imgs": "--mask",
    "n_jobs": "--jobs",
    "trend_degree": "--detrend",
    "source_img": "IMG",
    "target_img": "--like",
    "signals": "SIGNALS",
}

#: An argument as Python writes it, which is no part of a path or of a quoted text.
_ARGUMENT = re.compile(
    r"(?<![-\w/.'\"])([a-z]\w*)=(True\b|inf\b|'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?(?:e-?\d+)?)"
)


class WrongUsageError(click.UsageError):
    """A command line that is understood and must not be run; the message says all there is."""


class SomeFailedError(click.ClickException):
    """Some of several inputs failed; the others are done."""

    exit_code = 3


class Outcome:
    """Context of one run: turns exceptions into an exit code and one line.

    Parameters
    ----------
    show_traceback : bool
        Whether the traceback of an error is printed before its line.
    as_json : bool
        Whether an error is printed as a JSON object on stdout too.
    """

    def __init__(self, *, show_traceback: bool, as_json: bool) -> None:
        self.code = 0
        self._show_traceback = show_traceback
        self._as_json = as_json
        self._warnings = warnings.catch_warnings()

    def __enter__(self) -> Self:
        """Begin: warnings become lines on stderr."""
        self._warnings.__enter__()
        warnings.showwarning = _show_warning
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Report an error; exceptions that end the process pass through."""
        self._warnings.__exit__(kind, error, trace)
        if error is not None:
            self._report(error)
        _flush_or_abandon()
        return isinstance(error, Exception | KeyboardInterrupt)

    def _report(self, error: BaseException) -> None:
        if isinstance(error, click.exceptions.Exit):
            self.code = error.exit_code
            return
        if isinstance(error, BrokenPipeError):
            self.code = _NO_READER
            return
        if isinstance(error, KeyboardInterrupt | click.Abort):
            self.code, text = _INTERRUPTED, "interrupted; no unfinished output is left"
        elif isinstance(error, Exception):
            if self._show_traceback:
                print_traceback(error)
            self.code = error.exit_code if isinstance(error, click.ClickException) else 1
            text = one_line(described(error))
        else:
            return
        print_error(text)
        # Where some of several inputs failed the results of the others are printed already.
        if self._as_json and not isinstance(error, SomeFailedError):
            click.echo(json.dumps({"error": self._to_dict(error, text)}))

    def _to_dict(self, error: BaseException, text: str) -> dict[str, object]:
        """Return the facts about an error, for JSON."""
        facts = {"type": type(error).__name__, "message": text, "exit_code": self.code}
        if not isinstance(error, LazyvoxError):
            return facts
        parameter = _OPTIONS.get(error.parameter or "", error.parameter)
        value = error.value
        # JSON has no infinity.
        is_plain = isinstance(value, str | int | None) or (
            isinstance(value, float) and math.isfinite(value)
        )
        return {**facts, "parameter": parameter, "value": value if is_plain else str(value)}


def print_error(message: str) -> None:
    """Print the one line of an error."""
    click.echo(f"lazyvox: error: {one_line(message)}", err=True)


def print_traceback(error: Exception) -> None:
    """Print the traceback of an error."""
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def one_line(message: str) -> str:
    """Return a message in one line, as a terminal can show it.

    Examples
    --------
    >>> one_line("too little.   Pass more.")
    'too little. Pass more.'
    """
    return printable_text(" ".join(message.split()))


def spelled(problem: Exception, **options: str) -> str:
    """Return the text of an error or warning in the words of the command line.

    Parameters
    ----------
    problem : Exception
        The error or warning.
    **options : str
        Options for parameters that have another one than usual.

    Examples
    --------
    >>> spelled(LazyvoxError("`t_r` must be above 0. Got t_r=-2.", hint="Pass n_jobs=1."))
    '--t-r must be above 0. Got --t-r -2. Pass --jobs 1.'
    >>> spelled(LazyvoxError("Pass std_dvars_threshold=inf."))
    'Pass --std-dvars-threshold inf.'
    """
    if not isinstance(problem, LazyvoxError | LazyvoxWarning):
        return str(problem)
    names = {**_OPTIONS, **options}

    def option(found: re.Match[str]) -> str:
        return names.get(found[1], found[0])

    def option_and_value(found: re.Match[str]) -> str:
        if found[1] not in names:
            return found[0]
        value = shlex.quote(found[2].strip("'\""))
        return names[found[1]] if value == "True" else f"{names[found[1]]} {value}"

    text = f"{problem.message} {problem.cli_hint}".strip()
    return PARAMETER.sub(option, _ARGUMENT.sub(option_and_value, text))


@contextlib.contextmanager
def options_named(**options: str) -> Iterator[None]:
    """Context in which errors and warnings name other options than usual for some parameters."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if isinstance(message, LazyvoxWarning):
            message = type(message)(spelled(message, **options))
        shown(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    except LazyvoxError as error:
        parameter = options.get(error.parameter or "", error.parameter)
        raise type(error)(
            spelled(error, **options), parameter=parameter, value=error.value
        ) from error
    finally:
        warnings.showwarning = shown


def described(error: Exception, **options: str) -> str:
    """Return the message of an error or warning, whatever it is, in the words of the command line.

    Parameters
    ----------
    error : Exception
        The error or warning.
    **options : str
        Options for parameters that have another one than usual.

    Examples
    --------
    >>> described(PermissionError(13, "Permission denied", "out/a.tsv"))
    'out/a.tsv: Permission denied'
    """
    if isinstance(error, click.ClickException):
        return _describe_usage(error)
    if isinstance(error, LazyvoxError | Warning):
        return spelled(error, **options)
    if isinstance(error, MemoryError):
        return "the system gave no more memory. Pass a smaller --memory, or raise its limits."
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{printable_text(str(error.filename))}: "
        return f"{where}{error.strerror}"
    return (
        f"this should not happen: {type(error).__name__}: {error}. Run it again with --debug, and "
        f"report what that prints"
    )


def _describe_usage(error: click.ClickException) -> str:
    """Return the message of a command line that cannot be understood."""
    if isinstance(error, click.NoSuchOption):
        if error.ctx is not None and isinstance(error.ctx.command, click.Group):
            hint = "options of a command follow its name"
            return f"no such option: {error.option_name}; {hint}, {_help_hint(error)}"
        near = " or ".join(error.possibilities or ())
        hint = f"did you mean {near}?" if near else _help_hint(error)
        return f"no such option: {error.option_name}; {hint}"
    message = error.format_message()
    if isinstance(error, click.UsageError) and not isinstance(error, WrongUsageError):
        return f"{message.rstrip('.')}; {_help_hint(error)}"
    return message


def _help_hint(error: click.UsageError) -> str:
    path = "lazyvox" if error.ctx is None else error.ctx.command_path
    return f"see {path} --help"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, line
    text = spelled(message) if isinstance(message, Warning) else message
    click.echo(f"lazyvox: warning: {one_line(text)}", file=file or sys.stderr)


def _flush_or_abandon() -> None:
    """Flush stdout; where its reader is gone, keep Python from trying, and complaining, again."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
