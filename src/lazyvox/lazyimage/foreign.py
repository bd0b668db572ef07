"""The reader of images in formats that nibabel reads and lazyvox does not."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from nibabel.filebasedimages import FileBasedImage
from nibabel.loadsave import load as nibabel_load

from lazyvox._typing import Array, DType, ExitInfo, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.lazyimage.classes import LAZY_CLASSES, lazy_image
from lazyvox.planning.indexing import Axis
from lazyvox.store.files.identity import FileIdentity, identify

__all__ = ["ProxyReader", "load_foreign"]


@dataclass(frozen=True, slots=True)
class ProxyReader(ArrayReader):
    """Reads an array through the proxy of a nibabel image, which is opened for each session."""

    path: str = field()
    identity: FileIdentity
    shape: Shape = field()
    dtype: DType = field()

    @property
    @override
    def is_random_access(self) -> bool:
        """True if the file is not compressed, judged by its name."""
        return not self.path.lower().endswith((".gz", ".bz2", ".zst"))

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> "ProxySession":
        """Start a reading session."""
        return ProxySession(self)

    @property
    @override
    def stored_bytes(self) -> int:
        """Size of the file that was named."""
        return self.identity.size


class ProxySession:
    """One reading session on an image that nibabel opened."""

    def __init__(self, reader: ProxyReader) -> None:
        self._reader = reader
        reader.identity.check(Path(reader.path).stat(), reader.path)
        self._proxy: Any = _open(reader.path).dataobj

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Release the image; without an error, check first that the file was not written to."""
        self._proxy = None
        if exc[0] is None:
            self._reader.identity.check(Path(self._reader.path).stat(), self._reader.path)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the scaled values at `axes`."""
        boxes: list[slice] = []
        picks: list[Any] = []
        for axis in axes:
            positions = (axis,) if isinstance(axis, int) else axis
            low, high = min(positions, default=0), max(positions, default=-1)
            boxes.append(slice(low, high + 1))
            picks.append(np.array(positions, dtype=np.intp) - low)
        values = np.asarray(self._proxy[tuple(boxes)])[np.ix_(*picks)]
        out[...] = values.reshape(out.shape, order="F")


def load_foreign(path: str) -> FileBasedImage:
    """Open an image through nibabel.

    Spatial images come back lazy, as the lazy class of their nibabel class. Others (surfaces,
    CIFTI-2) come back as nibabel makes them: their arrays are nibabel's own proxies or in memory.

    Parameters
    ----------
    path : str
        Absolute path.

    Returns
    -------
    nibabel image
        The image.
    """
    img: Any = _open(path)
    if type(img) not in LAZY_CLASSES:
        plain: FileBasedImage = img
        return plain
    # One voxel: of none, nibabel maps a file from byte -1 on where rows are longer than 256 bytes.
    dtype = np.asarray(img.dataobj[(slice(0, 1),) * len(img.shape)]).dtype
    reader = ProxyReader(path, identify(path), tuple(int(n) for n in img.shape), dtype)
    lazy = lazy_image(type(img), LazyArray.over(reader), img.affine, img.header, img.extra, None)
    lazy.file_map = img.file_map
    return lazy


def _open(path: str) -> Any:
    # Bound on import: `nibabel.load` itself may have been replaced by `lazyvox.load`.
    return nibabel_load(path)
