"""Reports of extractions: figures and tables in one HTML file."""

from lazyvox.report.figures import cuts_png
from lazyvox.report.masker_page import MaskerContent, Panel, masker_page
from lazyvox.report.page import HtmlReport

__all__ = ["HtmlReport", "MaskerContent", "Panel", "cuts_png", "masker_page"]
