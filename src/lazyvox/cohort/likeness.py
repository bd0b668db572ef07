"""Images that are alike have one plan: regions are read once to plan any number of them."""

from collections.abc import Hashable
from pathlib import Path

from lazyvox.lazyimage.series import Grid

__all__ = ["likeness"]


def likeness(grid: Grid, path: str) -> tuple[Hashable, ...]:
    """Return all that the plan for an image file depends on, but for what is done with it."""
    return (
        grid.shape,
        grid.n_volumes,
        str(grid.dtype),
        grid.affine.tobytes(),
        Path(path).suffix,
    )
