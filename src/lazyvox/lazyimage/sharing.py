"""`lazyvox.shared`: decoded data in memory once, for all processes of a machine."""

import hashlib
import math
import pickle
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from nibabel.spatialimages import HeaderDataError, SpatialImage

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.computing import fill_spools
from lazyvox.array.conversion import Conversion
from lazyvox.array.derived import session_bytes
from lazyvox.array.lazy_array import LazyArray, fill_block
from lazyvox.array.memory_reader import MemoryReader, in_memory_array
from lazyvox.array.shared_array import SharedArray, SharedRecord, open_shared, writable_values
from lazyvox.errors import (
    CorruptFileError,
    LazyvoxWarning,
    OutputError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.lazyimage.classes import LAZY_CLASSES, LazyImage, lazy_image
from lazyvox.lazyimage.dataobj import lazy_dataobj, reading_of
from lazyvox.lazyimage.load import ImageLike, as_image
from lazyvox.lazyimage.operators import affine_of
from lazyvox.lazyimage.packing import pack_header, unpack_header
from lazyvox.planning.blocks import FIXED_BYTES
from lazyvox.planning.memory import format_bytes
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.limits import available_memory
from lazyvox.store.shared_files import (
    MEMORY_FOLDER,
    SharedFile,
    free_bytes,
    map_shared,
    sweep_shared,
)

__all__ = ["SharedHandle", "shared"]


@dataclass(frozen=True, slots=True)
class _Note:
    """What an image is besides its voxels; lies behind them in the shared file.

    The digest travels with the handle: what does not match it is not unpickled.
    """

    nbytes: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """What is to be shared: values, as they are to lie in memory, and what makes them an image."""

    values: LazyArray | Array
    order: str
    note: bytes
    name: str

    @property
    def nbytes(self) -> int:
        return math.prod(self.values.shape) * self.values.dtype.itemsize


class SharedHandle:
    """Decoded data in shared memory. Made by `lazyvox.shared`.

    A context manager: the memory is given back when the block ends, whatever ended it, and when
    nobody holds the handle any more. Pickled to another process, in less than 2 KiB, a handle
    opens the same data there, and gives back nothing.

    Parameters
    ----------
    record : SharedRecord
        Where the values are.
    note : object, optional
        Where the rest of an image is; None for an array.
    file : SharedFile, optional
        The file; None in whoever did not make it.
    """

    def __init__(
        self, record: SharedRecord, note: _Note | None = None, file: SharedFile | None = None
    ) -> None:
        self._record = record
        self._note = note
        self._file = file

    @property
    def shape(self) -> Shape:
        """Shape of the image or array."""
        return self._record.shape

    @property
    def dtype(self) -> DType:
        """Type of the values in memory; those of a scaled image are the stored ones."""
        return self._record.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of shared memory."""
        return self._record.nbytes

    def open(self) -> Any:
        """Return the image or the array, for reading only; copies no value.

        Returns
        -------
        LazyImage or ndarray
            What was shared, also a context manager that returns itself. Its memory stays valid
            for as long as it is held, even when the handle is closed. Writing to the values
            raises ValueError, as NumPy does.

        Raises
        ------
        ImageNotFoundError
            If the memory was given back.
        CorruptFileError
            If somebody else wrote to it.

        Notes
        -----
        Memory: none of its own. The values of an unscaled image are ``img.dataobj``, an array;
        those of a scaled one are scaled when they are read. `get_fdata` makes a copy in float64,
        unless the values are float64 already: use ``np.asarray(img.dataobj)``.
        """
        values = open_shared(self._record)
        return values if self._note is None else _image_over(values, self._note)

    def close(self) -> None:
        """Give back the memory; harmless when repeated, and in other processes."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        """Return the handle itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back the memory."""
        self.close()

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the data are."""
        return SharedHandle, (self._record, self._note)

    @override
    def __repr__(self) -> str:
        """Describe what is shared."""
        what = "array" if self._note is None else "image"
        return (
            f"<SharedHandle of an {what} of shape {self.shape}, {self.dtype}, "
            f"{format_bytes(self.nbytes)}>"
        )


def shared(img: ImageLike | LazyArray | Array) -> SharedHandle:
    """Put decoded data into shared memory once, for any number of processes.

    Parameters
    ----------
    img : image, path, LazyArray or ndarray
        What to share. An image is decoded as it is stored: scaled integers stay integers in
        memory, and are scaled when they are read. One loaded with ``dtype=`` is shared in that
        type.

    Returns
    -------
    SharedHandle
        A context manager. Its ``open()`` gives the image or the array, in any process that the
        handle is pickled to.

    Raises
    ------
    ParameterTypeError
        If `img` is none of the above.
    ParameterError
        If the values of an array are Python objects.
    ImageFileError
        If the image cannot be read to its end; nothing is left behind.
    OutputError
        If neither the memory nor the folder for temporary files has room.

    Warns
    -----
    LazyvoxWarning
        If the memory has too little room: the data are then in a temporary file that processes
        map, which is as right, and slower where the file leaves the page cache.

    Notes
    -----
    Memory: the decoded data, once, and buffers of a few MiB while they are decoded. One pass over
    the file. The data are in ``/dev/shm``, outside of the budget, and count once however many
    processes open them. They are removed when the block ends, the handle is collected or the
    process exits; what a process that was killed left is removed by the next call of this
    function.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with lv.shared("run.nii.gz") as handle:
    ...     with handle.open() as img:
    ...         img.shape, float(img.dataobj[6, 7, 5].max()) > 1000
    ((12, 14, 10, 40), True)
    """
    content = _content_of(img)
    stop_if_planning(_plan(content))
    file = _file_for(max(content.nbytes + len(content.note), 1))
    try:
        dtype, shape = content.values.dtype, content.values.shape
        values = writable_values(file, dtype, shape, content.order)
        _fill(content.values, values)
        note = _written_note(file, content) if content.note else None
    except BaseException:
        file.close()
        raise
    return SharedHandle(
        SharedRecord(file.path, file.nbytes, dtype, shape, values.strides), note, file
    )


def _content_of(img: Any) -> _Content:
    """Return the values that are to be shared, and what makes an image of them."""
    if isinstance(img, LazyArray):
        return _Content(img, "F", b"", img.reader.path)
    if isinstance(img, np.ndarray):
        return _array_content(img)
    if getattr(img, "is_proxy", False) and not isinstance(img, SpatialImage):
        return _Content(in_memory_array(img, "a proxy"), "F", b"", "a proxy")
    if not isinstance(img, SpatialImage | str | bytes) and not hasattr(img, "__fspath__"):
        msg = (
            f"`img` must be an image, its path, or an array. Got {type(img).__name__}. Pass "
            f"np.asarray(...) of other objects."
        )
        raise ParameterTypeError(msg)
    return _image_content(as_image(img))


def _array_content(values: Array) -> _Content:
    if values.dtype.hasobject or isinstance(values, np.ma.MaskedArray):
        kind = "a masked array" if isinstance(values, np.ma.MaskedArray) else str(values.dtype)
        msg = (
            f"an array to be shared must hold plain values. Got {kind}, of shape {values.shape}. "
            f"Share the values of it that are numbers, such as np.asarray(array, float)."
        )
        raise ParameterError(msg)
    is_fortran = values.flags.f_contiguous and not values.flags.c_contiguous
    return _Content(values, "F" if is_fortran else "C", b"", "an array in memory")


def _image_content(img: SpatialImage) -> _Content:
    array = lazy_dataobj(img)
    header: Any = img.header
    conversion = array.conversion
    is_stored = conversion.is_scaled and conversion.dtype is None and conversion.cast is None
    if is_stored:
        array = replace(array, conversion=Conversion())
    elif conversion.changes(array.reader.dtype):
        header = _with_type(header, array.dtype)
    lazy_class = next(
        (LAZY_CLASSES[one] for one in type(img).__mro__ if one in LAZY_CLASSES), type(img)
    )
    note = pickle.dumps(
        (
            lazy_class,
            affine_of(img).tobytes(),
            pack_header(header),
            img.extra or None,
            img.get_filename(),
            conversion if is_stored else None,
        )
    )
    return _Content(array, "F", note, array.reader.path)


def _with_type(header: Any, dtype: DType) -> Any:
    """Return a header that says the type of values in memory, where its format has that type."""
    copy = header.copy()
    try:
        copy.set_data_dtype(dtype)
    except HeaderDataError:
        return header
    return copy


def _fill(values: LazyArray | Array, out: Array) -> None:
    """Read values into shared memory: nothing is held besides, save what reading itself needs."""
    if not isinstance(values, LazyArray):
        out[...] = values
        return
    kept = [len(axis) for axis in values.window.axes if not isinstance(axis, int)]
    if not values.size or math.prod(kept) != values.size:
        # Axes that indexing added, longer than one.
        out[...] = values.read()
        return
    fill_spools(values)
    with values.open() as session:
        fill_block(values, session, out)


def _written_note(file: SharedFile, content: _Content) -> _Note:
    file.map()[content.nbytes :] = content.note
    return _Note(len(content.note), _digest(content.note))


def _image_over(values: SharedArray, note: _Note) -> LazyImage:
    """Return the image of shared values."""
    record = values._record
    assert record is not None
    packed = map_shared(record.path, record.nbytes)[record.nbytes - note.nbytes :]
    if _digest(packed) != note.digest:
        msg = (
            f"{record.path}: the header of shared data must be what was written. Somebody else "
            f"wrote to the memory. Share the image again."
        )
        raise CorruptFileError(msg)
    image_class, affine, header, extra, path, conversion = pickle.loads(packed)
    dataobj: LazyArray | Array = values
    if conversion is not None:
        reader = MemoryReader(values, path or record.path, values.shape, values.dtype)
        dataobj = LazyArray.over(reader, conversion)
    matrix = np.frombuffer(affine, np.float64).reshape(4, 4)
    return lazy_image(image_class, dataobj, matrix, unpack_header(header), extra, path)


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=16).digest()


def _file_for(nbytes: int) -> SharedFile:
    """Return a new shared file: in memory, or where that is too small in the temporary folder."""
    folder = _temporary_folder()
    for place in (MEMORY_FOLDER, folder):
        sweep_shared(place)
    if MEMORY_FOLDER.is_dir():
        # What lies there takes memory, so that the limits of this process hold too.
        room = min(free_bytes(MEMORY_FOLDER), available_memory())
        reason = f"{MEMORY_FOLDER} has room for {format_bytes(room)}"
        if nbytes <= room:
            try:
                return SharedFile(MEMORY_FOLDER, nbytes)
            except OSError as error:
                reason = f"{MEMORY_FOLDER}: {error.strerror or error}"
        msg = (
            f"shared memory must hold {format_bytes(nbytes)}, and {reason}. The data are put into "
            f"a temporary file in {folder} instead, which processes map: results are the same, "
            f"and reading is slower where the file leaves the page cache."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return _file_on_disk(folder, nbytes)


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        msg = (
            "there must be a folder for temporary files. None of the usual ones can be written "
            "to. Set TMPDIR to one that can."
        )
        raise OutputError(msg) from error


def _file_on_disk(folder: Path, nbytes: int) -> SharedFile:
    room = free_bytes(folder)
    reason = f"has room for {format_bytes(room)}"
    if nbytes <= room:
        try:
            return SharedFile(folder, nbytes)
        except OSError as error:
            reason = f"refuses: {error.strerror or error}"
    msg = (
        f"shared data must have room for {format_bytes(nbytes)} in the folder for temporary files. "
        f"{folder} {reason}. Set TMPDIR to a folder on a larger disk, or share less: a slice, or "
        f"another dtype."
    )
    raise OutputError(msg)


def _plan(content: _Content) -> Plan:
    """Return the plan of sharing: the data, and what decoding them holds."""
    values = content.values
    array = values if isinstance(values, LazyArray) else None
    reading = None if array is None else reading_of(array, 1)
    held = FIXED_BYTES + (0 if array is None else session_bytes(array))
    return Plan(
        source=content.name,
        shape=values.shape,
        dtype=str(values.dtype),
        passes=0 if reading is None else reading.passes,
        bytes_read=0 if reading is None else reading.bytes_read,
        bytes_decoded=0 if reading is None else reading.bytes_decoded,
        block_volumes=values.shape[3] if values.ndim > 3 else 1,
        slab_slices=values.shape[2] if values.ndim > 2 else 1,
        n_buffers=1,
        buffer_bytes=content.nbytes,
        block_bytes=content.nbytes,
        consumer_bytes=(),
        peak_bytes=content.nbytes + held,
        scratch_bytes=0,
        budget=resolve_budget(None),
    )
