"""Arithmetic with images gives lazy images with NumPy's values and types."""

import operator
import pickle
import unittest.mock

import nibabel as nib
import nilearn.maskers
import numpy as np
import pytest
import sklearn.base

import lazyvox as lv
import lazyvox.maskers

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])
GRID, N_VOLUMES = (5, 6, 7), 8
RNG = np.random.default_rng(5)
RUN = RNG.normal(scale=3, size=(*GRID, N_VOLUMES)).astype(np.float32)
COUNTS = RNG.integers(1, 90, (*GRID, N_VOLUMES)).astype(np.int16)
VOLUME = RNG.integers(1, 9, GRID).astype(np.uint8)
ROW = np.arange(1.0, N_VOLUMES + 1)


@pytest.fixture
def files(tmp_path):
    for name, values in {"run": RUN, "counts": COUNTS, "volume": VOLUME}.items():
        nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / f"{name}.nii.gz")
    return tmp_path


@pytest.fixture
def run(files):
    return lv.load(files / "run.nii.gz")


@pytest.fixture
def counts(files):
    return lv.load(files / "counts.nii.gz")


@pytest.fixture
def volume(files):
    return lv.load(files / "volume.nii.gz")


def assert_is(img, expected):
    assert isinstance(img, lv.LazyImage)
    assert isinstance(img.dataobj, lv.LazyArray)
    assert img.shape == expected.shape
    assert img.dataobj.dtype == expected.dtype
    values = np.asarray(img.dataobj)
    assert values.dtype == expected.dtype
    np.testing.assert_array_equal(values, expected)


BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("function", BINARY)
def test_operators_with_every_operand(function, run, counts, volume, files):
    plain = nib.load(files / "counts.nii.gz")
    each = VOLUME[..., None]
    assert_is(function(run, counts), function(RUN, COUNTS))
    assert_is(function(counts, volume), function(COUNTS, each))
    assert_is(function(volume, counts), function(each, COUNTS))
    assert_is(function(run, 2), function(RUN, 2))
    assert_is(function(2.5, counts), function(2.5, COUNTS))
    assert_is(function(run, np.float64(2)), function(RUN, np.float64(2)))
    assert_is(function(np.float64(2), run), function(np.float64(2), RUN))
    assert_is(function(counts, VOLUME), function(COUNTS, each))
    assert_is(function(VOLUME, counts), function(each, COUNTS))
    assert_is(function(run, ROW), function(RUN, ROW))
    assert_is(function(ROW, run), function(ROW, RUN))
    assert_is(function(run, plain), function(RUN, COUNTS))
    assert_is(function(plain, run), function(COUNTS, RUN))
    assert_is(function(volume, COUNTS), function(each, COUNTS))
    assert_is(function(run, counts.dataobj), function(RUN, COUNTS))


def test_powers_and_bits(run, counts, volume):
    assert_is(counts**2, COUNTS**2)
    assert_is(2**volume, 2**VOLUME)
    assert_is((run > 0) & ~(counts > 40) | (run < -2), (RUN > 0) & ~(COUNTS > 40) | (RUN < -2))
    assert_is(counts ^ 3, COUNTS ^ 3)
    assert_is(3 & volume, 3 & VOLUME)


def test_unary_operators_and_functions(run, counts):
    assert_is(-run, -RUN)
    assert_is(+counts, +COUNTS)
    assert_is(abs(run), abs(RUN))
    assert_is(np.log(counts), np.log(COUNTS))
    assert_is(np.maximum(run, counts), np.maximum(RUN, COUNTS))
    assert_is(np.isfinite(run), np.isfinite(RUN))
    assert_is(np.where(counts > 40, run, 0), np.where(COUNTS > 40, RUN, 0))
    assert_is(np.clip(run, -1, 1), np.clip(RUN, -1, 1))
    assert_is(np.clip(run, min=0), np.clip(RUN, 0, None))
    assert_is(np.clip(run, None, 1.5), np.clip(RUN, None, 1.5))
    assert_is(np.clip(run, None, None), RUN)
    assert_is(np.round(run, 1), np.round(RUN, 1))
    assert_is(np.fix(run), np.fix(RUN))
    assert_is(np.isin(counts, [3, 5, 7.5]), np.isin(COUNTS, [3, 5, 7.5]))
    assert_is(np.zeros_like(run, dtype="i2"), np.zeros_like(RUN, dtype="i2"))
    assert_is(np.full_like(counts, 7), np.full_like(COUNTS, 7))
    assert_is(abs(run) ** 0.5, abs(RUN) ** 0.5)
    assert_is(np.nan_to_num(np.sqrt(abs(run)), True, 7), np.sqrt(abs(RUN)))
    assert_is(np.add(run, 1, dtype=np.float64), np.add(RUN, 1, dtype=np.float64))


def test_sums_of_many_images(counts, volume):
    assert_is(sum([counts] * 5), sum([COUNTS] * 5))
    assert_is(sum([volume] * 3, start=np.float32(0)), sum([VOLUME] * 3, start=np.float32(0)))


def test_in_place_forms_make_new_images(run):
    changed = run
    changed += 1
    changed *= 2
    assert_is(changed, (RUN + 1) * 2)
    assert_is(run + 0, RUN)


def test_float32_stays_and_integers_wrap_as_in_numpy(run, volume):
    assert ((run - 1) * 2.5 / 3).dataobj.dtype == np.float32
    assert_is(volume * volume * 5, VOLUME * VOLUME * 5)


def test_equality_compares_voxels(run, counts, volume):
    assert_is(volume == 3, VOLUME == 3)
    assert_is(volume != VOLUME, VOLUME != VOLUME)  # noqa: PLR0124 - of elements
    assert_is(counts == volume, VOLUME[..., None] == COUNTS)
    assert_is(counts != volume, VOLUME[..., None] != COUNTS)
    assert_is(run == run, RUN == RUN)  # noqa: PLR0124 - of elements
    assert_is(nib.Nifti1Image(COUNTS, AFFINE) == volume, VOLUME[..., None] == COUNTS)
    assert_is(run * (counts == volume), RUN * (VOLUME[..., None] == COUNTS))


def test_images_that_are_compared_are_true_if_they_are_one(run, counts, volume, files):
    again = lv.load(files / "run.nii.gz")
    assert bool(run == run)  # noqa: PLR0124 - the very object
    assert not bool(run != run)  # noqa: PLR0124 - the very object
    assert not bool(run == counts)
    assert bool(run != again)
    assert (run == None) is False  # noqa: E711 - what containers do
    assert (run != None) is True  # noqa: E711 - what containers do
    assert (run == "run.nii.gz") is False
    assert [counts, run].index(run) == 1
    assert run in (None, "auto", counts, run)
    assert run not in [counts, again]
    kept = [volume, run, counts]
    kept.remove(run)
    assert kept == [volume, counts]
    assert {run: 1, counts: 2}[run] == 1
    assert len({run, run, counts}) == 2
    assert unittest.mock.call(run, img=counts) == unittest.mock.call(run, img=counts)
    assert unittest.mock.call(run) != unittest.mock.call(counts)


def test_images_on_other_grids_are_other_images(run, volume):
    moved = nib.Nifti1Image(VOLUME, np.diag([2, 3, 5, 1]))
    assert not bool(volume == moved)
    assert bool(volume != moved)
    assert volume in [moved, run.slicer[1:], volume]
    assert run.slicer[..., 1:] not in [run, moved]
    for use in (
        lambda: np.asarray(volume == moved),
        lambda: (volume == moved).dataobj,
        lambda: (volume == moved).shape,
    ):
        with pytest.raises(lv.GridMismatchError, match="must share one voxel grid"):
            use()
    with pytest.raises(TypeError, match="Incomparable"):
        run * (volume == moved)


def test_other_results_have_no_truth_value(run, volume):
    for make in (
        lambda: run > 700,
        lambda: run == 0,
        lambda: run == RUN,
        lambda: run + volume,
        lambda: run.mean(axis=-1),
        lambda: (run == volume).slicer[..., 0],
        lambda: pickle.loads(pickle.dumps(run == volume)),
    ):
        with pytest.raises(ValueError, match="truth value of an image"):
            bool(make())
    with pytest.raises(ValueError, match="truth value of an image"):
        run in (None, False)  # noqa: B015 - raises
    with pytest.raises(ValueError, match="truth value of an array"):
        bool(run.dataobj == 0)
    assert bool(run)
    assert bool(run.slicer[..., 0])
    assert bool((run > 700).any()) is bool((RUN > 700).any())
    assert bool(run.slicer[:1, :1, :1, :1] == RUN[0, 0, 0, 0]) is True
    assert bool(run.slicer[:1, :1, :1, :1] == 1e9) is False


def test_parameters_that_are_images_are_compared_copied_and_shown(volume):
    for masker in (lazyvox.maskers.NiftiMasker, nilearn.maskers.NiftiMasker):
        estimator = masker(mask_img=volume)
        assert "NiftiMasker" in estimator._repr_html_()
        assert sklearn.base.clone(estimator).get_params()["mask_img"].shape == GRID
        assert estimator.set_params(mask_img=volume).mask_img is volume


OF_ANY_OBJECT = {
    "array_equal": lambda img: (np.array_equal(img, img), np.array_equal(None, img)),
    "shape": np.shape,
    "ndim": np.ndim,
    "size": np.size,
    "full": lambda img: np.full(2, img, object)[1] is img,
    "atleast_1d": lambda img: np.atleast_1d(img)[0] is img,
    "repeat": lambda img: np.repeat(img, 3).shape,
    "tile": lambda img: np.tile(img, 3)[2] is img,
    "copy": lambda img: np.copy(img)[()] is img,
    "where": lambda img: np.where([True, False], img, None)[0] is img,
}


@pytest.mark.parametrize("call", OF_ANY_OBJECT.values(), ids=OF_ANY_OBJECT)
def test_functions_of_any_object_take_images_as_nibabels(call, run, files):
    assert call(run) == call(nib.load(files / "run.nii.gz"))


def test_header_and_affine_are_those_of_the_first_image(files):
    img = nib.Nifti1Image(COUNTS, AFFINE)
    img.header["cal_max"], img.header["descrip"] = 90, b"first"
    img.header.set_zooms((2, 3, 4, 1.5))
    img.set_sform(AFFINE, code=4)
    nib.save(img, files / "first.nii")
    result = lv.load(files / "run.nii.gz").slicer[..., :1] * 0 + lv.load(files / "first.nii")
    assert result.header["descrip"] != b"first"
    result = lv.load(files / "first.nii") / lv.load(files / "run.nii.gz")
    assert type(result) is type(lv.load(files / "first.nii"))
    assert result.header["descrip"] == b"first"
    assert result.header.get_zooms()[3] == 1.5
    assert int(result.header["sform_code"]) == 4
    assert float(result.header["cal_max"]) == 0
    assert result.get_data_dtype() == np.float32
    np.testing.assert_array_equal(result.affine, AFFINE)


def test_a_format_that_cannot_hold_the_result_becomes_nifti(tmp_path):
    nib.save(nib.MGHImage(VOLUME, AFFINE), tmp_path / "a.mgz")
    img = lv.load(tmp_path / "a.mgz")
    assert isinstance(img + img, nib.MGHImage)
    assert isinstance(img / 2, nib.Nifti1Image)
    assert_is(img / 2, VOLUME / 2)


def test_other_grids_are_refused(run, counts):
    moved = nib.Nifti1Image(COUNTS, np.diag([2, 3, 5, 1]))
    with pytest.raises(lv.GridMismatchError, match="must share one voxel grid") as found:
        run + moved
    for part in ("run.nii.gz", str(GRID), "[0.0, 0.0, 5.0, 0.0]", "6 mm apart"):
        assert part in str(found.value)
    with pytest.raises(lv.GridMismatchError, match="must share one voxel grid"):
        run + run.slicer[1:]
    with pytest.raises(lv.GridMismatchError, match="must broadcast to volumes of the shape"):
        run + counts.slicer[..., 1:]


def test_arrays_that_do_not_broadcast_are_refused(run, volume):
    with pytest.raises(lv.ParameterError, match=r"Got shapes \(5, 6, 7, 8\) and \(3,\)"):
        run + np.zeros(3)
    with pytest.raises(lv.ParameterError, match="as NumPy broadcasts"):
        run + np.zeros((2, *GRID, N_VOLUMES))
    with pytest.raises(lv.ParameterError, match="must broadcast to volumes"):
        volume + np.zeros((N_VOLUMES, 6, 7))


def test_types_that_numpy_cannot_combine_are_refused(run, volume):
    with pytest.raises(TypeError, match="types of its operands, float32"):
        ~run  # noqa: B018 - raises
    with pytest.raises(TypeError, match="unsupported operand"):
        run + "1"
    with pytest.raises(OverflowError, match="300"):
        volume + 300


def test_other_functions_are_refused(run):
    for call in (
        lambda: np.cumsum(run),
        lambda: np.add.reduce(run),
        lambda: np.modf(run),
        lambda: np.matmul(run, run),
        lambda: np.stack([run, run]),
        lambda: np.where(run),
    ):
        with pytest.raises(TypeError, match=r"np.asarray\(img.dataobj\)"):
            call()
    with pytest.raises(lv.ParameterError, match="median is taken over time"):
        np.median(run)
    with pytest.raises(TypeError, match="must be left out"):
        np.add(run, 1, out=np.zeros_like(RUN))
    with pytest.raises(TypeError, match="must be left out"):
        np.add(run, 1, where=RUN > 0)
    values = RUN.copy()
    with pytest.raises(TypeError, match="must be left out"):
        values += run
    np.testing.assert_array_equal(values, RUN)


def test_options_have_one_value_or_are_operands(run, volume):
    near = np.zeros(GRID)
    far = near.copy()
    far[2:] = 3
    expected = np.isclose(VOLUME, 5, atol=near) | np.isclose(VOLUME, 5, atol=far)
    either = np.isclose(volume, 5, atol=near) | np.isclose(volume, 5, atol=far)
    assert_is(either, expected)
    assert_is(either.slicer[2:, ::2], expected[2:, ::2])
    assert_is(np.isclose(run, 0, 1e-3, far), np.isclose(RUN, 0, 1e-3, far[..., None]))
    gaps = np.where(abs(run) > 2, np.nan, run)
    plain = np.where(abs(RUN) > 2, np.float32(np.nan), RUN)
    filled = np.nan_to_num(gaps, nan=volume, posinf=ROW)
    assert_is(filled, np.nan_to_num(plain, nan=np.broadcast_to(VOLUME[..., None], RUN.shape)))
    assert_is(filled.slicer[1:3, :, 2:3, 4:6], np.asarray(filled.dataobj)[1:3, :, 2:3, 4:6])
    with pytest.raises(TypeError, match="`decimals` of round must be one value"):
        np.round(run, np.ones(GRID, int))
    with pytest.raises(TypeError, match=r"numpy.zeros_like .* takes a, dtype. Got shape"):
        np.zeros_like(run, shape=(2, 2))
    with pytest.raises(TypeError, match=r"numpy.clip .* Got 4 arguments"):
        np.clip(run, 0, 1, np.zeros(GRID))


def test_results_do_not_follow_arrays(run):
    weights = ROW.copy()
    once = run * weights
    weights[:] = 5
    twice = once + weights
    weights[:] = -1
    assert_is(once, RUN * ROW)
    assert_is(twice, RUN * ROW + np.full_like(ROW, 5))
    assert_is(run * weights + weights, RUN * weights + weights)
    assert len((run * weights + weights).dataobj.reader.sources) == 2


def test_functions_of_dataobjs_are_those_of_nibabels_proxies(run, volume):
    total = np.zeros(run.shape)
    total += run.dataobj
    np.testing.assert_array_equal(total, RUN.astype(np.float64))
    buffer = np.zeros(run.shape, np.float32)
    assert np.add(run.dataobj, 1, out=buffer) is buffer
    np.testing.assert_array_equal(buffer, RUN + np.float32(1))
    np.testing.assert_array_equal(np.matmul(run.dataobj, ROW), RUN @ ROW)
    assert np.ptp(run.dataobj) == np.ptp(RUN)
    assert np.maximum.reduce(run.dataobj, axis=None) == RUN.max()
    for made, expected in (
        (np.nan_to_num(run.dataobj), RUN),
        (np.clip(run.dataobj, 0, 1), RUN.clip(0, 1)),
        (np.round(run.dataobj), RUN.round()),
        (np.abs(run.dataobj), abs(RUN)),
        (ROW * run.dataobj, ROW * RUN),
    ):
        assert type(made) is np.ndarray
        np.testing.assert_array_equal(made, expected)
        made[made > 1] = 0
    assert_is(np.where(run.dataobj > 0, volume, run), np.where(RUN > 0, VOLUME[..., None], RUN))
    assert isinstance(run.dataobj * ROW, lv.LazyArray)


def test_images_of_other_dimensions_are_refused(run):
    with pytest.raises(lv.ParameterError, match="must be 3D or 4D"):
        run + nib.Nifti1Image(np.zeros((*GRID, 2, 2), np.float32), AFFINE)


def test_slices_of_results_are_slices_of_the_values(run, volume):
    result = (run * volume).slicer[1:4, ::2, 2:, 3]
    expected = (RUN * VOLUME[..., None])[1:4, ::2, 2:, 3]
    assert_is(result, expected)
    np.testing.assert_array_equal(result.affine, run.slicer[1:4, ::2, 2:].affine)
    np.testing.assert_array_equal(
        (volume + 1).dataobj[::-1, 2, [5, 0]], (VOLUME + 1)[::-1, 2, [5, 0]]
    )


def test_results_are_sources_of_scans_saves_and_regions(run, volume, tmp_path):
    scan = lv.Scan(run * 2 > volume)
    mean, most = scan.add(lv.Mean()), scan.add(lv.Max())
    scan.run()
    expected = VOLUME[..., None] < RUN * 2
    np.testing.assert_allclose(np.asarray(mean.result().dataobj), expected.mean(axis=-1))
    np.testing.assert_array_equal(np.asarray(most.result().dataobj), expected.max(axis=-1))
    signals = lv.extract(run - volume, volume > 4)
    np.testing.assert_array_equal(signals.values, (RUN - VOLUME[..., None])[VOLUME > 4].T)
    lv.save(run > volume, tmp_path / "mask.nii.gz")
    saved = nib.load(tmp_path / "mask.nii.gz")
    assert saved.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(saved.dataobj), VOLUME[..., None] < RUN)
    lv.save(run / volume, tmp_path / "ratio.nii")
    saved = nib.load(tmp_path / "ratio.nii")
    assert saved.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(saved.dataobj), RUN / VOLUME[..., None])


def test_pickles_describe_the_expression(run, volume):
    result = (run + volume) / 2
    copy = pickle.loads(pickle.dumps(result))
    assert len(pickle.dumps(result)) < 8000
    assert_is(copy, (RUN + VOLUME[..., None]) / 2)
    assert_is(result, (RUN + VOLUME[..., None]) / 2)


@pytest.mark.parametrize("axes", [3, 4])
def test_warnings_are_those_of_who_reads(axes, run, volume, tmp_path):
    zero = (run if axes == 4 else volume) * 0
    ratio = zero / zero
    with np.errstate(all="ignore"):
        assert np.isnan(np.asarray(ratio.dataobj)).all()
        lv.save(ratio, tmp_path / "ratio.nii")
    with pytest.warns(RuntimeWarning, match="invalid value"):
        np.asarray(ratio.dataobj)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="invalid value"):
        np.asarray(ratio.dataobj)


def test_explanations(run, counts, volume):
    text = lv.explain((run - run.mean(axis=-1)) / run.std(axis=-1))
    for part in (
        "before     one pass over run.nii.gz: mean, std",
        "passes     2",
        "subtract(0, 1)",
    ):
        assert part in text
    text = lv.explain(sum([volume + i for i in range(90)]))
    assert "more" in text
    assert len(text.splitlines()) < 60
    assert "counts.nii.gz" in lv.explain(counts)
    assert "(add) of run.nii.gz" in lv.explain((run + 1).slicer[1:].dataobj + 1)
    with pytest.raises(TypeError, match="must be an image or a lazy array"):
        lv.explain("run.nii.gz")


PARTS_OF_ONE_FILE = {
    "two volumes": (
        lambda run, _: run.slicer[..., 5] - run.slicer[..., 1],
        RUN[..., 5] - RUN[..., 1],
    ),
    "its largest value first": (lambda _, volume: volume.max() - volume, VOLUME.max() - VOLUME),
    "two reductions": (
        lambda _, volume: (volume.max() - volume) / (volume.max() - volume.min()),
        (VOLUME.max() - VOLUME) / (VOLUME.max() - VOLUME.min()),
    ),
    "its largest volume and its first": (
        lambda run, _: run.max(axis=-1) - run.slicer[..., 0],
        RUN.max(axis=-1) - RUN[..., 0],
    ),
    "chosen with a number between": (
        lambda run, _: np.where(run.slicer[..., 2] > 0, 2, run.slicer[..., 0]),
        np.where(RUN[..., 2] > 0, 2, RUN[..., 0]),
    ),
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("case", PARTS_OF_ONE_FILE)
def test_parts_of_one_file_are_saved_explained_and_extracted(case, ending, run, volume, tmp_path):
    make, expected = PARTS_OF_ONE_FILE[case]
    lv.save(run, tmp_path / f"a{ending}")
    lv.save(volume, tmp_path / f"b{ending}")
    img = make(lv.load(tmp_path / f"a{ending}"), lv.load(tmp_path / f"b{ending}"))
    assert "order" in lv.explain(img)
    assert_is(img, expected)
    lv.save(img, tmp_path / "out.nii")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii").dataobj), expected)
    signals = lv.extract(img, volume > 4)
    np.testing.assert_allclose(signals.values[0], expected[VOLUME > 4])
