"""`lazyvox.index`: build, import and export the access points of gzip-compressed images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nibabel.spatialimages import SpatialImage

from lazyvox._typing import PathLike
from lazyvox.errors import (
    AccessPointError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.planning.memory import parse_memory
from lazyvox.runtime.progress import ArrayProgress, ProgressLike, resolve_progress
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.source import ByteSource
from lazyvox.store.gzip.access_points import (
    DEFAULT_SPACING,
    WINDOW_BYTES,
    AccessPoints,
    points_of,
)
from lazyvox.store.gzip.member_table import read_member_table
from lazyvox.store.gzip.point_recorder import build_points
from lazyvox.store.index.cache import judge_all
from lazyvox.store.index.file import GzidxFile
from lazyvox.store.index.foreign import open_foreign
from lazyvox.store.index.places import beside_paths
from lazyvox.store.index.writer import IndexWriter, export_index
from lazyvox.store.opening import open_source
from lazyvox.store.stream_source import StreamSource

__all__ = ["ImageIndex", "gzip_source", "index"]


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """The index of one gzip-compressed image.

    Attributes
    ----------
    path : str
        Where it is: a GZIDX file, as indexed_gzip and rapidgzip write and read it.
    source : str
        The image file.
    n_points : int
        Places from which decoding can begin.
    n_bytes : int
        Size of the index in bytes, without its record.
    decoded_size : int
        Size of the image file when decoded, in bytes.
    spacing : int
        Decoded bytes between two points that were aimed at.
    is_built : bool
        Whether it was made just now, and not found.
    """

    path: str
    source: str
    n_points: int
    n_bytes: int
    decoded_size: int
    spacing: int
    is_built: bool

    def export(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write the index as a GZIDX file for other programs.

        Parameters
        ----------
        path : path-like
            The file to write, by habit named after the image with the ending ``.gzidx``.
        overwrite : bool, default=False
            Whether an existing file may be replaced.

        Raises
        ------
        OutputError
            If it cannot be written.
        AccessPointError
            If the index is gone, or the image changed since.
        """
        source = gzip_source(self.source)
        good = {one.path: one.points for one in judge_all(source)}
        points = good.get(self.path)
        if points is None:
            msg = (
                f"{printable(self.source)}: the file must have an index, and the one that it had "
                f"is gone or no longer its own. Build it again with lazyvox.index."
            )
            raise AccessPointError(msg)
        export_index(points, source, absolute_path(path), overwrite=overwrite)


def index(
    img: PathLike | SpatialImage,
    *,
    spacing: int | str | None = None,
    import_from: PathLike | None = None,
    beside: bool = False,
    overwrite: bool = False,
    progress: ProgressLike = None,
) -> ImageIndex:
    """Build the access points of a gzip-compressed image: then any volume is read immediately.

    Parameters
    ----------
    img : path-like or nibabel image
        A ``.nii.gz`` or other file compressed with gzip, or an image that was loaded from one.
    spacing : int or str, optional
        Decoded bytes from one point to the next, as in ``"2MiB"``, which is the default; at least
        32 KiB. A read decodes about half of it in vain; each point takes 32 KiB on disk.
    import_from : path-like, optional
        A GZIDX file of indexed_gzip, rapidgzip or lazyvox. Its points are taken, and proved.
    beside : bool, default=False
        Whether the index is kept beside the image, as ``run.nii.gz.gzidx`` with a record
        ``run.nii.gz.gzidx.json``, for everybody who reads the image. By default it is kept in the
        user's cache folder.
    overwrite : bool, default=False
        Whether the index is built again where a good one is there.
    progress : bool or callable, optional
        True shows a bar on stderr while the image is decoded.

    Returns
    -------
    ImageIndex
        Where the index is, and its size. A good one that is there already is not built again.

    Raises
    ------
    ParameterError
        If the image needs or can have no index, or `spacing` is out of range.
    AccessPointError
        If `import_from` is damaged, or of another file.
    ImageFileError
        If the image file is damaged: all of it is decoded and verified, unless the headers of
        its members tell where they are.
    OutputError
        If the index cannot be written.

    Notes
    -----
    One pass over the file, two with `import_from`; none over files that are seekable by
    themselves, which need no index: BGZF, and what `save` writes with ``seekable=True``. Memory: O(1) for each point, and with
    `import_from` one segment. Images that are loaded already use the index, too.

    Examples
    --------
    >>> import lazyvox as lv
    >>> found = lv.index("run.nii.gz", beside=True)
    >>> found.n_points, found.path.endswith("run.nii.gz.gzidx")
    (1, True)
    """
    source = gzip_source(img)
    aim = _check_spacing(spacing, import_from)
    where: Literal["cache", "beside"] = "beside" if beside else "cache"
    if import_from is not None:
        foreign = open_foreign(absolute_path(import_from), source)
        return _describe(source, _copy(source, foreign, where), is_built=True)
    points = None if overwrite else _good_index(source, spacing=aim)
    if points is None:
        points = _build(source, aim or DEFAULT_SPACING, where, progress)
        return _describe(source, points, is_built=True)
    if beside and points.path != beside_paths(source.path)[0]:
        points = _copy(source, points, where)
    return _describe(source, points, is_built=False)


def gzip_source(img: PathLike | SpatialImage) -> StreamSource:
    """Return the gzip file of an image.

    Parameters
    ----------
    img : path-like or nibabel image
        A path, or an image.

    Returns
    -------
    StreamSource
        The file that holds its voxels.

    Raises
    ------
    ParameterError
        If it is in no single file that is compressed with gzip.
    """
    source = _source_of(img) if isinstance(img, SpatialImage) else open_source(img)
    if isinstance(source, StreamSource) and source.compression == "gzip":
        return source
    shown = printable(source.path)
    if source.compression == "none":
        msg = (
            f"{shown}: the file is not compressed, so that any part of it can be read immediately: it "
            f"needs no index. Go on without one."
        )
    elif isinstance(source, StreamSource) and source.access_points() is not None:
        msg = (
            f"{shown}: the file has a table of its frames, so that any part of it can be read at "
            f"once: it needs no index. Go on without one."
        )
    else:
        msg = (
            f"{shown}: an index must be of a file that is compressed with gzip. Got "
            f"{source.compression}. Convert it to .nii.gz, or to .nii, which needs none."
        )
    raise ParameterError(msg)


def _source_of(img: SpatialImage) -> ByteSource:
    source = lazy_dataobj(img).reader.byte_source
    if source is not None:
        return source
    msg = (
        f"{printable(name_of(img))}: an index is of one file, and the voxels of this image are "
        f"not in one: they are computed, joined, or in memory. Index the files that it is made of."
    )
    raise ParameterError(msg)


def _check_spacing(spacing: int | str | None, import_from: PathLike | None) -> int | None:
    if spacing is None:
        return None
    if import_from is not None:
        msg = (
            "`spacing` must be left out where `import_from` is given: an imported index has its "
            "own."
        )
        raise ParameterError(msg)
    if isinstance(spacing, bool) or not isinstance(spacing, int | str):
        msg = f"`spacing` must be a number of bytes or a text. Got {type(spacing).__name__}."
        raise ParameterTypeError(msg)
    nbytes = parse_memory(spacing)
    if not WINDOW_BYTES <= nbytes < 1 << 32:
        msg = f"`spacing` must be from 32 KiB to 4 GiB. Got {nbytes} bytes."
        raise ParameterError(msg)
    return nbytes


def _good_index(source: StreamSource, *, spacing: int | None) -> GzidxFile | None:
    """Return the index that is there, every window of it verified, if it has the spacing."""
    for verdict in judge_all(source):
        points = verdict.points
        if points is not None and (spacing is None or spacing == points.spacing):
            return points
    return None


def _build(
    source: StreamSource, spacing: int, where: Literal["cache", "beside"], progress: ProgressLike
) -> GzidxFile:
    table = read_member_table(source, spacing)
    if table is not None:
        return _copy(source, table, where)
    reporter = ArrayProgress(resolve_progress(progress), (source.stored_size,), 1)
    reporter.start(Path(source.path).name)
    seen = 0

    def advance(position: int) -> None:
        nonlocal seen
        reporter.advance(position - seen)
        seen = position

    try:
        with IndexWriter(source, spacing, where) as writer:
            decoded_size, checksums = build_points(source, spacing, writer, advance)
            return writer.commit(decoded_size, checksums)
    finally:
        reporter.close()


def _copy(
    source: StreamSource, points: AccessPoints, where: Literal["cache", "beside"]
) -> GzidxFile:
    with IndexWriter(source, points.spacing, where) as writer:
        for point in points_of(points):
            writer.add(point)
        return writer.commit(points.decoded_size, points.checksums)


def _describe(source: StreamSource, points: GzidxFile, *, is_built: bool) -> ImageIndex:
    return ImageIndex(
        path=points.path,
        source=source.path,
        n_points=len(points.bit_offsets),
        n_bytes=points.identity.size,
        decoded_size=points.decoded_size,
        spacing=points.spacing,
        is_built=is_built,
    )
