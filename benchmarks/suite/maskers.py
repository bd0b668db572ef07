"""Maskers and cleaning that bear nilearn's names."""

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from suite.base import Files, SideBySide, image_in_memory

CLEANING: dict[str, Any] = {
    "detrend": True,
    "low_pass": 0.1,
    "high_pass": 0.01,
    "t_r": 2.0,
    "standardize": "zscore_sample",
}
MASKERS = {"lazyvox": "lazyvox.maskers", "nilearn": "nilearn.maskers"}
SIGNAL = {"lazyvox": "lazyvox.signal", "nilearn": "nilearn.signal"}


def _labels(library: str, img: object, files: Files) -> None:
    maskers = importlib.import_module(f"{library}.maskers")
    maskers.NiftiLabelsMasker(files.labels, reports=False, **CLEANING).fit_transform(img)


def _masked(library: str, img: object, files: Files) -> None:
    maskers = importlib.import_module(f"{library}.maskers")
    maskers.NiftiMasker(files.masks[0], reports=False).fit_transform(img)


def _cleaned(library: str) -> None:
    signals = np.random.default_rng(0).normal(1000, 50, (240, 2000)).astype(np.float32)
    importlib.import_module(f"{library}.signal").clean(signals, **CLEANING)


class LabelsMasker(SideBySide):
    """The cleaned means of regions."""

    needs: ClassVar[dict[str, str]] = MASKERS
    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _labels("lazyvox", files.run, files),
        "nilearn": lambda files: _labels("nilearn", image_in_memory(files.run), files),
    }


class Masker(SideBySide):
    """The voxels of one region."""

    needs: ClassVar[dict[str, str]] = MASKERS
    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda files: _masked("lazyvox", files.run, files),
        "nilearn": lambda files: _masked("nilearn", image_in_memory(files.run), files),
    }


class Cleaning(SideBySide):
    """Signals detrended, filtered and standardized."""

    needs: ClassVar[dict[str, str]] = SIGNAL
    track_bytes_read = None  # It reads no file.
    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox": lambda _files: _cleaned("lazyvox"),
        "nilearn": lambda _files: _cleaned("nilearn"),
    }
