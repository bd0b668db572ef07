"""Files beyond the limits of 32 bits: 4 GiB of bytes, 2**31 voxels."""

import subprocess
import sys
import zlib

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import nifti_bytes

GRID = (128, 128, 128)
N_VOLUMES = 1100
PIECE = 64 << 20

pytestmark = [pytest.mark.big, pytest.mark.timeout(600)]


def header():
    """Return the header of 2.3e9 voxels of two bytes, 4.6e9 bytes in all."""
    head = bytearray(nifti_bytes(np.zeros((1, 1, 1, 1), "<i2"))[:352])
    head[40:56] = np.array([4, *GRID, N_VOLUMES, 1, 1, 1], "<i2").tobytes()
    return bytes(head)


def last_volume():
    return np.random.default_rng(0).integers(0, 99, GRID).astype("<i2")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "big.nii"
    with path.open("wb") as file:
        file.write(header())
        file.seek(352 + 2 * int(np.prod(GRID)) * (N_VOLUMES - 1))
        file.write(last_volume().tobytes(order="F"))
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """One member, so that the size in its trailer wraps."""
    path = tmp_path_factory.mktemp("big") / "big.nii.gz"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    n_zeros = 2 * int(np.prod(GRID)) * (N_VOLUMES - 1)
    with path.open("wb") as file:
        file.write(packer.compress(header()))
        while n_zeros:
            file.write(packer.compress(bytes(min(PIECE, n_zeros))))
            n_zeros -= min(PIECE, n_zeros)
        file.write(packer.compress(last_volume().tobytes(order="F")) + packer.flush())
    return path


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_more_than_4_gib_decoded(request, name):
    path = request.getfixturevalue(name)
    img = lv.load(path)
    assert img.dataobj.size > 2**31
    assert img.dataobj.nbytes > 2**32
    assert np.array_equal(img.dataobj[..., -1], last_volume())
    assert not img.dataobj[..., -2].any()
    assert img.dataobj[5, 6, 7, -1] == last_volume()[5, 6, 7]
    found = np.asarray(lv.max_img(img, memory="64MiB").dataobj)
    assert np.array_equal(found, last_volume())


def test_a_stream_of_200_mb_behind_5_kb_of_image(tmp_path):
    """A bomb: data right, memory bounded, and `info --check` tells of the rest."""
    values = np.arange(2400, dtype="<i2").reshape(10, 8, 5, 6)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = packer.compress(nifti_bytes(values))
    content += b"".join(packer.compress(bytes(10 << 20)) for _ in range(20)) + packer.flush()
    (tmp_path / "bomb.nii.gz").write_bytes(content)
    with lv.peak_memory() as memory:
        assert np.array_equal(np.asarray(lv.load(tmp_path / "bomb.nii.gz").dataobj), values)
        lv.mean_img(tmp_path / "bomb.nii.gz")
    assert memory.increment < 20 << 20
    command = [sys.executable, "-m", "lazyvox", "info", "--check", "bomb.nii.gz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "(209715200 bytes) follow the voxels" in done.stderr
