"""Reports: figures and tables in one HTML file."""

from lazyvox.report.elements import (
    Panel,
    definitions,
    escaped,
    figure,
    standalone,
    table,
    warning,
)
from lazyvox.report.figures import cuts_png
from lazyvox.report.masker_page import MaskerContent, masker_page
from lazyvox.report.page import HtmlReport

__all__ = [
    "HtmlReport",
    "MaskerContent",
    "Panel",
    "cuts_png",
    "definitions",
    "escaped",
    "figure",
    "masker_page",
    "standalone",
    "table",
    "warning",
]
