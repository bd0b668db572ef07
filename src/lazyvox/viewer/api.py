"""`lazyvox.view`: a run in the browser."""

import html
import sys
import threading
import weakref
from typing import Self

from lazyvox._threads import join_all, start
from lazyvox._typing import override
from lazyvox.lazyimage.load import ImageLike
from lazyvox.runtime.optional import require
from lazyvox.viewer.opened import ViewOptions, opened
from lazyvox.viewer.server import LOOPBACK, Server

__all__ = ["View", "view"]

_FRAME_HEIGHT = 720


class View:
    """A run that is shown in the browser, from `view`. Close it, or use it as a context manager.

    Parameters
    ----------
    server : Server
        A server that listens and does not run yet.

    Attributes
    ----------
    url : str
        Address of the page; it holds the secret without which nothing is answered.
    """

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self._thread = threading.Thread(target=server.run, name="lazyvox-view", daemon=True)
        start(self._thread)
        # Who forgets to close it shall not keep threads and file: the thread holds no view.
        self._stop = weakref.finalize(self, _stop, server, self._thread)

    def close(self) -> None:
        """Stop the server, and wait for its threads."""
        self._stop()

    def __enter__(self) -> Self:
        """Return the view."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop the server."""
        self.close()

    @override
    def __repr__(self) -> str:
        """Show the address, or that it is closed."""
        return f"<View at {self.url}>" if self._stop.alive else "<View, closed>"

    def _repr_html_(self) -> str:
        """Return a frame with the page, for notebooks."""
        if not self._stop.alive:
            return "<p>The viewer is closed: call <code>lazyvox.view</code> again.</p>"
        return (
            f'<iframe src="{html.escape(self.url)}" width="100%" height="{_FRAME_HEIGHT}" '
            f'title="lazyvox viewer" style="border:0" allowfullscreen></iframe>'
        )


def _stop(server: Server, thread: threading.Thread) -> None:
    server.stop()
    join_all([thread])


def view(
    img: ImageLike, *, port: int = 0, host: str = LOOPBACK, open_browser: bool | None = None
) -> View:
    """Show a run in the browser: any volume, and the series of any voxel.

    Parameters
    ----------
    img : image or path
        A 3D or 4D image: a file, an expression, a computed image, or one in memory.
    port : int, default=0
        Port of the server; 0 takes any free one.
    host : str, default="127.0.0.1"
        Address that the server listens on. Any other lets other machines ask it.
    open_browser : bool, optional
        Whether the page is opened in the user's browser. By default it is, unless in a notebook,
        which shows it in a frame.

    Returns
    -------
    View
        Its `url` is the address of the page. It is shown until it is closed or forgotten.

    Raises
    ------
    MissingDependencyError
        If starlette or uvicorn is not installed.
    ParameterError
        If the port is taken.
    ParameterTypeError
        If voxels are complex.
    ImageFileError
        If the file is no image, or damaged.

    Notes
    -----
    Opening reads the header only.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with lv.view("run.nii.gz", open_browser=False) as shown:
    ...     shown.url.startswith("http://127.0.0.1:")
    True
    """
    for package in ("starlette", "uvicorn"):
        require(package, "view", "Viewers")
    server = Server(opened(img, ViewOptions()), host=host, port=port)
    made = View(server)
    if not _in_notebook() if open_browser is None else open_browser:
        server.open_browser()
    return made


def _in_notebook() -> bool:
    """Return whether results are shown by a notebook, which has frames."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})
