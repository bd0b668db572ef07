"""`LazyReadData`: a stand-in for the content of a file, loaded when it is used."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import override
from lazyvox.array.memory_reader import snapshot
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.preload.arithmetic import (
    OPERATIONS,
    as_expression,
    change,
    combine,
    combine_in_place,
    in_memory_result,
    operation_of,
)
from lazyvox.preload.held import Held
from lazyvox.preload.operators import Operators
from lazyvox.preload.readers import check_reader, in_memory, open_image, read_file
from lazyvox.preload.recorded import Recipe, evaluate, program_of
from lazyvox.preload.stand_in import PER_PROCESS, StandIn
from lazyvox.store.files.paths import expand_home

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from lazyvox._typing import Array, PathLike
    from lazyvox.preload.readers import ReaderLike
    from lazyvox.preload.recorded import Program

__all__ = ["LazyReadData"]

#: Attributes that tell nothing that could be edited.
_PLAIN = frozenset({"dtype", "get_filename", "nbytes", "ndim", "shape", "size"})


class LazyReadData(StandIn, Operators):
    """A stand-in for the data of a file: loads them when they are used.

    With ``nops=n`` the data are released after `n` binary operations; if they are used later,
    they are loaded again, for one more operation. `+ - * / // % **`, also in place, take other
    lazy readers, images, arrays and numbers; the result is a lazy reader that holds it in memory.
    Attributes of the data can be asked of the lazy reader.

    Parameters
    ----------
    data_or_filename : path-like, LazyReadData or object
        A file; another lazy reader, whose source, and data where they are loaded, the new one
        has; or data. A nibabel image whose voxels are in a file is read when used.
    nops : int or "auto", default=0
        Number of operations before the data are released: each operand place counts, so that
        ``a + a`` counts two; ``-a``, ``abs(a)`` and other calls do not count. 0 never releases.
        "auto" needs no count: the expression is recorded, and evaluated when `data` of its result
        is asked for; every volume is released right after its last use, and the order of loading
        is one that holds few at a time.
    reader : callable or object with `read`, optional
        Called with the file name and the read options; by default found from the name: images
        (`lazyvox.load`), GIFTI, FreeSurfer's surfaces, textures, labels and annotations, CIFTI-2,
        tractograms (.trk, .tck), transforms (with nitransforms), and what `register_reader` knows.
    read_options : dict, optional
        Passed to the reader by name.
    dtype : dtype-like, optional
        Type of the voxels or values. Scaled integers become float32 without a float64 step.
    filename : path-like, optional
        The file that data which are given lie in: they are read from it once they were released.
    **kwargs : Any
        Further read options.

    Raises
    ------
    ParameterError
        If `nops` is negative, or `filename` comes with a file or another lazy reader.
    ParameterTypeError
        If `nops` or `reader` is of a wrong type, or objects without arithmetic are combined.
    GridMismatchError
        From operations of images that are not on one grid.

    Notes
    -----
    Nothing is read before it is used. Memory: the data, while they are held; a sum of volumes
    with ``nops=1`` holds two. Safe from many threads: there is one load at a time, and an operation
    that has begun keeps what it uses. A load that fails raises where the data are used, and can be
    tried again. Data that were edited are kept by automatic release. A subclass may override
    ``_lazy_read``, which sets `data` (None until then) or returns it. Pickles without the data,
    unless they are in no file. Neither a thread nor an open file is held.

    Examples
    --------
    >>> import lazyvox as lv
    >>> left, right = (lv.LazyReadData(f"{name}.nii.gz", nops=1) for name in ("left", "right"))
    >>> both = left + 2 * right
    >>> both.data.shape, left.preloading()
    ((12, 14, 10), False)
    """

    def __init__(
        self,
        data_or_filename: Any,
        nops: int | Literal["auto"] = 0,
        reader: ReaderLike | None = None,
        read_options: Mapping[str, Any] | None = None,
        dtype: npt.DTypeLike | None = None,
        *,
        filename: PathLike | None = None,
        **kwargs: Any,
    ) -> None:
        self._nops = _checked_nops(nops)
        if reader is not None:
            check_reader(reader)
        self._reader = reader
        self._options = {**(read_options or {}), **kwargs}
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._source = None
        self._recipe = None
        self._left = self._nops if isinstance(self._nops, int) else 0
        self._renew(None)
        self._set_source(data_or_filename)
        if filename is not None:
            self._set_filename(data_or_filename, filename)

    def _set_filename(self, given: Any, filename: PathLike) -> None:
        if self._source is not None or isinstance(given, LazyReadData):
            msg = (
                f"`filename` must name the file of data that are given as an object. Got "
                f"{os.fsdecode(filename)!r} besides {self._name()!r}. Leave one of them out."
            )
            raise ParameterError(msg, parameter="filename", value=filename)
        self._source = os.fsdecode(filename)

    def _set_source(self, given: Any) -> None:
        if isinstance(given, LazyReadData):
            self._copy_from(given)
        elif isinstance(given, str | bytes | os.PathLike):
            self._source = expand_home(os.fsdecode(given))
        elif isinstance(given, SpatialImage) and not isinstance(given.dataobj, np.ndarray):
            self._source = given
        elif isinstance(given, SpatialImage) and self._dtype is not None:
            self._held = Held(in_memory(given, self._dtype))
        else:
            self._held = Held(given)

    def _copy_from(self, other: LazyReadData) -> None:
        with other._locked():
            held = other._held
            # Both share what is loaded until either is edited.
            if held is not None:
                self._held = Held(held.value, mark=held.mark, is_edited=held.differs())
                self._is_shared = other._is_shared = True
            self._recipe = other._recipe
            self._source = None if other._source is None else other
            self._nops = self._nops or other._nops
            self._left = self._nops if isinstance(self._nops, int) else 0

    @override
    def _lazy_read(self) -> Any:
        """Read the data, set `data` and return them; a subclass may do so in its own way."""
        source: Any = self._source
        if isinstance(source, LazyReadData):
            self.data = _anew(source).data
        elif isinstance(source, SpatialImage):
            self.data = self._read_by_us = in_memory(source, self._dtype)
        else:
            found, is_private = read_file(source, self._reader, self._options, self._dtype)
            self.data = found
            self._read_by_us = found if is_private else None
        return self.data

    @override
    def _evaluated(self) -> Held:
        program = self._program()
        img = as_expression([_opened(leaf) for leaf in program.leaves], program.steps)
        if img is not None:
            self._recipe = None
            return Held(in_memory_result(img))
        lazy = [leaf for leaf in program.leaves if isinstance(leaf, LazyReadData)]
        n_ahead = max((leaf._n_ahead or 0 for leaf in lazy), default=0)
        value = evaluate(program, lambda leaf: isinstance(leaf, LazyReadData), n_ahead or None)
        # The parts of the expression are not kept alive for its result.
        self._recipe = None
        return Held(value)

    @override
    def _combined(self, function: Any, *operands: Any, **options: Any) -> Any:
        if len(operands) == 1:
            return self._changed(function)
        left, right = operands
        if any(isinstance(one, LazyReadData) and one._is_auto() for one in operands):
            return _recorded(operation_of(function), _as_leaf(left), _as_leaf(right))
        pair = (left,) if left is right else (left, right)
        places = 3 - len(pair) if function in OPERATIONS else 0
        with ExitStack() as stack:
            taken = [_taken(one, places, stack) for one in pair]
            (first, is_first_free), (second, is_second_free) = taken[0], taken[-1]
            free = is_first_free, is_second_free
            return LazyReadData(combine(operation_of(function), first, second, free))

    @override
    def _edited(self, function: Any, other: Any) -> Any:
        if self._is_auto() or (isinstance(other, LazyReadData) and other._is_auto()):
            return self._combined(function, self, other)
        with ExitStack() as stack:
            value, _ = (None, False) if other is self else _taken(other, 1, stack)
            with self._locked():
                held = self._loaded()
                is_free = held.n_users == 0 and not self._is_shared
                right = held.value if other is self else value
                operation = operation_of(function)
                result = combine_in_place(operation, held.value, right, is_free=is_free)
                self._counts_down(1 + (other is self))
                self._held = Held(result, is_edited=True)
                self._is_shared = False
        self._was_used()
        return self

    def _changed(self, ufunc: Any) -> Any:
        if self._is_auto():
            return _recorded(ufunc, self)
        with ExitStack() as stack:
            return LazyReadData(change(ufunc, _taken(self, 0, stack)[0]))

    @override
    def _is_auto(self) -> bool:
        return self._nops == "auto" or self._recipe is not None

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:  # noqa: FBT001
        """Return the values for NumPy."""
        value = self.data
        values = value.dataobj if hasattr(value, "dataobj") else value
        return np.array(values, dtype=dtype, copy=copy)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the loaded object; names that begin with `_` load nothing."""
        if name.startswith("_"):
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        if name in _PLAIN:
            with self._locked():
                return getattr(self._loaded().value, name)
        return getattr(self.data, name)

    @override
    def _program(self) -> Program:
        return program_of(self, _recipe_of)

    @override
    def _restore(self, program: Program) -> None:
        values = list(program.leaves)
        for operation, operands in program.steps:
            values.append(_recorded(operation, *(values[operand] for operand in operands)))
        self._recipe = values[-1]._recipe

    @override
    def __repr__(self) -> str:
        """Describe the stand-in; loads nothing."""
        state = "loaded" if self._held is not None else "not loaded"
        what = "an expression" if self._recipe is not None else self._name()
        return f"<{type(self).__name__} of {what}, nops={self._nops!r}, {state}>"


def _taken(operand: Any, places: int, stack: ExitStack) -> tuple[Any, bool]:
    """Return an operand and whether its memory is free to use; given back with the stack."""
    if not isinstance(operand, LazyReadData):
        return operand, False
    held, is_free = operand._borrow(places)
    stack.callback(operand._give_back, held)
    return held.value, is_free


def _recorded(operation: Any, *operands: Any) -> LazyReadData:
    result = LazyReadData(None)
    kept = tuple(snapshot(one) if isinstance(one, np.ndarray) else one for one in operands)
    result._held, result._recipe = None, Recipe(operation, kept)
    return result


def _opened(leaf: Any) -> Any:
    """Return the image that a leaf would load, nothing of it read; other leaves as they are."""
    if not isinstance(leaf, LazyReadData) or leaf._nops != "auto" or leaf._held is not None:
        return leaf
    # What is read in the user's own way cannot be read in pieces.
    if leaf._reader is not None or type(leaf)._lazy_read is not LazyReadData._lazy_read:
        return leaf
    source: Any = leaf._source
    if isinstance(source, str):
        img = open_image(source, leaf._options, leaf._dtype)
        return leaf if img is None else img
    if isinstance(source, SpatialImage) and leaf._dtype is not None:
        array = lazy_dataobj(source).astype(leaf._dtype)
        return image_like(source, array, is_new_kind=True)
    return source if isinstance(source, SpatialImage) else leaf


def _recipe_of(node: Any) -> Recipe | None:
    """Return how a node is computed, None if it is there or is loaded."""
    if not isinstance(node, LazyReadData) or node._held is not None:
        return None
    return node._recipe


def _as_leaf(operand: Any) -> Any:
    """Return an operand of a recorded expression: images in files are released after use."""
    return LazyReadData(operand, "auto") if isinstance(operand, SpatialImage) else operand


def _anew(source: LazyReadData) -> LazyReadData:
    """Return a lazy reader with the source of another, nothing loaded."""
    state = dict(source.__dict__, _held=None)
    for name in PER_PROCESS:
        state.pop(name)
    copy = type(source).__new__(type(source))
    copy.__setstate__(state)
    return copy


def _checked_nops(nops: Any) -> int | str:
    if isinstance(nops, str) and nops == "auto":
        return nops
    if isinstance(nops, bool) or not hasattr(nops, "__index__"):
        msg = f'`nops` must be a number of operations, or "auto". Got {nops!r}.'
        raise ParameterTypeError(msg)
    if nops < 0:
        msg = f"`nops` must be 0, for never, or a number of operations. Got {nops}."
        raise ParameterError(msg)
    return int(nops)
