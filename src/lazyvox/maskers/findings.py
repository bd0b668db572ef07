"""What reports show of fitted regions: numbers, figures and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nibabel as nib
import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray
from lazyvox.geometry.spheres import sphere_voxels
from lazyvox.image import resample_img
from lazyvox.image.new import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.maskers.displayed import shown_number
from lazyvox.maskers.inputs import same_fov
from lazyvox.masking import compute_brain_mask
from lazyvox.report import Panel, cuts_png

__all__ = [
    "Findings",
    "labels_findings",
    "maps_findings",
    "mask_findings",
    "region_colours",
    "spheres_findings",
]

SIZE_COLUMNS = ("voxels", "size in mm^3", "relative size in %")


@dataclass(frozen=True, slots=True)
class Findings:
    """What stands on the page of a fitted masker besides its parameters.

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


def region_colours(cmap: Any) -> Any:
    """Return the colours of regions, None for those that are chosen by what is shown.

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
    """Return what to show of a mask.

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
    png = cuts_png(_volume_on(volume, mask_img), mask, mask_img.affine, volume_cmap=cmap)
    facts = {
        "Voxels in the mask": shown_number(n_voxels),
        "Volume of the mask": f"{shown_number(n_voxels * _voxel_size(mask_img))} mm^3",
        **_grid_facts(mask_img, n_voxels),
    }
    warnings = [] if n_voxels else ["The mask is empty."]
    return Findings(facts, warnings, [Panel(_caption("The mask", volume), png)])


def labels_findings(
    labels_img: Any,
    mask_img: Any,
    volume: Any,
    names: Sequence[tuple[Any, str]],
    cmap: Any,
) -> Findings:
    """Return what to show of labelled regions.

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
    if mask_img is not None and same_fov(mask_img, labels_img):
        inside = np.asarray(mask_img.dataobj) != 0
    codes = _label_codes(values, inside, [label for label, _ in names])
    sizes = np.bincount(codes.ravel(), minlength=len(names) + 1)[1:].tolist()
    lost = [name for (_, name), size in zip(names, sizes, strict=True) if not size]
    background = _volume_on(volume, labels_img)
    png = cuts_png(background, codes, labels_img.affine, kind="labels", cmap=cmap)
    heads = [(shown_number(label), name) for label, name in names]
    return Findings(
        {"Regions": shown_number(len(names)), **_grid_facts(labels_img, sum(sizes))},
        [_lost_text(lost, len(names))] if lost else [],
        [Panel(_caption("The regions", volume), png)],
        ("label", "name", *SIZE_COLUMNS),
        _size_rows(heads, sizes, _voxel_size(labels_img)),
    )


def _label_codes(values: Array, inside: BoolArray, labels: Sequence[Any]) -> IntArray:
    """Return small numbers, from 1 in the order of the labels, 0 for what is none of them."""
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
    """Return what to show of maps; they are read one after the other.

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
    if mask_img is not None and same_fov(mask_img, maps_img):
        mask = np.asarray(mask_img.dataobj) != 0
    drawn = _MapFigures(frozenset(displayed), _volume_on(volume, maps_img), maps_img.affine, cmap)
    covered = np.zeros(maps_img.shape[:3], bool)
    size, rows, empty = _voxel_size(maps_img), [], []
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
        {"Maps": shown_number(len(rows)), **_grid_facts(maps_img, int(covered.sum()))},
        [_lost_text(empty, len(rows), "maps")] if empty else [],
        [Panel(_caption(f"Map {n}", volume), drawn.figures[n]) for n in displayed],
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


def spheres_findings(
    seeds: Sequence[Sequence[float]],
    radius: float | None,
    mask_img: Any,
    volume: Any,
    displayed: Sequence[int],
) -> Findings:
    """Return what to show of spheres.

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
    mask = None if mask_img is None else _values_on(mask_img, ref_img, "nearest") != 0
    voxels = [_sphere(seed, radius, ref_img, mask) for seed in seeds]
    sizes = [len(index) for index in voxels]
    empty = [str(number) for number, size in enumerate(sizes) if not size]
    if empty:
        warnings = [*warnings, _lost_text(empty, len(seeds), "spheres")]
    codes = _sphere_codes(voxels, ref_img)
    png = cuts_png(background, codes, ref_img.affine, kind="labels")
    panels = [Panel(_caption("All spheres", volume), png)]
    for number in displayed:
        one = _sphere_codes([voxels[number]], ref_img)
        png = cuts_png(background, one, ref_img.affine, through=seeds[number])
        panels.append(Panel(_caption(f"Sphere {number}", volume), png))
    places = [", ".join(shown_number(one) for one in seed) for seed in seeds]
    heads = [(str(number), place) for number, place in enumerate(places)]
    width = "the voxel of the seed" if radius is None else f"{shown_number(radius)} mm"
    facts = {"Spheres": shown_number(len(seeds)), "Radius": width}
    return Findings(
        {**facts, **_grid_facts(ref_img, int(np.count_nonzero(codes)))},
        warnings,
        panels,
        ("sphere", "seed in mm", *SIZE_COLUMNS),
        _size_rows(heads, sizes, _voxel_size(ref_img)),
    )


def _sphere_codes(voxels: Sequence[IntArray], ref_img: Any) -> Array:
    """Return a volume with the number of the sphere, from 1, in its voxels."""
    shape = tuple(ref_img.shape[:3])
    codes = np.zeros(int(np.prod(shape)), np.int32)
    for code, index in enumerate(voxels, 1):
        codes[index] = code
    return codes.reshape(shape, order="F")


def _weights(maps_img: Any, number: int, mask: BoolArray | None) -> Array:
    """Return one map inside of the mask, what is not finite as zero."""
    values = np.asarray(lazy_dataobj(maps_img).view((..., number)).read())
    values = np.nan_to_num(values, posinf=0, neginf=0)
    return values if mask is None else np.where(mask, values, 0)


def _sphere(
    seed: Sequence[float], radius: float | None, ref_img: Any, inside: BoolArray | None
) -> IntArray:
    """Return the voxels of a sphere: none where its centre is no place."""
    centre = np.asarray(seed, np.float64)
    if not np.isfinite(centre).all():
        return np.zeros(0, np.intp)
    return sphere_voxels(centre, radius, ref_img.affine, tuple(ref_img.shape[:3]), inside)


def _sphere_grid(mask_img: Any, volume: Any) -> tuple[Any, Array, list[str]]:
    """Return the image whose grid spheres are shown on, what is below them, and remarks."""
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


def _volume_on(volume: Any, ref_img: Any) -> Array | None:
    return None if volume is None else _values_on(volume, ref_img, "linear")


def _values_on(img: Any, ref_img: Any, interpolation: str) -> Array:
    """Return the voxels of a 3D image on the grid of another one."""
    if not same_fov(img, ref_img):
        values = np.asarray(lazy_dataobj(img).read()).astype(np.float32)
        img = resample_img(
            image_like(img, values, img.affine),
            target_affine=ref_img.affine,
            target_shape=tuple(ref_img.shape[:3]),
            interpolation=interpolation,
        )
    read: Array = lazy_dataobj(img).read()
    return read


def _voxel_size(img: Any) -> float:
    return float(abs(np.linalg.det(img.affine[:3, :3])))


def _grid_facts(img: Any, n_covered: int) -> dict[str, str]:
    shape = tuple(img.shape[:3])
    zooms = np.linalg.norm(img.affine[:3, :3], axis=0)
    share = 100 * n_covered / max(int(np.prod(shape)), 1)
    return {
        "Coverage of the field of view": f"{share:.1f} %",
        "Voxel size": f"{' x '.join(shown_number(zoom) for zoom in zooms)} mm",
        "Grid": f"{' x '.join(str(length) for length in shape)} voxels",
    }


def _size_rows(
    heads: Sequence[tuple[str, ...]], sizes: Sequence[int], voxel_size: float
) -> list[tuple[str, ...]]:
    """Return rows that end with the size of the region."""
    total = max(sum(sizes), 1)
    return [
        (*head, shown_number(n), shown_number(n * voxel_size), f"{100 * n / total:.2f}")
        for head, n in zip(heads, sizes, strict=True)
    ]


def _lost_text(lost: Sequence[str], n_all: int, what: str = "regions") -> str:
    names = ", ".join(lost[:20]) + (", ..." if len(lost) > 20 else "")
    return f"{len(lost)} of {n_all} {what} have no voxel, and no signal: {names}."


def _caption(what: str, volume: Any) -> str:
    return f"{what}." if volume is None else f"{what}, over a volume of the images."
