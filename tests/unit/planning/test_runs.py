"""Byte ranges that are read, and the rule by which neighbours are merged."""

import numpy as np
import pytest

from lazyvox.planning.runs import ascending, plan_runs
from lazyvox.planning.spec import ArraySpec

SPEC = ArraySpec((10, 20, 30), np.dtype("<i2"), 100)


def runs(axes, *, spec=SPEC, gap=0, largest=1 << 20, cut_dense=False):
    ordered = tuple(axis if isinstance(axis, int) else ascending(axis) for axis in axes)
    planned = plan_runs(
        ordered, spec, max_gap_bytes=gap, max_run_bytes=largest, cut_dense=cut_dense
    )
    return [(run.offset, run.nbytes, run.is_dense) for run in planned]


FULL = (range(10), range(20), range(30))


def test_the_whole_array_is_one_dense_run():
    assert runs(FULL) == [(100, 12_000, True)]


def test_neighbouring_volumes_are_one_dense_run():
    assert runs((*FULL[:2], range(3, 7))) == [(100 + 3 * 400, 4 * 400, True)]
    assert runs((*FULL[:2], range(6, 2, -1))) == [(100 + 3 * 400, 4 * 400, True)]


def test_gaps_up_to_the_largest_are_read_through():
    axes = (range(4), 5, 6)
    assert runs((range(4), range(2), 6), gap=11) == [
        (100 + 2 * (6 * 200), 8, True),
        (100 + 2 * (6 * 200 + 10), 8, True),
    ]
    assert runs((range(4), range(2), 6), gap=12) == [(100 + 2 * (6 * 200), 28, False)]
    assert runs(axes) == [(100 + 2 * (5 * 10 + 6 * 200), 8, True)]


def test_ranges_that_need_scratch_memory_are_cut():
    planned = runs((range(0, 10, 2), *FULL[1:]), gap=100, largest=1000)
    assert all(nbytes <= 1000 for _, nbytes, _ in planned)
    assert planned[0][0] == 100
    assert planned[-1][0] + planned[-1][1] == SPEC.end - 2
    starts = [offset for offset, _, _ in planned]
    assert starts == sorted(starts)


def test_dense_ranges_are_cut_only_where_asked():
    assert runs(FULL, largest=1000) == [(100, 12_000, True)]
    cut = runs(FULL, largest=1000, cut_dense=True)
    assert sum(nbytes for _, nbytes, _ in cut) == 12_000
    assert max(nbytes for _, nbytes, _ in cut) <= 1000


def test_no_value_no_run():
    assert runs((range(10), range(0), range(30))) == []
    assert runs(((), *FULL[1:])) == []


def test_one_value_is_one_run_of_its_size():
    assert runs((9, 19, 29)) == [(SPEC.end - 2, 2, True)]


def test_offsets_beyond_64_bits_are_exact():
    spec = ArraySpec((1 << 40, 1 << 40), np.dtype("<i8"), 352)
    assert runs(((1 << 40) - 1, (1 << 40) - 1), spec=spec) == [(spec.end - 8, 8, True)]


@pytest.mark.parametrize("gap", [0, 7, 64, 399, 10_000])
@pytest.mark.parametrize("largest", [16, 300, 5000])
def test_runs_hold_every_value_once_and_never_overlap(gap, largest):
    rng = np.random.default_rng(gap + largest)
    for _ in range(30):
        axes = tuple(
            sorted(rng.choice(n, rng.integers(1, 6), replace=False).tolist()) for n in SPEC.shape
        )
        wanted = np.zeros(SPEC.shape, bool)
        wanted[np.ix_(*axes)] = True
        covered = np.zeros(SPEC.n_values, int)
        for offset, nbytes, _ in runs(tuple(map(tuple, axes)), gap=gap, largest=largest):
            covered[(offset - 100) // 2 : (offset - 100 + nbytes) // 2] += 1
        assert covered.max() == 1
        assert np.all(covered[wanted.ravel(order="F")] == 1)
