"""`lazyvox.extract`: the signals of regions in one call and one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.rois import RegionOptions, RoiLike, RoiSet, resolve_rois
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.tables import write_npz
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lazyvox._typing import Array, PathLike
    from lazyvox.extraction.lut import Lut
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.runtime.progress import ProgressLike

__all__ = ["build_scan", "checked_sample_mask", "extract"]


def extract(  # noqa: PLR0913
    imgs: ImageLike | Sequence[ImageLike],
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    *,
    strategy: str = "mean",
    lut: Lut | None = None,
    sample_mask: npt.ArrayLike | None = None,
    dtype: npt.DTypeLike | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
    resample: bool = False,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> Any:
    """Return the signals of masks and atlas regions; the images are read once.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    rois : image, path, Voxels or Labels, or list or dict of them
        A mask (zeros and one other integer) gives the signal of each of its voxels, a labels
        image (several integers) one signal per region. `lazyvox.Voxels` and `lazyvox.Labels` say
        the kind themselves. Masks may overlap.
    strategy : str, default="mean"
        What becomes of the voxels of a region: "mean", "sum", "median", "minimum", "maximum",
        "standard_deviation" or "variance".
    lut : path, table, dict or list, optional
        Names of the regions; see `lazyvox.Labels`.
    sample_mask : array-like, optional
        The volumes to keep: their numbers, ascending, or a boolean for every volume.
    dtype : dtype-like, optional
        Type of the signals; by default that of the images for voxels, float64 for regions.
    out : path-like, optional
        File to write instead of holding the result in memory: ``.npy``, ``.tsv``, ``.csv`` or
        ``.parquet``. For a list or dict the name of each region set is inserted before the
        ending; ``.npz`` gathers the sets in one file, from memory.
    overwrite : bool, default=False
        Whether existing files may be replaced.
    resample : bool, default=False
        Whether regions on another grid are brought to that of the images, by nearest neighbour.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the extraction, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    Signals, or list or dict of Signals
        Like `rois`. Values of voxels are equal, bit by bit, to
        ``np.asarray(img.dataobj)[mask].T``.

    Raises
    ------
    RegionError
        If an image is neither a mask nor labels, or a table of names cannot be used.
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
    One pass. Memory: the signals, unless written to files; 24 to 56 bytes per voxel in a region;
    and the block buffers. A failed call leaves no partial file.

    Examples
    --------
    >>> import lazyvox as lv
    >>> left, right = lv.extract("run.nii.gz", ["left.nii.gz", "right.nii.gz"])
    >>> left
    <Signals of 260 voxels, 40 volumes, float32, t_r=2.0>
    >>> regions = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv", sample_mask=range(5))
    >>> regions.shape, regions.names[0]
    ((5, 8), 'LeftFront')
    """
    scan, assemble = build_scan(
        imgs,
        rois,
        options=RegionOptions(strategy, lut, dtype, resample),
        sample_mask=sample_mask,
        out=out,
        overwrite=overwrite,
    )
    scan.run(memory=memory, n_jobs=n_jobs, progress=progress)
    return assemble()


def build_scan(
    imgs: ImageLike | Sequence[ImageLike],
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    *,
    options: RegionOptions,
    sample_mask: npt.ArrayLike | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
) -> tuple[Scan, Callable[[], Any]]:
    """Return the scan that extracts regions, not yet run, and what gives its results.

    Parameters
    ----------
    imgs : image, path, or list of them
        See `extract`.
    rois : image, path, Voxels or Labels, or list or dict of them
        See `extract`; masks and labels images are read here.
    options : RegionOptions
        How regions are extracted.
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
    volumes = None
    if sample_mask is not None:
        volumes = checked_sample_mask(sample_mask, as_series(imgs).grid.n_volumes)
    scan = Scan(imgs, volumes=volumes)
    regions = resolve_rois(rois, options)
    if out is not None:
        regions = regions.writing_to(out, overwrite=overwrite)
    handles = [scan.add(consumer) for consumer in regions.consumers]

    def assemble() -> Any:
        results = [handle.result() for handle in handles]
        if out is not None and regions.is_npz(out):
            write_npz(out, _by_name(regions, results), overwrite=overwrite)
        return regions.assemble(results)

    return scan, assemble


def checked_sample_mask(sample_mask: npt.ArrayLike, n_volumes: int) -> list[int]:
    """Return the numbers of the volumes that a sample mask keeps.

    Parameters
    ----------
    sample_mask : array-like
        Numbers of volumes, ascending, or one boolean per volume.
    n_volumes : int
        Number of volumes that there are.

    Returns
    -------
    list of int
        The numbers.

    Raises
    ------
    ParameterError
        If no volume is kept, one is out of range or given twice, or they do not ascend.
    ParameterTypeError
        If it is not one-dimensional, or neither integer nor boolean.

    Examples
    --------
    >>> checked_sample_mask([False, True, True], 3)
    [1, 2]
    """
    keep = np.asarray(sample_mask)
    if keep.ndim != 1 or (keep.dtype.kind not in "biu" and keep.size):
        msg = (
            f"`sample_mask` must be a list of volume numbers, or one boolean per volume. Got "
            f"shape {keep.shape} and type {keep.dtype}."
        )
        raise ParameterTypeError(msg)
    if keep.dtype.kind == "b":
        if len(keep) != n_volumes:
            msg = (
                f"`sample_mask` must have one boolean per volume. Got {len(keep)} for "
                f"{n_volumes} volumes."
            )
            raise ParameterError(msg)
        keep = np.flatnonzero(keep)
    if not keep.size:
        msg = "`sample_mask` must keep at least one volume. Got none."
        raise ParameterError(msg)
    numbers = [int(number) for number in keep]
    if numbers != sorted(set(numbers)):
        msg = "`sample_mask` must ascend, and name each volume once. Sort it with np.unique."
        raise ParameterError(msg)
    if numbers[0] < 0 or numbers[-1] >= n_volumes:
        msg = (
            f"`sample_mask` must name volumes from 0 to {n_volumes - 1}. Got {numbers[0]} to "
            f"{numbers[-1]}."
        )
        raise ParameterError(msg)
    return numbers


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
