"""Prove an index that another program made, before it is believed."""

from dataclasses import replace

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from lazyvox.errors import AccessPointError, CorruptFileError, TruncatedFileError
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import AccessPoints
from lazyvox.store.gzip.members import GzipDecoder
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.index.file import GzidxFile, open_gzidx

__all__ = ["open_foreign"]

_PIECE_BYTES = 256 * 1024


def open_foreign(path: str, source: SourceFile) -> GzidxFile:
    """Open a GZIDX file of any program, and prove that it is an index of a gzip file.

    Parameters
    ----------
    path : str
        The GZIDX file.
    source : SourceFile
        The gzip file.

    Returns
    -------
    GzidxFile
        The index, with the checksums of its segments.

    Raises
    ------
    AccessPointError
        If it is damaged, or of another file.
    CorruptFileError, TruncatedFileError
        If the gzip file is damaged.

    Notes
    -----
    Two passes over the gzip file: one from its beginning on, in which its own checksums are
    verified, and one from each point. Memory: one segment.
    """
    points = open_gzidx(path, compressed_size=source.identity.size)
    proved = replace(points, checksums=_segment_checksums(source, points))
    segments = SegmentSource(source, proved)
    for number in range(len(segments)):
        try:
            segments.decode(number)
        except (CorruptFileError, TruncatedFileError) as error:
            # The file itself was decoded to its end just now.
            reason = f"decoding from its point {number} fails"
            raise _not_its_index(path, source, reason) from error
    return proved


def _segment_checksums(source: SourceFile, points: AccessPoints) -> NDArray[np.uint32]:
    """Return the CRC32 of each segment between points, decoding from the start of the file."""
    stops = np.append(points.decoded_offsets[1:], points.decoded_size)
    checksums = np.zeros(len(stops), np.uint32)
    with CompressedInput(source) as feed:
        decoder, position = GzipDecoder(feed), 0
        for number, stop in enumerate(stops):
            checksum = 0
            while position < stop:
                piece = decoder.decode(min(int(stop) - position, _PIECE_BYTES))
                if not piece:
                    reason = f"the file decodes to {position} bytes"
                    raise _not_its_index(points.whence, source, reason)
                checksum = isal_zlib.crc32(piece, checksum)
                position += len(piece)
            checksums[number] = checksum
        if decoder.decode(1):
            reason = f"the file decodes to more than {position} bytes"
            raise _not_its_index(points.whence, source, reason)
    return checksums


def _not_its_index(path: str, source: SourceFile, reason: str) -> AccessPointError:
    msg = (
        f"{printable(path)}: the index must be of {printable(source.path)}, and {reason}. Build "
        f"it again."
    )
    return AccessPointError(msg)
