"""Paths as users write them, as files are opened by them, and as messages show them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lazyvox._letters import printable_text
from lazyvox._typing import PathLike
from lazyvox.errors import ImageFileError, ParameterError, ParameterTypeError
from lazyvox.store.files.urls import is_url, local_path, public_url, scheme_with_one_slash

__all__ = ["absolute_path", "expand_home", "file_names", "printable", "split_target"]


def expand_home(path: str) -> str:
    """Return a path with the home folder in the place of a leading ``~`` or ``~user``.

    A user who does not exist stays as written: then no file has that name. Shells expand ``~`` at
    the beginning of a word only, so not in ``--output=~/x``, nor within quotes.
    """
    return os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for unknown users


def absolute_path(path: PathLike, name: str = "path") -> str:
    """Return `path` as an absolute text path, so that a later change of folder does not matter.

    A leading ``~`` is the home folder. Names that are not valid text keep their bytes. Of a URL the
    credentials are left out; that of a local file becomes its path.

    Parameters
    ----------
    path : path-like
        The path.
    name : str
        Name of the parameter, for messages.

    Returns
    -------
    str
        The absolute path.

    Raises
    ------
    ParameterTypeError
        If `path` is not a path.
    ImageFileError
        If the path holds a zero byte.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        msg = f"`{name}` must be a str, bytes or os.PathLike. Got {type(path).__name__}."
        if hasattr(path, "read"):
            msg += (
                " Files are read by name, as threads and other processes open them for "
                "themselves: pass the name, or write the content to a file first."
            )
        if hasattr(path, "dataobj"):
            msg += f" An image is none: {_instead_of(path)}"
        raise ParameterTypeError(msg) from None
    if "\0" in text:
        msg = f"{text!a}: a path must not hold a zero byte."
        raise ImageFileError(msg)
    if is_url(text):
        local = local_path(text)
        if local is None:
            return public_url(text)
        text = local
    scheme = scheme_with_one_slash(text) if isinstance(path, os.PathLike) else ""
    if scheme and text.startswith(scheme):
        msg = f"a URL must be a text: pathlib leaves out one of its slashes. Got {text!a}."
        raise ParameterError(msg, parameter="path", hint="Pass the text of the URL.")
    # Not resolve(): links stay as they are, the name that the user gave is the one in messages.
    return str(Path(expand_home(text)).absolute())


def _instead_of(img: Any) -> str:
    """Return what to pass in the place of an image, where its path is needed."""
    name = img.get_filename() if hasattr(img, "get_filename") else None
    if name is None:
        return "save it, and pass the name of the file."
    return f"pass the name of its file, {printable(str(name))}."


def printable(path: str) -> str:
    """Return a path that can be printed and logged whatever bytes its name holds.

    URLs are shown without credentials.
    """
    if is_url(path):
        path = public_url(path)
    return printable_text(path)


def split_target(path: PathLike, names: Sequence[str]) -> list[str]:
    """Return one path per name, the name inserted before the ending.

    Parameters
    ----------
    path : path-like
        The path that was asked for.
    names : sequence of str
        Names of region sets. What a file name should not hold becomes an underscore.

    Returns
    -------
    list of str
        The paths, all different.

    Examples
    --------
    >>> [path.rsplit('/', 1)[1] for path in split_target("out.npy", ["left", "a/b", "left"])]
    ['out_left.npy', 'out_a_b.npy', 'out_left_2.npy']
    """
    full = Path(absolute_path(path))
    return [str(full.with_name(f"{full.stem}_{name}{full.suffix}")) for name in file_names(names)]


def file_names(names: Sequence[str]) -> Iterator[str]:
    """Yield names that are fit for files, and all different."""
    seen: set[str] = set()
    for name in names:
        fit = "".join(c if c.isalnum() or c in "._-+" else "_" for c in name).lstrip(".") or "_"
        candidate, number = fit, 1
        while candidate.casefold() in seen:
            number += 1
            candidate = f"{fit}_{number}"
        seen.add(candidate.casefold())
        yield candidate
