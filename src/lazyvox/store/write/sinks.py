"""Write files in one pass, compressed or not, complete or not at all."""

import bz2
from collections.abc import Iterator
from typing import Any, Protocol, Self

from lazyvox.errors import ParameterError
from lazyvox.store.files.paths import printable
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.write.atomic import AtomicFile
from lazyvox.store.write.deflate import GzipPacker, gzip_memory
from lazyvox.store.write.members import FrameForm, GzipMemberForm, MemberPacker, packer_memory

__all__ = ["ByteSink", "open_sink", "sink_memory"]

# Lowest, highest and default level. Gzip and bzip2: the default of nibabel.
#: 2 MiB: what a reader needs as memory, and enough for images, which repeat themselves nearby.
_ZSTD_WINDOW_LOG = 21
_ZSTD_JOB_BYTES = 4 << 20
_ZSTD_LAST_FAST_LEVEL = 4
_LEVELS = {"gzip": (0, 9, 1), "bzip2": (1, 9, 1), "zstd": (1, 22, 3)}
_BZIP2_BLOCK = 100_000
# Bytes given to a compressor in one call, so that what it returns is bounded too.
_PIECE = 1 << 20


class _Packer(Protocol):
    """Turns bytes into those of a compressed file."""

    def pack(self, data: memoryview, /) -> Iterator[bytes | memoryview]: ...
    def finish(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _PlainPacker:
    def pack(self, data: memoryview) -> Iterator[memoryview]:
        yield data

    def finish(self) -> Iterator[bytes]:
        yield from ()

    def close(self) -> None:
        pass


class _LibraryPacker:
    """The compressor object of a library, fed piece by piece."""

    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def pack(self, data: memoryview) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield self._compressor.compress(data[start : start + _PIECE])

    def finish(self) -> Iterator[bytes]:
        yield self._compressor.flush()
        self.close()

    def close(self) -> None:
        # The threads of zstd end with its compressor.
        self._compressor = None


class ByteSink:
    """A file in the making. Made by `open_sink`; used by one thread at a time.

    As a context manager it aborts when the block raises, and when it ends without `commit`.
    """

    def __init__(self, file: AtomicFile, packer: _Packer) -> None:
        self._file = file
        self._packer = packer
        self._is_finished = False

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes to the decoded stream.

        Parameters
        ----------
        data : bytes or memoryview
            C-contiguous.

        Raises
        ------
        OutputError
            If the file cannot be written; the temporary file is removed.
        """
        view = memoryview(data)
        if view.nbytes:
            self._write(self._packer.pack(view.cast("B")))

    def prepare(self) -> None:
        """Bring everything to the disk under the temporary name.

        Raises
        ------
        OutputError
            If the file cannot be written; the temporary file is removed.
        """
        if not self._is_finished:
            self._write(self._packer.finish())
            self._is_finished = True
        self._file.prepare()

    def commit(self) -> None:
        """Put the complete file in the target's place.

        Raises
        ------
        OutputError
            If the file cannot be written; the temporary file is removed.
        OutputExistsError
            If overwriting is not allowed and somebody has written the target meanwhile.
        """
        self.prepare()
        self._file.commit()

    def abort(self) -> None:
        """Remove the temporary file and end all threads; harmless after commit."""
        try:
            self._packer.close()
        finally:
            self._file.abort()

    def _write(self, pieces: "Iterator[bytes | memoryview]") -> None:
        try:
            for piece in pieces:
                self._file.write(memoryview(piece))
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()


def open_sink(
    path: str,
    *,
    compression: str,
    compresslevel: int | None = None,
    n_threads: int = 1,
    overwrite: bool = True,
    lengths: Iterator[int] | None = None,
) -> ByteSink:
    """Open a file for writing that gets its final name only once it is complete.

    Parameters
    ----------
    path : str
        The target. A symbolic link stays, and the file that it points to is replaced.
    compression : str
        One of 'none', 'gzip', 'bzip2', 'zstd'.
    compresslevel : int, optional
        gzip: 0 to 9, default 1; bzip2: 1 to 9, default 1; zstd: 1 to 22, default 3.
    n_threads : int
        Threads that compress gzip and zstd. The bytes of a gzip file do not depend on it.
    overwrite : bool
        Whether an existing file may be replaced; its permissions are kept.
    lengths : iterator of int, optional
        Decoded bytes of each member of a gzip file, or frame of a zstd file, for ever: then the
        file tells where they are, and each can be decoded alone: see `member_lengths`.

    Returns
    -------
    ByteSink
        Where to write; nothing is seen under `path` before its `commit`.

    Raises
    ------
    OutputError
        If no file can be written there.
    OutputExistsError
        If the target exists and `overwrite` is false.
    ParameterError
        If the compression, its level or the number of threads is not one of the above, or the
        compression has no parts that can be decoded alone.

    Notes
    -----
    Memory: at most `sink_memory` of the same arguments.

    Examples
    --------
    >>> with open_sink("copy.bin.gz", compression="gzip") as sink:
    ...     sink.write(b"voxels")
    ...     sink.commit()
    """
    packer = _make_packer(path, compression, compresslevel, n_threads, lengths)
    try:
        return ByteSink(AtomicFile(path, overwrite=overwrite), packer)
    except BaseException:
        packer.close()
        raise


def sink_memory(
    compression: str,
    compresslevel: int | None = None,
    n_threads: int = 1,
    *,
    seekable: bool = False,
) -> int:
    """Return an upper bound of the bytes that a sink holds.

    Parameters
    ----------
    compression : str
        As for `open_sink`.
    compresslevel : int, optional
        As for `open_sink`.
    n_threads : int
        As for `open_sink`.
    seekable : bool, default=False
        Whether `open_sink` gets `lengths`.

    Returns
    -------
    int
        Bytes: compressor states, chunks in flight and their results.

    Raises
    ------
    ParameterError
        If an argument is not one that `open_sink` takes.

    Examples
    --------
    >>> sink_memory("none"), sink_memory("gzip") < 16 * 1024**2
    (0, True)
    """
    level = _check_options("the output", compression, compresslevel, n_threads)
    if compression == "gzip":
        return packer_memory(n_threads) if seekable else gzip_memory(n_threads)
    if compression == "bzip2":
        return 9 * level * _BZIP2_BLOCK + 4 * _PIECE
    if compression == "zstd":
        if seekable:
            return packer_memory(n_threads, _zstd_memory(level, 1))
        return _zstd_memory(level, n_threads)
    return 0


def _check_options(shown: str, compression: str, compresslevel: int | None, n_threads: int) -> int:
    """Return the compression level, after a check of everything."""
    if compression != "none" and compression not in _LEVELS:
        msg = (
            f"compression must be one of 'none', {', '.join(map(repr, _LEVELS))}. "
            f"Got {compression!r}."
        )
        raise ParameterError(msg)
    if n_threads < 1:
        msg = f"n_threads must be at least 1. Got {n_threads}."
        raise ParameterError(msg)
    if compression == "none":
        if compresslevel is not None:
            msg = (
                f"`compresslevel` is for compressed outputs only. Got {compresslevel} for {shown}. "
                f"Leave it out, or choose a compressed format."
            )
            raise ParameterError(msg)
        return 0
    lowest, highest, default = _LEVELS[compression]
    level = default if compresslevel is None else compresslevel
    if not lowest <= level <= highest:
        msg = (
            f"`compresslevel` must be from {lowest} to {highest} for {compression}. Got {level}, "
            f"for {shown}."
        )
        raise ParameterError(msg)
    return level


def _make_packer(
    path: str,
    compression: str,
    compresslevel: int | None,
    n_threads: int,
    lengths: Iterator[int] | None,
) -> _Packer:
    level = _check_options(printable(path), compression, compresslevel, n_threads)
    if lengths is not None and compression != "none":
        form = _member_form(path, compression, level)
        return MemberPacker(form, lengths, n_threads)
    if compression == "gzip":
        return GzipPacker(level, n_threads)
    if compression == "bzip2":
        return _LibraryPacker(bz2.BZ2Compressor(level))
    if compression == "zstd":
        zstd = load_zstd()
        return _LibraryPacker(zstd.ZstdCompressor(options=_zstd_options(zstd, level, n_threads)))
    return _PlainPacker()


def _member_form(path: str, compression: str, level: int) -> GzipMemberForm | FrameForm:
    if compression == "gzip":
        return GzipMemberForm(level)
    if compression == "zstd":
        zstd = load_zstd()
        return FrameForm(zstd, _zstd_options(zstd, level, 1))
    msg = (
        f"{printable(path)}: an image that is to be seekable must be compressed with gzip or "
        f"zstd, or not at all. Got {compression}: choose another ending."
    )
    raise ParameterError(msg)


def _zstd_options(zstd: Any, level: int, n_threads: int) -> dict[Any, int]:
    options = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
        zstd.CompressionParameter.window_log: _ZSTD_WINDOW_LOG,
        # With 0 workers it works in the caller's thread.
        zstd.CompressionParameter.nb_workers: n_threads if n_threads > 1 else 0,
    }
    if n_threads > 1:
        options[zstd.CompressionParameter.job_size] = _ZSTD_JOB_BYTES
    return options


def _zstd_memory(level: int, n_threads: int) -> int:
    """Bound the memory of zstd: tables per thread, and jobs in and out.

    The tables of a level are at most as large as its window allows: 2 times 2**(window log + 1)
    entries of 4 bytes at high levels, a sixteenth of that up to level 4.
    """
    window = 1 << _ZSTD_WINDOW_LOG
    tables = 20 * window if level > _ZSTD_LAST_FAST_LEVEL else 2 * window
    jobs = 0 if n_threads == 1 else 2 * (n_threads + 2) * (_ZSTD_JOB_BYTES + window)
    return n_threads * (window + tables + (1 << 20)) + jobs + 4 * _PIECE
