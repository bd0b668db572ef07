"""Values are compared, and those that differ are found."""

import numpy as np
import pytest

from lazyvox.compare.agreement import compare_results, judge
from lazyvox.compare.records import DONE, Record
from lazyvox.compare.ways import EXTRACT, LOAD

WAYS = {way.name: way for way in EXTRACT}

VALUES = np.random.default_rng(5).normal(100, 5, (30, 7)).astype(np.float32)


def folder_of(path, *arrays):
    path.mkdir()
    for number, values in enumerate(arrays):
        np.save(path / f"{number}.npy", values)
    return path


@pytest.mark.parametrize(
    ("other", "agrees", "remark"),
    [
        (VALUES, True, ""),
        (np.asfortranarray(VALUES).astype(np.float64), True, ""),
        (VALUES * np.float32(1 + 5e-7), True, ""),
        (VALUES * np.float32(1 + 1e-4), False, ""),
        (VALUES[::-1], False, ""),
        (VALUES[:, :6], False, "shape (30, 6) instead of (30, 7)"),
        (np.where(VALUES[3, 3] == VALUES, np.nan, VALUES), False,
         "1 values are not finite in one of both only"),
        (np.zeros_like(VALUES), False, ""),
    ],
    ids=["same", "float64", "rounded", "scaled", "turned", "narrow", "nan", "zeros"],
)  # fmt: skip
def test_one_array(tmp_path, other, agrees, remark):
    reference = folder_of(tmp_path / "reference", VALUES)
    found = compare_results(reference, folder_of(tmp_path / "other", other))
    assert (found.agrees, found.remark) == (agrees, remark)


def test_one_wrong_value_in_a_late_array_and_block_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.compare.agreement._BLOCK_VALUES", 14)
    wrong = VALUES.copy()
    wrong[29, 6] += 1
    reference = folder_of(tmp_path / "reference", VALUES, VALUES)
    assert compare_results(reference, folder_of(tmp_path / "same", VALUES, VALUES)).largest == 0
    found = compare_results(reference, folder_of(tmp_path / "wrong", VALUES, wrong))
    assert not found.agrees
    assert found.largest == pytest.approx(1 / VALUES.max(), rel=1e-6)


def test_values_that_are_not_finite_may_be_the_same(tmp_path):
    odd = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    reference = folder_of(tmp_path / "reference", odd)
    assert compare_results(reference, folder_of(tmp_path / "same", odd)).agrees
    assert not compare_results(reference, folder_of(tmp_path / "other", -odd)).agrees


def test_a_reference_of_zeros(tmp_path):
    reference = folder_of(tmp_path / "reference", np.zeros((4, 3)))
    assert compare_results(reference, folder_of(tmp_path / "same", np.zeros((4, 3)))).agrees
    found = compare_results(reference, folder_of(tmp_path / "other", np.full((4, 3), 2.0)))
    assert (found.agrees, found.largest) == (False, None)
    assert found.remark == "values up to 2 where the reference is zero"


def test_empty_results_and_results_that_are_missing(tmp_path):
    empty = np.zeros((0, 5))
    reference = folder_of(tmp_path / "reference", empty)
    assert compare_results(reference, folder_of(tmp_path / "same", empty)).agrees
    found = compare_results(reference, folder_of(tmp_path / "more", empty, empty))
    assert (found.agrees, found.remark) == (False, "2 results instead of 1")


def test_numpy_is_the_reference_and_what_failed_is_not_compared(tmp_path):
    ways = (
        WAYS["nilearn-paths"],
        WAYS["numpy-paths"],
        WAYS["lazyvox-paths"],
        WAYS["lazyvox-one-pass"],
    )
    folders = [
        folder_of(tmp_path / "0", VALUES + 1),
        folder_of(tmp_path / "1", VALUES),
        folder_of(tmp_path / "2", VALUES),
        folder_of(tmp_path / "3"),
    ]
    records = [Record(way, DONE) for way in ways[:3]] + [Record(ways[3], "failed: it")]
    judged, references = judge(records, folders)
    assert references == ["numpy-paths"]
    assert [record.agrees for record in judged] == [False, True, True, None]
    assert [record.has_failed for record in judged] == [True, False, False, True]


def test_each_group_has_its_reference_and_one_alone_has_none(tmp_path):
    ways = LOAD[:4]
    folders = [folder_of(tmp_path / way.name, np.array([float(way.copies)])) for way in ways]
    judged, references = judge([Record(way, DONE) for way in ways], folders)
    assert references == ["nibabel-open"]
    assert [record.agrees for record in judged] == [True, True, True, None]
