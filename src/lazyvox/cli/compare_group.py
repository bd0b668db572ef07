"""The command `compare`, which is one command and the group of three others."""

import click

from lazyvox._typing import override
from lazyvox.cli.settings import Command

__all__ = ["DefaultCommand", "DefaultGroup"]


class DefaultGroup(click.Group):
    """A group whose first word may be left out.

    Parameters
    ----------
    name : str
        Name of the group.
    default : click.Command
        What runs where the first word is no name of a command: files of such a name are
        ``./name``.
    commands : dict of str to click.Command
        The others.
    """

    def __init__(
        self, name: str, default: click.Command, commands: dict[str, click.Command]
    ) -> None:
        super().__init__(name, commands=commands, help=default.help, add_help_option=False)
        self.default = default

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and args[0] in self.commands
        # An empty name, which nobody types, stands for the default.
        return super().parse_args(ctx, args if is_named else ["", *args])

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name) if cmd_name else self.default


class DefaultCommand(Command):
    """The command of a `DefaultGroup` that has no name of its own."""

    @override
    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path.rstrip(), words)
