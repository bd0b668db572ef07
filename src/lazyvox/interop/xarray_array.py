"""`to_xarray`: an image as a labelled array that reads what is selected of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage
from nibabel.wrapstruct import WrapStruct

from lazyvox._typing import Array, Shape
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.describe import repetition_time
from lazyvox.lazyimage.grids import affine_of
from lazyvox.lazyimage.load import ImageLike, as_image
from lazyvox.runtime.optional import require

__all__ = ["to_xarray"]

_DIMS = ("x", "y", "z", "time")

#: An axis lies along one of the world's where it strays from it by no more than this part of a
#: voxel: headers hold affines in 32 bits.
_STRAY = 1e-5


def to_xarray(img: ImageLike) -> Any:
    """Return an image as a labelled array that reads what is selected of it, when it is used.

    Parameters
    ----------
    img : image or path
        Any image, computed ones included.

    Returns
    -------
    xarray.DataArray
        Of the shape and type of ``img.dataobj``, with these parts:

        - dims: ``"x"``, ``"y"``, ``"z"``, ``"time"``, as many as the image has, then ``"dim_4"``
          and so on. The first three are the voxel axes i, j, k.
        - coords of space: world coordinates of the voxel centres in mm, where the voxel axes lie
          along those of the world in this order (the affine is diagonal, signs apart). Of any
          other affine no axis has a coordinate of its own: the coordinates are then voxel indices,
          and ``attrs["affine"]`` leads to mm. The attribute ``units`` of each coordinate is
          ``"mm"`` or ``"voxel"``.
        - coords of time: seconds from the first volume, by the repetition time of the header, with
          the units ``"s"``; indices with the units ``"volume"`` where it says none.
        - attrs: ``affine``, its 16 numbers row by row, and ``header``, the fields of the header as
          JSON: netCDF and Zarr hold text and lists of numbers, no matrices and no dicts. Get them
          by ``np.reshape(run.attrs["affine"], (4, 4))`` and ``json.loads(run.attrs["header"])``.
        - name: that of the file up to its first dot.

    Raises
    ------
    MissingDependencyError
        If xarray is not installed.
    ImageFileError
        If the file cannot be opened.

    Notes
    -----
    Memory: none before values are used, then those that were selected, and 3 MiB. ``isel`` and
    ``sel`` read nothing. What is used twice is read twice: ``load`` keeps it in memory, and
    ``chunk`` makes it a dask array. Arithmetic on an array that is not chunked reads all of it.

    Examples
    --------
    >>> import lazyvox as lv
    >>> run = lv.interop.to_xarray("run.nii.gz")
    >>> run.dims, run.sel(x=0, y=0, z=0, method="nearest").shape
    (('x', 'y', 'z', 'time'), (40,))
    >>> float(run.time[3]), run.time.attrs["units"]
    (6.0, 's')

    All of it, or what was selected, goes into a file with affine and header:

    >>> run.isel(time=slice(0, 5)).to_netcdf("run.nc", engine="scipy")
    >>> import xarray as xr
    >>> found = xr.open_dataarray("run.nc", engine="scipy")
    >>> np.reshape(found.attrs["affine"], (4, 4)).diagonal().tolist()
    [3.0, 3.0, 3.0, 1.0]
    >>> found.close()
    """
    require("xarray", "interop", "Labelled arrays")
    import xarray as xr
    from xarray.core.indexing import LazilyIndexedArray

    from lazyvox.interop.xarray_backend import VoxelsBackend

    image = as_image(img)
    array = lazy_dataobj(image)
    dims = tuple(_DIMS[axis] if axis < len(_DIMS) else f"dim_{axis}" for axis in range(array.ndim))
    variable = xr.Variable(dims, LazilyIndexedArray(VoxelsBackend(array)), _attributes(image))
    coords = {
        name: ((name,), values, {"units": unit})
        for name, (values, unit) in _coordinates(image, array.shape).items()
    }
    name = image.get_filename()
    return xr.DataArray(
        variable, coords=coords, name=Path(name).name.partition(".")[0] if name else None
    )


def _coordinates(img: SpatialImage, shape: Shape) -> dict[str, tuple[Array, str]]:
    """Return values and unit of each coordinate."""
    affine = affine_of(img)
    found: dict[str, tuple[Array, str]] = {}
    off_axis = affine[:3, :3] - np.diag(np.diag(affine[:3, :3]))
    sizes = np.array(voxel_sizes(affine))
    # NaN fails every comparison, so that an affine with one counts as oblique.
    is_straight = bool((np.abs(off_axis) <= _STRAY * sizes).all() and np.diag(affine).all())
    for axis, (name, length) in enumerate(zip(_DIMS[:3], shape, strict=False)):
        indices = np.arange(length)
        if is_straight:
            found[name] = (affine[axis, axis] * indices + affine[axis, 3], "mm")
        else:
            found[name] = (indices, "voxel")
    if len(shape) > 3:
        t_r = repetition_time(img.header)
        volumes = np.arange(shape[3])
        found["time"] = (volumes, "volume") if t_r is None else (volumes * t_r, "s")
    return found


def _attributes(img: SpatialImage) -> dict[str, Any]:
    header: Any = img.header
    fields = {}
    if isinstance(header, WrapStruct):
        fields = {name: _plain(header[name]) for name in header}
    return {"affine": affine_of(img).ravel().tolist(), "header": json.dumps(fields)}


def _plain(value: Array) -> Any:
    """Return the value of a field in plain Python; text without the zeros behind it."""
    found: Any = value.tolist()
    return found.decode("latin-1") if isinstance(found, bytes) else found
