"""Table, CSV, JSON, plot and page of a comparison."""

import csv
import io
import json
from pathlib import Path

import pytest

from lazyvox.compare.files import file_names, write_files
from lazyvox.compare.machine import describe_machine
from lazyvox.compare.measuring import Measured
from lazyvox.compare.outcome import Comparison, Source, csv_text, table_text
from lazyvox.compare.page import html_page
from lazyvox.compare.picture import draw
from lazyvox.compare.records import DEFINITIONS, DONE, FIELDS, Record
from lazyvox.compare.ways import EXTRACT
from lazyvox.errors import MissingDependencyError, OutputExistsError
from lazyvox.testing import HtmlPage

WAYS = {way.name: way for way in EXTRACT}

HOSTILE = '<script>alert(1)</script>&$x$".nii.gz'


@pytest.fixture(scope="module")
def comparison():
    """Return a comparison with every kind of record, and hostile names."""
    records = (
        Record(WAYS["nilearn-paths"], DONE, 76.5, 80.0, 150.2, 11221.3, 12000.0, 8, 5 << 30, 0, True, 3e-8),
        Record(WAYS["nilearn-memory"], "missing: nilearn"),
        Record(WAYS["numpy-paths"], DONE, 10.4, 11.0, 20.0, 5598.0, 6000.0, 8, None, None, True, 0.0),
        Record(WAYS["numpy-shared"], "failed: ValueError: <img src=x> & $a_b$ " + "long " * 40),
        Record(WAYS["lazyvox-paths"], DONE, 3.1, 3.5, 6.0, 440.0, 700.0, 8, 1 << 30, 0, False, 0.5),
        Record(WAYS["lazyvox-image"], "skipped: needs about 9 GiB, 1 GiB are available"),
        Record(WAYS["lazyvox-one-pass"], DONE, 0.015, 0.4, 0.014, 62.0, 80.0, 1, 205 << 20, 0, False, None,
               remark="shape (2, 3) instead of (2, 4)"),
    )  # fmt: skip
    source = Source(HOSTILE, (61, 73, 61, 840), "float32", 205 << 20, 870 << 20)
    masks = tuple(f"mask{number}.nii.gz" for number in range(6))
    return Comparison(f"6 masks out of {HOSTILE}", "compare", (source,), masks, 6, None,
                      Measured(records, ("numpy-paths",)), describe_machine())  # fmt: skip


def test_table_has_a_row_for_each(comparison):
    lines = table_text(comparison).splitlines()
    assert len(lines) == 2 + len(comparison.records)
    assert lines[2].split("  ")[0] == "NiftiMasker"
    assert "76.5 s" in lines[2]
    assert "11.0 GiB" in lines[2]
    assert lines[3].endswith("missing: nilearn")
    assert lines[6].endswith("NO")
    assert lines[8].endswith("NO: shape (2, 3) instead of (2, 4)")


def test_csv_has_a_column_for_each_field(comparison):
    head, *rows = csv.reader(io.StringIO(csv_text(comparison)))
    assert tuple(head) == FIELDS
    assert len(rows) == len(comparison.records)
    first = dict(zip(head, rows[0], strict=True))
    assert (first["name"], first["agrees"], first["seconds"]) == ("nilearn-paths", "true", "76.5")
    assert dict(zip(head, rows[1], strict=True))["seconds"] == ""


def test_json_holds_every_field(comparison):
    record = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    kinds = {"name": str, "method": str, "input": str, "status": str, "remark": str,
             "agrees": bool, "n_processes": int, "bytes_read": int, "storage_bytes": int}  # fmt: skip
    for one in record["records"]:
        assert tuple(one) == FIELDS == tuple(DEFINITIONS)
        for name, value in one.items():
            kind = kinds.get(name, (float, int))
            assert isinstance(value, kind) or (value is None and kind is not str), name
    assert {"method", "input", "status", "seconds", "cpu_seconds", "peak_mib", "bytes_read",
            "agrees"} <= set(FIELDS)  # fmt: skip
    assert record["references"] == ["numpy-paths"]
    assert record["machine"]["cores"] > 0
    assert record["machine"]["versions"]["numpy"]


def test_page_is_whole_needs_nothing_and_escapes(comparison):
    page = html_page(comparison, draw(comparison))
    html = HtmlPage(page)
    texts = [text for group in html.texts.values() for text in group]
    assert "script" not in html.tags
    assert html.tags.count("img") == 1
    assert [source[:22] for source in html.sources] == ["data:image/png;base64,"]
    assert "http" not in page.replace("http-equiv", "")
    assert any(HOSTILE in text for text in texts)
    assert any("<img src=x> & $a_b$" in text for text in texts)
    assert html.tags.count("tr") >= 1 + len(comparison.records)


def test_plot_opens_and_is_as_high_as_it_has_rows(comparison):
    image = pytest.importorskip("matplotlib.image")
    pixels = image.imread(io.BytesIO(draw(comparison)), format="png")
    assert pixels.shape[1] == 1800
    assert pixels.shape[0] == pytest.approx(150 * (1.55 + 0.36 * 7), abs=2)
    assert pixels[..., :3].std() > 0.1


def test_plot_of_nothing_but_failures(comparison):
    records = tuple(record for record in comparison.records if not record.is_done)
    failed = Comparison("t", "compare", comparison.sources, (), 1, None, Measured(records, ()),
                        comparison.machine)  # fmt: skip
    assert draw(failed)[:4] == b"\x89PNG"
    assert "nothing" not in table_text(failed)


def test_files_are_written_together_or_not_at_all(tmp_path, comparison):
    folder = tmp_path / "out"
    paths = write_files(folder, comparison, overwrite=False)
    assert paths == file_names(folder)
    assert [Path(path).stat().st_size > 0 for path in paths] == [True] * 4
    assert json.loads((folder / "compare.json").read_text())["command"] == "compare"
    before = {path: Path(path).stat().st_mtime_ns for path in paths}
    Path(paths[0]).unlink()
    with pytest.raises(OutputExistsError, match=r"compare\.csv"):
        write_files(folder, comparison, overwrite=False)
    assert not Path(paths[0]).exists()
    write_files(folder, comparison, overwrite=True)
    assert Path(paths[3]).stat().st_mtime_ns != before[paths[3]]
    assert len(list(folder.iterdir())) == 4


def test_without_matplotlib_nothing_is_written(tmp_path, comparison, monkeypatch):
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install matplotlib"):
        write_files(tmp_path / "out", comparison, overwrite=False)
    assert not (tmp_path / "out").exists()
