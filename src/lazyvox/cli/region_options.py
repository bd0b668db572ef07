"""The options about regions: those of `lazyvox extract`, and the seeds of `lazyvox seedmap`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from lazyvox._typing import override
from lazyvox.bids.names import bids_label, parse_name
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import stem_of
from lazyvox.cli.seed_option import InlineSeed, parse_seeds, seed_table
from lazyvox.cli.settings import PATH, keep
from lazyvox.errors import ParameterError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.reduction import EIGENVARIATE, SHORT_NAMES, STRATEGIES, Strategies
from lazyvox.extraction.rois import RegionOptions, RoiConsumer, mask_consumer, voxel_consumer
from lazyvox.extraction.spheres import Spheres
from lazyvox.lazyimage.opened_image import opened_image
from lazyvox.lazyimage.series import Grid

__all__ = ["RegionSet", "Regions", "region_options", "seed_options"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

#: Entities of a BIDS name that tell atlases and masks apart.
_NAMING = ("atlas", "seg", "label", "desc")


@dataclass(frozen=True, slots=True)
class RegionSet:
    """One region set that is asked for.

    Attributes
    ----------
    kind : {"mask", "labels", "maps", "seeds", "seed", "voxel"}
        The option that names it.
    path : str
        Its file; empty where the command line itself has the places.
    lut : str or None
        Table with the names of its regions.
    """

    kind: str
    path: str = ""
    lut: str | None = None

    @property
    def stem(self) -> str:
        """Name of its file, or of the option."""
        return _stem(self.path) if self.path else self.kind


@dataclass(frozen=True, slots=True)
class Regions:
    """The region sets that are asked for, and how they are read.

    Attributes
    ----------
    mask, labels, maps, seeds : tuple of str
        Masks, atlases, images of maps, and tables of the centres of spheres.
    seed : tuple of InlineSeed
        Centres of spheres.
    voxel : tuple of tuple of int
        Indices of voxels.
    radius : float or None
        Radius of spheres, in mm.
    allow_overlap : bool
        Whether spheres may share voxels.
    mask_img : str or None
        A mask that labels, maps and spheres are confined to.
    lut : tuple of str
        Tables with the names of labels and maps.
    strategy : Strategies or None
        How to combine the voxels of a label or a sphere, or of a mask.
    min_coverage : float or None
        Part of its voxels that must hold signal for a region to have values.
    resample : bool
        Whether images on another grid are resampled.
    """

    mask: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    seed: tuple[InlineSeed, ...] = ()
    voxel: tuple[tuple[int, ...], ...] = ()
    radius: float | None = None
    allow_overlap: bool = False
    mask_img: str | None = None
    lut: tuple[str, ...] = ()
    strategy: Strategies | None = None
    min_coverage: float | None = None
    resample: bool = False

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if not self.sets:
            msg = (
                "no regions: pass --mask MASK, once or more, --labels ATLAS, --maps MAPS, --seeds "
                "TABLE, --seed X,Y,Z or --voxel I,J,K, or several of them"
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
        if self.strategy is not None and all(one.kind == "maps" for one in self.sets):
            shown = ",".join(self.strategy.given)
            msg = (
                f"--strategy {shown} concerns --labels, --mask, --seeds, --seed and --voxel, which "
                f"are missing"
            )
            raise WrongUsageError(msg)
        if self.min_coverage is not None and not any(map(self.is_reduced, self.sets)):
            msg = (
                "--min-coverage concerns --labels, --seeds, --seed, and --mask with --strategy, "
                "which are missing"
            )
            raise WrongUsageError(msg)
        self._check_spheres()
        if self.mask_img and not any(map(self.confines, self.sets)):
            msg = (
                "--mask-img confines --labels, --maps, --seeds and --seed, and there is none of "
                "them. For the signals of its voxels pass --mask"
            )
            raise WrongUsageError(msg)
        twice = [one for one in self.voxel if self.voxel.count(one) > 1]
        if twice:
            msg = f"--voxel {','.join(map(str, twice[0]))} must be given once. Got it twice"
            raise WrongUsageError(msg)

    def _check_spheres(self) -> None:
        """Refuse options of spheres that concern none."""
        for option, is_given in (
            ("radius", self.radius is not None),
            ("allow-overlap", self.allow_overlap),
        ):
            if is_given and not self.seeds and not self.seed:
                msg = (
                    f"--{option} concerns the spheres around --seeds and --seed, which are missing"
                )
                raise WrongUsageError(msg)
        has_radii = all(one.radius is not None for one in self.seed)
        if self.radius is not None and has_radii and not self.seeds:
            msg = (
                "--radius concerns --seed without a radius of its own, and --seeds: there is none"
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
            *([RegionSet("seed")] if self.seed else []),
            *([RegionSet("voxel")] if self.voxel else []),
        ]

    @property
    def inputs(self) -> list[str]:
        """All files that are read besides the runs."""
        paths = [one.path for one in self.sets if one.path]
        return [*paths, *self.lut, *([self.mask_img] if self.mask_img else [])]

    def is_reduced(self, one: RegionSet) -> bool:
        """Return whether the voxels of a region are combined, and so have a coverage."""
        return one.kind != "maps" and (one.kind != "mask" or self.strategy is not None)

    def confines(self, one: RegionSet) -> bool:
        """Return whether --mask-img concerns a region set."""
        if self.mask_img is None or one.kind == "voxel":
            return False
        return one.kind != "mask" or self.strategy is not None

    def names(self) -> list[str]:
        """Return a name for each region set: its file's, with its folder's where that is needed."""
        stems = [one.stem for one in self.sets]
        count = Counter(stems)
        return [
            f"{Path(one.path).absolute().parent.name}_{stem}"
            if count[stem] > 1 and one.path
            else stem
            for one, stem in zip(self.sets, stems, strict=True)
        ]

    def bids_labels(self) -> list[tuple[str, str, str]]:
        """Return, for BIDS names, entity, label and statistic of each region set."""
        labels = [_bids_label(one.path) if one.path else one.kind for one in self.sets]
        count = Counter(labels)
        return [
            (
                "label" if one.kind == "mask" else "atlas",
                bids_label(name) if count[label] > 1 else label,
                "_".join(self._strategy.given) if self.is_reduced(one) else "",
            )
            for one, label, name in zip(self.sets, labels, self.names(), strict=True)
        ]

    @property
    def _strategy(self) -> Strategies:
        return self.strategy or Strategies(("mean",))

    def consumers(
        self, outs: Sequence[str | None], dtype: str | None, grid: Grid, *, overwrite: bool
    ) -> list[RoiConsumer]:
        """Return the consumer of each region set.

        Parameters
        ----------
        outs : sequence of str or None
            File that each of them writes.
        dtype : str or None
            Type of the values.
        grid : Grid
            Grid of the runs.
        overwrite : bool
            Whether existing files may be replaced.

        Returns
        -------
        list of Voxels, Labels, Maps or Spheres
            In the order of `sets`.

        Raises
        ------
        RegionError
            If the seeds cannot be read.
        ParameterError
            If a voxel is not on the grid.
        """
        # Opened once, however many region sets it confines.
        confining = None if self.mask_img is None else opened_image(self.mask_img)
        options = RegionOptions(
            None if self.strategy is None else self.strategy.given,
            dtype=dtype,
            resample=self.resample,
            mask_img=confining,
            min_coverage=self.min_coverage,
        )
        found = []
        for one, out, name in zip(self.sets, outs, self.names(), strict=True):
            consumer = self._consumer(one, name, options, grid)
            written = consumer if out is None else consumer.writing_to(out, overwrite=overwrite)
            found.append(written)
        return found

    def _consumer(
        self, one: RegionSet, name: str, options: RegionOptions, grid: Grid
    ) -> RoiConsumer:
        if one.kind == "mask":
            return mask_consumer(one.path, "mask_imgs", name, options)
        if one.kind == "labels":
            return Labels(one.path, lut=one.lut, **options.reduced)
        if one.kind == "maps":
            return Maps(one.path, names=one.lut, mask_img=options.mask_img, **options.common)
        if one.kind == "voxel":
            return voxel_consumer(self.voxel, grid, options)
        seeds: Any = one.path or seed_table(self.seed, self.radius)
        radius = self.radius if one.path else None
        return Spheres(seeds, radius, allow_overlap=self.allow_overlap, **options.reduced)

    def to_dict(self, one: RegionSet) -> dict[str, Any]:
        """Return the options of one region set, for JSON; files are among the sources."""
        record: dict[str, Any] = {"resample": self.resample}
        if self.is_reduced(one):
            record["strategy"] = ",".join(self._strategy.given)
            record["min_coverage"] = self.min_coverage
        if one.kind in {"seeds", "seed"}:
            record |= {"radius": self.radius, "allow_overlap": self.allow_overlap}
        if one.kind == "seed":
            record["seed"] = [asdict(one) for one in self.seed]
        if one.kind == "voxel":
            record["voxel"] = [list(place) for place in self.voxel]
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


def _keep_strategy(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Store the strategies, or refuse them."""
    try:
        keep(ctx, param, None if value is None else Strategies.of(value))
    except ParameterError as error:
        text = error.message.removeprefix("`strategy` ").rstrip(".")
        raise click.BadParameter(text, ctx, param) from error


def _keep_seeds(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    keep(ctx, param, parse_seeds(ctx, param, value))


def _keep_voxels(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    """Store indices of voxels."""
    found = []
    for text in value:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            msg = f"must be I,J,K: indices of a voxel, counted from 0. Got {text!r}"
            raise click.BadParameter(msg, ctx, param)
        found.append(tuple(map(int, parts)))
    keep(ctx, param, tuple(found))


class _StrategyNames(click.types.StringParamType):
    """Names of strategies with commas between them, which a shell may complete."""

    name = "names"

    @override
    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, begun = incomplete.rpartition(",")
        known = (*STRATEGIES, *SHORT_NAMES, EIGENVARIATE)
        return [CompletionItem(before + comma + one) for one in known if one.startswith(begun)]


def _places(option: str, metavar: str, callback: Callable[..., None], text: str) -> Any:
    return click.option(
        option, metavar=metavar, multiple=True, expose_value=False, callback=callback, help=text
    )


def _file(option: str, metavar: str, text: str, *, multiple: bool = True) -> Any:
    return click.option(
        option,
        metavar=metavar,
        multiple=multiple,
        type=PATH,
        expose_value=False,
        callback=keep,
        help=text,
    )


_RADIUS = click.option(
    "--radius",
    type=click.FloatRange(min=0),
    metavar="MM",
    expose_value=False,
    callback=keep,
    help="Sphere radius in mm. Default: the table's radius column, or the single voxel nearest "
    "the seed.",
)

_RESAMPLE = click.option(
    "--resample",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="Bring regions to the grid of RUN: maps by linear interpolation, all others by "
    "nearest neighbour.",
)

_OPTIONS = (
    _file(
        "--mask",
        "MASK",
        "Mask image: a column for each of its voxels, or one with --strategy. This option, --labels, "
        "--maps, --seeds, --seed and --voxel may be given several times.",
    ),
    _file("--labels", "ATLAS", "Labels image: a column for each of its regions."),
    _file("--maps", "MAPS", "4D image of weights: a column for each map, by least squares."),
    _file(
        "--seeds",
        "TABLE",
        "Centres of spheres in mm: a .tsv or .csv with the columns x, y and z, and, where there "
        "are, name and radius. A column for each.",
    ),
    _places(
        "--seed",
        "X,Y,Z[,R]",
        _keep_seeds,
        "Centre of a sphere in mm, as 0,-52,18 or, with its radius, 0,-52,18,6: a column, or "
        "without a radius that of the nearest voxel (fslmeants -c X Y Z --usemm).",
    ),
    _places(
        "--voxel",
        "I,J,K",
        _keep_voxels,
        "Indices of a voxel, counted from 0: a column (fslmeants -c I J K).",
    ),
    _RADIUS,
    click.option(
        "--allow-overlap",
        is_flag=True,
        expose_value=False,
        callback=keep,
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
        type=_StrategyNames(),
        metavar="NAMES",
        expose_value=False,
        callback=_keep_strategy,
        help=f"Statistics over the voxels of a label, a sphere or a mask, as in mean,std, a column "
        f"for each: {', '.join((*STRATEGIES, EIGENVARIATE))}; in short {', '.join(SHORT_NAMES)}. By "
        "default the mean for labels and spheres; a mask gives a column for each voxel. "
        "standard_deviation and variance divide by n. The eigenvariate is sqrt(volumes) times "
        "the first left singular vector of the centred voxels (fslmeants --eig).",
    ),
    click.option(
        "--min-coverage",
        type=click.FloatRange(0, 1),
        metavar="FRACTION",
        expose_value=False,
        callback=keep,
        help="Give n/a for regions of which a smaller part of the voxels is finite in all volumes "
        "and not zero in all of them.",
    ),
    _RESAMPLE,
)


_SEED_OPTIONS = (
    _places(
        "--seed",
        "X,Y,Z[,R]",
        _keep_seeds,
        "Centre of a sphere in mm, and its radius; without one the voxel nearest to it. This "
        "option, --voxel, --seeds, --mask and --labels may be given several times.",
    ),
    _places("--voxel", "I,J,K", _keep_voxels, "Indices of a voxel, counted from 0."),
    _file(
        "--seeds",
        "TABLE",
        "Centres of spheres in mm: a .tsv or .csv with the columns x, y and z, and, where there "
        "are, name and radius.",
    ),
    _file("--mask", "MASK", "Mask image: the mean of its voxels is the signal of a seed."),
    _file("--labels", "ATLAS", "Labels image: each of its regions is a seed."),
    _file(
        "--lut",
        "TABLE",
        "Names of the regions of --labels: a BIDS dseg.tsv, FSL's XML, or FreeSurfer's colour "
        "table. Once for each of several.",
    ),
    _RADIUS,
    _RESAMPLE,
)


def region_options(command: _Decorated) -> _Decorated:
    """Add the options about regions; their values are in the object of the context."""
    return _with_options(command, _OPTIONS)


def seed_options(command: _Decorated) -> _Decorated:
    """Add the options about seeds, which are regions; likewise."""
    return _with_options(command, _SEED_OPTIONS)


def _with_options(command: _Decorated, options: Sequence[Any]) -> _Decorated:
    for option in reversed(options):
        command = option(command)
    return command
