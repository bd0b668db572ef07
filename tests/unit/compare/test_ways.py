"""Ways of a comparison, and their choice."""

import importlib

import pytest

from lazyvox.compare.ways import CONCAT, EXTRACT, LOAD, MEAN, choose_ways, missing_packages
from lazyvox.errors import ParameterError

ALL = (*EXTRACT, *LOAD, *MEAN, *CONCAT)


@pytest.mark.parametrize("way", ALL, ids=lambda way: f"{way.module}-{way.name}")
def test_every_way_has_its_program(way):
    module = importlib.import_module(f"lazyvox.compare.programs.{way.module}")
    assert callable(getattr(module, way.function))
    assert callable(module.summarise)


@pytest.mark.parametrize(
    "ways", [EXTRACT, LOAD, MEAN, CONCAT], ids=["extract", "load", "mean", "concat"]
)
def test_names_are_unique(ways):
    assert len({way.name for way in ways}) == len(ways)


def test_names_and_packages_choose():
    names = [way.name for way in choose_ways(EXTRACT, [" NumPy", "lazyvox-one-pass", ""])]
    assert names == [
        "numpy-one-process",
        "numpy-paths",
        "numpy-memory",
        "numpy-shared",
        "lazyvox-one-pass",
    ]
    assert choose_ways(EXTRACT, None) == EXTRACT


def test_a_misspelt_name_is_refused_with_what_it_may_be():
    with pytest.raises(
        ParameterError, match=r"no such method: 'lazyvox-sharde'. Did you mean laz"
    ):
        choose_ways(EXTRACT, ["lazyvox-sharde"])
    with pytest.raises(ParameterError, match=r"no such method: 'x'\. There are nilearn, lazyvox"):
        choose_ways(CONCAT, ["x"])
    with pytest.raises(ParameterError, match="at least one method is needed"):
        choose_ways(EXTRACT, ["", " "])


def test_missing_packages(monkeypatch):
    monkeypatch.setattr(
        "lazyvox.compare.ways.find_spec", lambda name: None if name == "joblib" else name
    )
    assert missing_packages(EXTRACT[1]) == ("joblib",)
    assert missing_packages(EXTRACT[-1]) == ()


def test_estimates_grow_with_workers_where_each_holds_all():
    paths, one_pass = EXTRACT[1], EXTRACT[-1]
    assert paths.estimate(1 << 30, 6) > 12 << 30
    assert one_pass.estimate(1 << 30, 6) < 100 << 20
