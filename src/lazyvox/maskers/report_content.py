"""Report content of masks, labelled regions and maps: numbers, figures and the table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray
from lazyvox.geometry.affines import voxel_volume
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.grids import same_grid
from lazyvox.maskers.report_parts import (
    SIZE_COLUMNS,
    Findings,
    caption,
    grid_facts,
    lost_text,
    size_rows,
    volume_on,
)
from lazyvox.maskers.report_selection import shown_number
from lazyvox.report import Panel, cuts_png

__all__ = ["labels_findings", "maps_findings", "mask_findings", "region_colours"]


def region_colours(cmap: Any) -> Any:
    """Return the colours of regions, None for those that depend on the regions shown.

    Parameters
    ----------
    cmap : str, matplotlib colormap or None
        A parameter of a masker: its default is meant for volumes, and too dark for regions.

    Returns
    -------
    str, matplotlib colormap or None
        The colours.
    """
    return None if isinstance(cmap, str) and cmap == "CMRmap_r" else cmap


def mask_findings(mask_img: Any, volume: Any, cmap: Any) -> Findings:
    """Return the findings of a mask.

    Parameters
    ----------
    mask_img : nibabel image
        The mask.
    volume : nibabel image or None
        A volume of the images.
    cmap : str or matplotlib colormap
        Colours of the volume.

    Returns
    -------
    Findings
        One figure, no table.
    """
    mask = np.asarray(mask_img.dataobj) != 0
    n_voxels = int(mask.sum())
    png = cuts_png(volume_on(volume, mask_img), mask, mask_img.affine, volume_cmap=cmap)
    facts = {
        "Voxels in the mask": shown_number(n_voxels),
        "Volume of the mask": f"{shown_number(n_voxels * voxel_volume(mask_img.affine))} mm^3",
        **grid_facts(mask_img, n_voxels),
    }
    warnings = [] if n_voxels else ["The mask is empty."]
    return Findings(facts, warnings, [Panel(caption("The mask", volume), png)])


def labels_findings(
    labels_img: Any,
    mask_img: Any,
    volume: Any,
    names: Sequence[tuple[Any, str]],
    cmap: Any,
) -> Findings:
    """Return the findings of labelled regions.

    Parameters
    ----------
    labels_img : nibabel image
        The labels.
    mask_img : nibabel image or None
        The mask, where it is on the grid of the labels: what is outside does not count.
    volume : nibabel image or None
        A volume of the images.
    names : sequence of (label, str)
        The regions.
    cmap : str or matplotlib colormap or None
        Colours of the regions.

    Returns
    -------
    Findings
        One figure, one row per region.
    """
    values = np.asarray(labels_img.dataobj)
    inside = np.ones(values.shape, bool)
    if mask_img is not None and same_grid(mask_img, labels_img):
        inside = np.asarray(mask_img.dataobj) != 0
    codes = _label_codes(values, inside, [label for label, _ in names])
    sizes = np.bincount(codes.ravel(), minlength=len(names) + 1)[1:].tolist()
    lost = [name for (_, name), size in zip(names, sizes, strict=True) if not size]
    background = volume_on(volume, labels_img)
    png = cuts_png(background, codes, labels_img.affine, kind="labels", cmap=cmap)
    heads = [(shown_number(label), name) for label, name in names]
    return Findings(
        {"Regions": shown_number(len(names)), **grid_facts(labels_img, sum(sizes))},
        [lost_text(lost, len(names))] if lost else [],
        [Panel(caption("The regions", volume), png)],
        ("label", "name", *SIZE_COLUMNS),
        size_rows(heads, sizes, voxel_volume(labels_img.affine)),
    )


def _label_codes(values: Array, inside: BoolArray, labels: Sequence[Any]) -> IntArray:
    """Return the place of each voxel's label in `labels`, from 1; 0 for other values."""
    if not labels:
        return np.zeros(values.shape, np.intp)
    known = np.asarray(labels)
    ascending = np.argsort(known, kind="stable")
    place = np.clip(np.searchsorted(known[ascending], values), 0, len(known) - 1)
    code: IntArray = np.where(
        inside & (known[ascending][place] == values), ascending[place] + 1, 0
    )
    return code


def maps_findings(
    maps_img: Any, mask_img: Any, volume: Any, displayed: Sequence[int], cmap: Any
) -> Findings:
    """Return the findings of maps; they are read one after the other.

    Parameters
    ----------
    maps_img : nibabel image
        The maps, 4D.
    mask_img : nibabel image or None
        The mask, where it is on the grid of the maps.
    volume : nibabel image or None
        A volume of the images.
    displayed : sequence of int
        The maps that have a figure, in their order on the page.
    cmap : str or matplotlib colormap or None
        Colours of the maps.

    Returns
    -------
    Findings
        One figure per map that is displayed, one row per map.
    """
    mask = None
    if mask_img is not None and same_grid(mask_img, maps_img):
        mask = np.asarray(mask_img.dataobj) != 0
    drawn = _MapFigures(frozenset(displayed), volume_on(volume, maps_img), maps_img.affine, cmap)
    covered = np.zeros(maps_img.shape[:3], bool)
    size, rows, empty = voxel_volume(maps_img.affine), [], []
    for number in range(maps_img.shape[3]):
        weights = _weights(maps_img, number, mask)
        drawn.see(number, weights)
        covered |= weights != 0
        n_voxels = int(np.count_nonzero(weights))
        rows.append(
            (
                str(number),
                shown_number(weights.min()),
                shown_number(weights.max()),
                shown_number(n_voxels),
                shown_number(n_voxels * size),
            )
        )
        if not n_voxels:
            empty.append(str(number))
    return Findings(
        {"Maps": shown_number(len(rows)), **grid_facts(maps_img, int(covered.sum()))},
        [lost_text(empty, len(rows), "maps")] if empty else [],
        [Panel(caption(f"Map {n}", volume), drawn.figures[n]) for n in displayed],
        ("map", "smallest weight", "largest weight", *SIZE_COLUMNS[:2]),
        rows,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _MapFigures:
    """Figures of the maps that are displayed, made as the maps are read."""

    displayed: frozenset[int]
    background: Array | None
    affine: Array
    cmap: Any
    figures: dict[int, bytes] = field(default_factory=dict)

    def see(self, number: int, weights: Array) -> None:
        """Draw a map where its weight is largest, if it is one of those."""
        if number not in self.displayed:
            return
        peak = np.unravel_index(int(np.argmax(np.abs(weights))), weights.shape)
        self.figures[number] = cuts_png(
            self.background,
            weights,
            self.affine,
            kind="map",
            cmap=self.cmap,
            through=(self.affine @ [*peak, 1])[:3].tolist(),
        )


def _weights(maps_img: Any, number: int, mask: BoolArray | None) -> Array:
    """Return one map inside the mask, non-finite values as zero."""
    values = np.asarray(lazy_dataobj(maps_img).view((..., number)).read())
    values = np.nan_to_num(values, posinf=0, neginf=0)
    return values if mask is None else np.where(mask, values, 0)
