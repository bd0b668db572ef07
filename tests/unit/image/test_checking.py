"""Arguments that are taken as images, and those that are refused."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import (
    DimensionError,
    GridMismatchError,
    ImageNotFoundError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.image import (
    check_niimg,
    check_niimg_3d,
    check_niimg_4d,
    concat_imgs,
    copy_img,
    get_data,
    index_img,
    iter_img,
    load_img,
    mean_img,
    new_img_like,
)

AFFINE = np.diag([2.0, 2, 2, 1])
VALUES = np.random.default_rng(0).integers(0, 50, (4, 5, 6, 7)).astype("i2")


def image(values=VALUES, affine=AFFINE):
    return nib.Nifti1Image(values, affine)


@pytest.fixture
def files(tmp_path):
    for i in range(3):
        nib.save(image(VALUES[..., i]), tmp_path / f"vol{i}.nii.gz")
    return tmp_path


class TestInputs:
    def test_an_image_comes_back_as_it_is(self):
        img = image()
        assert check_niimg_4d(img) is img
        assert check_niimg_3d(nib.Nifti1Image(VALUES[..., 0], AFFINE)).shape == (4, 5, 6)

    def test_a_pattern_is_the_sorted_list_of_its_files(self, files):
        found = load_img(files / "vol*.nii.gz")
        np.testing.assert_array_equal(found.dataobj, VALUES[..., :3])

    def test_home_is_expanded(self, files, monkeypatch):
        monkeypatch.setenv("HOME", str(files))
        assert check_niimg("~/vol1.nii.gz").shape == (4, 5, 6)
        assert check_niimg("~/vol?.nii.gz").shape == (4, 5, 6, 3)

    def test_a_file_with_brackets_in_its_name_is_no_pattern(self, tmp_path):
        path = tmp_path / "run[1].nii"
        nib.save(image(), path)
        assert check_niimg(path).shape == VALUES.shape

    def test_generators_and_nested_lists(self):
        volumes = [image(VALUES[..., i]) for i in range(4)]
        assert check_niimg_4d(one for one in volumes).shape == (4, 5, 6, 4)
        assert check_niimg([volumes[:2], volumes]).shape == (4, 5, 6, 6)
        assert concat_imgs(iter(volumes)).shape == (4, 5, 6, 4)

    def test_patterns_can_be_switched_off(self, files):
        with pytest.raises(ImageNotFoundError, match=r"vol\*"):
            load_img(str(files / "vol*.nii.gz"), wildcards=False)

    @pytest.mark.parametrize("given", ["none*.nii.gz", "none.nii.gz"])
    def test_missing_files(self, files, given):
        with pytest.raises(ValueError, match="none"):
            check_niimg(files / given)

    @pytest.mark.parametrize("given", [3, None, VALUES, {"a": 1}, object()])
    def test_what_is_no_image(self, given):
        with pytest.raises(TypeError, match="an image must be a path or a nibabel image"):
            check_niimg(given)

    def test_what_is_no_image_in_a_list_is_named(self):
        with pytest.raises(ParameterTypeError, match="image 1 of the list"):
            check_niimg([image(), VALUES])
        with pytest.raises(ParameterTypeError, match="Got ndarray"):
            check_niimg_4d([image(), VALUES], return_iterator=True)


class TestDimensions:
    def test_3d_for_4d(self):
        with pytest.raises(DimensionError, match=r"must be 4D. Got 3D, shape \(4, 5, 6\)"):
            check_niimg_4d(image(VALUES[..., 0]))
        with pytest.raises(TypeError, match="must be 4D"):
            check_niimg(image(VALUES[..., 0]), return_iterator=True)

    def test_4d_for_3d(self):
        with pytest.raises(DimensionError, match=r"must be 3D. Got 4D.*index_img"):
            check_niimg_3d(image())

    def test_5d(self):
        five = image(VALUES[..., None])
        assert check_niimg(five) is five
        for use in (check_niimg_4d, concat_imgs, iter_img):
            with pytest.raises(TypeError, match=r"5D|list"):
                use(five)
        with pytest.raises(ParameterError, match="must be 3D or 4D"):
            mean_img(five)

    def test_a_list_of_4d_is_no_4d_image(self, files):
        with pytest.raises(DimensionError, match=r"Image 0 \(an image in memory.*4D"):
            check_niimg_4d([image(), image()])
        with pytest.raises(DimensionError, match=r"Image 1 \(an image in memory.*3D"):
            concat_imgs([image(), image(VALUES[..., 0])])
        with pytest.raises(DimensionError, match=r"Image 1 \(.*vol0.nii.gz\) is 3D"):
            concat_imgs([image(), files / "vol0.nii.gz"])

    def test_empty_lists(self):
        for use in (check_niimg, concat_imgs, check_niimg_4d, mean_img):
            with pytest.raises(TypeError, match="at least one image"):
                use([])
        with pytest.raises(ValueError, match="at least one image"):
            check_niimg([], return_iterator=True)


class TestGrids:
    def test_another_affine_is_named_with_index_and_file(self, files):
        other = image(VALUES[..., 0], AFFINE @ np.diag([-1.0, 1, 1, 1]))
        path = files / "other.nii.gz"
        nib.save(other, path)
        imgs = [image(VALUES[..., 0]), files / "vol1.nii.gz", path]
        for use in (check_niimg_4d, concat_imgs):
            with pytest.raises(GridMismatchError, match=r"Image 2 \(.*other.nii.gz\)"):
                use(imgs)
        with pytest.raises(ValueError, match=r"Image 2 \(.*other.nii.gz\)"):
            list(check_niimg_4d(imgs, return_iterator=True))

    def test_another_shape(self):
        with pytest.raises(GridMismatchError, match=r"shape \(4, 5, 5\)"):
            concat_imgs([image(), image(VALUES[:, :, :5])])


class TestIndices:
    @pytest.mark.parametrize("index", [7, -8, np.int64(7), [0, 7], np.ones(6, bool), slice(9, 12)])
    def test_outside(self, index):
        with pytest.raises(IndexError, match="an image in memory"):
            index_img(image(), index)

    @pytest.mark.parametrize("index", [None, True, 1.5, "1", [0.5], np.ones((2, 2), int), ...])
    def test_no_index(self, index):
        with pytest.raises(IndexError, match="the index must be a number, a slice"):
            index_img(image(), index)

    def test_a_range_and_a_tuple_are_lists(self):
        found = index_img(image(), range(5, 0, -2))
        np.testing.assert_array_equal(found.dataobj, VALUES[..., [5, 3, 1]])
        assert index_img(image(), (2, 4)).shape[3] == 2


class TestNewImages:
    def test_class_and_extensions_of_the_reference_are_kept(self, tmp_path):
        ref = nib.Nifti2Image(VALUES, AFFINE)
        ref.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept"))
        found = new_img_like(ref, VALUES[..., 0].astype("f4"))
        assert isinstance(found, nib.Nifti2Image)
        assert found.header.extensions[0].get_content() == b"kept"
        assert new_img_like([ref, 3], VALUES).shape == VALUES.shape

    def test_what_a_class_cannot_hold_becomes_nifti(self):
        ref = nib.MGHImage(VALUES.astype("f4"), AFFINE)
        assert isinstance(new_img_like(ref, VALUES.astype("f4")), nib.MGHImage)
        assert isinstance(new_img_like(ref, VALUES.astype("f8")), nib.Nifti1Image)

    def test_64_bit_integers(self):
        with pytest.warns(lv.LazyvoxWarning, match="stored as int32"):
            found = new_img_like(image(), VALUES.astype("i8"))
        assert found.get_data_dtype() == np.int32
        with pytest.warns(lv.LazyvoxWarning, match="do not fit int32"):
            found = new_img_like(image(), VALUES.astype("i8") << 40)
        assert found.get_data_dtype() == np.int64

    @pytest.mark.parametrize("ref", [VALUES, 3, []])
    def test_no_reference(self, ref):
        with pytest.raises(TypeError, match="`ref_niimg` must be an image"):
            new_img_like(ref, VALUES)

    def test_flags_are_booleans(self):
        with pytest.raises(TypeError, match="`copy_header` must be True or False"):
            new_img_like(image(), VALUES, copy_header=1)

    def test_copies_are_independent(self, files):
        original = image(VALUES.copy())
        copy = copy_img(original)
        copy.dataobj[...] = 0
        assert original.dataobj.any()
        assert not copy_img(lv.load(files / "vol0.nii.gz")).in_memory
        with pytest.raises(TypeError, match="must be a nibabel image"):
            copy_img(str(files / "vol0.nii.gz"))

    def test_parts_are_saved_in_their_stored_type(self, tmp_path):
        lv.save(image(VALUES.astype("f4")), tmp_path / "a.nii", dtype="i2", scale=(0.5, 3.0))
        part = index_img(tmp_path / "a.nii", slice(0, 3))
        part.to_filename(tmp_path / "b.nii")
        saved = lv.load(tmp_path / "b.nii").dataobj
        assert (saved.ondisk_dtype, saved.slope, saved.inter) == (np.int16, 0.5, 3.0)
        computed = concat_imgs([tmp_path / "a.nii"], dtype="f4")
        assert computed.get_data_dtype() == np.float32

    def test_get_data_is_kept_until_uncache(self, files):
        img = lv.load(files / "vol0.nii.gz")
        values = get_data(img)
        assert get_data(img) is values
        img.uncache()
        assert not img.in_memory
        memory = image()
        assert get_data(memory) is memory.dataobj
