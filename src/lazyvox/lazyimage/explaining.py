"""What reading an image will do, as text: its graph, the order of reading, passes, memory."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

from nibabel.spatialimages import SpatialImage

from lazyvox.array.computed_reader import session_bytes
from lazyvox.array.kernels import Constant, Expression, Source, Step
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.pointwise import VolumeExpressionReader
from lazyvox.array.prerequisites import pending_reductions
from lazyvox.array.reduction_reader import ReducedReader
from lazyvox.array.transformed import StagedReader
from lazyvox.errors import ParameterTypeError
from lazyvox.lazyimage.dataobj import lazy_dataobj, reading_of
from lazyvox.planning.blocks import FIXED_BYTES
from lazyvox.planning.memory import format_bytes

__all__ = ["explain"]

#: Lines of a graph that are shown; the sum of a thousand images has as many again.
_MOST_STEPS = 40


def explain(img: SpatialImage | LazyArray) -> str:
    r"""Return what reading an image, or a lazy array, will do; reads no voxel.

    Parameters
    ----------
    img : nibabel image or LazyArray
        The result of an expression, or any other image.

    Returns
    -------
    str
        The graph, one step per line; in which order files are read; the passes before the first
        value; what is read; what is held besides the values that are asked for, at the most.

    Raises
    ------
    ParameterTypeError
        If `img` is no image.

    Notes
    -----
    Memory: O(1). The same numbers are part of the plans of `lazyvox.save` and of scans, which add
    their own buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> run = lv.load("run.nii.gz")
    >>> text = lv.explain((run - run.mean(axis=-1)) / run.std(axis=-1))
    >>> print("\n".join(text.splitlines()[1:9]))
    graph      5 steps
      0        run.nii.gz, float32, shape (12, 14, 10, 40)
      1        mean of run.nii.gz over axes (3,), float32, shape (12, 14, 10)
      2        subtract(0, 1), float32
      3        std of run.nii.gz over axes (3,), float32, shape (12, 14, 10)
      4        divide(2, 3), float32
    before     one pass over run.nii.gz: mean, std
    order      all inputs in step, 40 volumes at a time
    """
    array = _as_array(img)
    reader = array.reader
    reading = reading_of(array, 1)
    lines = [f"result     shape {array.shape}, {array.dtype}, {format_bytes(array.nbytes)}"]
    lines += [*_graph_lines(array), *_before_lines(array)]
    if isinstance(reader, VolumeExpressionReader):
        lines += _wave_lines(reader)
    elif isinstance(reader, StagedReader):
        unit = f"{reader.group_volumes} volume{'s' * (reader.group_volumes > 1)}"
        lines.append(f"order      all inputs in step, {unit} at a time")
    held = session_bytes(array)
    lines += [
        f"passes     {reading.passes}",
        f"read       {format_bytes(reading.bytes_read)} from disk",
        f"decoded    {format_bytes(reading.bytes_decoded)}",
        f"buffers    {format_bytes(held)}",
        f"peak       {format_bytes(FIXED_BYTES + held)} predicted, besides the values asked for",
    ]
    return "\n".join(lines)


def _as_array(img: Any) -> LazyArray:
    if isinstance(img, LazyArray):
        return img
    if isinstance(img, SpatialImage):
        return lazy_dataobj(img)
    msg = f"`img` must be an image or a lazy array. Got {type(img).__name__}: load it first."
    raise ParameterTypeError(msg)


def _graph_lines(array: LazyArray) -> Iterator[str]:
    """Yield the steps of an expression; of anything else, what it is."""
    reader = array.reader
    if not isinstance(reader, StagedReader) or not isinstance(reader.transform, Expression):
        yield f"graph      {_named(array)}"
        return
    steps: tuple[Step, ...] = reader.transform.steps
    if isinstance(reader, VolumeExpressionReader):
        steps = reader.program.steps
    yield f"graph      {len(steps)} steps"
    n_first = len(steps) if len(steps) <= _MOST_STEPS else _MOST_STEPS // 2
    for number, step in enumerate(steps):
        if number < n_first or number >= len(steps) - _MOST_STEPS // 2:
            yield f"  {number:<9d}{_step(step, reader.sources)}"
        elif number == n_first:
            yield f"  ...      {len(steps) - 2 * (_MOST_STEPS // 2)} more"


def _step(step: Step, sources: tuple[LazyArray, ...]) -> str:
    if isinstance(step, Source):
        array = sources[step.number]
        return f"{_named(array)}, {array.dtype}, shape {array.shape}"
    if isinstance(step, Constant):
        return repr(step.value)
    options = [f"{name}={value!r}" for name, value in step.options]
    arguments = ", ".join([*map(str, step.arguments), *options])
    return f"{step.function.__name__}({arguments}), {step.dtype}"


def _named(array: LazyArray) -> str:
    """Return what an array is: the name of its file, and what is done to that."""
    reader = array.reader
    if isinstance(reader, ReducedReader):
        return f"{reader.name} of {_named(reader.source)} over axes {reader.axes}"
    if isinstance(reader, StagedReader):
        shown = shorten(reader.transform.name, 40, placeholder="...")
        return f"({shown}) of {_named(reader.sources[0])}" + ", ..." * (len(reader.sources) > 1)
    return Path(reader.path).name


def _before_lines(array: LazyArray) -> Iterator[str]:
    """Yield the passes that come before the first value."""
    for group in pending_reductions((array,)):
        names = ", ".join(dict.fromkeys(one.name for one in group))
        yield f"before     one pass over {_named(group[0].source)}: {names}"


def _wave_lines(reader: VolumeExpressionReader) -> Iterator[str]:
    """Yield which files are read in step, one wave after the other, and what is held meanwhile."""
    program = reader.program
    held = program.held_bytes()
    for number, wave in enumerate(program.waves):
        if len(program.waves) > _MOST_STEPS and 3 <= number < len(program.waves) - 1:
            if number == 3:
                yield f"order      ... {len(program.waves) - 4} more waves"
            continue
        names = [_named(reader.sources[one]) for one in wave.sources]
        yield (
            f"order      {', '.join(names) or 'nothing'} in step, "
            f"{format_bytes(held[number])} held"
        )
