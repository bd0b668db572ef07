"""Shared work of `mean`, `std` and `tsnr`: one value per voxel, written as an image."""

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings
from lazyvox.cli.settings import Settings
from lazyvox.lazyimage.save import save
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.scan import Scan

__all__ = ["OUTPUT_TEXT", "ddof_option", "type_option", "write_voxelwise"]

OUTPUT_TEXT = f"Image to write; ends in {list_endings(IMAGE_ENDINGS)}."

#: Types of the values on disk. What is stored is computed in float64.
_TYPES = ("float32", "float64")

type_option = click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    default="float32",
    show_default=True,
    help="Type on disk; computed is in float64.",
)

ddof_option = click.option(
    "--ddof",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Sums of squares are divided by the number of volumes minus this.",
)


def write_voxelwise(
    command: str,
    consumer: Consumer[Any],
    runs: Sequence[str],
    output: str | None,
    dtype: str,
    settings: Settings,
) -> None:
    """Run one consumer over a series and write the image that it results in."""
    target = check_output(output, IMAGE_ENDINGS, runs, settings)
    scan = Scan(list(runs))
    handle = scan.add(consumer)

    def work() -> list[Written]:
        scan.run(n_jobs=settings.n_jobs, progress=settings.progress)
        img = handle.result()
        save(img, target, dtype=np.dtype(dtype), overwrite=settings.overwrite, n_jobs=1)
        return [Written(target, tuple(img.shape), dtype)]

    perform(Job(command, runs, lambda: scan.plan(n_jobs=settings.n_jobs), work), settings)
