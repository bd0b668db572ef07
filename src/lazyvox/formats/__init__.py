"""Parsers of headers: NIfTI, Analyze and MGH."""

from lazyvox.formats.detect import read_image_file
from lazyvox.formats.foreign import ForeignFormatError
from lazyvox.formats.spec import ImageFile

__all__ = ["ForeignFormatError", "ImageFile", "read_image_file"]
