"""Maskers and cleaning that bear nilearn's names."""

from collections.abc import Callable
from types import ModuleType
from typing import ClassVar

import nilearn.maskers
import nilearn.signal
import numpy as np

import lazyvox.maskers
import lazyvox.signal
from suite.base import Files, SideBySide, image_in_memory

CLEANING = {"detrend": True, "low_pass": 0.1, "high_pass": 0.01, "t_r": 2.0}
CLEANING["standardize"] = "zscore_sample"


def _labels(maskers: ModuleType, img: object, files: Files) -> None:
    maskers.NiftiLabelsMasker(files.labels, reports=False, **CLEANING).fit_transform(img)


def _masked(maskers: ModuleType, img: object, files: Files) -> None:
    maskers.NiftiMasker(files.masks[0], reports=False).fit_transform(img)


def _cleaned(signal: ModuleType) -> None:
    signals = np.random.default_rng(0).normal(1000, 50, (240, 2000)).astype(np.float32)
    signal.clean(signals, **CLEANING)


class LabelsMasker(SideBySide):
    """The cleaned means of regions."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _labels(lazyvox.maskers, files.run, files),
        "nilearn": lambda files: _labels(nilearn.maskers, image_in_memory(files.run), files),
    }


class Masker(SideBySide):
    """The voxels of one region."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _masked(lazyvox.maskers, files.run, files),
        "nilearn": lambda files: _masked(nilearn.maskers, image_in_memory(files.run), files),
    }


class Cleaning(SideBySide):
    """Signals detrended, filtered and standardized."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda _files: _cleaned(lazyvox.signal),
        "nilearn": lambda _files: _cleaned(nilearn.signal),
    }
