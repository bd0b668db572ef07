"""Objects of the file systems of fsspec: S3, Google, Azure and all others that it knows.

fsspec says what a URL means and finds the credentials. Where its file system can sign an address,
as those of the three clouds do, the bytes are fetched from there by HTTP, like all others: so each
request names the object's ETag, may be resumed, and takes no more than a request has to. What has
no such address is read by the calls of its file system.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NoReturn

from lazyvox.errors import (
    ImageFileError,
    ImageIsADirectoryError,
    ImageNotFoundError,
    ImagePermissionError,
    MissingDependencyError,
    ParameterError,
    ReadError,
)
from lazyvox.runtime.optional import missing, require
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import advice_on_folder, whole_url, without_urls
from lazyvox.store.remote.http_object import Address, HttpObject
from lazyvox.store.remote.retrying import PassingError, Retries, note_request
from lazyvox.store.remote.transport import ObjectState, raise_changed

if TYPE_CHECKING:
    from lazyvox.store.remote.options import Access
    from lazyvox.store.remote.transport import Transport

__all__ = ["find_transport"]

#: Longer than an address is used.
_SIGNED_S = 3600
_S3 = ("s3://", "s3a://")
_GOOGLE = ("gs://", "gcs://")
#: A read in order goes on: requests for less take most of their time to begin.
_AHEAD_BYTES = 1 << 20
#: Fields of a description that change with the content, whatever the file system.
_MARKS = ("etag", "md5", "sha", "generation", "versionid", "checksum", "crc32c")
_TIMES = ("mtime", "lastmodified", "last_modified", "modified", "updated", "created")


def find_transport(shown: str, access: Access, advice: str) -> Transport:
    """Return what fetches an object of a file system of fsspec.

    Parameters
    ----------
    shown : str
        Its URL, without credentials.
    access : Access
        Its options.
    advice : str
        What to do where it may not be read.

    Returns
    -------
    Transport
        By HTTP where the file system signs addresses.
    """
    files = _Files(shown, access, advice)
    if Retries(shown, access.retries).until_done(files.address) is not None:

        def find() -> Address:
            address = files.address()
            assert address is not None, "bug in lazyvox: a file system signs no more"
            return address

        return HttpObject(shown, find, access.patience, advice)
    return files


class _Files:
    """One object of a file system, and the calls that read it. Safe for threads."""

    def __init__(self, shown: str, access: Access, advice: str) -> None:
        require("fsspec", "remote", "URLs other than http:// and https://")
        from fsspec.core import url_to_fs

        self._shown, self._advice = shown, advice
        try:
            options = _spelled(shown, access.foreign_options)
            self._files, self._path = url_to_fs(whole_url(shown), **options)
        except ImportError as error:
            raise _missing(error, shown) from error
        except Exception as error:  # noqa: BLE001 - packages of all kinds, each with its errors
            self._refuse_url(error)
        if self._shown.lower().startswith(_S3 + _GOOGLE) and "/" not in self._path.strip("/"):
            msg = (
                f"{printable(shown)}: a URL must name a bucket and an object in it, as "
                f"{shown.partition(':')[0]}://BUCKET/FOLDER/run.nii.gz."
            )
            raise ParameterError(msg)

    def address(self) -> Address | None:
        """Return a signed address, None where the file system has none."""
        if "::" in self._shown or getattr(self._files, "req_kw", None):
            # What is unpacked on the way, or needs headers of its own, has none.
            return None
        try:
            url = self._files.sign(self._path, expiration=_SIGNED_S)
        except NotImplementedError:
            return None
        except Exception as error:  # noqa: BLE001 - packages of all kinds, each with its errors
            if not self._shown.lower().startswith(_S3):
                # Logins of people, and public buckets, have no key to sign with: calls need none.
                return None
            if isinstance(error, TypeError | ValueError | AttributeError):
                # S3 looks at its options when it is first used.
                self._refuse_url(error)
            self._fail(error, None)
        return Address.of(str(url), {}) if str(url).startswith("http") else None

    def fetch(self, start: int, stop: int | None, seen: ObjectState | None) -> _Bytes:
        """Request bytes of the object."""
        # A file system cannot be told to send bytes of this content only: so it is asked before.
        now = self._state(seen)
        if seen is not None and not seen.is_same(now):
            raise_changed(self._shown, seen, now)
        return _Bytes(self, now, start, now.size if stop is None else min(stop, now.size))

    def read(self, start: int, stop: int, seen: ObjectState) -> bytes:
        """Return bytes of the object."""
        note_request(requests=1)
        try:
            data: bytes = self._files.cat_file(self._path, start=start, end=stop)
        except Exception as error:  # noqa: BLE001 - packages of all kinds, each with its errors
            self._fail(error, seen)
        note_request(nbytes=len(data))
        if len(data) != stop - start:
            cause = f"the bytes {start} to {stop} were requested, and {len(data)} bytes came"
            raise PassingError(cause)
        return data

    def _state(self, seen: ObjectState | None) -> ObjectState:
        note_request(requests=1)
        try:
            self._files.invalidate_cache()
            found: dict[str, Any] = self._files.info(self._path)
        except Exception as error:  # noqa: BLE001 - packages of all kinds, each with its errors
            self._fail(error, seen)
        if found.get("type") == "directory":
            raise self._folder_refusal()
        size = found.get("size")
        if not isinstance(size, int):
            msg = (
                f"{printable(self._shown)}: the size of the object must be known, and its file "
                f"system does not say it. Download it first."
            )
            raise ReadError(msg)
        return _state_in(found, size)

    def _fail(self, error: Exception, seen: ObjectState | None) -> NoReturn:
        """Raise what an error of a file system means."""
        shown = printable(self._shown)
        said = without_urls(str(error)) or type(error).__name__
        cause = _public_cause(error)
        if isinstance(error, ImageFileError | PassingError):
            raise error
        if isinstance(error, FileNotFoundError):
            if seen is not None:
                raise_changed(self._shown, seen, None)
            msg = f"{shown}: no such object."
            raise ImageNotFoundError(msg, hint=advice_on_folder(self._shown)) from cause
        if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            msg = f"{shown}: the object may not be read: {said.rstrip('.')}."
            hint = f"{self._advice} `storage_options={{'anon': True}}` reads public buckets."
            cli = f"{self._advice} --storage-option anon=true reads public buckets."
            raise ImagePermissionError(msg, hint=hint, cli_hint=cli) from cause
        if isinstance(error, IsADirectoryError):
            raise self._folder_refusal() from cause
        msg = f"its file system fails ({type(error).__name__}: {said})"
        raise PassingError(msg) from cause

    def _folder_refusal(self) -> ImageIsADirectoryError:
        msg = f"{printable(self._shown)}: the URL must name an object, it is a folder."
        return ImageIsADirectoryError(msg, hint=advice_on_folder(self._shown))

    def _refuse_url(self, error: Exception) -> NoReturn:
        said = without_urls(str(error)) or type(error).__name__
        msg = (
            f"{printable(self._shown)}: a URL must be of a file system of fsspec, with options that "
            f"it knows. Got {type(error).__name__}: {said}"
        )
        raise ParameterError(msg, parameter="storage_options") from _public_cause(error)


class _Bytes:
    """Bytes of an object that a file system reads in parts."""

    def __init__(self, files: _Files, state: ObjectState, start: int, stop: int) -> None:
        self.state = state
        self._files, self._at, self._stop = files, start, stop
        self._held = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, or a part of it; 0 behind the last byte that was asked for."""
        if not self._held:
            stop = min(self._at + max(len(buffer), _AHEAD_BYTES), self._stop)
            if stop <= self._at:
                return 0
            self._held = memoryview(self._files.read(self._at, stop, self.state))
            self._at = stop
        piece, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing is open."""


def _spelled(shown: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return options as a file system names them: `anon` is a token of Google's."""
    if shown.lower().startswith(_GOOGLE) and "anon" in options:
        is_anonymous = options.pop("anon")
        return {**({"token": "anon"} if is_anonymous else {}), **options}
    return options


def _public_cause(error: Exception) -> Exception | None:
    """Return an error as the cause of another; None if a traceback would show credentials."""
    one: BaseException | None = error
    while one is not None:
        if without_urls(str(one)) != str(one):
            return None
        one = one.__cause__ or one.__context__
    return error


def _state_in(found: dict[str, Any], size: int) -> ObjectState:
    """Return the state that a description holds."""
    fields = {name.lower(): value for name, value in found.items()}
    marks = [f"{name}={fields[name]}" for name in _MARKS if fields.get(name)]
    when = next((fields[name] for name in _TIMES if fields.get(name)), None)
    if marks or when is not None:
        text = " ".join([*marks, str(when)])
        etag = blake2b(text.encode(), digest_size=10).hexdigest()
    else:
        etag = ""
    return ObjectState(size, _nanoseconds(when), etag)


def _nanoseconds(when: object) -> int:
    if isinstance(when, datetime):
        return int(when.timestamp()) * 10**9
    return int(when * 10**9) if isinstance(when, int | float) else 0


def _missing(error: ImportError, shown: str) -> MissingDependencyError:
    """Return the error for the package that reads URLs of a kind."""
    scheme = shown.split(":", 1)[0].lower()
    if scheme in {"s3", "s3a"}:
        return missing("s3fs", "remote", f"{scheme}:// URLs")
    package = {"gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}.get(scheme)
    said = f"the package {package}. Run `pip install {package}`" if package else f"more. {error}"
    msg = f"{scheme}:// URLs need {said.rstrip('.')}."
    return MissingDependencyError(msg)
