"""New images on the grid of another image."""

from lazyvox.lazyimage.classes import image_on_grid

__all__ = ["image_on_grid"]
