"""The options of `lazyvox seedmap` about seeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import stem_of
from lazyvox.cli.seed_option import InlineSeed, parse_seeds, seed_table
from lazyvox.cli.settings import PATH
from lazyvox.errors import RegionError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.rois import RegionOptions, RoiConsumer, mask_consumer
from lazyvox.extraction.spheres import Spheres

__all__ = ["SeedChoice", "seed_options"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)


@dataclass(frozen=True, slots=True)
class SeedChoice:
    """The seeds that are asked for.

    Attributes
    ----------
    seed : tuple of InlineSeed
        Spheres.
    seeds, mask, labels : tuple of str
        Tables of the centres of spheres, masks, and atlases.
    lut : tuple of str
        Tables with the names of the regions of atlases.
    radius : float or None
        Radius of spheres that have none of their own, in mm.
    resample : bool
        Whether masks and atlases on another grid are resampled.
    """

    seed: tuple[InlineSeed, ...]
    seeds: tuple[str, ...]
    mask: tuple[str, ...]
    labels: tuple[str, ...]
    lut: tuple[str, ...]
    radius: float | None
    resample: bool

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if not self.options:
            msg = (
                "no seed: pass --seed X,Y,Z or X,Y,Z,R in mm, --seeds TABLE, --mask MASK or --labels "
                "ATLAS, or several of them"
            )
            raise WrongUsageError(msg)
        has_place = self.seeds or any(one.radius is None for one in self.seed)
        if self.radius is not None and not has_place:
            msg = (
                "--radius concerns --seed without a radius of its own, and --seeds: there is none"
            )
            raise WrongUsageError(msg)
        if self.lut and len(self.lut) != len(self.labels):
            msg = (
                f"--lut must be given once for each --labels. Got {len(self.lut)} for "
                f"{len(self.labels)}"
            )
            raise WrongUsageError(msg)

    @property
    def options(self) -> list[str]:
        """The options that name seeds, of those that are given."""
        given = {
            "--seed": self.seed,
            "--seeds": self.seeds,
            "--mask": self.mask,
            "--labels": self.labels,
        }
        return [option for option, value in given.items() if value]

    @property
    def images(self) -> list[str]:
        """Files of masks and atlases."""
        return [*self.mask, *self.labels]

    @property
    def inputs(self) -> list[str]:
        """All files that are read."""
        return [*self.seeds, *self.images, *self.lut]

    def consumers(self) -> list[RoiConsumer]:
        """Return what gives the signals of the seeds."""
        shared: dict[str, Any] = {"allow_overlap": True, "resample": self.resample}
        found: list[RoiConsumer] = []
        if self.seed:
            found.append(Spheres(seed_table(self.seed, self.radius), **shared))
        found += [Spheres(table, self.radius, **shared) for table in self.seeds]
        options = RegionOptions("mean", resample=self.resample)
        found += [_of_mask(one, options) for one in self.mask]
        luts = self.lut or (None,) * len(self.labels)
        found += [
            Labels(atlas, lut=lut, resample=self.resample)
            for atlas, lut in zip(self.labels, luts, strict=True)
        ]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the options, for JSON; files are among the sources."""
        places = [[*one.xyz, one.radius] for one in self.seed]
        return {"seed": places, "radius": self.radius, "resample": self.resample}


def _of_mask(path: str, options: RegionOptions) -> RoiConsumer:
    try:
        return mask_consumer(path, "mask_imgs", stem_of(path), options)
    except RegionError as error:
        # Maps have no option here.
        hint = "" if "--maps" in error.cli_hint else error.cli_hint
        raise RegionError(error.message, hint=hint) from error


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    ctx.ensure_object(dict)[param.name] = value


def _keep_seeds(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> None:
    _keep(ctx, param, parse_seeds(ctx, param, texts))


def _files(option: str, metavar: str, text: str) -> Any:
    return click.option(
        option,
        metavar=metavar,
        multiple=True,
        type=PATH,
        expose_value=False,
        callback=_keep,
        help=text,
    )


_OPTIONS = (
    click.option(
        "--seed",
        metavar="X,Y,Z[,R]",
        multiple=True,
        expose_value=False,
        callback=_keep_seeds,
        help="Centre of a sphere in mm, and its radius; without one the voxel nearest to it. This "
        "option, --seeds, --mask and --labels may be given several times.",
    ),
    _files(
        "--seeds",
        "TABLE",
        "Centres of spheres in mm: a .tsv or .csv with the columns x, y and z, and, where there "
        "are, name and radius.",
    ),
    _files("--mask", "MASK", "Mask image: the mean of its voxels is the signal of a seed."),
    _files("--labels", "ATLAS", "Labels image: each of its regions is a seed."),
    _files(
        "--lut",
        "TABLE",
        "Names of the regions of --labels: a BIDS dseg.tsv, FSL's XML, or FreeSurfer's colour "
        "table. Once for each of several.",
    ),
    click.option(
        "--radius",
        type=click.FloatRange(min=0),
        metavar="MM",
        expose_value=False,
        callback=_keep,
        help="Radius of spheres that have none of their own, in mm.",
    ),
    click.option(
        "--resample",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Bring masks and labels to the grid of RUN by nearest neighbour.",
    ),
)


def seed_options(command: _Decorated) -> _Decorated:
    """Add the options about seeds; `lazyvox.cli.settings.chosen` gives their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
