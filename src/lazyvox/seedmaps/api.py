"""`lazyvox.seed_map`: correlation maps of seeds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.extraction.gathered_regions import GatheredRegions
from lazyvox.extraction.rois import RegionOptions, RoiConsumer, RoiSet, resolve_rois
from lazyvox.extraction.seeds import looks_like_seeds
from lazyvox.glm.sums import N_WAITING
from lazyvox.image.smooth_transform import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.series import Grid, Series, as_series
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.seedmaps.cleaning import SeedCleaning
from lazyvox.seedmaps.consumer import SeedMaps, SeedRelations
from lazyvox.seedmaps.measures import checked_measure
from lazyvox.stream.masks import read_mask
from lazyvox.stream.scan import Scan

if TYPE_CHECKING:
    import numpy.typing as npt

    from lazyvox._typing import BoolArray, IntArray
    from lazyvox.extraction.rois import RoiLike
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.runtime.progress import ProgressLike
    from lazyvox.stream.consumer import Handle

__all__ = ["PreparedSeedMaps", "SeedMapOptions", "prepare_seed_maps", "seed_map"]


def seed_map(  # noqa: PLR0913
    img: ImageLike | Sequence[ImageLike],
    seeds: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    *,
    radius: float | None = None,
    mask_img: ImageLike | None = None,
    confounds: Any = None,
    sample_mask: npt.ArrayLike | None = None,
    runs: npt.ArrayLike | str | None = None,
    censored: str = "drop",
    drift_order: int | None = None,
    high_pass: float | None = None,
    low_pass: float | None = None,
    filter: str = "fourier",  # noqa: A002
    t_r: float | None = None,
    smoothing_fwhm: float | Sequence[float] | str | None = None,
    measure: str = "correlation",
    resample: bool = False,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> Any:
    """Return maps of the relation between every voxel and the signals of seeds, in one pass.

    Parameters
    ----------
    img : image, path, or list of them
        A 4D image; or several runs on one grid, each of which is cleaned by itself. What is left
        of all runs is then related as one series.
    seeds : coordinates, image, path, Spheres or Labels, or list or dict of them
        Coordinates in mm (a triple, a list of triples, an array of shape (n, 3), a table or its
        file) give a seed each, a mask one, a labels image one for each of its regions. The
        signal of a seed is the mean of its voxels, smoothed or not as `img` is.
    radius : float, optional
        Radius of spheres in mm; by default a seed is the voxel nearest to its coordinates.
    mask_img : image or path, optional
        The voxels of the maps, on the grid of `img`; others become 0. By default all voxels.
        Seeds are not confined to it.
    confounds : array-like, pandas.DataFrame, Confounds, path, or list of these, optional
        Signals to remove, a row for each volume. Of several runs, a list has those of each run.
    sample_mask : array-like, optional
        The volumes to keep: their numbers, ascending, or a boolean for every volume; or a list of
        one such mask for each run.
    runs : array-like of shape (n_volumes,) or "joined", optional
        The run of each volume: every run is cleaned by itself. By default each image of a list is
        a run; "joined" cleans all volumes as one series.
    censored : {"drop", "keep"}, default="drop"
        Whether volumes that confounds censor are left out, or kept all the same.
    drift_order : int, optional
        Highest order of the polynomials that are removed: 1 is a linear trend. By default the
        mean only, which is removed always.
    high_pass, low_pass : float, optional
        Cutoffs in Hz. Frequencies at a cutoff are kept.
    filter : {"fourier", "cosine", "butterworth"}, default="fourier"
        How frequencies are removed: by regression on the sines and cosines outside of the band,
        as ``3dTproject`` of AFNI does; by regression on slow cosines (`high_pass` only); or by
        the Butterworth filter of nilearn, for which the run waits in a temporary file.
    t_r : float, optional
        Seconds between volumes; by default those of the header.
    smoothing_fwhm : float, sequence of 3 floats or "fast", optional
        Full width at half maximum, in mm, of the Gaussian that the voxels of the maps are smoothed
        with. The signals of seeds are not smoothed, as in nilearn's example; pass
        ``smooth_img(img, fwhm)`` for `img` where they shall be.
    measure : {"correlation", "fisher-z", "regression", "t"}, default="correlation"
        Correlation; its inverse hyperbolic tangent; the weight of the seed in the regression of
        the voxel on it, in units of the voxel per unit of the seed; or the t statistic of both.
    resample : bool, default=False
        Whether seeds and mask on another grid are brought to that of `img`, by nearest neighbour.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Files of a list that are decoded at a time; of one file, one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage, or dict of LazyImage
        In memory, float64: a 3D image for one seed, a 4D image for several, in their order. For a
        dict of seeds a dict with such an image for each key. A map is 0 at voxels without
        variation, and NaN at voxels that are not finite in a volume that is kept.

    Raises
    ------
    RegionError
        If seeds cannot be used: one has no voxel in the image, or its signal does not vary.
    GridMismatchError
        If seeds or mask are on another grid, and `resample` is false.
    ParameterError
        If an argument is out of range, or cleaning leaves nothing.
    ParameterTypeError
        If an argument is of the wrong type.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget; nothing was read.

    Warns
    -----
    LazyvoxWarning
        If voxels are not finite, or voxels of `mask_img` do not vary: their number.

    Notes
    -----
    The result is that of cleaning seeds and voxels first and relating them afterwards, which
    for regressions needs sums only. Memory: for each voxel of the map 8 bytes for each regressor,
    or for each dimension that is left where these are fewer, and for each seed; and 64 volumes
    of these voxels. Arithmetic is float64. Each seed is related by itself: other seeds are not
    removed.

    The t statistic has as many degrees of freedom as dimensions are left, less one. Those that a
    Butterworth filter takes are not counted.

    References
    ----------
    nilearn's example "Producing single subject maps of seed-to-voxel correlation"; ``3dTproject`` of
    AFNI for trends, confounds and frequencies in one regression.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.seed_map("run.nii.gz", (-8, 0, 0), radius=5, mask_img="mask.nii.gz").shape
    (12, 14, 10)
    >>> sides = {"left": "left.nii.gz", "right": "right.nii.gz"}
    >>> maps = lv.seed_map("run.nii.gz", sides, high_pass=0.02, low_pass=0.1, measure="fisher-z")
    >>> maps["left"].shape
    (12, 14, 10)
    """
    options = SeedMapOptions(radius, mask_img, smoothing_fwhm, measure, resample=resample)
    cleaning = SeedCleaning(
        confounds,
        sample_mask,
        drift_order,
        high_pass,
        low_pass,
        filter,
        t_r,
        runs,
        censored,
    )
    prepared = prepare_seed_maps(as_series(img), seeds, options, cleaning, memory=memory)
    prepared.scan.run(memory=memory, n_jobs=n_jobs, progress=progress)
    maps = prepared.handle.result()
    _warn_of_void(maps, has_mask=mask_img is not None)
    return prepared.assemble(maps)


@dataclass(frozen=True, slots=True, eq=False)
class SeedMapOptions:
    """Options about seeds and maps; see `seed_map`.

    Attributes
    ----------
    radius : float or None
        Radius of spheres in mm.
    mask_img : image, path or None
        The voxels of the maps.
    smoothing_fwhm : float, sequence of 3 floats, "fast" or None
        Width of the Gaussian, in mm.
    measure : str
        What maps hold.
    resample : bool
        Whether seeds and mask may be on another grid.
    n_waiting : int
        Volumes that wait for one product: fewer take less memory, and more time.
    """

    radius: float | None = None
    mask_img: ImageLike | None = None
    smoothing_fwhm: float | Sequence[float] | str | None = None
    measure: str = "correlation"
    resample: bool = False
    n_waiting: int = N_WAITING


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSeedMaps:
    """A scan that is ready to run, and the form of its results.

    Attributes
    ----------
    scan : Scan
        The scan; nothing of the series was read.
    handle : Handle
        The place of its result.
    consumer : SeedRelations
        Its consumer.
    regions : RoiSet
        The seeds, in the form in which they were given.
    """

    scan: Scan
    handle: Handle[SeedMaps]
    consumer: SeedRelations
    regions: RoiSet

    def assemble(self, maps: SeedMaps) -> LazyImage | dict[Any, LazyImage]:
        """Return maps as images, in the form of the seeds."""
        if self.regions.keys is None:
            return maps.image(slice(None))
        images, start = {}, 0
        for key, one in zip(self.regions.keys, self.regions.consumers, strict=True):
            assert isinstance(one, GatheredRegions), "bug in lazyvox: checked with the seeds"
            stop = start + len(one.column_names)
            images[key] = maps.image(slice(start, stop))
            start = stop
        return images


def prepare_seed_maps(
    series: Series,
    seeds: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    options: SeedMapOptions,
    cleaning: SeedCleaning,
    *,
    memory: int | str | None = None,
) -> PreparedSeedMaps:
    """Return the scan that makes seed maps, not yet run.

    Parameters
    ----------
    series : Series
        The images.
    seeds : coordinates, image, path or consumer, or list or dict of them
        See `seed_map`; masks and labels images are read here.
    options : SeedMapOptions
        Options about seeds and maps.
    cleaning : SeedCleaning
        What is removed.
    memory : int or str, optional
        Memory budget.

    Returns
    -------
    PreparedSeedMaps
        Nothing of the series was read.

    Raises
    ------
    RegionError
        If the seeds cannot be used.
    ParameterError
        If an option is out of range, or does not fit the series.
    """
    measure = checked_measure(options.measure)
    grid = series.grid
    smoothing = None
    if options.smoothing_fwhm is not None:
        fwhm = checked_fwhm(options.smoothing_fwhm)
        smoothing = SmoothTransform.of(grid.affine, grid.shape, fwhm, grid.voxel_grid.name)
    regions = _seed_regions(seeds, options)
    budget = resolve_budget(memory)
    with memory_budget(budget):
        mask = None
        if options.mask_img is not None:
            mask = read_mask(options.mask_img, grid, name="mask_img", resample=options.resample)
        needed = None
        if cleaning.is_spooled and mask is not None and smoothing is None:
            needed = _voxels_of(mask, regions, grid)
        cleaned = cleaning.prepare(series, budget, needed)
    series = cleaned.series
    if smoothing is not None:
        # In float32, a smoothed large mean would be rounded by more than what is left of it.
        double = np.dtype(np.float64)
        series = replace(
            series, array=series.array.astype(double), grid=replace(series.grid, dtype=double)
        )
    scan = Scan(series)
    consumer = SeedRelations(
        [one for one in regions.consumers if isinstance(one, GatheredRegions)],
        cleaned.spaces,
        measure,
        mask=mask,
        smoothing=smoothing,
        n_lost=cleaned.n_lost,
        n_waiting=options.n_waiting,
    )
    return PreparedSeedMaps(scan, scan.add(consumer), consumer, regions)


def _seed_regions(seeds: Any, options: SeedMapOptions) -> RoiSet:
    """Return the consumers of seeds, each of which gives means."""
    opened = _opened(seeds)
    given = list(opened.values()) if isinstance(opened, Mapping) else opened
    listed = given if isinstance(given, list) else [given]
    how = RegionOptions()
    if not listed or not all(isinstance(one, RoiConsumer) for one in listed):
        how = RegionOptions(
            "mean", radius=options.radius, resample=options.resample, allow_overlap=True
        )
    elif options.radius is not None:
        msg = "`radius` holds for coordinates. Got lazyvox.Spheres or Labels only: set it there."
        raise ParameterError(msg)
    regions = resolve_rois(opened, how, parameter="seeds")
    for one in regions.consumers:
        if not isinstance(one, GatheredRegions):
            raise _no_mean(one.describe())
        if not one.are_means:
            got = f"{one.describe()}, with another statistic or with min_coverage"
            raise _no_mean(got)
        if one.publishes:
            msg = "`seeds` must not write files themselves. Got a consumer with `out`."
            raise ParameterError(msg)
    return regions


def _opened(seeds: Any) -> Any:
    """Return seeds with their images opened, once, and none of them in 4D."""
    if isinstance(seeds, Mapping):
        return {key: _opened(one) for key, one in seeds.items()}
    if looks_like_seeds(seeds) or isinstance(seeds, RoiConsumer):
        return seeds
    if isinstance(seeds, list | tuple):
        return [_opened(one) for one in seeds]
    img = as_image(seeds)
    if len(img.shape) == 4 and img.shape[3] != 1:
        raise _no_mean("an image of shape " + str(tuple(img.shape)))
    return img


def _voxels_of(mask: BoolArray, regions: RoiSet, grid: Grid) -> IntArray:
    """Return the voxels of a mask and of seeds, in Fortran order, each once."""
    is_needed = mask.reshape(-1, order="F").copy()
    for one in regions.consumers:
        assert isinstance(one, GatheredRegions), "bug in lazyvox: checked with the seeds"
        one.check(grid)
        is_needed[one.voxels] = True
    return np.flatnonzero(is_needed)


def _no_mean(got: str) -> ParameterTypeError:
    msg = f"`seeds` must be coordinates, masks or labels, whose signals are means. Got {got}."
    hint = "Pass a list of masks in place of a 4D image, or lazyvox.Labels."
    return ParameterTypeError(msg, hint=hint, cli_hint="Give each seed as --mask.")


def _warn_of_void(maps: SeedMaps, *, has_mask: bool) -> None:
    if maps.n_not_finite:
        msg = f"{maps.n_not_finite} voxels are not finite in a volume: maps are NaN there."
        warnings.warn(LazyvoxWarning(msg), stacklevel=3)
    if has_mask and maps.n_still:
        msg = f"{maps.n_still} voxels of `mask_img` do not vary over time: maps are 0 there."
        warnings.warn(LazyvoxWarning(msg), stacklevel=3)
