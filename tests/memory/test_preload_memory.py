"""Sums of volumes hold two of them, and with reading ahead as many more as were asked for."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import peak_of, write_nifti

SHAPE = (128, 128, 110)
N_VOLUMES = 12
VOLUME = 4 * 128 * 128 * 110
#: Decoders, scratch and thread stacks, whatever the size of the volumes.
FIXED = 8 << 20


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(0)
    values = np.zeros(SHAPE, "<i2")
    values[40:80, 40:80, 40:80] = rng.integers(0, 900, (40, 40, 40))
    return [str(write_nifti(folder / f"{n}.nii.gz", values)) for n in range(N_VOLUMES)]


def total(files, nops, npreload):
    volumes = [lv.LazyReadData(name, nops, dtype=np.float32) for name in files]
    loop = volumes if npreload is None else lv.PreloadIterator(volumes, npreload)
    return float(sum(loop).data.dataobj.sum(dtype=float))


@pytest.mark.parametrize("nops", [1, "auto"])
@pytest.mark.parametrize("npreload", [None, 2])
def test_sum(files, nops, npreload):
    assert peak_of(total, files, nops, npreload) <= (4 + (npreload or 0)) * VOLUME + FIXED
