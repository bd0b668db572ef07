"""Masks that are computed: what nilearn cannot serve as a reference for."""

from functools import partial

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.masking import (
    MaskWarning,
    compute_background_mask,
    compute_brain_mask,
    compute_epi_mask,
    compute_multi_background_mask,
    compute_multi_brain_mask,
    compute_multi_epi_mask,
    from_template,
)
from lazyvox.masking.mean import MeanVolume
from lazyvox.masking.volumes import histogram_threshold
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.budget_shares import side_by_side
from lazyvox.testing import write_nifti
from lazyvox.testing.images import image_of as image

SHAPE = (20, 21, 18)
MNI = nib.affines.from_matvec(np.eye(3) * 4, [-95, -130, -75])


def head(shape=SHAPE):
    """Return a ball in the middle."""
    centred = [
        (index - (n - 1) / 2) / n for index, n in zip(np.indices(shape), shape, strict=True)
    ]
    return sum(one**2 for one in centred) < 0.1


def voxels_of(img):
    return np.asarray(img.dataobj).astype(bool)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2"])
def test_the_threshold_of_small_integers_does_not_overflow(dtype):
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -30000), limits.max
    values = np.where(head(), high, low).astype(dtype)
    values[0, 0, :8] = np.linspace(low, low + 8, 8).astype(dtype)
    found = compute_epi_mask(image(values), opening=False, upper_cutoff=0.99)
    np.testing.assert_array_equal(voxels_of(found), head())


def test_the_middle_of_the_widest_gap():
    values = np.array([9, 0, 0, 1, 5, 6, 0], "i2")
    assert histogram_threshold(values, 0.0, 1.0, exclude_zeros=False) == 3
    assert histogram_threshold(values, 0.5, 1.0, exclude_zeros=False) == 3
    assert histogram_threshold(values, 0.3, 1.0, exclude_zeros=True) == 7.5


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.zeros(SHAPE), {"exclude_zeros": True}),
        (np.ones(SHAPE), {"lower_cutoff": 0.5, "upper_cutoff": 0.5}),
        (np.ones(SHAPE), {"lower_cutoff": 0.9, "upper_cutoff": 0.1}),
    ],
)
def test_no_values_between_the_cutoffs(values, options):
    with pytest.raises(lv.ParameterError, match="fractions with values between them"):
        compute_epi_mask(image(values), opening=False, **options)


def test_empty_masks_are_warned_of():
    thin = np.zeros(SHAPE)
    thin[10, 10] = 1
    with pytest.warns(MaskWarning, match="empty.*detrended"):
        found = compute_epi_mask(image(thin), lower_cutoff=0.9, upper_cutoff=1.0, opening=3)
    assert not voxels_of(found).any()
    with pytest.warns(UserWarning, match="empty.*background"):
        assert not voxels_of(compute_background_mask(image(thin), opening=1)).any()
    with pytest.warns(lv.LazyvoxWarning, match="empty.*background"):
        compute_background_mask(image(np.full(SHAPE, 3.0)))


def test_a_background_of_nan():
    values = np.where(head(), 5.0, np.nan)
    np.testing.assert_array_equal(voxels_of(compute_background_mask(image(values))), head())


def test_a_background_that_float32_rounds():
    values = np.where(head()[..., None], np.float32(5), np.float32(0.1))
    values = np.broadcast_to(values, (*SHAPE, 700)).astype("f4")
    np.testing.assert_array_equal(voxels_of(compute_background_mask(image(values))), head())


def test_complex_voxels_are_refused():
    for function in (compute_epi_mask, compute_background_mask):
        with pytest.raises(TypeError, match="real voxels"):
            function(image(np.ones(SHAPE, "c8")))


def test_the_mean_is_merged():
    values = np.asfortranarray(np.random.default_rng(0).integers(0, 99, (*SHAPE, 5)).astype("i2"))
    scan = lv.Scan(image(values))
    parts = [MeanVolume(), MeanVolume()]
    for part, volumes in zip(parts, (slice(0, 2), slice(2, 5)), strict=True):
        part.init(scan.grid)
        part.update(values[..., volumes], volumes.start)
    parts[0].merge(parts[1])
    np.testing.assert_array_equal(parts[0].finalize(), values.mean(axis=-1))


def test_slabs_give_the_same_mean(tmp_path):
    values = np.random.default_rng(0).normal(size=(64, 64, 60, 3)).astype("f4")
    img = lv.load(write_nifti(tmp_path / "run.nii", values))
    scan = lv.Scan(img)
    mean = scan.add(MeanVolume())
    needed = scan.plan("1GiB").peak_bytes - 2 * values[..., 0].nbytes
    assert scan.plan(needed).slab_slices
    scan.run(needed)
    np.testing.assert_array_equal(mean.result(), np.asfortranarray(values).mean(axis=-1))


def test_lists_are_joined_along_time():
    values = np.random.default_rng(0).normal(size=(*SHAPE, 4)) + 50 * head()[..., None]
    whole = compute_epi_mask(image(values), opening=1)
    parts = compute_epi_mask([image(values[..., i]) for i in range(4)], opening=1)
    np.testing.assert_array_equal(whole.dataobj, parts.dataobj)


def test_headers_speak_of_the_mask(tmp_path):
    img = image(np.random.default_rng(0).normal(size=(*SHAPE, 2)) + 50 * head()[..., None])
    img.header.set_xyzt_units("mm", "sec")
    mask = compute_epi_mask(img)
    assert mask.get_data_dtype() == np.uint8
    assert mask.header.get_xyzt_units()[0] == "mm"
    lv.save(mask, tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii.gz").dataobj, mask.dataobj)


def kind_of(given):
    """A name for a test that is the same in every process."""
    return type(given).__name__


@pytest.mark.parametrize(
    "given", ["run.nii", b"run.nii", image(np.ones(SHAPE)), [], (), {}, 3], ids=kind_of
)
@pytest.mark.parametrize(
    "function", [compute_multi_epi_mask, compute_multi_background_mask, compute_multi_brain_mask]
)
def test_what_is_no_list(function, given):
    with pytest.raises(TypeError, match="must be a list of at least one image"):
        function(given)


def test_side_by_side_keeps_order_and_shares_the_budget():
    with lv.memory_budget(900):
        found = side_by_side(
            [partial(lambda item, _: (item, resolve_budget(None)), item) for item in range(7)],
            None,
            3,
        )
    assert found == [(item, 300) for item in range(7)]


def test_fewer_side_by_side_where_shares_are_too_small():
    def needs_500(item, _):
        if resolve_budget(None) < 500:
            raise lv.MemoryBudgetError("too small")
        return item

    with lv.memory_budget(1000):
        assert side_by_side([partial(needs_500, item) for item in range(5)], None, 4) == list(
            range(5)
        )
    with lv.memory_budget(499), pytest.raises(lv.MemoryBudgetError, match="too small"):
        side_by_side([partial(needs_500, item) for item in range(5)], None, 4)


def test_the_plan_of_several_runs_reads_none(tmp_path):
    path = write_nifti(tmp_path / "run.nii.gz", np.ones((*SHAPE, 3), "f4"))
    for n_jobs in (1, 2):
        plan = lv.plan(compute_multi_epi_mask, [path, path], n_jobs=n_jobs)
        assert plan.passes == 1


def test_errors_of_one_image_end_the_call(tmp_path):
    path = write_nifti(tmp_path / "run.nii.gz", np.ones((*SHAPE, 3), "f4"))
    with pytest.raises(lv.ImageNotFoundError, match="missing"):
        compute_multi_epi_mask([path, tmp_path / "missing.nii.gz"], n_jobs=2)


def test_progress_is_shown_where_it_is_asked_for(tmp_path, capsys):
    path = write_nifti(tmp_path / "run.nii.gz", np.ones((*SHAPE, 3), "f4"))
    compute_background_mask(image(np.where(head(), 2.0, 1)), verbose=0)
    assert not capsys.readouterr().err
    with pytest.warns(MaskWarning, match="empty"):
        compute_background_mask(path, verbose=1)
    assert not capsys.readouterr().out


class TestTemplate:
    target = nib.Nifti1Image(np.zeros((48, 58, 48, 2), "i2"), MNI)

    def test_lies_where_the_brain_is(self):
        mask = voxels_of(compute_brain_mask(self.target))
        inside, outside = np.linalg.inv(MNI) @ [[0, 80], [-20, 80], [10, 80], [1, 1]], None
        inside, outside = inside[:3].round().astype(int).T
        assert mask[tuple(inside)]
        assert not mask[tuple(outside)]

    def test_larger_thresholds_lie_within(self):
        masks = [
            voxels_of(compute_brain_mask(self.target, threshold=threshold, opening=False))
            for threshold in (0.2, 0.5, 0.9)
        ]
        assert (masks[0] >= masks[1]).all()
        assert (masks[1] >= masks[2]).all()
        assert masks[0].sum() > masks[1].sum() > masks[2].sum()

    def test_is_the_same_for_images_on_one_grid(self):
        several = compute_multi_brain_mask([self.target, self.target])
        np.testing.assert_array_equal(several.dataobj, compute_brain_mask(self.target).dataobj)
        with pytest.raises(lv.GridMismatchError, match="Image 1"):
            compute_multi_brain_mask([self.target, image(np.zeros((*SHAPE, 2)))])

    def test_of_images_without_brain_is_empty(self):
        corner = nib.affines.from_matvec(np.eye(3), [70, 60, 70])
        with pytest.warns(MaskWarning, match="MNI space"):
            compute_brain_mask(nib.Nifti1Image(np.zeros(SHAPE, "f4"), corner))

    def test_refuses_images_far_away(self):
        affine = nib.affines.from_matvec(np.eye(3), [900, 0, 0])
        with pytest.raises(ValueError, match="in one space"):
            compute_brain_mask(nib.Nifti1Image(np.zeros(SHAPE, "f4"), affine))

    @pytest.mark.parametrize("mask_type", ["gm", "wm"])
    def test_tissues_need_nilearn(self, mask_type, monkeypatch):
        monkeypatch.setattr(from_template, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"needs the package nilearn.*Install nilearn"):
            compute_brain_mask(self.target, mask_type=mask_type)

    def test_refuses_what_it_does_not_know(self):
        with pytest.raises(ValueError, match="Got 'brain'"):
            compute_brain_mask(self.target, mask_type="brain")
        with pytest.raises(TypeError, match="threshold"):
            compute_brain_mask(self.target, threshold="0.5")
