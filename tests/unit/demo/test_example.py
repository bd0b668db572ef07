"""Files of examples: the run, its brain, its regions."""

import nibabel
import numpy as np

from lazyvox.demo.example import write_example


def load(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_files_are_on_one_grid_and_agree(tmp_path):
    files = write_example(tmp_path, n_volumes=3, step=4)
    run, mask, atlas = load(files.run), load(files.mask), load(files.atlas)
    assert run.shape == (*mask.shape, 3)
    assert np.array_equal(mask != 0, atlas != 0)
    assert np.array_equal(run[..., 0] != 0, mask != 0)
    for path in files.regions:
        (label,) = np.unique(atlas[load(path) != 0])
        assert f"region{label:02d}" in path
    assert len({*files.regions}) == 6


def test_seed_decides_the_values(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        write_example(tmp_path / name, n_volumes=2, step=4, seed=seed)
    first, same, other = (load(tmp_path / name / "run.nii.gz") for name in "abc")
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
