"""Exports of `import lazyvox`, and the cost of importing it."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import lazyvox

ROOT = Path(__file__).resolve().parents[2]
EXPORTED = sorted(lazyvox.__all__)
CHECKS = {"GL03", "GL08", "GL10", "SS03", "SS04", "PR01", "PR02", "PR03", "PR05", "PR06", "PR07"}
CHECKS |= {"RT01", "RT03"}
HEAVY = (
    "dask",
    "hypothesis",
    "matplotlib",
    "nilearn",
    "pandas",
    "psutil",
    "pyarrow",
    "pytest",
    "sklearn",
    "tqdm",
    "xarray",
    "zarr",
)


def documented_names():
    """Every exported function and class, and the public methods that a class itself defines."""
    for name in EXPORTED:
        exported = getattr(lazyvox, name, None)
        if not (inspect.isclass(exported) or inspect.isfunction(exported)):
            continue
        yield f"{exported.__module__}.{exported.__qualname__}"
        if inspect.isclass(exported):
            for method, value in vars(exported).items():
                if inspect.isfunction(value) and is_documented_here(exported, method):
                    yield f"{exported.__module__}.{exported.__qualname__}.{method}"


def is_documented_here(exported, method):
    """Return whether a method is public, and no base class documents it already."""
    inherited = any(hasattr(base, method) for base in exported.__mro__[1:])
    return not method.startswith("_") and not inherited


def test_all_is_sorted_and_without_repetition():
    assert list(lazyvox.__all__) == sorted(set(lazyvox.__all__))


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_name_exists(name):
    assert hasattr(lazyvox, name)


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_class_or_function_says_what_it_is(name):
    exported = getattr(lazyvox, name)
    if inspect.isclass(exported) or callable(exported):
        # A class without a docstring would inherit one about something else.
        assert exported.__doc__, f"lazyvox.{name} has no docstring"
        assert exported.__doc__.strip()


@pytest.mark.parametrize("name", list(documented_names()))
def test_docstring_describes_every_parameter_and_result(name):
    checks = CHECKS - {"PR01", "PR02"} if describes_parameters_elsewhere(name) else CHECKS
    problems = [f"{code}: {text}" for code, text in validate(name)["errors"] if code in checks]
    assert problems == []


def describes_parameters_elsewhere(name):
    """Return whether a class has the constructor of its base, or is a dataclass."""
    exported = getattr(lazyvox, name.rpartition(".")[2], None)
    if not inspect.isclass(exported):
        return False
    if dataclasses.is_dataclass(exported):
        text = inspect.getdoc(exported)
        names = [field.name for field in dataclasses.fields(exported)]
        return all(name in text for name in names if not name.startswith("_"))
    return "__init__" not in vars(exported)


def test_import_loads_nothing_heavy():
    code = "import sys, lazyvox; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = done.stdout.split()
    heavy = [name for name in loaded if name.split(".")[0] in HEAVY]
    # nibabel itself imports the bare package, which costs next to nothing.
    heavy += [name for name in loaded if re.fullmatch(r"scipy\.(?!version|__config__|_).*", name)]
    assert heavy == []


def test_version_is_the_same_everywhere():
    assert lazyvox.__version__ == re.search(
        r"(?m)^version: (.+)$", (ROOT / "CITATION.cff").read_text()
    ).group(1)
    assert f"## {lazyvox.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_types_are_shipped():
    assert Path(lazyvox.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize("name", ["extract", "load", "mean_img", "histogram"])
def test_signature_that_help_shows_can_be_read(name):
    shown = str(inspect.signature(getattr(lazyvox, name)))
    assert "numpy._typing" not in shown
    assert "collections.abc" not in shown
