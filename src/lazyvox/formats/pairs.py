"""The files of a .hdr/.img pair, found from the name of either."""

import os
from dataclasses import dataclass

from lazyvox.errors import ImageNotFoundError, ImagePermissionError
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import is_url
from lazyvox.store.opening import find_file

__all__ = ["PairName", "missing_partner", "pair_name"]

_COMPRESSIONS = ("", ".gz", ".bz2", ".zst")


@dataclass(frozen=True, slots=True)
class PairName:
    """A name of a pair, taken apart: root, ".hdr" or ".img", ".gz" or another or nothing.

    Both endings are kept as they are spelled.
    """

    root: str
    ending: str
    compression: str

    @property
    def is_header(self) -> bool:
        """True if the name is that of the header file."""
        return self.ending.lower() == ".hdr"

    def find(self, ending: str) -> str | None:
        """Return the file of the pair with another ending, in any spelling and compression.

        The spelling and the compression of the given name are tried first.
        """
        if self.ending.isupper():
            ending = ending.upper()
        if is_url(self.root):
            # Each name is a request: in the spelling of the given one only.
            names = [self.root + ending + one for one in dict.fromkeys((self.compression, ""))]
            return next((name for name in names if _is_object(name)), None)
        for compression in (self.compression, *_COMPRESSIONS):
            for tail in (ending, ending.lower(), ending.upper()):
                for suffix in (compression, compression.upper()):
                    candidate = self.root + tail + suffix
                    if os.path.lexists(candidate):
                        return candidate
        return None


def _is_object(url: str) -> bool:
    try:
        find_file(url)
    except (ImageNotFoundError, ImagePermissionError):
        # S3 says that it may not be read of what is not there.
        return False
    return True


def pair_name(path: str) -> PairName | None:
    """Return the parts of the name of a pair; None if it is the name of no pair."""
    root, compression = path, ""
    for suffix in _COMPRESSIONS[1:]:
        if path.lower().endswith(suffix):
            root, compression = path[: -len(suffix)], path[-len(suffix) :]
    if root.lower().endswith((".hdr", ".img")):
        return PairName(root[:-4], root[-4:], compression)
    return None


def missing_partner(present: str, name: PairName) -> ImageNotFoundError:
    """Return the error that names the file that is missing from a pair."""
    wanted = ".img" if name.is_header else ".hdr"
    if name.ending.isupper():
        wanted = wanted.upper()
    missing = printable(name.root + wanted + name.compression)
    msg = (
        f"{missing}: no such file, and {printable(present)} needs it: header (.hdr) and image "
        f"data (.img) must lie side by side. Copy the missing file too."
    )
    return ImageNotFoundError(msg)
