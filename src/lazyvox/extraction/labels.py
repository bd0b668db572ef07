"""One signal per label of a labels image."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, BoolArray, PathLike, override
from lazyvox.errors import LazyvoxWarning, ParameterTypeError, RegionError
from lazyvox.extraction.gathered_regions import GatheredRegions, RegionLayout
from lazyvox.extraction.lut import Lut, names_of_labels
from lazyvox.extraction.region_table import TableOptions
from lazyvox.stream.labels import as_labels, shown_values
from lazyvox.stream.masks import (
    RegionImage,
    read_mask,
    read_region_image,
    regrid,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.series import Grid
    from lazyvox.stream.masks import MaskLike

__all__ = ["Atlas", "Labels", "read_atlas"]


class Labels(GatheredRegions):
    """One signal per region of a labels image.

    The result is a `Signals` of shape (n_volumes, n_regions). Columns ascend by label, the
    background is left out.

    Parameters
    ----------
    labels_img : image or path
        A 3D image of integers, of whatever type, on the grid of the series. Negative labels are
        labels.
    strategy : str or list of str, default="mean"
        Statistics over the voxels of a region: "mean", "sum", "median", "minimum" or "min",
        "maximum" or "max", "standard_deviation" or "std", "variance" or "var" (these two divide
        by the number of voxels), and "eigenvariate", the first principal time course. Of several, also as "mean,std", each has a column:
        those of a region stand side by side, and have names such as "LeftFront_std".
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
    mask_img : image or path, optional
        A mask: voxels outside of it belong to no region. Labels that vanish by that have no
        column; a warning names them.
    keep_masked_labels : bool, default=False
        Whether labels that vanish keep a column, of zeros.
    ensure_finite : bool, default=False
        Whether NaN and infinite voxels count as zero.
    min_coverage : float, optional
        Part of its voxels, from 0 to 1, that must hold signal for a region to have values: its
        columns are NaN below it, and a warning names it. See `Signals.coverage`.

    Raises
    ------
    RegionError
        When the scan is planned or run: the image holds no label, or fractions, or NaN, or is
        not 3D; the mask leaves none; or the table cannot be used.
    GridMismatchError
        Likewise: the image or the mask is on another grid, and `resample` is false.

    Notes
    -----
    A NaN voxel makes the value of its region NaN, in that volume, as NumPy's reductions do,
    unless `ensure_finite` is true.
    The eigenvariate is sqrt(n_volumes) times the first left singular vector of the voxels, the
    mean of each removed: mean 0, variance 1, its product with the mean of the region not negative.
    It equals ``fslmeants --eig``. Runs that are joined are one series for it. A voxel that is not
    finite makes all of it NaN. It needs the voxels of all regions over all volumes: in memory, or
    in a temporary file where they take more than a quarter of the budget.

    Results do not depend on the size of blocks. Memory: the result, and 64 bytes per labelled
    voxel, however large the labels are; with `min_coverage` the result stays in memory until it
    is written.

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

    def __init__(  # noqa: PLR0913
        self,
        labels_img: MaskLike,
        *,
        strategy: str | Sequence[str] = "mean",
        lut: Lut | None = None,
        dtype: npt.DTypeLike | None = None,
        out: PathLike | None = None,
        overwrite: bool = False,
        resample: bool = False,
        background_label: int = 0,
        mask_img: MaskLike | None = None,
        keep_masked_labels: bool = False,
        ensure_finite: bool = False,
        min_coverage: float | None = None,
    ) -> None:
        super().__init__(
            strategy, TableOptions(dtype, out, overwrite, ensure_finite, min_coverage)
        )
        self._labels_img = labels_img
        self._mask_img = mask_img
        self._lut = lut
        self._resample = resample
        self._background = _checked_background(background_label)
        self._keep = keep_masked_labels
        self._atlas: Atlas

    @property
    @override
    def imgs(self) -> list[Any]:
        """The labels image, as it was given."""
        return [self._labels_img]

    def region_atlas(self, grid: Grid) -> LazyImage:
        """Return the labels that signals come from: on the grid of the series, inside of the mask.

        Parameters
        ----------
        grid : Grid
            The grid of the series.

        Returns
        -------
        LazyImage
            A 3D image of 32-bit integers, 64-bit where labels need them, in memory.
        """
        self.check(grid)
        labels = as_labels(np.array([self._background, *self._atlas.labels]), "labels")
        values = np.full(grid.n_voxels, self._background, labels.dtype)
        values[self._layout.index] = labels[1:][self._layout.column_of_voxel]
        return grid.image_of(values.reshape(grid.shape, order="F"))

    @property
    def names_by_label(self) -> dict[int, str]:
        """Names of the regions that have a column; known once the consumer was checked."""
        return {label: self._names[label] for label in self._atlas.labels}

    @override
    def _prepare(self, grid: Grid) -> None:
        mask = None
        if self._mask_img is not None:
            mask = read_mask(self._mask_img, grid, name="mask_img", resample=self._resample)
        self._atlas = read_atlas(
            read_region_image(self._labels_img, "labels_img"),
            grid,
            mask,
            background=self._background,
            resample=self._resample,
            keep=self._keep,
        )
        self._layout = self._atlas.layout
        self._names = names_of_labels(
            self._atlas.all_labels, self._lut, background=self._background
        )

    @override
    def _region_names(self) -> Sequence[str]:
        return [self._names[label] for label in self._atlas.labels]

    @override
    def _region_labels(self) -> Sequence[int]:
        return self._atlas.labels

    @override
    def describe(self) -> str:
        return f"Labels, {', '.join(self._strategies.given)}"


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Labelled voxels, sorted by label and then by their place in the file.

    Attributes
    ----------
    layout : RegionLayout
        The voxels.
    labels : tuple of int
        The labels that have a column.
    all_labels : tuple of int
        Those of the image.
    """

    layout: RegionLayout
    labels: tuple[int, ...]
    all_labels: tuple[int, ...]


def read_atlas(
    region: RegionImage,
    grid: Grid,
    mask: BoolArray | None,
    *,
    background: int,
    resample: bool,
    keep: bool,
) -> Atlas:
    """Return the labelled voxels of an image on a grid.

    Parameters
    ----------
    region : RegionImage
        The labels image.
    grid : Grid
        The grid of the images.
    mask : ndarray of shape (i, j, k), bool, or None
        The voxels to take; all by default.
    background : int
        The label that is no region.
    resample : bool
        Whether labels on another grid are brought to this one.
    keep : bool
        Whether labels that have no voxel there have a column.

    Returns
    -------
    Atlas
        The voxels.

    Raises
    ------
    RegionError
        If the image holds no labels, or none of them is left.
    GridMismatchError
        If it is on another grid, and `resample` is false.
    """
    values = as_labels(region.values, region.name, region.slope)
    if abs(background) >= 2**31:
        values = values.astype(np.int64)
    all_labels = np.unique(values[values != background])
    if not len(all_labels):
        msg = (
            f"{region.name}: there must be at least one label besides the background "
            f"{background}. Got none."
        )
        raise RegionError(msg)
    placed = regrid(region, values, grid, resample=resample, fill=background)
    whole, counts = placed, None
    if mask is not None:
        placed = np.where(mask, placed, background)
    flat = placed.reshape(-1, order="F")
    voxels = np.flatnonzero(flat != background)
    index = voxels[np.argsort(flat[voxels], kind="stable")]
    present, starts = np.unique(flat[index], return_index=True)
    if not keep:
        _warn_of_lost(region, np.setdiff1d(all_labels, present), len(all_labels))
    labels = all_labels if keep else present
    if mask is not None or keep:
        known = np.searchsorted(labels, whole[np.isin(whole, labels)])
        counts = np.bincount(known, minlength=len(labels))
    layout = RegionLayout(index, starts, np.searchsorted(labels, present), counts)
    return Atlas(layout, tuple(labels.tolist()), tuple(all_labels.tolist()))


def _warn_of_lost(region: RegionImage, lost: Array, n_labels: int) -> None:
    """Name the labels that have no voxel on the grid; raise if that is all of them."""
    if len(lost) == n_labels:
        msg = (
            f"{region.name}: `mask_img` must leave a voxel of at least one label. None of "
            f"{n_labels} labels has a voxel inside of it."
        )
        raise RegionError(msg)
    if len(lost):
        msg = (
            f"{region.name}: {len(lost)} of {n_labels} labels have no voxel on the grid of "
            f"the images, inside of the mask if there is one, and no column: {shown_values(lost)}."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)


def _checked_background(background: object) -> int:
    if isinstance(background, int | np.integer):
        return int(background)
    msg = f"`background_label` must be an integer. Got {background!r}."
    raise ParameterTypeError(msg)
