"""Shared parts of masker reports: grids, sizes and captions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.image import resample_img
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.grids import same_grid
from lazyvox.maskers.report_selection import shown_number
from lazyvox.report import Panel

__all__ = [
    "SIZE_COLUMNS",
    "Findings",
    "caption",
    "grid_facts",
    "lost_text",
    "size_rows",
    "values_on",
    "volume_on",
]

#: Columns that say how large a region is.
SIZE_COLUMNS = ("voxels", "size in mm^3", "relative size in %")


@dataclass(frozen=True, slots=True)
class Findings:
    """Report content of a fitted masker besides its parameters.

    Attributes
    ----------
    facts : mapping of str to str
        Numbers by name.
    warnings : sequence of str
        What the reader must know.
    panels : sequence of Panel
        Figures.
    columns : sequence of str
        Head of the table of regions.
    rows : sequence of sequence of str
        Its rows.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    panels: Sequence[Panel] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def volume_on(volume: Any, ref_img: Any) -> Array | None:
    """Return a volume on the grid of another image, None where there is none."""
    return None if volume is None else values_on(volume, ref_img, "linear")


def values_on(img: Any, ref_img: Any, interpolation: str) -> Array:
    """Return the voxels of a 3D image on the grid of another one."""
    if not same_grid(img, ref_img):
        values = np.asarray(lazy_dataobj(img).read()).astype(np.float32)
        img = resample_img(
            image_like(img, values, img.affine),
            target_affine=ref_img.affine,
            target_shape=tuple(ref_img.shape[:3]),
            interpolation=interpolation,
        )
    read: Array = lazy_dataobj(img).read()
    return read


def grid_facts(img: Any, n_covered: int) -> dict[str, str]:
    """Return the facts of a grid, `n_covered` of whose voxels are in regions."""
    shape = tuple(img.shape[:3])
    zooms = np.linalg.norm(img.affine[:3, :3], axis=0)
    share = 100 * n_covered / max(int(np.prod(shape)), 1)
    return {
        "Coverage of the field of view": f"{share:.1f} %",
        "Voxel size": f"{' x '.join(shown_number(zoom) for zoom in zooms)} mm",
        "Grid": f"{' x '.join(str(length) for length in shape)} voxels",
    }


def size_rows(
    heads: Sequence[tuple[str, ...]], sizes: Sequence[int], voxel_mm3: float
) -> list[tuple[str, ...]]:
    """Return rows that end with the size of the region."""
    total = max(sum(sizes), 1)
    return [
        (*head, shown_number(n), shown_number(n * voxel_mm3), f"{100 * n / total:.2f}")
        for head, n in zip(heads, sizes, strict=True)
    ]


def lost_text(lost: Sequence[str], n_all: int, what: str = "regions") -> str:
    """Return a sentence that names regions without a voxel."""
    names = ", ".join(lost[:20]) + (", ..." if len(lost) > 20 else "")
    return f"{len(lost)} of {n_all} {what} have no voxel, and no signal: {names}."


def caption(what: str, volume: Any) -> str:
    """Return the text below a figure."""
    return f"{what}." if volume is None else f"{what}, over a volume of the images."
