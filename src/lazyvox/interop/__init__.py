"""Images in the arrays of other packages, without a copy: dask and xarray; and as NIfTI-Zarr."""

from lazyvox.interop.dask_array import to_dask
from lazyvox.interop.xarray_array import to_xarray
from lazyvox.interop.zarr_group import from_zarr, to_zarr
from lazyvox.interop.zarr_view import zarr_store

__all__ = ["from_zarr", "to_dask", "to_xarray", "to_zarr", "zarr_store"]
