"""`zarr_store`: an image as a Zarr store that is computed when it is read. Nothing is copied."""

from dataclasses import replace
from typing import Any

from lazyvox.array.conversion import Conversion
from lazyvox.formats.output import plan_output
from lazyvox.formats.zarr_sink import metadata_of
from lazyvox.lazyimage.dataobj import lazy_dataobj, storable
from lazyvox.lazyimage.grids import affine_of
from lazyvox.lazyimage.load import ImageLike, as_image
from lazyvox.planning.chunks import chunk_shape
from lazyvox.runtime.optional import require

__all__ = ["zarr_store"]


def zarr_store(img: ImageLike, *, chunks: Any = "time") -> Any:
    """Return an image as a read-only Zarr store, whose chunks are read when they are asked for.

    Parameters
    ----------
    img : image or path
        Any image of 2 to 5 axes, computed ones included: a ``.nii.gz`` with an index, say.
    chunks : "time", "space" or tuple of int, default="time"
        As in `to_zarr`. Of a compressed file, chunks that hold all volumes each decode all of it.

    Returns
    -------
    zarr.abc.store.Store
        The store that `to_zarr` would write, its chunks not compressed. Stored integers are as
        they are in the file, slope and intercept in the header; computed values are in their own
        type. It pickles.

    Raises
    ------
    ParameterError
        If the image has other numbers of axes or colours, or `chunks` has no meaning.
    ImageFileError
        If the file cannot be opened.
    MissingDependencyError
        If zarr is not installed.

    Notes
    -----
    Memory: none before a chunk is asked for, then the chunk. Threads may read at a time.

    Examples
    --------
    >>> import lazyvox as lv
    >>> import zarr
    >>> group = zarr.open_group(lv.interop.zarr_store("run.nii.gz"), mode="r")
    >>> group["0"].shape, group["0"][30].shape
    ((40, 10, 14, 12), (10, 14, 12))
    """
    require("zarr", "interop", "Zarr stores")
    from lazyvox.interop.zarr_voxels import VoxelStore

    image = as_image(img)
    array = storable(lazy_dataobj(image))
    slope, inter = array.slope, array.inter
    if array.conversion.dtype is None and array.conversion.cast is None:
        array = replace(array, conversion=Conversion())
    else:
        # Cast when it was loaded: what was asked for is what is stored.
        slope, inter = 1.0, 0.0
    output = plan_output(
        "image.zarr",
        header=image.header,
        affine=affine_of(image),
        shape=array.shape,
        dtype=array.dtype,
        slope=slope,
        inter=inter,
    )
    shape = chunk_shape(output.shape, output.dtype.itemsize, chunks)
    return VoxelStore(array, shape, metadata_of(output, shape))
