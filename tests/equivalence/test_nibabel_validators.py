"""nibabel's own validators of array proxies and images, run against lazyvox's.

The classes of `nibabel.tests.test_proxy_api` and `nibabel.tests.test_image_api` are filled with
lazy arrays and lazy images; every `validate_*` method of theirs becomes a test here. What does
not apply:

============================  ==================================================================
validator                     why
============================  ==================================================================
proxies: fileobj_isolated     Lazy arrays are opened by path and hold no file object whose
                              position could matter. The validator itself returns for paths.
proxies: dtype                Of scaled arrays nibabel's proxy names the stored type. `dtype` of a
                              lazy array is the type of the values that slicing returns, so that
                              NumPy's rules hold; `ondisk_dtype` is the stored one and is checked.
proxies: array_interface_...  Of complex voxels only: nibabel drops the imaginary part with a
  with_dtype                  warning, lazyvox refuses, which is checked.
proxies: makers of BytesIO    As for fileobj_isolated.
images: from_url              Needs a web server plugin that is no dependency; the method is
                              nibabel's own and unchanged.
images: get_data_deprecated   Expired in nibabel 5; nibabel skips it too.
images: MINC, PAR/REC, AFNI   Read through nibabel's proxies; compared file by file in
                              test_nibabel_images.py instead.
images: GIFTI, ECAT           Not on a voxel grid or not opened by `nibabel.load` as an image that
                              is lazy here.
proxies: MINC, ECAT, PAR/REC  As above: their proxies are nibabel's.
============================  ==================================================================
"""

import itertools

import nibabel as nib
import numpy as np
import pytest
from nibabel.tests import test_image_api as image_api
from nibabel.tests import test_proxy_api as proxy_api
from nibabel.volumeutils import apply_read_scaling

import lazyvox as lv
from lazyvox.lazyimage.classes import LAZY_CLASSES

# nibabel leaves files open here and there.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

AFFINE = np.diag([1.0, 2, 3, 1])


def write_pair(folder, header, data, offset):
    (folder / "a.hdr").write_bytes(header.binaryblock)
    (folder / "a.img").write_bytes(bytes(offset) + data)
    return folder / "a.img"


def write_single(folder, header, data, offset):
    """Write header and values into one file; the offset counts from behind the extension flag."""
    header["vox_offset"] = header.sizeof_hdr + 4 + offset
    (folder / "a.nii").write_bytes(header.binaryblock + bytes(4 + offset) + data)
    return folder / "a.nii"


def write_mgh(folder, header, data, offset):
    size = nib.freesurfer.mghformat.header_dtype.itemsize
    head, foot = header.binaryblock[:size], header.binaryblock[size:]
    (folder / "a.mgh").write_bytes(head.ljust(284, b"\0") + data + foot)
    return folder / "a.mgh"


class LazyProxies:
    """Fills nibabel's proxy validators with the arrays of files opened by lazyvox."""

    writer = staticmethod(write_pair)

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self._folder = tmp_path
        self._numbers = itertools.count()

    def obj_params(self):
        scalings = [(1.0, 0.0, 0)]
        if self.settable_offset:
            scalings += [(1.0, 0.0, 16)]
        if self.has_slope:
            inter = float(np.float32(2.7183)) if self.has_inter else 0.0
            scalings += [(float(np.float32(3.1416)), inter, 16)]
        # One scaling for each type and shape in turn, as every combination would take a minute.
        kinds = [
            (shape, kind, scalings[(i + j) % len(scalings)])
            for i, kind in enumerate(self.data_dtypes)
            for j, shape in enumerate(self.shapes)
        ]
        for shape, kind, (slope, inter, offset) in kinds:
            dtype = np.dtype(kind).newbyteorder(self.data_endian)
            stored = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
            yield self._case(stored, offset, slope, inter)

    def _case(self, stored, offset, slope, inter):
        header = self.header_class()
        header.set_data_dtype(stored.dtype)
        header.set_data_shape(stored.shape)
        if self.settable_offset:
            header["vox_offset"] = offset
        out = stored
        if (slope, inter) != (1, 0):
            header.set_slope_inter(slope, inter if self.has_inter else None)
            out = apply_read_scaling(stored, slope, inter)
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        path = self.writer(folder, header, stored.tobytes(order="F"), offset)

        def make():
            img = lv.load(path)
            return img.dataobj, str(path), img.header

        found = lv.load(path).dataobj.offset
        return make, {
            "dtype": stored.dtype,
            "dtype_out": out.dtype,
            "arr": stored,
            "arr_out": out,
            "shape": stored.shape,
            "offset": found if self.writer is not write_pair else offset,
            "slope": slope,
            "inter": inter,
        }

    def validate_array_interface_with_dtype(self, pmaker, params):
        if params["dtype_out"].kind != "c":
            super().validate_array_interface_with_dtype(pmaker, params)
            return
        with pytest.raises(lv.ParameterTypeError, match="without losing their imaginary part"):
            np.asarray(pmaker()[0], dtype=np.float64)

    def validate_dtype(self, pmaker, params):
        lazy = pmaker()[0]
        assert lazy.ondisk_dtype == params["dtype"]
        assert lazy.dtype == params["dtype_out"]
        with pytest.raises(AttributeError, match="dtype"):
            lazy.dtype = np.dtype("f8")


class TestAnalyzeArrays(LazyProxies, proxy_api.TestAnalyzeProxyAPI):
    pass


class TestSpm99Arrays(LazyProxies, proxy_api.TestSpm99AnalyzeProxyAPI):
    pass


class TestSpm2Arrays(LazyProxies, proxy_api.TestSpm2AnalyzeProxyAPI):
    pass


class TestNifti1PairArrays(LazyProxies, proxy_api.TestNifti1ProxyAPI):
    header_class = nib.nifti1.Nifti1PairHeader


class TestNifti1Arrays(LazyProxies, proxy_api.TestNifti1ProxyAPI):
    writer = staticmethod(write_single)


class TestNifti2Arrays(LazyProxies, proxy_api.TestNifti1ProxyAPI):
    header_class = nib.Nifti2Header
    writer = staticmethod(write_single)


class TestMGHArrays(LazyProxies, proxy_api.TestMGHAPI):
    writer = staticmethod(write_mgh)


class LazyImages:
    """Fills nibabel's image validators with images in memory and with images loaded lazily."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.tmp_path = tmp_path
        self._numbers = itertools.count()

    def setup_method(self):
        """Replace nibabel's fixture, which starts a web server."""

    def obj_params(self):
        kinds = itertools.cycle(self.storable_dtypes)
        for shape, dtype in zip(2 * self.example_shapes, kinds, strict=False):
            values = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
            yield self._in_memory(values), self._expected(values, AFFINE, is_proxy=False)
            make = self._loaded(values)
            # Plain Analyze has no place for an affine.
            affine = make().affine if self.klass is LAZY_CLASSES[nib.AnalyzeImage] else AFFINE
            yield make, self._expected(values, affine, is_proxy=True)

    def _expected(self, values, affine, *, is_proxy):
        return {
            "dtype": values.dtype.type,
            "affine": affine,
            "data": values,
            "shape": values.shape,
            "is_proxy": is_proxy,
        }

    def _in_memory(self, values):
        def make():
            header = self.klass.header_class()
            header.set_data_dtype(values.dtype)
            return self.klass(values.copy(), AFFINE, header)

        return make

    def _loaded(self, values):
        folder = self.tmp_path / f"source{next(self._numbers)}"
        folder.mkdir()
        path = folder / f"a{self.standard_extension}"
        plain = next(one for one, lazy in LAZY_CLASSES.items() if lazy is self.klass)
        header = plain.header_class()
        header.set_data_dtype(values.dtype)
        nib.save(plain(values, AFFINE, header), path)

        def make():
            img = lv.load(path)
            if isinstance(img, self.klass):
                return img
            # Nothing in the file tells plain Analyze and SPM99 from SPM2, for nibabel neither.
            assert isinstance(img, type(nib.load(path)))
            return self.klass(img.dataobj, img.affine, img.header)

        return make

    def validate_from_url(self, imaker, params):
        pytest.skip("needs a plugin for a web server")


class TestAnalyzeImages(LazyImages, image_api.TestAnalyzeAPI):
    klass = image_maker = LAZY_CLASSES[nib.AnalyzeImage]


class TestSpm99Images(LazyImages, image_api.TestSpm99AnalyzeAPI):
    klass = image_maker = LAZY_CLASSES[nib.Spm99AnalyzeImage]


class TestSpm2Images(LazyImages, image_api.TestSpm2AnalyzeAPI):
    klass = image_maker = LAZY_CLASSES[nib.Spm2AnalyzeImage]


class TestNifti1Pairs(LazyImages, image_api.TestNifti1PairAPI):
    klass = image_maker = LAZY_CLASSES[nib.Nifti1Pair]


class TestNifti1Images(LazyImages, image_api.TestNifti1API):
    klass = image_maker = LAZY_CLASSES[nib.Nifti1Image]


class TestNifti2Pairs(LazyImages, image_api.TestNifti2PairAPI):
    klass = image_maker = LAZY_CLASSES[nib.Nifti2Pair]


class TestNifti2Images(LazyImages, image_api.TestNifti2API):
    klass = image_maker = LAZY_CLASSES[nib.Nifti2Image]


class TestMGHImages(LazyImages, image_api.TestMGHAPI):
    klass = image_maker = LAZY_CLASSES[nib.MGHImage]


def test_all_validators_of_nibabel_are_run_or_explained():
    """A validator that a new nibabel brings shows here."""
    known = {
        "affine", "array_interface_with_dtype", "asarray", "data_interface", "dtype",
        "file_stream_equivalence", "filenames", "fileobj_isolated", "from_file_url", "from_url",
        "get_data_deprecated", "header", "header_isolated", "header_shape",
        "init_dtype_override", "is_proxy", "mmap_parameter", "ndim", "no_slicing",
        "path_maybe_image", "proxy_slicing", "shape", "slope_inter_offset", "to_file_dtype_override",
        "to_from_bytes", "to_from_stream",
    }  # fmt: skip
    ours = [one for name, one in globals().items() if name.startswith("Test")]
    found = {
        name.removeprefix("validate_")
        for one in ours
        for name in dir(one)
        if name.startswith("validate_")
    }
    assert found <= known
