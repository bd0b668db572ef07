"""The server of a viewer: a socket on the loopback address, and uvicorn on it."""

import socket
import threading
import webbrowser
from typing import Any

from lazyvox._threads import start
from lazyvox.errors import ParameterError
from lazyvox.viewer.app import make_app
from lazyvox.viewer.guard import Guard, new_token
from lazyvox.viewer.opened import Opened

__all__ = ["LOOPBACK", "Server"]

LOOPBACK = "127.0.0.1"


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

    Attributes
    ----------
    url : str
        Address of the page.

    Raises
    ------
    ParameterError
        If the address cannot be listened on.
    """

    def __init__(self, opened: Opened, *, host: str = LOOPBACK, port: int = 0) -> None:
        import uvicorn

        self._socket = _listening(host, port)
        bound = self._socket.getsockname()[1]
        token = new_token()
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{bound}/{token}/"
        app = Guard(make_app(opened, token), token, bound, frozenset(), is_local=host == LOOPBACK)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
            limit_concurrency=64,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer requests until `stop`, or an interrupt if this is the main thread."""
        self._server.run([self._socket])

    def stop(self) -> None:
        """Have `run` return; from any thread."""
        self._server.should_exit = True

    def open_browser(self) -> None:
        """Show the page in the user's browser; a browser in the terminal blocks its own thread."""
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
        msg = f"`port` must be free on {host}. Got {port}: {error.strerror}."
        raise ParameterError(
            msg,
            value=port,
            hint="Pass port=0 for any free one.",
            cli_hint="Leave it out for any free one.",
        ) from error
    return made
