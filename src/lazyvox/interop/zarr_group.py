"""`to_zarr` and `from_zarr`: images as NIfTI-Zarr."""

import os
from typing import Any

import numpy.typing as npt

from lazyvox.errors import ParameterError
from lazyvox.formats.zarr_names import ZARR_ENDING
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.encoding import Scale
from lazyvox.lazyimage.load import ImageLike, as_image
from lazyvox.lazyimage.save import prepare_save
from lazyvox.lazyimage.zarr_image import load_zarr
from lazyvox.runtime.progress import ProgressLike
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["from_zarr", "to_zarr"]


def to_zarr(  # noqa: PLR0913 - one keyword for each thing that a store can be
    img: ImageLike,
    store: Any,
    *,
    chunks: Any = "time",
    dtype: npt.DTypeLike | None = None,
    compresslevel: int | None = None,
    scale: Scale = None,
    overwrite: bool = False,
    memory: int | str | None = None,
    n_jobs: int | None = None,
    progress: ProgressLike = None,
) -> None:
    """Write an image as NIfTI-Zarr: chunks for any program that reads Zarr, and the header.

    Parameters
    ----------
    img : image or path
        Any image of 2 to 5 axes, computed ones included.
    store : path-like or zarr.abc.store.Store
        A folder, whose name ends in ``.zarr``, by habit in ``.nii.zarr``; or any store of zarr
        that can be written to, such as one of objects in a cloud.
    chunks : "time", "space" or tuple of int, default="time"
        "time" cuts along time: a chunk is one volume, or a few of its slices where it has more
        than 16 MiB. "space" cuts along space: a chunk holds all volumes of a rectangle of a slice,
        about 1 MiB, for reading the series of single voxels; of an image without a time axis it
        is a block of up to 64 voxels along each edge. A tuple has a length for each axis of the
        image, -1 for the whole axis.
    dtype : dtype-like, optional
        Type on disk, as in `lazyvox.save`.
    compresslevel : int, optional
        0 to 9, by default 1: of zstd in Blosc, with shuffled bytes; each chunk ends with a CRC32C.
    scale : "auto", (float, float) or False, optional
        As in `lazyvox.save`.
    overwrite : bool, default=False
        Whether an existing store may be replaced. A folder that is none is never replaced.
    memory : int or str, optional
        Memory budget, as in `lazyvox.save`.
    n_jobs : int, optional
        Threads that compress, as in `lazyvox.save`.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Raises
    ------
    ParameterError
        If the name has another ending, the image other numbers of axes or colours, or `chunks`
        has no meaning.
    ScalingError
        If values do not fit the type, or are not whole where they must be.
    OutputExistsError
        If the store exists and `overwrite` is false.
    OutputError
        If it cannot be written; what was there before is intact.
    MemoryBudgetError
        If the buffers and a chunk do not fit the memory budget.
    MissingDependencyError
        If zarr is not installed.

    Notes
    -----
    Memory: a few blocks, the chunks that are made at a time, and the compressor, whatever the size
    of the image. One pass over it. Chunks that hold volumes of all times are made when all have
    been read: what the budget does not hold goes to a temporary file meanwhile.

    The folder gets its name when it is complete. Replacing an existing one takes two steps,
    between which, a moment, nothing has the name. Of a store that is no folder, the attributes
    that make an image of it are written last.

    The group is OME-Zarr 0.5 on Zarr 3, without a pyramid, with the raw header in the array
    ``nifti`` [1]_. Stored integers, slope and intercept are kept to the bit.

    References
    ----------
    .. [1] NIfTI-Zarr, draft 1.0.rc1, https://github.com/neuroscales/nifti-zarr

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.interop.to_zarr("run.nii.gz", "run.nii.zarr", chunks="space")
    >>> lv.interop.from_zarr("run.nii.zarr").shape
    (12, 14, 10, 40)
    """
    is_path = isinstance(store, str | bytes | os.PathLike)
    prepare_save(
        as_image(img),
        _zarr_name(store) if is_path else f"{type(store).__name__}.zarr",
        dtype=dtype,
        compresslevel=compresslevel,
        scale=scale,
        overwrite=overwrite,
        memory=memory,
        n_jobs=n_jobs,
        chunks=chunks,
        store=None if is_path else store,
    ).run(progress)


def from_zarr(store: Any, *, level: int = 0) -> LazyImage:
    """Open an image of a Zarr store; reads its header only.

    Parameters
    ----------
    store : path-like, URL, zarr.abc.store.Store or zarr.Group
        NIfTI-Zarr, or any other OME-Zarr image, on Zarr 2 or 3. Of one without a NIfTI header the
        affine is made of scales and translations, in mm.
    level : int, default=0
        Level of the pyramid; 0 is the image itself.

    Returns
    -------
    LazyImage
        A nibabel image with axes x, y, z, time, channel. Slices of its `dataobj` decode the chunks
        that they lie in, one at a time, and no others.

    Raises
    ------
    ImageNotFoundError
        If there is no such folder.
    UnsupportedFormatError
        If the store is no OME-Zarr image.
    ParameterError
        If the image has no such level.
    HeaderError
        If the NIfTI header is damaged, or of an image of another shape.
    MissingDependencyError
        If zarr is not installed.

    Notes
    -----
    Memory: O(1). A pass over the volumes of an image whose chunks hold many of them decodes each
    chunk once: those that do not fit 8 MiB are kept in a temporary file meanwhile. An image of a
    folder that is written anew is refused when it is read. A chunk with a checksum that is not its
    own is an error, and so is a missing one where all were written, as by `to_zarr`. Others that
    are not there hold the fill value, as Zarr has it; they are counted in a warning.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.interop.to_zarr("run.nii.gz", "run.nii.zarr")
    >>> img = lv.interop.from_zarr("run.nii.zarr")
    >>> img.dataobj[..., 30].shape, img.header.get_zooms()[3]
    ((12, 14, 10), np.float32(2.0))
    """
    is_path = isinstance(store, str | bytes | os.PathLike)
    return load_zarr(absolute_path(store) if is_path else store, level)


def _zarr_name(path: Any) -> str:
    """Return the path of a folder; refuse another ending."""
    full = absolute_path(path)
    if not full.lower().endswith(ZARR_ENDING):
        msg = f"{printable(full)}: the name of a Zarr store must end in .zarr. Add it."
        raise ParameterError(msg, parameter="store")
    return full
