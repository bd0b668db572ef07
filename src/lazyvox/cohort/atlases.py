"""Atlases of a study: images of regions, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import PathLike
from lazyvox.array.lazy_array import LazyArray
from lazyvox.bids.names import (
    bids_label,
)
from lazyvox.bids.sidecars import hash_file
from lazyvox.errors import ParameterTypeError
from lazyvox.lazyimage.opened_image import opened_image
from lazyvox.store.files.paths import absolute_path

__all__ = ["Atlas", "opened_atlases"]


@dataclass(frozen=True, slots=True)
class Atlas:
    """An image of regions.

    Attributes
    ----------
    name : str
        Its label in the names of outputs.
    path : str
        The image: labels in 3D, or maps in 4D.
    lut : str or None
        Table with the names of its regions.
    is_maps : bool
        Whether it is an image of maps.
    n_regions : int
        Number of its regions.
    sha256 : str
        SHA-256 of image and table.
    """

    name: str
    path: str
    lut: str | None
    is_maps: bool
    n_regions: int
    sha256: tuple[str, ...]

    @classmethod
    def opened(cls, name: str, image: PathLike, lut: PathLike | None = None) -> "Atlas":
        """Return an atlas in a file, whose regions are counted and whose bytes are hashed.

        Parameters
        ----------
        name : str
            Name; letters and digits of it are the label.
        image : path-like
            The image.
        lut : path-like, optional
            Table with the names of its regions.

        Returns
        -------
        Atlas
            The atlas.

        Raises
        ------
        ParameterError
            If the name has no letter or digit.
        ImageFileError
            If a file cannot be read.
        """
        path = absolute_path(image, "atlases")
        table = None if lut is None else absolute_path(lut, "atlases")
        array = opened_image(path).array
        n_regions = array.shape[3] if array.ndim > 3 else _count_labels(array)
        hashes = tuple(hash_file(one) for one in (path, table) if one is not None)
        return cls(bids_label(name), path, table, array.ndim > 3, n_regions, hashes)


def _count_labels(array: LazyArray) -> int:
    """Return the number of labels that are not 0; memory: one slice."""
    found: set[float] = set()
    for k in range(array.shape[2]):
        found.update(np.unique(array[..., k]).tolist())
    return len(found - {0})


def opened_atlases(given: Any) -> tuple[Atlas, ...]:
    """Return the atlases of a mapping of names to images, or to pairs of image and table.

    Raises
    ------
    ParameterTypeError
        If it is no mapping.
    """
    if not isinstance(given, Mapping):
        msg = (
            f"`atlases` must be a dict of names to images, or to (image, table). Got "
            f"{type(given).__name__}."
        )
        raise ParameterTypeError(msg)
    return tuple(
        Atlas.opened(name, *(one if isinstance(one, tuple | list) else (one,)))
        for name, one in given.items()
    )
