"""`to_dask`: an image as a dask array whose graph holds the lazy array, and no voxel."""

import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyvox._threads import ForkSafeLock
from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.errors import ParameterError
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import ImageLike, as_image
from lazyvox.planning.chunks import volume_runs
from lazyvox.runtime.once import one_per_process
from lazyvox.runtime.optional import require
from lazyvox.store.stream_source import StreamSource

__all__ = ["to_dask"]

#: Computed images whose kept results a worker process holds for its next chunks.
_MOST_COMPUTED = 4


def to_dask(img: ImageLike | LazyArray, chunks: Any = "auto") -> Any:
    """Return the voxels of an image as a dask array, reading none of them.

    Parameters
    ----------
    img : image, path or LazyArray
        Any image, computed ones such as those of `lazyvox.image.clean_img` included.
    chunks : "auto", int, tuple or dict, default="auto"
        By default runs of whole volumes, of about 4 MiB. In a compressed file with an index (see
        `lazyvox.index`) they begin near its access points; those of a Zarr store are its own.
        Anything else means what it means to `dask.array.from_array`.

    Returns
    -------
    dask.array.Array
        Of the shape and type of ``img.dataobj``. Its name depends on the file (path, size,
        modification time, inode) and on what is computed from it: the same image has the same
        name in every process, a file that changed another one.

    Raises
    ------
    MissingDependencyError
        If dask is not installed.
    ParameterError
        If chunks are none of dask, or none of this shape.
    ImageFileError
        If the file cannot be opened.

    Notes
    -----
    Memory: none before dask computes, then each chunk that it works on, and 3 MiB. The graph
    holds a description, of less than 1 KiB for a file, in place of voxels, so that any scheduler
    takes it; only an image that is in memory is in the graph itself. A file that changes after
    `to_dask` is an error when it is read. Results that an image needs as a whole, such as those
    of cleaning along time, are computed once in each process, and kept in memory or in a scratch
    file; with dask's threads, that is once.

    Examples
    --------
    >>> import lazyvox as lv
    >>> voxels = lv.interop.to_dask("run.nii.gz")
    >>> voxels.shape, voxels.chunks[3]
    ((12, 14, 10, 40), (40,))
    >>> float(voxels[6, 7, 5].std().compute()) > 0
    True
    """
    require("dask", "interop", "Dask arrays")
    import dask.array as da
    from dask.base import normalize_token, tokenize

    normalize_token.register(ArrayReader, lambda reader: normalize_token(_description(reader)))
    array = img if isinstance(img, LazyArray) else lazy_dataobj(as_image(img))
    is_auto = isinstance(chunks, str) and chunks == "auto"
    token = tokenize(array)
    return da.from_array(
        _Voxels(array, token),
        chunks=_auto_chunks(array) if is_auto else _checked_chunks(array, chunks),
        name=f"lazyvox-{tokenize(token, 'auto' if is_auto else chunks)}",
        # Reading is safe for any number of threads.
        lock=False,
        meta=np.empty((0,) * array.ndim, array.dtype),
    )


def _checked_chunks(array: LazyArray, chunks: Any) -> Any:
    """Return chunks in the form of dask, whose own errors do not say what was given."""
    from dask.array.core import normalize_chunks

    try:
        if isinstance(chunks, Mapping):
            # dask passes over axes that are not there.
            chunks = {range(array.ndim)[axis]: length for axis, length in chunks.items()}
        return normalize_chunks(chunks, array.shape, dtype=array.dtype)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        msg = (
            f'`chunks` must be "auto", or chunks of dask for shape {array.shape}: a length, a size '
            f'such as "10MiB", a tuple with an item for each axis, or a dict of axes. Got {chunks!r}.'
        )
        raise ParameterError(msg, parameter="chunks", value=chunks) from error


def _description(reader: ArrayReader) -> Any:
    """Return what a reader pickles: dask would take what it has found out in this process too."""
    return reader.__reduce_ex__(pickle.HIGHEST_PROTOCOL)


class _Voxels:
    """A lazy array as dask slices one, and as its tasks carry it to other processes.

    Parameters
    ----------
    array : LazyArray
        The voxels.
    token : str
        Text that tells them from others.
    """

    def __init__(self, array: LazyArray, token: str) -> None:
        self._array = array
        self._token = token

    @property
    def shape(self) -> Shape:
        """Shape of the array."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self._array.dtype

    def __getitem__(self, key: Any) -> Array:
        """Read what NumPy returns for the key."""
        values: Array = np.asarray(self._array[key])
        return values

    def __dask_tokenize__(self) -> str:
        """Return the text that tells the voxels from others."""
        return self._token

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description; results that a computed array keeps are computed again."""
        is_computed = bool(self._array.reader.step)
        return _unpickled, (self._token, pickle.dumps(self._array), is_computed)


class _Computed:
    """The computed arrays that tasks brought into this process, the latest last.

    Each task brings a pickle of its own. Of what they hold alike the first stays, and what it has
    computed as a whole.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin empty: scratch files of the parent are not for a child."""
        self._lock = ForkSafeLock()
        self._arrays: OrderedDict[str, LazyArray] = OrderedDict()

    def get(self, token: str, packed: bytes) -> LazyArray:
        """Return the array of a token, unpickled the first time."""
        with self._lock.of_this_process():
            array = self._arrays.pop(token, None)
            if array is None:
                array = pickle.loads(packed)
            self._arrays[token] = array
            while len(self._arrays) > _MOST_COMPUTED:
                self._arrays.popitem(last=False)
            return array


_COMPUTED = one_per_process(_Computed())


def _unpickled(token: str, packed: bytes, is_computed: bool) -> _Voxels:  # noqa: FBT001
    array = _COMPUTED.get(token, packed) if is_computed else pickle.loads(packed)
    return _Voxels(array, token)


def _auto_chunks(array: LazyArray) -> tuple[Any, ...]:
    """Return chunks of whole volumes, those of a store where it has some.

    The axes behind time are cut into single positions.
    """
    reader = array.reader
    if reader.chunks is not None and array.window.is_full:
        return reader.chunks
    if array.ndim < 4:
        return array.shape
    volume_bytes = math.prod(array.shape[:3]) * reader.dtype.itemsize
    source = reader.byte_source
    points = None
    if isinstance(source, StreamSource) and array.window.is_full and array.ndim == 4:
        points = source.access_points()
    runs = volume_runs(
        array.shape[3],
        volume_bytes,
        reader.offset,
        () if points is None else points.decoded_offsets.tolist(),
    )
    return (*array.shape[:3], runs, *(1,) * (array.ndim - 4))
