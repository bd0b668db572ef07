"""Arrays whose volumes are computed when they are read."""

import pickle
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.transformed import staged, staging_of
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.stream.transformed_consumers import Through


@dataclass(frozen=True)
class Weighted:
    """Half of the first source, every second voxel of it, plus the other sources."""

    name = "weighted"

    def out_shape(self, shapes):
        return (shapes[0][0] // 2, *shapes[0][1:])

    def out_dtype(self, dtypes):
        return np.dtype(np.float32)

    def work_bytes(self, shapes, dtypes):
        return 4 * int(np.prod(shapes[0]))

    def apply(self, blocks, out):
        first, *others = blocks
        out[...] = first[: out.shape[0] * 2 : 2] / 2
        for other in others:
            out += other


@pytest.fixture
def run_path(tmp_path):
    rng = np.random.default_rng(3)
    values = rng.integers(-99, 99, (6, 5, 4, 23)).astype(np.int16)
    path = tmp_path / "run.nii.gz"
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), path)
    return path


@pytest.fixture
def run(run_path):
    return lazy_dataobj(lv.load(run_path))


@pytest.fixture
def offset():
    return in_memory_array(np.arange(60.0).reshape(3, 5, 4), "offset")


def expected_of(run, offset):
    return (run.read()[::2] / 2 + offset.read()[..., None]).astype(np.float32)


KEYS = [
    (...,),
    (..., 3),
    (..., slice(20, 4, -3)),
    (..., [7, 1, 1, 22]),
    (1, 2, 3),
    (slice(None, None, -1), 2, slice(1, 3), slice(5, 9)),
    (slice(None), slice(None), slice(0, 2), 4),
    ([2, 0], slice(None), 1),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_slices_are_numpys(run, offset, key):
    array = staged(Weighted(), run, offset)
    np.testing.assert_array_equal(array[key], expected_of(run, offset)[key])


def test_a_3d_source_gives_a_3d_array(run, offset):
    array = staged(Weighted(), run.view((..., 5)), offset)
    assert array.shape == (3, 5, 4)
    np.testing.assert_array_equal(np.asarray(array), expected_of(run, offset)[..., 5])


def test_stages_stack(run, offset):
    twice = staged(Weighted(), staged(Weighted(), run, offset))
    np.testing.assert_array_equal(twice.read(), expected_of(run, offset)[:2:2] / 2)
    assert twice.reader.session_bytes > staged(Weighted(), run, offset).reader.session_bytes > 0


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_scan_and_a_file_hold_the_same_values(run_path, offset, tmp_path, n_jobs):
    img = lv.load(run_path)
    array = staged(Weighted(), lazy_dataobj(img), offset)
    derived = image_like(img, array, img.affine, is_new_kind=True)
    assert staging_of(array.view((..., slice(2, 9)))) is not None
    scan = lv.Scan(derived, volumes=[0, 3, 4, 22])
    total, shown = scan.add(lv.Sum()), scan.add(lv.Max())
    scan.run(n_jobs=n_jobs)
    expected = expected_of(lazy_dataobj(img), offset)
    picked = expected[..., [0, 3, 4, 22]]
    np.testing.assert_allclose(total.result().get_fdata(), picked.sum(-1), rtol=1e-6)
    np.testing.assert_array_equal(shown.result().get_fdata(), picked.max(-1))
    lv.save(derived, tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(nib.load(tmp_path / "out.nii.gz").get_fdata(), expected)


def test_an_image_pickles_and_says_what_it_is(run_path, offset):
    img = lv.load(run_path)
    derived = image_like(
        img, staged(Weighted(), lazy_dataobj(img), offset), img.affine, is_new_kind=True
    )
    again = pickle.loads(pickle.dumps(derived))
    np.testing.assert_array_equal(again.get_fdata(), derived.get_fdata())
    assert "(3, 5, 4, 23)" in repr(again)


def test_consumers_behind_a_transform_share_the_pass_of_others(run_path):
    scan = lv.Scan(run_path)
    plain = scan.add(lv.Mean())
    both = scan.add(Through(Weighted(), [lv.Mean(), lv.Max()]))
    scan.run()
    values = nib.load(run_path).get_fdata()
    np.testing.assert_allclose(plain.result().get_fdata(), values.mean(-1), atol=1e-5)
    mean, largest = both.result()
    np.testing.assert_allclose(mean.get_fdata(), values[::2].mean(-1) / 2, atol=1e-5)
    np.testing.assert_array_equal(largest.get_fdata(), values[::2].max(-1) / 2)


def test_what_needs_its_own_pass_cannot_stand_behind_a_transform(run_path):
    scan = lv.Scan(run_path)
    scan.add(Through(Weighted(), [lv.Histogram()]))
    with pytest.raises(lv.ParameterError, match="needs a pass before the one that it shares"):
        scan.run()
