"""The type of options and arguments that are paths."""

import os
from pathlib import Path
from typing import Any

import click

from lazyvox._typing import override
from lazyvox.store.files.paths import expand_home

__all__ = ["FOLDER_PATH", "PATH"]


class _HomePath(click.Path):
    """A path in which a leading ``~`` is the home folder; the file may not exist."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path that was given."""
        return super().convert(expand_home(os.fsdecode(value)), param, ctx)


#: A path as text.
PATH = _HomePath(readable=False, path_type=str)

#: A path as a `pathlib.Path`.
FOLDER_PATH = _HomePath(readable=False, path_type=Path)
