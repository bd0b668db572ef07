"""Stores of Zarr that are only read, those behind URLs among them. Imported once zarr is needed."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, NoReturn

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

from lazyvox._typing import override
from lazyvox.errors import ImageNotFoundError, ImagePermissionError
from lazyvox.formats.zarr_names import ZARR_MARKS
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import public_url, url_below, whole_url
from lazyvox.store.remote.identity import find_object, whole_object
from lazyvox.store.remote.options import Access

__all__ = ["ObjectStore", "ReadOnlyStore"]

#: Objects that may be missing: the metadata of either version of Zarr.
_METADATA = (*ZARR_MARKS, ".zattrs", ".zmetadata")


class ReadOnlyStore(Store):  # type: ignore[misc] # mypy does not read zarr
    """A store that is not written to."""

    def __init__(self) -> None:
        super().__init__(read_only=True)

    @property
    def supports_writes(self) -> bool:
        """False."""
        return False

    @property
    def supports_deletes(self) -> bool:
        """False."""
        return False

    @property
    def supports_partial_writes(self) -> bool:
        """False."""
        return False

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[Any]) -> list[Any]:
        """Return the bytes of several keys, or parts of them."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def set(self, key: str, value: Any) -> None:
        """Refuse."""
        del key, value
        self._refuse()

    async def set_partial_values(self, key_start_values: Any) -> None:
        """Refuse."""
        del key_start_values
        self._refuse()

    async def delete(self, key: str) -> None:
        """Refuse."""
        del key
        self._refuse()

    def _refuse(self) -> NoReturn:
        msg = f"{self}: the store is only read, and cannot be written to."
        raise ValueError(msg)


class ObjectStore(ReadOnlyStore):
    """The objects below a URL. Nothing is listed: keys are asked for by their names.

    Parameters
    ----------
    shown : str
        The URL of the folder, without credentials.
    access : Access
        Its options; secrets among them do not pickle.
    """

    def __init__(self, shown: str, access: Access) -> None:
        super().__init__()
        self._shown, self._access = shown, access
        # Of objects that are read in parts: each further request names the version.
        self._found: dict[str, SourceFile] = {}

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the URL and the options."""
        return ObjectStore, (self._shown, self._access)

    @override
    def __eq__(self, other: object) -> bool:
        """Return whether another store reads the same objects."""
        return isinstance(other, ObjectStore) and (self._shown, self._access) == (
            other._shown,
            other._access,
        )

    __hash__ = None  # type: ignore[assignment] # as of zarr's own stores

    @override
    def __str__(self) -> str:
        """Return the URL."""
        return printable(self._shown)

    @property
    def supports_listing(self) -> bool:
        """False: servers of the web list nothing."""
        return False

    def url_of(self, key: str) -> str:
        """Return the URL of an object in the folder, without credentials; requests know them."""
        return public_url(url_below(whole_url(self._shown), key))

    def find(self, key: str) -> SourceFile:
        """Return an object in the folder as it is now."""
        return find_object(self.url_of(key), self._access)[0]

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return the bytes of a key, None where there is none."""
        content = await asyncio.to_thread(self._read, key, byte_range)
        kind = prototype or default_buffer_prototype()
        return None if content is None else kind.buffer.from_bytes(content)

    async def exists(self, key: str) -> bool:
        """Return whether the store has a key."""
        return await asyncio.to_thread(self._read, key, RangeByteRequest(0, 1)) is not None

    def list(self) -> AsyncIterator[str]:
        """Refuse."""
        msg = f"{self}: the objects of a URL cannot be listed."
        raise NotImplementedError(msg)

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        del prefix
        return self.list()

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        del prefix
        return self.list()

    def _read(self, key: str, byte_range: Any) -> bytes | None:
        try:
            if byte_range is None:
                return whole_object(self.url_of(key), self._access)
            return self._read_part(key, byte_range)
        except ImageNotFoundError:
            return None
        except ImagePermissionError:
            # S3 says so of what is not there. A chunk that may not be read is no empty one.
            if key.rpartition("/")[2] in _METADATA:
                return None
            raise

    def _read_part(self, key: str, byte_range: Any) -> bytes:
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self.find(key)
        size = found.identity.size
        start, stop = 0, size
        if isinstance(byte_range, RangeByteRequest):
            start, stop = byte_range.start, min(byte_range.end, size)
        elif isinstance(byte_range, OffsetByteRequest):
            start = byte_range.offset
        elif isinstance(byte_range, SuffixByteRequest):
            start = max(size - byte_range.suffix, 0)
        stored = found.open_stored()
        try:
            return stored.pread(stop - start, start)
        finally:
            stored.close()
