"""What `rois` means: masks, labels images, or consumers that say it themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from lazyvox._typing import PathLike
from lazyvox.errors import ParameterError, ParameterTypeError, RegionError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.lut import Lut
from lazyvox.extraction.tables import refuse_existing, split_target
from lazyvox.extraction.voxels import Voxels, region_names
from lazyvox.lazyimage.load import ImageLike
from lazyvox.store.opening import absolute_path
from lazyvox.stream.masks import (
    RegionImage,
    as_mask,
    is_integral,
    is_two_valued,
    read_region_image,
    shown_values,
)

__all__ = ["RegionOptions", "RoiLike", "RoiSet", "resolve_rois"]

RoiConsumer: TypeAlias = Voxels | Labels
RoiLike: TypeAlias = ImageLike | RoiConsumer


@dataclass(frozen=True, slots=True, eq=False)
class RegionOptions:
    """How regions that do not say it themselves are extracted.

    Attributes
    ----------
    strategy : str
        See `lazyvox.Labels`.
    lut : path, table, dict or list, optional
        See `lazyvox.Labels`.
    dtype : dtype-like, optional
        Type of the results.
    resample : bool
        Whether regions on another grid are brought to that of the series.
    """

    strategy: str = "mean"
    lut: Lut | None = None
    dtype: npt.DTypeLike | None = None
    resample: bool = False

    @property
    def concern_labels(self) -> bool:
        """Whether something is set that has no meaning for masks."""
        return self.strategy != "mean" or self.lut is not None

    @property
    def are_default(self) -> bool:
        """Whether nothing is set."""
        return not (self.concern_labels or self.resample) and self.dtype is None


@dataclass(frozen=True, slots=True)
class RoiSet:
    """Consumers, and how their results are handed out.

    Attributes
    ----------
    consumers : tuple of Voxels or Labels
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

    def writing_to(self, out: PathLike, *, overwrite: bool) -> "RoiSet":
        """Return the set with every consumer writing its own file; .npz is left to the caller."""
        if self.is_single:
            paths = [absolute_path(out)]
        elif self.is_npz(out):
            refuse_existing(absolute_path(out), overwrite=overwrite)
            return self
        else:
            paths = split_target(out, self.names)
        pairs = zip(self.consumers, paths, strict=True)
        written = tuple(one.writing_to(path, overwrite=overwrite) for one, path in pairs)
        return replace(self, consumers=written)

    def is_npz(self, out: PathLike) -> bool:
        """Return whether the results of several region sets go into one file."""
        return not self.is_single and absolute_path(out).lower().endswith(".npz")

    def assemble(self, results: Sequence[Any]) -> Any:
        """Return results in the form in which the region sets were given."""
        if self.keys is not None:
            return dict(zip(self.keys, results, strict=True))
        return results[0] if self.is_single else list(results)


def resolve_rois(
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike], options: RegionOptions
) -> RoiSet:
    """Return the consumers for what `rois` means; reads the masks and labels images.

    Parameters
    ----------
    rois : image, path, Voxels or Labels, or list or dict of them
        An image of zeros and one other integer is a mask, one of several integers holds labels.
        `lazyvox.Voxels` and `lazyvox.Labels` say the kind themselves.
    options : RegionOptions
        For images and paths.

    Returns
    -------
    RoiSet
        The consumers.

    Raises
    ------
    RegionError
        If an image is neither mask nor labels, or maps or seeds are given.
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
    is_single = not isinstance(rois, Mapping | list | tuple)
    if isinstance(rois, Mapping):
        keys, items = tuple(rois), list(rois.values())
    elif not is_single:
        _refuse_seeds(rois)
        items = list(given)
    if not items:
        msg = "`rois` must hold at least one mask or labels image. Got none."
        raise ParameterError(msg)
    shown = ["rois"] if is_single else [f"rois[{key!r}]" for key in keys or range(len(items))]
    consumers = tuple(
        _consumer(item, name, options) for item, name in zip(items, shown, strict=True)
    )
    _check_options(items, consumers, options)
    sources = [_source(item) for item in items]
    names = region_names(sources) if keys is None else [str(key) for key in keys]
    return RoiSet(consumers, tuple(names), keys, is_single)


def _consumer(roi: Any, name: str, options: RegionOptions) -> RoiConsumer:
    if isinstance(roi, Voxels | Labels):
        return roi
    if isinstance(roi, Mapping | list | tuple):
        _refuse_seeds(roi)
        msg = (
            f"`{name}` must be one image, or lazyvox.Voxels([...]) for several masks. Got a "
            f"{type(roi).__name__}."
        )
        raise ParameterTypeError(msg)
    _refuse_seeds(roi)
    region = read_region_image(roi, name)
    if is_two_valued(region.values):
        mask = replace(region, values=as_mask(region))
        return Voxels(mask, dtype=options.dtype, resample=options.resample)
    if not is_integral(region.values):
        _refuse_fractions(region)
    if not region.values.any():
        msg = f"{region.name}: there must be a region in it. Got zeros only."
        raise RegionError(msg)
    return Labels(
        region,
        strategy=options.strategy,
        lut=options.lut,
        dtype=options.dtype,
        resample=options.resample,
    )


def _source(roi: Any) -> Any:
    """Return the image that a region set is named after, None where there are several."""
    if isinstance(roi, Voxels | Labels):
        return roi.imgs[0] if len(roi.imgs) == 1 else None
    return roi


def _check_options(
    items: Sequence[Any], consumers: Sequence[RoiConsumer], options: RegionOptions
) -> None:
    """Refuse options that would be dropped silently."""
    explicit = [isinstance(item, Voxels | Labels) for item in items]
    if all(explicit) and not options.are_default:
        msg = (
            "`strategy`, `lut`, `dtype` and `resample` hold for images and paths. Got "
            "lazyvox.Voxels or lazyvox.Labels only: set them there."
        )
        raise ParameterError(msg)
    concerned = any(
        isinstance(consumer, Labels) and not is_explicit
        for consumer, is_explicit in zip(consumers, explicit, strict=True)
    )
    if options.concern_labels and not concerned:
        msg = (
            "`strategy` and `lut` hold for labels images. Got masks only. An image with a single "
            "label is a mask unless you say lazyvox.Labels(...)."
        )
        raise ParameterError(msg)


def _refuse_seeds(roi: Any) -> None:
    """Raise for coordinates, which would be the centres of spheres."""
    is_table = isinstance(roi, np.ndarray) or hasattr(roi, "itertuples")
    if not is_table and isinstance(roi, list | tuple):
        is_table = bool(roi) and all(
            isinstance(item, int | float | np.number)
            or (isinstance(item, list | tuple | np.ndarray) and len(item) == 3)
            for item in roi
        )
    if is_table:
        msg = (
            "`rois` must be masks or labels images. Got an array, which looks like the seeds of "
            "spheres. This version does not extract spheres: make a mask of each, or use "
            "nilearn's NiftiSpheresMasker. An array that is a mask needs its affine: "
            "nibabel.Nifti1Image(mask.astype('uint8'), img.affine)."
        )
        raise RegionError(msg)


def _refuse_fractions(region: RegionImage) -> NoReturn:
    msg = (
        f"{region.name}: an image in 3D must be a mask (zero and one other integer) or hold "
        f"labels (integers). Got fractions: {shown_values(region.values)}. It looks like "
        f"probabilities: threshold it, and pass the mask or lazyvox.Voxels(mask); or like labels "
        f"that were interpolated: resample them by nearest neighbour, and pass "
        f"lazyvox.Labels(labels)."
    )
    raise RegionError(msg)
