"""`stats`: a table of statistics of the voxels of images, of masks and of labelled regions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.labels import read_atlas
from lazyvox.extraction.lut import Lut, names_of_labels
from lazyvox.geometry.affines import voxel_volume
from lazyvox.planning.arguments import checked_integer
from lazyvox.runtime.logs import log_info
from lazyvox.stream.masks import RegionImage, as_mask, read_region_image, regrid
from lazyvox.stream.scan import Scan
from lazyvox.summary.regions import RegionNumbers, RegionStatistics, Selection
from lazyvox.summary.spooled_voxels import Voxels
from lazyvox.summary.table import SummaryTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox._typing import FloatArray
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid
    from lazyvox.planning.plan import Plan
    from lazyvox.runtime.progress import ProgressLike
    from lazyvox.stream.consumer import Handle

__all__ = ["PreparedStatistics", "StatsOptions", "prepare_stats", "stats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions:
    """Options of `stats`, which describes them.

    Attributes
    ----------
    mask_img, labels_img, lut, per_volume, percentiles, above, below, nonzero, ddof, resample
        As of `stats`.
    """

    mask_img: ImageLike | None = None
    labels_img: ImageLike | None = None
    lut: Lut | None = None
    per_volume: bool = False
    percentiles: Sequence[float] = (2, 98)
    above: float | None = None
    below: float | None = None
    nonzero: bool = False
    ddof: int = 1
    resample: bool = False


@dataclass(frozen=True, slots=True)
class _Regions:
    """A mask, a labels image, or both, read once for all images."""

    mask: RegionImage | None
    labels: RegionImage | None
    lut: Lut | None
    resample: bool

    @classmethod
    def read(cls, options: StatsOptions) -> Self:
        """Return the regions that options name."""
        mask, labels = options.mask_img, options.labels_img
        return cls(
            None if mask is None else read_region_image(mask, "mask_img"),
            None if labels is None else read_region_image(labels, "labels_img"),
            options.lut,
            options.resample,
        )

    def on(self, grid: Grid) -> tuple[Voxels, list[tuple[int, str]]]:
        """Return the voxels on a grid, and label and name of each region; none without labels."""
        inside = None
        if self.mask is not None:
            inside = regrid(self.mask, as_mask(self.mask), grid, resample=self.resample)
        if self.labels is None:
            if inside is None:
                return Voxels(), []
            return Voxels(np.flatnonzero(inside.reshape(-1, order="F"))), []
        atlas = read_atlas(
            self.labels, grid, inside, background=0, resample=self.resample, keep=False
        )
        names = names_of_labels(atlas.all_labels, self.lut)
        voxels = Voxels(atlas.layout.index, atlas.layout.starts)
        return voxels, [(label, names[label]) for label in atlas.labels]


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """One image: its pass, and what its rows say besides numbers."""

    name: str
    scan: Scan
    handle: Handle[list[list[RegionNumbers]]]
    regions: list[tuple[int, str]]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedStatistics:
    """Statistics of images whose passes are not begun. Made by `prepare_stats`.

    Attributes
    ----------
    images : tuple
        The images, in their order.
    percentiles : tuple of float
        Those that are asked for.
    per_volume : bool
        Whether each volume has its own rows.
    ddof : int
        Sums of squares are divided by the number of values minus this.
    """

    images: tuple[_Image, ...]
    percentiles: tuple[float, ...]
    per_volume: bool
    ddof: int

    def plan(self, memory: int | str | None = None, n_jobs: int = 1) -> Plan:
        """Return the plan of all passes: that of the largest, with the bytes of all.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``.
        n_jobs : int, default=1
            Threads.

        Returns
        -------
        Plan
            Images are read one after the other.
        """
        plans = [one.scan.plan(memory, n_jobs) for one in self.images]
        largest = max(plans, key=lambda one: one.peak_bytes)
        if len(plans) == 1:
            return largest
        return replace(
            largest,
            source=f"{largest.source} and {len(plans) - 1} more",
            passes=max(one.passes for one in plans),
            bytes_read=sum(one.bytes_read for one in plans),
            bytes_decoded=sum(one.bytes_decoded for one in plans),
            scratch_bytes=max(one.scratch_bytes for one in plans),
        )

    def run(
        self, memory: int | str | None = None, n_jobs: int = 1, progress: ProgressLike = None
    ) -> SummaryTable:
        """Read the images, and return the table.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``.
        n_jobs : int, default=1
            Threads.
        progress : bool or callable, optional
            True shows a bar on stderr for each image.

        Returns
        -------
        SummaryTable
            See `stats`.
        """
        columns: dict[str, list[Any]] = {}
        for one in self.images:
            one.scan.run(memory, n_jobs, progress)
            affine = one.scan.grid.affine
            for volume, numbers in enumerate(one.handle.result()):
                for region, found in enumerate(numbers):
                    head: dict[str, Any] = {"image": one.name}
                    if self.per_volume:
                        head["volume"] = volume
                    if one.regions:
                        head["label"], head["region"] = one.regions[region]
                    for name, cell in (head | self._cells(found, affine)).items():
                        columns.setdefault(name, []).append(cell)
        n_bad = sum(columns["non_finite"])
        remarks = (f"{n_bad} values that are not finite were left out",) if n_bad else ()
        for remark in remarks:
            log_info("%s", remark)
        return SummaryTable(columns, remarks)

    def _cells(self, found: RegionNumbers, affine: FloatArray) -> dict[str, Any]:
        n, nan = found.count, math.nan
        degrees = n - self.ddof
        centre = np.full(3, nan)
        if found.weights[3]:
            ijk = found.weights[:3] / found.weights[3]
            centre = affine[:3, :3] @ ijk + affine[:3, 3]
        return {
            "voxels": n,
            "mm3": n * voxel_volume(affine),
            "non_finite": found.n_bad,
            "mean": found.mean if n else nan,
            "sd": math.sqrt(found.squares / degrees) if degrees > 0 else nan,
            "min": float(found.low) if n else nan,
            "max": float(found.high) if n else nan,
            "robust_min": float(found.robust[0]),
            "robust_max": float(found.robust[1]),
            **{
                f"p{asked:g}": value
                for asked, value in zip(self.percentiles, found.percentiles, strict=True)
            },
            **dict(zip("xyz", centre.tolist(), strict=True)),
        }


def prepare_stats(
    imgs: ImageLike | Sequence[ImageLike], options: StatsOptions
) -> PreparedStatistics:
    """Return the statistics of images, not begun; reads headers, the mask and the labels.

    Parameters
    ----------
    imgs : image, path, or list of them
        See `stats`.
    options : StatsOptions
        Which statistics, of which voxels.

    Returns
    -------
    PreparedStatistics
        With a plan, and the work.

    Raises
    ------
    ParameterError
        If a number is outside of what is possible.
    """
    percentiles = _checked_percentiles(options.percentiles)
    checked_integer(options.ddof, "ddof")
    if options.lut is not None and options.labels_img is None:
        msg = "`lut` names the regions of `labels_img`, which is missing."
        raise ParameterError(msg)
    regions = _Regions.read(options)
    selection = Selection(options.above, options.below, options.nonzero)
    made: list[_Image] = []
    for img in imgs if isinstance(imgs, list | tuple) else [imgs]:
        scan = Scan(img)
        voxels, names = regions.on(scan.grid)
        consumer = RegionStatistics(voxels, selection, percentiles, per_volume=options.per_volume)
        made.append(_Image(scan.grid.name, scan, scan.add(consumer), names))
    if not made:
        msg = "`imgs` must hold at least one image. Got an empty list."
        raise ParameterError(msg)
    return PreparedStatistics(tuple(made), percentiles, options.per_volume, options.ddof)


def stats(  # noqa: PLR0913 - each is an option of the same table
    imgs: ImageLike | Sequence[ImageLike],
    *,
    mask_img: ImageLike | None = None,
    labels_img: ImageLike | None = None,
    lut: Lut | None = None,
    per_volume: bool = False,
    percentiles: Sequence[float] = (2, 98),
    above: float | None = None,
    below: float | None = None,
    nonzero: bool = False,
    ddof: int = 1,
    resample: bool = False,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> SummaryTable:
    """Return a table of statistics of the voxels of images, as fslstats and 3dBrickStat give them.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image; or several, each with its own rows and on any grid.
    mask_img : image or path, optional
        The voxels to take; by default all of them.
    labels_img : image or path, optional
        Integers that tell regions apart, 0 for the background: a row for each region.
    lut : path, table, dict or list, optional
        Names of the labels, as for `lazyvox.Labels`.
    per_volume : bool, default=False
        Whether each volume has its own row; else the values of all volumes are taken together.
    percentiles : sequence of float, default=(2, 98)
        0 to 100, interpolated linearly.
    above, below : float, optional
        Only values larger than the first, and smaller than the second, count.
    nonzero : bool, default=False
        Whether values that are 0 are left out.
    ddof : int, default=1
        Sums of squares are divided by the number of values minus `ddof`.
    resample : bool, default=False
        Whether mask and labels on another grid are brought to that of an image, by nearest
        neighbour.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    SummaryTable
        Columns ``image``; ``volume`` with `per_volume`; ``label`` and ``region`` with `labels_img`;
        then ``voxels`` (values that count, of all volumes), ``mm3``, ``non_finite`` (values that
        are left out because they are NaN or infinite), ``mean``, ``sd``, ``min``, ``max``,
        ``robust_min``, ``robust_max``, ``p2`` ... for the percentiles, and ``x``, ``y``, ``z``: the
        centre of mass in mm, NaN where the values add up to 0.

    Raises
    ------
    ParameterError
        If a number is outside of what is possible.
    ParameterTypeError
        If voxels are complex.
    RegionError
        If the mask is none, or the labels are none.
    GridMismatchError
        If mask or labels are on another grid, and `resample` is false.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass over each image. For percentiles and the robust range it writes the values to a
    nameless temporary file, in the folder that TMPDIR names (in memory up to 8 MiB; with
    `per_volume` one volume at a time), and looks at them again. Memory: about 12 MiB, the voxels of
    regions, and the block buffers. The guide's page *Definitions* has the formulas.

    Examples
    --------
    >>> import lazyvox as lv
    >>> table = lv.stats("run.nii.gz", labels_img="atlas.nii.gz", lut="atlas.tsv", nonzero=True)
    >>> table.n_rows, str(table["region"][0]), table["mean"].shape
    (8, 'LeftFront', (8,))
    """
    options = StatsOptions(
        mask_img=mask_img,
        labels_img=labels_img,
        lut=lut,
        per_volume=per_volume,
        percentiles=percentiles,
        above=above,
        below=below,
        nonzero=nonzero,
        ddof=ddof,
        resample=resample,
    )
    return prepare_stats(imgs, options).run(memory, n_jobs, progress)


def _checked_percentiles(percentiles: Sequence[float]) -> tuple[float, ...]:
    given: Sequence[object] = percentiles
    if isinstance(given, str) or any(
        isinstance(one, bool) or not isinstance(one, int | float | np.number) for one in given
    ):
        msg = f"`percentiles` must be a list of numbers. Got {percentiles!r}."
        raise ParameterTypeError(msg)
    asked = tuple(float(one) for one in percentiles)
    wrong = [one for one in asked if not 0 <= one <= 100]
    if wrong or len(set(asked)) < len(asked):
        msg = f"`percentiles` must be from 0 to 100, each once. Got {list(asked)}."
        raise ParameterError(msg, value=wrong[0] if wrong else None)
    return asked
