"""Description of an image by its header, and the oddities that were found in it."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyvox._typing import FloatArray
from lazyvox.errors import LazyvoxWarning
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteSource

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox.formats.nifti_header import NiftiHeader

__all__ = ["Findings", "ImageFile"]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file whose header was read and checked, and whose voxels were not touched.

    Attributes
    ----------
    format : str
        Name of the format for people, such as "NIfTI-1" or "Analyze 7.5".
    array : ArraySpec
        Where the voxels are, their type and scaling.
    affine : ndarray of shape (4, 4), float64
        Voxel indices to world coordinates, RAS+, in mm.
    fields : NiftiHeader or nibabel header
        The header, repaired where nibabel repairs it, NIfTI extensions included.
    foreign_class : type or None
        The nibabel class that `nibabel.load` would make of a file that is not NIfTI.
    source, header_source : ByteSource
        The file of the voxels and the file of the header; one object for single files.
    notes : tuple of str
        Oddities, those that were warned about included.
    """

    format: str
    array: ArraySpec
    affine: FloatArray
    fields: Any
    foreign_class: "type[SpatialImage] | None"
    source: ByteSource
    header_source: ByteSource
    notes: tuple[str, ...] = ()

    @property
    def header(self) -> Any:
        """The header as nibabel has it."""
        return self.fields.to_nibabel() if self.foreign_class is None else self.fields

    @property
    def image_class(self) -> "type[SpatialImage]":
        """The nibabel class that `nibabel.load` would make of the file."""
        if self.foreign_class is not None:
            return self.foreign_class
        fields: NiftiHeader = self.fields
        return fields.image_class


class Findings:
    """Oddities of one file.

    Warnings tell of something that was decided for the user; notes are only shown by
    ``lazyvox info``. All warnings of a file go into one `LazyvoxWarning`.
    """

    def __init__(self, path: str) -> None:
        self.shown = printable(path)
        self._warnings: list[str] = []
        self._notes: list[str] = []

    def warn(self, text: str) -> None:
        """Add a complete sentence about a decision that the user must know of."""
        self._warnings.append(text)

    def note(self, text: str) -> None:
        """Add a complete sentence that is worth showing, and no more."""
        self._notes.append(text)

    def publish(self) -> tuple[str, ...]:
        """Issue the one warning, if there is cause, and return warnings and notes as texts."""
        if self._warnings:
            msg = f"{self.shown}: {' '.join(self._warnings)}"
            warnings.warn(msg, LazyvoxWarning, stacklevel=2)
        return (*self._warnings, *self._notes)
