"""Pages and figures of reports."""

import numpy as np
import pytest

from lazyvox.report import HtmlReport, MaskerContent, Panel, cuts_png, masker_page
from lazyvox.testing import HtmlPage

PNG = b"\x89PNG\r\n\x1a\n"
HOSTILE = ["<script>alert(1)</script>", '"onmouseover="x', "=HYPERLINK()", "a\u202eb", "\0"]


@pytest.fixture
def content():
    rows = [(str(number), name) for number, name in enumerate(HOSTILE)]
    panel = Panel("A <figure>", PNG)
    return MaskerContent(
        HOSTILE[0], "text", {"regions": "5"}, HOSTILE, [panel], ("label", "name"), rows, {"a": "b"}
    )


def test_a_page_is_well_formed_and_loads_nothing(content):
    page = masker_page(content)
    checker = HtmlPage(page.get_standalone())
    assert "script" not in checker.tags
    assert all(source.startswith("data:image/png;base64,") for source in checker.sources)
    assert len(checker.sources) == 1


def test_hostile_names_are_shown_not_run(content):
    body = masker_page(content).body
    assert "<script" not in body
    assert "&lt;script&gt;" in body
    assert "\u202e" not in body
    assert "a\\u202eb" in body
    assert "\0" not in body


def test_a_report_is_saved_and_framed(tmp_path, content):
    page = masker_page(content)
    page.resize(300, 200).save_as_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == str(page)
    assert 'width="300" height="200"' in page.get_iframe()
    assert "<script" not in page.get_iframe()
    assert isinstance(page, HtmlReport)
    assert "save_as_html" in repr(page)


@pytest.mark.parametrize("kind", ["mask", "labels", "map"])
def test_figures_show_the_regions(kind):
    rng = np.random.default_rng(0)
    affine = np.array([[-2.0, 0, 0, 20], [0, 0, 3, -9], [0, 2, 0, -9], [0, 0, 0, 1]])
    regions = np.zeros((12, 11, 10), np.float32)
    regions[3:6, 2:5, 4:8] = 1 if kind != "map" else -0.5
    background = rng.random((12, 11, 10))
    with_regions = cuts_png(background, regions, affine, kind=kind)
    assert with_regions.startswith(PNG)
    assert with_regions != cuts_png(background, None, affine)
    assert cuts_png(None, regions, affine, kind=kind).startswith(PNG)


def test_an_empty_mask_makes_a_figure_too():
    assert cuts_png(None, np.zeros((3, 4, 5)), np.eye(4)).startswith(PNG)


def test_cuts_go_through_the_place_that_is_asked_for():
    regions = np.zeros((12, 11, 10), np.uint8)
    regions[3, 2, 4] = 1
    affine = np.diag([2.0, 2, 2, 1])
    found = cuts_png(None, regions, affine, through=(6, 4, 8))
    assert found.startswith(PNG)
    assert found != cuts_png(None, regions, affine, through=(6, 4, 10))
    # A place outside of the volume is shown at its edge.
    assert cuts_png(None, regions, affine, through=(600, -400, 8)).startswith(PNG)


def test_volumes_with_holes_and_of_one_value_can_be_drawn():
    volume = np.full((5, 6, 7), np.nan)
    assert cuts_png(volume, None, np.eye(4), through=(2, 2, 2)).startswith(PNG)
    volume[1:4] = -2
    assert cuts_png(volume, volume > 0, np.eye(4), through=(2, 2, 2)).startswith(PNG)
