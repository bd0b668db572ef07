"""`lazyvox info`, and `--check` on images that are damaged in every known way."""

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path

import lazyvox as lv
from lazyvox.cli.facts import describe_image
from lazyvox.testing.images import write_nifti

GOLDEN = """\
run.nii.gz
  format    NIfTI-1
  shape     12 x 14 x 10 x 40
  dtype     float32, little-endian
  scaling   none
  voxels    3 x 3 x 3 mm, RAS
  origin    -16.5 -19.5 -13.5 mm
  space     aligned (sform 2, qform 0)
  units     mm, sec
  t_r       2 s
  on disk   {stored}, gzip
  decoded   262.5 KiB
  memory    above what Python and its imports hold:
            about 787.5 KiB for get_fdata()
            about 525.0 KiB for nilearn's NiftiMasker
            {ours} and the result for lazyvox extract
"""


def test_text_says_what_the_image_is_and_what_loading_costs(lazyvox):
    done = lazyvox("info", "run.nii.gz")
    lines = done.out.splitlines()
    stored = lines[10].split("   ")[-1].removesuffix(", gzip")
    ours = lines[-1].strip().removesuffix(" and the result for lazyvox extract")
    assert done.out == GOLDEN.format(stored=stored, ours=ours)
    assert (done.code, done.err) == (0, "")


def test_scaled_integers_cost_more_in_memory_than_on_disk(lazyvox, folder):
    write_nifti(folder / "scaled.nii", np.ones((4, 4, 4, 10), "<i2"), slope=0.5)
    (image,) = json.loads(lazyvox("info", "scaled.nii", "--json").out)["images"]
    assert (image["slope"], image["inter"]) == (0.5, 0.0)
    assert image["decoded_bytes"] == 1280
    assert image["get_fdata_bytes"] == 5 * 1280
    assert image["nifti_masker_bytes"] == 9 * 1280


def test_json_lists_good_and_bad_images(lazyvox):
    done = lazyvox("info", "run.nii.gz", "absent.nii", "--json")
    assert done.code == 3
    good, bad = json.loads(done.out)["images"]
    assert (good["shape"], good["t_r"], good["error"]) == ([12, 14, 10, 40], 2.0, None)
    assert good["orientation"] == "RAS"
    assert "absent.nii: no such file" in bad["error"]


def test_fields_are_bare_values(lazyvox, folder):
    done = lazyvox("info", "--field", "n_volumes,t_r", "run.nii.gz", "mask.nii.gz")
    assert (done.code, done.out, done.err) == (0, "40\t2\n1\tn/a\n", "")
    done = lazyvox("info", "--field", "shape", "--field", "origin,space,path", "run.nii.gz")
    assert done.out == "12 14 10 40\t-16.5 -19.5 -13.5\taligned\trun.nii.gz\n"
    done = lazyvox("info", "--field", "affine", "run.nii.gz")
    assert np.array(done.out.split(), float).reshape(4, 4)[0].tolist() == [3, 0, 0, -16.5]
    done = lazyvox("info", "--field", "dtype", "run.nii.gz", "absent.nii")
    assert (done.code, done.out) == (3, "float32, little-endian\n")
    (image,) = json.loads(lazyvox("info", "--field", "t_r", "run.nii.gz", "--json").out)["images"]
    assert image == {"path": "run.nii.gz", "t_r": 2.0, "error": None}


def test_fields_that_are_none(lazyvox):
    done = lazyvox("info", "--field", "n_volume", "run.nii.gz")
    assert done.code == 2
    assert "--field must name facts: path, format, shape, n_volumes, dtype, slope" in done.err
    assert "Got 'n_volume'. Did you mean n_volumes?" in done.err
    done = lazyvox("info", "--field", "t_r", "run.nii.gz", "--explain")
    assert done.code == 2
    assert "Leave out one of them" in done.err


def test_place_and_text_of_a_header(lazyvox, folder):
    img = nib.Nifti1Image(np.zeros((2, 3, 4), "f4"), np.diag([-2.0, 3, 4, 1]))
    img.header["descrip"] = b"6.0\xe9 of FSL"
    img.set_sform(img.affine, 4)
    img.set_qform(img.affine, 1)
    img.header.set_xyzt_units("mm", "msec")
    nib.save(img, "odd.nii")
    (image,) = json.loads(lazyvox("info", "odd.nii", "--json").out)["images"]
    wanted = {
        "space": "mni",
        "sform_code": 4,
        "qform_code": 1,
        "units": "mm, msec",
        "description": "6.0é of FSL",
        "orientation": "LAS",
        "n_volumes": 1,
        "affine": [[-2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]],
    }
    assert {name: image[name] for name in wanted} == wanted


def test_types_of_afni_are_those_on_disk(lazyvox, folder):
    head = (Path(data_path) / "scaled+tlrc.HEAD").read_text()
    (image,) = json.loads(lazyvox("info", Path(data_path) / "scaled+tlrc.HEAD", "--json").out)[
        "images"
    ]
    assert "BRICK_FLOAT_FACS" in head
    assert image["dtype"].startswith("int16")
    assert image["space"] == "TLRC"
    assert image["slope"] == pytest.approx(3.883363e-08)


def test_intact_images_pass(lazyvox, folder):
    lazyvox("convert", "run.nii.gz", "run.nii")
    lazyvox("convert", "run.nii.gz", "run.mgz")
    done = lazyvox("info", "--check", "run.nii.gz", "run.nii", "run.mgz")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("passed: checksum, size, finite values") == 2
    assert done.out.count("passed: size, finite values") == 1


def damage(folder, kind):
    packed = (folder / "run.nii.gz").read_bytes()
    raw = bytearray(gzip.decompress(packed))
    if kind == "wrong checksum":
        (folder / "bad.nii.gz").write_bytes(packed[:-8] + bytes(4) + packed[-4:])
        return "bad.nii.gz"
    if kind == "cut gzip":
        (folder / "bad.nii.gz").write_bytes(packed[: len(packed) // 2])
        return "bad.nii.gz"
    if kind == "flipped bit":
        half = len(packed) // 2
        flipped = bytes([packed[half] ^ 4])
        (folder / "bad.nii.gz").write_bytes(packed[:half] + flipped + packed[half + 1 :])
        return "bad.nii.gz"
    if kind == "not a number":
        raw[352:356] = np.float32(np.nan).tobytes()
    elif kind == "sparse tail":
        raw[-20000:] = bytes(20000)
    elif kind == "cut":
        del raw[-5000:]
    (folder / "bad.nii").write_bytes(raw)
    return "bad.nii"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("wrong checksum", "CRC"),
        ("cut gzip", "ends"),
        ("flipped bit", "bad.nii.gz: "),
        ("not a number", "1 values are NaN or infinite"),
        ("sparse tail", "the last 3 of 40 volumes (8% of the voxels) are all zero"),
        ("cut", "263800 present"),
    ],
)
def test_check_finds(lazyvox, folder, kind, message):
    done = lazyvox("info", "--check", damage(folder, kind))
    assert done.code == 1
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.err.startswith("lazyvox: error: ")


@pytest.mark.filterwarnings("default")
def test_check_tells_of_bytes_behind_the_voxels(lazyvox, folder):
    raw = gzip.decompress((folder / "run.nii.gz").read_bytes())
    (folder / "long.nii.gz").write_bytes(gzip.compress(raw + bytes(3_000_000)))
    done = lazyvox("info", "--check", "long.nii.gz")
    assert done.code == 0
    assert "lazyvox: warning: " in done.err
    assert "2.9 MiB (3000000 bytes) follow the voxels" in done.err


@pytest.mark.filterwarnings("default")
def test_check_tells_of_a_volume_that_is_mostly_zero_at_its_end(lazyvox, folder):
    values = np.zeros((8, 8, 8), "<i2")
    values[..., :4] = 1
    write_nifti(folder / "half.nii", values)
    done = lazyvox("info", "--check", "half.nii")
    assert done.code == 0
    assert "the last 50% of the voxels are all zero" in done.err


def test_one_damaged_image_does_not_keep_the_others_from_being_checked(lazyvox, folder):
    bad = damage(folder, "wrong checksum")
    done = lazyvox("info", "--check", "mask.nii.gz", bad, "run.nii.gz")
    assert done.code == 3
    assert done.out.count("passed") == 2
    assert done.err.splitlines()[-1] == "lazyvox: error: 1 of 3 inputs failed: bad.nii.gz"


def test_only_damaged_images_are_a_failure(lazyvox, folder):
    bad = damage(folder, "cut gzip")
    assert lazyvox("info", "--check", bad, bad).code == 1


def test_check_keeps_to_a_small_budget(lazyvox):
    assert lazyvox("info", "--check", "run.nii.gz", "--memory", "1MB").code == 0


class Nothing(lv.Consumer):
    """Takes blocks and keeps nothing."""

    def init(self, grid):
        pass

    def update(self, block, start):
        pass

    def merge(self, other):
        pass

    def finalize(self):
        return None

    def state_bytes(self, grid):
        return 0


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", ">f8"])
@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_the_memory_of_a_pass_is_that_of_its_plan(tmp_path, dtype, slope):
    path = write_nifti(tmp_path / "run.nii", np.ones((40, 40, 30, 50), dtype), slope=slope)
    scan = lv.Scan(path)
    scan.add(Nothing())
    assert describe_image(str(path)).lazyvox_bytes == scan.plan(memory="9GB").peak_bytes


def test_a_plan_of_the_check_reads_nothing(lazyvox, folder):
    done = lazyvox("info", "run.nii.gz", "--check", "--explain")
    assert "passes     1\n" in done.out
    assert "check " not in done.out
    record = json.loads(lazyvox("info", "run.nii.gz", "--explain", "--json").out)
    assert record["images"][0]["plan"]["passes"] == 0
    assert record["images"][0]["plan"]["bytes_read"] == 0
