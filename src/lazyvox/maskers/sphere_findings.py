"""Report content of spheres."""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray
from lazyvox.geometry.affines import voxel_volume
from lazyvox.geometry.spheres import sphere_voxels
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.maskers.report_parts import (
    SIZE_COLUMNS,
    Findings,
    caption,
    grid_facts,
    lost_text,
    size_rows,
    values_on,
)
from lazyvox.maskers.report_selection import shown_number
from lazyvox.masking import compute_brain_mask
from lazyvox.report import Panel, cuts_png

__all__ = ["spheres_findings"]


def spheres_findings(
    seeds: Sequence[Sequence[float]],
    radius: float | None,
    mask_img: Any,
    volume: Any,
    displayed: Sequence[int],
) -> Findings:
    """Return the findings of spheres.

    Parameters
    ----------
    seeds : sequence of (x, y, z)
        The centres, in mm.
    radius : float or None
        The radius, in mm.
    mask_img : nibabel image or None
        The mask.
    volume : nibabel image or None
        A volume of the images. Without it and a mask, the grid is that of the MNI template.
    displayed : sequence of int
        The spheres that have a figure.

    Returns
    -------
    Findings
        A figure of all spheres and one per sphere that is displayed; one row per sphere.
    """
    ref_img, background, warnings = _sphere_grid(mask_img, volume)
    mask = None if mask_img is None else values_on(mask_img, ref_img, "nearest") != 0
    voxels = [_sphere(seed, radius, ref_img, mask) for seed in seeds]
    sizes = [len(index) for index in voxels]
    empty = [str(number) for number, size in enumerate(sizes) if not size]
    if empty:
        warnings = [*warnings, lost_text(empty, len(seeds), "spheres")]
    codes = _sphere_codes(voxels, ref_img)
    png = cuts_png(background, codes, ref_img.affine, kind="labels")
    panels = [Panel(caption("All spheres", volume), png)]
    for number in displayed:
        one = _sphere_codes([voxels[number]], ref_img)
        png = cuts_png(background, one, ref_img.affine, through=seeds[number])
        panels.append(Panel(caption(f"Sphere {number}", volume), png))
    places = [", ".join(shown_number(one) for one in seed) for seed in seeds]
    heads = [(str(number), place) for number, place in enumerate(places)]
    width = "the voxel of the seed" if radius is None else f"{shown_number(radius)} mm"
    facts = {"Spheres": shown_number(len(seeds)), "Radius": width}
    return Findings(
        {**facts, **grid_facts(ref_img, int(np.count_nonzero(codes)))},
        warnings,
        panels,
        ("sphere", "seed in mm", *SIZE_COLUMNS),
        size_rows(heads, sizes, voxel_volume(ref_img.affine)),
    )


def _sphere_codes(voxels: Sequence[IntArray], ref_img: Any) -> Array:
    """Return a volume with the number of the sphere, from 1, in its voxels."""
    shape = tuple(ref_img.shape[:3])
    codes = np.zeros(int(np.prod(shape)), np.int32)
    for code, index in enumerate(voxels, 1):
        codes[index] = code
    return codes.reshape(shape, order="F")


def _sphere(
    seed: Sequence[float], radius: float | None, ref_img: Any, inside: BoolArray | None
) -> IntArray:
    """Return the voxels of a sphere: none where its centre is no place."""
    centre = np.asarray(seed, np.float64)
    if not np.isfinite(centre).all():
        return np.zeros(0, np.intp)
    return sphere_voxels(centre, radius, ref_img.affine, tuple(ref_img.shape[:3]), inside)


def _sphere_grid(mask_img: Any, volume: Any) -> tuple[Any, Array, list[str]]:
    """Return the image whose grid spheres are shown on, the background below, and remarks."""
    if volume is not None:
        return volume, np.asarray(lazy_dataobj(volume).read()), []
    if mask_img is not None:
        return mask_img, (np.asarray(mask_img.dataobj) != 0).astype(np.float32), []
    nifti: Any = nib.Nifti1Image
    affine = np.array([[3.0, 0, 0, -98], [0, 3, 0, -134], [0, 0, 3, -72], [0, 0, 0, 1]])
    brain = compute_brain_mask(nifti(np.zeros((66, 78, 63), np.uint8), affine))
    remark = (
        "Neither an image nor a mask was given: the spheres are shown on the brain of the MNI "
        "template, on a grid of 3 mm."
    )
    return brain, np.asarray(brain.dataobj).astype(np.float32), [remark]
