"""One signal per sphere around a seed."""

from __future__ import annotations

import warnings
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray, PathLike, override
from lazyvox.errors import LazyvoxWarning, ParameterError, RegionError
from lazyvox.extraction.columns import Placement
from lazyvox.extraction.gathered_regions import GatheredRegions, RegionLayout
from lazyvox.extraction.region_budget import refuse_beyond
from lazyvox.extraction.region_table import TableOptions
from lazyvox.extraction.seeds import SeedsLike, read_seeds
from lazyvox.geometry.grids import inverted
from lazyvox.geometry.spheres import sphere_voxels
from lazyvox.runtime.budget import resolve_budget
from lazyvox.stream.masks import read_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.lazyimage.series import Grid
    from lazyvox.stream.masks import MaskLike

__all__ = ["Spheres"]

#: Bytes for each voxel of the spheres.
_VOXEL_BYTES = 64


class Spheres(GatheredRegions):
    """One signal per sphere: the mean, or another statistic, of the voxels around a seed.

    The result is a `Signals` of shape (n_volumes, n_seeds), its columns in the order of the seeds.

    Parameters
    ----------
    seeds : array-like of shape (n, 3), pandas.DataFrame, or path
        Centres in mm, in the space of the images. Tables, ``.tsv`` and ``.csv`` files among
        them, have the columns x, y and z, and may have "name" and "radius".
    radius : float, optional
        Radius in mm; a voxel belongs to a sphere if its centre lies within it. By default that
        of the table, or else the one voxel nearest to each seed.
    mask_img : image or path, optional
        A mask: voxels outside of it belong to no sphere.
    allow_overlap : bool, default=False
        Whether spheres may share voxels.
    names : sequence of str, optional
        A name for each seed; by default those of the table, or else their numbers from 0.
    dtype : dtype-like, optional
        float64, the default, or float32. Computed in float64 in any case.
    out : path-like, optional
        File that is written while the series is read: ``.npy``, ``.tsv``, ``.csv`` or
        ``.parquet``.
    overwrite : bool, default=False
        Whether an existing file may be replaced.
    resample : bool, default=False
        Whether a mask on another grid is brought to that of the series, by nearest neighbour.
    ensure_finite : bool, default=False
        Whether NaN and infinite voxels count as zero. By default they make the value of their
        sphere NaN in that volume.
    strategy : str or list of str, default="mean"
        Statistics over the voxels of a sphere; see `Labels`.
    min_coverage : float, optional
        Part of its voxels that must hold signal for a sphere to have values; see `Labels`.

    Raises
    ------
    RegionError
        If a seed is no triple of finite numbers; and, when the scan is planned or run, if a
        sphere has no voxel in the image and the mask, or spheres overlap and may not.
    GridMismatchError
        Likewise: the mask is on another grid, and `resample` is false.

    Notes
    -----
    Besides the voxels within the radius a sphere holds, as in nilearn, the voxel nearest to the
    seed and the first one that has the same whole millimetres as the seed. Memory: the result,
    and 64 bytes per voxel of the spheres.

    Examples
    --------
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> seeds = scan.add(lv.Spheres([(-8, 0, 0), (8, 0, 0)], radius=5, names=["left", "right"]))
    >>> scan.run()
    >>> seeds.result().names, seeds.result().shape
    (('left', 'right'), (40, 2))
    """

    def __init__(  # noqa: PLR0913
        self,
        seeds: SeedsLike,
        radius: float | None = None,
        *,
        mask_img: MaskLike | None = None,
        allow_overlap: bool = False,
        names: Sequence[str] | None = None,
        dtype: npt.DTypeLike | None = None,
        out: PathLike | None = None,
        overwrite: bool = False,
        resample: bool = False,
        ensure_finite: bool = False,
        strategy: str | Sequence[str] = "mean",
        min_coverage: float | None = None,
    ) -> None:
        super().__init__(
            strategy, TableOptions(dtype, out, overwrite, ensure_finite, min_coverage)
        )
        self._seeds = read_seeds(seeds)
        self._radii = _checked_radii(radius, self._seeds.radii, len(self._seeds.xyz))
        self._mask_img = mask_img
        self._allow_overlap = allow_overlap
        self._names = _names(names if names is not None else self._seeds.names, self.n_seeds)
        self._resample = resample
        self._share: Array | None = None

    @property
    def n_seeds(self) -> int:
        """Number of seeds, and of columns."""
        return len(self._seeds.xyz)

    @property
    @override
    def imgs(self) -> list[Any]:
        """No image defines spheres."""
        return []

    @override
    def _prepare(self, grid: Grid) -> None:
        mask = None
        if self._mask_img is not None:
            mask = read_mask(self._mask_img, grid, name="mask_img", resample=self._resample)
        inverted(grid.affine, f"the affine of {grid.voxel_grid.name}, for seeds in mm,")
        voxels: list[IntArray] = []
        budget, n_voxels = resolve_budget(None), 0
        for seed, radius in zip(self._seeds.xyz, self._radii, strict=True):
            voxels.append(sphere_voxels(seed, radius, grid.affine, grid.shape, mask))
            n_voxels += len(voxels[-1])
            at_most = _VOXEL_BYTES * self.n_seeds * grid.n_voxels
            refuse_beyond(budget, _VOXEL_BYTES * n_voxels, at_most, self._parameter)
        self._refuse_empty(voxels, has_mask=mask is not None)
        index = np.concatenate(voxels)
        counts = np.bincount(index, minlength=grid.n_voxels)
        self._share = None
        if counts.max() > 1:
            if not self._allow_overlap:
                self._refuse_overlap(voxels)
            self._share = 1 / counts[index]
        starts = np.cumsum([0, *[len(one) for one in voxels[:-1]]])
        whole = None
        if mask is not None:
            spheres = zip(self._seeds.xyz, self._radii, strict=True)
            sizes = [len(sphere_voxels(*one, grid.affine, grid.shape)) for one in spheres]
            whole = np.array(sizes)
        self._layout = RegionLayout(index, starts, np.arange(self.n_seeds), whole)

    @override
    def _region_names(self) -> Sequence[str]:
        return self._names

    @override
    def _placement(self) -> Placement:
        # A voxel of several spheres shows the mean of their signals.
        return Placement(self._layout.index, self._layout.column_of_voxel, self._share)

    @override
    def describe(self) -> str:
        kinds = (
            "" if self._strategies.given == ("mean",) else f", {', '.join(self._strategies.given)}"
        )
        return f"Spheres around {self.n_seeds} seed{'s' * (self.n_seeds > 1)}{kinds}"

    @property
    def _parameter(self) -> str:
        return f"`{self._seeds.parameter}`"

    def _refuse_empty(self, voxels: Sequence[IntArray], *, has_mask: bool) -> None:
        empty = [number for number, one in enumerate(voxels) if not len(one)]
        if not empty:
            return
        where = "the image and the mask" if has_mask else "the image"
        msg = (
            f"{self._parameter}: every sphere must hold a voxel of {where}. {len(empty)} of "
            f"{self.n_seeds} hold none: {self._shown(empty)}. Coordinates are in mm, in the "
            f"space of the image's affine: check that they are not voxel indices or of another "
            f"template."
        )
        raise RegionError(msg)

    def _refuse_overlap(self, voxels: Sequence[IntArray]) -> None:
        pairs = combinations(range(self.n_seeds), 2)
        one, other = next((a, b) for a, b in pairs if np.intersect1d(voxels[a], voxels[b]).size)
        msg = (
            f"{self._parameter}: spheres must not overlap. Those around {self._shown([one, other])} share "
            f"voxels. Pass a smaller radius, or allow_overlap=True."
        )
        raise RegionError(msg)

    def _shown(self, numbers: Sequence[int]) -> str:
        shown = [
            f"{self._names[number]} at {tuple(self._seeds.xyz[number].tolist())}"
            for number in numbers[:4]
        ]
        return ", ".join(shown) + (", ..." if len(numbers) > 4 else "")


def _checked_radii(
    radius: Any, listed: Sequence[float | None] | None, n_seeds: int
) -> list[float | None]:
    """Return a radius for each seed: the one that was given, else the table's, else None."""
    if radius is None and listed is None:
        return [None] * n_seeds
    given = listed if radius is None else [radius] * n_seeds
    assert given is not None, "bug in lazyvox: no radius"
    for one in given:
        if one is None:
            continue
        is_number = isinstance(one, int | float | np.number) and not isinstance(one, bool)
        if not is_number or not 0 <= one < np.inf:
            msg = f"`radius` must be a length in mm, 0 or more, or None. Got {one!r}."
            raise ParameterError(msg)
    return [None if one is None else float(one) for one in given]


def _names(names: Sequence[str] | None, n_seeds: int) -> tuple[str, ...]:
    if names is not None and len(names) != n_seeds:
        msg = f"`names` must hold one name per seed. Got {len(names)} for {n_seeds} seeds."
        raise RegionError(msg)
    if names is None:
        return tuple(str(number) for number in range(n_seeds))
    shared = {name for name, count in Counter(names).items() if count > 1}
    if shared:
        msg = (
            f"`seeds` should have names that differ. Numbers were added to "
            f"{', '.join(sorted(shared)[:6])}."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return tuple(
        f"{name} {number}" if name in shared else str(name) for number, name in enumerate(names)
    )
