"""Everything that a viewer shows, opened and checked before the server starts."""

from dataclasses import dataclass
from typing import Any

from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import as_series
from lazyvox.viewer.subject import Subject

__all__ = ["Opened", "ViewOptions", "opened"]


@dataclass(frozen=True, slots=True, eq=False)
class ViewOptions:
    """Images and tables that are shown with a run; see `lazyvox.view`."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A run and what is shown with it.

    Attributes
    ----------
    subject : Subject
        The run.
    """

    subject: Subject

    def info(self) -> dict[str, Any]:
        """Return what a page must know before it shows anything."""
        return {
            **self.subject.info(),
            "overlays": [],
            "atlas": None,
            "mask": False,
            "events": None,
            "confounds": None,
            "fd": None,
        }


def opened(img: ImageLike, options: ViewOptions) -> Opened:
    """Return a run and what is shown with it, opened; reads headers and tables."""
    del options
    return Opened(Subject.of(as_series(img)))
