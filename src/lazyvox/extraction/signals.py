"""`Signals`: time series, one row per volume and one column per voxel or region."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, DType, FloatArray, IntArray, PathLike, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import MemoryReader
from lazyvox.errors import ParameterError
from lazyvox.extraction.first_rows import html_of_rows, text_of_rows
from lazyvox.extraction.signals_figure import MOST_LINES, Drawing, draw_signals
from lazyvox.extraction.tables import StoredTable, TableSpec, save_table
from lazyvox.lazyimage.describe import set_repetition_time
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.extraction.columns import Placement, RegionSummary
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.series import Grid

__all__ = ["Signals"]

#: Rows and columns that are shown at the prompt, and letters of a name.
_SHOWN_ROWS, _SHOWN_COLUMNS, _LONGEST_NAME = 3, 6, 18


class Signals:
    """Signals of voxels or regions: an array of shape (n_volumes, n_columns), with its labels.

    Made by `lazyvox.extract`, and by the consumers `lazyvox.Voxels`, `lazyvox.Labels`,
    `lazyvox.Maps` and `lazyvox.Spheres`.
    ``np.asarray(signals)`` is the array.

    Parameters
    ----------
    values : ndarray of shape (n_volumes, n_columns), or StoredTable
        The values, or the file that holds them.
    grid : Grid
        The grid that they come from.
    placement : Placement
        The voxels of each column.
    names : sequence of str, optional
        One name per column, for regions.
    labels : sequence of int, optional
        The label of each column, for regions.
    regions : RegionSummary, optional
        The regions that columns belong to.
    volumes : array-like of int, optional
        Number of the volume of each row; by default those of the grid.

    Examples
    --------
    >>> import lazyvox as lv
    >>> signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")
    >>> signals.shape, signals.names[:2], signals.t_r
    ((40, 8), ('LeftFront', 'RightFront'), 2.0)
    >>> signals.to_img().shape
    (12, 14, 10, 40)
    """

    __slots__ = ("_grid", "_labels", "_names", "_placement", "_regions", "_values", "_volumes")

    def __init__(
        self,
        values: Array | StoredTable,
        *,
        grid: Grid,
        placement: Placement,
        names: Sequence[str] | None = None,
        labels: Sequence[int] | None = None,
        regions: RegionSummary | None = None,
        volumes: IntArray | None = None,
    ) -> None:
        self._regions = regions
        self._volumes = grid.volumes if volumes is None else tuple(np.asarray(volumes).tolist())
        self._values = values
        self._grid = grid
        self._placement = placement
        self._names = None if names is None else tuple(names)
        self._labels = None if labels is None else tuple(labels)

    @property
    def values(self) -> Array:
        """The array; where the signals were written to a file, it is read from there."""
        return self._values.load() if isinstance(self._values, StoredTable) else self._values

    @property
    def path(self) -> str | None:
        """The file that the signals were written to, None where they are in memory."""
        return self._values.path if isinstance(self._values, StoredTable) else None

    @property
    def names(self) -> tuple[str, ...] | None:
        """Name of each column: of its region, or None for voxels."""
        return self._names

    @property
    def column_names(self) -> Sequence[str]:
        """Name of each column: of its region, or the indices of its voxel, such as "12_3_40"."""
        if self._names is not None:
            return self._names
        return self._placement.voxel_names(self._grid.shape)

    @property
    def labels(self) -> tuple[int, ...] | None:
        """Label of each column, or None for voxels."""
        return self._labels

    @property
    def coverage(self) -> FloatArray | None:
        """Part of the voxels of each column's region that hold signal; None for voxels and maps.

        Such a voxel is finite in all volumes, not zero in all of them, and inside of the mask
        that regions are confined to. The part is of all voxels of the region on the grid of the
        images.
        """
        if self._regions is None:
            return None
        return np.repeat(self._regions.coverage.fraction, len(self._regions.strategies))

    @property
    def regions(self) -> RegionSummary | None:
        """The regions: names, labels, strategies and coverage; None for voxels and maps."""
        return self._regions

    @property
    def ijk(self) -> IntArray | None:
        """Voxel indices of each column, of shape (n_columns, 3), or None for regions."""
        if not self._placement.is_of_voxels:
            return None
        ijk = np.unravel_index(self._placement.index, self._grid.shape, order="F")
        return np.stack(ijk, axis=1)

    @property
    def xyz(self) -> FloatArray | None:
        """World coordinates in mm of each column, of shape (n_columns, 3), or None for regions."""
        ijk = self.ijk
        if ijk is None:
            return None
        affine = np.asarray(self._grid.affine, np.float64)
        xyz: FloatArray = ijk @ affine[:3, :3].T + affine[:3, 3]
        return xyz

    @property
    def t_r(self) -> float | None:
        """Repetition time in seconds, None where the image does not say."""
        return self._grid.t_r

    @property
    def volumes(self) -> IntArray:
        """Number of the volume of each row, counted from 0 through all images."""
        return np.arange(self.shape[0]) if self._volumes is None else np.array(self._volumes)

    @property
    def times(self) -> FloatArray | None:
        """Seconds from the first volume of the images to that of each row, None without `t_r`."""
        return None if self.t_r is None else self.volumes * float(self.t_r)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of volumes and of columns."""
        n_volumes, n_columns = self._values.shape
        return n_volumes, n_columns

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self._values.dtype

    def to_img(self) -> LazyImage:
        """Return the signals as an image on the grid that they come from.

        Returns
        -------
        LazyImage
            A lazy image of shape (i, j, k, n_volumes): voxels hold their own values, that of
            their region, the mean of their spheres, or the sum of the maps weighted by their
            signals; zero elsewhere.

        Raises
        ------
        ParameterError
            If regions have several columns, for several strategies.

        Notes
        -----
        Memory: nothing until it is read or saved, then the volumes asked for. The signals are not
        copied: edits of `values` are seen where the image is read later.

        Examples
        --------
        >>> import lazyvox as lv
        >>> img = lv.extract("run.nii.gz", "mask.nii.gz").to_img()
        >>> mask = np.asarray(lv.load("mask.nii.gz").dataobj) != 0
        >>> run = lv.load("run.nii.gz")
        >>> bool((img.dataobj[..., 7][mask] == run.dataobj[..., 7][mask]).all())
        True
        """
        if self._regions is not None and len(self._regions.strategies) > 1:
            shown = ", ".join(self._regions.strategies)
            msg = (
                f"`strategy` must be a single one for an image, in which a voxel has one value. "
                f"Got {shown}. Extract one of them."
            )
            raise ParameterError(msg)
        volumes = _Volumes(self)
        name = f"the image of {self._description}"
        placed: Any = LazyArray.over(MemoryReader(volumes, name, volumes.shape, volumes.dtype))
        img = self._grid.image_of(placed)
        set_repetition_time(img.header, self.t_r)
        return img

    def to_dataframe(self) -> Any:
        """Return the signals as a table.

        Returns
        -------
        pandas.DataFrame
            One row per volume; columns are named after regions, or after voxels as "i_j_k". The
            index is called "time (s)", and counts through the volumes that have no row; without
            a repetition time it is the number of the volume, "volume".

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.

        Examples
        --------
        >>> import lazyvox as lv
        >>> signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")
        >>> frame = signals.to_dataframe()
        >>> frame.columns[0], frame.index[:3].tolist()
        ('LeftFront', [0.0, 2.0, 4.0])
        """
        require("pandas", "table", "Tables")
        import pandas as pd

        title, index = self._row_titles()
        return pd.DataFrame(
            self.values, columns=list(self.column_names), index=pd.Index(index, name=title)
        )

    def to_xarray(self) -> Any:
        """Return the signals as a labelled array; copies no value.

        Returns
        -------
        xarray.DataArray
            Of shape (n_volumes, n_columns), with these parts:

            - dims: ``"time"`` and ``"region"``, or ``"voxel"`` for voxels.
            - coords: ``time`` in seconds from the first volume (units ``"s"``), or, without a
              repetition time, the number of the volume (units ``"volume"``); the column names;
              along the columns ``label`` and ``coverage`` where there are any, and ``x``, ``y``
              and ``z`` of voxels in mm.
            - attrs: ``t_r`` in seconds, where it is known.

        Raises
        ------
        MissingDependencyError
            If xarray is not installed.

        Examples
        --------
        >>> import lazyvox as lv
        >>> signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv").to_xarray()
        >>> signals.sel(region="LeftFront", time=slice(0, 6)).shape
        (4,)
        """
        require("xarray", "interop", "Labelled arrays")
        import xarray as xr

        column = "voxel" if self._names is None else "region"
        times, xyz = self.times, self.xyz
        along: dict[str, Any] = {"label": self.labels, "coverage": self.coverage}
        if xyz is not None:
            along.update(zip("xyz", xyz.T, strict=True))
        coords: dict[str, Any] = {
            "time": (
                ("time", self.volumes, {"units": "volume"})
                if times is None
                else ("time", times, {"units": "s"})
            ),
            column: (column, list(self.column_names)),
            **{
                name: (column, np.asarray(one), {"units": "mm"} if name in ("x", "y", "z") else {})
                for name, one in along.items()
                if one is not None
            },
        }
        attributes = {} if self.t_r is None else {"t_r": self.t_r}
        return xr.DataArray(
            self.values, coords, ("time", column), name="signals", attrs=attributes
        )

    def mean(
        self,
        axis: int | None = 0,
        dtype: npt.DTypeLike | None = None,
        out: Any = None,
        *,
        keepdims: bool = False,
    ) -> Any:
        """Return the mean of each column over time.

        Parameters
        ----------
        axis : int or None, default=0
            0 for the mean over time, 1 for that over columns, None for that of all values.
        dtype, out, keepdims
            As for `numpy.mean`.

        Returns
        -------
        ndarray, or number
            The mean.

        Examples
        --------
        >>> import lazyvox as lv
        >>> lv.extract("run.nii.gz", "atlas.nii.gz").mean().shape
        (8,)
        """
        return self.values.mean(axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write the signals to a file, complete or not at all.

        Parameters
        ----------
        path : path-like
            Ends in ``.npy`` (the array), ``.tsv``, ``.csv`` or ``.parquet`` (with the names). In
            text, floats are written so that they read back as the very same numbers, and a name
            that a spreadsheet would take for a formula gets an apostrophe in front.
        overwrite : bool, default=False
            Whether an existing file may be replaced.

        Raises
        ------
        ParameterError
            If the ending is another one.
        OutputExistsError
            If the file exists, and `overwrite` is false.
        OutputError
            If it cannot be written.
        MissingDependencyError
            If pyarrow is needed and not installed.

        Examples
        --------
        >>> import lazyvox as lv
        >>> lv.extract("run.nii.gz", "mask.nii.gz").save("voxels.npy")
        >>> np.load("voxels.npy").shape[0]
        40
        """
        spec = TableSpec(self.shape, self.dtype, lambda: self.column_names)
        save_table(path, self.values, spec, overwrite=overwrite)

    def plot(self, ax: Any = None) -> Any:
        """Draw the signals over time.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            Up to 20 columns are lines one above the other, with their names and a bar that shows
            the scale: percent change from the mean where all means are positive. More are an
            image with one row per column, each scaled to its own mean and standard deviation.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.

        Notes
        -----
        Memory: some ten copies of the signals. Names of a carpet of regions are written as far as
        they have room.
        """
        require("matplotlib", "plot", "Plots")
        kind = "voxels" if self._names is None else "regions"
        # A carpet of voxels has no names.
        is_named = self._names is not None or self.shape[1] <= MOST_LINES
        names = list(self.column_names) if is_named else []
        return draw_signals(Drawing(self.values, names, kind, *self._row_titles()), ax)

    def __getitem__(self, key: Any) -> Array:
        """Return the column of a name, or what an index of the array gives.

        Parameters
        ----------
        key : str, or index
            A name such as "LeftFront" or, for voxels, "12_3_40"; or an index, as of an array.

        Returns
        -------
        ndarray
            Of a name, of shape (n_volumes,).

        Raises
        ------
        ParameterError
            If no column has the name, or several have.

        Examples
        --------
        >>> import lazyvox as lv
        >>> signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")
        >>> signals["LeftFront"].shape, signals[:3, 0].shape
        ((40,), (3,))
        """
        if not isinstance(key, str):
            found: Array = self.values[key]
            return found
        names = list(self.column_names)
        if names.count(key) != 1:
            near = get_close_matches(key, names, n=3)
            hint = f" Near it are {', '.join(map(repr, near))}." if near else ""
            there = f"{names.count(key)} columns are called so" if key in names else "none is"
            msg = f"signals: the name of a column must be that of a single one. Got {key!r}; {there}.{hint}"
            raise ParameterError(msg, value=key)
        return self.values[:, names.index(key)]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: Any = None) -> Array:
        """Return the values for NumPy."""
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        """Return the number of volumes."""
        return self.shape[0]

    @override
    def __repr__(self) -> str:
        """Describe the signals in one line, and show the first values of those in memory."""
        return text_of_rows(self._description, *self._first_values())

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        return html_of_rows(self._description, *self._first_values())

    @property
    def _description(self) -> str:
        kind = "voxels" if self._names is None else "regions"
        where = "" if self.path is None else f" in {printable(self.path)}"
        volumes = "volume" if self.shape[0] == 1 else "volumes"
        return (
            f"<Signals of {self.shape[1]} {kind}, {self.shape[0]} {volumes}, {self.dtype}, "
            f"t_r={self.t_r}{where}>"
        )

    def _first_values(self) -> tuple[list[str], list[list[str]]]:
        """Return the head of the table and its first rows as text; no row of a file is read."""
        if isinstance(self._values, StoredTable) or 0 in self.shape:
            return [], []
        n_columns = min(self.shape[1], _SHOWN_COLUMNS)
        more = ["..."] if self.shape[1] > n_columns else []
        title, index = self._row_titles()
        head = [title, *(_shortened(one) for one in self._first_names(n_columns)), *more]
        rows = [
            [
                f"{index[row]:g}",
                *(f"{value:.6g}" for value in self._values[row, :n_columns]),
                *more,
            ]
            for row in range(min(self.shape[0], _SHOWN_ROWS))
        ]
        return head, rows + (
            [["...", *[""] * (len(head) - 1)]] if self.shape[0] > len(rows) else []
        )

    def _first_names(self, n_columns: int) -> Sequence[str]:
        if self._names is not None:
            return self._names[:n_columns]
        return replace(self._placement, index=self._placement.index[:n_columns]).voxel_names(
            self._grid.shape
        )

    def _row_titles(self) -> tuple[str, Array]:
        """Return the name of the rows, and their times in seconds or numbers of volumes."""
        times = self.times
        return ("volume", self.volumes) if times is None else ("time (s)", times)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


class _Volumes:
    """The columns of signals at their places, sliced like an array of shape (i, j, k, n)."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self.shape = (*signals._grid.shape, signals.shape[0])
        self.dtype = signals.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> Array:
        """Return the volumes asked for, cut as asked."""
        *space, time = key
        placement = self._signals._placement
        rows = np.asarray(self._signals.values[time])
        lines = np.atleast_2d(rows)
        full = np.zeros((len(lines), int(np.prod(self.shape[:3]))), self.dtype)
        placement.fill(full, lines)
        volumes = full.T.reshape(*self.shape[:3], len(lines), order="F")
        return volumes[(*space, 0 if rows.ndim == 1 else slice(None))]
