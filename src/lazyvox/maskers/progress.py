"""Messages of maskers on standard output, by `verbose`."""

import sys
from typing import Any

from nibabel.spatialimages import SpatialImage

__all__ = ["shown", "tell"]

#: Images of a list that are named; of a longer one the first and the last.
_MOST_SHOWN = 3


def tell(owner: object, text: str, verbose: int, *, level: int = 1) -> None:
    """Write one line, if `verbose` reaches the level.

    Parameters
    ----------
    owner : object
        The masker.
    text : str
        What it does.
    verbose : int
        The masker's `verbose`.
    level : int
        The least value of `verbose` at which the line is written.
    """
    if int(verbose) >= level:
        sys.stdout.write(f"[{type(owner).__name__}] {text}\n")


def shown(imgs: Any, verbose: int) -> str:
    """Return images as they are named in a line, longer where `verbose` is above 1."""
    if isinstance(imgs, list | tuple):
        some = list(imgs)
        if int(verbose) < 2 and len(some) > _MOST_SHOWN:
            return f"[{shown(some[0], verbose)}, ..., {shown(some[-1], verbose)}]"
        return "[" + ", ".join(shown(img, verbose) for img in some) + "]"
    name = imgs.get_filename() if isinstance(imgs, SpatialImage) else imgs
    if name is None:
        return f"{type(imgs).__name__} of shape {getattr(imgs, 'shape', None)}"
    text = str(name)
    return text if int(verbose) > 1 or len(text) <= 20 else f"...{text[-17:]}"
