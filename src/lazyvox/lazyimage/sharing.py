"""`lazyvox.shared`: decoded data in memory once, for all processes of a machine."""

from dataclasses import replace
from typing import Any, Self

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.shared_array import SharedRecord, open_shared, writable_values
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.reading_plan import plan_passes
from lazyvox.lazyimage.shared_content import (
    SharedContent,
    SharedNote,
    content_of,
    fill_shared,
    image_over,
    write_note,
)
from lazyvox.lazyimage.shared_room import shared_file
from lazyvox.planning.blocks import DECODER, BlockLayout
from lazyvox.planning.memory import MemoryTerm, format_bytes
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.store.files.shared_files import SharedFile

__all__ = ["SharedHandle", "shared"]


class SharedHandle:
    """Decoded data in shared memory. Made by `lazyvox.shared`.

    A context manager: the memory is given back when the block ends, whatever ended it, and when
    the handle is deleted. Pickled to another process, in less than 2 KiB, a handle opens the same
    data there, and gives back nothing.

    Parameters
    ----------
    record : SharedRecord
        Where the values are.
    note : object, optional
        Where the rest of an image is; None for an array.
    file : SharedFile, optional
        The file; None in processes that did not make it.
    """

    def __init__(
        self, record: SharedRecord, note: SharedNote | None = None, file: SharedFile | None = None
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
        return values if self._note is None else image_over(values, self._record, self._note)

    def close(self) -> None:
        """Give back the memory; harmless when repeated, and in other processes."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        """Return the handle itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Give back the memory."""
        self.close()

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the data are."""
        return SharedHandle, (self._record, self._note)

    @override
    def __repr__(self) -> str:
        """Describe the shared array or image."""
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
    content = content_of(img)
    stop_if_planning(_plan(content))
    file = shared_file(max(content.nbytes + len(content.note), 1))
    try:
        dtype, shape = content.values.dtype, content.values.shape
        values = writable_values(file, dtype, shape, content.order)
        fill_shared(content.values, values)
        note = write_note(file, content) if content.note else None
    except BaseException:
        file.close()
        raise
    return SharedHandle(
        SharedRecord(file.path, file.nbytes, dtype, shape, values.strides), note, file
    )


def _plan(content: SharedContent) -> Plan:
    """Return the plan of sharing: the bytes of the data and of decoding them."""
    values = content.values
    is_lazy = isinstance(values, LazyArray)
    array = values if isinstance(values, LazyArray) else in_memory_array(values, content.name)
    memory = (
        DECODER,
        *array.reader.session_memory,
        MemoryTerm("state and result", content.nbytes, "shared data"),
    )
    n_slices, n_volumes = ((*array.shape, 1, 1, 1, 1)[axis] for axis in (2, 3))
    layout = BlockLayout(n_volumes, n_slices, content.nbytes, content.nbytes, memory, 1)
    plan = plan_passes(array, int(is_lazy), layout, resolve_budget(None))
    return replace(plan, source=content.name)
