"""`lazyvox.explain`: the plan of reading an image as text."""

from collections.abc import Iterator
from typing import Any

from nibabel.spatialimages import SpatialImage

from lazyvox.array.computed_reader import steps_of
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.prerequisites import pending_reductions
from lazyvox.errors import ParameterTypeError
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.reading_plan import reading_of
from lazyvox.planning.blocks import DECODER
from lazyvox.planning.memory import explain_terms, format_bytes, sum_terms
from lazyvox.planning.plan import Explanation

__all__ = ["explain"]

#: Lines of a graph that are shown; the sum of a thousand images has as many again.
_MOST_STEPS = 40


def explain(img: SpatialImage | LazyArray) -> str:
    r"""Describe the steps, reads and memory of an image or lazy array; reads no voxel.

    Parameters
    ----------
    img : nibabel image or LazyArray
        The result of an expression, or any other image.

    Returns
    -------
    str
        The steps, as they were asked for; the graph of an expression; the order in which files
        are read; the passes before the first value; bytes that are read; temporary files; the
        peak besides the values that are asked for, and its terms.

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
    >>> print("\n".join(text.splitlines()[1:12]))
    step       mean over axes (3,)
    step       std over axes (3,)
    step       (run.nii.gz - mean of run.nii.gz over axes (3,)) / std of run.nii.gz over axes (3,)
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
    reading = reading_of(array, 1)
    lines = [f"result     shape {array.shape}, {array.dtype}, {format_bytes(array.nbytes)}"]
    lines += [f"step       {step}" for step in steps_of(array)]
    lines += [*_graph_lines(array), *_before_lines(array), *_order_lines(array)]
    memory = (DECODER, *array.reader.session_memory)
    lines += [
        f"passes     {reading.passes}",
        f"read       {format_bytes(reading.bytes_read)} from disk",
        f"decoded    {format_bytes(reading.bytes_decoded)}",
        f"scratch    {format_bytes(array.reader.scratch_bytes)} on disk",
        f"peak       {format_bytes(sum_terms(memory))} predicted, besides the values asked for",
        *explain_terms(memory),
    ]
    return Explanation("\n".join(lines))


def _as_array(img: Any) -> LazyArray:
    if isinstance(img, LazyArray):
        return img
    if isinstance(img, SpatialImage):
        return lazy_dataobj(img)
    msg = f"`img` must be an image or a lazy array. Got {type(img).__name__}: load it first."
    raise ParameterTypeError(msg)


def _graph_lines(array: LazyArray) -> Iterator[str]:
    """Yield the steps of an expression; of anything else, its description."""
    steps = array.reader.graph()
    if not steps:
        yield f"graph      {array.reader.describe()}"
        return
    yield f"graph      {len(steps)} steps"
    lines = [f"  {number:<9d}{step}" for number, step in enumerate(steps)]
    yield from _shortened(lines, _MOST_STEPS // 2, "  ...      {} more")


def _before_lines(array: LazyArray) -> Iterator[str]:
    """Yield the passes that come before the first value."""
    for group in pending_reductions((array,)):
        names = ", ".join(dict.fromkeys(one.name for one in group))
        yield f"before     one pass over {group[0].source.reader.describe()}: {names}"


def _order_lines(array: LazyArray) -> Iterator[str]:
    """Yield the order in which the files are read."""
    lines = [f"order      {line}" for line in array.reader.reading_order()]
    yield from _shortened(lines, 1, "order      ... {} more waves")


def _shortened(lines: list[str], n_last: int, rest: str) -> list[str]:
    """Return lines, of more than are shown the first and the last ones."""
    if len(lines) <= _MOST_STEPS:
        return lines
    n_first = 20 if n_last > 1 else 3
    return [*lines[:n_first], rest.format(len(lines) - n_first - n_last), *lines[-n_last:]]
