"""Images in the arrays of other packages, without a copy: dask and xarray."""

from lazyvox.interop.dask_array import to_dask
from lazyvox.interop.xarray_array import to_xarray

__all__ = ["to_dask", "to_xarray"]
