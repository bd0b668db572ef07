"""One signal per label of a labels image."""

import copy
import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray, PathLike, override
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError, RegionError
from lazyvox.extraction.lut import Lut, names_of_labels
from lazyvox.extraction.reduction import STRATEGIES, Regions, Strategy
from lazyvox.extraction.rows import FileRows, MemoryRows, RowsPlan
from lazyvox.extraction.signals import Placement, Signals
from lazyvox.extraction.tables import TableSpec, check_target
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import Grid
from lazyvox.store.opening import absolute_path
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.masks import (
    RegionImage,
    is_integral,
    read_region_image,
    regrid,
    shown_values,
)

__all__ = ["Labels"]

#: Labels are compared as 64-bit integers; float64 holds every integer up to here.
_LARGEST_LABEL = 2**53


class Labels(Consumer[Signals]):
    """One signal per region of a labels image.

    The result is a `Signals` of shape (n_volumes, n_regions). Columns ascend by label, the
    background is left out.

    Parameters
    ----------
    labels_img : image or path
        A 3D image of integers, of whatever type, on the grid of the series. Negative labels are
        labels.
    strategy : str, default="mean"
        One of "mean", "sum", "median", "minimum", "maximum", "standard_deviation", "variance";
        the last two divide by the number of voxels.
    lut : path, table, dict or list, optional
        Names of the regions: a BIDS ``dseg.tsv``, an FSL atlas ``.xml``, a FreeSurfer colour
        table, a pandas.DataFrame with columns "index" and "name", a dict of names by label, or
        names in the order of the labels. Without it, and where it has no name, a region is
        called by its label.
    dtype : dtype-like, optional
        float64, the default, or float32. Computed in float64 in any case.
    out : path-like, optional
        File that is written while the series is read: ``.npy``, ``.tsv``, ``.csv`` or
        ``.parquet``.
    overwrite : bool, default=False
        Whether an existing file may be replaced.
    resample : bool, default=False
        Whether labels on another grid are brought to that of the series, by nearest neighbour.
        Labels that vanish by that have no column; a warning names them.
    background_label : int, default=0
        The label that is no region.

    Raises
    ------
    RegionError
        When the scan is planned or run: the image holds no label, or fractions, or NaN, or is
        not 3D; or the table cannot be used.
    GridMismatchError
        Likewise: the image is on another grid, and `resample` is false.

    Notes
    -----
    A NaN voxel makes the value of its region NaN, in that volume, as NumPy's reductions do.
    Results do not depend on the size of blocks. Memory: the result, and 40 bytes per labelled
    voxel, however large the labels are.

    Examples
    --------
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> regions = scan.add(lv.Labels("atlas.nii.gz", lut="atlas.tsv"))
    >>> spread = scan.add(lv.Labels("atlas.nii.gz", strategy="standard_deviation"))
    >>> scan.run()
    >>> regions.result().names[2], spread.result().names[2], spread.result().shape
    ('LeftBack', '3', (40, 8))
    """

    def __init__(
        self,
        labels_img: ImageLike | RegionImage,
        *,
        strategy: str = "mean",
        lut: Lut | None = None,
        dtype: npt.DTypeLike | None = None,
        out: PathLike | None = None,
        overwrite: bool = False,
        resample: bool = False,
        background_label: int = 0,
    ) -> None:
        self._labels_img = labels_img
        self._strategy = _checked_strategy(strategy)
        self._lut = lut
        self._dtype = np.dtype(np.float64 if dtype is None else dtype)
        if self._dtype not in {np.dtype(np.float64), np.dtype(np.float32)}:
            msg = f"`dtype` must be float64 or float32. Got {self._dtype}."
            raise ParameterError(msg)
        self._out = None if out is None else absolute_path(out)
        self._overwrite = overwrite
        self._resample = resample
        self._background = _checked_background(background_label)
        self._grid: Grid | None = None
        self._rows: MemoryRows | FileRows | None = None

    @property
    def imgs(self) -> list[Any]:
        """The labels image, as it was given."""
        return [self._labels_img]

    def writing_to(self, out: PathLike, *, overwrite: bool = False) -> Self:
        """Return the same consumer with another output.

        Parameters
        ----------
        out : path-like
            The file.
        overwrite : bool, default=False
            Whether an existing file may be replaced.

        Returns
        -------
        Labels
            A new consumer.
        """
        other = copy.copy(self)
        other._out, other._overwrite = absolute_path(out), overwrite
        other._grid, other._rows = None, None
        return other

    @override
    def check(self, grid: Grid) -> None:
        if grid.dtype.kind == "c":
            msg = f"Labels needs real voxels. Got {grid.dtype}."
            raise ParameterTypeError(msg)
        if self._grid is not grid:
            self._atlas = _read_atlas(
                self._labels_img, grid, background=self._background, resample=self._resample
            )
            self._names = names_of_labels(
                self._atlas.all_labels, self._lut, background=self._background
            )
            self._grid = grid
        self._plan(grid)

    @override
    def init(self, grid: Grid) -> None:
        self.check(grid)
        self._regions = Regions(self._atlas.starts, len(self._atlas.index), grid.dtype)
        self._rows = self._plan(grid).open()

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        volumes = block.reshape(-1, n_volumes, order="F").T
        part = self._table.part(start, n_volumes)
        gathered = self._regions.gathered
        for volume, row in zip(volumes, part, strict=True):
            np.take(volume, self._atlas.index, out=gathered, mode="clip")
            row[:] = self._regions.reduce(self._strategy)
        self._table.add(part, start)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        assert self._grid is not None
        n_i, n_j, n_k = self._grid.shape
        values, first = slab.reshape(-1, order="F"), n_i * n_j * k
        index = self._atlas.index
        here = np.flatnonzero((index >= first) & (index < first + len(values)))
        self._regions.gathered[here] = values[index[here] - first]
        if k + slab.shape[2] == n_k:
            part = self._table.part(volume, 1)
            part[0] = self._regions.reduce(self._strategy)
            self._table.add(part, volume)

    @override
    def merge(self, other: Self) -> None:
        self._table.merge(other._table)

    @override
    def finalize(self) -> Signals:
        assert self._grid is not None
        values = self._table.finish()
        self._rows = None
        atlas = self._atlas
        names = [self._names[label] for label in atlas.labels]
        placement = Placement(atlas.index, atlas.columns)
        return Signals(
            values, grid=self._grid, placement=placement, names=names, labels=atlas.labels
        )

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        n_voxels = len(self._atlas.index)
        # The index, the columns of the placement, and the buffers of one volume.
        held = n_voxels * (16 + Regions.bytes_per_voxel(grid.dtype))
        if isinstance(self._labels_img, RegionImage):
            held += self._labels_img.values.nbytes
        return held + self._plan(grid).state_bytes

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        self.check(grid)
        # A slab looks its voxels up with two masks and an index.
        return len(self._atlas.index) * 26 + self._plan(grid).work_bytes(block_volumes)

    @property
    @override
    def publishes(self) -> bool:
        return self._out is not None

    @override
    def abort(self) -> None:
        if self._rows is not None:
            self._rows.abort()
        self._rows = None

    @override
    def describe(self) -> str:
        return f"Labels, {self._strategy}"

    @property
    def _table(self) -> MemoryRows | FileRows:
        assert self._rows is not None
        return self._rows

    def _plan(self, grid: Grid) -> RowsPlan:
        labels = self._atlas.labels
        spec = TableSpec(
            (grid.n_volumes, len(labels)), self._dtype, lambda: [self._names[n] for n in labels]
        )
        if self._out is None:
            return RowsPlan(spec)
        check_target(self._out, self._dtype, overwrite=self._overwrite)
        return RowsPlan(spec, self._out, self._overwrite)


@dataclass(frozen=True, slots=True, eq=False)
class _Atlas:
    """Labelled voxels, sorted by label and then by their place in the file.

    `index` numbers the voxels in Fortran order, region r starts at ``starts[r]`` of it.
    `all_labels` are those of the image, `labels` those that are on the grid.
    """

    index: IntArray
    starts: IntArray
    labels: tuple[int, ...]
    all_labels: tuple[int, ...]

    @property
    def columns(self) -> IntArray:
        """The region of each voxel."""
        sizes = np.diff(self.starts, append=len(self.index))
        return np.repeat(np.arange(len(self.starts)), sizes)


def _read_atlas(
    labels_img: ImageLike | RegionImage, grid: Grid, *, background: int, resample: bool
) -> _Atlas:
    region = read_region_image(labels_img, "labels_img")
    values = _as_labels(region)
    all_labels = np.unique(values[values != background])
    if not len(all_labels):
        msg = (
            f"{region.name}: there must be at least one label besides the background "
            f"{background}. Got none."
        )
        raise RegionError(msg)
    placed = regrid(region, values, grid, resample=resample, fill=background)
    flat = placed.reshape(-1, order="F")
    voxels = np.flatnonzero(flat != background)
    order = np.argsort(flat[voxels], kind="stable")
    index = voxels[order]
    labels, starts = np.unique(flat[index], return_index=True)
    lost = np.setdiff1d(all_labels, labels)
    if len(lost):
        msg = (
            f"{region.name}: {len(lost)} of {len(all_labels)} labels have no voxel on the grid of "
            f"the images, and no column: {shown_values(lost)}."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
    return _Atlas(index, starts, tuple(labels.tolist()), tuple(all_labels.tolist()))


def _as_labels(region: RegionImage) -> Array:
    """Return the labels as 64-bit integers."""
    values = region.values
    if not is_integral(values):
        fractions = values[values != np.rint(values)]
        msg = (
            f"{region.name}: labels must be integers. Got {shown_values(fractions)} at "
            f"{fractions.size} voxels. It looks like probabilities, or like labels that were "
            f"interpolated: resample labels by nearest neighbour."
        )
        raise RegionError(msg)
    largest: Any = max(abs(values.min().item()), abs(values.max().item()))
    if largest > _LARGEST_LABEL:
        msg = f"{region.name}: labels must be within 2**53. Got {largest:g}."
        raise RegionError(msg)
    return values.astype(np.int64)


def _checked_strategy(strategy: str) -> Strategy:
    for known in STRATEGIES:
        if strategy == known:
            return known
    msg = f"`strategy` must be one of {', '.join(STRATEGIES)}. Got {strategy!r}."
    raise ParameterError(msg)


def _checked_background(background: object) -> int:
    if isinstance(background, int | np.integer):
        return int(background)
    msg = f"`background_label` must be an integer. Got {background!r}."
    raise ParameterTypeError(msg)
