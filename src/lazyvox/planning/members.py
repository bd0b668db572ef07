"""Into which parts an image is cut that is compressed so that each part can be read alone."""

from collections.abc import Iterator

__all__ = ["MOST_MEMBER_BYTES", "member_lengths"]

#: A part takes about 2 ms to decode, and what it costs to begin anew is some 0.1 % of it.
MOST_MEMBER_BYTES = 2 << 20


def member_lengths(header_bytes: int, volume_bytes: int) -> Iterator[int]:
    """Yield the lengths of the parts, for ever: the last one is cut short by the end of the image.

    The header is a part of its own. Then come as many whole volumes as fit into a part, or each
    volume in parts of equal length.

    Parameters
    ----------
    header_bytes : int
        Bytes before the first value.
    volume_bytes : int
        Bytes of one volume.

    Yields
    ------
    int
        Decoded bytes of the next part.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(member_lengths(352, 700_000), 3))
    [352, 1400000, 1400000]
    >>> list(islice(member_lengths(0, 5_000_000), 4))
    [1666667, 1666667, 1666666, 1666667]
    """
    for start in range(0, header_bytes, MOST_MEMBER_BYTES):
        yield min(MOST_MEMBER_BYTES, header_bytes - start)
    volume_bytes = max(volume_bytes, 1)
    if volume_bytes <= MOST_MEMBER_BYTES:
        while True:
            yield MOST_MEMBER_BYTES // volume_bytes * volume_bytes
    n_parts = -(-volume_bytes // MOST_MEMBER_BYTES)
    longest = -(-volume_bytes // n_parts)
    while True:
        for start in range(0, volume_bytes, longest):
            yield min(longest, volume_bytes - start)
