"""Maps on the grid of a series, written as images."""

from lazyvox._typing import Array, DType
from lazyvox.formats.output_spec import plan_map
from lazyvox.formats.writer import ImageWriter
from lazyvox.lazyimage.series import Grid

__all__ = ["save_map"]


def save_map(values: Array, grid: Grid, path: str, *, dtype: DType, overwrite: bool) -> None:
    """Write values of another kind on the grid of a series, as `save` writes them.

    Parameters
    ----------
    values : ndarray of shape `grid.shape`
        The map.
    grid : Grid
        Grid, and the image that the header comes from.
    path : str
        The output.
    dtype : numpy.dtype
        Type on disk.
    overwrite : bool
        Whether an existing file may be replaced.

    Notes
    -----
    nibabel is imported only for what is not a single NIfTI file of the grid of one.
    """
    output = plan_map(path, header=grid.header, shape=tuple(values.shape), dtype=dtype)
    if output is None:
        from lazyvox.lazyimage.save import save

        save(grid.image_of(values), path, dtype=dtype, overwrite=overwrite, n_jobs=1)
        return
    with ImageWriter(output, overwrite=overwrite, rounds=False) as writer:
        writer.write(values)
        writer.commit()
