"""`lazyvox.view`: a run in the browser."""

from __future__ import annotations

import html
import sys
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self

from lazyvox._threads import join_all, start
from lazyvox._typing import override
from lazyvox.errors import LazyvoxWarning, ParameterTypeError
from lazyvox.runtime.optional import require
from lazyvox.viewer.opened import ViewOptions, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox._typing import PathLike
    from lazyvox.extraction.lut import Lut
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Series
    from lazyvox.viewer.server import Server

__all__ = ["LOOPBACK", "View", "serve", "view"]

#: The address that no other machine can ask.
LOOPBACK = "127.0.0.1"

_FRAME_HEIGHT = 720


class View:
    """A run that is shown in the browser; `view` makes it. It is a context manager.

    Parameters
    ----------
    server : Server
        A server that listens and does not run yet.

    Attributes
    ----------
    url : str
        Address of the page; it holds the secret without which nothing is answered.

    Examples
    --------
    >>> import lazyvox as lv
    >>> shown = lv.view("run.nii.gz", open_browser=False)
    >>> shown.close()
    >>> shown
    <View, closed>
    """

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._port, self._hub_path = server.port, server.hub_path
        self._thread = threading.Thread(target=server.run, name="lazyvox-view", daemon=True)
        start(self._thread)
        # Who forgets to close it shall keep neither threads nor file: the thread holds no view.
        self._stop = weakref.finalize(self, _stop, server, self._thread)

    def close(self) -> None:
        """Stop the server, and wait for its threads; harmless when repeated."""
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
        source = html.escape(self._hub_path or self.url)
        return (
            f'<iframe src="{source}" width="100%" height="{_FRAME_HEIGHT}" '
            f'title="lazyvox viewer" style="border:0" allowfullscreen></iframe>'
            f'<p><small><a href="{source}" target="_blank" rel="noopener">Open in a tab</a>'
            f"{'' if self._hub_path else _elsewhere(self._port)}</small></p>"
        )


def view(  # noqa: PLR0913
    img: ImageLike,
    *,
    overlays: ImageLike | Sequence[ImageLike] = (),
    atlas: ImageLike | None = None,
    lut: Lut | None = None,
    mask_img: ImageLike | None = None,
    events: PathLike | Any = None,
    confounds: Any = None,
    motion: PathLike | Any = None,
    motion_format: str | None = None,
    radius: float = 50.0,
    host: str = LOOPBACK,
    port: int = 0,
    open_browser: bool | None = None,
) -> View:
    """Show a run in the browser: its volumes, and the series and correlations of any voxel.

    Parameters
    ----------
    img : image or path
        A 3D or 4D image: a file, an expression, a computed image, or one in memory.
    overlays : image, path, or list of them, optional
        Images on top, each on its own grid.
    atlas : image or path, optional
        Labels of regions, whose outlines and names are shown. Those on another grid are brought to
        that of `img`, by nearest neighbour.
    lut : path, table, dict or list, optional
        Names of the regions, as of `lazyvox.Labels`.
    mask_img : image or path, optional
        The voxels that measures of volumes, carpet plot and correlations are of; by default all.
        It is brought to the grid of `img` likewise.
    events : path-like or DataFrame, optional
        Onsets and durations in seconds, and trial types, as BIDS has them: shown below series.
    confounds : array-like, DataFrame, Confounds or path, optional
        Signals that are removed before voxels are correlated, a row for each volume.
    motion : path-like, DataFrame or ndarray of shape (n_volumes, 6), optional
        Motion parameters, for the framewise displacement, or a table with fMRIPrep's column
        framewise_displacement; by default `confounds`, where these have such columns.
    motion_format : {"fmriprep", "fsl", "afni", "spm"}, optional
        Format of `motion`, see `lazyvox.confounds.framewise_displacement`.
    radius : float, default=50.0
        Radius in mm of the sphere on which rotations are lengths.
    host : str, default="127.0.0.1"
        Address that the server listens on. Any but this machine's own lets others ask it who have
        the secret of the address.
    port : int, default=0
        Port of the server; 0 takes one that is free.
    open_browser : bool, optional
        Whether the page is opened in the user's browser. By default it is, unless in a notebook,
        which shows it in a frame.

    Returns
    -------
    View
        Its `url` is the address of the page. It is shown until it is closed or forgotten. In a
        notebook of a JupyterHub its frame comes through jupyter-server-proxy, where that is installed.

    Raises
    ------
    MissingDependencyError
        If starlette or uvicorn is not installed.
    ParameterError
        If the port is taken, or a table does not fit the run.
    ParameterTypeError
        If voxels are complex, or `img` is a list.
    RegionError
        If atlas or mask cannot be used.
    ImageFileError
        If a file is no image, or damaged.

    Warns
    -----
    LazyvoxWarning
        If `host` lets other machines ask, or the page was not built, in a checkout.

    Notes
    -----
    Of run and overlays, opening reads the headers. One pass in the background computes maps over
    time, measures of volumes and a carpet plot, and, of a gzip file without an index, finds the
    access points that make all volumes quick; meanwhile everything else works. A series and a
    correlation map are a pass each. Memory: for each of the two passes that run at a time 45 MiB and
    some eight float64 volumes; four volumes; 16 MiB of the last results. The length of the run adds a
    few numbers for each volume.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with lv.view("run.nii.gz", atlas="atlas.nii.gz", open_browser=False) as shown:
    ...     shown.url.startswith("http://127.0.0.1:")
    True
    >>> img = lv.load("run.nii.gz")
    >>> shown = lv.view(lv.image.smooth_img(img, 6) - lv.mean_img(img), open_browser=False)
    >>> shown.close()
    """
    given: Any = img
    if isinstance(given, list | tuple):
        msg = f"`img` must be one run. Got a list of {len(given)}."
        raise ParameterTypeError(msg, hint="Join them first, with lazyvox.image.concat_imgs.")
    shown: Any = overlays
    options = ViewOptions(
        overlays=list(shown) if isinstance(shown, list | tuple) else [shown],
        atlas=atlas,
        lut=lut,
        mask_img=mask_img,
        events=events,
        confounds=confounds,
        motion=motion,
        motion_format=motion_format,
        radius=radius,
    )
    server = serve(img, options, host=host, port=port, ends_alone=False)
    made = View(server)
    if not _in_notebook() if open_browser is None else open_browser:
        server.open_browser()
    return made


def serve(
    img: ImageLike | Series, options: ViewOptions, *, host: str, port: int, ends_alone: bool
) -> Server:
    """Return a server that listens, and does not run yet.

    Parameters
    ----------
    img : image, path or Series
        The run.
    options : ViewOptions
        What is shown with it.
    host : str
        Address to listen on.
    port : int
        Port, 0 for one that is free.
    ends_alone : bool
        Whether it ends when the last page has been closed for a minute.

    Returns
    -------
    Server
        Its `run` answers.

    Raises
    ------
    MissingDependencyError
        If starlette or uvicorn is not installed.
    ParameterError
        If the address cannot be listened on, or a table does not fit the run.
    """
    for package in ("starlette", "uvicorn"):
        require(package, "view", "Viewers")
    from lazyvox.viewer.app import STATIC
    from lazyvox.viewer.server import Server

    if not (STATIC / "vendor/niivue.js").exists():
        msg = "the page of the viewer is not built: it lacks the libraries that draw it."
        hint = "Run make viewer in the checkout, which needs npm, or install a wheel."
        warnings.warn(LazyvoxWarning(msg, hint=hint), stacklevel=3)
    server = Server(opened(img, options), host=host, port=port, ends_alone=ends_alone)
    if not server.is_local:
        msg = (
            f"`host` {host} lets other machines of the network ask the viewer: whoever sees the "
            f"address of the page can read the run. It is not encrypted."
        )
        hint = "Leave `host` out, and come by ssh -L from elsewhere."
        cli_hint = "Leave --host out, and come by ssh -L from elsewhere."
        warnings.warn(LazyvoxWarning(msg, hint=hint, cli_hint=cli_hint), stacklevel=3)
    return server


def _elsewhere(port: int) -> str:
    """Return what to do where the browser does not run on the machine of the notebook."""
    return (
        f". Nothing to see? The notebook runs on another machine than the browser: forward the port by "
        f"<code>ssh -L {port}:127.0.0.1:{port}</code>, or, on a JupyterHub, install "
        f"<code>jupyter-server-proxy</code> there, and call <code>lazyvox.view</code> again."
    )


def _in_notebook() -> bool:
    """Return whether results are shown by a notebook, which has frames."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _stop(server: Server, thread: threading.Thread) -> None:
    server.stop()
    join_all([thread])
