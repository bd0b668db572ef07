"""Reductions of images are lazy, NumPy's in shape and type, and share their pass."""

import pickle
import threading

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import CountingSource, image_over

GRID, N_VOLUMES = (5, 6, 7), 12
RNG = np.random.default_rng(8)
RUN = RNG.normal(900, 3, (*GRID, N_VOLUMES)).astype(np.float32)
NAMES = ["sum", "mean", "var", "std", "min", "max", "any", "all"]
AXES = [None, -1, 3, 0, (0, 1, 2), (0, 1), 2, (1, 3), (0, 1, 2, 3)]


def counted(values):
    """Return a lazy image, and the source that counts what is read of it."""
    source, img = image_over(CountingSource, values, compression="gzip")
    return img, source


def values_of(reduced):
    return np.asarray(reduced.dataobj if isinstance(reduced, lv.LazyImage) else reduced)


def assert_reduces(img, values, name, axis, **options):
    expected = np.asarray(getattr(values, name)(axis=axis, **options))
    found = getattr(img, name)(axis=axis, **options)
    array = found.dataobj if isinstance(found, lv.LazyImage) else found
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(values_of(found), expected, rtol=1e-5)
    assert values_of(found).dtype == expected.dtype


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "i8", "?"])
def test_reductions_are_numpys(name, dtype):
    values = RUN.astype(dtype)
    if dtype == "f8":
        values[0, 0] = 0
        values[1, 1, 1, 1] = np.nan
    img, _ = counted(values)
    for axis in AXES:
        assert_reduces(img, values, name, axis)
        assert_reduces(img, values, name, axis, keepdims=True)
    volume, _ = counted(values[..., 0])
    for axis in (None, -1, (0, 1), 0):
        assert_reduces(volume, values[..., 0], name, axis)


@pytest.mark.parametrize("name", ["std", "var"])
def test_degrees_of_freedom(name):
    img, _ = counted(RUN)
    for axis in (None, -1, (0, 1, 2), (2, 3)):
        assert_reduces(img, RUN, name, axis, ddof=1)
    with pytest.warns(RuntimeWarning, match="degrees of freedom"):
        assert np.isinf(values_of(getattr(img, name)(axis=-1, ddof=N_VOLUMES))).all()


def test_moments_of_values_with_a_large_mean_keep_their_digits():
    values = RUN.astype(np.float64) + 1e9
    img, _ = counted(values)
    np.testing.assert_allclose(values_of(img.std(axis=-1)), values.std(axis=-1), rtol=1e-9)
    np.testing.assert_allclose(values_of(img.var()), values.var(), rtol=1e-9)


def test_complex_values():
    values = RUN[..., :3] + 1j * RUN[..., 3:6]
    img, _ = counted(values)
    for axis in (None, -1, 0):
        assert_reduces(img, values, "mean", axis)
        assert_reduces(img, values, "sum", axis)
    with pytest.raises(TypeError, match="needs real values"):
        img.std()


def test_over_time_is_an_image_and_the_rest_are_arrays():
    img, _ = counted(RUN)
    mean = img.mean(axis=-1)
    assert isinstance(mean, lv.LazyImage)
    assert mean.shape == GRID
    assert mean.get_data_dtype() == np.float32
    assert img.mean(axis=3, keepdims=True).shape == (*GRID, 1)
    assert isinstance(img.max(axis=(0, 1, 2)), lv.LazyArray)
    assert float(img.min()) == RUN.min()
    assert int(img.sum(axis=None) > 0) == 1
    assert bool(img.all())
    assert complex(img.max()) == RUN.max()
    with pytest.raises(TypeError, match="only an array of one value"):
        float(img.max(axis=(0, 1, 2)))


def test_numpys_functions_are_the_methods():
    img, _ = counted(RUN)
    np.testing.assert_array_equal(values_of(np.max(img, axis=-1)), RUN.max(axis=-1))
    np.testing.assert_allclose(values_of(np.std(img, -1, ddof=1)), RUN.std(-1, ddof=1), rtol=1e-5)
    assert bool(np.all(img > 0))


def test_making_reductions_reads_nothing_and_reading_them_keeps_them():
    img, source = counted(RUN)
    mean = img.mean(axis=-1)
    z = (img - mean) / img.std(axis=-1)
    repr(mean), repr(z), z.slicer[..., :2], pickle.dumps(z)
    assert not source.reads
    np.asarray(mean.dataobj)
    np.asarray(mean.dataobj[2:])
    assert source.bytes_read == RUN.nbytes
    mean.uncache()
    np.asarray(mean.dataobj)
    assert source.bytes_read == 2 * RUN.nbytes


def test_a_z_score_takes_two_passes():
    img, source = counted(RUN)
    z = (img - img.mean(axis=-1)) / img.std(axis=-1)
    assert lv.plan(lv.save, z, "z.nii").passes == 2
    found = np.asarray(z.dataobj)
    assert source.bytes_read == 2 * RUN.nbytes
    expected = (RUN - RUN.mean(axis=-1, keepdims=True)) / RUN.std(axis=-1, keepdims=True)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert lv.plan(lv.save, z, "z.nii").passes == 1
    z.uncache()
    assert lv.plan(lv.save, z, "z.nii").passes == 2


def test_a_saved_and_a_scanned_z_score_take_two_passes(tmp_path):
    img, source = counted(RUN)
    z = (img - img.mean(axis=-1)) / img.std(axis=-1)
    lv.save(z, tmp_path / "z.nii")
    assert source.bytes_read == 2 * RUN.nbytes
    img, source = counted(RUN)
    z = (img - img.mean(axis=-1)) / img.std(axis=-1)
    mean = lv.mean_img(z)
    assert source.bytes_read == 2 * RUN.nbytes
    np.testing.assert_allclose(np.asarray(mean.dataobj), 0, atol=1e-3)


def test_reductions_of_reductions_share_passes_level_by_level():
    img, source = counted(RUN)
    centred = img - img.mean(axis=-1)
    scaled = centred / centred.std() + img.max()
    found = np.asarray(scaled.dataobj)
    # Mean and maximum of the run; the spread of what is centred; the result.
    assert source.bytes_read == 3 * RUN.nbytes
    flat = RUN - RUN.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(found, flat / flat.std() + RUN.max(), rtol=1e-5)


def test_reductions_over_space_are_rows_over_time():
    img, _ = counted(RUN)
    found = np.asarray((img - img.mean(axis=(0, 1, 2))).dataobj)
    np.testing.assert_allclose(found, RUN - RUN.mean(axis=(0, 1, 2)), atol=1e-3)
    assert isinstance(img.mean() - img, lv.LazyImage)
    twice = 2 * img.mean() + 1
    assert twice.shape == ()
    np.testing.assert_allclose(float(twice), 2 * RUN.mean() + 1, rtol=1e-6)


def test_values_do_not_depend_on_blocks(monkeypatch):
    from lazyvox.planning import blocks

    found = []
    for block_bytes in (1, 3000, 1 << 22):
        monkeypatch.setattr(blocks, "TARGET_BLOCK_BYTES", block_bytes)
        img, _ = counted(RUN)
        found.append([values_of(getattr(img, name)(axis=a)) for name in NAMES for a in AXES])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_wrong_arguments_are_refused():
    img, _ = counted(RUN)
    with pytest.raises(lv.ParameterError, match="`axis` must be None, an axis"):
        img.mean(axis=4)
    with pytest.raises(lv.ParameterError, match="different axes"):
        img.mean(axis=(0, 0))
    with pytest.raises(lv.ParameterError, match="`ddof` must be an integer"):
        img.std(ddof=-1)
    with pytest.raises(TypeError, match="dtype"):
        np.mean(img, dtype=np.int16)


def test_pickles_hold_no_values():
    values = RNG.normal(size=(20, 20, 20, 3)).astype(np.float32)
    img = nib.Nifti1Image(values, np.eye(4))
    lazy, _ = counted(values)
    mean = lazy.mean(axis=-1)
    np.asarray(mean.dataobj)
    # The test's source holds the run itself.
    assert len(pickle.dumps(mean)) < values.nbytes + 8000
    np.testing.assert_array_equal(values_of(pickle.loads(pickle.dumps(mean))), values_of(mean))
    assert img.shape == lazy.shape


def test_many_threads_get_the_same_values():
    img, source = counted(RUN)
    z = (img - img.mean(axis=-1)) / img.std(axis=-1)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(np.asarray(z.dataobj))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])
    assert source.bytes_read == 9 * RUN.nbytes
