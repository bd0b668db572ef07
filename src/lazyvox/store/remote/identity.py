"""The identity of an object behind a URL, and its first request."""

from dataclasses import dataclass
from hashlib import blake2b

from lazyvox.errors import ImageNotFoundError, ImagePermissionError, TruncatedFileError
from lazyvox.runtime.logs import log_info
from lazyvox.store.files.identity import ONE_FETCH_BYTES, SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import HIDDEN, url_beside
from lazyvox.store.remote.kept_blocks import KEPT_BLOCK_BYTES
from lazyvox.store.remote.objects import transport_of
from lazyvox.store.remote.open_object import (
    FETCH_BYTES,
    HEAD_BYTES,
    MOST_AT_ONCE,
    OpenObject,
    Range,
    first_bytes,
    keep_piece,
)
from lazyvox.store.remote.options import Access, chosen_options
from lazyvox.store.remote.retrying import Retries
from lazyvox.store.remote.transport import ObjectState, raise_changed

__all__ = ["ObjectIdentity", "find_object", "whole_object"]


@dataclass(frozen=True, slots=True)
class ObjectIdentity:
    """An object as it was first seen; see `lazyvox.store.files.identity.Identity`.

    Attributes
    ----------
    state : ObjectState
        What its server said.
    access : Access
        Options that it was opened with; secrets among them do not pickle.
    """

    state: ObjectState
    access: Access

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.state.size

    @property
    def mtime_ns(self) -> int:
        """Time of its last change, in nanoseconds since the epoch; 0 where it is not said."""
        return self.state.mtime_ns

    @property
    def mark(self) -> int:
        """Number that another object of this name, size and time has not."""
        return int.from_bytes(blake2b(self.state.etag.encode(), digest_size=8).digest())

    @property
    def validator(self) -> str:
        """Its ETag."""
        return self.state.etag

    @property
    def fetch_bytes(self) -> int:
        """Bytes that reading holds besides those asked for."""
        # Each range that is fetched at a time is a part of a block that is kept.
        kept = 0 if self.access.cache_dir is None else 2 * MOST_AT_ONCE * KEPT_BLOCK_BYTES
        return FETCH_BYTES + kept

    def open_at(self, path: str) -> OpenObject:
        """Open it; each answer tells whether it is still the same."""
        transport = transport_of(path, self.access)
        return OpenObject(path, transport, self.state, self.access.retries)

    def prefetch(self, path: str, start: int, stop: int) -> None:
        """Fetch bytes that are going to be read, up to a bound, in one request."""
        self.open_at(path).fetch(start, min(stop, start + ONE_FETCH_BYTES))

    def find_beside(self, path: str, ending: str) -> SourceFile | None:
        """Return the object that has the name of this one and an ending more, if there is one."""
        url = url_beside(path, ending)
        if HIDDEN in url:
            # A signature is of one object.
            return None
        try:
            return find_object(url, self.access)[0]
        except (ImageNotFoundError, ImagePermissionError):
            # S3 says that it may not be read of what is not there.
            return None

    def check_at(self, path: str) -> None:
        """Raise `FileChangedError` unless it is still the same; one request."""
        retries = Retries(path, self.access.retries)
        _, now = first_bytes(transport_of(path, self.access), retries, nbytes=1)
        if not self.state.is_same(now):
            raise_changed(path, self.state, now)


def find_object(shown: str, access: Access | None = None) -> tuple[SourceFile, bytes]:
    """Return the object behind a URL as it is now, and its first bytes, by one request.

    Parameters
    ----------
    shown : str
        Its URL, without credentials: a path from `absolute_path`.
    access : Access, optional
        Its options; by default those of the block of code around the call.

    Returns
    -------
    SourceFile
        The object.
    bytes
        Its first 64 KiB.

    Raises
    ------
    ImageFileError
        If it cannot be had; the message says why.
    """
    access = Access.of(chosen_options(None)) if access is None else access
    transport = transport_of(shown, access)
    head, state = first_bytes(transport, Retries(shown, access.retries))
    if not head:
        msg = f"{printable(shown)}: an image file must hold a header. The object is empty."
        raise TruncatedFileError(msg)
    keep_piece(shown, state, 0, head)
    log_info("found %s: %s bytes, ETag %s", shown, state.size, state.etag or "none")
    return SourceFile(shown, ObjectIdentity(state, access)), head


def whole_object(shown: str, access: Access) -> bytes:
    """Return all bytes of the object behind a URL, by one request.

    Parameters
    ----------
    shown : str
        Its URL, without credentials.
    access : Access
        Its options.

    Returns
    -------
    bytes
        Its content, all of one version.

    Raises
    ------
    ImageFileError
        If it cannot be had; the message says why.
    """
    transport = transport_of(shown, access)
    piece = Range(transport, None, 0, None, Retries(shown, access.retries))
    try:
        head = bytearray(HEAD_BYTES)
        n_read = piece.readinto(memoryview(head))
        assert piece.seen is not None, "bug in lazyvox: an object was read that was not found"
        content = bytearray(piece.seen.size)
        content[:n_read] = head[:n_read]
        piece.readinto(memoryview(content)[n_read:])
    finally:
        piece.close()
    return bytes(content)
