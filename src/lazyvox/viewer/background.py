"""The one pass in the background: the index, maps over time, measures of volumes, the carpet."""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazyvox._threads import join_all, start
from lazyvox._typing import Array, BoolArray
from lazyvox.errors import FileChangedError, LazyvoxError, ScanCancelledError
from lazyvox.planning.plan import Plan
from lazyvox.quality.drawings import CONTRAST, carpet_picture, shown_courses
from lazyvox.quality.run import Carpet, sampled_voxels
from lazyvox.store.files.source import PartSource
from lazyvox.store.index.growth import drop_abandoned_indexes, recording_indexes
from lazyvox.stream.consumer import Handle
from lazyvox.stream.gather import MaskedVoxels
from lazyvox.stream.scan import Scan
from lazyvox.stream.series_stats import DVARS, GlobalSignal
from lazyvox.stream.voxelwise import TSNR, Mean, Std
from lazyvox.viewer.opened import Opened
from lazyvox.viewer.passes import Gate, PassProgress, pass_budget, run_pass
from lazyvox.viewer.png import grey_png

__all__ = ["MAPS", "Background", "PassResults", "background_plan"]

#: Names of the maps, and their consumers.
MAPS = {"mean": Mean, "std": Std, "tsnr": TSNR}

#: Values of the carpet: several copies exist while it is drawn.
_CARPET_VALUES = 1 << 20

#: Decoded bytes behind the pass that a request decodes itself rather than to be told to wait.
_NEAR_BYTES = 64 << 20

#: Seconds for which the pass leaves the processors to a first page.
_FIRST_PAGE_S = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class PassResults:
    """Results of the pass.

    Attributes
    ----------
    maps : dict of str to bytes
        Mean, standard deviation and tSNR as NIfTI files.
    quality : dict
        DVARS, global signal and framewise displacement, one value for each volume.
    carpet : bytes
        PNG; empty where no voxel varies.
    is_still : ndarray of shape (i, j, k), bool
        The voxels that have one value in all volumes.
    """

    maps: dict[str, bytearray]
    quality: dict[str, Any]
    carpet: bytes = field(repr=False)
    is_still: BoolArray = field(repr=False)


class Background:
    """The pass, in a thread of its own.

    Parameters
    ----------
    opened : Opened
        The run.
    gate : Gate
        Whom it gives way to.
    """

    def __init__(self, opened: Opened, gate: Gate) -> None:
        self._opened = opened
        self._cancelled = threading.Event()
        self._is_awaited = threading.Event()
        self._progress = PassProgress(self._cancelled, gate)
        self._thread = threading.Thread(target=self._work, name="lazyvox-view-pass", daemon=True)
        self._is_begun = False
        self._sources = [
            one
            for one in opened.subject.series.array.reader.byte_sources
            if isinstance(one, PartSource)
        ]
        self.builds_index = any(one.needs_index() for one in self._sources)
        self.state = "none"
        self.message = ""
        self.has_changed = False
        self.results: PassResults | None = None

    def start(self) -> None:
        """Begin as soon as somebody waits for the pass, or a first page has had its time."""
        self.state, self._is_begun = "running", True
        start(self._thread)

    def hurry(self) -> None:
        """Begin at once: a page that asks for its progress has shown a volume."""
        self._is_awaited.set()

    def stop(self) -> None:
        """End the pass at its next block, and wait for its thread."""
        self._cancelled.set()
        self._is_awaited.set()
        if self._is_begun:
            join_all([self._thread])

    @property
    def is_running(self) -> bool:
        """True until it has come to its end, or failed."""
        return self.state == "running"

    @property
    def n_available(self) -> int:
        """Volumes, from the first on, that are read without a long wait."""
        n_volumes = self._opened.subject.grid.n_volumes
        if not (self.builds_index and self.is_running):
            return n_volumes
        near = _NEAR_BYTES // max(self._opened.subject.grid.volume_bytes, 1)
        return min(self._progress.done + near + 1, n_volumes)

    def to_dict(self) -> dict[str, Any]:
        """Return the state of pass and index, for JSON."""
        total = self._opened.subject.grid.n_volumes
        done = min(self._progress.done, total)
        index: dict[str, Any] = {"state": "not_needed", "done": total, "total": total}
        if self.builds_index:
            state = "building" if self.is_running else self._index_state()
            index = {"state": state, "done": done, "total": total}
        return {
            "pass": {
                "done": done,
                "total": total,
                "unit": "volumes",
                "state": self.state,
                "message": self.message,
            },
            "index": index,
        }

    def _index_state(self) -> str:
        return "none" if any(one.needs_index() for one in self._sources) else "ready"

    def _work(self) -> None:
        self._is_awaited.wait(_FIRST_PAGE_S)
        self._run_and_note()
        drop_abandoned_indexes()

    def _run_and_note(self) -> None:
        try:
            self.results = self._run()
            self.state = "done"
        except ScanCancelledError:
            self.state = "none"
        except LazyvoxError as error:
            self.has_changed = isinstance(error, FileChangedError)
            self.message, self.state = error.message, "failed"
        except Exception as error:
            # The page shows it; volumes and series may be read all the same.
            self.message, self.state = f"{type(error).__name__}: {error}", "failed"
            raise

    def _run(self) -> PassResults:
        opened, work = self._opened, _PassWork.of(self._opened)
        with recording_indexes():
            run_pass(work.scan, self._progress)
        maps = {name: one.result() for name, one in work.maps.items()}
        quality = {
            "dvars": work.dvars.result().tolist(),
            "global_signal": work.signal.result().tolist(),
            "fd": opened.displacement,
        }
        labels = None if opened.atlas is None else opened.atlas.values[work.sample]
        return PassResults(
            {name: opened.subject.map_format.encode(one) for name, one in maps.items()},
            quality,
            _drawn(Carpet(work.courses.result(), labels)),
            maps["std"] == 0,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _PassWork:
    """The scan of the pass, and the places of its results."""

    scan: Scan
    maps: dict[str, Handle[Any]]
    dvars: Handle[Array]
    signal: Handle[Array]
    courses: Handle[Array]
    sample: BoolArray

    @classmethod
    def of(cls, opened: Opened) -> "_PassWork":
        """Return the scan over a run, not begun."""
        scan, grid = Scan(opened.subject.series), opened.subject.grid
        inside = np.ones(grid.shape, bool) if opened.mask is None else opened.mask
        sample = sampled_voxels(inside, grid.n_volumes, _CARPET_VALUES)
        return cls(
            scan,
            {name: scan.add(kind().as_values()) for name, kind in MAPS.items()},
            scan.add(DVARS(opened.mask_img)),
            scan.add(GlobalSignal(opened.mask_img)),
            scan.add(MaskedVoxels(sample, np.dtype(np.float32), ensure_finite=False)),
            sample,
        )


def background_plan(opened: Opened) -> Plan:
    """Return the plan of the pass over a run; reads no voxel of it."""
    scan = _PassWork.of(opened).scan
    return scan.plan(pass_budget(scan))


def _drawn(carpet: Carpet) -> bytes:
    courses, _ = shown_courses(carpet)
    if not courses.size:
        return b""
    picture: Array = carpet_picture(courses)
    picture *= 127.5 / CONTRAST
    picture += 127.5
    np.clip(picture, 0, 255, out=picture)
    return grey_png(picture.round().astype(np.uint8))
