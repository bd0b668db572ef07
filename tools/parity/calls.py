"""The images that are compared on, and what a call is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CLEANING", "Case", "Files", "case", "grid"]

#: The options of temporal cleaning that are combined.
CLEANING = {
    "detrend": [False, True],
    "standardize": [None, "zscore_sample", "psc"],
    "frequencies": [
        {},
        {"low_pass": 0.1},
        {"high_pass": 0.01},
        {"low_pass": 0.1, "high_pass": 0.01},
    ],
    "with_confounds": [False, True],
}


@dataclass(frozen=True)
class Files:
    """The images that are compared on."""

    folder: Path

    def path(self, name: str) -> str:
        """Return the path of a file of the folder."""
        return str(self.folder / f"{name}.nii.gz")

    @property
    def run(self) -> str:
        """121 volumes of a visual experiment, resampled to 25 mm."""
        return self.path("haxby2001_sub001_run001_25mm_bold")

    @property
    def slice(self) -> str:
        """One slice of 1452 volumes."""
        return self.path("haxby2001_sub001_oneslice_1452vols_bold")

    @property
    def asl(self) -> str:
        """25 volumes of arterial spin labelling, 64 x 64 x 24."""
        return self.path("multi_delay_asl_64x64x24x25_float32")

    @property
    def brain(self) -> str:
        """The mask of the 25 mm run."""
        return self.path("haxby2001_sub001_25mm_brain")

    @property
    def atlas(self) -> str:
        """A parcellation on the grid of the 25 mm run."""
        return self.path("haxby2001_sub001_25mm_hoc")

    @property
    def motion(self) -> np.ndarray:
        """Six motion parameters of the 25 mm run."""
        return np.loadtxt(self.folder / "haxby2001_sub001_run001_motion.txt")


@dataclass(frozen=True)
class Case:
    """One call that is made to both libraries."""

    function: str
    label: str
    call: Callable[[Any, Files], Any]


def grid(**options: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield every combination of options."""
    for values in product(*options.values()):
        yield dict(zip(options, values, strict=True))


def case(function: str, options: dict[str, Any], call: Callable[..., Any]) -> Case:
    """Return the case of a call with some options."""
    label = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return Case(function, label, lambda lib, files: call(lib, files, **options))
