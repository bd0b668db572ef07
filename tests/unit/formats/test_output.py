"""Endings decide the format; headers keep what the format can hold."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.analyze import AnalyzeHeader
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Extension
from nibabel.spm99analyze import Spm99AnalyzeHeader

import lazyvox as lv
from lazyvox.errors import ParameterError
from lazyvox.formats.output import plan_output

AFFINE = np.array([[-2.0, 0.1, 0, 90], [0, 2.5, 0, -126], [0, 0.2, 3, -72], [0, 0, 0, 1]])


def plan(path="a.nii", **changes):
    options = {"header": None, "affine": AFFINE, "shape": (4, 5, 6, 7), "dtype": "<i2"}
    return plan_output(path, **{**options, **changes})


def rich_header(kind=nibabel.Nifti1Header, order=">"):
    header = kind(endianness=order)
    header.set_data_shape((4, 5, 6, 7))
    header.set_data_dtype("i2")
    header.set_zooms((2, 2.5, 3, 1.25))
    header.set_sform(AFFINE, 4)
    header.set_qform(AFFINE, 1)
    header.set_xyzt_units("mm", "msec")
    header.set_dim_info(1, 0, 2)
    header["descrip"], header["intent_name"], header["aux_file"] = b"words", b"zstat", b"none"
    header["cal_max"], header["toffset"], header["slice_code"] = 7.5, 1.5, 3
    header["intent_code"], header["intent_p1"] = 3, 12
    header.extensions.append(Nifti1Extension("comment", b"a comment of some length"))
    header.extensions.append(Nifti1Extension("afni", b"<xml/>"))
    return header


def fields(header, *, but=()):
    skipped = {"sizeof_hdr", "magic", "vox_offset", "eol_check", *but}
    return {key: header[key].tolist() for key in header if key not in skipped}


@pytest.mark.parametrize(
    ("path", "files", "text"),
    [
        ("a.nii", [("a.nii", "none")], "NIfTI-1, int16, 4 x 5 x 6 x 7"),
        ("d.x/a.b.NII.GZ", [("d.x/a.b.NII.GZ", "gzip")], "NIfTI-1, gzip, int16"),
        ("a.nii.bz2", [("a.nii.bz2", "bzip2")], "NIfTI-1, bzip2, int16"),
        ("a.nii.zst", [("a.nii.zst", "zstd")], "NIfTI-1, zstd, int16"),
        ("a.hdr", [("a.img", "none"), ("a.hdr", "none")], "NIfTI-1 pair, int16"),
        ("a.IMG", [("a.IMG", "none"), ("a.HDR", "none")], "NIfTI-1 pair, int16"),
        ("a.img.gz", [("a.img.gz", "gzip"), ("a.hdr.gz", "gzip")], "NIfTI-1 pair, gzip"),
        ("a.hdr.zst", [("a.img.zst", "zstd"), ("a.hdr.zst", "zstd")], "NIfTI-1 pair, zstd"),
        ("a.mgh", [("a.mgh", "none")], "MGH, int16"),
        ("a.MGZ", [("a.MGZ", "gzip")], "MGH, gzip, int16"),
        ("a.mgh.gz", [("a.mgh.gz", "gzip")], "MGH, gzip, int16"),
    ],
)
def test_endings(path, files, text):
    output = plan(path)
    assert list(output.files) == files
    assert output.description.startswith(text)
    assert output.n_values == 840


@pytest.mark.parametrize(
    "path", ["a", "a.gz", "a.txt", "a.nii.xz", "a.mgz.gz", "nii", ".gz", "a."]
)
def test_other_endings_are_refused(path):
    with pytest.raises(ParameterError, match=r"must end in \.nii, \.hdr, \.img or \.mgh"):
        plan(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_unchanged_header_is_written_bit_for_bit(kind, order):
    header = rich_header(kind, order)
    before = header.binaryblock
    output = plan("a.nii", header=header, affine=header.get_best_affine())
    made = kind(output.header[: header.sizeof_hdr])
    assert fields(made, but=["scl_slope", "scl_inter"]) == fields(
        header, but=["scl_slope", "scl_inter"]
    )
    assert made.endianness == header.endianness
    assert output.dtype == np.dtype(order + "i2")
    assert output.data_offset == len(output.header) == int(made["vox_offset"])
    assert header.binaryblock == before


def test_extensions_are_found_by_readers(tmp_path):
    header = rich_header()
    for path in ("a.nii", "a.hdr"):
        output = plan(path, header=header, affine=None)
        kinds = {"a.nii": nibabel.Nifti1Header, "a.hdr": nibabel.nifti1.Nifti1PairHeader}
        (tmp_path / path).write_bytes(output.header)
        with (tmp_path / path).open("rb") as stream:
            back = kinds[path].from_fileobj(stream)
        assert [(e.get_code(), e.content) for e in back.extensions] == [
            (6, b"a comment of some length"),
            (4, b"<xml/>"),
        ]


def test_conversion_between_nifti_kinds_keeps_fields():
    header = rich_header()
    pair = nibabel.nifti1.Nifti1PairHeader(plan("a.img", header=header, affine=None).header[:348])
    assert pair.endianness == header.endianness
    assert bytes(pair["magic"]) == b"ni1\0"
    assert fields(pair, but=["scl_slope", "scl_inter"]) == fields(
        header, but=["scl_slope", "scl_inter"]
    )
    output = plan("a.nii", header=rich_header(nibabel.Nifti2Header), affine=None)
    assert output.description.startswith("NIfTI-2,")
    assert (
        plan("a.img", header=rich_header(nibabel.Nifti2Header)).description[:12] == "NIfTI-2 pair"
    )


def test_a_long_axis_becomes_nifti2_with_all_fields():
    header = rich_header()
    output = plan(header=header, affine=None, shape=(40000, 2, 1, 7))
    made = nibabel.Nifti2Header(output.header[:540])
    assert made.get_data_shape() == (40000, 2, 1, 7)
    skipped = ["scl_slope", "scl_inter", "dim"]
    common = {key: value for key, value in fields(header, but=skipped).items() if key in made}
    assert {key: made[key].tolist() for key in common} == common
    assert made.get_xyzt_units() == ("mm", "msec")


def test_a_new_affine_is_set_the_way_nibabel_does():
    header = rich_header()
    other = AFFINE.copy()
    other[:3, 3] += 5
    made = nibabel.Nifti1Header(plan(header=header, affine=other).header[:348])
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6, 7), "i2"), other, header)
    for key in ("sform_code", "qform_code", "srow_x", "quatern_b", "qoffset_x", "pixdim"):
        assert np.array_equal(made[key], image.header[key]), key
    assert (int(made["sform_code"]), int(made["qform_code"])) == (2, 0)


def test_codes_of_an_unchanged_affine_stay_even_when_zero():
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 5, 6))
    output = plan(header=header, affine=header.get_best_affine(), shape=(4, 5, 6))
    made = nibabel.Nifti1Header(output.header[:348])
    assert (int(made["sform_code"]), int(made["qform_code"])) == (0, 0)


def test_scaling_is_reported_as_it_will_be_read():
    output = plan(slope=0.1, inter=3)
    assert (output.slope, output.inter) == (float(np.float32(0.1)), 3.0)
    assert plan(header=rich_header(nibabel.Nifti2Header), slope=0.1).slope == 0.1
    made = nibabel.Nifti1Header(plan().header[:348])
    assert (float(made["scl_slope"]), float(made["scl_inter"])) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("slope", "inter"), [(0, 0), (1e-60, 0), (1e60, 0), (np.nan, 0), (1, np.inf)]
)
def test_scaling_that_cannot_be_stored(slope, inter):
    with pytest.raises(ParameterError, match="slope must be finite and not zero"):
        plan(slope=slope, inter=inter)


def test_scaling_where_the_format_has_none():
    with pytest.raises(ParameterError, match=r"Got slope 2\.0 and inter 0\.0 for MGH"):
        plan("a.mgz", slope=2)
    colour = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert plan(dtype=colour).dtype == colour
    with pytest.raises(ParameterError, match="Colours must not be scaled"):
        plan(dtype=colour, slope=2)


@pytest.mark.parametrize(
    ("path", "dtype", "text"),
    [
        ("a.nii", "f2", r"NIfTI-1 can store: uint8.*float64.*Got float16"),
        ("a.nii", "U3", "Got str96"),
        ("a.mgz", "f8", "MGH can store: uint8, int16, int32, float32. Got float64"),
        ("a.mgz", "u2", "MGH can store"),
    ],
)
def test_types_that_the_format_lacks(path, dtype, text):
    with pytest.raises(ParameterError, match=text):
        plan(path, dtype=dtype)


def test_types_that_are_taken():
    assert plan(dtype=bool).dtype == np.uint8
    for dtype in ("i8", "u8", "u4", "c16", "f8"):
        assert plan(dtype=dtype).dtype == np.dtype(dtype)
    assert plan("a.mgh", dtype="<f4").dtype == np.dtype(">f4")


@pytest.mark.parametrize("shape", [(), (1,) * 8])
def test_shapes_that_no_format_holds(shape):
    with pytest.raises(ParameterError, match="1 to 7 axes"):
        plan(shape=shape)


def test_images_without_voxels_are_written_where_nibabel_writes_them(tmp_path):
    img = nibabel.Nifti1Image(np.empty((2, 3, 4, 0), np.float32), np.eye(4))
    for name in ("empty.nii", "empty.nii.gz"):
        lv.save(img, tmp_path / name)
        assert nibabel.load(tmp_path / name).shape == (2, 3, 4, 0)
    with pytest.raises(ParameterError, match="at least one voxel"):
        plan("empty.mgz", shape=(4, 0, 3))


def test_shapes_and_affines_that_are_refused():
    with pytest.raises(ParameterError, match="MGH holds at most 4 axes"):
        plan("a.mgh", shape=(2, 2, 2, 2, 2))
    with pytest.raises(ParameterError, match=r"a\.nii.*of shape \(4, 4\)"):
        plan(affine=np.eye(3))
    for affine in (np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)):
        with pytest.raises(ParameterError, match=r"a\.mgh.*voxel size above zero"):
            plan("a.mgh", affine=affine)


@pytest.mark.parametrize("affine", [np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)])
def test_an_sform_holds_any_affine(affine):
    header = nibabel.Nifti1Header(plan(affine=affine).header[:348])
    np.testing.assert_array_equal(header.get_sform()[:3], affine[:3])
    assert int(header["qform_code"]) == 0


def test_time_between_nifti_and_mgh_keeps_its_unit():
    header = rich_header()
    header.set_xyzt_units("mm", "sec")
    output = plan("a.mgz", header=header, affine=None)
    mgh = MGHHeader(output.header[:90] + output.footer)
    assert float(mgh["tr"]) == 1250.0
    assert np.allclose(mgh.get_affine(), AFFINE, atol=1e-4)
    back = nibabel.Nifti1Header(plan("a.nii", header=mgh, affine=mgh.get_affine()).header[:348])
    assert back.get_zooms()[3] == 1.25
    assert back.get_xyzt_units() == ("mm", "sec")
    assert int(back["sform_code"]) == 2


def test_an_mgh_header_is_kept_with_its_footer():
    header = MGHHeader()
    header.set_data_shape((4, 5, 6, 7))
    header["tr"], header["te"], header["flip_angle"], header["dof"] = 2000, 30, 1.5, 9
    output = plan("a.mgh", header=header, affine=header.get_affine(), dtype="f4")
    assert output.header[:90] == header.binaryblock[:90]
    assert output.footer == header.binaryblock[-20:]
    assert output.data_offset == len(output.header) == 284


@pytest.mark.parametrize("kind", [AnalyzeHeader, Spm99AnalyzeHeader])
def test_analyze_stays_analyze_where_it_holds_everything(kind):
    header = kind()
    header.set_data_shape((4, 5, 6))
    header.set_zooms((2, 3, 4))
    header["descrip"] = b"words"
    own = {"header": header, "shape": (4, 5, 6), "affine": header.get_best_affine()}
    output = plan("a.img", **own)
    assert output.description.startswith("Analyze pair")
    assert kind(output.header)["descrip"] == b"words"
    for change in ({"affine": AFFINE}, {"inter": 3}, {"dtype": "u2"}):
        changed = plan("a.img", **{**own, **change})
        assert changed.description.startswith("NIfTI-1 pair")
    single = nibabel.Nifti1Header(plan("a.nii", **own).header[:348])
    assert single["descrip"] == b"words"
    assert np.allclose(single.get_best_affine(), header.get_best_affine())
    assert int(single["sform_code"]) == 2


def test_headers_of_real_files_survive():
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    for name in ("example4d.nii.gz", "anatomical.nii", "example_nifti2.nii.gz"):
        image = nibabel.load(folder / name)
        output = plan(
            "a.nii",
            header=image.header,
            affine=image.affine,
            shape=image.shape,
            dtype=image.get_data_dtype(),
        )
        kind = type(image.header)
        made = kind(output.header[: image.header.sizeof_hdr])
        skipped = ["scl_slope", "scl_inter"]
        assert fields(made, but=skipped) == fields(image.header, but=skipped)
