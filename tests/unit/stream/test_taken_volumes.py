"""A consumer of some volumes beside consumers of all."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ParameterError
from lazyvox.stream.taken_volumes import TakenVolumes

KEPT = [0, 1, 4, 5, 6, 11, 20, 38, 39]


@pytest.mark.parametrize("memory", [None, 8_500_000])
def test_it_sees_what_a_scan_of_these_volumes_gives(example_folder, memory):
    scan = lv.Scan(example_folder / "run.nii.gz")
    some = scan.add(TakenVolumes(lv.Mean(), KEPT))
    every = scan.add(lv.Mean())
    assert (scan.plan(memory).block_volumes < 40) == (memory is not None)
    scan.run(memory)
    alone = lv.Scan(example_folder / "run.nii.gz", volumes=KEPT)
    wanted = alone.add(lv.Mean())
    alone.run()
    np.testing.assert_array_equal(some.result().get_fdata(), wanted.result().get_fdata())
    assert not np.array_equal(every.result().get_fdata(), wanted.result().get_fdata())


def test_what_needs_a_pass_before_is_refused(example_folder):
    class Twice(lv.Consumer):
        def init(self, grid): ...
        def update(self, block, start): ...
        def merge(self, other): ...
        def finalize(self): ...
        def state_bytes(self, grid):
            return 0

        def prepass(self, grid):
            return lv.Mean()

    scan = lv.Scan(example_folder / "run.nii.gz")
    scan.add(TakenVolumes(Twice(), KEPT))
    with pytest.raises(ParameterError, match=r"Twice needs a pass before .* Scan these volumes"):
        scan.plan()
