"""`lazyvox.extract`: the signals of regions in one call and one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lazyvox.extraction.cleaning import CleaningOptions
from lazyvox.extraction.rois import RegionOptions, RoiSet, resolve_rois
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.tables import write_gathered
from lazyvox.image.smooth_transform import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.signal.options import check_number, check_seconds
from lazyvox.stream.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from lazyvox._typing import Array, PathLike
    from lazyvox.extraction.lut import Lut
    from lazyvox.extraction.rois import RoiLike
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.runtime.progress import ProgressLike

__all__ = ["Preparation", "build_scan", "extract"]

#: Part of the budget that a table may take which waits to be cleaned and goes to a file.
_HELD_PART = 4


def extract(  # noqa: PLR0913
    imgs: ImageLike | Sequence[ImageLike],
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    *,
    strategy: str | Sequence[str] | None = None,
    lut: Lut | None = None,
    radius: float | None = None,
    mask_img: ImageLike | None = None,
    min_coverage: float | None = None,
    sample_mask: npt.ArrayLike | None = None,
    runs: npt.ArrayLike | str | None = None,
    censored: str = "drop",
    smoothing_fwhm: float | Sequence[float] | str | None = None,
    confounds: Any = None,
    detrend: bool = False,
    standardize: str | None = None,
    standardize_confounds: bool = True,
    filter: str | bool | None = None,  # noqa: A002
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | None = None,
    clean_args: Mapping[str, Any] | None = None,
    dtype: npt.DTypeLike | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
    resample: bool = False,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> Any:
    """Return the signals of masks, atlas regions, maps and spheres; the images are read once.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    rois : image, path, coordinates, Voxels, Labels, Maps or Spheres, or list or dict of them
        A mask (zeros and one other integer) gives the signal of each of its voxels, or one signal
        where there is a `strategy`, a labels
        image (several integers) one signal per region, a 4D image one per map, coordinates in mm
        (an array of shape (n, 3), a list of triples, a table or its file) one per sphere.
        `lazyvox.Voxels`, `Labels`, `Maps` and `Spheres` say the kind themselves. Masks may
        overlap.
    strategy : str or list of str, optional
        How to combine the voxels of each label, sphere or mask: "mean", "sum", "median", "min",
        "max", "std", "var" or "eigenvariate"; see `lazyvox.Labels`. Of several, as in "mean,std", each has a
        column. By default the mean for labels and spheres, and a column per voxel for masks.
    lut : path, table, dict or list, optional
        Names of labels or maps; see `lazyvox.Labels`.
    radius : float, optional
        Radius of spheres in mm; by default a sphere is the one voxel nearest to its seed.
    mask_img : image or path, optional
        A mask that labels, maps and spheres are confined to.
    min_coverage : float, optional
        Part of its voxels, from 0 to 1, that must hold signal for a label, sphere or mask with a
        `strategy` to have values; see `lazyvox.Labels`. `Signals.coverage` has that part in any
        case.
    sample_mask : array-like, optional
        The volumes to keep: their numbers, ascending, or a boolean for every volume; of several
        runs, also a list of one such mask for each.
    runs : array-like of shape (n_volumes,) or "joined", optional
        The run of each volume: every run is cleaned by itself. By default each image of a list is
        a run (3D images together are one); "joined" cleans all volumes as one series.
    censored : {"drop", "keep", "zero", "interpolate"}, default="drop"
        Volumes that confounds or `sample_mask` leave out: they have no row; nothing is left out
        that confounds censor; their rows are zeros; or their rows lie on the line between the
        nearest kept volumes of their run.
    smoothing_fwhm : float, sequence of 3 floats or "fast", optional
        Full width at half maximum, in mm, of the Gaussian that volumes are smoothed with first.
    confounds : array-like, pandas.DataFrame, path, or list of these, optional
        Signals to remove, a row for each volume of the images. Tables of a list stand side by
        side; of several runs, a list of as many tables has one for each run.
    detrend : bool, default=False
        Whether mean and linear trend are removed.
    standardize : {"zscore_sample", "psc"}, optional
        What is done last: mean 0 and variance 1, or percent of the mean.
    standardize_confounds : bool, default=True
        Whether means are removed from confounds.
    filter : {"butterworth", "cosine", False}, optional
        Kind of temporal filter; by default Butterworth where there is a cutoff.
    low_pass, high_pass : float, optional
        Cutoffs in Hz.
    t_r : float, optional
        Seconds between volumes; by default those of the header.
    clean_args : mapping, optional
        Further keywords of `lazyvox.signal.clean`: "extrapolate", "ensure_finite", and those that
        begin with "butterworth__".
    dtype : dtype-like, optional
        Type of the signals; by default that of the images for voxels, float64 for regions.
    out : path-like, optional
        File to write instead of holding the result in memory: ``.npy``, ``.tsv``, ``.csv``,
        ``.parquet``, or ``.txt`` or ``.1D``, which hold numbers only. For a list or dict the name
        of each region set is inserted before the ending; one file gathers the sets where it ends
        in ``.npz``, or in ``.txt`` or ``.1D``, where their columns stand side by side: these are
        written from memory.
    overwrite : bool, default=False
        Whether existing files may be replaced.
    resample : bool, default=False
        Whether regions on another grid are brought to that of the images: maps by linear
        interpolation, all others by nearest neighbour.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for extraction and cleaning, as in scikit-learn, and files of a list that are
        decoded at a time; of one file, one more thread decodes. Regions share the volumes that
        were read: nothing is copied for them.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    Signals, or list or dict of Signals
        Like `rois`. Values of voxels that are neither smoothed nor cleaned are equal, bit by bit,
        to ``np.asarray(img.dataobj)[mask].T``.

    Raises
    ------
    RegionError
        If an image is none of the above, or a table of names or seeds cannot be used.
    GridMismatchError
        If regions are on another grid, and `resample` is false.
    ParameterError
        If an argument is out of range, or an option concerns none of the regions.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget; nothing was read.
    OutputError
        If a file cannot be written, or exists.

    Notes
    -----
    One pass. Memory: the signals, unless written to files; 24 to 56 bytes per voxel in a region,
    and 8 per voxel and map; the block buffers; and a few MiB per thread that cleans. Voxels that
    are cleaned and written, and larger than a quarter of the budget, wait in a temporary file. A
    failed call leaves no partial file. Steps are those of nilearn, in its order: smoothing,
    extraction, then cleaning as in `lazyvox.signal.clean`. All volumes are extracted where
    signals are cleaned: volumes that `sample_mask` leaves out are interpolated for a Butterworth
    filter, and dropped after it.

    Examples
    --------
    >>> import lazyvox as lv
    >>> left, right = lv.extract("run.nii.gz", ["left.nii.gz", "right.nii.gz"])
    >>> left.shape, left.dtype, left.t_r
    ((40, 260), dtype('float32'), 2.0)
    >>> regions = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv", sample_mask=range(5))
    >>> regions.shape, regions.names[0]
    ((5, 8), 'LeftFront')
    >>> seeds = [(-8, 0, 0), (8, 0, 0)]
    >>> cleaned = lv.extract("run.nii.gz", seeds, radius=5, detrend=True, standardize="psc")
    >>> cleaned.shape, bool(abs(cleaned.values.mean()) < 1e-6)
    ((40, 2), True)
    """
    scan, assemble = build_scan(
        as_series(imgs),
        rois,
        options=RegionOptions(
            strategy, lut, dtype, resample, radius, mask_img, min_coverage=min_coverage
        ),
        preparation=Preparation(
            smoothing_fwhm,
            CleaningOptions(
                confounds=confounds,
                detrend=detrend,
                standardize=standardize,
                standardize_confounds=standardize_confounds,
                filter=filter,
                low_pass=low_pass,
                high_pass=high_pass,
                t_r=t_r,
                clean_args=clean_args or {},
                runs=runs,
                censored=censored,
            ),
            memory,
            n_jobs,
        ),
        sample_mask=sample_mask,
        out=out,
        overwrite=overwrite,
    )
    scan.run(memory=memory, n_jobs=n_jobs, progress=progress)
    return assemble()


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """Preparation of volumes before, and cleaning of signals after the extraction.

    Attributes
    ----------
    smoothing_fwhm : float, sequence of 3 floats, "fast" or None
        Width of the Gaussian that volumes are smoothed with, in mm.
    cleaning : CleaningOptions
        Cleaning of signals.
    memory : int, str or None
        Memory budget: large tables wait on disk until they are cleaned.
    n_jobs : int
        Threads that clean.
    """

    smoothing_fwhm: float | Sequence[float] | str | None = None
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    memory: int | str | None = None
    n_jobs: int = 1


def build_scan(
    series: Series,
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    *,
    options: RegionOptions,
    preparation: Preparation | None = None,
    sample_mask: npt.ArrayLike | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> tuple[Scan, Callable[[], Any]]:
    """Return the scan that extracts regions, not yet run, and the function for its results.

    Parameters
    ----------
    series : Series
        The images.
    rois : image, path, coordinates or consumer, or list or dict of them
        See `extract`; masks and labels images are read here.
    options : RegionOptions
        How regions are extracted.
    preparation : Preparation, optional
        Smoothing and cleaning; none by default.
    sample_mask : array-like, optional
        See `extract`.
    out : path-like, optional
        See `extract`.
    overwrite : bool, default=False
        See `extract`.

    Returns
    -------
    scan : Scan
        The scan; nothing of the series was read.
    assemble : callable
        After the run, returns the signals in the form of `rois`.
    """
    prepared = preparation or Preparation()
    if prepared.smoothing_fwhm is not None:
        fwhm = checked_fwhm(prepared.smoothing_fwhm)
        grid = series.grid
        series = series.transformed(
            SmoothTransform.of(grid.affine, grid.shape, fwhm, grid.voxel_grid.name)
        )
    cleaning = None
    t_r = check_number(prepared.cleaning.t_r, "t_r")
    if t_r is not None:
        check_seconds(t_r)
        series = series.with_t_r(t_r)
    if prepared.cleaning.are_set:
        cleaning = prepared.cleaning.prepare(
            series,
            sample_mask,
            n_jobs=resolve_n_jobs(prepared.n_jobs),
            largest_table=resolve_budget(prepared.memory) // _HELD_PART,
        )
    elif sample_mask is not None:
        series = series.taking(prepared.cleaning.kept_volumes(series, sample_mask))
    scan = Scan(series)
    regions = resolve_rois(rois, options)
    if cleaning is not None:
        regions = regions.cleaned_by(cleaning)
    if out is not None:
        regions = regions.writing_to(out, overwrite=overwrite)
    return scan, _hung(scan, regions, out, overwrite=overwrite)


def _hung(
    scan: Scan, regions: RoiSet, out: PathLike | None, *, overwrite: bool
) -> Callable[[], Any]:
    """Hang region sets on a scan, and return what gives their results."""
    handles = [scan.add(consumer) for consumer in regions.consumers]

    def assemble() -> Any:
        results = [handle.result() for handle in handles]
        if out is not None and regions.is_gathered(out):
            write_gathered(out, _by_name(regions, results), overwrite=overwrite)
        return regions.assemble(results)

    return assemble


def _by_name(regions: RoiSet, results: Sequence[Any]) -> list[tuple[str, Array]]:
    """Return the arrays of all results by name, those of a consumer with several masks too."""
    arrays: list[tuple[str, Array]] = []
    for name, result in zip(regions.names, results, strict=True):
        if isinstance(result, Signals):
            arrays.append((name, result.values))
            continue
        inner = result if isinstance(result, dict) else dict(enumerate(result))
        arrays += [(f"{name}_{key}", signals.values) for key, signals in inner.items()]
    return arrays
