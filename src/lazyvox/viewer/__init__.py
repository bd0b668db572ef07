"""Viewer of runs in the browser: a server on the loopback address, and the page that it serves."""

from lazyvox.viewer.api import View, view

__all__ = ["View", "view"]
