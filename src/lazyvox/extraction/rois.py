"""Consumers for `rois`: masks, labels images, maps, seeds, or consumers that say it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from lazyvox.errors import ParameterError, ParameterTypeError, RegionError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.seeds import SeedsLike, looks_like_seeds
from lazyvox.extraction.spheres import Spheres
from lazyvox.extraction.tables import is_gathered, refuse_existing
from lazyvox.extraction.voxels import Voxels, region_names
from lazyvox.lazyimage.opened_image import OpenedImage, opened_image
from lazyvox.store.files.paths import absolute_path, split_target
from lazyvox.stream.labels import is_integral, shown_values
from lazyvox.stream.masks import (
    RegionImage,
    as_mask,
    is_two_valued,
    read_region_image,
)

if TYPE_CHECKING:
    from lazyvox._typing import PathLike
    from lazyvox.extraction.cleaning import Cleaning
    from lazyvox.extraction.lut import Lut
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid

    RoiLike: TypeAlias = "ImageLike | RoiConsumer | SeedsLike"

__all__ = [
    "RegionOptions",
    "RoiConsumer",
    "RoiLike",
    "RoiSet",
    "mask_consumer",
    "resolve_rois",
    "voxel_consumer",
]

RoiConsumer: TypeAlias = Voxels | Labels | Maps | Spheres


@dataclass(frozen=True, slots=True, eq=False)
class RegionOptions:
    """Options of regions that do not have their own.

    Attributes
    ----------
    strategy : str or sequence of str, optional
        See `lazyvox.Labels`; None is the mean for labels and spheres, and every voxel for masks.
    lut : path, table, dict or list, optional
        See `lazyvox.Labels`.
    dtype : dtype-like, optional
        Type of the results.
    resample : bool
        Whether regions on another grid are brought to that of the series.
    radius : float, optional
        Radius of spheres, in mm.
    mask_img : image or path, optional
        A mask that labels, maps and spheres are confined to.
    allow_overlap : bool
        Whether spheres may share voxels.
    min_coverage : float, optional
        See `lazyvox.Labels`.
    """

    strategy: str | Sequence[str] | None = None
    lut: Lut | None = None
    dtype: npt.DTypeLike | None = None
    resample: bool = False
    radius: float | None = None
    mask_img: ImageLike | OpenedImage | None = None
    allow_overlap: bool = False
    min_coverage: float | None = None

    @property
    def are_default(self) -> bool:
        """True if nothing is set."""
        return all(getattr(self, one.name) is one.default for one in fields(self))

    @property
    def reduced(self) -> dict[str, Any]:
        """Options of the regions whose voxels are reduced to their statistics."""
        return {
            "strategy": "mean" if self.strategy is None else self.strategy,
            "mask_img": self.mask_img,
            "min_coverage": self.min_coverage,
            **self.common,
        }

    @property
    def common(self) -> dict[str, Any]:
        """Options of all regions."""
        return {"dtype": self.dtype, "resample": self.resample}


@dataclass(frozen=True, slots=True)
class RoiSet:
    """Consumers, and how their results are handed out.

    Attributes
    ----------
    consumers : tuple of Voxels, Labels, Maps or Spheres
        One per region set.
    names : tuple of str
        Name of each, for files.
    keys : tuple, or None
        Keys of the dict that was given.
    is_single : bool
        Whether one region set was given, not in a list or dict.
    """

    consumers: tuple[RoiConsumer, ...]
    names: tuple[str, ...]
    keys: tuple[Any, ...] | None
    is_single: bool

    def writing_to(self, out: PathLike, *, overwrite: bool) -> RoiSet:
        """Return the set with every consumer writing its own file.

        One file for several sets is left to the caller.
        """
        if self.is_gathered(out):
            refuse_existing(absolute_path(out), overwrite=overwrite)
            return self
        pairs = zip(self.consumers, self.files(out), strict=True)
        written = tuple(one.writing_to(path, overwrite=overwrite) for one, path in pairs)
        return replace(self, consumers=written)

    def files(self, out: PathLike) -> list[str]:
        """Return the files that results are written to: one, or one for each region set."""
        is_one = self.is_single or self.is_gathered(out)
        return [absolute_path(out)] if is_one else split_target(out, self.names)

    def cleaned_by(self, cleaning: Cleaning) -> RoiSet:
        """Return the set with signals that are cleaned."""
        cleaned = tuple(one.cleaned_by(cleaning) for one in self.consumers)
        return replace(self, consumers=cleaned)

    def is_gathered(self, out: PathLike) -> bool:
        """Return whether the results of several region sets go into one file."""
        return not self.is_single and is_gathered(absolute_path(out))

    def assemble(self, results: Sequence[Any]) -> Any:
        """Return results in the form in which the region sets were given."""
        if self.keys is not None:
            return dict(zip(self.keys, results, strict=True))
        return results[0] if self.is_single else list(results)


def resolve_rois(
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    options: RegionOptions,
    *,
    parameter: str = "rois",
) -> RoiSet:
    """Return the consumers for what `rois` means; reads the masks and labels images.

    Parameters
    ----------
    rois : image, path, seeds, consumer, or list or dict of them
        An image of zeros and one other integer is a mask, one of several integers holds labels,
        one in 4D holds maps; coordinates are seeds of spheres. `lazyvox.Voxels`, `Labels`, `Maps`
        and `Spheres` say the kind themselves.
    options : RegionOptions
        For what does not say it itself.
    parameter : str, default="rois"
        What messages call the regions.

    Returns
    -------
    RoiSet
        The consumers.

    Raises
    ------
    RegionError
        If an image is neither mask nor labels nor maps, or seeds cannot be used.
    ParameterError
        If there are no regions, or an option concerns none of them.

    Examples
    --------
    >>> resolve_rois(["mask.nii.gz", "atlas.nii.gz"], RegionOptions()).names
    ('mask', 'atlas')
    """
    keys: tuple[Any, ...] | None = None
    given: Any = rois
    items: list[Any] = [given]
    is_single = looks_like_seeds(rois) or not isinstance(rois, Mapping | list | tuple)
    if isinstance(rois, Mapping):
        keys, items = tuple(rois), list(rois.values())
    elif not is_single:
        items = list(given)
    if options.mask_img is not None:
        # Opened once, however many region sets it confines.
        options = replace(options, mask_img=opened_image(options.mask_img))
    if not items:
        msg = (
            f"`{parameter}` must hold at least one mask, labels image, image of maps or seed. Got "
            f"none."
        )
        raise ParameterError(msg)
    shown = [parameter]
    if not is_single:
        shown = [f"{parameter}[{key!r}]" for key in keys or range(len(items))]
    sources = [_source(item) for item in items]
    names = region_names(sources) if keys is None else [str(key) for key in keys]
    consumers = tuple(
        _consumer(item, place, name, options)
        for item, place, name in zip(items, shown, names, strict=True)
    )
    _check_options(items, consumers, options)
    return RoiSet(consumers, tuple(names), keys, is_single)


class _MaskSignal(Labels):
    """One signal for all voxels of a mask: labels that need no table of names."""


def mask_consumer(img: Any, parameter: str, name: str, options: RegionOptions) -> RoiConsumer:
    """Return the consumer of a mask: its voxels, or one column where a strategy is given.

    Parameters
    ----------
    img : image, path or RegionImage
        The mask.
    parameter : str
        What messages call it.
    name : str
        Name of the column.
    options : RegionOptions
        Strategy, type, grid.

    Returns
    -------
    Voxels or Labels
        The consumer.

    Raises
    ------
    RegionError
        If the image is no mask.
    """
    if options.strategy is None:
        return Voxels(img, **options.common)
    region = read_region_image(img, parameter)
    return _MaskSignal(
        replace(region, values=as_mask(region).astype(np.uint8)),
        lut={1: name},
        **options.reduced,
    )


def voxel_consumer(ijk: Sequence[Sequence[int]], grid: Grid, options: RegionOptions) -> Labels:
    """Return the consumer of single voxels: a column for each, in their order.

    Parameters
    ----------
    ijk : sequence of triples of int
        Indices of the voxels, counted from 0, all different.
    grid : Grid
        Grid of the images.
    options : RegionOptions
        Strategy, type, coverage.

    Returns
    -------
    Labels
        The consumer; columns are called such as "12_3_40".

    Raises
    ------
    ParameterError
        If a voxel is not on the grid.
    """
    values = np.zeros(grid.shape, np.min_scalar_type(len(ijk)))
    for number, place in enumerate(ijk, 1):
        if any(not 0 <= one < length for one, length in zip(place, grid.shape, strict=True)):
            msg = (
                f"`voxel` must be on the grid of the images, {' x '.join(map(str, grid.shape))}, "
                f"its indices counted from 0. Got {','.join(map(str, place))}."
            )
            raise ParameterError(msg, value=",".join(map(str, place)))
        values[tuple(place)] = number
    names = {number: "_".join(map(str, place)) for number, place in enumerate(ijk, 1)}
    region = RegionImage(values, grid.affine, "`voxel`", None)
    return Labels(region, lut=names, **{**options.reduced, "mask_img": None})


def _consumer(roi: Any, parameter: str, name: str, options: RegionOptions) -> RoiConsumer:
    if isinstance(roi, RoiConsumer):
        return roi
    if looks_like_seeds(roi):
        _refuse_array(roi, parameter)
        return Spheres(roi, options.radius, allow_overlap=options.allow_overlap, **options.reduced)
    if isinstance(roi, Mapping | list | tuple):
        msg = (
            f"`{parameter}` must be one image, lazyvox.Voxels([...]) for several masks, or (x, y, z) "
            f"coordinates. Got a {type(roi).__name__}."
        )
        raise ParameterTypeError(msg)
    if isinstance(roi, RegionImage):
        return _of_volume(roi, parameter, name, options)
    img = opened_image(roi)
    if img.array.ndim == 4 and img.array.shape[3] != 1:
        return Maps(img, names=options.lut, mask_img=options.mask_img, **options.common)
    return _of_volume(read_region_image(img, parameter), parameter, name, options)


def _of_volume(
    region: RegionImage, parameter: str, name: str, options: RegionOptions
) -> RoiConsumer:
    """Return the consumer of a 3D image: a mask or labels."""
    if is_two_valued(region.values, region.slope):
        mask = replace(region, values=as_mask(region))
        return mask_consumer(mask, parameter, name, options)
    if not is_integral(region.values, region.slope):
        _refuse_fractions(region)
    if not region.values.any():
        msg = f"{region.name}: there must be a region in it. Got zeros only."
        raise RegionError(msg)
    return Labels(region, lut=options.lut, **options.reduced)


def _source(roi: Any) -> Any:
    """Return the image that a region set is named after, None where there is not one."""
    if isinstance(roi, RoiConsumer):
        return roi.imgs[0] if len(roi.imgs) == 1 else None
    return roi


def _check_options(
    items: Sequence[Any], consumers: Sequence[RoiConsumer], options: RegionOptions
) -> None:
    """Refuse options that would be dropped silently."""
    implicit = [
        consumer
        for item, consumer in zip(items, consumers, strict=True)
        if not isinstance(item, RoiConsumer)
    ]
    if not implicit and not options.are_default:
        msg = (
            "`strategy`, `lut`, `dtype`, `resample`, `radius`, `mask_img` and `min_coverage` hold "
            "for images, paths and coordinates. Got lazyvox.Voxels, Labels, Maps or Spheres only: "
            "set them there."
        )
        raise ParameterError(msg)
    reduced = (Labels, Spheres)
    _check_concern(implicit, "strategy", reduced, is_set=options.strategy is not None)
    _check_concern(implicit, "min_coverage", reduced, is_set=options.min_coverage is not None)
    named = [consumer for consumer in implicit if not isinstance(consumer, _MaskSignal)]
    _check_concern(named, "lut", (Labels, Maps), is_set=options.lut is not None)
    _check_concern(implicit, "radius", (Spheres,), is_set=options.radius is not None)
    confined = (Labels, Maps, Spheres)
    _check_concern(implicit, "mask_img", confined, is_set=options.mask_img is not None)


_KINDS: dict[type, str] = {
    Labels: "labels images",
    Maps: "images of maps",
    Spheres: "seeds of spheres",
}


def _check_concern(
    consumers: Sequence[RoiConsumer], option: str, kinds: tuple[type, ...], *, is_set: bool
) -> None:
    if not is_set or any(isinstance(consumer, kinds) for consumer in consumers):
        return
    shown = " and ".join(_KINDS[kind] for kind in kinds)
    found = {_KINDS.get(type(consumer), "masks") for consumer in consumers} or {"masks"}
    msg = f"`{option}` holds for {shown}. Got {' and '.join(sorted(found))} only."
    hint = "An image with a single label is a mask unless you say lazyvox.Labels(...)."
    raise ParameterError(msg, hint=hint, cli_hint="Give an atlas as --labels, not as --mask.")


def _refuse_array(roi: Any, parameter: str) -> None:
    """Raise for arrays that cannot be coordinates."""
    if not isinstance(roi, np.ndarray) or roi.shape == (3,):
        return
    if roi.ndim != 2 or roi.shape[1] != 3 or not len(roi):
        msg = (
            f"`{parameter}`: an array must hold the seeds of spheres, of shape (n, 3). Got shape "
            f"{roi.shape}. An array that is a mask needs its affine: "
            f"nibabel.Nifti1Image(mask.astype('uint8'), img.affine)."
        )
        raise RegionError(msg)


def _refuse_fractions(region: RegionImage) -> NoReturn:
    msg = (
        f"{region.name}: an image in 3D must be a mask (zero and one other integer) or hold "
        f"labels (integers). Got fractions: {shown_values(region.values)}."
    )
    if region.slope != 1.0:
        msg += f" The header scales what is stored by {region.slope:.10g} (scl_slope)."
    hint = (
        "It looks like probabilities: threshold it, and pass the mask{}, or pass a 4D image of it "
        "as {}; or like labels that were interpolated: resample them by nearest neighbour, and "
        "pass {}."
    )
    in_python = hint.format(
        " or lazyvox.Voxels(mask)", "lazyvox.Maps(maps)", "lazyvox.Labels(labels)"
    )
    raise RegionError(
        msg, hint=in_python, cli_hint=hint.format(" as --mask", "--maps", "them as --labels")
    )
