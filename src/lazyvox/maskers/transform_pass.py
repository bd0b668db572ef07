"""What one transform is made of, and the pass that does several of them."""

import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import MemoryReader
from lazyvox.array.transformed import StagedReader, VolumeTransform
from lazyvox.extraction.cleaning import Cleaning
from lazyvox.extraction.signals import Signals
from lazyvox.image import resample_img, smooth_img
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.maskers.finite import NonFiniteWatch
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import numeric_threads, resolve_n_jobs
from lazyvox.signal import Cleaner
from lazyvox.stream.scan import Scan
from lazyvox.stream.transformed_consumers import Through

__all__ = ["Stage", "Work", "do_work"]

Extractor: TypeAlias = Any


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What becomes of volumes before signals are taken from them.

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

    def applied(self, img: Any) -> Any:
        """Return the prepared image; reads nothing."""
        if self.affine is not None or self.shape is not None:
            img = resample_img(
                img,
                interpolation="continuous",
                target_affine=self.affine,
                target_shape=self.shape,
            )
        return img if self.smoothing_fwhm is None else smooth_img(img, self.smoothing_fwhm)


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One transform: everything is checked, nothing is read.

    Attributes
    ----------
    img : nibabel image
        The series, 4D.
    stage : Stage
        What becomes of its volumes.
    extractor : callable
        Makes the consumer for prepared volumes of a type, on the grid of an image.
    cleaner : Cleaner or None
        What becomes of the signals.
    finish : callable
        Makes the result of the cleaned signals.
    key : tuple
        All that the result depends on besides the image.
    folder : path or None
        Where the result is kept as a file; None for memory.
    publish : callable, optional
        Called when the result is there.
    watches : bool
        Whether to warn of voxels that are not finite.
    """

    img: Any
    stage: Stage
    extractor: Callable[[DType], Extractor]
    cleaner: Cleaner | None
    finish: Callable[[Array], Array]
    key: tuple[Any, ...] = field(default=())
    folder: Path | None = None
    publish: Callable[[], None] | None = None
    watches: bool = False

    def consumer(self, dtype: DType, memory: int, n_cleaning: int) -> Extractor:
        """Return the consumer that extracts and cleans."""
        consumer = self.extractor(dtype)
        if self.folder is not None:
            stem = Path(name_of(self.img)).name.split(".")[0].replace(" ", "_")
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
        Transforms of the same image.
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
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, work in enumerate(works):
        groups.setdefault(work.stage.key, []).append(number)
    scans = [_Pass(works[0].img)]
    for numbers in groups.values():
        same = [(number, works[number]) for number in numbers]
        transforms = _transforms(same[0][1])
        if len(groups) == 1 or transforms is None:
            scans.append(_Pass(works[0].img, same[0][1].stage))
            scans[-1].add(same, [])
        else:
            scans[0].add(same, transforms)
    found: dict[int, Array] = {}
    for scan in scans:
        found.update(
            scan.run(
                resolve_budget(memory),
                resolve_n_jobs(n_jobs),
                numeric_threads() if n_cleaning is None else n_cleaning,
            )
        )
    return [found[number] for number in range(len(works))]


class _Pass:
    """One pass over an image, or over what a stage makes of it.

    Parameters
    ----------
    img : nibabel image
        The image.
    stage : Stage
        What is done before everything else.
    """

    def __init__(self, img: Any, stage: Stage | None = None) -> None:
        self._img = img if stage is None else stage.applied(img)
        self._groups: list[tuple[list[tuple[int, Work]], list[VolumeTransform]]] = []

    def add(self, works: list[tuple[int, Work]], transforms: list[VolumeTransform]) -> None:
        """Add numbered transforms that want the volumes transformed in one way."""
        self._groups.append((works, transforms))

    def run(self, memory: int, n_jobs: int, n_cleaning: int) -> dict[int, Array]:
        """Scan, and return the results by number."""
        if not self._groups:
            return {}
        scan = Scan(self._img)
        handles = []
        for works, transforms in self._groups:
            dtype, affine = scan.grid.dtype, self._img.affine
            if transforms:
                prepared = works[0][1].stage.applied(self._img)
                dtype = lazy_dataobj(prepared).dtype.newbyteorder("=")
                affine = prepared.affine
            consumers = [work.consumer(dtype, memory, n_cleaning) for _, work in works]
            if dtype.kind == "f" and any(work.watches for _, work in works):
                consumers.append(NonFiniteWatch())
            behind = _behind(transforms, consumers, affine)
            handles.append([scan.add(consumer) for consumer in behind])
        scan.run(memory=memory, n_jobs=n_jobs)
        found: dict[int, Array] = {}
        for (works, transforms), group in zip(self._groups, handles, strict=True):
            signals: Any = [handle.result() for handle in group]
            for _ in transforms:
                signals = signals[0]
            for (number, work), one in zip(works, signals, strict=False):
                found[number] = work.values(one)
            if len(signals) > len(works) and signals[-1]:
                self._warn_of_non_finite()
        return found

    def _warn_of_non_finite(self) -> None:
        msg = (
            f"{name_of(self._img)}: voxels should be finite. Some are NaN or infinite; they count "
            f"as zero."
        )
        warnings.warn(msg, MaskerWarning, stacklevel=8)


def _behind(
    transforms: Sequence[VolumeTransform], consumers: list[Any], affine: Array
) -> list[Any]:
    """Return the consumers, or what holds them behind transforms, the first one outermost."""
    for transform in reversed(transforms):
        consumers = [Through(transform, consumers, affine=affine)]
    return consumers


def _transforms(work: Work) -> list[VolumeTransform] | None:
    """Return the stages that lead from the image to the prepared one, None if it is not these."""
    base, array = lazy_dataobj(work.img), lazy_dataobj(work.stage.applied(work.img))
    found: list[VolumeTransform] = []
    while not _is_same(array, base):
        reader = array.reader
        if not isinstance(reader, StagedReader) or len(reader.sources) != 1:
            return None
        if not array.window.is_full or array.conversion.changes(reader.dtype):
            return None
        found.append(reader.transform)
        array = reader.sources[0]
    return found[::-1]


def _is_same(array: LazyArray, base: LazyArray) -> bool:
    one, other = array.reader, base.reader
    is_one = one is other or (
        isinstance(one, MemoryReader)
        and isinstance(other, MemoryReader)
        and one.values is other.values
    )
    return is_one and array.window == base.window and array.conversion == base.conversion


def _converted(mapped: Array, dtype: DType, path: Path) -> Array:
    """Return a mapped table in another type: written anew in blocks, and mapped again."""
    if mapped.dtype == dtype:
        return mapped
    other = path.with_name(f"{path.stem}-{np.dtype(dtype).name}.npy")
    out = np.lib.format.open_memmap(other, "w+", dtype, mapped.shape)
    step = max((4 << 20) // max(mapped.shape[1] * mapped.itemsize, 1), 1)
    for start in range(0, len(mapped), step):
        out[start : start + step] = mapped[start : start + step]
    out.flush()
    path.unlink()
    result: Array = np.load(other, mmap_mode="r")
    return result
