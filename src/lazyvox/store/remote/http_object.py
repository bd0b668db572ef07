"""Objects that are fetched by HTTP: one request, one range, and what its answer means."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from lazyvox.errors import (
    ImageFileError,
    ImageNotFoundError,
    ImagePermissionError,
    ReadError,
    TruncatedFileError,
)
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import advice_on_folder, without_urls
from lazyvox.store.remote.connections import CONNECT_S, Body, Origin, open_answer
from lazyvox.store.remote.retrying import PassingError, Patience, note_request
from lazyvox.store.remote.transport import ObjectState, raise_changed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

__all__ = ["SMALL_BYTES", "Address", "HttpObject"]

#: Servers that know no ranges may send objects up to this size as a whole.
SMALL_BYTES = 64 << 10

_MOST_REDIRECTS = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+)")
_EMPTY_RANGE = re.compile(r"bytes\s+\*/0+")
_GZIP = frozenset({"gzip", "x-gzip"})
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")
_ERROR_BYTES = 4096
#: Seconds after which an address that was found by a redirect or a signature is found anew.
_ADDRESS_S = 900.0


@dataclass(frozen=True, slots=True)
class Address:
    """Location and credentials of an object: never shown.

    Attributes
    ----------
    url : str
        The URL.
    headers : mapping of str to str
        Headers of each request.
    born : float
        When it was found, by the clock of `time.monotonic`.
    origin : Origin
        Its server, and the proxy on the way.
    """

    url: str
    headers: Mapping[str, str]
    born: float
    origin: Origin

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str]) -> Address:
        """Return an address that was found now."""
        return cls(url, headers, time.monotonic(), Origin.of(url))

    @property
    def is_fresh(self) -> bool:
        """True while signatures hold."""
        return time.monotonic() - self.born < _ADDRESS_S

    def followed(self, location: str) -> Address:
        """Return the address that a redirect names; another server gets no headers of the user.

        Any of them may be a credential.
        """
        url = urljoin(self.url, location)
        scheme = urlsplit(url).scheme
        if scheme not in {"http", "https"}:
            msg = f"to a {scheme!r} address, which is neither http:// nor https://"
            raise ValueError(msg)
        origin = Origin.of(url)
        if self.origin.scheme == "https" and scheme == "http":
            msg = "from https:// to http://, where anybody on the way can change the bytes"
            raise ValueError(msg)
        is_same = origin in {self.origin, self.origin.secured()}
        return Address(url, self.headers if is_same else {}, self.born, origin)


class HttpObject:
    """An object behind an address.

    Parameters
    ----------
    shown : str
        Its URL, for messages.
    find : callable
        Finds its address anew.
    patience : Patience
        How long its server is waited for.
    advice : str
        What to do where it may not be read.
    """

    def __init__(
        self, shown: str, find: Callable[[], Address], patience: Patience, advice: str
    ) -> None:
        self._shown = shown
        self._find = find
        self._patience = patience
        self._advice = advice
        self._address: Address | None = None

    def fetch(self, start: int, stop: int | None, seen: ObjectState | None) -> HttpBody:
        """Request bytes of the object."""
        asked = f"bytes={start}-" if stop is None else f"bytes={start}-{stop - 1}"
        headers = {"Range": asked, **_conditions(seen)}
        known = self._address
        if known is not None and known.is_fresh:
            body = self._request(known, headers)
            if body.status not in {401, 403, 404, 410}:
                return self._judge(body, start, stop, seen)
            # A signature may have run out, sooner than it said.
            body.close(is_whole=False)
        return self._judge(self._request(self._find(), headers), start, stop, seen)

    def _request(self, address: Address, headers: Mapping[str, str]) -> Body:
        """Return the answer to a request, redirects followed."""
        for _ in range(_MOST_REDIRECTS):
            body = self._answer(address, headers)
            location = body.headers.get("Location")
            if body.status not in _REDIRECTS or not location:
                self._address = address
                return body
            body.close(is_whole=False)
            try:
                address = address.followed(location)
            except ValueError as error:
                raise self._refusal(ReadError, f"the server redirects {error}") from error
        reason = f"the server redirects more than {_MOST_REDIRECTS} times"
        raise self._refusal(ReadError, reason)

    def _answer(self, address: Address, headers: Mapping[str, str]) -> Body:
        note_request(requests=1)
        host, port = address.origin.reached
        try:
            sent = {**address.headers, **headers}
            return open_answer(address.origin, address.url, sent, self._patience)
        except ImageFileError:
            # Given up on request.
            raise
        except ssl.SSLCertVerificationError as error:
            reason = f"the certificate of {host} cannot be trusted: {error.verify_message}"
            hint = "Name the authority by the variable SSL_CERT_FILE."
            raise self._refusal(ReadError, reason, hint) from error
        except socket.gaierror as error:
            reason = f"the host {host!a} has no address ({error.strerror})"
            if error.errno == socket.EAI_AGAIN:
                raise PassingError(reason) from error
            hint = "Look at the spelling of the URL."
            raise self._refusal(ReadError, reason, hint) from error
        except UnicodeError as error:
            reason = f"the host {host!a} is no name of a host"
            raise self._refusal(ReadError, reason, "Look at the spelling of the URL.") from error
        except TimeoutError as error:
            msg = f"nothing at {host} port {port} accepts a connection within {CONNECT_S:g} s"
            raise PassingError(msg) from error
        except ConnectionRefusedError as error:
            msg = f"nothing at {host} port {port} accepts connections"
            raise PassingError(msg) from error
        except (OSError, http.client.HTTPException) as error:
            reason = without_urls(" ".join(str(error).split()) or type(error).__name__)
            msg = f"the connection to {host} failed ({reason})"
            raise PassingError(msg) from error

    def _judge(
        self, body: Body, start: int, stop: int | None, seen: ObjectState | None
    ) -> HttpBody:
        """Return the bytes of an answer, or raise what it means."""
        try:
            if body.status in {200, 206}:
                self._check_coding(body)
            if body.status == 206:
                return self._judge_range(body, start, stop, seen)
            if body.status == 200:
                return self._judge_whole(body, start, stop, seen)
            self._raise_status(body, start, seen)
        except BaseException:
            body.close(is_whole=False)
            raise

    def _check_coding(self, body: Body) -> None:
        """Refuse bytes that were compressed on the way: offsets would be those of other bytes."""
        coding = body.headers.get("Content-Encoding", "identity").strip().lower()
        # Some servers say so of files that are gzip themselves.
        is_of_file = coding in _GZIP and urlsplit(self._shown).path.lower().endswith(("gz", "tgz"))
        if coding not in {"", "identity"} and not is_of_file:
            reason = (
                f"the server must send the bytes as they are stored, and says that it compressed "
                f"them (Content-Encoding: {coding})"
            )
            raise self._refusal(
                ReadError, reason, "Download the file, or let the server not do it."
            )

    def _judge_range(
        self, body: Body, start: int, stop: int | None, seen: ObjectState | None
    ) -> HttpBody:
        said = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range", "").strip())
        if said is None or int(said[1]) != start:
            got = body.headers.get("Content-Range")
            raise self._refusal(
                ReadError,
                f"the header `Content-Range` of an answer must say that it holds the bytes from "
                f"{start} on. " + (f"Got {got!r}" if got else "The answer has none"),
            )
        state = _state_of(body, int(said[3]))
        self._compare(seen, state)
        end = int(said[2]) + 1
        if end != min(state.size, state.size if stop is None else stop):
            cause = f"the server sent the bytes {start} to {end}, not all that were requested"
            raise PassingError(cause)
        return HttpBody(body, state, 0, end - start)

    def _judge_whole(
        self, body: Body, start: int, stop: int | None, seen: ObjectState | None
    ) -> HttpBody:
        """Take the whole of a small object from a server that knows no ranges."""
        length = body.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > SMALL_BYTES:
            size = f"{length} bytes" if length else "without saying how long it is"
            raise self._refusal(
                ReadError,
                f"the server must send the range that was requested. It ignored the range, and "
                f"sends the whole object, {size}",
                "Download the file, or put it on a server that knows ranges: "
                "`python -m http.server` does not.",
            )
        state = _state_of(body, int(length))
        self._compare(seen, state)
        end = state.size if stop is None else min(stop, state.size)
        return HttpBody(body, state, start, max(end - start, 0))

    def _compare(self, seen: ObjectState | None, now: ObjectState) -> None:
        if seen is not None and not seen.is_same(now):
            raise_changed(self._shown, seen, now)

    def _raise_status(self, body: Body, start: int, seen: ObjectState | None) -> NoReturn:
        status = f"{body.status} {body.reason}".strip()
        if body.status in _PASSING:
            wait = body.headers.get("Retry-After", "")
            seconds = float(wait) if wait.isdecimal() else 0.0
            cause = f"the server answers {status}"
            raise PassingError(cause, seconds)
        if seen is not None and body.status in {404, 410, 412, 416}:
            raise_changed(self._shown, seen, None)
        if body.status == 416 and _EMPTY_RANGE.match(body.headers.get("Content-Range", "")):
            # An empty object has no first byte.
            raise self._refusal(TruncatedFileError, "the object must hold data, and it is empty")
        code = _CODE.search(body.read_text(_ERROR_BYTES))
        said = f"the server answers {status}" + (f" ({code[1].decode()})" if code else "")
        if body.status in {404, 410}:
            raise self._refusal(
                ImageNotFoundError, f"no such object: {said}", advice_on_folder(self._shown)
            )
        if body.status in {401, 403}:
            raise self._refusal(
                ImagePermissionError, f"the object may not be read: {said}", self._advice
            )
        region = body.headers.get("x-amz-bucket-region")
        advice = (
            f"The bucket is in the region {region}: name it by AWS_DEFAULT_REGION."
            if region
            else ""
        )
        raise self._refusal(ReadError, f"{said}, to a request for byte {start} on", advice)

    def _refusal(self, kind: type[ImageFileError], reason: str, hint: str = "") -> ImageFileError:
        return kind(f"{printable(self._shown)}: {reason}.", hint=hint)


class HttpBody:
    """Bytes of an answer.

    Parameters
    ----------
    body : Body
        The answer.
    state : ObjectState
        What it says of the object.
    n_skipped : int
        Bytes at its beginning that are not wanted.
    nbytes : int
        Bytes that are.
    """

    def __init__(self, body: Body, state: ObjectState, n_skipped: int, nbytes: int) -> None:
        self.state = state
        self._body, self._left, self._nbytes = body, nbytes, nbytes
        self._n_skipped = n_skipped
        self._n_came = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, or a part of it; 0 behind the last byte that was asked for."""
        while self._n_skipped:
            dropped = memoryview(bytearray(self._n_skipped))
            self._n_skipped -= self._received(dropped)
        if not self._left:
            return 0
        n_read = self._received(buffer[: self._left])
        self._left -= n_read
        return n_read

    def _received(self, buffer: memoryview) -> int:
        try:
            n_read = self._body.readinto(buffer)
        except ImageFileError:
            # Given up on request.
            raise
        except (OSError, http.client.HTTPException) as error:
            msg = f"the connection broke ({str(error) or type(error).__name__})"
            raise PassingError(msg) from error
        if not n_read:
            sent = self._nbytes - self._left
            msg = f"the server ended its answer after {sent} of {self._nbytes} bytes"
            raise PassingError(msg)
        self._n_came += n_read
        return n_read

    def close(self) -> None:
        """Keep the connection if all was read, else close it."""
        note_request(nbytes=self._n_came)
        self._n_came = 0
        self._body.close(is_whole=not self._left and not self._n_skipped)


def _conditions(seen: ObjectState | None) -> dict[str, str]:
    """Return the headers with which a server refuses to send bytes of another content."""
    if seen is None:
        return {}
    # A weak ETag matches nothing.
    if seen.etag and not seen.etag.startswith("W/"):
        return {"If-Match": seen.etag}
    if seen.mtime_ns:
        return {"If-Unmodified-Since": formatdate(seen.mtime_ns // 10**9, usegmt=True)}
    return {}


def _state_of(body: Body, size: int) -> ObjectState:
    mtime_ns = 0
    said = body.headers.get("Last-Modified")
    if said:
        try:
            mtime_ns = int(parsedate_to_datetime(said).timestamp()) * 10**9
        except ValueError:
            mtime_ns = 0
    return ObjectState(size, mtime_ns, body.headers.get("ETag", "").strip())
