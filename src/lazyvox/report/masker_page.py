"""Report of a masker, on one page."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template

from lazyvox._version import __version__
from lazyvox.report.page import HtmlReport

__all__ = ["MaskerContent", "Panel", "masker_page"]


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure and its caption.

    Attributes
    ----------
    caption : str
        Text below the figure.
    png : bytes
        The figure.
    """

    caption: str
    png: bytes = field(repr=False)


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
        f"<h1>{_text(content.title)}</h1>",
        f"<p>{_text(content.description)}</p>",
        *(f'<p class="warning">{_text(warning)}</p>' for warning in content.warnings),
        _definitions(content.facts),
        *(_figure(panel) for panel in content.panels),
        _table("Regions", content.columns, content.rows),
        _table("Parameters", ("parameter", "value"), tuple(content.parameters.items())),
        f"<footer>Made by lazyvox {_text(__version__)}.</footer>",
    ]
    style = files("lazyvox.report").joinpath("page.css").read_text(encoding="utf-8")
    body = f"<style>{style}</style><main class='lazyvox'>{''.join(parts)}</main>"
    template = Template(files("lazyvox.report").joinpath("page.html").read_text(encoding="utf-8"))
    page = template.substitute(title=_text(content.title), body=body)
    return HtmlReport(page, body)


def _text(text: str) -> str:
    # A right-to-left override in a name would turn round what follows it.
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return html.escape(shown, quote=True)


def _figure(panel: Panel) -> str:
    data = base64.b64encode(panel.png).decode("ascii")
    caption = _text(panel.caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _definitions(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    pairs = (f"<dt>{_text(name)}</dt><dd>{_text(fact)}</dd>" for name, fact in facts.items())
    return f"<dl>{''.join(pairs)}</dl>"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    lines = ("".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<details open><summary>{_text(title)}</summary><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></details>"
    )
