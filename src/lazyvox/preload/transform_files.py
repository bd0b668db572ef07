"""Read transforms between images through nitransforms."""

import importlib
import re
from pathlib import Path
from typing import Any

from lazyvox.errors import ParameterError
from lazyvox.runtime.optional import missing
from lazyvox.store.files.paths import printable

__all__ = ["read_linear_transform", "read_transform_chain"]

#: Enough to tell numbers in text from anything else.
_HEAD_BYTES = 256
_NUMBERS = re.compile(rb"[-+0-9.eE\s]+")


def read_linear_transform(path: str, **options: Any) -> Any:
    """Return a linear transform of nitransforms from a file of ITK, FSL or FreeSurfer."""
    affine = _nitransforms("linear", path).Affine
    options = {"fmt": _linear_format(path), **options}
    if options["fmt"] == "fsl" and not options.keys() >= {"reference", "moving"}:
        msg = (
            f"{printable(path)}: a matrix of FSL must come with the grids that it is between. Got "
            f"{', '.join(sorted(options.keys() - {'fmt'})) or 'none'}. Pass reference= and "
            f"moving=, the paths of the images; or fmt= where it is no matrix of FSL."
        )
        raise ParameterError(msg)
    return affine.from_filename(path, **options)


def _linear_format(path: str) -> str:
    """Return nitransforms' name of the format; ITK and FSL share an ending, not the content."""
    if path.lower().endswith(".lta"):
        return "fs"
    if path.lower().endswith(".mat"):
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if _NUMBERS.fullmatch(head):
            return "fsl"
    return "itk"


def read_transform_chain(path: str, **options: Any) -> Any:
    """Return a chain of transforms, or the only one that an X5 file holds."""
    chain = _nitransforms("manip", path).TransformChain
    if not path.lower().endswith(".x5") or "x5_chain" in options:
        return chain.from_filename(path, **{"fmt": "itk", **options})
    found = chain.from_filename(path, **{"fmt": "X5", "x5_chain": None, **options})
    # Several are what a chain is made of; one may be all that there is.
    return found[0] if len(found) == 1 else chain.from_filename(path, **{"fmt": "X5", **options})


def _nitransforms(module: str, path: str) -> Any:
    try:
        return importlib.import_module(f"nitransforms.{module}")
    except ImportError as error:
        what = f"{printable(path)}: transforms"
        raise missing(package="nitransforms", extra="transforms", what=what) from error
