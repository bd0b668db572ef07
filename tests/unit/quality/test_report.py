"""`lazyvox.qc_report`: its numbers, what it says of odd runs, and what it refuses."""

import itertools

import matplotlib.backends.backend_agg  # noqa: F401
import numpy as np
import pytest
from nibabel import load, save

import lazyvox as lv
from lazyvox.errors import (
    GridMismatchError,
    ImageFileError,
    ParameterError,
    ParameterTypeError,
    RegionError,
)
from lazyvox.quality.api import prepare_report
from lazyvox.quality.drawings import shown_courses, spectrum_of
from lazyvox.quality.findings import FindingsConsumer
from lazyvox.quality.page import _MEASURES
from lazyvox.quality.run import Carpet, ReportOptions, prepare_run
from lazyvox.testing import image_of
from lazyvox.testing.pages import HtmlPage

MOTION = np.random.default_rng(0).normal(0, 0.05, (40, 6)) * [1, 1, 1, 0.02, 0.02, 0.02]
MASKED = {"mask_img": "mask.nii.gz"}


@pytest.fixture(autouse=True)
def folder(example_folder, monkeypatch):
    monkeypatch.chdir(example_folder)
    np.savetxt("rp_run.txt", MOTION)
    return example_folder


def cells(report):
    """Return rows of the first table, and the definitions of the page, by name."""
    page = HtmlPage(report.html)
    rows = list(itertools.batched(page.texts["td"], 5)) if hasattr(itertools, "batched") else [
        tuple(page.texts["td"][at : at + 5]) for at in range(0, len(page.texts["td"]) - 4, 5)
    ]  # fmt: skip
    facts = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    return page, {row[0]: row[1:] for row in rows}, facts


def test_numbers_are_those_of_qc():
    limits = {"fd_threshold": 0.3, "std_dvars_threshold": 0.9}
    options = ReportOptions(**MASKED, labels_img="atlas.nii.gz", lut="atlas.tsv", **limits)
    prepared = prepare_report(["run.nii.gz"], ["rp_run.txt"], options)
    with lv.peak_memory() as peak:
        report = prepared.run()
    assert peak.increment <= prepared.plan().peak_bytes
    page, rows, facts = cells(report)
    table = lv.qc("run.nii.gz", **MASKED, motion="rp_run.txt")
    for name, title in _MEASURES.items():
        values = table[name] * (100 if name == "outlier_fraction" else 1)
        numbers = [np.nanmean(values), np.nanmedian(values), np.nanmax(values)]
        wanted = (*(f"{one:.4g}" for one in numbers), str(np.nanargmax(values)))
        assert rows[title] == wanted
    moved = table["framewise_displacement"] > 0.3
    changed = table["std_dvars"] > 0.9
    assert 0 < moved.sum() < 40
    assert facts["FD above 0.3 mm"].split()[0] == str(moved.sum())
    assert facts["std DVARS above 0.9"].split()[0] == str(changed.sum())
    either = np.flatnonzero(moved | changed)
    assert facts["numbers"] == ", ".join(map(str, either))
    assert facts["left"].startswith(f"{40 - len(either)} volumes")
    inside = load("mask.nii.gz").get_fdata() > 0
    tsnr = lv.tsnr_img("run.nii.gz").get_fdata()[inside]
    assert facts["median tSNR"] == f"{np.median(tsnr):.4g}"
    assert facts["passes"] == "1"
    assert "LeftFront" in page.texts["td"]


def test_page_of_two_runs_needs_nothing_besides_itself(folder):
    name = "<b>&run.nii.gz"
    (folder / name).write_bytes((folder / "run.nii.gz").read_bytes())
    labels = {"labels_img": "left.nii.gz", "lut": {1: "<i>one</i>"}}
    report = lv.qc_report(["run.nii.gz", name], **MASKED, **labels)
    page = HtmlPage(report.html)
    assert "script" not in page.tags
    assert all(one.startswith(("data:image/png;base64,", "#run-")) for one in page.sources)
    assert page.texts["h1"] == ["Quality of 2 runs"]
    assert page.texts["h2"] == ["run.nii.gz", name]
    assert page.tags.count("section") == 3
    assert report.html.count("<img") == report.html.count(' alt="') == 14
    assert ' alt=""' not in report.html
    assert "&lt;i&gt;one&lt;/i&gt;" in report.html
    assert "<b>" not in report.html


def test_what_is_missing_is_said():
    values = load("run.nii.gz").get_fdata()
    values[6, 7, 5, 3] = np.inf
    values[:2] *= 1e35
    values[..., -2:] = 0
    img = image_of(values, [[2, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    texts = HtmlPage(lv.qc_report(img).html).texts
    said = [*texts["p"], *texts["figcaption"]]
    for text in (
        "No mask was given",
        "No motion table was given",
        "The affine of the header is of no use: cuts are in the order of the file",
        "NaN or infinite: 1 value in 1 volume.",
        "Nothing but zeros, as in an interrupted copy: 2 volumes at the end.",
        "1 of 1680 voxels with values that are not finite were left out",
        "voxels that hardly vary were left out of DVARS",
        "No atlas was given.",
        " more do not vary, or are not finite)",
    ):
        assert any(text in one for one in said), text


def test_runs_that_do_not_vary_have_a_page_and_names_are_no_mathematics():
    values = np.full((4, 5, 3, 6), 7.0)
    labels = image_of(np.ones((4, 5, 3), np.int16))
    report = lv.qc_report(image_of(values), labels_img=labels, lut={1: "$\\bad{$ \u65e5"})
    page, _, facts = cells(report)
    assert facts["std DVARS above 1.5"] == "unknown"
    assert any("Correlations with a constant are not defined" in one for one in page.texts["p"])
    assert "There is none: it needs four volumes and finite values that vary." in page.texts["p"]


@pytest.mark.parametrize("shape", [(5, 6, 4), (5, 6, 1, 2)])
def test_short_runs_have_a_page(shape):
    values = np.random.default_rng(4).normal(100, 3, shape)
    page, _, facts = cells(lv.qc_report(image_of(values)))
    n_volumes = shape[3] if len(shape) > 3 else 1
    assert facts["shape"].endswith(f"x {n_volumes}")
    assert any("one volume" in one for one in page.texts["p"]) == (n_volumes == 1)
    assert "There is none: it needs four volumes and finite values that vary." in page.texts["p"]


def test_constant_run_has_a_page():
    _, rows, facts = cells(lv.qc_report(image_of(np.full((4, 5, 6, 8), 7.0))))
    assert rows["standardized DVARS"] == ("n/a",) * 4
    assert facts["median tSNR"] == "0"


def test_carpet_is_detrended_and_ordered_by_region():
    rng = np.random.default_rng(3)
    courses = rng.normal(size=(20, 5)).astype(np.float32) + np.arange(20)[:, None]
    courses[:, 1] = 4
    courses[2, 2] = np.nan
    shown, labels = shown_courses(Carpet(courses, np.array([0, 1, 1, 2, 1])))
    assert labels.tolist() == [1, 2, 0]
    wanted = courses[:, [4, 3, 0]]
    fit = np.polynomial.polynomial.polyfit(np.arange(20), wanted, 1)
    wanted = wanted - np.polynomial.polynomial.polyval(np.arange(20), fit).T
    np.testing.assert_allclose(shown, wanted / wanted.std(axis=0), atol=1e-4)


@pytest.mark.parametrize("n", [7, 8])
def test_power_adds_up(n):
    frequencies, power = spectrum_of(np.random.default_rng(n).normal(size=n), 2.0)
    assert power.sum() == pytest.approx(1)
    np.testing.assert_allclose(frequencies, np.arange(1, n // 2 + 1) / (2 * n))


def test_voxels_of_the_carpet_are_the_same_each_time(monkeypatch):
    monkeypatch.setattr("lazyvox.quality.run.MOST_ROWS", 50)
    first, second = (prepare_run("run.nii.gz", None, ReportOptions(**MASKED)).run() for _ in "ab")
    assert first.carpet.courses.shape == (40, 50)
    np.testing.assert_array_equal(first.carpet.courses, second.carpet.courses)


def test_slabs_and_merged_parts_find_the_same():
    values = np.random.default_rng(5).normal(size=(3, 4, 5, 6))
    values[0, 0, 4, 2], values[..., 5] = np.inf, 0
    grid = prepare_run(image_of(values), None, ReportOptions()).grid
    whole, slabs, later = FindingsConsumer(), FindingsConsumer(), FindingsConsumer()
    for one in (whole, slabs, later):
        one.init(grid)
    whole.update(values[..., :3], 0)
    later.update(values[..., 3:], 3)
    whole.merge(later)
    for volume, k in itertools.product(range(6), (0, 2, 4)):
        slabs.update_slab(values[:, :, k : k + 2, volume : volume + 1], volume, k)
    for found in (whole.finalize(), slabs.finalize()):
        assert found.n_non_finite.tolist() == [0, 0, 1, 0, 0, 0]
        assert found.n_zero_at_end == 1


REFUSED = [
    ({"motion": "rp_run.txt", "imgs": ["run.nii.gz"] * 2}, ParameterError, "a table for each run. Got 1 for 2"),
    ({"motion": MOTION[:5], "motion_format": "spm"}, ParameterError, "Got 5 rows and 40 volumes"),
    ({"motion_format": "spm"}, ParameterError, "`motion_format` needs `motion`"),
    ({"lut": "atlas.tsv"}, ParameterError, "`lut` needs `labels_img`, which is missing"),
    ({"resample": True}, ParameterError, "`resample` needs `labels_img`"),
    ({"fd_threshold": 0}, ParameterError, "`fd_threshold` must be a number above 0. Got 0"),
    ({"std_dvars_threshold": "x"}, ParameterError, "`std_dvars_threshold` must be a number above 0"),
    ({"imgs": []}, ParameterError, "`imgs` must hold at least one run"),
    ({"mask_img": "atlas.nii.gz"}, RegionError, "mask"),
    ({"labels_img": "other.nii.gz"}, GridMismatchError, "grid"),
    ({"mask_img": "other.nii.gz"}, GridMismatchError, "grid"),
    ({"imgs": "short.nii.gz"}, ImageFileError, "short.nii.gz"),
    ({"imgs": "complex.nii.gz"}, ParameterTypeError, "complex.nii.gz: measures of quality need real voxels"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "text"), REFUSED)
def test_refused(folder, options, error, text):
    save(image_of(np.ones((3, 3, 3), "u1")), "other.nii.gz")
    save(image_of(np.ones((3, 3, 3, 4), "c8")), "complex.nii.gz")
    content = (folder / "run.nii.gz").read_bytes()
    (folder / "short.nii.gz").write_bytes(content[: len(content) // 2])
    imgs = options.get("imgs", "run.nii.gz")
    rest = {name: value for name, value in options.items() if name != "imgs"}
    with pytest.raises(error, match=text):
        lv.qc_report(imgs, **rest)


def test_runs_of_one_name_have_titles_that_differ(folder):
    for number in "12":
        (folder / number).mkdir()
        (folder / number / "run.nii.gz").write_bytes((folder / "run.nii.gz").read_bytes())
    page = HtmlPage(lv.qc_report(["1/run.nii.gz", "2/run.nii.gz"], **MASKED).html)
    assert page.texts["h2"] == ["1/run.nii.gz", "2/run.nii.gz"]
    assert "RAS" in page.texts["dd"]


def test_all_runs_are_checked_before_one_is_read(folder):
    content = (folder / "run.nii.gz").read_bytes()
    (folder / "short.nii.gz").write_bytes(content[: len(content) // 2])
    tables = ["rp_run.txt", MOTION[:7]]
    with pytest.raises(ParameterError, match="the format of motion parameters must be known"):
        lv.qc_report(["short.nii.gz", "run.nii.gz"], motion=tables)
    with pytest.raises(ParameterError, match="Got 7 rows and 40 volumes"):
        lv.qc_report(["short.nii.gz", "run.nii.gz"], motion=tables, motion_format="spm")


def test_atlas_on_another_grid_is_resampled():
    atlas = load("atlas.nii.gz")
    values = np.asanyarray(atlas.dataobj)[::2, ::2, ::2]
    save(image_of(values, atlas.affine @ np.diag([2, 2, 2, 1])), "coarse.nii.gz")
    report = lv.qc_report("run.nii.gz", labels_img="coarse.nii.gz", resample=True)
    assert "Mean signals of 8 regions." in HtmlPage(report.html).texts["figcaption"]
