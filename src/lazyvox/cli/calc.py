"""`lazyvox calc`: images and numbers from a formula of images."""

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.cli.image_output import (
    REALS,
    Chunks,
    ImageOutput,
    chunks_option,
    dtype_option,
    save_job,
    scale_option,
)
from lazyvox.cli.job import Job, perform
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_ENDINGS, IMAGE_OUTPUT_TEXT, check_output
from lazyvox.cli.settings import (
    Command,
    Settings,
    common_options_without_v,
    examples,
    output_option,
)
from lazyvox.errors import MaterializationError, ParameterError
from lazyvox.image.arithmetic import formula_array, unused_names
from lazyvox.image.checking import check_niimg
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, storable
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.lazyimage.reading_plan import plan_passes, value_layout
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.blocks import DECODER
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.strict import strict
from lazyvox.store.files.paths import expand_home

__all__ = ["calc"]

#: Names of the functions themselves in formulas.
_RESERVED = {"np", "numpy"}

_LEADING_MINUS = re.compile(r"-[^-voh]")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers that are printed: one, or one on each line."""

    values: Array

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON, in which they are finite or null."""
        flat = [one if np.isfinite(one) else None for one in self.values.ravel().tolist()]
        return {"values": flat, "shape": self.values.shape, "dtype": self.values.dtype.name}

    @override
    def __str__(self) -> str:
        """Return the shortest texts that give the numbers back."""
        return "\n".join(str(one) for one in self.values.ravel())


@dataclass(frozen=True, slots=True, eq=False)
class _Calculation:
    """A formula, its images, and where the result goes."""

    formula: str
    paths: Mapping[str, str]
    output: ImageOutput
    settings: Settings

    def job(self) -> Job:
        """Return the job: to save the image that the formula gives, or to print numbers."""
        inputs, facts = list(self.paths.values()), {"formula": self.formula}
        with self.settings.budget():
            imgs = self._opened()
            value = self._value({name: _in_floats(img) for name, img in imgs.items()})
        if unused := unused_names(self.formula, self.paths):
            msg = f"every image must be part of the formula. {self.formula!r} does not name {unused[0]}"
            raise WrongUsageError(msg)
        if value.ndim < 2:
            if self.output.path:
                what = f"{value.size} numbers, which are" if value.ndim else "one number, which is"
                msg = f"{self.formula!r} gives {what} printed: leave out --output"
                raise WrongUsageError(msg)
            array = value if isinstance(value, LazyArray) else in_memory_array(value, "numbers")
            return Job(
                "calc", inputs, lambda: _plan_of(array), lambda: [Numbers(array.read())], facts
            )
        grid = next(iter(imgs.values())).shape[:3]
        if value.ndim not in {3, 4} or value.shape[:3] != grid:
            msg = (
                f"{self.formula!r} must give numbers, or an image on the grid of the images, "
                f"{grid}. Got shape {value.shape}. Take parts of images with lazyvox slice first."
            )
            raise ParameterError(msg)
        check_output(self.output.path or None, IMAGE_ENDINGS, [], self.settings)
        alike = [img for img in imgs.values() if len(img.shape) == value.ndim]
        template = (alike or list(imgs.values()))[0]
        img = image_like(template, storable(value), is_new_kind=True)
        return save_job("calc", inputs, img, self.output, self.settings, facts=facts)

    def _opened(self) -> dict[str, SpatialImage]:
        """Return the images, all on one grid."""
        imgs = {name: check_niimg(path, wildcards=False) for name, path in self.paths.items()}
        for img in imgs.values():
            as_series(img)  # Refuses colours, and images of 5 axes.
        (name, first), *others = imgs.items()
        for other_name, other in others:
            check_same_grid(first, other, (name, other_name))
        return imgs

    def _value(self, arrays: Mapping[str, LazyArray]) -> Any:
        try:
            with strict():
                return formula_array(self.formula, arrays)
        except MaterializationError as error:
            msg = (
                f"{self.formula!r} must be a formula that is computed volume by volume, or by "
                f"reductions such as mean and median. It would hold a whole series in memory."
            )
            raise MaterializationError(msg) from error


class _FormulaCommand(Command):
    """A command with an argument that may begin with a minus sign."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Of options only -v, -o and -h have one minus; a space in front makes an argument.
        spaced = [f" {arg}" if _LEADING_MINUS.match(arg) else arg for arg in args]
        return super().parse_args(ctx, spaced)


@click.command(
    cls=_FormulaCommand,
    epilog=examples(
        'lazyvox calc "(a - b) * c" -v a=A.nii.gz -v b=B.nii.gz -v c=C.nii.gz -o out.nii.gz',
        'lazyvox calc "where(m > 0, a, 0)" -v a=run.nii.gz -v m=mask.nii.gz -o masked.nii.gz',
        'lazyvox calc "100 * a / mean(a, axis=-1)" -v a=run.nii.gz -o percent.nii.gz',
        'lazyvox calc "max(abs(a - b))" -v a=A.nii.gz -v b=B.nii.gz',
    ),
)
@click.argument("formula")
@click.option(
    "-v",
    "--variable",
    "variables",
    metavar="NAME=FILE",
    multiple=True,
    required=True,
    help="An image, and its name in FORMULA. Once for each image; all are on one grid.",
)
@output_option(IMAGE_OUTPUT_TEXT)
@dtype_option(REALS, "Type on disk; by default that of the values.")
@scale_option
@chunks_option
@common_options_without_v
@click.pass_context
def calc(
    ctx: click.Context,
    formula: str,
    variables: tuple[str, ...],
    output: str | None,
    dtype: str | None,
    scale: str | None,
    chunks: Chunks,
) -> None:
    """Write the image that FORMULA gives, or print it where it gives numbers.

    FORMULA holds images by their names, numbers, the operators + - * / // % ** & | ~ and
    comparisons, and element-wise functions and reductions of NumPy: sqrt, exp, log, where,
    minimum, maximum, clip, round, isfinite, sum, mean, std, min, max and others. Over time is
    axis=-1; without an axis a reduction takes all voxels. It is never evaluated as code.

    Integers are computed as float32, those of 32 bits and more as float64, so that they do not
    overflow. A volume beside a series is taken for each of its volumes. Comparisons give 1 and 0.

    The header is that of the first image with as many axes as the result. One pass, and one more
    before it where the formula holds a reduction.
    """
    settings = Settings.of(ctx)
    formula = formula.strip()
    paths = _parse_variables(variables)
    # Whether there is an image to write is known when the formula is.
    lenient = settings if output is not None else replace(settings, explain=True)
    target = ImageOutput.checked(output, list(paths.values()), lenient, dtype, scale, chunks)
    perform(_Calculation(formula, paths, target, settings).job(), settings)


def _parse_variables(texts: Sequence[str]) -> dict[str, str]:
    """Return the file of each name."""
    found: dict[str, str] = {}
    for text in texts:
        name, is_pair, path = text.partition("=")
        is_name = name.isidentifier() and not keyword.iskeyword(name) and name not in _RESERVED
        if not is_name or not is_pair or not path:
            msg = (
                f"-v must be NAME=FILE, with a name of letters and digits such as a. Got {text!r}"
            )
            raise WrongUsageError(msg)
        if name in found:
            msg = f"-v must give each name once. Got {name} twice"
            raise WrongUsageError(msg)
        found[name] = expand_home(path)
    return found


def _in_floats(img: SpatialImage) -> LazyArray:
    """Return the voxels of an image, integers as floats that hold them."""
    array = lazy_dataobj(img)
    if array.ondisk_dtype.kind not in "iub":
        return array
    return array.astype(np.float32 if array.ondisk_dtype.itemsize <= 2 else np.float64)


def _plan_of(numbers: LazyArray) -> Plan:
    """Return the plan of computing some numbers."""
    held = (DECODER, *numbers.reader.session_memory)
    return plan_passes(numbers, 0, value_layout(numbers, 1, held), resolve_budget(None))
