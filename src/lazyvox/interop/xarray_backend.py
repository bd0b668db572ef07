"""A lazy array as xarray's lazily indexed backends are. Imported once xarray is needed."""

from typing import Any

from xarray.backends import BackendArray
from xarray.core.indexing import IndexingSupport, explicit_indexing_adapter

from lazyvox._typing import Array
from lazyvox.array.lazy_array import LazyArray

__all__ = ["VoxelsBackend"]


class VoxelsBackend(BackendArray):  # type: ignore[misc] # mypy does not read xarray
    """Reads what xarray selects of a lazy array.

    Parameters
    ----------
    array : LazyArray
        The voxels.
    """

    def __init__(self, array: LazyArray) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: Any) -> Any:
        """Read what an explicit index of xarray's selects."""
        return explicit_indexing_adapter(
            key, self.shape, IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: Any) -> Array:
        # A view keeps the order of the axes where NumPy would bring a list to the front.
        return self.array.view(key).read()
