"""Every file that nibabel ships with its tests reads as nibabel reads it, and round-trips."""

import functools
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.spatialimages import SpatialImage

import lazyvox as lv

FOLDER = Path(nib.__file__).parent / "tests" / "data"
# nibabel leaves files open here and there, and so does scipy's reader of MINC.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # nibabel says so of one of its own files.
    pytest.mark.filterwarnings("ignore:Invalid spacing declaration:UserWarning"),
]


@functools.cache
def readable_images():
    """Return the names of the files that nibabel opens as images on a voxel grid."""
    found = []
    for path in sorted(FOLDER.iterdir()):
        if not path.is_file() or path.suffix in {".py", ".m", ".dcm", ".trk", ".tck", ".rst"}:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                img = nib.load(path)
                if isinstance(img, SpatialImage):
                    np.asarray(img.dataobj)
                    found.append(path.name)
            except Exception:  # noqa: BLE001 - what nibabel cannot read is no yardstick
                continue
    return tuple(found)


STREAMED = ("anatomical.nii", "functional.nii", "standard.nii.gz", "example4d.nii.gz")


def both(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lv.load(FOLDER / name), nib.load(FOLDER / name)


def assert_same_image(ours, theirs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(theirs.dataobj)
        values = np.asarray(ours.dataobj)
    assert isinstance(ours, type(theirs))
    assert ours.shape == theirs.shape
    assert values.dtype == expected.dtype
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    return expected


@pytest.mark.parametrize("name", readable_images())
def test_values_affine_and_header_are_nibabels(name):
    ours, theirs = both(name)
    if not isinstance(ours, lv.LazyImage):
        pytest.skip(f"{type(ours).__name__} is handed on as nibabel makes it")
    assert_same_image(ours, theirs)
    assert ours.get_data_dtype() == theirs.get_data_dtype()
    assert type(ours.header) is type(theirs.header)
    np.testing.assert_array_equal(ours.header.get_zooms(), theirs.header.get_zooms())
    if hasattr(theirs.header, "binaryblock"):
        assert ours.header.binaryblock == theirs.header.binaryblock
    if hasattr(theirs.header, "extensions"):
        assert [one.get_content() for one in ours.header.extensions] == [
            one.get_content() for one in theirs.header.extensions
        ]
    assert str(ours.get_filename()) == str(theirs.get_filename())


@pytest.mark.parametrize("name", readable_images())
def test_slices_are_those_of_the_whole_array(name):
    ours, theirs = both(name)
    expected = np.asarray(theirs.dataobj)
    rng = np.random.default_rng(len(name))
    for _ in range(6):
        key = []
        for length in expected.shape:
            first, last = sorted(rng.integers(-length, length + 1, 2).tolist())
            step = int(rng.choice([1, 2, -1]))
            kinds = [
                slice(first, last, step),
                slice(last, first, -step),
                int(rng.integers(length)),
            ]
            key.append(kinds[rng.integers(3)])
        part = np.asarray(ours.dataobj[tuple(key)])
        np.testing.assert_array_equal(part, expected[tuple(key)])
        assert part.dtype == np.asarray(expected[tuple(key)]).dtype


@pytest.mark.parametrize("name", readable_images())
def test_saving_round_trips(name, tmp_path):
    ours, theirs = both(name)
    if not isinstance(ours, lv.LazyImage):
        pytest.skip(f"{type(ours).__name__} is handed on as nibabel makes it")
    values = np.asarray(theirs.dataobj)
    if name.endswith(".mnc") and values.ndim == 4:
        with pytest.raises(lv.ParameterError, match="time must be the last axis"):
            lv.save(ours, tmp_path / "copy.nii.gz")
        return
    lv.save(ours, tmp_path / "copy.nii.gz")
    back = nib.load(tmp_path / "copy.nii.gz")
    assert back.shape == theirs.shape
    # Formats with a scaling per slice cannot keep it: integers get the one scaling of NIfTI.
    is_rescaled = values.dtype.kind == "f" and back.get_data_dtype().kind in "iu"
    tolerance = 0.501 * abs(float(back.dataobj.slope)) if is_rescaled else 0
    np.testing.assert_allclose(np.asarray(back.dataobj), values, rtol=0, atol=tolerance)
    np.testing.assert_allclose(back.affine, theirs.affine, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in readable_images() if ".nii" in name or name.endswith(".mgz")]
)
def test_an_unchanged_image_keeps_every_bit_and_field(name, tmp_path):
    ours, theirs = both(name)
    ending = ".mgz" if name.endswith(".mgz") else "".join(Path(name).suffixes[-2:])
    lv.save(ours, tmp_path / f"copy{ending}")
    back = nib.load(tmp_path / f"copy{ending}")
    assert type(back) is type(theirs)
    np.testing.assert_array_equal(
        np.asarray(back.dataobj.get_unscaled()), np.asarray(theirs.dataobj.get_unscaled())
    )
    assert (back.dataobj.slope, back.dataobj.inter) == (theirs.dataobj.slope, theirs.dataobj.inter)
    for field in theirs.header:
        if field not in {"vox_offset", "scl_slope", "scl_inter", "magic"}:
            np.testing.assert_array_equal(back.header[field], theirs.header[field], err_msg=field)
    if hasattr(theirs.header, "extensions"):
        assert [(one.get_code(), one.get_content()) for one in back.header.extensions] == [
            (one.get_code(), one.get_content()) for one in theirs.header.extensions
        ]


@pytest.mark.parametrize("name", STREAMED)
def test_scans_see_the_same_voxels(name):
    ours, theirs = both(name)
    values = np.asarray(theirs.dataobj, dtype=np.float64)
    expected = values.mean(axis=-1) if values.ndim == 4 else values
    for source in (ours, theirs, FOLDER / name):
        np.testing.assert_allclose(lv.mean_img(source).dataobj, expected, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in readable_images() if name.endswith(".PAR")])
def test_foreign_formats_are_scanned_through_nibabel(name):
    ours, theirs = both(name)
    values = np.asarray(theirs.dataobj, dtype=np.float64)
    if values.ndim not in {3, 4}:
        pytest.skip("not 3D or 4D")
    expected = values.max(axis=-1) if values.ndim == 4 else values
    np.testing.assert_array_equal(lv.max_img(ours).dataobj, expected)


def test_there_are_files_to_compare():
    assert len(readable_images()) > 15
    assert set(STREAMED) <= set(readable_images())
