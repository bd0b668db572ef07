"""The program `lazyvox`: its commands, and how a run of one begins and ends."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click
from click.shell_completion import shell_complete

from lazyvox._version import __version__
from lazyvox.cli.group import LazyGroup
from lazyvox.cli.outcome import Outcome

__all__ = ["main", "program", "run"]

_COMPLETE = "_LAZYVOX_COMPLETE"
_SIGTERM_CODE = 128 + signal.SIGTERM

_EPILOG = """\b
Shell completion: put this into ~/.bashrc, ~/.zshrc, or fish's config:
  eval "$(_LAZYVOX_COMPLETE=bash_source lazyvox)"
  eval "$(_LAZYVOX_COMPLETE=zsh_source lazyvox)"
  _LAZYVOX_COMPLETE=fish_source lazyvox | source

\b
Exit codes: 0 done, 1 bad data or failed work, 2 wrong usage, 3 some of
several inputs failed, 130 interrupted, 141 the reader of the output ended.
"""


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, message="lazyvox %(version)s")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Extract time series, statistics and volumes from large 4D brain images, in bounded memory."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line in this process, which belongs to it, and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the name of the program; by default those of the process.

    Returns
    -------
    int
        0 done, 1 bad data or failed work, 2 wrong usage, 3 some of several inputs failed, 130
        interrupted, 141 the reader of the output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        # Names and messages may hold what the terminal's encoding has not.
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Unlike its default, an exception lets unfinished outputs be removed.
    signal.signal(signal.SIGTERM, _terminated)
    return run(sys.argv[1:] if argv is None else argv)


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; what goes wrong is one line on stderr."""
    with Outcome(show_traceback="--debug" in argv, as_json="--json" in argv[1:]) as outcome:
        instruction = os.environ.get(_COMPLETE)
        if instruction:
            return shell_complete(program, {}, "lazyvox", _COMPLETE, instruction)
        with program.make_context("lazyvox", list(argv)) as ctx:
            program.invoke(ctx)
    return outcome.code


def _terminated(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(_SIGTERM_CODE)
