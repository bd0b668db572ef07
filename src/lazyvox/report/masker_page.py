"""Report of a masker, on one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lazyvox._version import __version__
from lazyvox.report.elements import (
    Panel,
    definitions,
    escaped,
    figure,
    standalone,
    table,
    warning,
)
from lazyvox.report.page import HtmlReport

__all__ = ["MaskerContent", "masker_page"]


@dataclass(frozen=True, slots=True)
class MaskerContent:
    """Content of the page of a masker.

    Attributes
    ----------
    title : str
        Title of the page.
    description : str
        What the masker does, in a sentence or two.
    facts : mapping of str to str
        Numbers worth knowing, by their names.
    warnings : sequence of str
        What the reader must know.
    panels : sequence of Panel
        Figures.
    columns : sequence of str
        Head of the table of regions.
    rows : sequence of sequence of str
        Its rows.
    parameters : mapping of str to str
        Parameters of the masker.
    """

    title: str
    description: str
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    panels: Sequence[Panel] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


def masker_page(content: MaskerContent) -> HtmlReport:
    """Return the page; every text in it is escaped.

    Parameters
    ----------
    content : MaskerContent
        What stands on it.

    Returns
    -------
    HtmlReport
        The page.

    Examples
    --------
    >>> page = masker_page(MaskerContent("Regions", "Means of <b> regions."))
    >>> "Means of &lt;b&gt; regions." in page.body
    True
    """
    parts = [
        f"<h1>{escaped(content.title)}</h1>",
        f"<p>{escaped(content.description)}</p>",
        *map(warning, content.warnings),
        definitions(content.facts),
        *map(figure, content.panels),
        table("Regions", content.columns, content.rows),
        table("Parameters", ("parameter", "value"), tuple(content.parameters.items())),
        f"<footer>Made by lazyvox {escaped(__version__)}.</footer>",
    ]
    return standalone(content.title, parts)
