"""HTTP connections: kept for the next request, and read with patience that Ctrl-C can end.

They are those of the standard library. Each is used by one thread at a time, blocks no other, and
needs no event loop: a forked child, in which the threads of a loop are gone, opens its own.
"""

from __future__ import annotations

import atexit
import base64
import http.client
import io
import socket
import ssl
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from lazyvox._typing import override
from lazyvox._version import __version__
from lazyvox.errors import ParameterError
from lazyvox.runtime.once import OncePerProcess, one_per_process
from lazyvox.store.remote.retrying import Patience, raise_if_given_up

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONNECT_S", "Body", "Origin", "open_answer"]

#: How long a wait lasts before it is asked whether the read was given up, in seconds.
_SLICE_S = 0.2
CONNECT_S = 15.0
_HTTP_PORT = 80
_PROXY_PORT = 8080
#: Connections that are kept for each server.
_MOST_IDLE = 16
_LINES_BYTES = 8 << 10
#: Signatures are of the query as it is: no more is quoted than a request line cannot hold.
_KEPT_IN_QUERY = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
#: The most that is read of a body of unknown length: the explanation of an error.
_MOST_TEXT = 64 << 10
#: What an idle connection raises that the server closed meanwhile.
_CLOSED = (
    http.client.RemoteDisconnected,
    ConnectionError,
    http.client.BadStatusLine,
    ssl.SSLError,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """A server, and the proxy on the way to it.

    Attributes
    ----------
    scheme : {"http", "https"}
        How it is spoken to.
    host : str
        Its name.
    port : int
        Its port.
    proxy : str
        ``HOST:PORT`` of the proxy that the environment names; empty for none.
    """

    scheme: str
    host: str
    port: int
    proxy: str

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the server of a URL."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else _HTTP_PORT)
        return cls(parts.scheme, host, port, _proxy_of(parts.scheme, host))

    @property
    def reached(self) -> tuple[str, int]:
        """Host and port of what is connected to: the proxy, if there is one."""
        if not self.proxy:
            return self.host, self.port
        parts = urlsplit(f"//{self.proxy}")
        return parts.hostname or "", parts.port or _PROXY_PORT

    def secured(self) -> Origin:
        """Return the same server by TLS, each at its usual port; itself if it has another."""
        return Origin.of(f"https://{self.host}") if self.port == _HTTP_PORT else self


def _proxy_of(scheme: str, host: str) -> str:
    """Return the proxy that the environment names for a host; empty for none."""
    named = urllib.request.getproxies().get(scheme, "")
    if not named or urllib.request.proxy_bypass(host):
        return ""
    try:
        parts = urlsplit(named if "://" in named else f"http://{named}")
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        # Not its text: it may have a password.
        msg = f"the variable {scheme}_proxy must be http://HOST:PORT. It is another text."
        raise ParameterError(msg, hint="Other proxies, such as those of SOCKS, cannot be used.")
    return parts.netloc


class _PatientIO(socket.SocketIO):
    """Received bytes of an answer; waits end with the patience, or when the read is given up."""

    def __init__(self, sock: Any, patience: Patience) -> None:
        super().__init__(sock, "r")
        self._socket, self._patience = sock, patience
        self._waited, self._n_came = 0.0, 0

    @override
    def readinto(self, buffer: Any) -> int | None:
        self._check_speed()
        begin = time.monotonic()
        while True:
            # Before each piece: those of a server that drips come before any wait is over.
            raise_if_given_up()
            try:
                n_read: int = self._socket.recv_into(buffer)
            except TimeoutError:
                if time.monotonic() - begin >= self._patience.timeout:
                    raise self._patience.silent() from None
            else:
                break
        # The time that is spent elsewhere, with what came before, is not the server's.
        self._waited += time.monotonic() - begin
        self._n_came += n_read
        return n_read

    def _check_speed(self) -> None:
        if self._waited >= self._patience.timeout:
            self._patience.check_speed(self._n_came, self._waited)
            self._waited, self._n_came = 0.0, 0


class _Prompt(io.BufferedIOBase):
    """Lines of headers, then the body straight from the connection, as soon as it comes.

    `io.BufferedReader` waits for more than it holds, and loses what it held if that fails.
    """

    def __init__(self, raw: _PatientIO) -> None:
        self._raw = raw
        self._held = b""
        #: Whether `readinto` waits until the buffer is full: the parser of chunks takes no less.
        self.fills = False

    @override
    def readline(self, size: int | None = -1, /) -> bytes:
        end = 0
        while not (end := self._held.find(b"\n", end) + 1):
            end = len(self._held)
            if size is not None and 0 <= size <= end:
                break
            more = bytearray(_LINES_BYTES)
            n_read = self._raw.readinto(more) or 0
            if not n_read:
                break
            self._held += more[:n_read]
        if size is not None and size >= 0:
            end = min(end, size)
        line, self._held = self._held[:end], self._held[end:]
        return line

    @override
    def readinto(self, buffer: Any, /) -> int:
        if not self.fills:
            return self._received(buffer)
        filled = 0
        while filled < len(buffer) and (n_read := self._received(buffer[filled:])):
            filled += n_read
        return filled

    def _received(self, buffer: Any) -> int:
        if not self._held:
            return self._raw.readinto(buffer) or 0
        n_read = min(len(buffer), len(self._held))
        buffer[:n_read], self._held = self._held[:n_read], self._held[n_read:]
        return n_read

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, fewer at the end only."""
        most = _MOST_TEXT if size is None or size < 0 else size
        came = bytearray(most)
        filled = 0
        while filled < most and (n_read := self._received(memoryview(came)[filled:])):
            filled += n_read
        return bytes(came[:filled])

    @override
    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is received with patience."""

    def __init__(self, sock: Any, *args: Any, patience: Patience, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # The plain reader gives up for good at its first timeout.
        self.fp.close()
        # As `socket.makefile` does: the socket stays open for as long as it is read from.
        sock._io_refs += 1
        self.fp = _Prompt(_PatientIO(sock, patience))  # type: ignore[assignment]

    @override
    def begin(self) -> None:
        super().begin()
        # Without a body it is closed by now.
        if self.chunked and isinstance(self.fp, _Prompt):
            self.fp.fills = True


class _Pool:
    """Idle connections by server. Safe for threads and forks."""

    def __init__(self) -> None:
        self._parents: object = None
        self._idle: dict[tuple[object, ...], list[http.client.HTTPConnection]] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        """Use those of the parent no more: a forked child must not speak through them."""
        self._lock = threading.Lock()
        # They are not closed either: of TLS, that would be a message.
        self._parents = self._parents, self._idle
        self._idle = {}

    def close(self) -> None:
        """Close all connections that are idle."""
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()

    def take(self, origin: Origin) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(_key(origin))
            return idle.pop() if idle else None

    def give(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(_key(origin), [])
            if len(idle) < _MOST_IDLE:
                idle.append(connection)
                return
        connection.close()


_POOL = one_per_process(_Pool())
atexit.register(_POOL.close)
_CONTEXT: OncePerProcess[ssl.SSLContext] = OncePerProcess()


class Body:
    """The body of an answer, read piece by piece. Used by one thread.

    Attributes
    ----------
    status : int
        Code of the answer.
    reason : str
        Its text.
    headers : mapping
        Its headers; names in any case.
    """

    def __init__(
        self,
        origin: Origin,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
    ) -> None:
        self._origin, self._connection, self._answer = origin, connection, answer
        self.status, self.reason = answer.status, answer.reason
        self.headers = answer.headers

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, or a part of it; 0 at the end of the body."""
        return self._answer.readinto(buffer)

    def read_text(self, most: int) -> bytes:
        """Return the beginning of a body that explains an error."""
        return self._answer.read(most)

    def close(self, *, is_whole: bool) -> None:
        """Keep the connection for the next request if all was read, else close it."""
        # An answer that broke off counts as closed, too.
        if is_whole and self._answer.isclosed() and not self._answer.will_close:
            _POOL.give(self._origin, self._connection)
        else:
            self._answer.close()
            self._connection.close()


def open_answer(origin: Origin, url: str, headers: Mapping[str, str], patience: Patience) -> Body:
    """Request a URL, and return the answer when its headers are there.

    Parameters
    ----------
    origin : Origin
        Its server.
    url : str
        An ``http://`` or ``https://`` URL.
    headers : mapping of str to str
        Headers of the request.
    patience : Patience
        How long the server is waited for.

    Returns
    -------
    Body
        The answer, whatever its status.

    Raises
    ------
    PassingError
        If the server is silent or too slow.
    OSError, http.client.HTTPException
        If there is none.
    """
    target = _target(url, origin)
    sent = {"User-Agent": f"lazyvox/{__version__}", "Accept-Encoding": "identity", **headers}
    if origin.proxy and origin.scheme == "http":
        sent |= _proxy_headers(origin)
    while (connection := _POOL.take(origin)) is not None:
        try:
            return _requested(origin, connection, target, sent, patience)
        except _CLOSED:
            # The server had enough of it; a new one tells whether the server is there at all.
            connection.close()
    return _requested(origin, _connect(origin), target, sent, patience)


def _requested(
    origin: Origin,
    connection: http.client.HTTPConnection,
    target: str,
    headers: Mapping[str, str],
    patience: Patience,
) -> Body:
    def response(sock: Any, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        return _Answer(sock, *args, patience=patience, **kwargs)

    connection.response_class = response  # type: ignore[assignment]
    try:
        connection.request("GET", target, headers=dict(headers))
        return Body(origin, connection, connection.getresponse())
    except BaseException:
        connection.close()
        raise


def _connect(origin: Origin) -> http.client.HTTPConnection:
    host, port = origin.reached
    if origin.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=CONNECT_S, context=_tls()
        )
        if origin.proxy:
            connection.set_tunnel(origin.host, origin.port, _proxy_headers(origin))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
    connection.connect()
    connection.sock.settimeout(_SLICE_S)
    return connection


def _proxy_headers(origin: Origin) -> dict[str, str]:
    user = origin.proxy.rpartition("@")[0]
    if not user:
        return {}
    return {"Proxy-Authorization": "Basic " + base64.b64encode(user.encode()).decode()}


def _tls() -> ssl.SSLContext:
    """Return how certificates are checked: as the system and SSL_CERT_FILE say."""
    return _CONTEXT.get(ssl.create_default_context)


def _target(url: str, origin: Origin) -> str:
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = "?" + quote(parts.query, safe=_KEPT_IN_QUERY) if parts.query else ""
    if origin.proxy and origin.scheme == "http":
        return f"http://{parts.netloc}{path}{query}"
    return path + query


def _key(origin: Origin) -> tuple[object, ...]:
    # Text and numbers only: what hashes in Python can be interrupted while the table changes.
    return origin.scheme, origin.host, origin.port, origin.proxy
