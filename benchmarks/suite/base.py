"""Base class of the benchmarks: their files, and one piece of work done by several programs."""

import gzip
import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import nibabel as nib
import numpy as np

import lazyvox as lv

__all__ = ["Files", "Program", "SideBySide", "image_in_memory", "make_files", "nibabel_image"]

SHAPE = (61, 73, 61)
N_VOLUMES = 40
N_MASKS = 6
N_LABELS = 16
#: Names that import what is behind them when they are first used.
_NAMES = ("Labels", "Scan", "Voxels", "extract", "index", "load", "mean_img", "save")


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of the files of all benchmarks.

    Attributes
    ----------
    run, plain : str
        A float32 run of volumes, compressed and not.
    indexed : str
        The compressed run again, an index beside it.
    masks : tuple of str
        Region masks.
    labels : str
        All regions as labels.
    out : str
        A folder to write to.
    """

    run: str
    plain: str
    indexed: str
    masks: tuple[str, ...]
    labels: str
    out: str


Program = Callable[[Files], object]


class SideBySide(ABC):
    """One piece of work: its time, its peak memory, and the bytes that it reads, by program.

    A benchmark is a subclass with `programs`. asv loads all modules of the suite into every
    process: a package that one program needs, and that is large, is named in `needs` instead of
    being imported there, or it would count for the others.
    """

    param_names: ClassVar[list[str]] = ["program"]
    timeout: ClassVar[float] = 120.0
    #: By program, the module that is imported before the clock starts.
    needs: ClassVar[Mapping[str, str]] = {}

    @property
    @abstractmethod
    def programs(self) -> Mapping[str, Program]:
        """The programs by name; the first is ours."""

    @property
    def params(self) -> list[list[str]]:
        """Parameters that asv goes through."""
        return [list(self.programs)]

    def setup_cache(self) -> Files:
        """Make the files, once for all benchmarks, in the folder that asv removes at the end."""
        return make_files(Path.cwd(), SHAPE, N_VOLUMES)

    def setup(self, files: Files, program: str) -> None:
        """Have indexes in a folder of our own, and the module that the program needs."""
        os.environ["LAZYVOX_CACHE_DIR"] = str(Path(files.out) / "cache")
        importlib.import_module(self.needs.get(program, "lazyvox"))
        if program.startswith("lazyvox"):
            for name in _NAMES:
                getattr(lv, name)

    def time_work(self, files: Files, program: str) -> None:
        """Do the work."""
        self.programs[program](files)

    def peakmem_work(self, files: Files, program: str) -> None:
        """Do the work; asv looks at the most memory that the process held."""
        self.programs[program](files)

    def track_bytes_read(self, files: Files, program: str) -> int:
        """Return the bytes that the work asked the system for."""
        before = _bytes_read()
        self.programs[program](files)
        return _bytes_read() - before

    track_bytes_read.unit = "bytes"  # type: ignore[attr-defined]


def _bytes_read() -> int:
    """Return the bytes that this process has read so far; pages of mapped files do not count."""
    accounts = Path("/proc/self/io")
    if not accounts.exists():
        raise NotImplementedError
    return int(accounts.read_text().split()[1])


def nibabel_image(path: str) -> nib.Nifti1Image:
    """Return a compressed image as nibabel reads it by itself, indexed_gzip installed or not."""
    return nib.Nifti1Image.from_stream(gzip.open(path))


def image_in_memory(path: str) -> nib.Nifti1Image:
    """Return a compressed image and its values, which nilearn takes as they are."""
    image = nibabel_image(path)
    return nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)


def make_files(folder: Path, shape: tuple[int, int, int], n_volumes: int) -> Files:
    """Write noise in an ellipsoid, zero outside, and regions of it."""
    out = folder / "out"
    out.mkdir()
    places = [folder / f"mask{number}.nii.gz" for number in range(N_MASKS)]
    files = Files(
        run=str(folder / "run.nii.gz"),
        plain=str(folder / "run.nii"),
        indexed=str(folder / "indexed.nii.gz"),
        masks=tuple(map(str, places)),
        labels=str(folder / "labels.nii.gz"),
        out=str(out),
    )
    centre = (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    inside = (((np.indices(shape) - centre) / (centre + 0.5)) ** 2).sum(axis=0) < 0.6
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    labels = np.zeros(shape, np.int16)
    labels[inside] = np.arange(int(inside.sum())) * N_LABELS // int(inside.sum()) + 1
    nib.save(nib.Nifti1Image(labels, affine), files.labels)
    for number, path in enumerate(files.masks, 1):
        nib.save(nib.Nifti1Image((labels == number).astype(np.uint8), affine), path)
    rng = np.random.default_rng(0)
    values = np.zeros((*shape, n_volumes), np.float32)
    values[inside] = rng.normal(1000, 50, (int(inside.sum()), n_volumes))
    image = nib.Nifti1Image(values, affine)
    image.header.set_zooms((3, 3, 3, 2))
    for path in (files.run, files.plain, files.indexed):
        lv.save(image, path)
    lv.index(files.indexed, beside=True)
    return files
