"""HTML pages as tests look at them."""

from html.parser import HTMLParser

from lazyvox._typing import override

__all__ = ["HtmlPage"]

# Elements without an end tag.
_VOID = {"br", "img", "link", "meta"}


class HtmlPage(HTMLParser):
    """Tags, texts and loaded files of a well-formed HTML page.

    Parameters
    ----------
    text : str
        The page.

    Attributes
    ----------
    tags : list of str
        Names of the start tags, in order.
    sources : list of str
        Values of the attributes `src` and `href`.
    texts : dict of str to list of str
        Texts by the name of the element around them.

    Raises
    ------
    AssertionError
        If an element is not closed, or closed in the wrong order.

    Examples
    --------
    >>> HtmlPage("<p>one<br>two</p>").texts
    {'p': ['one', 'two']}
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str | None] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        if self._open:
            raise AssertionError(self._open)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in _VOID:
            self._open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise AssertionError(tag)

    @override
    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)
