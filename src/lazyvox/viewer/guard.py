"""The gate before every request: token, host, origin, method; and the headers of every answer."""

import ipaddress
import json
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lazyvox.viewer.hub import HubProxy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "new_token"]

#: No script, style or connection but those of the server itself: the renderer needs neither
#: WebAssembly nor workers nor pictures. Frames: notebooks on this machine show the page in one.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://127.0.0.1:* http://localhost:* vscode-webview:"
)

_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_READING = ("GET", "HEAD")


def new_token() -> str:
    """Return a secret that cannot be guessed."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    message: str
    allowed: str = ""


class Guard:
    """Refuses requests that do not come from a page of the server itself.

    A page elsewhere on the web can have the browser send requests to the loopback address, by its
    number or by a name of its own that it lets mean that address. It does not know the token, and
    it cannot choose the fields Host and Origin.

    Parameters
    ----------
    app : ASGI application
        Gets requests that pass.
    token : str
        The first part of every path.
    port : int
        The port of the server.
    posting : frozenset of str
        Paths that take POST, behind the token.
    is_local : bool
        Whether the server listens on the loopback address only.
    proxy : HubProxy, optional
        The only proxy whose requests are taken, under the name of its own host.
    """

    def __init__(
        self,
        app: "ASGIApp",
        token: str,
        port: int,
        posting: frozenset[str],
        *,
        is_local: bool,
        proxy: HubProxy | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._port = port
        self._posting = posting
        self._is_local = is_local
        self._proxy = proxy

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(refusal, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: "Scope") -> _Refusal | None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not (self._is_own(hosts[0]) or self._is_proxied(scope, hosts[0])):
            return _Refusal(403, "The address of the request is not that of the viewer.")
        for origin in _values(scope, b"origin"):
            # https where a proxy of the user's own stands before it.
            if origin not in {f"http://{hosts[0]}", f"https://{hosts[0]}"}:
                return _Refusal(403, "Only pages of the viewer itself may ask it.")
        token, _, rest = scope["path"].removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return _Refusal(403, "The address lacks the token that the viewer printed.")
        methods = ("POST",) if rest in self._posting else _READING
        if scope["method"] not in methods:
            return _Refusal(405, f"Only {methods[0]} is answered here.", ", ".join(methods))
        return None

    def _is_proxied(self, scope: "Scope", host: str) -> bool:
        prefixes = _values(scope, b"x-forwarded-prefix")
        return self._proxy is not None and self._proxy.is_from(host, prefixes)

    def _is_own(self, host: str) -> bool:
        """Return whether a value of the field Host means this server, and no name of others'."""
        try:
            parts = urlsplit(f"//{host}")
            port = parts.port or 80
        except ValueError:
            return False
        name = parts.hostname or ""
        if port != self._port or parts.username is not None or parts.path:
            return False
        if name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return not self._is_local and name in _own_names()
        # An address is no name that somebody could let mean another one.
        return address.is_loopback or not self._is_local


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], socket.getfqdn().lower()}


def _values(scope: "Scope", field: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == field]


async def _refuse(refusal: _Refusal, send: "Send") -> None:
    body = json.dumps({"error": refusal.message, "hint": None}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.allowed:
        headers.append((b"allow", refusal.allowed.encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
