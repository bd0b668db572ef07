"""The server of a viewer: a socket on the loopback address, and uvicorn on it."""

import asyncio
import errno
import ipaddress
import socket
import threading
import webbrowser
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lazyvox._threads import start
from lazyvox._typing import override
from lazyvox.errors import ParameterError
from lazyvox.viewer.app import POSTING, make_app
from lazyvox.viewer.guard import Guard, new_token
from lazyvox.viewer.hub import hub_proxy
from lazyvox.viewer.opened import Opened
from lazyvox.viewer.session import Session

__all__ = ["Server"]

#: Connections that are open at a time: two tabs have twelve. Others are closed as they come.
_MOST_CONNECTIONS = 128

#: A connection without a request is closed.
_SILENT_S = 10.0

#: After this time without a page a server ends that was started for one.
_LEFT_S = 60.0


class _Connection(H11Protocol):
    """A connection that is closed if there are too many, or nothing is asked for."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(_SILENT_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        cycle: object = self.cycle
        if cycle is None:
            self.transport.close()


class _Uvicorn(uvicorn.Server):
    """uvicorn, which ends the streams of pages before it waits for them, and when all have left."""

    def __init__(self, config: uvicorn.Config, session: Session, left_s: float | None) -> None:
        super().__init__(config)
        self._session = session
        self._left_s = left_s

    @override
    async def on_tick(self, counter: int) -> bool:
        if self._left_s is not None and self._session.is_left_for(self._left_s):
            return True
        return await super().on_tick(counter)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._session.begin_stopping()
        await super().shutdown(sockets)


class Server:
    """A server that listens from the beginning, and answers while `run` runs.

    Parameters
    ----------
    opened : Opened
        What is shown.
    host : str
        Address to listen on.
    port : int
        Port, 0 for any free one.
    ends_alone : bool
        Whether `run` returns when the last page has been closed for a minute.

    Attributes
    ----------
    opened : Opened
        What is shown.
    url : str
        Address of the page.
    port : int
        Port that the server listens on.
    hub_path : str or None
        Path of the page at the JupyterHub that the notebook runs in, where that leads to this machine.
    is_local : bool
        Whether only this machine can ask it.

    Raises
    ------
    ParameterError
        If the address cannot be listened on.
    """

    def __init__(self, opened: Opened, *, host: str, port: int, ends_alone: bool) -> None:
        self.opened = opened
        self._socket = _listening(host, port)
        address, self.port = self._socket.getsockname()[:2]
        self.is_local = ipaddress.ip_address(address).is_loopback
        token, session = new_token(), Session(opened)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}/{token}/"
        # A command has no notebook.
        proxy = None if ends_alone else hub_proxy(self.port)
        self.hub_path = None if proxy is None else f"{proxy.prefix}/{token}/"
        page = make_app(session, token)
        app = Guard(page, token, self.port, POSTING, is_local=self.is_local, proxy=proxy)
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            # The page is told of errors; a connection that is given up is none.
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._server = _Uvicorn(config, session, _LEFT_S if ends_alone else None)

    def run(self) -> None:
        """Answer requests until `stop`, or an interrupt if this is the main thread."""
        self._server.run([self._socket])

    def stop(self) -> None:
        """Have `run` return; from any thread."""
        self._server.should_exit = True

    def open_browser(self) -> None:
        """Show the page in the user's browser; one in the terminal blocks but its own thread."""
        opening: Any = threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True)
        start(opening)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise _unheard(error, host, port) from error
    return made


def _unheard(error: OSError, host: str, port: int) -> ParameterError:
    reason = f"{error.strerror}." if error.strerror else f"{error}."
    # An address that is none of this machine, or none at all.
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        msg = f"`host` must be an address of this machine. Got {host}: {reason}"
        return ParameterError(msg, value=host, hint="Leave it out for the loopback address.")
    msg = f"`port` must be one that this user can listen on. Got {port} of {host}: {reason}"
    return ParameterError(msg, value=port, hint="Leave it out for one that is free.")
