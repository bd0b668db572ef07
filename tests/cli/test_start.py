"""The imports of a command: nothing that it has no use for, nibabel least of all."""

import subprocess
import sys

import nibabel
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.formats.layout import nifti_layout
from lazyvox.formats.nifti_header import NiftiHeader

#: Packages, and those of lazyvox, that a map over time of a NIfTI file has no use for.
UNUSED = (
    *("nibabel", "scipy", "pandas", "sklearn", "nilearn", "matplotlib", "joblib"),
    *(f"lazyvox.{name}" for name in ("extraction", "image", "masking", "signal", "tables")),
)
PROGRAM = f"""
import sys
from lazyvox.cli.main import run
for command in ("mean", "std", "tsnr"):
    assert run([command, sys.argv[1], "-o", sys.argv[2] + command + ".nii.gz", "--quiet"]) == 0
names = set(sys.modules)
print(*sorted(names & {set(UNUSED)}))
"""
OF_TABLES = """
import sys
from lazyvox.cli.main import run
assert run(["connectivity", sys.argv[1], "-o", sys.argv[2], "--quiet"]) == 0
print(*sorted(set(sys.modules) & {"nibabel", "lazyvox.image", "lazyvox.lazyimage"}))
"""
#: What only other formats and other places than files need.
UNUSED_BY_FILES = ("nibabel", "scipy", "ssl", "http", "pandas")
COMMANDS = (
    (
        "extract run.nii.gz --labels atlas.nii.gz --mask left.nii.gz --mask-img mask.nii.gz "
        "--seed 0,0,0,6 --fwhm 5 --detrend --high-pass 0.01 --standardize psc -o {out}/s.tsv"
    ),
    "stats run.nii.gz --mask mask.nii.gz -o {out}/stats.tsv",
    "qc run.nii.gz --mask mask.nii.gz -o {out}/qc.tsv",
    (
        "cohort {out}/study participant --table {out}/runs.tsv --atlas Q=atlas.nii.gz:atlas.tsv "
        "--mask auto --detrend --fwhm 5 --matrix correlation --qc --jobs 1"
    ),
)
OF_FILES = f"""
import sys
from lazyvox.cli.main import run
assert run([*sys.argv[1:], "--quiet"]) == 0
print(*sorted(set(sys.modules) & {set(UNUSED_BY_FILES)}))
"""
AFFINE = np.array([[-2.0, 0.1, 0, 3], [0.1, 3, 0.2, -4], [0, -0.2, 2.5, 5], [0, 0, 0, 1]])


def test_maps_of_a_nifti_file_need_no_nibabel_nor_other_packages(example_files, tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(example_files / "run.nii.gz"), f"{tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    assert nibabel.load(tmp_path / "tsnr.nii.gz").shape == (12, 14, 10)


def test_matrices_of_tables_need_no_images(tmp_path):
    (tmp_path / "s.tsv").write_text("a\tb\n1\t2\n2\t5\n4\t3\n")
    command = [sys.executable, "-c", OF_TABLES, f"{tmp_path}/s.tsv", f"{tmp_path}/c.tsv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.split()[0])
def test_commands_on_nifti_files_need_no_nibabel(line, example_files, tmp_path):
    files = "\t".join(str(example_files / name) for name in ("run.nii.gz", "mask.nii.gz"))
    (tmp_path / "runs.tsv").write_text(f"sub\ttask\tbold\tmask\n01\trest\t{files}\n")
    command = [sys.executable, "-c", OF_FILES, *line.format(out=tmp_path).split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=example_files)
    assert (done.returncode, done.stdout.splitlines()[-1:], done.stderr) == (0, [""], "")


def header_of(image_class, order, change):
    """Return a header with something in every field that a map drops or keeps."""
    img = image_class(
        np.zeros((3, 4, 5, 6), np.int16), AFFINE, image_class.header_class(endianness=order)
    )
    header = img.header
    header.set_xyzt_units("mm", "sec")
    header.set_zooms((*header.get_zooms()[:3], 2.0))
    for name, value in {"descrip": b"hello", "cal_max": 5, "intent_code": 1001, "intent_p1": 3,
                        "intent_name": b"x", "slice_code": 2, "toffset": 4.5}.items():  # fmt: skip
        header[name] = value
    header.set_slope_inter(0.5, 10)
    change(img)
    return img


def qform_only(img):
    img.set_sform(None, 0)
    img.set_qform(AFFINE, 1)


def neither(img):
    img.set_sform(None, 0)
    img.set_qform(None, 0)


def extended(img):
    img.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"a comment"))
    img.header.extensions.append(nibabel.nifti1.Nifti1Extension(40, b"z" * 37))


@pytest.mark.parametrize("image_class", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("change", [lambda img: None, qform_only, neither, extended])
class TestHeader:
    """The header without nibabel is that of nibabel."""

    def test_maps_are_those_of_images(self, image_class, order, change, tmp_path, lazyvox):
        img = header_of(image_class, order, change)
        nibabel.save(img, tmp_path / "run.nii")
        done = lazyvox("mean", str(tmp_path / "run.nii"), "-o", str(tmp_path / "map.nii"))
        assert (done.code, done.err) == (0, "")
        # The same by way of nibabel's header.
        scan = lv.Scan(lv.load(tmp_path / "run.nii"))
        mean = scan.add(lv.Mean())
        scan.run()
        lv.save(mean.result(), tmp_path / "same.nii", dtype=np.float32)
        assert (tmp_path / "map.nii").read_bytes() == (tmp_path / "same.nii").read_bytes()

    def test_fields_and_affines(self, image_class, order, change, tmp_path):
        nibabel.save(header_of(image_class, order, change), tmp_path / "run.nii")
        head = (tmp_path / "run.nii").read_bytes()[:540]
        layout = nifti_layout(head)
        ours = NiftiHeader(head[: layout.header_bytes], layout, is_single=True)
        theirs = nibabel.load(tmp_path / "run.nii").header
        assert ours.template_dtype == theirs.template_dtype
        assert ours.endianness == order
        for name in ("get_sform", "get_qform", "get_base_affine"):
            np.testing.assert_array_equal(getattr(ours, name)(), getattr(theirs, name)())
        for name in ("get_data_shape", "get_zooms", "get_xyzt_units"):
            assert getattr(ours, name)() == pytest.approx(getattr(theirs, name)())
        assert ours.to_nibabel().binaryblock == ours.binaryblock
