"""The figure is drawn for any grid, and says what it needs."""

import sys

import numpy as np
import pytest

from lazyvox.demo.costs import Cost
from lazyvox.demo.figure import Picture, draw
from lazyvox.errors import MissingDependencyError

COSTS = (Cost("lazyvox mean", 1.0, 60 << 20), Cost("lazyvox extract", 1.1, 70 << 20))
TURNED = np.array([[0, -3.0, 0.4, 9], [2.8, 0, 0, -20], [0, 0.4, 3.0, 5], [0, 0, 0, 1]])


def picture(shape, affine=TURNED, *, series=None, t_r=2.0, whole=None):
    rng = np.random.default_rng(5)
    labels = np.ones(shape, np.int16)
    labels[: shape[0] // 2] = 2
    if series is None:
        series = rng.normal(100, 1, (12, 2))
    whole = whole or Cost("whole array", 3.0, 900 << 20)
    names = ("region-01", "region-02")
    mean = rng.normal(100, 9, shape)
    return Picture(
        mean, labels, affine, (1, 2), names, series, t_r, (*COSTS, whole), "Title", "Subtitle"
    )


def n_colours(path):
    """Return the number of colours of a figure: an empty one has few."""
    import matplotlib.image

    pixels = (matplotlib.image.imread(path) * 255).round().astype("u1")
    return len(np.unique(pixels.view("u4")))


@pytest.mark.parametrize("shape", [(9, 8, 7), (9, 8, 1), (1, 8, 7), (2, 2, 2), (1, 1, 1)])
def test_any_grid_gives_a_figure(tmp_path, shape):
    draw(picture(shape), tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "demo.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    "series",
    [
        np.full((2, 2), 7.0),
        np.array([[0.0, 1.0], [0.0, 2.0]]),
        np.array([[np.nan, -1.0], [np.nan, 2.0]]),
    ],
)
def test_series_without_change_or_unit_are_drawn(tmp_path, series):
    draw(picture((5, 5, 5), series=series, t_r=None), tmp_path / "demo.png")
    assert n_colours(tmp_path / "demo.png") > 20


def test_a_whole_array_that_was_not_loaded_is_drawn_as_an_estimate(tmp_path):
    draw(picture((5, 5, 5), whole=Cost("whole array", None, 40 << 30)), tmp_path / "demo.png")
    draw(picture((5, 5, 5)), tmp_path / "measured.png")
    assert n_colours(tmp_path / "demo.png") > 20
    estimate, measured = ((tmp_path / name).read_bytes() for name in ("demo.png", "measured.png"))
    assert estimate != measured


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install matplotlib"):
        draw(picture((5, 5, 5)), tmp_path / "demo.png")
