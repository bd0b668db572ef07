"""Signals of regions back in the voxels that they came from."""

from dataclasses import replace
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray
from lazyvox.array.memory_reader import snapshot
from lazyvox.extraction.linear_maps import LinearMaps
from lazyvox.extraction.map_images import open_maps, read_maps
from lazyvox.extraction.signals import Placement, Signals
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.series import as_series

__all__ = ["placed_img", "placement_of_maps"]


def placed_img(values: Array, template: Any, placement: Placement) -> Any:
    """Return signals as an image on the grid of another one.

    Parameters
    ----------
    values : ndarray of shape (n_volumes, n_columns) or (n_columns,)
        The signals.
    template : nibabel image
        Gives the grid.
    placement : Placement
        The voxels of each column.

    Returns
    -------
    LazyImage
        3D in memory for one row, else a lazy 4D image; zero in all other voxels.
    """
    shape = tuple(template.shape[:3])
    if values.ndim == 1:
        volume = np.zeros((1, int(np.prod(shape))), values.dtype)
        placement.fill(volume, values[None])
        return image_like(template, volume[0].reshape(shape, order="F"), template.affine)
    grid = replace(as_series(template).grid, n_volumes=len(values), dtype=values.dtype)
    names = [str(number) for number in range(values.shape[1])]
    # The image does not follow what the caller writes to the array later.
    return Signals(snapshot(values), grid=grid, placement=placement, names=names).to_img()


def placement_of_maps(maps_img: Any, mask: BoolArray | None) -> Placement:
    """Return the weights of maps at their voxels.

    Parameters
    ----------
    maps_img : nibabel image
        A 4D image of maps.
    mask : ndarray of shape (i, j, k), bool, or None
        Voxels outside of it have no weight.

    Returns
    -------
    Placement
        One column per map, also for those without weight.
    """
    maps = open_maps(maps_img, "maps_img")
    found = read_maps(maps, mask, ensure_finite=True)
    to_maps = np.zeros((maps.n_maps, len(found.numbers)))
    to_maps[found.numbers, np.arange(len(found.numbers))] = 1
    # The way back alone: nothing is solved.
    linear = LinearMaps(found.weights, np.zeros((len(found.numbers), 0)), to_maps)
    return Placement(found.index, maps=linear)
