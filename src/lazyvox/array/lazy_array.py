"""`LazyArray`: the values of an image file, as an array that reads nothing until it is asked."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.conversion import Conversion
from lazyvox.array.converted_reads import read_into
from lazyvox.array.gather import read_with_array
from lazyvox.array.numpy_functions import REDUCING
from lazyvox.array.operators import Operators
from lazyvox.array.reader import ArrayReader, ArraySession
from lazyvox.errors import MaterializationError, ParameterError, ParameterTypeError
from lazyvox.planning.indexing import View, expand_key, is_array_index
from lazyvox.runtime.memory_errors import explained_array

__all__ = ["LazyArray", "fill_block"]


# Not slots: with them, Python 3.11 raises TypeError, not AttributeError, where a property is set.
@dataclass(frozen=True, eq=False, repr=False)
class LazyArray(Operators):
    """An array on disk with the manners of a NumPy array, and of a nibabel array proxy.

    It holds a description (where the values are, which of them, how they are converted) and no
    value. Slicing reads what the slice needs and returns an ordinary array that owns its memory;
    `view` composes indices without reading. Safe to use from many threads, to pickle and to fork.

    Its operators give lazy arrays. NumPy's functions read it, as they read nibabel's proxies, and
    so do the operators of NumPy's arrays: ``array * lazy`` and ``array += lazy``.

    Attributes
    ----------
    reader : ArrayReader
        How stored values are read.
    window : View
        Part of the source that this array holds.
    conversion : Conversion
        Scaling and type of the values returned.
    """

    reader: ArrayReader
    window: View
    conversion: Conversion = field(default_factory=Conversion)

    #: Operators and reductions make lazy arrays out of lazy arrays: what computes them builds on
    #: this class, and is bound to it where it is defined, in `lazyvox.array.expression`.
    _call: ClassVar[Callable[..., Any]]
    _reduce: ClassVar[Callable[..., Any]]

    @override
    def _combined(self, function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
        kinds = LazyArray | np.ndarray | np.generic | bool | int | float | complex
        if not all(isinstance(one, kinds) for one in operands):
            return NotImplemented
        return self._call(function, *operands, **options)

    @property
    @override
    def _value_dtype(self) -> DType:
        return self.dtype

    @override
    def _reduced(
        self,
        name: str,
        axis: Any,
        *,
        keepdims: bool,
        ddof: int = 0,
        dtype: npt.DTypeLike | None = None,
        q: float = 0,
    ) -> Any:
        return self._reduce(name, axis=axis, keepdims=keepdims, ddof=ddof, dtype=dtype, q=q)

    @override
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Call a ufunc on the values, as NumPy does on nibabel's proxies; into `out` if given."""
        if _is_of_images([type(one) for one in inputs]):
            return NotImplemented
        named = {name: _read(one) for name, one in options.items()}
        return getattr(ufunc, method)(*map(_read, inputs), **named)

    @override
    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        """Call a function of NumPy on the values.

        As nibabel's proxies do, a lazy array is read wherever NumPy needs its values.
        What is read is asked for by the name of the function.
        """
        if _is_of_images(types):
            return NotImplemented
        if (func in REDUCING or func is np.ptp) and args and args[0] is self:
            return func(self.read(), *args[1:], **kwargs)
        # NumPy's own code, which converts its arguments: that for arrays and for proxies.
        plain: Any = func
        return plain._implementation(*args, **kwargs)

    @classmethod
    def over(cls, reader: ArrayReader, conversion: Conversion | None = None) -> "LazyArray":
        """Return the lazy array of everything that `reader` can read."""
        return cls(reader, View.full(reader.shape), conversion or Conversion())

    @property
    def is_proxy(self) -> bool:
        """True: nibabel's mark of an array that is not in memory."""
        return True

    @property
    def shape(self) -> Shape:
        """Shape of the array."""
        return self.window.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.window.dims)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> DType:
        """Type of the values that slicing returns."""
        return self.conversion.result_dtype(self.reader.dtype)

    @property
    def ondisk_dtype(self) -> DType:
        """Type of the stored values, byte order included."""
        return self.reader.dtype

    @property
    def nbytes(self) -> int:
        """Bytes that the whole array takes in memory once read."""
        return self.size * self.dtype.itemsize

    @property
    def slope(self) -> float:
        """Factor applied to the stored values."""
        return self.conversion.slope

    @property
    def inter(self) -> float:
        """Constant added to the stored values after the factor."""
        return self.conversion.inter

    @property
    def file_like(self) -> str:
        """Path of the file, or names of the files, that the values come from."""
        return self.reader.path

    @property
    def order(self) -> str:
        """Memory order of arrays that are read: "F", the order of image files."""
        return "F"

    def copy(self) -> "LazyArray":
        """Return the array itself: it cannot change and holds neither a file nor a value.

        Returns
        -------
        LazyArray
            This very array.
        """
        return self

    @property
    def offset(self) -> int:
        """Bytes before the first stored value in the decoded file."""
        return self.reader.offset

    def view(self, key: Any) -> "LazyArray":
        """Return the lazy array of ``self[key]``, reading nothing.

        Parameters
        ----------
        key : index
            A basic NumPy index, or one with a list of integers in place of one slice.

        Returns
        -------
        LazyArray
            The slice of this array; the index of a slice of a slice is one index.
        """
        return replace(self, window=self.window.take(key))

    def __getitem__(self, key: Any) -> Any:
        """Read and return the values of ``array[key]``, as NumPy's indexing does."""
        entries = expand_key(key, self.ndim)
        n_arrays = sum(is_array_index(entry) for entry in entries)
        if n_arrays:
            return read_with_array(self, entries, n_arrays)
        taken = self.view(key)
        values = taken.read()
        is_scalar = not taken.window.dims and Ellipsis not in entries
        return values[()] if is_scalar else values

    def read(self, dtype: npt.DTypeLike | None = None) -> Array:
        """Read the array.

        Parameters
        ----------
        dtype : dtype-like, optional
            Type of the result; by default the array's own.

        Returns
        -------
        ndarray of shape `shape`
            A fresh array in Fortran order that owns its memory.

        Raises
        ------
        ImageFileError
            If the file cannot be read as its header says; see `lazyvox.errors` for the kinds.
        MemoryBudgetError
            If the system does not give the memory for the result.

        Notes
        -----
        Memory: the result, and at most about 3 MiB besides. An image loaded with ``mmap=True``
        gives a view of its memory map where the values need no conversion.
        """
        conversion = self._conversion_to(dtype)
        if not conversion.changes(self.reader.dtype):
            mapped = self.reader.mapped(self.window.axes)
            if mapped is not None:
                return self._with_new_axes(mapped)
        if not self.size and 0 not in self.reader.shape:
            return np.empty(self.shape, conversion.result_dtype(self.reader.dtype), order="F")
        dtype = conversion.result_dtype(self.reader.dtype)
        with explained_array(self.reader.path, self.shape, dtype), self.open() as session:
            return self._read_in(session, conversion)

    def open(self, memory: int | None = None, n_jobs: int = 1) -> ArraySession:
        """Start a reading session, for `read_in`.

        Parameters
        ----------
        memory : int, optional
            Bytes for decoding ahead on several cores, where the file has access points. By default
            a part of the memory budget; with 0, nothing is decoded ahead.
        n_jobs : int, default=1
            Files that may be decoded at a time, where the array is a list of them. With more than
            one, the session reads whole volumes of this array, in order.

        Returns
        -------
        ArraySession
            A context manager; for one thread.
        """
        return self.reader.open(self.window.axes, memory, n_jobs)

    def read_in(self, session: ArraySession) -> Array:
        """Read the array in a session that is open already.

        Parameters
        ----------
        session : ArraySession
            From `open` of this array, or of one that this is a view of.

        Returns
        -------
        ndarray of shape `shape`
            As from `read`.
        """
        return self._read_in(session, self.conversion)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Read the array for NumPy; ``copy=False`` cannot be granted."""
        if copy is False:
            msg = (
                "a lazy array is not in memory, so a copy cannot be avoided. Use copy=None "
                "(np.asarray) or copy=True."
            )
            raise ParameterError(msg)
        return self.read(dtype)

    def get_unscaled(self) -> Array:
        """Read the stored values, in the type of the file.

        Returns
        -------
        ndarray of shape `shape`
            Neither scaled nor cast.
        """
        return replace(self, conversion=Conversion()).read()

    def get_scaled(self, dtype: npt.DTypeLike | None = None) -> Array:
        """Read the scaled values in a type at least as wide as `dtype`, as nibabel's proxies do.

        Parameters
        ----------
        dtype : dtype-like, optional
            The result has the wider of this type and the type of the scaled values.

        Returns
        -------
        ndarray of shape `shape`
            The scaled values.
        """
        natural = replace(self.conversion, dtype=None).result_dtype(self.reader.dtype)
        wanted = natural if dtype is None else np.promote_types(natural, np.dtype(dtype))
        return replace(self, conversion=replace(self.conversion, dtype=None, cast=wanted)).read()

    def reshape(self, *shape: Any) -> "LazyArray":
        """Return the lazy array with another shape, values in the order of the file.

        Parameters
        ----------
        *shape : int or tuple of int
            The new shape; one length may be -1.

        Returns
        -------
        LazyArray
            ``np.reshape(array, shape, order="F")`` without reading, as nibabel's proxies do.

        Raises
        ------
        ParameterError
            If the sizes differ.
        MaterializationError
            If the array is a slice: its values are not one range of the file.
        """
        wanted = shape[0] if len(shape) == 1 and np.iterable(shape[0]) else shape
        lengths = _completed(tuple(int(n) for n in wanted), self.size, self.shape)
        reader = self.reader.reshaped(lengths) if self.window.is_full else None
        if reader is None:
            msg = (
                f"only a whole image file can be reshaped without reading. Got a slice, of shape "
                f"{self.shape}. Reshape first, or use np.reshape(array, {lengths}, order='F')."
            )
            raise MaterializationError(msg)
        return replace(self, reader=reader, window=View.full(lengths))

    def astype(self, dtype: npt.DTypeLike) -> "LazyArray":
        """Return the lazy array whose values are cast to `dtype` block by block when read.

        Parameters
        ----------
        dtype : dtype-like
            The new type. Scaled integers asked for as float32 are computed in float32.

        Returns
        -------
        LazyArray
            The cast array; nothing is read.
        """
        return replace(self, conversion=replace(self.conversion, dtype=np.dtype(dtype), cast=None))

    def __len__(self) -> int:
        """Return the length of the first axis."""
        if not self.ndim:
            msg = "len() of unsized object: the array has no axis."
            raise TypeError(msg)
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Read and yield the items of the first axis, one after the other."""
        for i in range(len(self)):
            yield self[i]

    def __contains__(self, value: object) -> bool:
        """Refuse: a search would read the whole array unasked."""
        msg = (
            "`in` would read the whole image. Read it by name: value in np.asarray(array), or "
            "scan it in blocks with lazyvox.Scan."
        )
        raise TypeError(msg)

    def __float__(self) -> float:
        """Read the only value."""
        return float(self._only_value())

    def __int__(self) -> int:
        """Read the only value."""
        return int(self._only_value())

    def __complex__(self) -> complex:
        """Read the only value."""
        return complex(self._only_value())

    def __bool__(self) -> bool:
        """Refuse as NumPy does for more than one value."""
        if self.size == 1:
            return bool(self.read().reshape(-1)[0])
        msg = (
            f"the truth value of an array with {self.size} values is ambiguous. Compare a "
            f"reduction of it, or its size."
        )
        raise ParameterError(msg)

    @override
    def __repr__(self) -> str:
        """Describe the array without reading it."""
        origin = f"on disk {self.ondisk_dtype} in {self.reader.path!r}"
        if self.reader.computation:
            origin = f"computed: {self.reader.computation}"
        return f"<LazyArray shape={self.shape} dtype={self.dtype} {origin}>"

    def _only_value(self) -> Any:
        if self.ndim:
            msg = (
                f"only an array of one value and no axis converts to a number of Python. Got "
                f"shape {self.shape}: take one value first, array[0, 0, 0]."
            )
            raise ParameterTypeError(msg)
        return self.read()[()]

    def _read_in(self, session: ArraySession, conversion: Conversion) -> Array:
        target = conversion.result_dtype(self.reader.dtype)
        kept = tuple(len(axis) for axis in self.window.axes if not isinstance(axis, int))
        values = np.empty(kept, target, order="F")
        if values.size or 0 in self.reader.shape:
            read_into(session, self.window.axes, values, conversion, self.reader.dtype)
        return self._with_new_axes(values)

    def _with_new_axes(self, values: Array) -> Array:
        """Return values that have the axes of the source in the shape of this array."""
        if not self.size:
            return np.empty(self.shape, values.dtype, order="F")
        if values.size == self.size:
            return values.reshape(self.shape, order="F")
        # A list repeats the single position of a new axis.
        dims = zip(self.window.dims, self.shape, strict=True)
        once = tuple(1 if isinstance(dim, range) else length for dim, length in dims)
        return np.broadcast_to(values.reshape(once, order="F"), self.shape).copy(order="F")

    def _conversion_to(self, dtype: npt.DTypeLike | None) -> Conversion:
        """Return the conversion to `dtype` by way of this array's own type, as NumPy casts."""
        if dtype is None or np.dtype(dtype) == self.dtype:
            return self.conversion
        return self.conversion.then(np.dtype(dtype))


def _read(value: Any) -> Any:
    """Return a lazy array's values, and anything else as it is."""
    return value.read() if isinstance(value, LazyArray) else value


def _is_of_images(types: Iterable[type]) -> bool:
    """Return whether an operand is an image, whose own operators then apply."""
    return any(issubclass(one, Operators) and not issubclass(one, LazyArray) for one in types)


def fill_block(view: LazyArray, session: ArraySession, out: Array) -> None:
    """Fill `out`, in native byte order, with the values of a lazy array."""
    axes = view.window.axes
    # Axes that were dropped or added by slicing are none of the source.
    kept = tuple(len(axis) for axis in axes if not isinstance(axis, int))
    conversion = view.conversion
    if out.dtype != view.dtype:
        conversion = conversion.then(out.dtype)
    read_into(session, axes, out.reshape(kept, order="F"), conversion, view.reader.dtype)


def _completed(wanted: Shape, size: int, shape: Shape) -> Shape:
    if wanted.count(-1) > 1:
        _refuse_shape(wanted, shape)
    if -1 in wanted:
        known = -math.prod(wanted)
        wanted = tuple(size // known if n == -1 and known else n for n in wanted)
    if math.prod(wanted) != size or min(wanted, default=0) < 0:
        _refuse_shape(wanted, shape)
    return wanted


def _refuse_shape(wanted: Shape, shape: Shape) -> NoReturn:
    msg = (
        f"the new shape must hold as many values as the old one. Got {wanted} for an array of "
        f"shape {shape}."
    )
    raise ParameterError(msg)
