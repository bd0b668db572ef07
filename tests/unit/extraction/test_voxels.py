import nibabel
import numpy as np
import pytest

from lazyvox.errors import (
    GridMismatchError,
    LazyvoxWarning,
    OutputExistsError,
    ParameterError,
    RegionError,
)
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.voxels import Voxels
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan
from lazyvox.testing import feed
from lazyvox.testing import image_of as image
from lazyvox.testing.images import random_values

SHAPE = (5, 6, 4)
N_VOLUMES = 7
DTYPES = ["u1", "i2", "u2", "i4", "i8", "u8", "f4", "f8", "c8"]


def masks(n_masks, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random(SHAPE) < share for share in np.linspace(0.1, 0.9, n_masks)]


def assert_same_bits(found, expected):
    assert found.dtype == expected.dtype
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block_volumes", [1, 3, N_VOLUMES])
def test_values_are_those_of_boolean_indexing_bit_by_bit(dtype, block_volumes):
    values = random_values((*SHAPE, N_VOLUMES), dtype)
    wanted = masks(3)
    found = feed(Voxels([image(m.astype("u1")) for m in wanted]), image(values), block_volumes)
    for signals, mask in zip(found, wanted, strict=True):
        assert_same_bits(signals.values, values[mask].T)


@pytest.mark.parametrize("slab_slices", [1, 3, 4])
def test_slabs_give_the_same_as_volumes(slab_slices):
    values = random_values((*SHAPE, N_VOLUMES), "f4")
    wanted = masks(2)
    found = feed(Voxels([image(m.astype("u1")) for m in wanted]), image(values), 1, slab_slices)
    for signals, mask in zip(found, wanted, strict=True):
        assert_same_bits(signals.values, values[mask].T)


@pytest.mark.parametrize("dtype", [">i2", "<i2", ">f4", "<f8"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_scan_of_a_file(tmp_path, dtype, ending):
    values = random_values((*SHAPE, N_VOLUMES), dtype)
    path = tmp_path / f"run{ending}"
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(values.dtype)
    nibabel.Nifti1Image(values, np.eye(4), header).to_filename(path)
    mask = masks(1)[0]
    scan = Scan(path)
    handle = scan.add(Voxels(nibabel.Nifti1Image(mask.astype("u1"), np.eye(4))))
    scan.run()
    expected = np.asarray(nibabel.load(path).dataobj)[mask].T
    assert_same_bits(handle.result().values, expected.astype(expected.dtype.newbyteorder("=")))


def test_scaled_integers_come_scaled(tmp_path):
    img = nibabel.Nifti1Image(np.arange(480, dtype="i2").reshape(*SHAPE, 4), np.eye(4))
    img.header.set_slope_inter(0.1, -3)
    img.to_filename(tmp_path / "run.nii")
    mask = masks(1)[0]
    scan = Scan(tmp_path / "run.nii")
    handle = scan.add(Voxels(nibabel.Nifti1Image(mask.astype("u1"), np.eye(4))))
    scan.run()
    expected = np.asarray(nibabel.load(tmp_path / "run.nii").dataobj)[mask].T
    assert_same_bits(handle.result().values, expected)


def test_small_budget_cuts_volumes_into_slabs(tmp_path):
    values = random_values((64, 64, 40, 2), "f4")
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(tmp_path / "run.nii.gz")
    mask = np.zeros(values.shape[:3], "u1")
    mask[3:60:7, 5::9, 1::3] = 1
    scan = Scan(tmp_path / "run.nii.gz")
    handle = scan.add(Voxels(nibabel.Nifti1Image(mask, np.eye(4))))
    least = scan.plan(memory="1GB").peak_bytes - 3 * 2 * values[..., 0].nbytes + 400_000
    assert scan.plan(memory=least).slab_slices < 40
    scan.run(memory=least)
    assert_same_bits(handle.result().values, values[mask != 0].T)


def test_result_has_the_form_of_the_masks():
    values = random_values((*SHAPE, 2), "i2")
    one, two = (image(m.astype("u1")) for m in masks(2))
    assert isinstance(feed(Voxels(one), image(values), 1), Signals)
    assert len(feed(Voxels([one]), image(values), 1)) == 1
    assert list(feed(Voxels({"b": one, "a": two}), image(values), 1)) == ["b", "a"]


def test_merge_joins_what_two_consumers_saw():
    values = random_values((*SHAPE, 6), "f4")
    mask = masks(1)[0]
    grid = as_series(image(values)).grid
    first, second = (Voxels(image(mask.astype("u1"))) for _ in range(2))
    for consumer, part in ((first, slice(0, 4)), (second, slice(4, 6))):
        consumer.init(grid)
        consumer.update(np.asfortranarray(values[..., part]), part.start)
    first.merge(second)
    assert_same_bits(first.finalize().values, values[mask].T)


def test_consumer_can_be_used_again_on_another_series():
    mask = masks(1)[0]
    voxels = Voxels(image(mask.astype("u1")))
    for seed in range(2):
        values = random_values((*SHAPE, 3 + seed), "f4", seed)
        assert_same_bits(feed(voxels, image(values), 2).values, values[mask].T)


@pytest.mark.parametrize(("source", "dtype"), [("i2", "f4"), ("f8", "f4"), ("u1", "i4")])
def test_dtype_casts_as_numpy_does(source, dtype):
    values = np.arange(SHAPE[0] * SHAPE[1] * SHAPE[2] * 2).reshape(*SHAPE, 2).astype(source)
    mask = masks(1)[0]
    found = feed(Voxels(image(mask.astype("u1")), dtype=dtype), image(values), 2)
    assert_same_bits(found.values, values[mask].T.astype(dtype))


@pytest.mark.parametrize(("source", "dtype"), [("f4", "i2"), ("i4", "i2"), ("c8", "f8")])
def test_dtype_that_cannot_hold_the_values_is_refused(source, dtype):
    voxels = Voxels(image(masks(1)[0].astype("u1")), dtype=dtype)
    with pytest.raises(ParameterError, match="`dtype` must hold every value"):
        voxels.check(as_series(image(np.ones((*SHAPE, 2), source))).grid)


class TestMaskRules:
    def check(self, mask, affine=None, **options):
        grid = as_series(image(np.zeros((*SHAPE, 2), "f4"))).grid
        Voxels(image(mask, affine), **options).check(grid)

    @pytest.mark.parametrize(
        "mask",
        [
            masks(1)[0].astype("u1") * 255,
            masks(1)[0],
            masks(1)[0].astype("f8"),
            masks(1)[0].astype("i2") * -1,
            masks(1)[0].astype("f4") * np.float32(255 * np.float32(1 / 255)),
            np.ones(SHAPE, "u1"),
            masks(1)[0][..., None].astype("u1"),
        ],
        ids=["0/255", "bool", "float", "negative", "scaled", "all ones", "4D of one volume"],
    )
    def test_zero_and_one_other_value_is_a_mask(self, mask):
        self.check(mask)

    def test_labels_are_refused_and_named(self):
        labels = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3
        with pytest.raises(
            RegionError, match=r"the values 0, 1, 2\. It looks like labels.*Labels"
        ):
            self.check(labels)

    @pytest.mark.parametrize("top", [0.3, 1.0])
    def test_probabilities_are_refused_and_named(self, top):
        with pytest.raises(RegionError, match="looks like probabilities"):
            self.check(np.linspace(0, top, 120).reshape(SHAPE))

    def test_single_fraction_is_no_mask(self):
        with pytest.raises(RegionError, match="looks like probabilities"):
            self.check(masks(1)[0] * 0.3)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_nan_and_infinity_are_refused(self, bad):
        mask = masks(1)[0].astype("f4")
        mask[0, 0, 0] = bad
        with pytest.raises(RegionError, match=r"must be finite\. Got 1 of 120"):
            self.check(mask)

    def test_empty_mask_is_refused(self):
        with pytest.raises(RegionError, match=r"at least one voxel\. Got zeros only"):
            self.check(np.zeros(SHAPE, "u1"))

    def test_maps_are_refused(self):
        with pytest.raises(
            RegionError, match=r"must be 3D.*shape \(5, 6, 4, 3\).*looks like maps"
        ):
            self.check(np.ones((*SHAPE, 3), "u1"))

    def test_other_shape_names_both(self):
        with pytest.raises(GridMismatchError, match=r"\(5, 6, 5\).*\(5, 6, 4\).*resample=True"):
            self.check(np.ones((5, 6, 5), "u1"))

    @pytest.mark.parametrize(
        ("shift", "is_same"), [(1e-6, True), (1e-4, True), (0.01, False), (500, False)]
    )
    def test_affine_may_differ_by_rounding_only(self, shift, is_same):
        affine = np.diag([2.0, 2, 2, 1])
        affine[0, 3] += shift
        mask = np.ones(SHAPE, "u1")
        if is_same:
            self.check(mask, affine)
            return
        with pytest.raises(GridMismatchError, match="must share one voxel grid"):
            self.check(mask, affine)

    def test_flip_is_another_grid(self):
        with pytest.raises(GridMismatchError, match="must share one voxel grid"):
            self.check(np.ones(SHAPE, "u1"), np.diag([-2.0, 2, 2, 1]))

    def test_resampled_mask_that_does_not_overlap_is_refused(self):
        affine = np.diag([2.0, 2, 2, 1])
        affine[0, 3] = 500
        with pytest.raises(RegionError, match="no overlap with the images"):
            self.check(np.ones(SHAPE, "u1"), affine, resample=True)

    def test_mask_that_reaches_beyond_the_images_warns(self):
        affine = np.diag([2.0, 2, 2, 1])
        affine[0, 3] = 4
        with pytest.warns(LazyvoxWarning, match="only 60 % of its voxels lie inside"):
            self.check(np.ones(SHAPE, "u1"), affine, resample=True)

    def test_message_names_the_mask_of_a_dict(self):
        grid = as_series(image(np.zeros((*SHAPE, 2), "f4"))).grid
        bad = {"good": image(np.ones(SHAPE)), "bad": image(np.zeros(SHAPE))}
        with pytest.raises(RegionError, match=r"mask_imgs\['bad'\]"):
            Voxels(bad).check(grid)


def test_resampled_mask_takes_the_nearest_voxels():
    values = random_values((*SHAPE, 2), "i2")
    fine = np.zeros((10, 12, 8), "u1")
    fine[4:, 2:6, 3:] = 1
    affine = np.eye(4)
    affine[:3, 3] = -0.5
    found = feed(Voxels(image(fine, affine), resample=True), image(values), 1)
    mask = fine[1::2, 1::2, 1::2] != 0
    assert_same_bits(found.values, values[mask].T)


class TestOutputs:
    def run(self, tmp_path, values, out, **options):
        rois = {name: image(m.astype("u1")) for name, m in zip("ab", masks(2), strict=True)}
        scan = Scan(image(values))
        handle = scan.add(Voxels(rois, out=out, **options))
        scan.run()
        return handle.result()

    @pytest.mark.parametrize("ending", [".npy", ".tsv", ".csv", ".parquet"])
    @pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
    def test_files_hold_what_memory_would(self, tmp_path, ending, dtype):
        values = random_values((*SHAPE, N_VOLUMES), dtype)
        values[~np.isfinite(values)] = 0.1
        found = self.run(tmp_path, values, tmp_path / f"out{ending}")
        assert {path.name for path in tmp_path.iterdir()} == {f"out_a{ending}", f"out_b{ending}"}
        for name, mask in zip("ab", masks(2), strict=True):
            assert found[name].path == str(tmp_path / f"out_{name}{ending}")
            assert_same_bits(np.asarray(found[name]), values[mask].T)

    def test_npz_gathers_all_sets(self, tmp_path):
        values = random_values((*SHAPE, N_VOLUMES), "f4")
        self.run(tmp_path, values, tmp_path / "out.npz")
        with np.load(tmp_path / "out.npz") as archive:
            for name, mask in zip("ab", masks(2), strict=True):
                assert_same_bits(archive[name], values[mask].T)

    def test_existing_file_is_refused_when_planning(self, tmp_path):
        (tmp_path / "out_b.npy").write_bytes(b"precious")
        values = np.zeros((*SHAPE, 2), "f4")
        with pytest.raises(OutputExistsError, match=r"out_b\.npy: the output exists"):
            self.run(tmp_path, values, tmp_path / "out.npy")
        assert [path.name for path in tmp_path.iterdir()] == ["out_b.npy"]
        self.run(tmp_path, values, tmp_path / "out.npy", overwrite=True)
        assert np.load(tmp_path / "out_b.npy").shape[0] == 2

    def test_plan_writes_nothing(self, tmp_path):
        scan = Scan(image(np.zeros((*SHAPE, 2), "f4")))
        scan.add(Voxels(image(masks(1)[0].astype("u1")), out=tmp_path / "out.npy"))
        scan.plan()
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("ending", [".npy", ".tsv", ".parquet"])
    def test_failed_pass_leaves_no_file(self, tmp_path, ending):
        class Failing(Voxels):
            def update(self, block, start):
                super().update(block, start)
                if start + block.shape[3] >= 5:
                    raise RuntimeError("the disk is on fire")

        scan = Scan(image(np.zeros((*SHAPE, N_VOLUMES), "f4")))
        scan.add(Failing(image(masks(1)[0].astype("u1")), out=tmp_path / f"out{ending}"))
        with pytest.raises(RuntimeError, match="on fire"):
            scan.run()
        assert not list(tmp_path.iterdir())

    def test_merge_of_files_is_refused(self, tmp_path):
        grid = as_series(image(np.zeros((*SHAPE, 2), "f4"))).grid
        mask = image(masks(1)[0].astype("u1"))
        first, second = (Voxels(mask, out=tmp_path / name) for name in ("a.npy", "b.npy"))
        first.init(grid)
        second.init(grid)
        with pytest.raises(ParameterError, match="written to a file cannot be merged"):
            first.merge(second)
        first.abort()
        second.abort()
        assert not list(tmp_path.iterdir())

    def test_unknown_ending_is_refused(self, tmp_path):
        with pytest.raises(
            ParameterError, match=r"must end in \.npy, \.tsv, \.csv, \.txt, \.1D, \.parquet"
        ):
            self.run(tmp_path, np.zeros((*SHAPE, 2), "f4"), tmp_path / "out.xlsx")

    def test_result_in_a_file_takes_no_state(self, tmp_path):
        grid = as_series(image(np.zeros((*SHAPE, 400), "f4"))).grid
        mask = image(np.ones(SHAPE, "u1"))
        in_memory = Voxels(mask).state_bytes(grid)
        in_file = Voxels(mask, out=tmp_path / "out.npy").state_bytes(grid)
        assert in_memory >= 400 * 120 * 4
        assert in_file < in_memory - 100_000


def test_no_mask_is_refused():
    with pytest.raises(ParameterError, match="at least one mask"):
        Voxels([])
