"""From images to signals: what regions are meant, and the one call that extracts them."""

from lazyvox.extract.api import extract

__all__ = ["extract"]
