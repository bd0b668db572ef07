"""Voxels of masks, one column each."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, DType, PathLike, override
from lazyvox.errors import ParameterError
from lazyvox.extraction.columns import Placement
from lazyvox.extraction.rows import Rows, RowsPlan
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.tables import (
    TableSpec,
    check_target,
    is_gathered,
    refuse_existing,
    write_gathered,
)
from lazyvox.lazyimage.opened_image import OpenedImage
from lazyvox.store.files.paths import absolute_path, split_target
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.gather import VoxelGather, zero_non_finite
from lazyvox.stream.masks import RegionImage, read_mask

if TYPE_CHECKING:
    from lazyvox.extraction.cleaning import Cleaning
    from lazyvox.lazyimage.series import Grid
    from lazyvox.stream.masks import MaskLike

__all__ = ["Voxels", "region_names", "signals_dtype"]

VoxelSignals: TypeAlias = Signals | list[Signals] | dict[str, Signals]


class Voxels(Consumer[VoxelSignals]):
    """Values of the voxels of one or several masks.

    The result is a `Signals` of shape (n_volumes, n_voxels), or a list or dict of them like the
    masks. Voxels are in the order of NumPy's boolean indexing, values are equal, bit by bit, to
    ``np.asarray(img.dataobj)[mask].T``.

    Parameters
    ----------
    mask_imgs : image or path, or list or dict of them
        3D images of zeros and one other integer, on the grid of the series. They may overlap.
    dtype : dtype-like, optional
        Type of the result; by default that of the series.
    out : path-like, optional
        File that is written while the series is read: ``.npy``, ``.tsv``, ``.csv`` or
        ``.parquet``, or ``.txt`` or ``.1D`` (numbers only). For a list or dict of masks the name
        of each mask (its key, or its file without ending) is inserted before the ending; ``.npz``,
        ``.txt`` and ``.1D`` gather them in one file, written at the end.
    overwrite : bool, default=False
        Whether existing files may be replaced.
    resample : bool, default=False
        Whether masks on another grid are brought to that of the series, by nearest neighbour.
    ensure_finite : bool, default=False
        Whether NaN and infinite voxels count as zero. By default they stay what they are.

    Raises
    ------
    RegionError
        When the scan is planned or run: a mask is empty, or holds labels, probabilities or NaN.
    GridMismatchError
        Likewise: a mask is on another grid, and `resample` is false.

    Notes
    -----
    Memory: the result, unless it is written to a file, and 24 bytes per voxel of the masks.

    Examples
    --------
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> voxels = scan.add(lv.Voxels({"left": "left.nii.gz", "right": "right.nii.gz"}))
    >>> scan.run()
    >>> {name: signals.shape for name, signals in voxels.result().items()}
    {'left': (40, 260), 'right': (40, 260)}
    """

    def __init__(
        self,
        mask_imgs: MaskLike | Sequence[MaskLike] | Mapping[str, MaskLike],
        *,
        dtype: npt.DTypeLike | None = None,
        out: PathLike | None = None,
        overwrite: bool = False,
        resample: bool = False,
        ensure_finite: bool = False,
    ) -> None:
        self._keys: list[Any] | None
        self._keys, self._mask_imgs = _as_list(mask_imgs)
        self._is_single = not isinstance(mask_imgs, Mapping | list | tuple)
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._out = None if out is None else absolute_path(out)
        self._overwrite = overwrite
        self._resample = resample
        self._ensure_finite = ensure_finite
        self._cleaning: Cleaning | None = None
        self._grid: Grid | None = None
        self._gathers: list[VoxelGather] = []
        self._rows: list[Rows] = []
        self._plans: list[RowsPlan] = []
        self._parts: list[Array] = []

    @property
    def imgs(self) -> list[Any]:
        """The masks, as they were given."""
        return list(self._mask_imgs)

    def writing_to(self, out: PathLike, *, overwrite: bool = False) -> Self:
        """Return the same consumer with another output.

        Parameters
        ----------
        out : path-like
            The file or, for several masks, the pattern of the files.
        overwrite : bool, default=False
            Whether existing files may be replaced.

        Returns
        -------
        Voxels
            A new consumer.
        """
        other = copy.copy(self)
        other._out, other._overwrite, other._grid = absolute_path(out), overwrite, None
        other._gathers, other._rows = [], []
        return other

    def cleaned_by(self, cleaning: Cleaning) -> Self:
        """Return the same consumer with signals that are cleaned before they are handed out.

        Parameters
        ----------
        cleaning : Cleaning
            What is done to the signals, for a series of the same length.

        Returns
        -------
        Voxels
            A new consumer.
        """
        other = copy.copy(self)
        other._cleaning, other._grid = cleaning, None
        other._gathers, other._rows = [], []
        return other

    @override
    def check(self, grid: Grid) -> None:
        if self._grid is not grid:
            self._gathers = [
                VoxelGather.of(read_mask(img, grid, name=name, resample=self._resample))
                for img, name in zip(self._mask_imgs, self._parameter_names(), strict=True)
            ]
            self._plans = self._planned(grid)
            self._check_targets()
            self._grid = grid

    @override
    def init(self, grid: Grid) -> None:
        self.check(grid)
        self._check_targets()
        self._rows = []
        for plan in self._plans:
            self._rows.append(plan.open())

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        volumes = block.reshape(-1, n_volumes, order="F").T
        for gather, rows in zip(self._gathers, self._rows, strict=True):
            part = rows.part(start, n_volumes)
            gather.take(volumes, part)
            if self._ensure_finite:
                zero_non_finite(part)
            rows.add(part, start)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        assert self._grid is not None
        if k == 0:
            self._parts = [rows.part(volume, 1) for rows in self._rows]
        for gather, part in zip(self._gathers, self._parts, strict=True):
            gather.take_slab(slab, k, part[0])
        if k + slab.shape[2] == self._grid.shape[2]:
            for rows, part in zip(self._rows, self._parts, strict=True):
                if self._ensure_finite:
                    zero_non_finite(part)
                rows.add(part, volume)
            self._parts = []

    @override
    def merge(self, other: Self) -> None:
        for mine, others in zip(self._rows, other._rows, strict=True):
            mine.merge(others)

    @override
    def finalize(self) -> VoxelSignals:
        assert self._grid is not None
        volumes = None if self._cleaning is None else self._cleaning.volumes
        signals = [
            Signals(
                rows.finish(),
                grid=self._grid,
                placement=Placement(gather.index),
                volumes=volumes,
            )
            for gather, rows in zip(self._gathers, self._rows, strict=True)
        ]
        self._rows = []
        if self._is_gathered and self._out is not None:
            arrays = [one.values for one in signals]
            tables = list(zip(self._set_names(), arrays, strict=True))
            write_gathered(self._out, tables, overwrite=self._overwrite)
        if self._keys is not None:
            return dict(zip(self._keys, signals, strict=True))
        return signals[0] if self._is_single else signals

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        held = sum(gather.nbytes for gather in self._gathers)
        held += sum(one.values.nbytes for one in self._mask_imgs if isinstance(one, RegionImage))
        return held + sum(plan.state_bytes for plan in self._plans)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        self.check(grid)
        source_bytes = 0 if self._result_dtype(grid) == grid.dtype else grid.dtype.itemsize
        cast = max(gather.n_voxels for gather in self._gathers) * source_bytes
        return block_volumes * cast + max(plan.work_bytes(block_volumes) for plan in self._plans)

    @property
    @override
    def publishes(self) -> bool:
        return self._out is not None

    @override
    def abort(self) -> None:
        for rows in self._rows:
            rows.abort()
        self._rows, self._parts = [], []

    @override
    def describe(self) -> str:
        n_masks = len(self._mask_imgs)
        return "Voxels" if n_masks == 1 else f"Voxels of {n_masks} masks"

    @property
    def _is_gathered(self) -> bool:
        return self._out is not None and not self._is_single and is_gathered(self._out)

    @property
    @override
    def steps(self) -> tuple[str, ...]:
        return () if self._cleaning is None else self._cleaning.cleaner.steps

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        self.check(grid)
        return sum(plan.scratch_bytes for plan in self._plans)

    def _result_dtype(self, grid: Grid) -> DType:
        dtype = signals_dtype(grid.dtype, self._dtype)
        return dtype if self._cleaning is None else self._cleaning.table_dtype(dtype)

    def _planned(self, grid: Grid) -> list[RowsPlan]:
        """Return the destination of each result."""
        dtype = self._result_dtype(grid)
        paths: list[str | None] = [None] * len(self._gathers)
        if self._out is not None and self._is_single:
            paths = [self._out]
        elif self._out is not None and not self._is_gathered:
            paths = [*split_target(self._out, self._set_names())]
        return [
            RowsPlan(
                TableSpec(
                    (grid.n_volumes, gather.n_voxels),
                    dtype,
                    partial(Placement(gather.index).voxel_names, grid.shape),
                ),
                path,
                self._overwrite,
                self._cleaning,
            )
            for gather, path in zip(self._gathers, paths, strict=True)
        ]

    def _check_targets(self) -> None:
        """Raise if a table cannot be written."""
        if self._out is not None and self._is_gathered:
            refuse_existing(self._out, overwrite=self._overwrite)
        for plan in self._plans:
            if plan.path is not None:
                check_target(plan.path, plan.spec.dtype, overwrite=self._overwrite)

    def _set_names(self) -> list[str]:
        if self._keys is not None:
            return [str(key) for key in self._keys]
        return region_names(self._mask_imgs)

    def _parameter_names(self) -> list[str]:
        if self._is_single:
            return ["mask_imgs"]
        keys: Iterable[object] = self._keys or range(len(self._mask_imgs))
        return [f"mask_imgs[{key!r}]" for key in keys]


def region_names(imgs: Sequence[Any]) -> list[str]:
    """Return a name for each image: its file without ending, or its place in the list.

    Parameters
    ----------
    imgs : sequence of images, paths, OpenedImages or RegionImages
        The images.

    Returns
    -------
    list of str
        Their names; two may be the same.

    Examples
    --------
    >>> region_names(["atlas/left.nii.gz", "right.mgz"])
    ['left', 'right']
    """
    names = []
    for number, img in enumerate(imgs):
        path: Any = img
        if isinstance(img, RegionImage | OpenedImage):
            path = img.path
        elif hasattr(img, "get_filename"):
            path = img.get_filename()
        is_path = isinstance(path, str | bytes | os.PathLike)
        known = Path(absolute_path(path)).name.split(".")[0] if is_path else ""
        names.append(known or str(number))
    return names


def signals_dtype(stored: DType, wanted: DType | None) -> DType:
    """Return the type of extracted values, or refuse one that would lose more than precision.

    Parameters
    ----------
    stored : numpy.dtype
        Type of the series.
    wanted : numpy.dtype or None
        The type asked for.

    Returns
    -------
    numpy.dtype
        The type.

    Raises
    ------
    ParameterError
        If values might not fit: floats as integers, integers as smaller ones.
    """
    if wanted is None or wanted == stored:
        return stored
    is_float = wanted.kind in "fc" and np.can_cast(stored, wanted, "same_kind")
    if is_float or (wanted.kind in "iu" and np.can_cast(stored, wanted, "safe")):
        return wanted
    msg = (
        f"`dtype` must hold every value of the images, rounded at most. Got {wanted} for {stored} "
        f"voxels. Convert the result instead, where you know its range."
    )
    raise ParameterError(msg)


def _as_list(mask_imgs: Any) -> tuple[list[Any] | None, list[Any]]:
    """Return the keys of a dict of masks, and the masks."""
    keys: list[Any] | None = None
    imgs = [mask_imgs]
    if isinstance(mask_imgs, Mapping):
        keys, imgs = list(mask_imgs), list(mask_imgs.values())
    elif isinstance(mask_imgs, list | tuple):
        imgs = list(mask_imgs)
    if not imgs:
        msg = "`mask_imgs` must hold at least one mask. Got none."
        raise ParameterError(msg)
    return keys, imgs
