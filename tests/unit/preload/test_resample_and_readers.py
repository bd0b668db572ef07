"""`LazyResampleVolume`, and what is read from files that are no images."""

import pickle
import sys
import types

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import resample_img, resample_to_img
from lazyvox.preload import Annotation, Surface, register_reader
from lazyvox.preload.readers import Readers, reader_of
from lazyvox.testing import write_nifti

SHAPE = (6, 7, 8)
AFFINE = np.array([[2.0, 0, 0, -5], [0, 2, 0, -6], [0, 0, 2.5, 3], [0, 0, 0, 1]])
TURNED = np.array([[1.4, -1.4, 0, 0], [1.4, 1.4, 0, -8], [0, 0, 2, 4], [0, 0, 0, 1]])


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    return write_nifti(tmp_path / "img.nii.gz", values, affine=AFFINE)


@pytest.fixture
def target(tmp_path):
    return write_nifti(tmp_path / "target.nii", np.zeros((7, 6, 5), "u1"), affine=TURNED)


def assert_same(found, expected):
    assert np.array_equal(found.affine, expected.affine)
    assert np.array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
    assert isinstance(found.dataobj, np.ndarray)


class TestResampling:
    @pytest.mark.parametrize("interpolation", ["continuous", "linear", "nearest"])
    def test_equals_the_function(self, path, target, interpolation):
        expected = resample_to_img(path, target, interpolation)
        for given in (target, nib.load(target), lv.load(target), lv.LazyReadData(target)):
            lazy = lv.LazyResampleVolume(path, given, interpolation=interpolation)
            assert_same(lazy.data, expected)
        grid = {"target_affine": TURNED, "target_shape": (7, 6, 5)}
        lazy = lv.LazyResampleVolume(path, interpolation=interpolation, **grid)
        assert_same(lazy.data, resample_img(path, interpolation=interpolation, **grid))

    def test_cubic_is_continuous(self, path, target):
        assert_same(
            lv.LazyResampleVolume(path, target, interpolation="cubic").data,
            resample_to_img(path, target),
        )

    def test_the_type_of_the_voxels(self, path, target):
        found = lv.LazyResampleVolume(path, target, dtype="f8").data
        expected = resample_to_img(path, target)
        assert np.asarray(found.dataobj).dtype == np.float64
        assert np.array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))

    def test_an_affine_without_a_shape(self, path):
        lazy = lv.LazyResampleVolume(path, target_affine=np.eye(3) * 3)
        assert_same(lazy.data, resample_img(path, np.eye(3) * 3))

    @pytest.mark.parametrize("source", [nib.load, lv.load, lv.LazyReadData], ids=["n", "l", "r"])
    def test_sources_that_are_images(self, path, target, source):
        assert_same(
            lv.LazyResampleVolume(source(path), target).data, resample_to_img(path, target)
        )

    @pytest.mark.parametrize("nops", [1, "auto"])
    def test_operations_release_and_pickle(self, path, target, nops):
        lazy = lv.LazyResampleVolume(path, target, interpolation="linear", nops=nops)
        again = pickle.loads(pickle.dumps(lazy))
        expected = np.asarray(resample_to_img(path, target, "linear").dataobj)
        assert np.array_equal((lazy + again).data.dataobj, expected + expected)
        assert not lazy.preloading()
        assert not again.preloading()

    def test_a_matrix_moves_the_image(self, path, target):
        move = np.eye(4)
        move[:3, 3] = 1, 2, 3
        source = nib.load(path)
        moved = nib.Nifti1Image(np.asarray(source.dataobj), move @ AFFINE)
        found = lv.LazyResampleVolume(path, target, interpolation="linear", transform=move).data
        assert_same(found, resample_to_img(moved, target, "linear"))
        own_grid = lv.LazyResampleVolume(path, interpolation="linear", transform=move).data
        assert_same(own_grid, resample_img(moved, AFFINE, SHAPE, "linear"))

    def test_a_transform_of_nitransforms_maps_the_other_way(self, path, target):
        class Affine:
            matrix = np.linalg.inv(np.array(move_by(1, 2, 3)))

            def map(self, points):
                raise AssertionError

        found = lv.LazyResampleVolume(path, target, interpolation="linear", transform=Affine())
        expected = lv.LazyResampleVolume(
            path, target, interpolation="linear", transform=move_by(1, 2, 3)
        )
        assert np.allclose(found.data.dataobj, expected.data.dataobj, atol=1e-3)

    def test_a_warp_goes_through_nitransforms(self, path, target, monkeypatch):
        calls = []

        class Warp:
            def map(self, points):
                raise AssertionError

        def apply(transform, img, reference, order):
            calls.append((type(transform), img.shape, reference.shape, order))
            values = np.full(reference.shape, 7, "f4")
            return nib.Nifti1Image(values, reference.affine)

        module = types.ModuleType("nitransforms.resampling")
        module.apply = apply
        monkeypatch.setitem(sys.modules, "nitransforms", types.ModuleType("nitransforms"))
        monkeypatch.setitem(sys.modules, "nitransforms.resampling", module)
        found = lv.LazyResampleVolume(path, target, transform=Warp(), interpolation="linear").data
        assert calls == [(Warp, SHAPE, (7, 6, 5), 1)]
        assert (found.dataobj == 7).all()
        assert np.allclose(found.affine, TURNED)

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"interpolation": "best"}, ValueError, "`interpolation` must be one of"),
            ({"target_img": "a.nii", "target_shape": (1, 1, 1)}, ValueError, "Got both"),
            ({"transform": np.eye(3)}, ValueError, "invertible matrix of shape"),
            ({"transform": np.zeros((4, 4))}, ValueError, "invertible matrix of shape"),
            ({"transform": object()}, TypeError, "`transform` must be a matrix"),
        ],
    )
    def test_arguments_are_checked_at_once(self, arguments, error, text):
        with pytest.raises(error, match=text):
            lv.LazyResampleVolume("x.nii", **arguments)


def move_by(*millimetres):
    move = np.eye(4)
    move[:3, 3] = millimetres
    return move


def gifti(path, *columns, intent="NIFTI_INTENT_SHAPE"):
    arrays = [
        nib.gifti.GiftiDataArray(column, intent=intent, datatype=column.dtype.name)
        for column in columns
    ]
    nib.save(nib.gifti.GiftiImage(darrays=arrays), path)
    return path


class TestReaders:
    def test_textures_of_gifti(self, tmp_path):
        x, y = (np.arange(5, dtype="f4") + n for n in (1, 7))
        a = lv.LazyReadData(gifti(tmp_path / "a.shape.gii", x, y), 1)
        b = lv.LazyReadData(gifti(tmp_path / "b.shape.gii", y, x), 1)
        found = (2 * a + b / a).data
        assert np.allclose(found.darrays[0].data, 2 * x + y / x)
        assert np.allclose(found.darrays[1].data, 2 * y + x / y)
        assert found.darrays[0].data.dtype == np.float32
        assert not a.preloading()
        assert (-a).data.darrays[0].data[0] == -1
        other = lv.LazyReadData(gifti(tmp_path / "c.shape.gii", x[:3], y[:3]))
        with pytest.raises(lv.GridMismatchError, match="as many data arrays of the same shapes"):
            a + other

    def test_surfaces_of_gifti_have_no_arithmetic(self, tmp_path):
        points = np.random.default_rng(0).normal(size=(5, 3)).astype("f4")
        path = gifti(tmp_path / "a.surf.gii", points, intent="NIFTI_INTENT_POINTSET")
        lazy = lv.LazyReadData(path)
        assert np.allclose(lazy.data.darrays[0].data, points)
        with pytest.raises(TypeError, match=r"`\+` needs images, .* Got a surface \(GiftiImage\)"):
            lazy + 1
        with pytest.raises(TypeError, match="Got a surface"):
            abs(lazy)

    def test_freesurfer(self, tmp_path):
        vertices = np.random.default_rng(0).normal(size=(6, 3)).astype("f4")
        faces = np.array([[0, 1, 2], [3, 4, 5]])
        nib.freesurfer.write_geometry(tmp_path / "lh.pial", vertices, faces)
        thickness = np.arange(6, dtype="f4")
        nib.freesurfer.write_morph_data(tmp_path / "lh.thickness", thickness)
        colors = np.array([[0, 0, 0, 0, 0], [25, 5, 25, 0, 1639705]])
        nib.freesurfer.write_annot(
            tmp_path / "lh.aparc.annot", np.zeros(6, int), colors, ["a", "b"], fill_ctab=True
        )
        surface = lv.LazyReadData(tmp_path / "lh.pial")
        assert type(surface.data) is Surface
        assert np.allclose(surface.vertices, vertices)
        assert np.array_equal(surface.faces, faces)
        with pytest.raises(TypeError, match="Got a Surface and a int"):
            surface + 1
        annotation = lv.LazyReadData(tmp_path / "lh.aparc.annot")
        assert type(annotation.data) is Annotation
        assert annotation.names == [b"a", b"b"]
        with pytest.raises(TypeError, match="Got a Annotation"):
            annotation * 2
        texture = lv.LazyReadData(tmp_path / "lh.thickness", 1)
        assert np.allclose((texture + texture).data, thickness * 2)
        assert not texture.preloading()

    def test_cifti(self, tmp_path):
        names = {}
        for name, voxels in (("a", [0, 1, 3]), ("b", [0, 1, 3]), ("c", [0, 1, 2])):
            mask = np.zeros(8, bool)
            mask[voxels] = True
            axes = (
                nib.cifti2.ScalarAxis([name]),
                nib.cifti2.BrainModelAxis.from_mask(mask, "cortex_left"),
            )
            values = np.array([[1, 2, 3]], "f4")
            names[name] = tmp_path / f"{name}.dscalar.nii"
            nib.save(nib.Cifti2Image(values, nib.Cifti2Header.from_axes(axes)), names[name])
        a, b, c = (lv.LazyReadData(names[name], 1) for name in "abc")
        found = (a + b * 2).data
        assert isinstance(found, nib.Cifti2Image)
        assert np.asarray(found.dataobj).tolist() == [[3, 6, 9]]
        assert found.header.get_axis(0).name.tolist() == ["a"]
        with pytest.raises(lv.GridMismatchError, match="must share their brain models"):
            a + c
        assert lv.LazyReadData(names["a"], dtype="f8").data.get_fdata().dtype == np.float64

    @pytest.mark.parametrize("ending", ["trk", "tck"])
    def test_tractograms(self, tmp_path, ending):
        lines = [np.array([[0, 0, 0], [1, 1, 1]], "f4"), np.ones((3, 3), "f4")]
        tractogram = nib.streamlines.Tractogram(lines, affine_to_rasmm=np.eye(4))
        nib.streamlines.save(tractogram, str(tmp_path / f"t.{ending}"))
        lazy = lv.LazyReadData(tmp_path / f"t.{ending}")
        assert [len(line) for line in lazy.streamlines] == [2, 3]
        lazy.release()
        with pytest.raises(TypeError, match="needs images, textures"):
            lazy + lazy

    def test_transforms_need_their_package(self, tmp_path, monkeypatch):
        for module in ("nitransforms", "nitransforms.linear", "nitransforms.manip"):
            monkeypatch.setitem(sys.modules, module, None)
        (tmp_path / "t.mat").write_text("1 0 0 0\n")
        for ending in ("tfm", "mat", "lta", "h5", "x5"):
            lazy = lv.LazyReadData(tmp_path / f"t.{ending}")
            with pytest.raises(lv.MissingDependencyError, match=r"`pip install nitransforms`"):
                _ = lazy.data

    def test_own_readers(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Readers, "own", {})
        np.savetxt(tmp_path / "a.numbers.txt", [1, 2])
        register_reader(".Numbers.txt", np.loadtxt)
        lazy = lv.LazyReadData(tmp_path / "a.numbers.TXT".lower(), dtype="f4")
        assert (lazy + 1).data.tolist() == [2, 3]
        assert reader_of("b.txt") is not np.loadtxt
        with pytest.raises(ValueError, match="`ending` must begin with a point"):
            register_reader("txt", np.loadtxt)
        with pytest.raises(TypeError, match="`reader` must be a function"):
            register_reader(".x", 7)

    def test_a_type_without_values_has_no_dtype(self, tmp_path):
        lazy = lv.LazyReadData("x", reader=lambda name: {}, dtype="f4")
        with pytest.raises(ValueError, match="x: `dtype` can be set for images, arrays and CIFTI"):
            _ = lazy.data

    def test_objects_with_operators_of_their_own(self):
        lazy = lv.LazyReadData("x", 1, lambda name: [1, 2])
        assert (lazy * 2).data == [1, 2, 1, 2]
        with pytest.raises(TypeError, match="Got a list and a list"):
            lazy - [3]
