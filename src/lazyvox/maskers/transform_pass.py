"""The work of one transform, and the pass that does several of them."""

import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.transformed import VolumeTransform
from lazyvox.extraction.cleaning import Cleaning
from lazyvox.extraction.signals import Signals
from lazyvox.geometry.grids import resampling_grid
from lazyvox.image.input_volumes import Volumes
from lazyvox.image.resampling import resampling_transform, warn_without_sform
from lazyvox.image.smooth_transform import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.series import Grid, Series, name_of
from lazyvox.maskers.finite import NonFiniteWatch
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import numeric_threads, resolve_n_jobs
from lazyvox.signal import Cleaner
from lazyvox.stream.scan import Scan
from lazyvox.stream.transformed_consumers import Through

__all__ = ["Stage", "Work", "do_work"]

Extractor: TypeAlias = Any

#: A transform of volumes, and the affine of those that it makes.
Step: TypeAlias = tuple[VolumeTransform, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Preparation of volumes before signals are taken from them.

    Attributes
    ----------
    affine : ndarray of shape (4, 4), optional
        Affine of the grid that they are brought to.
    shape : tuple of int, optional
        Shape of that grid.
    smoothing_fwhm : float, optional
        Width of the kernel that they are smoothed with, in mm.
    """

    affine: Array | None = None
    shape: Shape | None = None
    smoothing_fwhm: float | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for stages that do the same."""
        affine = None if self.affine is None else np.asarray(self.affine, np.float64).tobytes()
        return affine, self.shape, self.smoothing_fwhm

    def steps(self, series: Series) -> list[Step]:
        """Return the transforms of volumes, first one first; reads nothing of a file."""
        img, shape, affine = series.grid.template, series.grid.shape, series.grid.affine
        steps: list[Step] = []
        if self.affine is not None:
            warn_without_sform(img)
            grid = resampling_grid(shape, affine, self.affine, self.shape)
            if not grid.is_same:
                source = Volumes(img, series.array, affine)
                steps.append((resampling_transform(source, grid, "continuous"), grid.affine))
                shape, affine = grid.shape, grid.affine
        if self.smoothing_fwhm is not None:
            fwhm = checked_fwhm(self.smoothing_fwhm)
            steps.append((SmoothTransform.of(affine, shape, fwhm, name_of(img)), affine))
        return steps


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One transform: everything is checked, nothing is read.

    Attributes
    ----------
    series : Series
        The volumes.
    stage : Stage
        How they are prepared.
    extractor : callable
        Makes the consumer for prepared volumes of a type, on the grid of an image.
    cleaner : Cleaner or None
        Cleaning of the signals.
    finish : callable
        Makes the result of the cleaned signals.
    key : tuple
        All that the result depends on besides the image.
    folder : path or None
        Folder of the file that the result is kept in; None for memory.
    publish : callable, optional
        Called when the result is there.
    watches : bool
        Whether to warn of voxels that are not finite.
    """

    series: Series
    stage: Stage
    extractor: Callable[[DType], Extractor]
    cleaner: Cleaner | None
    finish: Callable[[Array], Array]
    key: tuple[Any, ...] = field(default=())
    folder: Path | None = None
    publish: Callable[[], None] | None = None
    watches: bool = False

    @property
    def name(self) -> str:
        """The file of the images, for messages."""
        return self.series.grid.name

    def consumer(self, dtype: DType, memory: int, n_cleaning: int) -> Extractor:
        """Return the consumer that extracts and cleans."""
        consumer = self.extractor(dtype)
        if self.folder is not None:
            stem = Path(self.name).name.split(".")[0].replace(" ", "_")
            name = f"{stem}-{uuid.uuid4().hex[:12]}.npy"
            consumer = consumer.writing_to(self.folder / name)
        if self.cleaner is not None:
            largest = None if self.folder is None else memory // 4
            consumer = consumer.cleaned_by(Cleaning(self.cleaner, n_cleaning, largest))
        return consumer

    def values(self, signals: Signals) -> Array:
        """Return the array of the signals, mapped where it is in a file."""
        if signals.path is None:
            return self.finish(signals.values)
        mapped: Array = np.load(signals.path, mmap_mode="r")
        return _converted(mapped, self.finish(mapped[:1]).dtype, Path(signals.path))


def do_work(
    works: Sequence[Work],
    *,
    memory: float | str | None = None,
    n_jobs: int = 1,
    n_cleaning: int | None = None,
) -> list[Array]:
    """Do all that is to be done with one series, in one pass over it.

    Parameters
    ----------
    works : sequence of Work
        Transforms of the same series.
    memory : int, str or None
        Budget of the pass.
    n_jobs : int
        Threads of the pass.
    n_cleaning : int, optional
        Threads that clean signals; by default as many as numerical libraries take.

    Returns
    -------
    list of ndarray
        The result of each.
    """
    budget = resolve_budget(memory)
    n_threads = numeric_threads() if n_cleaning is None else n_cleaning
    groups = _groups(works)
    series = works[0].series
    if len(groups) == 1:
        # One way of preparing volumes: the pass itself takes them prepared, on several cores.
        for transform, affine in groups[0].steps:
            series = series.transformed(transform, affine)
        groups = [replace(groups[0], steps=[])]
    scan = Scan(series)
    handles = [
        [scan.add(consumer) for consumer in group.consumers(series.grid, budget, n_threads)]
        for group in groups
    ]
    scan.run(memory=budget, n_jobs=resolve_n_jobs(n_jobs))
    found: dict[int, Array] = {}
    for group, its_handles in zip(groups, handles, strict=True):
        found |= group.results([handle.result() for handle in its_handles])
    return [found[number] for number in range(len(works))]


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Numbered transforms that want volumes prepared in one way."""

    works: dict[int, Work]
    steps: list[Step]

    def consumers(self, grid: Grid, memory: int, n_cleaning: int) -> list[Any]:
        """Return the consumers of all, behind their steps where there are any."""
        for transform, affine in self.steps:
            grid = grid.transformed(transform, affine)
        consumers = [work.consumer(grid.dtype, memory, n_cleaning) for work in self.works.values()]
        if grid.dtype.kind == "f" and any(work.watches for work in self.works.values()):
            consumers.append(NonFiniteWatch())
        for transform, affine in reversed(self.steps):
            consumers = [Through(transform, consumers, affine=affine)]
        return consumers

    def results(self, signals: Any) -> dict[int, Array]:
        """Return the result of each transform by its number."""
        for _ in self.steps:
            signals = signals[0]
        works = self.works
        if len(signals) > len(works) and signals[-1]:
            _warn_of_non_finite(next(iter(works.values())))
        pairs = zip(works.items(), signals, strict=False)
        return {number: work.values(one) for (number, work), one in pairs}


def _groups(works: Sequence[Work]) -> list[_Group]:
    """Return the transforms grouped by their stage."""
    found: dict[tuple[Any, ...], dict[int, Work]] = {}
    for number, work in enumerate(works):
        found.setdefault(work.stage.key, {})[number] = work
    groups = []
    for same in found.values():
        first = next(iter(same.values()))
        groups.append(_Group(same, first.stage.steps(first.series)))
    return groups


def _warn_of_non_finite(work: Work) -> None:
    msg = f"{work.name}: voxels should be finite. Some are NaN or infinite; they count as zero."
    warnings.warn(msg, MaskerWarning, stacklevel=7)


def _converted(mapped: Array, dtype: DType, path: Path) -> Array:
    """Return a mapped table in another type: written anew in blocks, and mapped again."""
    if mapped.dtype == dtype:
        return mapped
    other = path.with_name(f"{path.stem}-{np.dtype(dtype).name}.npy")
    out = np.lib.format.open_memmap(other, "w+", dtype, mapped.shape)
    step = max(TARGET_BLOCK_BYTES // max(mapped.shape[1] * mapped.itemsize, 1), 1)
    for start in range(0, len(mapped), step):
        out[start : start + step] = mapped[start : start + step]
    out.flush()
    path.unlink()
    result: Array = np.load(other, mmap_mode="r")
    return result
