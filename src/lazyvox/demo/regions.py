"""Regions for a demo on any grid: a brain-like mask, its parcels, and their files."""

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray, IntArray
from lazyvox.errors import RegionError
from lazyvox.formats.output import plan_output
from lazyvox.formats.writer import ImageWriter
from lazyvox.store.write.atomic import write_file

__all__ = ["Regions", "central_voxel", "choose_shown", "divide", "mask_from_mean", "write_regions"]

_SEED = 64
_N_ROUNDS = 8
# Voxels that place the centres: more would not move them visibly.
_MOST_PLACING = 20_000
_CHUNK_VOXELS = 100_000
_N_BINS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Parcels of a brain: each voxel belongs to the nearest centre.

    Attributes
    ----------
    labels : ndarray of int16, of shape (i, j, k)
        1 and up; 0 outside of the brain.
    names : tuple of str
        Name of label 1, 2, ...
    """

    labels: Array
    names: tuple[str, ...]


def mask_from_mean(mean: Array) -> BoolArray:
    """Return a brain-like mask: the voxels above the threshold that splits the mean image best.

    Parameters
    ----------
    mean : ndarray of shape (i, j, k)
        Mean over time.

    Returns
    -------
    ndarray of bool, of the same shape
        Never empty: all finite voxels where no threshold splits them.

    Raises
    ------
    RegionError
        If no voxel is finite.

    Notes
    -----
    Memory: a few volumes. The threshold is Otsu's, on values clipped to their 1st and 98th
    percentile.

    References
    ----------
    Otsu (1979), IEEE Transactions on Systems, Man, and Cybernetics 9(1), 62-66.

    Examples
    --------
    >>> mask_from_mean(np.array([[[0.0, 1.0, 9.0, np.nan]]])).tolist()
    [[[False, False, True, False]]]
    """
    finite = np.isfinite(mean)
    if not finite.any():
        msg = "the mean image must hold finite values. Got none: nothing to make regions from."
        raise RegionError(msg)
    values = mean[finite].astype(np.float64)
    low, high = np.percentile(values, [1, 98])
    if not high > low:
        return finite
    counts, edges = np.histogram(np.clip(values, low, high), bins=_N_BINS, range=(low, high))
    return finite & (np.where(finite, mean, low) > _otsu(counts, edges))


def _otsu(counts: IntArray, edges: FloatArray) -> float:
    """Return the edge between bins that separates two classes best."""
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sum_below = np.cumsum(counts * centres)[:-1]
    sum_above = (counts * centres).sum() - sum_below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sum_below / below - sum_above / above) ** 2
    return float(edges[1 + int(np.nanargmax(between))])


def divide(mask: BoolArray, affine: FloatArray, *, n_regions: int) -> Regions:
    """Divide a mask into compact regions of similar size.

    Parameters
    ----------
    mask : ndarray of bool, of shape (i, j, k)
        Where regions may be; at least one voxel.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm: regions are round in mm.
    n_regions : int
        Number of regions; fewer where the mask has fewer voxels.

    Returns
    -------
    Regions
        Numbered from the back of the brain to its front.

    Notes
    -----
    Memory: some 32 bytes for each voxel inside. The same mask gives the same regions.

    Examples
    --------
    >>> regions = divide(np.ones((4, 1, 1), bool), np.eye(4), n_regions=2)
    >>> sorted(set(regions.labels.ravel().tolist()))
    [1, 2]
    """
    inside = np.argwhere(mask)
    rng = np.random.default_rng(_SEED)
    n_placing = min(len(inside), _MOST_PLACING)
    placing = _world(affine, inside[np.sort(rng.permutation(len(inside))[:n_placing])])
    centres = placing[rng.permutation(n_placing)[:n_regions]]
    for _ in range(_N_ROUNDS):
        centres = _centroids(placing, _nearest(placing, centres), centres)
    centres = centres[np.lexsort(centres.T[[0, 2, 1]])]
    nearest = np.empty(len(inside), dtype=np.intp)
    for start in range(0, len(inside), _CHUNK_VOXELS):
        part = slice(start, start + _CHUNK_VOXELS)
        nearest[part] = _nearest(_world(affine, inside[part]), centres)
    used, nearest = np.unique(nearest, return_inverse=True)
    labels = np.zeros(mask.shape, dtype=np.int16)
    labels[tuple(inside.T)] = nearest + 1
    return Regions(labels, tuple(f"region-{number:02d}" for number in range(1, len(used) + 1)))


def _world(affine: FloatArray, voxels: IntArray) -> FloatArray:
    return np.asarray(voxels @ affine[:3, :3].T + affine[:3, 3], dtype=np.float32)


def _nearest(points: FloatArray, centres: FloatArray) -> IntArray:
    """Return the number of the centre that is nearest to each point."""
    best = np.full(len(points), np.inf, dtype=np.float32)
    number = np.zeros(len(points), dtype=np.intp)
    for index, centre in enumerate(centres):
        apart = ((points - centre) ** 2).sum(axis=1)
        closer = apart < best
        best[closer] = apart[closer]
        number[closer] = index
    return number


def _centroids(points: FloatArray, number: IntArray, centres: FloatArray) -> FloatArray:
    """Return the mean of the points of each centre; a centre without points stays."""
    counts = np.bincount(number, minlength=len(centres))
    moved = centres.copy()
    for axis in range(3):
        sums = np.bincount(number, weights=points[:, axis], minlength=len(centres))
        moved[counts > 0, axis] = (sums / np.maximum(counts, 1))[counts > 0]
    return moved


def central_voxel(mask: BoolArray) -> tuple[int, int, int]:
    """Return the voxel nearest to the mask's centre of mass."""
    i, j, k = np.round(np.argwhere(mask).mean(axis=0)).astype(int)
    return int(i), int(j), int(k)


def choose_shown(regions: Regions, n_shown: int = 6) -> tuple[int, ...]:
    """Return labels of regions that are large in the three planes through the centre.

    Parameters
    ----------
    regions : Regions
        The regions.
    n_shown : int
        How many to choose; fewer where there are fewer.

    Returns
    -------
    tuple of int
        Ascending.
    """
    centre = central_voxel(regions.labels > 0)
    n_regions = len(regions.names)
    areas = np.stack(
        [
            np.bincount(
                np.take(regions.labels, centre[axis], axis).ravel(), minlength=1 + n_regions
            )
            for axis in range(3)
        ]
    )
    areas[:, 0] = 0
    places = np.stack(
        [np.argwhere(regions.labels == label).mean(axis=0) for label in range(1, n_regions + 1)]
    )
    chosen: list[int] = []
    while len(chosen) < min(n_shown, n_regions):
        # Planes take turns; a region far from those chosen already is worth a smaller area.
        worth = areas[len(chosen) % 3].astype(np.float64) + 1e-3
        for label in chosen:
            worth[1:] *= np.minimum(1, np.linalg.norm(places - places[label - 1], axis=1) / 15)
        worth[[0, *chosen]] = -1
        chosen.append(int(np.argmax(worth)))
    return tuple(sorted(chosen))


def write_regions(
    folder: Path, regions: Regions, affine: FloatArray, masks: Mapping[str, BoolArray]
) -> None:
    """Write the labels image, its table, and masks; existing files are replaced.

    Parameters
    ----------
    folder : Path
        Where to.
    regions : Regions
        The regions: ``atlas.nii.gz``, and ``atlas.tsv`` as a BIDS table.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    masks : mapping of str to ndarray of bool
        Masks by name, which becomes the name of the file.
    """
    _write_image(folder / "atlas.nii.gz", regions.labels, affine)
    rows = [
        f"{label}\t{name}\t{_colour(label, len(regions.names))}"
        for label, name in enumerate(regions.names, 1)
    ]
    text = "\n".join(["index\tname\tcolor", *rows]) + "\n"
    write_file(str(folder / "atlas.tsv"), text.encode(), overwrite=True)
    for name, mask in masks.items():
        _write_image(folder / f"{name}.nii.gz", mask.astype(np.uint8), affine)


def _colour(label: int, n_labels: int) -> str:
    red, green, blue = colorsys.hsv_to_rgb((label * 0.618) % 1, 0.45, 0.6 + 0.3 * label / n_labels)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _write_image(path: Path, values: Array, affine: FloatArray) -> None:
    output = plan_output(
        str(path), header=None, affine=affine, shape=values.shape, dtype=values.dtype
    )
    with ImageWriter(output) as writer:
        writer.write(values)
        writer.commit()
