"""First rows of a table, as text at the prompt and as HTML in notebooks."""

from collections.abc import Sequence
from html import escape

__all__ = ["html_of_rows", "text_of_rows"]


def text_of_rows(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a title, and below it columns that are flush right.

    Parameters
    ----------
    title : str
        The first line.
    head : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells; without any the title stands alone.

    Returns
    -------
    str
        The lines.

    Examples
    --------
    >>> print(text_of_rows("<two>", ["a", "b"], [["1", "2"], ["10", "20"]]))
    <two>
     a   b
     1   2
    10  20
    """
    if not rows:
        return title
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)).rstrip() for row in (head, *rows)]
    return "\n".join([title, *lines])


def html_of_rows(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the same for notebooks.

    Parameters
    ----------
    title, head, rows
        As for `text_of_rows`.

    Returns
    -------
    str
        HTML.
    """
    names = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(one)}</td>' for one in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return f"<div><p>{escape(title)}</p>{table}</div>"
