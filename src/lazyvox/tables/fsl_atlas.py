"""Names of regions in the XML of FSL's atlases."""

import io
from xml.parsers import expat

from lazyvox.errors import RegionError

__all__ = ["read_fsl_atlas"]


def read_fsl_atlas(content: bytes, source: str) -> list[tuple[str, int, str]]:
    """Return the labels of an FSL atlas.

    Parameters
    ----------
    content : bytes
        The XML.
    source : str
        Its file, for messages.

    Returns
    -------
    list of tuple
        Line, label and name of each region.

    Raises
    ------
    RegionError
        If the XML is malformed, declares a document type, or has no labels.

    Notes
    -----
    FSL numbers the regions of a probabilistic atlas from 0, and its images of most likely regions
    hold that index plus one: so does the result. In an atlas of type "Label" the index is the
    value in the image. A "value" attribute overrides both.
    """
    atlas = _Parser(source)
    try:
        atlas.parser.ParseFile(io.BytesIO(content))
    except expat.ExpatError as error:
        msg = f"{source}, line {error.lineno}: the XML is malformed ({error})."
        raise RegionError(msg) from error
    if not atlas.found:
        msg = f"{source}: an FSL atlas must have <label> elements. Got none."
        raise RegionError(msg)
    shift = 0 if atlas.kind == "label" else 1
    entries = []
    for where, attributes, name in atlas.found:
        written = attributes.get("value", attributes.get("index"))
        try:
            label = int(written or "")
        except ValueError as error:
            msg = f"{source}, {where}: a label must be an integer. Got {written!r}."
            raise RegionError(msg) from error
        entries.append((where, label if "value" in attributes else label + shift, name))
    return entries


class _Parser:
    """Collects labels while XML is parsed.

    Attributes
    ----------
    found : list of tuple
        Line, attributes and text of each label.
    kind : str
        Type of the atlas, in small letters.
    parser : XMLParser
        Calls the methods below.
    """

    def __init__(self, source: str) -> None:
        self.found: list[tuple[str, dict[str, str], str]] = []
        self.kind = ""
        self._source = source
        self._text: list[str] = []
        self._attributes: dict[str, str] = {}
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        del tag
        self._text.clear()
        self._attributes = attributes

    def _end(self, tag: str) -> None:
        text = "".join(self._text).strip()
        self._text.clear()
        if tag == "label":
            self.found.append((f"line {self.parser.CurrentLineNumber}", self._attributes, text))
        elif tag == "type":
            self.kind = text.lower()

    def _refuse_doctype(self, *declaration: object) -> None:
        del declaration
        msg = (
            f"{self._source}, line {self.parser.CurrentLineNumber}: an atlas in XML must not "
            f"declare a document type: its entities could expand without bound. Remove it."
        )
        raise RegionError(msg)
