"""Every statement of nibabel's page "Images and memory", and what a lazy image shows of itself."""

import copy
import pickle

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import random_values, write_nifti

SHAPE = (5, 6, 7, 4)
VALUES = np.arange(840, dtype="i2").reshape(SHAPE)


@pytest.fixture
def path(tmp_path):
    return write_nifti(tmp_path / "run.nii.gz", VALUES)


@pytest.fixture
def img(path):
    return lv.load(path)


@pytest.fixture
def array_img():
    return lv.mean_img(nib.Nifti1Image(VALUES, np.eye(4)))


def test_the_image_of_a_file_is_a_proxy_image(img):
    assert nib.is_proxy(img.dataobj)
    assert isinstance(img.dataobj, lv.LazyArray)
    assert not img.in_memory


def test_asarray_of_the_dataobj_reads_without_caching(img):
    first, second = np.asarray(img.dataobj), np.asarray(img.dataobj)
    np.testing.assert_array_equal(first, VALUES)
    assert first is not second
    assert not np.shares_memory(first, second)
    assert not img.in_memory


def test_get_fdata_fills_a_cache_once(img):
    first = img.get_fdata()
    assert first.dtype == np.float64
    assert img.in_memory
    assert img.get_fdata() is first
    np.testing.assert_array_equal(first, VALUES)


def test_unchanged_neither_fills_nor_empties_the_cache(img):
    loose = img.get_fdata(caching="unchanged")
    assert not img.in_memory
    cached = img.get_fdata()
    assert cached is not loose
    assert img.get_fdata(caching="unchanged") is cached
    assert img.in_memory


def test_edits_of_the_cache_last_until_uncache(img):
    img.get_fdata()[:] = 99
    assert (img.get_fdata() == 99).all()
    np.testing.assert_array_equal(np.asarray(img.dataobj), VALUES)
    img.uncache()
    assert not img.in_memory
    np.testing.assert_array_equal(img.get_fdata(), VALUES)


def test_uncache_frees_the_array(img):
    import weakref

    cached = weakref.ref(img.get_fdata())
    assert cached() is not None
    img.uncache()
    assert cached() is None


def test_another_dtype_gets_another_cache(img):
    double = img.get_fdata()
    single = img.get_fdata(dtype=np.float32)
    assert single.dtype == np.float32
    assert img.get_fdata(dtype=np.float32) is single
    assert img.get_fdata() is not double


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, bool])
def test_get_fdata_is_for_floats(img, dtype):
    with pytest.raises(ValueError, match="floating point"):
        img.get_fdata(dtype=dtype)


def test_an_unknown_caching_is_refused(img):
    with pytest.raises(ValueError, match="caching"):
        img.get_fdata(caching="always")


def test_array_images_are_in_memory_and_uncache_does_nothing(array_img):
    assert array_img.in_memory
    assert not nib.is_proxy(array_img.dataobj)
    array_img.dataobj[0, 0, 0] = 5
    array_img.uncache()
    assert array_img.in_memory
    assert array_img.dataobj[0, 0, 0] == 5
    # The very array where the type fits, as in nibabel.
    assert array_img.get_fdata() is array_img.dataobj


def test_slices_of_the_dataobj_are_read_without_caching(img):
    np.testing.assert_array_equal(img.dataobj[..., 2], VALUES[..., 2])
    np.testing.assert_array_equal(img.dataobj[1, 2, 3], VALUES[1, 2, 3])
    assert not img.in_memory


@pytest.mark.parametrize("order", ["<", ">"])
def test_scaled_values_are_asked_for_in_float32_and_float64(tmp_path, order):
    stored = random_values((4, 5, 6), order + "i2", seed=1)
    img = lv.load(write_nifti(tmp_path / "a.nii", stored, slope=0.25, inter=3))
    np.testing.assert_array_equal(img.get_fdata(), stored * 0.25 + 3)
    single = img.get_fdata(dtype=np.float32)
    np.testing.assert_allclose(single, stored * 0.25 + 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "version", "kind"),
    [
        ("a.nii", 1, nib.Nifti1Image),
        ("a.nii.gz", 1, nib.Nifti1Image),
        ("a.nii", 2, nib.Nifti2Image),
    ],
)
def test_images_are_of_nibabels_classes(tmp_path, name, version, kind):
    img = lv.load(write_nifti(tmp_path / name, VALUES, version=version))
    assert isinstance(img, kind)
    assert isinstance(img, nib.spatialimages.SpatialImage)
    assert isinstance(img, lv.LazyImage)
    assert isinstance(img.header, kind.header_class)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        (nib.Nifti1Pair, ".img"),
        (nib.Nifti2Pair, ".img"),
        (nib.AnalyzeImage, ".img"),
        (nib.Spm99AnalyzeImage, ".img"),
        (nib.Spm2AnalyzeImage, ".img"),
        (nib.MGHImage, ".mgz"),
    ],
)
def test_pairs_and_mgh_are_of_nibabels_classes(tmp_path, kind, ending):
    if kind is nib.Spm99AnalyzeImage or kind is nib.Spm2AnalyzeImage:
        pytest.importorskip("scipy")
    nib.save(kind(VALUES[..., 0], np.diag([2.0, 2, 2, 1])), tmp_path / f"a{ending}")
    img, plain = lv.load(tmp_path / f"a{ending}"), nib.load(tmp_path / f"a{ending}")
    assert isinstance(img, type(plain))
    assert type(img).__mro__[2] is type(plain)
    np.testing.assert_array_equal(img.affine, plain.affine)
    np.testing.assert_array_equal(np.asarray(img.dataobj), np.asarray(plain.dataobj))
    assert str(img.get_filename()) == str(plain.get_filename())


def test_header_affine_shape_and_name_are_nibabels(path, img):
    plain = nib.load(path)
    assert img.header == plain.header
    assert img.shape == plain.shape
    assert img.ndim == plain.ndim
    np.testing.assert_array_equal(img.affine, plain.affine)
    assert img.get_filename() == str(path)
    assert img.get_data_dtype() == plain.get_data_dtype()
    assert img.file_map["image"].filename == plain.file_map["image"].filename


@pytest.mark.parametrize("name", ["download.part", "noending", "a.nii.gz.tmp", "a.mgz"])
def test_the_name_of_a_file_does_not_matter(tmp_path, name):
    path = write_nifti(tmp_path / "a.nii.gz", VALUES).rename(tmp_path / name)
    img = lv.load(path)
    assert isinstance(img, nib.Nifti1Image)
    assert img.get_filename() == str(path)
    np.testing.assert_array_equal(np.asarray(img.dataobj), VALUES)
    assert pickle.loads(pickle.dumps(img)).get_filename() == str(path)


def test_changes_of_header_and_affine_have_no_effect_on_the_data(tmp_path):
    stored = random_values((4, 5, 6, 3), ">i2", seed=2)
    img = lv.load(write_nifti(tmp_path / "a.nii.gz", stored, slope=2, inter=1))
    img.header.set_data_dtype("u1")
    img.header.set_data_shape((1, 1, 1))
    img.header["vox_offset"] = 9999
    img.header.set_slope_inter(7, 7)
    img.affine[:] = 0
    np.testing.assert_array_equal(img.get_fdata(), stored * 2.0 + 1)
    assert img.shape == (4, 5, 6, 3)


def test_nibabel_saves_a_lazy_image(img, tmp_path):
    target = tmp_path / "copy.nii"
    nib.save(img, target)
    saved = nib.load(target)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), VALUES)
    assert saved.get_data_dtype() == VALUES.dtype
    assert not img.in_memory
    assert img.get_filename() == str(target)
    # The voxels still come from where they were.
    np.testing.assert_array_equal(np.asarray(img.dataobj), VALUES)


def test_nibabel_saves_a_lazy_image_in_another_format(img, tmp_path):
    nib.save(img, tmp_path / "copy.mgz")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "copy.mgz").dataobj), VALUES)


def test_nibabels_functions_take_lazy_images(img):
    volumes = nib.funcs.four_to_three(img)
    assert [volume.shape for volume in volumes] == [SHAPE[:3]] * SHAPE[3]
    np.testing.assert_array_equal(np.asarray(volumes[2].dataobj), VALUES[..., 2])
    joined = nib.funcs.concat_images([img, img], axis=3)
    assert joined.shape == (*SHAPE[:3], 8)
    np.testing.assert_array_equal(np.asarray(joined.dataobj)[..., 4:], VALUES)
    turned = nib.as_closest_canonical(img)
    np.testing.assert_array_equal(np.asarray(turned.dataobj), VALUES)
    assert nib.aff2axcodes(img.affine) == ("R", "A", "S")


def test_nibabel_reorients_a_lazy_image(tmp_path):
    affine = np.diag([-2.0, 2, -2, 1])
    path = write_nifti(tmp_path / "a.nii", VALUES, affine=affine)
    ours = nib.as_closest_canonical(lv.load(path))
    theirs = nib.as_closest_canonical(nib.load(path))
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))


def test_nibabel_knows_where_the_spatial_axes_are(img):
    assert nib.imageclasses.spatial_axes_first(img)
    assert nib.imageclasses.spatial_axes_first(img.slicer[:2])


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda img: pickle.loads(pickle.dumps(img))]
)
def test_copies_stay_lazy_and_keep_edited_headers(img, duplicate):
    img.header["descrip"] = b"edited"
    img.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept"))
    other = duplicate(img)
    assert type(other) is type(img)
    assert not other.in_memory
    assert other.header["descrip"].item() == b"edited"
    assert other.header.extensions[0].get_content() == b"kept"
    assert other.get_filename() == img.get_filename()
    np.testing.assert_array_equal(other.affine, img.affine)
    np.testing.assert_array_equal(np.asarray(other.dataobj), VALUES)
    other.header["descrip"] = b"other"
    other.affine[0, 0] = 17
    assert img.header["descrip"].item() == b"edited"
    assert img.affine[0, 0] == 2
    np.testing.assert_array_equal(np.asarray(img.dataobj), VALUES)


def test_a_pickle_is_a_description(img):
    img.get_fdata()
    assert len(pickle.dumps(img)) < 4096
    assert img.in_memory
    part = pickle.loads(pickle.dumps(img.slicer[1:, ::-1, 2:4, ::2]))
    np.testing.assert_array_equal(np.asarray(part.dataobj), VALUES[1:, ::-1, 2:4, ::2])


def test_an_image_in_memory_survives_copying(array_img):
    for other in (copy.copy(array_img), pickle.loads(pickle.dumps(array_img))):
        np.testing.assert_array_equal(other.dataobj, array_img.dataobj)
        np.testing.assert_array_equal(other.affine, array_img.affine)


@pytest.mark.parametrize("ndim", range(1, 8))
def test_one_to_seven_dimensions(tmp_path, ndim):
    stored = np.arange(2 ** min(ndim, 7), dtype="f4").reshape((2,) * ndim)
    path = write_nifti(tmp_path / "a.nii.gz", stored)
    img = lv.load(path)
    assert img.shape == (2,) * ndim
    np.testing.assert_array_equal(img.get_fdata(), stored)
    assert str(img.shape) in repr(img)
    lv.save(img, tmp_path / "b.nii")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "b.nii").dataobj), stored)
    assert str(img.shape) in lv.plan(lv.save, img, tmp_path / "c.nii").explain()


def test_complex_voxels(tmp_path):
    stored = (np.arange(24) + 1j).astype("c8").reshape(2, 3, 4)
    img = lv.load(write_nifti(tmp_path / "a.nii", stored))
    np.testing.assert_array_equal(np.asarray(img.dataobj), stored)
    assert img.dataobj.dtype == np.complex64


def test_rgb_voxels(tmp_path):
    kind = nib.nifti1.data_type_codes.dtype["RGB"]
    stored = random_values((3, 4, 5), kind)
    img = lv.load(write_nifti(tmp_path / "a.nii", stored))
    np.testing.assert_array_equal(np.asarray(img.dataobj), stored)
    assert "R" in repr(img)
    lv.save(img, tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "b.nii.gz").dataobj), stored)
    with pytest.raises(lv.ParameterError, match="RGB and RGBA voxels cannot be read as float32"):
        lv.load(tmp_path / "a.nii", dtype=np.float32)
    with pytest.raises(lv.ParameterTypeError, match="take one colour first"):
        lv.Scan(img)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "f2"])
def test_load_casts_lazily(path, dtype):
    img = lv.load(path, dtype=dtype)
    assert img.dataobj.dtype == np.dtype(dtype)
    assert img.dataobj[..., 0].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(np.asarray(img.dataobj), VALUES.astype(dtype))
    np.testing.assert_array_equal(np.asarray(img.slicer[1:3].dataobj), VALUES[1:3].astype(dtype))


@pytest.mark.parametrize("dtype", ["U3", "O", "M8[s]", "V4"])
def test_load_casts_to_numbers_only(path, dtype):
    with pytest.raises(lv.ParameterError, match="`dtype` must be a type of numbers"):
        lv.load(path, dtype=dtype)


def test_mmap_gives_views_of_private_pages(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VALUES)
    img = lv.load(path, mmap=True)
    part = img.dataobj[..., 1]
    assert isinstance(part, np.ndarray)
    assert not part.flags.owndata
    np.testing.assert_array_equal(part, VALUES[..., 1])
    part[:] = 0
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), VALUES)
    np.testing.assert_array_equal(lv.mean_img(img).dataobj, VALUES.mean(axis=-1))


def test_mmap_needs_a_plain_file(path):
    with pytest.raises(lv.ParameterError, match="needs an uncompressed file"):
        lv.load(path, mmap=True)


def test_repr_says_what_matters_and_loads_nothing(img):
    text = repr(img)
    for part in ("LazyNifti1Image", "run.nii.gz", "(5, 6, 7, 4)", "int16", "2 x 2 x 2 mm"):
        assert part in text
    assert "in memory: nothing" in text
    assert "get_fdata() would take: 6.6 KiB" in text
    assert not img.in_memory
    img.get_fdata(dtype=np.float32)
    assert "in memory: float32 copy, 3.3 KiB" in repr(img)


def test_html_escapes_names_of_files(tmp_path):
    folder = tmp_path / "<b>bold & more"
    folder.mkdir()
    img = lv.load(write_nifti(folder / "a.nii", VALUES))
    html = img._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;bold &amp; more" in html
    assert "(5, 6, 7, 4)" in html


def test_repr_shows_the_repetition_time_in_seconds_whatever_the_unit(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 2, 2, 3), "f4"), np.eye(4))
    image.header.set_xyzt_units("mm", "msec")
    image.header.set_zooms((1, 1, 1, 1500))
    nib.save(image, tmp_path / "run.nii")
    assert "t_r: 1.5 s" in repr(lv.load(tmp_path / "run.nii"))


def test_repr_of_an_image_in_memory(array_img):
    assert "in memory: yes" in repr(array_img)
    assert "float64" in repr(array_img)
    assert "file" not in repr(array_img)


def test_strict_stops_hidden_loads_only(img, tmp_path):
    with lv.strict():
        img.get_fdata()
        np.asarray(img.dataobj)
        img.to_filename(tmp_path / "b.nii")
        with pytest.raises(lv.MaterializationError, match="use to_filename"):
            img.to_bytes()
    assert len(img.to_bytes()) == 352 + VALUES.nbytes
