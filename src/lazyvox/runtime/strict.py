"""`strict`: no hidden load of a whole image."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lazyvox.errors import MaterializationError
from lazyvox.planning.memory import format_bytes

__all__ = ["check_materialization", "strict"]

_strict: ContextVar[bool] = ContextVar("lazyvox_strict", default=False)


@contextmanager
def strict() -> Iterator[None]:
    """Turn every hidden load of a whole image into an error, in a block of code.

    Notes
    -----
    Memory: O(1). What asks for the whole array by name (``np.asarray(img.dataobj)``,
    ``img.get_fdata()``, slices) stays allowed. Blocks are separate for each thread and each
    asynchronous task: a thread started inside of a block is not strict.

    Examples
    --------
    >>> with strict():
    ...     check_materialization("median over time", 3 * 1024**3)
    Traceback (most recent call last):
    lazyvox.errors.MaterializationError: Under lazyvox.strict() ...
    """
    token = _strict.set(True)
    try:
        yield
    finally:
        _strict.reset(token)


def check_materialization(what: str, nbytes: int) -> None:
    """Refuse a hidden full load under `strict`; to be called before anything is read.

    Parameters
    ----------
    what : str
        What would load the array, and of which image.
    nbytes : int
        Bytes that the array would take.

    Raises
    ------
    MaterializationError
        If `strict` is in force.

    Notes
    -----
    Memory: O(1). Reads no voxel data.

    Examples
    --------
    >>> check_materialization("median over time", 3 * 1024**3)
    """
    if not _strict.get():
        return
    msg = (
        f"Under lazyvox.strict() no image may be loaded whole without being asked for by name. "
        f"{what} would have loaded {format_bytes(nbytes)} at once. Work on slices or with "
        f"lazyvox.Scan, or ask for the array with np.asarray(img.dataobj) or img.get_fdata(), or "
        f"leave the strict block."
    )
    raise MaterializationError(msg)
