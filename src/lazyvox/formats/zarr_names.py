"""Names by which folders are known as stores of Zarr."""

import os.path

from lazyvox.store.files.urls import is_url, without_query

__all__ = ["ZARR_ENDING", "ZARR_MARKS", "is_zarr_folder"]

#: Ending of folders that hold an image in chunks.
ZARR_ENDING = ".zarr"

#: Metadata of groups and arrays, of both versions of Zarr.
ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")


def is_zarr_folder(path: str) -> bool:
    """Return whether a path is a folder that holds a Zarr group or array; of a URL the name tells."""
    if is_url(path):
        return without_query(path).rstrip("/").lower().endswith(ZARR_ENDING)
    return any(os.path.isfile(os.path.join(path, mark)) for mark in ZARR_MARKS)  # noqa: PTH113, PTH118
