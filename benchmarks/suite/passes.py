"""Results of one pass over a compressed run."""

from collections.abc import Callable
from typing import ClassVar

import nibabel as nib
import numpy as np

import lazyvox as lv
from suite.base import Files, SideBySide, image_in_memory, nibabel_image


def _numpy_masks(files: Files) -> list[np.ndarray]:
    values = np.asarray(nibabel_image(files.run).dataobj)
    return [values[np.asarray(nib.load(mask).dataobj) > 0].T for mask in files.masks]


def _nilearn_mean(files: Files) -> object:
    from nilearn.image import mean_img

    return mean_img(image_in_memory(files.run))


def _numpy_labels(files: Files) -> list[np.ndarray]:
    values = np.asarray(nibabel_image(files.run).dataobj)
    labels = np.asarray(nib.load(files.labels).dataobj)
    return [values[labels == label].mean(axis=0) for label in range(1, int(labels.max()) + 1)]


def _all_at_once(path: str, files: Files) -> None:
    scan = lv.Scan(path)
    for consumer in (lv.Voxels(list(files.masks)), lv.Labels(files.labels), lv.Mean(), lv.Std()):
        scan.add(consumer)
    scan.run()


def _numpy_all(files: Files) -> None:
    values = np.asarray(nibabel_image(files.run).dataobj)
    for mask in files.masks:
        values[np.asarray(nib.load(mask).dataobj) > 0]
    labels = np.asarray(nib.load(files.labels).dataobj)
    for label in range(1, int(labels.max()) + 1):
        values[labels == label].mean(axis=0)
    values.mean(axis=-1)
    values.std(axis=-1)


class Masks(SideBySide):
    """The voxels of six regions."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: lv.extract(files.run, list(files.masks)),
        "lazyvox, indexed": lambda files: lv.extract(files.indexed, list(files.masks)),
        "nibabel and NumPy": _numpy_masks,
    }


class Labels(SideBySide):
    """The means of regions."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: lv.extract(files.run, lv.Labels(files.labels)),
        "nibabel and NumPy": _numpy_labels,
    }


class Mean(SideBySide):
    """The mean over time."""

    needs: ClassVar[dict[str, str]] = {"nilearn": "nilearn.image"}
    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: lv.mean_img(files.run),
        "nibabel and NumPy": lambda files: np.asarray(nibabel_image(files.run).dataobj).mean(-1),
        "nilearn": _nilearn_mean,
    }


class Everything(SideBySide):
    """Masks, labels, mean and standard deviation together."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _all_at_once(files.run, files),
        "nibabel and NumPy": _numpy_all,
    }
