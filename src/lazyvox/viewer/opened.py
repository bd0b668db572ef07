"""Everything that a viewer shows, opened and checked before the server starts."""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, PathLike
from lazyvox.confounds.displacement import displacement_of_run, has_motion
from lazyvox.errors import ParameterError, RegionError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.lut import Lut
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import Grid, Series, as_series
from lazyvox.runtime.budget import resolve_budget
from lazyvox.seedmaps.cleaning import SeedCleaning
from lazyvox.signal.confounds import join_confounds
from lazyvox.stream.masks import read_mask
from lazyvox.tables.events import Event, read_events
from lazyvox.viewer.nifti import VolumeFormat
from lazyvox.viewer.subject import Subject

__all__ = ["Opened", "ShownAtlas", "ViewOptions", "opened"]

#: Steps of the golden section never come back to a hue that is taken.
_HUE_STEP = 0.618034


@dataclass(frozen=True, slots=True, eq=False)
class ViewOptions:
    """Images and tables that are shown with a run; see `lazyvox.view`."""

    overlays: Sequence[ImageLike] = ()
    atlas: ImageLike | None = None
    lut: Lut | None = None
    mask_img: ImageLike | None = None
    events: PathLike | Any = None
    confounds: Any = None
    sample_mask: Any = None
    motion: PathLike | Any = None
    motion_format: str | None = None
    radius: float = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class ShownAtlas:
    """Regions on the grid of the run.

    Attributes
    ----------
    name : str
        Name for people.
    values : ndarray of shape (i, j, k), int32
        Labels; 0 is no region.
    names : dict of int to str
        Names by label.
    """

    name: str
    values: Array = field(repr=False)
    names: dict[int, str] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return name, label and colour of each region, for JSON."""
        regions = []
        for number, (label, name) in enumerate(self.names.items()):
            hue, shade = number * _HUE_STEP % 1, 1 - 0.3 * (number % 2)
            color = [round(255 * one) for one in colorsys.hsv_to_rgb(hue, 0.85, shade)]
            regions.append({"label": label, "name": name, "color": color})
        return {"name": self.name, "regions": regions}


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A run and what is shown with it.

    Attributes
    ----------
    subject : Subject
        The run.
    overlays : tuple of Subject
        Images on top, each on its own grid.
    atlas : ShownAtlas or None
        Regions.
    mask : ndarray of shape (i, j, k), bool, or None
        The voxels that measures and correlations are of.
    mask_img : image or None
        The same as an image on the grid of the run.
    events : list of dict or None
        Onset and duration in seconds, and trial type.
    cleaning : SeedCleaning
        What is removed before voxels are correlated.
    confound_names : list of str or None
        Names of its columns.
    n_left_out : int
        Volumes that correlations are without.
    displacement : list of float or None
        Framewise displacement in mm.
    """

    subject: Subject
    overlays: tuple[Subject, ...] = ()
    atlas: ShownAtlas | None = None
    mask: BoolArray | None = None
    mask_img: Any = None
    events: list[dict[str, Any]] | None = None
    cleaning: SeedCleaning = field(default_factory=SeedCleaning)
    confound_names: list[str] | None = None
    n_left_out: int = 0
    displacement: list[float] | None = None

    def info(self) -> dict[str, Any]:
        """Return what a page must know before it shows anything; reads the first volumes."""
        overlays = [
            {
                "id": number,
                "name": one.name,
                "window": list(one.window()),
                "n_volumes": one.grid.n_volumes,
            }
            for number, one in enumerate(self.overlays)
        ]
        return {
            **self.subject.info(),
            "overlays": overlays,
            "atlas": None if self.atlas is None else self.atlas.to_dict(),
            "mask": self.mask is not None,
            "events": self.events,
            "confounds": self.confound_names,
            "n_left_out": self.n_left_out,
            "fd": self.displacement,
        }

    def labels_file(self) -> bytearray | None:
        """Return the regions as a NIfTI file."""
        return None if self.atlas is None else self._small_file(self.atlas.values)

    def mask_file(self) -> bytearray | None:
        """Return the mask as a NIfTI file."""
        return None if self.mask is None else self._small_file(self.mask.astype(np.uint8))

    def _small_file(self, values: Array) -> bytearray:
        grid = self.subject.grid
        return VolumeFormat.of(grid.shape, grid.affine, values.dtype).encode(values)


def opened(img: ImageLike | Series, options: ViewOptions) -> Opened:
    """Return a run and what is shown with it, opened.

    Parameters
    ----------
    img : image, path or Series
        The run.
    options : ViewOptions
        What is shown with it.

    Returns
    -------
    Opened
        Of run and overlays, headers were read; of atlas, mask and tables all.

    Raises
    ------
    ParameterError
        If something does not fit the run.
    GridMismatchError, RegionError
        If atlas or mask cannot be used.
    ImageFileError
        If a file is damaged or missing.
    """
    subject = Subject.of(as_series(img))
    grid = subject.grid
    if options.atlas is None and options.lut is not None:
        msg = "`lut` has the names of the regions of `atlas`, which is missing."
        raise ParameterError(msg, parameter="lut")
    mask = None
    if options.mask_img is not None:
        mask = read_mask(options.mask_img, grid, name="mask_img", resample=True)
    cleaning = SeedCleaning(options.confounds, options.sample_mask)
    names, n_left_out = _removed(cleaning, subject.series)
    return Opened(
        subject,
        tuple(Subject.of(as_series(one)) for one in options.overlays),
        None if options.atlas is None else _shown_atlas(options.atlas, options.lut, grid),
        mask,
        None if mask is None else image_like(grid.template, mask.astype(np.uint8), grid.affine),
        None if options.events is None else [*map(_shown_event, read_events(options.events))],
        cleaning,
        names,
        n_left_out,
        _displacement(options, grid),
    )


def _removed(cleaning: SeedCleaning, series: Series) -> tuple[list[str] | None, int]:
    """Return the columns that are removed, and how many volumes are left out of correlations.

    What cannot be removed is refused here rather than upon a first click.
    """
    joined = join_confounds(cleaning.confounds, series.grid.n_volumes)
    if joined is None and cleaning.sample_mask is None:
        return None, 0
    cleaned = cleaning.prepare(series, resolve_budget(None))
    n_kept = sum(len(space.volumes) for space in cleaned.spaces)
    names = None if joined is None else [str(name) for name in joined.names]
    return names, series.grid.n_volumes - n_kept


def _shown_event(event: Event) -> dict[str, Any]:
    """Return an event for the page, one of unknown length as a moment."""
    length = 0.0 if math.isnan(event.duration) else event.duration
    return {"onset": event.onset, "duration": length, "trial_type": event.trial_type}


def _shown_atlas(img: ImageLike, lut: Lut | None, grid: Grid) -> ShownAtlas:
    regions = Labels(img, lut=lut, resample=True)
    placed = np.asanyarray(regions.region_atlas(grid).dataobj)
    name = Path(as_series(img).grid.name).name
    if placed.dtype.itemsize > 4:
        msg = f"{name}: the viewer takes labels of up to 32 bits. Got larger ones. Renumber them."
        raise RegionError(msg, parameter="atlas")
    return ShownAtlas(name, placed, regions.names_by_label)


def _displacement(options: ViewOptions, grid: Grid) -> list[float] | None:
    motion = options.motion
    if motion is None and has_motion(options.confounds):
        motion = options.confounds
    found = displacement_of_run(motion, options.motion_format, options.radius, grid.n_volumes)
    return None if found is None else [float(one) for one in found]
