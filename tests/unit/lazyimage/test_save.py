"""`lazyvox.save`: what was stored stays as it was, and what is converted is converted as asked."""

from importlib import import_module

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import compress, nifti_bytes, random_values, write_nifti

SHAPE = (5, 6, 7, 4)
INTEGERS = np.random.default_rng(0).integers(-500, 500, SHAPE).astype("i2")
FLOATS = np.random.default_rng(1).normal(100, 20, SHAPE).astype("f4")
AFFINE = np.diag([-2.0, 2.5, 3, 1])

NIFTI_ENDINGS = [".nii", ".nii.gz", ".nii.bz2", ".nii.zst", ".hdr", ".img", ".img.gz", ".NII.GZ"]
MGH_ENDINGS = [".mgh", ".mgz", ".mgh.gz"]


def plain_bytes(path):
    """Return the decoded bytes of a file."""
    with nib.openers.Opener(path) as file:
        return file.read()


@pytest.fixture
def scaled(tmp_path):
    path = write_nifti(tmp_path / "scaled.nii.gz", INTEGERS, slope=0.1, inter=-3.7, affine=AFFINE)
    return lv.load(path)


@pytest.mark.parametrize("ending", NIFTI_ENDINGS)
def test_every_ending_is_read_back_by_nibabel(tmp_path, ending):
    source = nib.Nifti1Image(FLOATS, AFFINE)
    lv.save(source, tmp_path / f"a{ending}")
    for opened in (nib.load, lv.load):
        back = opened(tmp_path / f"a{ending}")
        np.testing.assert_array_equal(np.asarray(back.dataobj), FLOATS)
        np.testing.assert_array_equal(back.affine, AFFINE)
        assert back.get_data_dtype() == np.float32


# nibabel leaves the file of an MGH header open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ending", MGH_ENDINGS)
def test_mgh_is_read_back(tmp_path, ending):
    lv.save(nib.Nifti1Image(FLOATS, AFFINE), tmp_path / f"a{ending}")
    back = lv.load(tmp_path / f"a{ending}")
    assert isinstance(back, nib.MGHImage)
    np.testing.assert_array_equal(np.asarray(back.dataobj), FLOATS)
    np.testing.assert_allclose(back.affine, AFFINE, atol=1e-5)
    if ending != ".mgh.gz":
        plain = nib.load(tmp_path / f"a{ending}")
        np.testing.assert_array_equal(np.asarray(plain.dataobj), FLOATS)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.nii.xz", "a.mnc", "nii"])
def test_unknown_endings_are_refused(tmp_path, name):
    with pytest.raises(lv.ParameterError, match="must end in"):
        lv.save(nib.Nifti1Image(FLOATS, AFFINE), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("slope", "inter"), [(1.0, 0.0), (0.1, -3.7), (1.0, 5.0), (-2.0, 0.0), (0.0, 7.0)]
)
def test_an_unchanged_image_is_copied_to_the_bit(tmp_path, order, slope, inter):
    stored = random_values(SHAPE, order + "i2", seed=3)
    path = write_nifti(tmp_path / "a.nii", stored, slope=slope, inter=inter, affine=AFFINE)
    lv.save(lv.load(path), tmp_path / "b.nii.gz")
    before, after = nib.load(path), nib.load(tmp_path / "b.nii.gz")
    assert after.dataobj.dtype == stored.dtype
    np.testing.assert_array_equal(after.dataobj.get_unscaled(), stored)
    assert (after.dataobj.slope, after.dataobj.inter) == (
        before.dataobj.slope,
        before.dataobj.inter,
    )
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))


def test_header_codes_and_extensions_are_kept(tmp_path):
    source = nib.Nifti1Image(INTEGERS, AFFINE)
    source.set_sform(AFFINE, code="mni")
    source.set_qform(AFFINE, code="scanner")
    source.header["descrip"] = b"a description"
    source.header["cal_max"] = 300
    source.header.set_xyzt_units("mm", "msec")
    source.header.set_zooms((2, 2.5, 3, 800))
    source.header.set_intent("t test", (12,), name="t")
    source.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept as it is"))
    nib.save(source, tmp_path / "a.nii.gz")
    lv.save(lv.load(tmp_path / "a.nii.gz"), tmp_path / "b.nii.gz")
    before, after = nib.load(tmp_path / "a.nii.gz").header, nib.load(tmp_path / "b.nii.gz").header
    for field in before:
        np.testing.assert_array_equal(before[field], after[field], err_msg=field)
    assert [one.get_content() for one in after.extensions] == [
        one.get_content() for one in before.extensions
    ]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "u2", "f4", "f8"])
def test_values_become_the_type_that_was_asked_for(tmp_path, dtype):
    source = nib.Nifti1Image(np.abs(FLOATS), AFFINE)
    lv.save(source, tmp_path / "a.nii", dtype=dtype, scale=False if dtype[0] in "iu" else None)
    back = nib.load(tmp_path / "a.nii")
    assert back.get_data_dtype() == np.dtype(dtype)
    expected = np.abs(FLOATS)
    if np.dtype(dtype).kind in "iu":
        expected = np.rint(expected)
    np.testing.assert_array_equal(np.asarray(back.dataobj), expected.astype(dtype))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (FLOATS * 1000, "i2"),
        (FLOATS, "i1"),
        (-FLOATS, "u1"),
        (np.where(FLOATS > 130, np.nan, FLOATS), "i2"),
        (np.full(SHAPE, 1e300), "f4"),
    ],
)
def test_values_that_do_not_fit_are_refused(tmp_path, values, dtype):
    with pytest.raises(lv.ScalingError, match=r"a\.nii: Values must fit the stored type"):
        lv.save(nib.Nifti1Image(values, AFFINE), tmp_path / "a.nii", dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_a_range_that_cannot_be_scaled_is_named(tmp_path):
    nib.save(nib.Nifti1Image(np.full(SHAPE, 1e300), AFFINE), tmp_path / "huge.nii")
    with pytest.raises(lv.ScalingError, match=r"huge\.nii: Values must be finite and below"):
        lv.save(lv.load(tmp_path / "huge.nii"), tmp_path / "a.nii", dtype="i2", scale="auto")
    scan = lv.Scan(tmp_path / "huge.nii")
    scan.add(lv.Write(tmp_path / "b.nii", dtype="i2", scale="auto"))
    with pytest.raises(lv.ScalingError, match=r"b\.nii: Values must be finite and below"):
        scan.run()


def test_complex_values_do_not_become_real(tmp_path):
    source = nib.Nifti1Image(FLOATS.astype("c8"), AFFINE)
    with pytest.raises(lv.ScalingError, match="without loss of a component"):
        lv.save(source, tmp_path / "a.nii", dtype="f4")


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4"])
def test_automatic_scaling_keeps_values_within_half_a_step(tmp_path, dtype):
    lv.save(nib.Nifti1Image(FLOATS, AFFINE), tmp_path / "a.nii.gz", dtype=dtype, scale="auto")
    back = nib.load(tmp_path / "a.nii.gz")
    assert back.get_data_dtype() == np.dtype(dtype)
    step = float(back.dataobj.slope)
    assert np.abs(np.asarray(back.dataobj) - FLOATS).max() <= 0.5001 * step + 1e-5
    extent = float(FLOATS.max()) - float(FLOATS.min())
    assert step <= extent / (2.0 ** (8 * np.dtype(dtype).itemsize) - 2) * 1.001 + 1e-7


def test_automatic_scaling_of_integers_is_exact_where_it_can_be(tmp_path):
    values = np.arange(24, dtype="i8").reshape(2, 3, 4) + 2**30
    lv.save(
        nib.Nifti1Image(values, AFFINE, dtype="i8"), tmp_path / "a.nii", dtype="u1", scale="auto"
    )
    np.testing.assert_array_equal(np.asarray(lv.load(tmp_path / "a.nii").dataobj), values)


def test_a_scaling_can_be_given(tmp_path):
    source = nib.Nifti1Image(FLOATS, AFFINE)
    lv.save(source, tmp_path / "a.nii", dtype="i2", scale=(0.5, 10))
    back = nib.load(tmp_path / "a.nii")
    assert (back.dataobj.slope, back.dataobj.inter) == (0.5, 10)
    np.testing.assert_array_equal(
        back.dataobj.get_unscaled(), np.rint((FLOATS.astype("f8") - 10) / 0.5)
    )


@pytest.mark.parametrize(
    "scale", ["always", (1,), (0, 1), (np.nan, 1), (1, np.inf), 3, ("a", "b")]
)
def test_scalings_without_a_meaning_are_refused(tmp_path, scale):
    with pytest.raises(lv.ParameterError, match="`scale` must be"):
        lv.save(nib.Nifti1Image(FLOATS, AFFINE), tmp_path / "a.nii", dtype="i2", scale=scale)


def test_scaling_is_for_integers(tmp_path):
    with pytest.raises(lv.ParameterError, match="`scale` is for integer types on disk"):
        lv.save(nib.Nifti1Image(FLOATS, AFFINE), tmp_path / "a.nii", scale="auto")


def test_floats_loaded_from_scaled_integers_are_saved_as_floats(scaled, tmp_path):
    single = lv.load(scaled.get_filename(), dtype=np.float32)
    lv.save(single, tmp_path / "a.nii")
    back = nib.load(tmp_path / "a.nii")
    assert back.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(back.dataobj), np.asarray(single.dataobj))


@pytest.mark.parametrize("dtype", ["i4", "u1"])
def test_set_data_dtype_with_floats_scales_as_nibabel_does(scaled, tmp_path, dtype):
    values = scaled.get_fdata()
    scaled.set_data_dtype(dtype)
    lv.save(scaled, tmp_path / "a.nii")
    back = nib.load(tmp_path / "a.nii")
    assert back.get_data_dtype() == np.dtype(dtype)
    np.testing.assert_allclose(np.asarray(back.dataobj), values, atol=float(back.dataobj.slope))


def test_set_data_dtype_with_integers_converts_exactly(tmp_path):
    img = lv.load(write_nifti(tmp_path / "a.nii", INTEGERS))
    img.set_data_dtype("i4")
    lv.save(img, tmp_path / "b.nii")
    back = nib.load(tmp_path / "b.nii")
    assert back.get_data_dtype() == np.int32
    np.testing.assert_array_equal(np.asarray(back.dataobj), INTEGERS)


def test_dtype_of_a_scaled_image_that_is_its_own_keeps_it(scaled, tmp_path):
    lv.save(scaled, tmp_path / "a.nii", dtype="i2")
    np.testing.assert_array_equal(lv.load(tmp_path / "a.nii").dataobj.get_unscaled(), INTEGERS)


def test_plain_nibabel_images_and_proxies(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", INTEGERS, slope=0.25, inter=1)
    lv.save(nib.load(path), tmp_path / "b.nii")
    back = nib.load(tmp_path / "b.nii")
    np.testing.assert_array_equal(back.dataobj.get_unscaled(), INTEGERS)
    from_bytes = nib.Nifti1Image.from_bytes(nifti_bytes(INTEGERS, slope=0.25, inter=1))
    lv.save(from_bytes, tmp_path / "c.nii", dtype="f8")
    np.testing.assert_array_equal(
        np.asarray(nib.load(tmp_path / "c.nii").dataobj), INTEGERS * 0.25 + 1
    )


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_arrays_in_any_memory_order(tmp_path, order, name):
    values = np.array(FLOATS, order=order)[::-1, :, ::2]
    lv.save(nib.Nifti1Image(values, AFFINE), tmp_path / name)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / name).dataobj), values)


@pytest.mark.parametrize(
    "key",
    [np.s_[::-1, 2:], np.s_[..., ::-1], np.s_[..., 2], np.s_[..., [0, 3]], np.s_[:, :, :, None]],
)
def test_slices_are_saved(tmp_path, key):
    img = lv.load(write_nifti(tmp_path / "a.nii.gz", INTEGERS, slope=2, inter=1, affine=AFFINE))
    part = img.slicer[key]
    lv.save(part, tmp_path / "b.nii")
    back = nib.load(tmp_path / "b.nii")
    np.testing.assert_array_equal(back.get_fdata(), INTEGERS[key] * 2.0 + 1)
    np.testing.assert_allclose(back.affine, part.affine, atol=1e-5)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_image_can_be_saved_onto_its_own_file(tmp_path, compression):
    path = tmp_path / ("a.nii" if compression == "none" else "a.nii.gz")
    path.write_bytes(compress(nifti_bytes(FLOATS), compression))
    img = lv.load(path)
    lv.save(img.slicer[1:], path)
    np.testing.assert_array_equal(np.asarray(lv.load(path).dataobj), FLOATS[1:])
    # The old image knows that its file is another one now.
    with pytest.raises(lv.FileChangedError, match="Load it again"):
        np.asarray(img.dataobj)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_file_does_not_depend_on_threads(tmp_path):
    values = np.random.default_rng(2).integers(0, 50, (40, 40, 40, 5)).astype("i2")
    img = nib.Nifti1Image(values, AFFINE)
    for n_jobs in (1, 3):
        lv.save(img, tmp_path / f"{n_jobs}.nii.gz", n_jobs=n_jobs)
    assert (tmp_path / "1.nii.gz").read_bytes() == (tmp_path / "3.nii.gz").read_bytes()


@pytest.mark.parametrize(("low", "high"), [(1, 9)])
def test_compresslevel_matters(tmp_path, low, high):
    values = np.random.default_rng(2).integers(0, 5, (30, 30, 30)).astype("i2")
    for level in (low, high):
        lv.save(nib.Nifti1Image(values, AFFINE), tmp_path / f"{level}.nii.gz", compresslevel=level)
    sizes = [(tmp_path / f"{level}.nii.gz").stat().st_size for level in (low, high)]
    assert sizes[1] < sizes[0]


def test_existing_files_are_kept_where_asked(tmp_path):
    target = tmp_path / "a.nii"
    target.write_bytes(b"mine")
    with pytest.raises(lv.OutputExistsError, match="must not exist yet"):
        lv.save(nib.Nifti1Image(FLOATS, AFFINE), target, overwrite=False)
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("memory", ["20MB", "17MiB"])
def test_images_larger_than_the_budget(tmp_path, memory):
    values = np.arange(60 * 60 * 60 * 30, dtype="i4").reshape(60, 60, 60, 30)
    img = nib.Nifti1Image(values, AFFINE)
    with lv.memory_budget(memory):
        plan = lv.plan(lv.save, img, tmp_path / "a.nii")
        lv.save(img, tmp_path / "a.nii")
    assert plan.peak_bytes <= plan.budget < values.nbytes
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "a.nii").dataobj), values)


def test_a_budget_that_is_too_small_names_one_that_works(tmp_path):
    img = nib.Nifti1Image(FLOATS, AFFINE)
    with (
        lv.memory_budget("1MB"),
        pytest.raises(lv.MemoryBudgetError, match=r"needed are .* \((\d+) bytes\)") as raised,
    ):
        lv.save(img, tmp_path / "a.nii.gz")
    named = int(str(raised.value).split("(")[1].split()[0])
    with lv.memory_budget(named):
        lv.save(img, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj), FLOATS)


def test_fewer_threads_where_the_budget_asks_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.runtime.cores.usable_cores", lambda: 8)
    img = nib.Nifti1Image(FLOATS, AFFINE)
    with lv.memory_budget("1GiB"):
        one, many = (
            lv.plan(lv.save, img, tmp_path / "a.nii.gz", n_jobs=n).peak_bytes for n in (1, 8)
        )
    with lv.memory_budget((one + many) // 2):
        assert lv.plan(lv.save, img, tmp_path / "a.nii.gz").peak_bytes <= (one + many) // 2
        lv.save(img, tmp_path / "a.nii.gz")
        with pytest.raises(lv.MemoryBudgetError, match="or n_jobs=1"):
            lv.save(img, tmp_path / "b.nii.gz", n_jobs=8)
    for n_jobs in (None, 1):
        with pytest.raises(lv.MemoryBudgetError, match=r"Pass memory=\d+ or more\.$"):
            lv.save(img, tmp_path / "b.nii.gz", n_jobs=n_jobs, memory="1KB")
    assert [one.name for one in tmp_path.iterdir()] == ["a.nii.gz"]


def test_progress_counts_volumes_of_both_passes(tmp_path):
    seen = []
    img = nib.Nifti1Image(FLOATS, AFFINE)
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    lv.save(img, tmp_path / "a.nii", dtype="i2", scale="auto", progress=progress)
    n_volumes = 2 * FLOATS.shape[3]
    assert seen[-1] == (n_volumes, n_volumes)
    lv.save(img.slicer[..., 0], tmp_path / "b.nii", progress=progress)
    assert seen[-1] == (1, 1)


def test_only_images_on_a_grid_are_saved(tmp_path):
    with pytest.raises(lv.ParameterTypeError, match="`img` must be an image on a voxel grid"):
        lv.save(FLOATS, tmp_path / "a.nii")


def test_a_plan_of_saving_writes_nothing(tmp_path):
    img = nib.Nifti1Image(FLOATS, AFFINE)
    plan = lv.plan(lv.save, img, tmp_path / "a.nii", dtype="i2", scale="auto")
    assert plan.passes == 2
    assert plan.bytes_decoded == 2 * FLOATS.nbytes
    assert not list(tmp_path.iterdir())


def test_a_damaged_source_leaves_the_target_as_it_was(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", random_values((30, 30, 30, 4), "f4"))
    content = bytearray(path.read_bytes())
    content[-100] ^= 255
    path.write_bytes(content)
    (tmp_path / "b.nii").write_bytes(b"old")
    with pytest.raises(lv.ImageFileError, match=r"a\.nii\.gz"):
        lv.save(lv.load(path), tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.nii.gz", "b.nii"]


class TestFractionsAsIntegers:
    """Floats that are not whole become integers only where it is said how."""

    VALUES = np.random.default_rng(3).normal(0, 2, (5, 6, 7, 4))

    @pytest.fixture
    def source(self, tmp_path):
        lv.save(nib.Nifti1Image(self.VALUES.astype("f4"), AFFINE), tmp_path / "z.nii")
        return lv.load(tmp_path / "z.nii")

    def test_they_are_refused(self, source, tmp_path):
        match = (
            r"z16.nii: values that become int16 without scaling must be whole. Got .* scale=False"
        )
        with pytest.raises(lv.ScalingError, match=match):
            lv.save(source, tmp_path / "z16.nii", dtype="int16")
        scan = lv.Scan(source)
        scan.add(lv.Write(tmp_path / "z16.nii", dtype="int16"))
        with pytest.raises(lv.ScalingError, match=match):
            scan.run()
        assert not (tmp_path / "z16.nii").exists()

    @pytest.mark.parametrize(
        ("scale", "error"), [("auto", 2e-4), ((0.5, 0.0), 0.25), (False, 0.5)]
    )
    def test_ways_that_are_said(self, source, tmp_path, scale, error):
        lv.save(source, tmp_path / "a.nii", dtype="int16", scale=scale)
        written = nib.load(tmp_path / "a.nii")
        assert written.get_data_dtype() == np.int16
        assert abs(written.get_fdata() - self.VALUES).max() <= error + 1e-6
        scan = lv.Scan(source)
        scan.add(lv.Write(tmp_path / "b.nii", dtype="int16", scale=scale))
        scan.run()
        np.testing.assert_array_equal(
            nib.load(tmp_path / "b.nii").get_fdata(), written.get_fdata()
        )

    def test_whole_values_need_no_scaling(self, tmp_path):
        whole = np.rint(self.VALUES * 100)
        lv.save(nib.Nifti1Image(whole, AFFINE), tmp_path / "a.nii", dtype="int16")
        np.testing.assert_array_equal(nib.load(tmp_path / "a.nii").get_fdata(), whole)

    def test_labels_through_a_scale_are_whole(self, tmp_path):
        labels = np.minimum(np.rint(abs(self.VALUES)), 3) * 3
        img = nib.Nifti1Image(labels, AFFINE)
        img.set_data_dtype("i2")
        img.to_filename(tmp_path / "near.nii")
        lv.save(lv.load(tmp_path / "near.nii"), tmp_path / "a.nii", dtype="uint8")
        written = nib.load(tmp_path / "a.nii").get_fdata()
        assert not np.array_equal(nib.load(tmp_path / "near.nii").get_fdata(), labels)
        np.testing.assert_array_equal(written, labels)

    @pytest.mark.parametrize("dtype", ["uint8", "int16"])
    def test_methods_of_nibabel_scale(self, source, tmp_path, dtype):
        positive = nib.Nifti1Image(abs(self.VALUES).astype("f4"), AFFINE)
        positive.to_filename(tmp_path / "p.nii")
        positive.to_filename(tmp_path / "n.nii", dtype=dtype)
        wanted = abs(nib.load(tmp_path / "n.nii").get_fdata() - abs(self.VALUES)).max()
        lv.load(tmp_path / "p.nii").to_filename(tmp_path / "a.nii", dtype=dtype)
        nib.save(lv.load(tmp_path / "p.nii"), tmp_path / "b.nii", dtype=dtype)
        for name in ("a.nii", "b.nii"):
            found = nib.load(tmp_path / name)
            assert found.get_data_dtype() == dtype
            assert abs(found.get_fdata() - abs(self.VALUES)).max() <= 1.1 * wanted

    def test_integers_that_do_not_fit_are_scaled_by_the_methods_of_nibabel(self, tmp_path):
        values = np.random.default_rng(1).integers(-3000, 3000, (4, 5, 6)).astype("i2")
        nib.Nifti1Image(values, AFFINE).to_filename(tmp_path / "i.nii")
        lv.load(tmp_path / "i.nii").to_filename(tmp_path / "u1.nii", dtype="uint8")
        assert abs(nib.load(tmp_path / "u1.nii").get_fdata() - values).max() < 13
        with pytest.raises(lv.ScalingError, match="must fit the stored type uint8"):
            lv.save(lv.load(tmp_path / "i.nii"), tmp_path / "a.nii", dtype="uint8")


def test_fewer_threads_where_the_budget_has_no_room_for_more(tmp_path, monkeypatch):
    module = import_module("lazyvox.lazyimage.save")
    monkeypatch.setattr(module, "resolve_n_jobs", lambda n_jobs: 6)
    img = nib.Nifti1Image(np.zeros((8, 9, 5, 6), "f4"), np.eye(4))
    roomy = lv.plan(lv.save, img, tmp_path / "a.nii.gz", memory="1GiB")
    with pytest.raises(lv.MemoryBudgetError, match=r"buffers of writing.*Pass memory=\d+ or more"):
        lv.plan(lv.save, img, tmp_path / "a.nii.gz", memory="30MiB", n_jobs=6)
    tight = lv.plan(lv.save, img, tmp_path / "a.nii.gz", memory="30MiB")
    assert tight.peak_bytes <= 30 << 20 < roomy.peak_bytes
    assert [one.of for one in roomy.memory if one.name == "compression"] == ["6 threads"]
    assert "6 threads" not in tight.explain()
    lv.save(img, tmp_path / "a.nii.gz", memory="30MiB")
    lv.save(img, tmp_path / "b.nii.gz", memory="1GiB")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_budget_of_its_own(tmp_path):
    img = nib.Nifti1Image(np.zeros((8, 9, 5, 6), "f4"), np.eye(4))
    assert lv.plan(lv.save, img, tmp_path / "a.nii", memory="77MB").budget == 77_000_000
    with pytest.raises(lv.MemoryBudgetError, match="buffers of writing"):
        lv.save(img, tmp_path / "a.nii", memory="1MB")
    assert not list(tmp_path.iterdir())
