"""One signal per map of a 4D image of weights, by least squares."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, PathLike, override
from lazyvox.errors import LazyvoxWarning, RegionError
from lazyvox.extraction.columns import Placement
from lazyvox.extraction.linear_maps import LinearMaps, solve_maps
from lazyvox.extraction.lut import Lut, names_of_labels, read_lut
from lazyvox.extraction.map_images import MapsImage, MapVoxels, open_maps, read_maps
from lazyvox.extraction.region_table import RegionTable, TableOptions
from lazyvox.runtime.budget import resolve_budget
from lazyvox.stream.gather import VoxelGather, zero_non_finite
from lazyvox.stream.masks import read_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lazyvox.extraction.signals import Signals
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.opened_image import OpenedImage
    from lazyvox.lazyimage.series import Grid
    from lazyvox.stream.masks import MaskLike

__all__ = ["Maps"]

#: Volumes are multiplied with the maps in batches of about this size, so that the maps are read
#: from memory a few dozen times only.
_BATCH_BYTES = 8 << 20
_MOST_VOLUMES = 64


class Maps(RegionTable):
    """One signal per map: the weights that explain each volume best as a sum of the maps.

    The result is a `Signals` of shape (n_volumes, n_maps), its columns in the order of the maps.

    Parameters
    ----------
    maps_img : image or path
        A 4D image of weights, a volume for each map, on the grid of the series.
    names : sequence, dict, path or table, optional
        A name for each map, in their order; or a table as `lazyvox.Labels` takes it, which counts
        the maps from 0 or from 1. By default their numbers from 0.
    mask_img : image or path, optional
        A mask: voxels outside of it are left out. Maps that vanish by that have no column; a
        warning names them.
    keep_masked_maps : bool, default=False
        Whether maps that vanish keep a column, of zeros.
    dtype : dtype-like, optional
        float64, the default, or float32. Computed in float64 in any case.
    out : path-like, optional
        File that is written while the series is read: ``.npy``, ``.tsv``, ``.csv`` or
        ``.parquet``.
    overwrite : bool, default=False
        Whether an existing file may be replaced.
    resample : bool, default=False
        Whether maps on another grid are brought to that of the series by linear interpolation,
        and a mask by nearest neighbour.
    allow_overlap : bool, default=True
        Whether two maps may be positive at one voxel.
    ensure_finite : bool, default=False
        Whether NaN and infinite voxels count as zero, in the maps too. By default maps must be
        finite, and such voxels of the series make all values of that volume NaN.

    Raises
    ------
    RegionError
        When the scan is planned or run: the image is not 4D, holds no weight, or weights that are
        not finite; maps overlap and may not; or the table cannot be used.
    GridMismatchError
        Likewise: the maps or the mask are on another grid, and `resample` is false.

    Notes
    -----
    Where maps depend on each other, as two that are the same, many signals explain the volumes
    equally well: the smallest are returned, and a warning says so. Memory: the result, 8 bytes
    for each map at each voxel where any map is not zero, and a batch of volumes.

    Examples
    --------
    >>> import nibabel
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> halves = [lv.load(name).get_fdata() for name in ("left.nii.gz", "right.nii.gz")]
    >>> maps = nibabel.Nifti1Image(np.stack(halves, axis=-1), lv.load("run.nii.gz").affine)
    >>> networks = scan.add(lv.Maps(maps, names=["left", "right"]))
    >>> scan.run()
    >>> networks.result().names, networks.result().shape
    (('left', 'right'), (40, 2))
    """

    def __init__(  # noqa: PLR0913
        self,
        maps_img: ImageLike | OpenedImage,
        *,
        names: Lut | None = None,
        mask_img: MaskLike | None = None,
        keep_masked_maps: bool = False,
        dtype: npt.DTypeLike | None = None,
        out: PathLike | None = None,
        overwrite: bool = False,
        resample: bool = False,
        allow_overlap: bool = True,
        ensure_finite: bool = False,
    ) -> None:
        super().__init__(TableOptions(dtype, out, overwrite, ensure_finite))
        self._maps_img = maps_img
        self._lut = names
        self._mask_img = mask_img
        self._keep = keep_masked_maps
        self._resample = resample
        self._allow_overlap = allow_overlap
        self._gather: VoxelGather
        self._maps: LinearMaps
        self._numbers: list[int] = []
        self._batch: Array | None = None

    @property
    @override
    def imgs(self) -> list[Any]:
        """The image of the maps, as it was given."""
        return [self._maps_img]

    @override
    def init(self, grid: Grid) -> None:
        super().init(grid)
        self._batch = np.empty((self._batch_volumes(grid), self._gather.n_voxels), grid.dtype)
        self._pending = range(0)

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        volumes = block.reshape(-1, n_volumes, order="F").T
        for number, volume in enumerate(volumes, start):
            self._gather.take(volume, self._row(number))
            self._arrived(number)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        assert self._grid is not None, "bug in lazyvox: update before init"
        self._gather.take_slab(slab, k, self._row(volume))
        if k + slab.shape[2] == self._grid.shape[2]:
            self._arrived(volume)

    @override
    def merge(self, other: Maps) -> None:
        self._flush()
        other._flush()
        super().merge(other)

    @override
    def part_step(self, grid: Grid) -> int:
        self.check(grid)
        # Products of a batch are computed together: other batches would round otherwise.
        return super().part_step(grid) * self._batch_volumes(grid)

    @override
    def state(self) -> Any:
        self._flush()
        return super().state()

    @override
    def finalize(self) -> Signals:
        self._flush()
        self._batch = None
        return super().finalize()

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        batch = self._batch_volumes(grid) * self._gather.n_voxels * grid.dtype.itemsize
        held = self._maps.nbytes + self._gather.nbytes
        solving = max(self._maps.solve_bytes, self._read_bytes)
        return held + max(batch + self._rows_plan.state_bytes, solving)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        self.check(grid)
        n_volumes = self._batch_volumes(grid)
        masks = n_volumes * self._gather.n_voxels * 2 if self._ensure_finite else 0
        row_bytes = self._rows_plan.work_bytes(n_volumes)
        return masks + self._maps.work_bytes(n_volumes) + row_bytes

    @override
    def describe(self) -> str:
        return "Maps"

    @override
    def _prepare(self, grid: Grid) -> None:
        maps = open_maps(self._maps_img, "maps_img")
        mask = None
        if self._mask_img is not None:
            mask = read_mask(self._mask_img, grid, name="mask_img", resample=self._resample)
        if self._resample:
            maps = maps.on_grid(grid)
        maps.check_grid(grid)
        found = read_maps(
            maps, mask, ensure_finite=self._ensure_finite, budget=resolve_budget(None)
        )
        self._check_maps(maps, found)
        kept = self._keep or mask is None
        self._numbers = list(range(maps.n_maps)) if kept else found.numbers.tolist()
        self._gather, self._read_bytes = VoxelGather(found.index), found.read_bytes
        columns = np.searchsorted(self._numbers, found.numbers)
        self._maps = solve_maps(found.weights, columns, len(self._numbers))
        self._names = _map_names(self._lut, maps.n_maps)
        if self._maps.is_dependent:
            msg = (
                f"{maps.name}: maps should not depend on each other. {len(found.numbers)} of them "
                f"span {len(self._maps.basis)} dimensions: of all signals that explain the images "
                f"equally well the smallest are returned."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=2)

    def _check_maps(self, maps: MapsImage, found: MapVoxels) -> None:
        if not len(found.numbers):
            where = "" if self._mask_img is None else " inside of `mask_img`"
            msg = f"{maps.name}: a map must hold a weight{where}. Got zeros only."
            raise RegionError(msg)
        if found.overlap is not None and not self._allow_overlap:
            msg = (
                f"{maps.name}: maps must not overlap. Maps {found.overlap[0]} and "
                f"{found.overlap[1]} are both positive at a voxel. Pass allow_overlap=True, or "
                f"maps that do not overlap; resampling may be the cause."
            )
            raise RegionError(msg)
        lost = sorted(set(range(maps.n_maps)) - set(found.numbers.tolist()))
        if lost:
            where = "" if self._mask_img is None else " inside of the mask"
            dropped = self._mask_img is not None and not self._keep
            outcome = "They have no column" if dropped else "Their columns hold zeros"
            msg = (
                f"{maps.name}: {len(lost)} of {maps.n_maps} maps hold no weight{where}: "
                f"{', '.join(map(str, lost[:6]))}{', ...' * (len(lost) > 6)}. {outcome}."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=3)

    @override
    def _column_names(self) -> Sequence[str]:
        return [self._names[number] for number in self._numbers]

    @override
    def _labels(self) -> Sequence[int]:
        return self._numbers

    @override
    def _placement(self) -> Placement:
        return Placement(self._gather.index, maps=self._maps)

    def _batch_volumes(self, grid: Grid) -> int:
        """Return how many volumes are multiplied at a time, whatever the size of blocks."""
        row_bytes = max(self._gather.n_voxels * grid.dtype.itemsize, 1)
        return max(min(_BATCH_BYTES // row_bytes, _MOST_VOLUMES, grid.n_volumes), 1)

    def _row(self, volume: int) -> Array:
        """Return where the voxels of a volume go: batches begin at the same volumes always."""
        assert self._batch is not None, "bug in lazyvox: update before init"
        row: Array = self._batch[volume % len(self._batch)]
        return row

    def _arrived(self, volume: int) -> None:
        assert self._batch is not None, "bug in lazyvox: update before init"
        assert self._grid is not None, "bug in lazyvox: update before init"
        first = self._pending.start if self._pending else volume
        self._pending = range(first, volume + 1)
        is_full = (volume + 1) % len(self._batch) == 0
        if is_full or volume + 1 == self._grid.n_volumes:
            self._flush()

    def _flush(self) -> None:
        """Turn the volumes that wait into rows."""
        if self._batch is None or not self._pending:
            return
        first, n_volumes = self._pending.start, len(self._pending)
        row = first % len(self._batch)
        values = self._batch[row : row + n_volumes]
        if self._ensure_finite:
            zero_non_finite(values)
        part = self._table.part(first, n_volumes)
        part[...] = self._maps.project(values)
        self._table.add(part, first)
        self._pending = range(0)


def _map_names(lut: Lut | None, n_maps: int) -> Mapping[int, str]:
    """Return a name for each map; tables may count them from 0 or from 1."""
    if lut is None or isinstance(lut, list | tuple | np.ndarray):
        return names_of_labels(range(n_maps), lut, background=-1)
    known = read_lut(lut)
    first = 0 if 0 in known and n_maps not in known else 1
    names = names_of_labels(range(first, first + n_maps), known)
    return {label - first: name for label, name in names.items()}
