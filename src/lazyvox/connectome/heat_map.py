"""A matrix of connectivity as a picture."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray
from lazyvox.extraction.signals_figure import names_as_text, shortened

__all__ = ["draw_heat_map", "picture_memory"]

#: Pixels per inch of a picture in a file.
_DPI = 150
#: Inches for the name of a region: its letters are 6 points, which is half of this, high.
_ROW_INCHES = 0.165
_SMALLEST, _LARGEST = 3.2, 14.0
_FONT_POINTS = (6.0, 9.0)
_LONGEST_NAME = 36
#: Room for names and colour bar, in inches: across, and up.
_MARGINS = (2.4, 1.6)
#: What drawing takes for each pixel, and for each value: measured from 8 to 2500 regions.
_PIXEL_BYTES, _VALUE_BYTES = 34, 32
_UNDEFINED = "#d9dce0"


def draw_heat_map(
    matrix: FloatArray, names: Sequence[str], kind: str, title: str | None = None, dpi: int = _DPI
) -> tuple[bytes, list[int]]:
    """Return a PNG, and its height and width in pixels.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Symmetric.
    names : sequence of str
        Names of the regions. Of more than fit legibly, every second, third, ... is written.
    kind : str
        What the values are. Of correlations the diagonal, which is 1, stays grey.
    title : str, optional
        Text of the colour bar; by default `kind`.
    dpi : int, default=150
        Pixels per inch: letters are 6 to 9 points high.

    Returns
    -------
    tuple of (bytes, list of int)
        The file, and the size of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    side = _side(len(names))
    with names_as_text():
        figure = Figure(
            figsize=(side + _MARGINS[0], side + _MARGINS[1]), dpi=dpi, facecolor="white"
        )
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _draw(axes, figure, matrix, kind, title or kind)
        _label(axes, names, side)
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0.15)
    del canvas
    content = file.getvalue()
    # The header of a PNG: width and height at bytes 16 and 20, most significant byte first.
    width, height = np.frombuffer(content[16:24], ">u4").tolist()
    return content, [height, width]


def picture_memory(n_regions: int, dpi: int = _DPI) -> int:
    """Return an upper bound of the bytes that drawing takes, above the imports."""
    side = _side(n_regions)
    pixels = dpi**2 * (side + _MARGINS[0]) * (side + _MARGINS[1])
    return int(_PIXEL_BYTES * pixels) + _VALUE_BYTES * n_regions**2


def _side(n_regions: int) -> float:
    """Return the width and height of the matrix, in inches."""
    return min(max(_ROW_INCHES * n_regions, _SMALLEST), _LARGEST)


def _draw(axes: Any, figure: Any, matrix: FloatArray, kind: str, title: str) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    shown = np.array(matrix, np.float32)
    if kind != "covariance":
        np.fill_diagonal(shown, np.nan)
    largest = float(np.nanmax(np.abs(shown), initial=0))
    limit = largest if largest > 0 else 1.0
    colours = colormaps["RdBu_r"].with_extremes(bad=_UNDEFINED)
    scale = ScalarMappable(Normalize(-limit, limit), colours)
    # As colours it is scaled to pixels in bytes; as numbers, in several copies of float64.
    axes.imshow(scale.to_rgba(shown, bytes=True), interpolation="nearest")
    bar = figure.colorbar(scale, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label(title, size=9)
    bar.ax.tick_params(labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label(axes: Any, names: Sequence[str], side: float) -> None:
    """Write names at both axes, as many as stay legible."""
    per_name = 72 * side / len(names)
    points = min(max(0.6 * per_name, _FONT_POINTS[0]), _FONT_POINTS[1])
    step = int(np.ceil(points * 1.2 / per_name))
    places = range(0, len(names), step)
    texts = [shortened(names[place], _LONGEST_NAME) for place in places]
    axes.set_xticks(places, texts, rotation=90, size=points)
    axes.set_yticks(places, texts, size=points)
    axes.tick_params(length=0 if step == 1 else 2)
