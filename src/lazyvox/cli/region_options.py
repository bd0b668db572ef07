"""The options of `lazyvox extract` that say what regions are."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from lazyvox.cli.bids import bids_label, parse_name
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import stem_of
from lazyvox.errors import ParameterError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.rois import RoiConsumer
from lazyvox.extraction.spheres import Spheres
from lazyvox.extraction.voxels import Voxels
from lazyvox.lazyimage.load import as_image

__all__ = ["Regions", "region_options"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

_STRATEGIES = (
    "mean",
    "sum",
    "median",
    "minimum",
    "maximum",
    "standard_deviation",
    "variance",
)
#: Entities of a BIDS name that tell atlases and masks apart.
_NAMING = ("atlas", "seg", "label", "desc")


@dataclass(frozen=True, slots=True)
class Regions:
    """Which region sets are asked for, and how they are read.

    Attributes
    ----------
    mask : tuple of str
        Masks.
    labels, maps, seeds : str or None
        Atlas, image of maps, and table of the centres of spheres.
    radius : float or None
        Radius of spheres, in mm.
    allow_overlap : bool
        Whether spheres may share voxels.
    mask_img : str or None
        A mask that labels, maps and spheres are confined to.
    lut : str or None
        Table with the names of labels or maps.
    strategy : str
        Statistic over the voxels of a label.
    resample : bool
        Whether images on another grid are resampled.
    """

    mask: tuple[str, ...]
    labels: str | None
    maps: str | None
    seeds: str | None
    radius: float | None
    allow_overlap: bool
    mask_img: str | None
    lut: str | None
    strategy: str
    resample: bool

    def __post_init__(self) -> None:
        """Refuse what makes no sense together."""
        if not self.paths:
            msg = (
                "no regions: pass --mask MASK, once or more, --labels ATLAS, --maps MAPS or "
                "--seeds TABLE, or several of them"
            )
            raise WrongUsageError(msg)
        if self.lut and not self.labels and not self.maps:
            msg = "--lut names the regions of --labels, or of --maps; both are missing"
            raise WrongUsageError(msg)
        if self.strategy != "mean" and not self.labels:
            msg = f"--strategy {self.strategy} concerns --labels, which is missing"
            raise WrongUsageError(msg)
        for option, is_given in (("radius", self.radius is not None), *self._flags):
            if is_given and not self.seeds:
                msg = f"--{option} concerns the spheres around --seeds, which is missing"
                raise WrongUsageError(msg)
        if self.mask_img and not (self.labels or self.maps or self.seeds):
            msg = (
                "--mask-img confines --labels, --maps and --seeds, and there is none of them. "
                "For the signals of its voxels pass --mask"
            )
            raise WrongUsageError(msg)

    @property
    def _flags(self) -> tuple[tuple[str, bool], ...]:
        return (("allow-overlap", self.allow_overlap),)

    @property
    def paths(self) -> list[str]:
        """The file of each region set."""
        others = (self.labels, self.maps, self.seeds)
        return [*self.mask, *[path for path in others if path]]

    @property
    def inputs(self) -> list[str]:
        """All files that are read besides the runs."""
        return [*self.paths, *[path for path in (self.lut, self.mask_img) if path]]

    def names(self) -> list[str]:
        """Return a name for each region set: its file's, with its folder's where that is needed."""
        stems = [_stem(path) for path in self.paths]
        count = Counter(stems)
        return [
            f"{Path(path).absolute().parent.name}_{stem}" if count[stem] > 1 else stem
            for path, stem in zip(self.paths, stems, strict=True)
        ]

    def bids_labels(self) -> list[tuple[str, str, str]]:
        """Return, for BIDS names, entity, label and statistic of each region set."""
        kinds = [("label", "")] * len(self.mask)
        kinds += [("atlas", self.strategy)] if self.labels else []
        kinds += [("atlas", "")] if self.maps else []
        kinds += [("atlas", "mean")] if self.seeds else []
        labels = [_bids_label(path) for path in self.paths]
        count = Counter(labels)
        return [
            (key, bids_label(name) if count[label] > 1 else label, stat)
            for (key, stat), label, name in zip(kinds, labels, self.names(), strict=True)
        ]

    def consumers(
        self, outs: Sequence[str | None], dtype: str | None, *, overwrite: bool
    ) -> list[RoiConsumer]:
        """Return what extracts each region set.

        Parameters
        ----------
        outs : sequence of str or None
            File that each of them writes.
        dtype : str or None
            Type of the values.
        overwrite : bool
            Whether existing files may be replaced.

        Returns
        -------
        list of Voxels, Labels, Maps or Spheres
            In the order of `paths`.

        Raises
        ------
        RegionError
            If the seeds cannot be read.
        """
        # Each class has its own parameters; these are those of all.
        common: list[dict[str, Any]] = [
            {"out": out, "dtype": dtype, "overwrite": overwrite, "resample": self.resample}
            for out in outs
        ]
        found: list[RoiConsumer] = [
            Voxels(path, **options) for path, options in zip(self.mask, common, strict=False)
        ]
        # Opened once, however many region sets it confines.
        mask_img = None if self.mask_img is None else as_image(self.mask_img)
        for options in common[len(self.mask) :]:
            options["mask_img"] = mask_img
        rest = iter(common[len(self.mask) :])
        if self.labels:
            strategy, lut = self.strategy, self.lut
            found.append(Labels(self.labels, strategy=strategy, lut=lut, **next(rest)))
        if self.maps:
            # A table numbers the regions of one image.
            names = None if self.labels else self.lut
            found.append(Maps(self.maps, names=names, **next(rest)))
        if self.seeds:
            overlap = self.allow_overlap
            found.append(Spheres(self.seeds, self.radius, allow_overlap=overlap, **next(rest)))
        return found

    def to_dict(self, number: int) -> dict[str, Any]:
        """Return what was asked for of one region set, for JSON; files are among the sources."""
        record: dict[str, Any] = {"resample": self.resample}
        if self.labels and number == len(self.mask):
            record["strategy"] = self.strategy
        if self.seeds and number == len(self.paths) - 1:
            record |= {"radius": self.radius, "allow_overlap": self.allow_overlap}
        return record


def _stem(path: str) -> str:
    stem = stem_of(path)
    # Seeds are in tables.
    return Path(stem).stem if Path(stem).suffix.lower() in {".tsv", ".csv"} else stem


def _bids_label(path: str) -> str:
    """Return what a name made of entities says, or else the name itself, as a label."""
    try:
        name = parse_name(path)
    except ParameterError:
        return bids_label(_stem(path))
    return "".join(name.get(key) or "" for key in _NAMING) or bids_label(_stem(path))


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    ctx.ensure_object(dict)[param.name] = value


def _file(option: str, metavar: str, text: str, *, multiple: bool = False) -> Any:
    return click.option(
        option,
        metavar=metavar,
        multiple=multiple,
        type=click.Path(readable=False, path_type=str),
        expose_value=False,
        callback=_keep,
        help=text,
    )


_OPTIONS = (
    _file(
        "--mask",
        "MASK",
        "Mask image: a column for each of its voxels. May be given several times.",
        multiple=True,
    ),
    _file("--labels", "ATLAS", "Labels image: a column for each of its regions."),
    _file("--maps", "MAPS", "4D image of weights: a column for each map, by least squares."),
    _file(
        "--seeds",
        "TABLE",
        "Centres of spheres in mm: a .tsv or .csv with the columns x, y and z, and, where there "
        "are, name and radius. A column for each.",
    ),
    click.option(
        "--radius",
        type=click.FloatRange(min=0),
        metavar="MM",
        expose_value=False,
        callback=_keep,
        help="Sphere radius in mm. Default: the radius column of the table, or the single voxel nearest the seed.",
    ),
    click.option(
        "--allow-overlap",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Let spheres share voxels.",
    ),
    _file("--mask-img", "MASK", "Mask that labels, maps and spheres are confined to."),
    _file(
        "--lut",
        "TABLE",
        "Names of the regions of --labels, or without it of --maps: a BIDS dseg.tsv, FSL's XML, "
        "or FreeSurfer's colour table.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(_STRATEGIES),
        default="mean",
        show_default=True,
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help=f"Statistic over the voxels of each label: {', '.join(_STRATEGIES)}.",
    ),
    click.option(
        "--resample",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Bring regions to the grid of RUN: maps by linear interpolation, all others by "
        "nearest neighbour.",
    ),
)


def region_options(command: _Decorated) -> _Decorated:
    """Add the options about regions; their values are in the object of the context."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
