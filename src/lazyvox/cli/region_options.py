"""The options of `lazyvox extract` about regions."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from lazyvox.cli.bids import bids_label, parse_name
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import stem_of
from lazyvox.cli.settings import PATH
from lazyvox.errors import ParameterError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.reduction import STRATEGIES
from lazyvox.extraction.rois import RegionOptions, RoiConsumer, mask_consumer
from lazyvox.extraction.spheres import Spheres
from lazyvox.lazyimage.load import as_image

__all__ = ["RegionSet", "Regions", "region_options"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

#: Entities of a BIDS name that tell atlases and masks apart.
_NAMING = ("atlas", "seg", "label", "desc")


@dataclass(frozen=True, slots=True)
class RegionSet:
    """One region set that is asked for.

    Attributes
    ----------
    kind : {"mask", "labels", "maps", "seeds"}
        The option that names it.
    path : str
        Its file.
    lut : str or None
        Table with the names of its regions.
    """

    kind: str
    path: str
    lut: str | None = None


@dataclass(frozen=True, slots=True)
class Regions:
    """The region sets that are asked for, and how they are read.

    Attributes
    ----------
    mask, labels, maps, seeds : tuple of str
        Masks, atlases, images of maps, and tables of the centres of spheres.
    radius : float or None
        Radius of spheres, in mm.
    allow_overlap : bool
        Whether spheres may share voxels.
    mask_img : str or None
        A mask that labels, maps and spheres are confined to.
    lut : tuple of str
        Tables with the names of labels and maps.
    strategy : str or None
        How to combine the voxels of a label, or of a mask.
    resample : bool
        Whether images on another grid are resampled.
    """

    mask: tuple[str, ...]
    labels: tuple[str, ...]
    maps: tuple[str, ...]
    seeds: tuple[str, ...]
    radius: float | None
    allow_overlap: bool
    mask_img: str | None
    lut: tuple[str, ...]
    strategy: str | None
    resample: bool

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if not self.paths:
            msg = (
                "no regions: pass --mask MASK, once or more, --labels ATLAS, --maps MAPS or "
                "--seeds TABLE, or several of them"
            )
            raise WrongUsageError(msg)
        n_labels, n_named = len(self.labels), len(self.labels) + len(self.maps)
        if self.lut and not n_named:
            msg = "--lut names the regions of --labels, or of --maps; both are missing"
            raise WrongUsageError(msg)
        if self.lut and len(self.lut) not in {n_labels, n_named}:
            msg = (
                f"--lut must be given once for each --labels, and may be given for each --maps "
                f"after that. Got {len(self.lut)} for {n_labels} and {len(self.maps)}"
            )
            raise WrongUsageError(msg)
        is_reduced = self.mask or self.labels or (self.seeds and self.strategy == "mean")
        if self.strategy is not None and not is_reduced:
            msg = f"--strategy {self.strategy} concerns --labels and --mask, which are missing"
            raise WrongUsageError(msg)
        for option, is_given in (
            ("radius", self.radius is not None),
            ("allow-overlap", self.allow_overlap),
        ):
            if is_given and not self.seeds:
                msg = f"--{option} concerns the spheres around --seeds, which is missing"
                raise WrongUsageError(msg)
        if self.mask_img and not (self.labels or self.maps or self.seeds or self.strategy):
            msg = (
                "--mask-img confines --labels, --maps and --seeds, and there is none of them. "
                "For the signals of its voxels pass --mask"
            )
            raise WrongUsageError(msg)

    @property
    def sets(self) -> list[RegionSet]:
        """The region sets in the order of results."""
        n_labels = len(self.labels)
        tables = iter(self.lut)
        # A table numbers the regions of one image: of a single one those of the first image.
        names_maps = len(self.lut) > n_labels or not n_labels
        return [
            *(RegionSet("mask", path) for path in self.mask),
            *(RegionSet("labels", path, next(tables, None)) for path in self.labels),
            *(
                RegionSet("maps", one, next(tables, None) if names_maps else None)
                for one in self.maps
            ),
            *(RegionSet("seeds", path) for path in self.seeds),
        ]

    @property
    def paths(self) -> list[str]:
        """The file of each region set."""
        return [*self.mask, *self.labels, *self.maps, *self.seeds]

    @property
    def inputs(self) -> list[str]:
        """All files that are read besides the runs."""
        return [*self.paths, *self.lut, *([self.mask_img] if self.mask_img else [])]

    def confines(self, one: RegionSet) -> bool:
        """Return whether --mask-img concerns a region set."""
        return self.mask_img is not None and (one.kind != "mask" or self.strategy is not None)

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
        kinds = {
            "mask": ("label", self.strategy or ""),
            "labels": ("atlas", self.strategy or "mean"),
            "maps": ("atlas", ""),
            "seeds": ("atlas", "mean"),
        }
        labels = [_bids_label(path) for path in self.paths]
        count = Counter(labels)
        return [
            (
                kinds[one.kind][0],
                bids_label(name) if count[label] > 1 else label,
                kinds[one.kind][1],
            )
            for one, label, name in zip(self.sets, labels, self.names(), strict=True)
        ]

    def consumers(
        self, outs: Sequence[str | None], dtype: str | None, *, overwrite: bool
    ) -> list[RoiConsumer]:
        """Return the consumer of each region set.

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
        # Opened once, however many region sets it confines.
        confining = None if self.mask_img is None else as_image(self.mask_img)
        options = RegionOptions(
            self.strategy, dtype=dtype, resample=self.resample, mask_img=confining
        )
        found = []
        for one, out, name in zip(self.sets, outs, self.names(), strict=True):
            consumer = self._consumer(one, name, options)
            written = consumer if out is None else consumer.writing_to(out, overwrite=overwrite)
            found.append(written)
        return found

    def _consumer(self, one: RegionSet, name: str, options: RegionOptions) -> RoiConsumer:
        if one.kind == "mask":
            return mask_consumer(one.path, "mask_imgs", name, options)
        # Each class has its own parameters; these are those of all.
        common: dict[str, Any] = {
            "dtype": options.dtype,
            "resample": options.resample,
            "mask_img": options.mask_img,
        }
        if one.kind == "labels":
            return Labels(one.path, strategy=self.strategy or "mean", lut=one.lut, **common)
        if one.kind == "maps":
            return Maps(one.path, names=one.lut, **common)
        return Spheres(one.path, self.radius, allow_overlap=self.allow_overlap, **common)

    def to_dict(self, one: RegionSet) -> dict[str, Any]:
        """Return the options of one region set, for JSON; files are among the sources."""
        record: dict[str, Any] = {"resample": self.resample}
        if one.kind == "labels" or (one.kind == "mask" and self.strategy is not None):
            record["strategy"] = self.strategy or "mean"
        if one.kind == "seeds":
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


def _file(option: str, metavar: str, text: str, *, multiple: bool = True) -> Any:
    return click.option(
        option,
        metavar=metavar,
        multiple=multiple,
        type=PATH,
        expose_value=False,
        callback=_keep,
        help=text,
    )


_OPTIONS = (
    _file(
        "--mask",
        "MASK",
        "Mask image: a column for each of its voxels, or one with --strategy. This option, --labels, "
        "--maps and --seeds may be given several times.",
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
        help="Sphere radius in mm. Default: the table's radius column, or the single voxel nearest "
        "the seed.",
    ),
    click.option(
        "--allow-overlap",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Let spheres share voxels.",
    ),
    _file(
        "--mask-img", "MASK", "Mask that labels, maps and spheres are confined to.", multiple=False
    ),
    _file(
        "--lut",
        "TABLE",
        "Names of the regions of --labels, or without it of --maps: a BIDS dseg.tsv, FSL's XML, "
        "or FreeSurfer's colour table. Once for each of several.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(STRATEGIES),
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help=f"Statistic over the voxels of a label, or of a mask: {', '.join(STRATEGIES)}. By "
        "default the mean for labels; a mask gives a column for each voxel.",
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
