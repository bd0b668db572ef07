"""Reports of maskers: what stands on them, before and after fitting."""

import sys
import warnings

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox import maskers
from lazyvox.maskers import (
    MultiNiftiMasker,
    NiftiLabelsMasker,
    NiftiMapsMasker,
    NiftiMasker,
    NiftiSpheresMasker,
)
from lazyvox.testing import HtmlPage

NAMES = [name for name in maskers.__all__ if name.endswith("Masker")]
SHAPE = (6, 7, 5)


def facts_of(page):
    return dict(zip(page.texts.get("dt", []), page.texts.get("dd", []), strict=True))


def labels_img():
    values = np.zeros(SHAPE, np.int16)
    values[1:3, 1:6, 1:4], values[3:5, 1:6, 1:4] = 3, 900
    return nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1]))


def series(n_volumes=5):
    values = np.random.default_rng(0).normal(100, 5, (*SHAPE, n_volumes))
    img = nib.Nifti1Image(values.astype(np.float32), np.diag([2.0, 2, 2, 1]))
    img.header.set_zooms((2, 2, 2, 1.5))
    return img


def mask_img():
    return nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.diag([2.0, 2, 2, 1]))


def maps_img():
    values = np.asarray(labels_img().dataobj)
    weights = np.stack([values == 3, values == 900, values > 0], axis=3).astype(np.float32)
    return nib.Nifti1Image(weights, np.diag([2.0, 2, 2, 1]))


SEEDS = [(4, 4, 4), (8, 8, 4), (4, 8, 4)]


def made(name, **parameters):
    regions = {
        "NiftiMasker": {"mask_img": mask_img()},
        "NiftiLabelsMasker": {"labels_img": labels_img()},
        "NiftiMapsMasker": {"maps_img": maps_img()},
        "NiftiSpheresMasker": {"seeds": SEEDS, "radius": 2.0, "mask_img": mask_img()},
    }
    given = {**regions[name.removeprefix("Multi")], "standardize": None, **parameters}
    return getattr(maskers, name)(**given)


def fitted(masker, imgs=None):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "images passed to")
        return masker.fit(series() if imgs is None else imgs)


@pytest.mark.parametrize("name", NAMES)
class TestEveryMasker:
    def test_before_fit_the_page_shows_the_parameters(self, name):
        masker = made(name)
        with pytest.warns(UserWarning, match="The masker is not fitted"):
            report = masker.generate_report()
        page = HtmlPage(str(report))
        assert not page.sources
        assert "detrend" in page.texts["td"]
        assert name in page.texts["h1"]
        assert "The masker is not fitted" in str(report)
        assert not masker.__sklearn_is_fitted__()

    def test_after_fit_it_shows_regions_over_the_image_and_loads_nothing(self, name):
        masker = fitted(made(name))
        report = masker.generate_report(title="A <title>")
        page = HtmlPage(str(report))
        assert page.texts["h1"] == ["A <title>"]
        assert page.sources
        assert all(source.startswith("data:image/png;base64,iVBOR") for source in page.sources)
        facts = facts_of(page)
        assert facts["Voxel size"] == "2 x 2 x 2 mm"
        assert facts["Grid"] == "6 x 7 x 5 voxels"
        assert facts["Repetition time"] == "1.5 s"
        assert facts["Coverage of the field of view"].endswith(" %")

    def test_engines_of_other_libraries_are_refused(self, name):
        with pytest.raises(
            ValueError, match=r"`engine` must be one of 'matplotlib'. Got 'plotly'"
        ):
            made(name).generate_report(engine="plotly")

    def test_without_matplotlib_the_extra_is_named(self, name, monkeypatch):
        masker = fitted(made(name))
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(lv.MissingDependencyError, match=r"pip install matplotlib"):
            masker.generate_report()


class TestWithout:
    def test_an_image(self):
        masker = NiftiMasker(mask_img(), standardize=None).fit()
        with pytest.warns(UserWarning, match=r"No image was given to NiftiMasker\.fit"):
            report = masker.generate_report()
        assert report.body.count("<img") == 1
        assert facts_of(HtmlPage(str(report)))["Voxels in the mask"] == "210"

    def test_reports(self):
        masker = NiftiMasker(mask_img(), standardize=None, reports=False).fit()
        with pytest.warns(UserWarning, match="switched off") as found:
            report = masker.generate_report()
        assert len(found) == 2
        assert "<img" not in report.body
        masker.reports = True
        with pytest.warns(UserWarning, match="switched off when the masker was fitted"):
            assert "<img" not in masker.generate_report().body

    def test_a_list_of_subjects_says_which_one_is_shown(self):
        masker = fitted(MultiNiftiMasker(mask_img(), standardize=None), [series(), series()])
        with pytest.warns(UserWarning, match="the first one is shown"):
            assert masker.generate_report().body.count("<img") == 1

    def test_a_grid_spheres_are_shown_on_a_template(self):
        masker = NiftiSpheresMasker([(0, 0, 0)], radius=6, standardize=None).fit()
        with pytest.warns(UserWarning, match="No image was given"):
            report = masker.generate_report(displayed_spheres=0)
        assert "brain of the MNI template" in report.body
        assert report.body.count("<img") == 1


class TestTables:
    def test_labels_have_names_and_sizes(self):
        masker = NiftiLabelsMasker(labels_img(), labels=["left", "<b>right"], standardize=None)
        masker.fit_transform(series())
        report = masker.generate_report()
        cells = HtmlPage(str(report)).texts["td"]
        assert cells[:10] == [
            "3",
            "left",
            "30",
            "240",
            "50.00",
            "900",
            "<b>right",
            "30",
            "240",
            "50.00",
        ]
        assert "<b>" not in report.body

    def test_labels_that_the_mask_takes_away_are_named(self):
        inside = np.zeros(SHAPE, np.uint8)
        inside[:3] = 1
        mask = nib.Nifti1Image(inside, np.diag([2.0, 2, 2, 1]))
        masker = NiftiLabelsMasker(labels_img(), labels=["a", "b"], mask_img=mask)
        masker.fit(series())
        report = masker.generate_report()
        assert "1 of 2 regions have no voxel, and no signal: b." in report.body
        assert HtmlPage(str(report)).texts["td"][5:10] == ["900", "b", "0", "0", "0.00"]

    def test_maps_have_weights_and_sizes(self):
        masker = NiftiMapsMasker(maps_img(), standardize=None).fit(series())
        cells = HtmlPage(str(masker.generate_report(displayed_maps=[1]))).texts["td"]
        assert cells[:10] == ["0", "0", "1", "30", "240", "1", "0", "1", "30", "240"]

    def test_spheres_hold_the_voxels_that_signals_are_taken_from(self):
        masker = NiftiSpheresMasker([*SEEDS, (400, 0, 0)], radius=2, standardize=None).fit(
            series()
        )
        report = masker.generate_report(displayed_spheres=[])
        cells = HtmlPage(str(report)).texts["td"]
        assert cells[:5] == ["0", "4, 4, 4", "7", "56", "33.33"]
        assert cells[15:18] == ["3", "400, 0, 0", "0"]
        assert "1 of 4 spheres have no voxel, and no signal: 3." in report.body

    def test_an_image_on_another_grid_is_brought_to_that_of_the_regions(self):
        other = nib.Nifti1Image(np.asarray(series().dataobj), np.diag([2.5, 2.5, 2.5, 1]))
        masker = NiftiLabelsMasker(labels_img(), resampling_target="labels", standardize=None)
        assert (
            facts_of(HtmlPage(str(masker.fit(other).generate_report())))["Voxel size"]
            == "2 x 2 x 2 mm"
        )


def shown(kind, displayed):
    name = "maps" if kind is NiftiMapsMasker else "spheres"
    masker = made(kind.__name__).fit(series())
    return masker, masker.generate_report(**{f"displayed_{name}": displayed})


@pytest.mark.parametrize("kind", [NiftiMapsMasker, NiftiSpheresMasker])
class TestDisplayed:
    @pytest.mark.parametrize(
        ("displayed", "expected"),
        [(2, [0, 1]), ("all", [0, 1, 2]), ([2, 1], [2, 1]), (np.array([1]), [1]), (10, [0, 1, 2])],
    )
    def test_those_that_are_asked_for_have_figures(self, kind, displayed, expected):
        masker, report = shown(kind, displayed)
        if kind is NiftiSpheresMasker:
            # The first figure shows all of them, as nilearn counts.
            expected = [0, *(number + 1 for number in expected)]
        assert masker._report_content["displayed_maps"] == expected
        assert report.body.count("<img") == len(expected)

    @pytest.mark.parametrize("displayed", [4.5, [8.4, 3], "invalid", np.array([1.2]), None, True])
    def test_what_is_no_number_is_refused(self, kind, displayed):
        with pytest.raises(TypeError, match="must be 'all', an integer, or a list or array"):
            shown(kind, displayed)

    def test_negative_ones_are_refused(self, kind):
        with pytest.raises(ValueError, match=r"must be 0 or more, or 'all'. Got -1"):
            shown(kind, -1)

    def test_those_that_are_not_there_are_named(self, kind):
        with pytest.warns(UserWarning, match=r"numbered from 0: \[7\]"):
            shown(kind, [1, 7])
        with pytest.warns(UserWarning, match="has 3 .*s: all are shown"):
            shown(kind, 4)
