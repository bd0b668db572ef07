"""From images to signals: the regions, their signals, and the one call that extracts them."""

from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.spheres import Spheres
from lazyvox.extraction.voxels import Voxels

__all__ = ["Labels", "Maps", "Signals", "Spheres", "Voxels", "extract"]
