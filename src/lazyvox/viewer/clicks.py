"""Answers to a click: the series of a voxel and its region, and the correlation with the voxel."""

import threading
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.errors import RegionError
from lazyvox.extraction.labels import Labels
from lazyvox.glm.sums import N_WAITING
from lazyvox.lazyimage.classes import image_like
from lazyvox.seedmaps.api import SeedMapOptions, prepare_seed_maps
from lazyvox.stream.gather import MaskedVoxels
from lazyvox.stream.scan import Scan
from lazyvox.viewer.background import Background
from lazyvox.viewer.kept import KeptResults
from lazyvox.viewer.opened import Opened
from lazyvox.viewer.passes import PassProgress, run_pass

__all__ = ["Clicks", "Course", "Voxel"]

Voxel: TypeAlias = tuple[int, int, int]

#: Bytes of series and maps that are kept for the next click on the same voxel.
_KEPT_BYTES = 16 << 20

#: Bytes of the volumes that wait for one product.
_WAITING_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The series of a voxel, and that of the region around it.

    Attributes
    ----------
    voxel : tuple of int of length 3
        Its indices.
    values : ndarray of shape (n_volumes,), float64
        Its values.
    label : int
        Label of its region; 0 for none.
    region : ndarray of shape (n_volumes,), float64, or None
        Mean of the region.
    """

    voxel: Voxel
    values: FloatArray = field(repr=False)
    label: int = 0
    region: FloatArray | None = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self.values.nbytes + (0 if self.region is None else self.region.nbytes)


class Clicks:
    """Series and correlation maps of one run; the last ones are kept.

    Parameters
    ----------
    opened : Opened
        The run.
    background : Background
        The pass that tells which voxels vary.
    """

    def __init__(self, opened: Opened, background: Background) -> None:
        self._opened = opened
        self._background = background
        self._kept: KeptResults[Any] = KeptResults(_KEPT_BYTES)
        self._progress: PassProgress | None = None

    @property
    def progress(self) -> dict[str, int] | None:
        """Volumes that the pass of a click has seen, and all of them; None where none runs."""
        now = self._progress
        return None if now is None else {"done": now.done, "total": now.total}

    def course(self, voxel: Voxel, cancelled: threading.Event) -> Course:
        """Return the series of a voxel, and of its region where there is an atlas.

        Raises
        ------
        ScanCancelledError
            If it was cancelled meanwhile.
        """
        found: Course | None = self._kept.get(("course", voxel))
        if found is None:
            found = self._read_course(voxel, cancelled)
            self._kept.put(("course", voxel), found, found.nbytes)
        return found

    def correlation(self, voxel: Voxel, cancelled: threading.Event) -> bytearray:
        """Return the correlation of every voxel with one, as a NIfTI file.

        Raises
        ------
        ScanCancelledError
            If it was cancelled meanwhile.
        RegionError
            If the voxel does not vary.
        """
        found: bytearray | None = self._kept.get(("correlation", voxel))
        if found is None:
            found = self._opened.subject.map_format.encode(self._correlated(voxel, cancelled))
            self._kept.put(("correlation", voxel), found, len(found))
        return found

    def _read_course(self, voxel: Voxel, cancelled: threading.Event) -> Course:
        subject, atlas = self._opened.subject, self._opened.atlas
        scan = Scan(subject.series)
        seen = scan.add(MaskedVoxels(self._only(voxel), np.dtype(np.float64), ensure_finite=False))
        label = 0 if atlas is None else int(atlas.values[voxel])
        region = None
        if label and atlas is not None:
            only = np.where(atlas.values == label, label, 0).astype(atlas.values.dtype)
            region = scan.add(Labels(self._image(only)))
        self._run(scan, cancelled)
        mean = None if region is None else np.asarray(region.result())[:, 0]
        return Course(voxel, seen.result()[:, 0], label, mean)

    def _correlated(self, voxel: Voxel, cancelled: threading.Event) -> Array:
        series = self._opened.subject.series
        results = self._background.results
        if results is not None and results.is_still[voxel]:
            raise _nothing_varies(voxel)
        related = self._related(None if results is None else results.is_still)
        n_bytes = int(related.sum()) * series.grid.dtype.itemsize
        options = SeedMapOptions(
            mask_img=None if related.all() else self._image(related.astype(np.uint8)),
            n_waiting=min(max(_WAITING_BYTES // max(n_bytes, 1), 4), N_WAITING),
        )
        seed = Labels(self._image(self._only(voxel).astype(np.uint8)), lut={1: "the voxel"})
        prepared = prepare_seed_maps(series, seed, options, self._opened.cleaning)
        try:
            self._run(prepared.scan, cancelled)
        except RegionError as error:
            raise _nothing_varies(voxel) from error
        return prepared.handle.result().values[..., 0]

    def _run(self, scan: Scan, cancelled: threading.Event) -> None:
        self._progress = PassProgress(cancelled)
        try:
            run_pass(scan, self._progress)
        finally:
            self._progress = None

    def _related(self, is_still: BoolArray | None) -> BoolArray:
        """Return the voxels that a map has; of those that are known not to vary it is 0 anyway."""
        mask = self._opened.mask
        if mask is None:
            mask = np.ones(self._opened.subject.grid.shape, bool)
        if is_still is None or is_still[mask].all():
            return mask
        varies: BoolArray = mask & ~is_still
        return varies

    def _only(self, voxel: Voxel) -> Array:
        mask = np.zeros(self._opened.subject.grid.shape, bool)
        mask[voxel] = True
        return mask

    def _image(self, values: Array) -> Any:
        grid = self._opened.subject.grid
        return image_like(grid.template, values, grid.affine, is_new_kind=True)


def _nothing_varies(voxel: Voxel) -> RegionError:
    i, j, k = voxel
    msg = (
        f"The values of voxel ({i}, {j}, {k}) do not vary over time, or are not all finite: nothing "
        f"correlates with it."
    )
    return RegionError(msg)
