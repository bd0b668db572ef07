"""The documentation site: its pages, its reference, its gallery, and how it is built."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import lazyvox
from lazyvox import errors

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLES = sorted(path.name for path in (DOCS / "gallery").glob("plot_*.py"))
# Three seconds and more.
SLOW = {
    "plot_05_expressions.py",
    "plot_06_preloading.py",
    "plot_07_memory_budget.py",
    "plot_08_own_consumer.py",
    "plot_09_nilearn_side_by_side.py",
    "plot_10_random_access.py",
    "plot_13_glm.py",
}


def load_reference_pages():
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference_pages"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reference():
    yield load_reference_pages()
    del sys.modules["reference_pages"]


@pytest.fixture
def reference_folder(reference, tmp_path):
    reference.write_pages(tmp_path / "generated")
    return tmp_path / "generated"


# The gallery


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in EXAMPLES],
)
def test_example_of_gallery_runs(name, tmp_path, strict):
    done = subprocess.run(
        [sys.executable, *strict, str(DOCS / "gallery" / name)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_gallery_has_examples():
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_begins_with_a_title_and_removes_its_files(name):
    text = (DOCS / "gallery" / name).read_text()
    title, line = text.splitlines()[1:3]
    assert len(title) == len(line)
    assert set(line) == {"="}
    assert text.endswith("folder.cleanup()\n")


# The reference


def test_every_public_name_has_a_page(reference, reference_folder):
    missing = []
    for package in reference.find_packages():
        module = importlib.import_module(package.name)
        for name in module.__all__:
            if name.startswith("__") or isinstance(getattr(module, name), ModuleType):
                continue
            if not (reference_folder / f"{package.pages[name]}.rst").is_file():
                missing.append(f"{package.name}.{name}")
    assert missing == []


def test_every_public_package_has_a_page(reference, reference_folder):
    packages = {path.stem for path in (reference_folder / "packages").iterdir()}
    exported = {
        value.__name__
        for value in (getattr(lazyvox, name) for name in lazyvox.__all__)
        if isinstance(value, ModuleType)
    }
    assert (
        exported | {"lazyvox", "lazyvox.stream", "lazyvox.connectome", "lazyvox.summary"}
        <= packages
    )


def test_every_public_package_is_in_the_contents_of_the_reference(reference):
    text = (DOCS / "api" / "index.md").read_text()
    listed = re.findall(r"(?m)^generated/packages/(\S+)$", text)
    assert sorted(listed) == sorted(package.name for package in reference.find_packages())


def test_name_in_two_packages_is_documented_once(reference, reference_folder):
    pages = {package.name: package.pages for package in reference.find_packages()}
    assert pages["lazyvox.image"]["mean_img"] == "lazyvox.mean_img"
    assert pages["lazyvox.stream"]["Handle"] == "lazyvox.stream.Handle"
    assert not (reference_folder / "lazyvox.image.mean_img.rst").exists()
    page = (reference_folder / "lazyvox.mean_img.rst").read_text()
    assert "Also ``lazyvox.image.mean_img``" in page


def test_page_of_a_class_shows_what_lazyvox_defines(reference_folder):
    page = (reference_folder / "lazyvox.maskers.NiftiMasker.rst").read_text()
    assert "fit_transform" in page
    assert "transform_single_imgs" in page
    assert "set_fit_request" not in page


def test_page_of_a_name_that_is_gone_is_removed(reference, reference_folder):
    stale = reference_folder / "lazyvox.gone.rst"
    stale.write_text("gone")
    kept = (reference_folder / "lazyvox.load.rst").stat().st_mtime_ns
    reference.write_pages(reference_folder)
    assert not stale.exists()
    assert (reference_folder / "lazyvox.load.rst").stat().st_mtime_ns == kept


# The guide


def guide_pages():
    return {path.stem: path.read_text() for path in (DOCS / "guide").glob("*.md")}


def test_every_page_of_the_guide_is_in_its_contents():
    pages = guide_pages()
    listed = re.findall(r"(?m)^([\w-]+)$", pages.pop("index"))
    assert sorted(listed) == sorted(pages)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_explained(name):
    page = guide_pages()["errors"]
    (section,) = re.findall(rf"(?ms)^## {name}$(.*?)(?=^## |\Z)", page)
    if name in {"LazyvoxError", "LazyvoxWarning", "ImageFileError"}:
        assert "```python" in section
    else:
        # A message that the example raises is compared, see test_docs.py.
        assert f"lazyvox.errors.{name}: " in section


def test_every_drawing_is_shown_with_a_description():
    shown = set()
    for text in guide_pages().values():
        shown |= set(re.findall(r"!\[[^\]]{20,}\]\(\.\./drawings/([\w-]+\.svg)\)", text))
    assert shown == {path.name for path in (DOCS / "drawings").iterdir()}


# The build


class Assets(HTMLParser):
    """Addresses of what a browser fetches for a page; links are not among them."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "video"}:
            self.addresses.append(found.get("src") or "")
        elif tag == "link" and found.get("rel") != "canonical":
            self.addresses.append(found.get("href") or "")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_site_builds_without_warnings_and_fetches_nothing(tmp_path):
    pytest.importorskip("sphinx", reason="the site needs the extra `docs`")
    pytest.importorskip("myst_parser", reason="the site needs the extra `docs`")
    pytest.importorskip("sphinx_gallery", reason="the site needs the extra `docs`")
    generated = shutil.ignore_patterns("_build", "examples", "generated")
    source = shutil.copytree(DOCS, tmp_path / "docs", ignore=generated)
    target = tmp_path / "html"
    # One example stands for all of them: each has a test of its own.
    options = ["-D", r"sphinx_gallery_conf.filename_pattern=/plot_08"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", *options, source, target],
        check=False,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    fetched = set()
    for page in target.rglob("*.html"):
        parser = Assets()
        parser.feed(page.read_text(encoding="utf-8"))
        fetched |= {address for address in parser.addresses if "//" in address}
    assert fetched == set()
    assert (target / "api" / "generated" / "lazyvox.load.html").is_file()
    assert (target / "examples" / "plot_08_own_consumer.html").is_file()


# The table of the comparison


@pytest.fixture
def comparison_table():
    spec = importlib.util.spec_from_file_location("comparison_table", DOCS / "comparison_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_without_a_comparison_says_so(comparison_table, tmp_path):
    comparison_table.write_table(tmp_path / "measured")
    text = (tmp_path / "measured" / "compare.md").read_text()
    assert "No result of `lazyvox compare`" in text


def test_comparison_becomes_a_table(comparison_table, tmp_path):
    known = {"method": "one pass", "input": "path", "status": "done", "seconds": 2.14}
    known |= {"cpu_seconds": 3.0, "peak_mib": 66.4, "bytes_read": 2**21, "agrees": True}
    missing = dict.fromkeys(known) | {"method": "maskers", "input": "paths"}
    missing["status"] = "missing: nilearn | joblib"
    comparison = {
        "title": "Six masks",
        "version": "0.1",
        "n_jobs": 6,
        "machine": {"cores": 2},
        "records": [known, missing],
    }
    (tmp_path / "compare.json").write_text(json.dumps(comparison))
    comparison_table.write_table(tmp_path)
    lines = (tmp_path / "compare.md").read_text().splitlines()
    assert lines[0] == "**Six masks**, 6 workers where there are some, lazyvox 0.1"
    assert "| one pass | path | 2.1 | 3.0 | 66 | 2 | yes |" in lines
    assert "| maskers | paths | missing: nilearn / joblib | | | | |" in lines
    assert lines[-1] == "cores: 2"
