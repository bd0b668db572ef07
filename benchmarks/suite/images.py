"""Images made of a compressed run, saved."""

from collections.abc import Callable
from typing import Any, ClassVar

import nibabel as nib
import numpy as np

import lazyvox as lv
from suite.base import Files, SideBySide, image_in_memory, nibabel_image


def _smoothed(files: Files) -> None:
    lv.save(lv.image.smooth_img(files.run, 6), f"{files.out}/smooth.nii")


def _nilearn_smoothed(files: Files) -> None:
    from nilearn.image import smooth_img

    image = smooth_img(image_in_memory(files.run), 6)
    nib.save(image, f"{files.out}/smooth.nii")


def _standardized(files: Files) -> None:
    run = lv.load(files.run)
    with np.errstate(invalid="ignore"):
        lv.save((run - run.mean(axis=-1)) / run.std(axis=-1), f"{files.out}/z.nii")


def _numpy_standardized(files: Files) -> None:
    run = nibabel_image(files.run)
    values = np.asarray(run.dataobj)
    with np.errstate(invalid="ignore"):
        values = (values - values.mean(-1, keepdims=True)) / values.std(-1, keepdims=True)
    nib.save(nib.Nifti1Image(values, run.affine), f"{files.out}/z.nii")


def _sum(images: list[Any], files: Files) -> None:
    nib.save(sum(images[1:], images[0]), f"{files.out}/sum.nii")


def _numpy_sum(files: Files) -> None:
    runs = [nibabel_image(files.run) for _ in range(4)]
    values = sum(np.asarray(run.dataobj) for run in runs)
    nib.save(nib.Nifti1Image(values, runs[0].affine), f"{files.out}/sum.nii")


class Smoothing(SideBySide):
    """Smoothing by 6 mm."""

    needs: ClassVar[dict[str, str]] = {"nilearn": "nilearn.image"}
    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": _smoothed,
        "nilearn": _nilearn_smoothed,
    }


class Standardizing(SideBySide):
    """A run brought to mean 0 and standard deviation 1."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": _standardized,
        "nibabel and NumPy": _numpy_standardized,
    }


class Sum(SideBySide):
    """The sum of four runs."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _sum([lv.load(files.run) for _ in range(4)], files),
        "nibabel and NumPy": _numpy_sum,
    }


class Compressing(SideBySide):
    """An uncompressed run saved as .nii.gz, at nibabel's level."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: lv.save(
            lv.load(files.plain), f"{files.out}/copy.nii.gz", compresslevel=1
        ),
        "nibabel": lambda files: nib.save(nib.load(files.plain), f"{files.out}/copy.nii.gz"),
    }
