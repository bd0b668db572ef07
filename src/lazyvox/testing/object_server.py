"""A server of objects on this machine, which counts requests and fails on demand."""

import contextlib
import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from lazyvox._typing import override

__all__ = ["ObjectServer", "Reply", "Request"]

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_LONGEST_STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came.

    Attributes
    ----------
    name : str
        The object.
    start, stop : int or None
        The range that was requested.
    headers : mapping of str to str
        All headers.
    """

    name: str
    start: int | None
    stop: int | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """Deviation from a right answer.

    Attributes
    ----------
    status : int, optional
        Status of an answer without the object.
    headers : mapping of str to str
        Further headers.
    body : bytes
        Body of that answer.
    ignores_range : bool
        Whether the whole object is sent.
    n_sent : int, optional
        Bytes after which the connection is closed.
    stalls : bool
        Whether the server is silent from there on, until it is closed.
    drip_s : float
        Seconds between single bytes that follow; 0 for none.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ignores_range: bool = False
    n_sent: int | None = None
    stalls: bool = False
    drip_s: float = 0


class ObjectServer:
    """Objects by name, served on the loopback device; a context manager.

    Parameters
    ----------
    objects : mapping of str to bytes
        The objects; may be changed at any time.
    reply : callable, optional
        Called with each `Request`; returns a `Reply`, or None for a right answer.
    has_etags : bool, default=True
        Whether objects have an ETag. Without, they have the time of their last change only.
    tls : ssl.SSLContext, optional
        With the certificate of the server, for ``https://``.

    Attributes
    ----------
    requests : list of Request
        What came so far.
    n_bytes : int
        Bytes of objects that were sent.
    stalled : threading.Event
        Set when an answer stalls.

    Examples
    --------
    >>> import urllib.request
    >>> with ObjectServer({"a": b"12345"}) as server:
    ...     request = urllib.request.Request(server.url("a"), headers={"Range": "bytes=1-2"})
    ...     urllib.request.urlopen(request).read(), len(server.requests)
    (b'23', 1)
    """

    def __init__(
        self,
        objects: Mapping[str, bytes],
        reply: Callable[[Request], Reply | None] | None = None,
        *,
        has_etags: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.objects = dict(objects)
        self.reply = reply
        self.has_etags = has_etags
        self.requests: list[Request] = []
        self._etags: dict[str, tuple[Any, str]] = {}
        self.n_bytes = 0
        self.stalled = threading.Event()
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.connections: set[socket.socket] = set()
        self.modified_s = 1_500_000_000
        owner = self

        class Handler(_Handler):
            server_of = owner

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop, and end answers that stall."""
        self.is_over.set()
        self.close_connections()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Port of the server."""
        return int(self._server.server_address[1])

    def url(self, name: str) -> str:
        """Return the URL of an object."""
        return f"{self._scheme}://127.0.0.1:{self.port}/{name}"

    def etag_of(self, name: str, content: Any) -> str:
        """Return the ETag of an object; that of a long one takes a while, once."""
        known = self._etags.get(name)
        if known is None or known[0] is not content:
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            known = self._etags[name] = (content, f'"{digest}"')
        return known[1]

    def ranges(self, name: str) -> list[tuple[int | None, int | None]]:
        """Return the ranges of an object that were requested so far."""
        return [(one.start, one.stop) for one in self.requests if one.name == name]

    def close_connections(self) -> None:
        """Close the connections that wait for another request."""
        with self.lock:
            for connection in self.connections:
                # The reader may have closed it.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.connections.clear()

    def forget(self) -> None:
        """Forget what came so far."""
        with self.lock:
            self.requests, self.n_bytes = [], 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: readers leave when they have enough."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: ObjectServer

    def do_GET(self) -> None:
        owner = self.server_of
        with owner.lock:
            owner.connections.add(self.connection)
        name = unquote(urlsplit(self.path).path.lstrip("/"))
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(match[1]) if match else None
        stop = int(match[2]) + 1 if match and match[2] else None
        request = Request(name, start, stop, dict(self.headers))
        with owner.lock:
            owner.requests.append(request)
        reply = (owner.reply(request) if owner.reply is not None else None) or Reply()
        content = owner.objects.get(name)
        if reply.status is not None:
            self._send(reply.status, reply.headers, reply.body, Reply())
        elif content is None:
            self._send(404, {}, b"", reply)
        else:
            self._send_object(content, request, reply)

    def _send_object(self, content: bytes, request: Request, reply: Reply) -> None:
        owner, headers = self.server_of, dict(reply.headers)
        etag = owner.etag_of(request.name, content)
        headers["Last-Modified"] = formatdate(owner.modified_s, usegmt=True)
        if owner.has_etags:
            headers["ETag"] = etag
        if self.headers.get("If-Match", etag) != etag:
            self._send(412, {}, b"", reply)
            return
        if request.start is None or reply.ignores_range:
            self._send(200, headers, content, reply)
            return
        if request.start >= len(content):
            self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"", reply)
            return
        stop = min(len(content) if request.stop is None else request.stop, len(content))
        headers["Content-Range"] = f"bytes {request.start}-{stop - 1}/{len(content)}"
        self._send(206, headers, memoryview(content)[request.start : stop], reply)

    def _send(self, status: int, headers: Mapping[str, str], body: Any, reply: Reply) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = body if reply.n_sent is None else body[: reply.n_sent]
        with self.server_of.lock:
            self.server_of.n_bytes += len(sent)
        try:
            self.wfile.write(sent)
            if reply.drip_s:
                self._drip(body[len(sent) :], reply.drip_s)
        except OSError:
            # The reader has enough.
            self.close_connection = True
            return
        if reply.stalls:
            self.server_of.stalled.set()
            self.server_of.is_over.wait(_LONGEST_STALL_S)
        if reply.stalls or reply.n_sent is not None:
            self.close_connection = True

    def _drip(self, body: Any, seconds: float) -> None:
        self.server_of.stalled.set()
        for at in range(len(body)):
            if self.server_of.is_over.wait(seconds):
                return
            self.wfile.write(body[at : at + 1])

    @override
    def finish(self) -> None:
        with self.server_of.lock:
            self.server_of.connections.discard(self.connection)
        super().finish()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
