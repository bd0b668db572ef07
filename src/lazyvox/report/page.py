"""`HtmlReport`: a page that needs nothing besides itself."""

import html
import tempfile
import webbrowser
from pathlib import Path

from lazyvox._typing import PathLike, override
from lazyvox.store.files.paths import absolute_path
from lazyvox.store.write.atomic import write_file

__all__ = ["HtmlReport"]


class HtmlReport:
    """A self-contained HTML page, with the methods of nilearn's reports.

    Parameters
    ----------
    page : str
        The whole page.
    body : str
        What stands in its body: shown in notebooks.
    """

    def __init__(self, page: str, body: str) -> None:
        self.html = page
        self.body = body
        self.width = 800
        self.height = 600

    def get_standalone(self) -> str:
        """Return the page.

        Returns
        -------
        str
            HTML.
        """
        return self.html

    def get_iframe(self, width: int | None = None, height: int | None = None) -> str:
        """Return the page wrapped in an inline frame.

        Parameters
        ----------
        width, height : int, optional
            Size of the frame in pixels.

        Returns
        -------
        str
            HTML.
        """
        return (
            f'<iframe srcdoc="{html.escape(self.html, quote=True)}" '
            f'width="{int(width or self.width)}" height="{int(height or self.height)}" '
            f'style="border:0"></iframe>'
        )

    def resize(self, width: int, height: int) -> "HtmlReport":
        """Set the size of the inline frame.

        Parameters
        ----------
        width, height : int
            Pixels.

        Returns
        -------
        HtmlReport
            The report itself.
        """
        self.width, self.height = int(width), int(height)
        return self

    def save_as_html(self, file_name: PathLike) -> None:
        """Write the page.

        Parameters
        ----------
        file_name : path-like
            The file; an existing one is replaced.

        Raises
        ------
        OutputError
            If it cannot be written; what was there before is intact.
        """
        write_file(absolute_path(file_name), self.html.encode("utf-8"), overwrite=True)

    def open_in_browser(self, file_name: PathLike | None = None) -> None:
        """Write the page and open it in a web browser.

        Parameters
        ----------
        file_name : path-like, optional
            The file; by default a temporary one, which stays.
        """
        if file_name is None:
            with tempfile.NamedTemporaryFile(suffix=".html", delete=False) as file:
                file_name = file.name
        self.save_as_html(file_name)
        webbrowser.open(Path(absolute_path(file_name)).as_uri())

    def _repr_html_(self) -> str:
        return self.body

    @override
    def __str__(self) -> str:
        """Return the page."""
        return self.html

    @override
    def __repr__(self) -> str:
        """Say how to look at it."""
        return "<HtmlReport: save_as_html(path), open_in_browser()>"
