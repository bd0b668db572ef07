"""The version, the requirements and the addresses are the same wherever they are written."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import lazyvox

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPE = (ROOT / "recipe" / "meta.yaml").read_text()
#: Names on conda-forge that differ from those for pip.
CONDA_NAMES = {"isal": "python-isal", "typing-extensions": "typing_extensions"}


def section(name):
    """Return the items of a list of the recipe."""
    (found,) = re.findall(rf"(?m)^  {name}:\n((?:    .*\n)+)", RECIPE)
    return re.findall(r"(?m)^    - (.+)$", found)


def test_the_recipe_asks_for_what_the_package_asks_for():
    wanted = []
    for requirement in PROJECT["dependencies"]:
        name, bound = re.match(r"([\w.-]+)(>=[\w.]+)", requirement).groups()
        wanted.append(f"{CONDA_NAMES.get(name, name)} {bound}")
    assert section("run")[1:] == wanted
    python = re.search(r'python_min = "(.+)"', RECIPE)[1]
    assert PROJECT["requires-python"] == f">={python}"


def test_the_recipe_starts_the_program_of_the_package():
    assert re.findall(r"(?m)^    - lazyvox = (.+)$", RECIPE) == [PROJECT["scripts"]["lazyvox"]]
    assert f"summary: {PROJECT['description']}" in RECIPE


def test_versions_agree():
    assert re.search(r'version = "(.+)"', RECIPE)[1] == lazyvox.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"(?m)^version: (.+)$", citation)[1] == lazyvox.__version__


def test_addresses_are_in_the_project_file_and_the_recipe_only():
    home = PROJECT["urls"]["Homepage"]
    assert f"home: {home}" in RECIPE
    pages = [ROOT / "README.md", ROOT / "CITATION.cff", *(ROOT / "docs").glob("*.md")]
    assert [page.name for page in pages if home in page.read_text()] == []


def test_the_recipe_is_yaml_once_its_template_is_filled():
    jinja2 = pytest.importorskip("jinja2", reason="jinja2 fills the template")
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the recipe")
    recipe = yaml.safe_load(jinja2.Template(RECIPE).render(PYTHON="python"))
    assert list(recipe) == [
        "package", "source", "build", "requirements", "test", "about", "extra"
    ]  # fmt: skip
    assert recipe["package"] == {"name": "lazyvox", "version": lazyvox.__version__}


def test_every_file_of_the_repository_has_a_name_that_any_system_takes():
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")[:-1]
    assert listed
    assert [name for name in listed if not re.fullmatch(r"[\w./+-]+", name, re.ASCII)] == []
