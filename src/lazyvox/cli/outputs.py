"""Checks of outputs before anything is read: ending, folder, existing files."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.settings import Settings
from lazyvox.formats.zarr_names import ZARR_ENDING, is_zarr_folder
from lazyvox.store.files.paths import absolute_path, printable, split_target
from lazyvox.store.files.urls import is_url
from lazyvox.store.write.atomic import annexed_reason

__all__ = [
    "IMAGE_ENDINGS",
    "IMAGE_OUTPUT_TEXT",
    "check_distinct",
    "check_files",
    "check_output",
    "files_in_folder",
    "list_endings",
    "split_image_target",
    "stem_of",
]

_PACKED = (".gz", ".bz2", ".zst")

#: Endings of images that can be written.
IMAGE_ENDINGS = (
    *(kind + packed for kind in (".nii", ".hdr", ".img", ".mgh") for packed in ("", *_PACKED)),
    ".mgz",
    ZARR_ENDING,
)

_KINDS = (".nii", ".hdr", ".img", ".mgh", ".mgz", ".head", ".brik", ".mnc")


class _UnfitFileError(Exception):
    """Reason that a file cannot be written."""


def check_output(
    output: str | None,
    endings: Sequence[str],
    inputs: Sequence[str],
    settings: Settings,
    *,
    files: Sequence[str] = (),
    option: str = "--output",
) -> str:
    """Return the output that was asked for, or raise the usage error that it would be.

    Parameters
    ----------
    output : str or None
        Value of -o.
    endings : sequence of str
        The endings that the command can write.
    inputs : sequence of str
        Files that the command reads: none of them may be written to.
    settings : Settings
        Whether the output may exist, and whether it is needed at all.
    files : sequence of str
        The files that will be written, where they are not `output` itself.
    option : str, default="--output"
        The option, as messages call it.

    Returns
    -------
    str
        The path; empty where only the plan was asked for and no output was named.

    Raises
    ------
    WrongUsageError
        If the output cannot be written, or must not be.
    """
    if output is None:
        if settings.explain:
            return ""
        msg = "missing option -o/--output: where should the result go?"
        raise WrongUsageError(msg)
    if _is_other_folder(output) or output.endswith(os.sep):
        msg = f"{option} {printable(output)}: this is a directory. Add a file name"
        raise WrongUsageError(msg)
    if not output.lower().endswith(tuple(one.lower() for one in endings)):
        msg = f"{option} {printable(output)}: the name must end in {list_endings(endings)}"
        raise WrongUsageError(msg)
    # A plan is of a run that could begin; a file that exists may be gone until then.
    may_exist = replace(settings, overwrite=settings.overwrite or settings.explain)
    named = [one for file in files or [output] for one in _files_of_image(file)]
    check_files(named, inputs, may_exist, option=option)
    return output


def check_files(
    files: Sequence[str], inputs: Sequence[str], settings: Settings, *, option: str = "--output"
) -> None:
    """Raise the usage error that writing some files would be.

    Parameters
    ----------
    files : sequence of str
        The files that will be written.
    inputs : sequence of str
        Files that the command reads.
    settings : Settings
        Whether files may exist.
    option : str, default="--output"
        The option, as messages call it.

    Raises
    ------
    WrongUsageError
        If a file cannot be written, or must not be.
    """
    for path in files:
        try:
            _check_file(path, inputs, overwrite=settings.overwrite)
        except _UnfitFileError as error:
            msg = f"{option} {printable(path)}: {error}"
            raise WrongUsageError(msg) from None


def check_distinct(outputs: Iterable[tuple[str, str]]) -> None:
    """Raise the usage error that two outputs in one file would be.

    Parameters
    ----------
    outputs : iterable of (str, str)
        Option and path of each output; empty paths are none.

    Raises
    ------
    WrongUsageError
        If two are the same file, however their paths are spelled.

    Examples
    --------
    >>> check_distinct([("--mean", "a.nii"), ("--std", "./a.nii")])
    Traceback (most recent call last):
    lazyvox.cli.outcome.WrongUsageError: --std ./a.nii: another output has this file. Give each its own
    """
    taken: set[str] = set()
    for option, path in outputs:
        files = (
            {os.path.realpath(absolute_path(one)) for one in _files_of_image(path)}
            if path
            else set()
        )
        if files & taken:
            msg = f"{option} {printable(path)}: another output has this file. Give each its own"
            raise WrongUsageError(msg)
        taken |= files


def files_in_folder(
    folder: str, names: Sequence[str], *, each: str, way_out: str, option: str = "--output"
) -> tuple[str, ...]:
    """Return the path of each file in a folder, or raise the usage error that two of a name are.

    Parameters
    ----------
    folder : str
        The folder.
    names : sequence of str
        Names of the files.
    each : str
        What each file is of, for the message.
    way_out : str
        What to do where two have one name.
    option : str, default="--output"
        The option, as messages call it.

    Returns
    -------
    tuple of str
        The paths.
    """
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = (
            f"{option} {printable(folder)}: each {each} must have a name of its own. Got "
            f"{twice[0]} twice. {way_out}"
        )
        raise WrongUsageError(msg)
    return tuple(str(Path(folder) / name) for name in names)


def list_endings(endings: Sequence[str]) -> str:
    """Return endings as text, those of images in short.

    Examples
    --------
    >>> list_endings([".npy", ".tsv"]), list_endings(IMAGE_ENDINGS)[:36]
    ('.npy, .tsv', '.mgz, .zarr, or .nii, .hdr, .img or ')
    """
    if ".nii" not in endings:
        return ", ".join(endings)
    alone = (".mgz", ZARR_ENDING)
    others = [one for one in endings if one not in IMAGE_ENDINGS or one in alone]
    images = ".nii, .hdr, .img or .mgh, each also with .gz, .bz2 or .zst behind it"
    return f"{', '.join(others)}, or {images}"


#: Help text of -o of a command that writes one image.
IMAGE_OUTPUT_TEXT = f"Image to write; ends in {list_endings(IMAGE_ENDINGS)}."


def stem_of(path: str) -> str:
    """Return the name of a file without folder and endings.

    Examples
    --------
    >>> stem_of("masks/left.v2.nii.gz"), stem_of("atlas.tsv.nii")
    ('left.v2', 'atlas.tsv')
    """
    name = Path(path).name
    for endings in ((*_PACKED, ZARR_ENDING), _KINDS):
        for ending in endings:
            if name.lower().endswith(ending) and len(name) > len(ending):
                name = name[: -len(ending)]
                break
    return name


def split_image_target(path: str, names: Sequence[str]) -> list[str]:
    """Return one path of an image for each name, the name inserted before the endings.

    Examples
    --------
    >>> split_image_target("out/all.nii.gz", ["left", "right"])
    ['out/all_left.nii.gz', 'out/all_right.nii.gz']
    """
    stem = stem_of(path)
    endings = Path(path).name[len(stem) :]
    # A table's ending for a moment: that of an image may have two parts.
    tables = split_target(f"{stem}.tsv", names)
    return [str(Path(path).with_name(Path(one).stem + endings)) for one in tables]


def _files_of_image(path: str) -> list[str]:
    """Return the path, and its partner where it is one of a pair."""
    lower = path.lower()
    packed = next((len(one) for one in _PACKED if lower.endswith(one)), 0)
    stem, tail = path[: len(path) - packed], path[len(path) - packed :]
    partners = {".hdr": ".img", ".img": ".hdr"}
    kind = stem[-4:]
    if kind.lower() not in partners:
        return [path]
    partner = partners[kind.lower()]
    return [path, stem[:-4] + (partner.upper() if kind.isupper() else partner) + tail]


def _check_file(path: str, inputs: Sequence[str], *, overwrite: bool) -> None:
    if is_url(path):
        msg = "objects are read, not written. Write to a local path, and copy it then"
        raise _UnfitFileError(msg)
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        msg = f"there is no folder {printable(str(folder))}. Create it first"
        raise _UnfitFileError(msg)
    if reason := annexed_reason(path):
        raise _UnfitFileError(reason.removesuffix("."))
    if not os.path.lexists(path):
        if not os.access(folder, os.W_OK | os.X_OK):
            msg = f"this user may not write into {printable(str(folder))}"
            raise _UnfitFileError(msg)
        return
    if _is_other_folder(path):
        msg = "this is a directory. Add a file name"
        raise _UnfitFileError(msg)
    if any(_is_same(path, one) for one in inputs):
        msg = "this is an input too. Write to another file"
        raise _UnfitFileError(msg)
    if not overwrite:
        msg = "the file exists. Pass --overwrite to replace it"
        raise _UnfitFileError(msg)
    if (
        Path(path).exists()
        and not is_zarr_folder(path)
        and not stat.S_ISREG(Path(path).stat().st_mode)
    ):
        msg = "only a regular file can be replaced, not a pipe or device"
        raise _UnfitFileError(msg)


def _is_other_folder(path: str) -> bool:
    """Return whether a path is a folder that a Zarr store must not replace."""
    is_store = path.lower().endswith(ZARR_ENDING) and is_zarr_folder(path)
    return Path(path).is_dir() and not is_store


def _is_same(path: str, other: str) -> bool:
    try:
        return Path(path).samefile(other)
    except OSError:
        return False
