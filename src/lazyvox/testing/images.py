"""Small seeded arrays and image files for tests."""

import bz2
import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import nibabel
import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, Shape
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import FileReader
from lazyvox.lazyimage.classes import LazyImage, lazy_image
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.source import ByteSource
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.opening import open_source
from lazyvox.testing.sources import MemorySource

__all__ = [
    "compress",
    "image_of",
    "image_over",
    "nifti_bytes",
    "random_values",
    "run_like",
    "write_lazy_array",
    "write_nifti",
]

SourceT = TypeVar("SourceT", bound=ByteSource)

_ENDINGS = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}


def random_values(shape: Shape, dtype: npt.DTypeLike, seed: int = 0) -> Array:
    """Return an array of seeded random bits, so that every value of the type can occur.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : dtype-like
        Its type; floats hold NaN, infinities and denormals too.
    seed : int
        Seed of the generator.

    Returns
    -------
    ndarray of shape `shape`
        Values in Fortran order.

    Examples
    --------
    >>> random_values((2, 3), ">i2").dtype.str
    '>i2'
    """
    kind = np.dtype(dtype)
    n_values = int(np.prod(shape, dtype=np.int64))
    payload = np.random.default_rng(seed).bytes(n_values * kind.itemsize)
    return np.frombuffer(payload, kind).reshape(shape, order="F").copy(order="F")


def run_like(shape: Shape, dtype: npt.DTypeLike = "f4", seed: int = 1) -> Array:
    """Return seeded values that look like those of a run: mean 1000, standard deviation 50.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : dtype-like, default="f4"
        Its type.
    seed : int, default=1
        Seed of the generator.

    Returns
    -------
    ndarray of shape `shape`
        Values in Fortran order.

    Examples
    --------
    >>> run_like((2, 3, 4, 5)).mean().round()
    np.float32(997.0)
    """
    values = np.random.default_rng(seed).normal(1000, 50, shape)
    return np.asfortranarray(values.astype(dtype))


def image_of(values: npt.ArrayLike, affine: npt.ArrayLike | None = None) -> nibabel.Nifti1Image:
    """Return a NIfTI image in memory that keeps the type of its values.

    Parameters
    ----------
    values : array-like
        Voxels, of a type that NIfTI stores, or bool.
    affine : array-like of shape (4, 4), optional
        Voxel indices to world coordinates in mm; by default voxels of 2 mm.

    Returns
    -------
    nibabel.Nifti1Image
        The image.

    Examples
    --------
    >>> image_of(np.zeros((2, 2, 2), np.int64)).get_data_dtype().name
    'int64'
    """
    array = np.asarray(values)
    given = np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else np.asarray(affine, np.float64)
    # nibabel's class has no types; NIfTI has no bool, though an image in memory may hold it.
    make: Any = nibabel.Nifti1Image
    stored = array.view(np.uint8) if array.dtype == np.bool_ else array
    img: nibabel.Nifti1Image = make(stored, given, dtype=stored.dtype)
    img._dataobj = array
    return img


def image_over(
    wrap: Callable[[ByteSource], SourceT],
    values: Array,
    affine: npt.ArrayLike | None = None,
    *,
    compression: str = "none",
    slope: float = 1.0,
    path: str = "/nowhere/run.nii",
    offset: int = 352,
) -> tuple[SourceT, LazyImage]:
    """Return a source that watches or fails, and a lazy image whose voxels it holds.

    Parameters
    ----------
    wrap : callable
        Makes the source of one in memory: `CountingSource` or `TripwireSource`, say.
    values : ndarray
        Voxels as they are stored.
    affine : array-like of shape (4, 4), optional
        By default the identity.
    compression : str, default="none"
        Compression that the source claims.
    slope : float, default=1.0
        Factor of the stored values.
    path : str, default="/nowhere/run.nii"
        Path of the source; there is no file.
    offset : int, default=352
        Bytes before the voxels.

    Returns
    -------
    tuple of ByteSource and LazyImage
        The source, and the image.

    Examples
    --------
    >>> from lazyvox.testing import CountingSource
    >>> source, img = image_over(CountingSource, np.zeros((2, 3, 4, 5), np.int16))
    >>> img.shape, source.bytes_read
    ((2, 3, 4, 5), 0)
    """
    # nibabel's class has no types.
    make: Any = nibabel.Nifti1Header
    header = make()
    header.set_data_shape(values.shape)
    header.set_data_dtype(np.uint8 if values.dtype == np.bool_ else values.dtype)
    given = np.eye(4) if affine is None else np.asarray(affine, np.float64)
    header.set_sform(given, code=1)
    content = bytes(offset) + values.tobytes(order="F")
    source = wrap(MemorySource(content, compression=compression, path=path))
    reader = FileReader(source, ArraySpec(values.shape, values.dtype, offset))
    array = LazyArray.over(reader, Conversion(slope))
    return source, lazy_image(nibabel.Nifti1Image, array, given, header, path=path)


def compress(payload: bytes, compression: str) -> bytes:
    """Return a payload compressed.

    Parameters
    ----------
    payload : bytes
        What to compress.
    compression : str
        One of 'none', 'gzip', 'bzip2', 'zstd'; the last with a checksum.

    Returns
    -------
    bytes
        The content of a file.

    Examples
    --------
    >>> compress(b"abc", "none"), compress(b"abc", "gzip")[:2].hex()
    (b'abc', '1f8b')
    """
    if compression == "gzip":
        return gzip.compress(payload, 1, mtime=0)
    if compression == "bzip2":
        return bz2.compress(payload, 1)
    if compression == "zstd":
        zstd = load_zstd()
        options = {zstd.CompressionParameter.checksum_flag: 1}
        packed: bytes = zstd.compress(payload, options=options)
        return packed
    return payload


def write_lazy_array(
    path: Path,
    values: Array,
    *,
    compression: str = "none",
    offset: int = 352,
    conversion: Conversion | None = None,
) -> LazyArray:
    """Write values behind some bytes that are no values, and return the lazy array over them.

    Parameters
    ----------
    path : Path
        File to write.
    values : ndarray
        Stored values.
    compression : str
        See `compress`.
    offset : int
        Bytes before the first value.
    conversion : Conversion, optional
        Scaling and type of the lazy array; none by default.

    Returns
    -------
    LazyArray
        An array over the file.
    """
    path.write_bytes(compress(b"H" * offset + values.tobytes(order="F"), compression))
    spec = ArraySpec(values.shape, values.dtype, offset)
    return LazyArray.over(FileReader(open_source(path), spec), conversion)


def nifti_bytes(
    stored: Array,
    *,
    affine: npt.ArrayLike | None = None,
    slope: float = 1.0,
    inter: float = 0.0,
    version: int = 1,
) -> bytes:
    """Return the content of a ``.nii`` file that holds stored values exactly as given.

    Parameters
    ----------
    stored : ndarray
        Stored values; their byte order becomes that of the file.
    affine : array-like of shape (4, 4), optional
        Voxel indices to world coordinates in mm; by default voxels of 2 mm.
    slope, inter : float
        Scaling fields of the header, written as they are.
    version : int
        1 or 2.

    Returns
    -------
    bytes
        Header, four zero bytes, values in Fortran order.

    Examples
    --------
    >>> len(nifti_bytes(np.zeros((2, 3, 4), "<i2")))
    400
    """
    kinds: dict[int, Any] = {1: nibabel.Nifti1Header, 2: nibabel.Nifti2Header}
    order = ">" if stored.dtype.str[0] == ">" else "<"
    header = kinds[version](endianness=order)
    header.set_data_shape(stored.shape)
    header.set_data_dtype(stored.dtype)
    header.set_sform(np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine, code=1)
    header["vox_offset"] = header.sizeof_hdr + 4
    header["scl_slope"], header["scl_inter"] = slope, inter
    return bytes(header.binaryblock) + struct.pack("4x") + stored.tobytes(order="F")


def write_nifti(path: Path, stored: Array, **options: Any) -> Path:
    """Write a NIfTI file, compressed as its name says.

    Parameters
    ----------
    path : Path
        File to write; ``.gz``, ``.bz2`` and ``.zst`` are compressed.
    stored : ndarray
        Stored values.
    **options : Any
        See `nifti_bytes`.

    Returns
    -------
    Path
        The path given.
    """
    compression = _ENDINGS.get(path.suffix, "none")
    path.write_bytes(compress(nifti_bytes(stored, **options), compression))
    return path
