"""`--seed`: the centre of a sphere on the command line, as X,Y,Z or X,Y,Z,R in mm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np

from lazyvox.extraction.seeds import SeedTable

__all__ = ["InlineSeed", "parse_seeds", "seed_table"]


@dataclass(frozen=True, slots=True)
class InlineSeed:
    """One seed.

    Attributes
    ----------
    xyz : tuple of float
        Centre in mm.
    radius : float or None
        Radius in mm.
    text : str
        The coordinates, as they were written.
    """

    xyz: tuple[float, float, float]
    radius: float | None
    text: str

    @property
    def name(self) -> str:
        """Name of the seed: its coordinates."""
        return self.text.replace(",", "_")


def parse_seeds(
    ctx: click.Context, param: click.Parameter, texts: Sequence[str]
) -> tuple[InlineSeed, ...]:
    """Return the seeds that texts describe; a callback of an option that may be given again."""
    seeds = tuple(_parsed(text, ctx, param) for text in texts)
    twice = [text for text, seed in zip(texts, seeds, strict=True) if seeds.count(seed) > 1]
    if twice:
        msg = f"must be a seed that is given once. Got {twice[0]!r} twice"
        raise click.BadParameter(msg, ctx, param)
    return seeds


def _parsed(text: str, ctx: click.Context | None, param: click.Parameter | None) -> InlineSeed:
    parts = [part.strip() for part in text.split(",")]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    is_sound = len(numbers) in {3, 4} and all(map(math.isfinite, numbers))
    if not is_sound or min(numbers[3:], default=0) < 0:
        msg = (
            f"must be coordinates in mm, as in 0,-52,18, or with a radius behind them, as in "
            f"0,-52,18,8. Got {text!r}"
        )
        raise click.BadParameter(msg, ctx, param)
    x, y, z, *rest = numbers
    return InlineSeed((x, y, z), rest[0] if rest else None, ",".join(parts[:3]))


def seed_table(seeds: Sequence[InlineSeed], radius: float | None) -> SeedTable:
    """Return seeds as a table; `radius` is that of those that do not say theirs.

    Examples
    --------
    >>> table = seed_table([InlineSeed((0, -52, 18), 8.0, "0,-52,18")], None)
    >>> table.names, table.radii
    (('0_-52_18',), (8.0,))
    """
    radii = tuple(radius if one.radius is None else one.radius for one in seeds)
    xyz, names = np.array([one.xyz for one in seeds]), tuple(one.name for one in seeds)
    return SeedTable(xyz, names, radii, "seed")
