"""Warning about bytes after the end of a compressed stream."""

import warnings

from lazyvox.errors import LazyvoxWarning
from lazyvox.store.files.printing import printable

__all__ = ["warn_of_garbage"]


def warn_of_garbage(path: str, compression: str) -> None:
    """Warn that bytes behind the end of a complete stream were ignored."""
    msg = (
        f"{printable(path)}: bytes that are not {compression} data follow the end of the stream; "
        f"they were ignored. The image itself is complete and verified."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=3)
