"""Files written block by block are read back by nibabel bit for bit."""

import gzip
import tracemalloc

import nibabel
import numpy as np
import pytest

from lazyvox.errors import OutputExistsError, ScalingError
from lazyvox.formats.encode import auto_scale
from lazyvox.formats.output import plan_output
from lazyvox.formats.writer import ENCODING_BYTES, ImageWriter
from lazyvox.testing import own_threads

SHAPE = (7, 5, 4, 6)
AFFINE = np.array([[-2.0, 0.1, 0, 90], [0, 2.5, 0, -126], [0, 0.2, 3, -72], [0, 0, 0, 1]])
NIFTI_TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16"]
ENDINGS = ["nii", "nii.gz", "nii.bz2", "nii.zst", "hdr", "img.gz", "NII.GZ"]


def random_values(dtype, shape=SHAPE):
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    values = np.frombuffer(np.random.default_rng(1).bytes(size), kind).reshape(shape, order="F")
    return np.nan_to_num(values) if kind.kind in "fc" else values


def write(path, values, *, blocks=None, header=None, options=None, **spec):
    known = {"header": header, "affine": AFFINE, "shape": values.shape, "dtype": values.dtype}
    output = plan_output(str(path), **{**known, **spec})
    with ImageWriter(output, **(options or {})) as writer:
        for block in blocks if blocks is not None else np.moveaxis(values, -1, 0):
            writer.write(block)
        writer.commit()
    return output


def stored_values(path):
    image = nibabel.load(path)
    return np.asarray(image.dataobj.get_unscaled())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["u1", ">i2", "f4"])
def test_every_ending_is_read_back(tmp_path, ending, dtype):
    values = random_values(dtype)
    write(tmp_path / f"a.{ending}", values)
    image = nibabel.load(tmp_path / f"a.{ending}")
    assert np.array_equal(np.asarray(image.dataobj), values)
    assert np.allclose(image.affine, AFFINE)
    assert image.shape == SHAPE


@pytest.mark.parametrize("dtype", NIFTI_TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_in_both_byte_orders(tmp_path, dtype, order):
    values = random_values(dtype)
    header = nibabel.Nifti1Header(endianness=order)
    write(tmp_path / "a.nii", values, header=header)
    back = stored_values(tmp_path / "a.nii")
    assert back.tobytes() == values.astype(np.dtype(order + dtype)).tobytes()


@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
def test_an_unchanged_copy_has_the_bytes_of_the_input(tmp_path, kind):
    header = kind(endianness=">")
    header.set_data_shape(SHAPE)
    header.set_data_dtype("i2")
    header.set_sform(AFFINE, 1)
    header.set_qform(AFFINE, 4)
    header["scl_slope"], header["scl_inter"] = 0.25, -3
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"kept"))
    values = random_values(">i2")
    with (tmp_path / "a.nii").open("wb") as stream:
        header.write_to(stream)
        stream.write(values.tobytes(order="F"))
    read = nibabel.load(tmp_path / "a.nii")
    output = plan_output(
        str(tmp_path / "b.nii"),
        header=read.header,
        affine=read.affine,
        shape=SHAPE,
        dtype=values.dtype,
        slope=0.25,
        inter=-3,
    )
    with ImageWriter(output) as writer:
        writer.write(values * 0.25 - 3)
        writer.commit()
    assert (tmp_path / "b.nii").read_bytes() == (tmp_path / "a.nii").read_bytes()


@pytest.mark.parametrize("path", ["a.mgh", "a.mgz", "a.mgh.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_mgh(tmp_path, path, dtype):
    values = random_values(dtype)
    header = nibabel.freesurfer.mghformat.MGHHeader()
    header.set_data_shape(SHAPE)
    header["tr"], header["te"] = 2000, 30
    write(tmp_path / path, values, header=header)
    content = (tmp_path / path).read_bytes()
    # From bytes: nibabel leaves an uncompressed MGH file open.
    decoded = content if path == "a.mgh" else gzip.decompress(content)
    image = nibabel.MGHImage.from_bytes(decoded)
    assert np.array_equal(np.asarray(image.dataobj), values)
    assert np.allclose(image.affine, AFFINE, atol=1e-4)
    assert (float(image.header["tr"]), float(image.header["te"])) == (2000, 30)


def test_analyze(tmp_path):
    header = nibabel.AnalyzeHeader(endianness=">")
    header.set_data_shape(SHAPE)
    header.set_zooms((2, 3, 4, 1))
    values = random_values("i2")
    write(tmp_path / "a.hdr", values, header=header, affine=header.get_best_affine())
    image = nibabel.AnalyzeImage.from_filename(tmp_path / "a.img")
    assert np.array_equal(np.asarray(image.dataobj), values)
    assert image.header.get_zooms() == (2, 3, 4, 1)


@pytest.mark.parametrize("ending", ["nii.gz", "hdr"])
def test_colours(tmp_path, ending):
    values = random_values([("R", "u1"), ("G", "u1"), ("B", "u1")])
    write(tmp_path / f"a.{ending}", values)
    assert np.array_equal(np.asarray(nibabel.load(tmp_path / f"a.{ending}").dataobj), values)


def blocks_of(values, name):
    return {
        "volumes": list(np.moveaxis(values, -1, 0)),
        "pairs of volumes": [values[..., i : i + 2] for i in range(0, 6, 2)],
        "whole": [values],
        "flat": [values.ravel(order="F")],
        "values": list(values.ravel(order="F")[:, None]),
        "with an empty one": [values[..., :3], values[..., :0], values[..., 3:]],
    }[name]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "name", ["volumes", "pairs of volumes", "whole", "flat", "values", "with an empty one"]
)
def test_blocks_of_any_form_and_memory_order(tmp_path, order, name):
    values = np.array(random_values("i2"), order=order)
    write(tmp_path / "a.nii", values, blocks=blocks_of(values, name))
    assert np.array_equal(stored_values(tmp_path / "a.nii"), values)


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_larger_than_a_piece(tmp_path, order):
    rng = np.random.default_rng(0)
    values = np.array(rng.integers(0, 99, (70, 60, 50, 2), dtype="u1"), order=order)
    for shown in (values, values[::-1, :, ::2], values.transpose(3, 1, 0, 2)):
        write(tmp_path / "a.nii", shown, blocks=[shown])
        assert np.array_equal(stored_values(tmp_path / "a.nii"), shown)


def test_automatic_scaling_is_read_back_within_half_a_step(tmp_path):
    values = np.random.default_rng(0).normal(100, 30, SHAPE)
    slope, inter = auto_scale(values.min(), values.max(), np.dtype("i2"))
    write(tmp_path / "a.nii.gz", values, dtype="i2", slope=slope, inter=inter)
    back = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    assert np.abs(back - values).max() <= slope / 2 * (1 + 1e-6)


def test_stored_values_of_a_scaled_image_are_copied_bit_for_bit(tmp_path):
    values = random_values("i2")
    output = plan_output(
        str(tmp_path / "a.nii"),
        header=None,
        affine=AFFINE,
        shape=SHAPE,
        dtype="i2",
        slope=1e-3,
        inter=1e6,
    )
    with ImageWriter(output) as writer:
        writer.write_stored(values)
        writer.commit()
    image = nibabel.load(tmp_path / "a.nii")
    assert np.array_equal(image.dataobj.get_unscaled(), values)
    assert (image.dataobj.slope, image.dataobj.inter) == (float(np.float32(1e-3)), 1e6)


def test_values_that_do_not_fit_leave_the_old_file(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"old")
    values = np.full(SHAPE, 300.0)
    with pytest.raises(ScalingError, match=r"uint8 \(0 to 255\)"):
        write(tmp_path / "a.nii", values, dtype="u1")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii"]
    assert (tmp_path / "a.nii").read_bytes() == b"old"


@pytest.mark.parametrize("n_blocks", [5, 7])
def test_too_few_or_too_many_values_are_a_bug(tmp_path, n_blocks):
    values = random_values("i2")
    blocks = [values[..., 0]] * n_blocks
    with pytest.raises(AssertionError, match=r"bug in lazyvox: .* must get 840 values") as caught:
        write(tmp_path / "a.hdr", values, blocks=blocks)
    assert f"it got {140 * n_blocks}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("existing", ["a.hdr", "a.img"])
def test_a_pair_is_refused_when_one_of_its_files_exists(tmp_path, existing):
    (tmp_path / existing).write_bytes(b"old")
    with pytest.raises(OutputExistsError, match=f"{existing}: the output must not exist yet"):
        write(tmp_path / "a.hdr", random_values("i2"), options={"overwrite": False})
    assert [p.name for p in tmp_path.iterdir()] == [existing]


def test_bytes_do_not_depend_on_threads(tmp_path):
    values = np.random.default_rng(0).integers(0, 200, (64, 64, 40, 20), dtype="i2")
    threads = own_threads()
    for n_threads in (1, 2, 4):
        options = {"n_threads": n_threads}
        write(tmp_path / f"{n_threads}.nii.gz", values, options=options)
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1
    assert own_threads() == threads


@pytest.mark.parametrize("order", "FC")
@pytest.mark.parametrize(
    ("values", "stored", "slope"),
    [
        ("f8", "i2", 0.5),
        ("f8", "u1", 1),
        ("f4", "f8", None),
        ("i2", ">f4", None),
        ("c16", "c8", None),
    ],
)
def test_values_are_encoded_in_the_memory_that_is_said(tmp_path, values, stored, slope, order):
    block = np.ones((250, 200, 100), values, order=order)
    spec = {"dtype": stored, "slope": slope, "inter": None if slope is None else 0}
    write(tmp_path / "first.nii", block[:2], blocks=[block[:2]], **spec)
    tracemalloc.start()
    write(tmp_path / "a.nii", block, blocks=[block], **spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ENCODING_BYTES / 16 < peak <= ENCODING_BYTES < block.nbytes


def test_memory_is_known_before(tmp_path):
    output = plan_output(
        str(tmp_path / "a.nii.gz"), header=None, affine=AFFINE, shape=SHAPE, dtype="i2"
    )
    with ImageWriter(output) as one, ImageWriter(output, n_threads=4) as four:
        assert 0 < one.memory_bytes < four.memory_bytes < 100 << 20
        assert one.n_written == 0
