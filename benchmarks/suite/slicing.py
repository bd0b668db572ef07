"""Parts of an image: one volume, one voxel's series, all values."""

from collections.abc import Callable
from typing import ClassVar

import nibabel as nib
import numpy as np
from indexed_gzip import IndexedGzipFile

import lazyvox as lv
from suite.base import Files, SideBySide, nibabel_image


def _loaded(path: str) -> object:
    return lv.load(path)


def _ours(path: str, *place: int | slice) -> np.ndarray:
    return np.asarray(lv.load(path).dataobj[place])


def _late_volume(files: Files) -> tuple[int | slice, ...]:
    """Return the place of a volume near the end."""
    n_volumes = nib.load(files.plain).shape[-1]
    return (slice(None), slice(None), slice(None), 5 * n_volumes // 6)


def _indexed_gzip(files: Files) -> np.ndarray:
    """Read a volume twice: the first read builds the index of which the second makes use."""
    with IndexedGzipFile(files.run) as stream:
        image = nib.Nifti1Image.from_stream(stream)
        image.dataobj[_late_volume(files)]
        return np.asarray(image.dataobj[_late_volume(files)])


class LateVolume(SideBySide):
    """One volume near the end of a compressed run."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _ours(files.run, *_late_volume(files)),
        "lazyvox, indexed": lambda files: _ours(files.indexed, *_late_volume(files)),
        "nibabel": lambda files: nibabel_image(files.run).dataobj[_late_volume(files)],
        "indexed_gzip, twice": _indexed_gzip,
    }


class PlainVolume(SideBySide):
    """One volume near the end of an uncompressed run."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _ours(files.plain, *_late_volume(files)),
        "nibabel": lambda files: nib.load(files.plain).dataobj[_late_volume(files)],
    }


class VoxelSeries(SideBySide):
    """The series of one voxel of a compressed run."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _ours(files.run, 3, 3, 3),
        "lazyvox, indexed": lambda files: _ours(files.indexed, 3, 3, 3),
        "nibabel": lambda files: nibabel_image(files.run).dataobj[3, 3, 3],
    }


class AllValues(SideBySide):
    """The whole of a compressed run as an array."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: np.asarray(lv.load(files.run).dataobj),
        "lazyvox, indexed": lambda files: np.asarray(lv.load(files.indexed).dataobj),
        "nibabel": lambda files: np.asarray(nibabel_image(files.run).dataobj),
    }


class Header(SideBySide):
    """An image without its values."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _loaded(files.run),
        "nibabel": lambda files: nib.load(files.run),
    }
