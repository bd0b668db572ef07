"""Parts of HTML pages: every text in them is escaped, every picture is in the page itself."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template

from lazyvox._letters import printable_text
from lazyvox.report.page import HtmlReport

__all__ = ["Panel", "definitions", "escaped", "figure", "standalone", "table", "warning"]


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure and its caption.

    Attributes
    ----------
    caption : str
        Text below the figure.
    png : bytes
        The figure.
    alt : str
        What the figure shows, for those who do not see it; by default the caption.
    is_wide : bool
        Whether it keeps a legible size on a narrow screen, and is scrolled sideways there.
    """

    caption: str
    png: bytes = field(repr=False)
    alt: str = ""
    is_wide: bool = False


def escaped(text: str) -> str:
    """Return a text for HTML.

    Examples
    --------
    >>> escaped("a<b>")
    'a&lt;b&gt;'
    """
    return html.escape(printable_text(text), quote=True)


def warning(text: str) -> str:
    """Return a paragraph that stands out."""
    return f'<p class="warning">{escaped(text)}</p>'


def figure(panel: Panel) -> str:
    """Return a figure with its caption."""
    data = base64.b64encode(panel.png).decode("ascii")
    caption = escaped(panel.caption)
    picture = (
        f'<img src="data:image/png;base64,{data}" alt="{escaped(panel.alt or panel.caption)}">'
    )
    if panel.is_wide:
        # What scrolls must be reached by the keyboard too.
        picture = (
            f'<div class="wide" tabindex="0" role="group" aria-label="{caption}">{picture}</div>'
        )
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def definitions(facts: Mapping[str, str]) -> str:
    """Return names and what they stand for; nothing for none."""
    if not facts:
        return ""
    pairs = (f"<dt>{escaped(name)}</dt><dd>{escaped(fact)}</dd>" for name, fact in facts.items())
    return f"<dl>{''.join(pairs)}</dl>"


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    is_open: bool = True,
) -> str:
    """Return a table that can be folded; nothing for no rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escaped(column)}</th>' for column in columns)
    lines = ("".join(f"<td>{escaped(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f"<details{' open' * is_open}><summary>{escaped(title)}</summary>"
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def standalone(title: str, parts: Sequence[str]) -> HtmlReport:
    """Return the page of some parts, which are HTML, under a title, which is text."""
    style = files("lazyvox.report").joinpath("page.css").read_text(encoding="utf-8")
    body = f"<style>{style}</style><main class='lazyvox'>{''.join(parts)}</main>"
    template = Template(files("lazyvox.report").joinpath("page.html").read_text(encoding="utf-8"))
    return HtmlReport(template.substitute(title=escaped(title), body=body), body)
