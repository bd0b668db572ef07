"""Commands that write images: calc, smooth, resample, split, and what slice and concat gained."""

import errno
import json
import math
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn import image as nil

from lazyvox.testing.images import write_nifti


def whole(path):
    return np.asarray(nib.load(path).dataobj)


@pytest.fixture
def run(folder):
    return whole("run.nii.gz")


@pytest.fixture
def inside(folder):
    return whole("left.nii.gz") > 0


FORMULAS = {
    "a - b": lambda a, m: a - m[..., None],
    "where(b > 0, a, 0)": lambda a, m: np.where(m[..., None], a, 0),
    "100 * a / mean(where(a > 900, a, 900), axis=-1)": lambda a, m: (
        100 * a / np.where(a > 900, a, 900).mean(-1)[..., None] + 0 * m[..., None]
    ),
    "sqrt(abs(a)) ** 2 + b": lambda a, m: np.sqrt(np.abs(a)) ** 2 + m[..., None],
    "a[..., 3] - a * b": lambda a, m: a[..., 3:4] - a * m[..., None],
    "np.clip(a, 0, 500) / (b + 1)": lambda a, m: np.clip(a, 0, 500) / (m[..., None] + 1),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_calc_takes_a_volume_for_each_of_a_series(lazyvox, run, inside, formula):
    if "b" not in formula.replace("abs", ""):
        formula += " + 0 * b"
    done = lazyvox(
        "calc", formula, "-v", "a=run.nii.gz", "-v", "b=left.nii.gz", "-o", "out.nii.gz"
    )
    assert (done.code, done.err) == (0, "")
    assert done.out == "out.nii.gz: 12 x 14 x 10 x 40, float32\n"
    wanted = FORMULAS[formula.removesuffix(" + 0 * b")](run, inside)
    np.testing.assert_allclose(whole("out.nii.gz"), wanted, rtol=1e-5, atol=1e-4)
    made, given = nib.load("out.nii.gz"), nib.load("run.nii.gz")
    assert made.header.get_zooms() == given.header.get_zooms()
    np.testing.assert_array_equal(made.affine, given.affine)


def test_calc_of_volumes_as_long_as_the_series_aligns_space(lazyvox, folder):
    # By NumPy's rule the volume would be repeated along the first axis.
    cube = np.arange(256, dtype="f4").reshape(4, 4, 4, 4)
    write_nifti(folder / "cube.nii", cube)
    write_nifti(folder / "flat.nii", cube[..., 0])
    lazyvox("calc", "a - b", "-v", "a=cube.nii", "-v", "b=flat.nii", "-o", "o.nii")
    np.testing.assert_array_equal(whole("o.nii"), cube - cube[..., :1])
    lazyvox("calc", "a - a.mean(-1)", "-v", "a=cube.nii", "-o", "m.nii")
    np.testing.assert_array_equal(whole("m.nii"), cube - cube.mean(-1, keepdims=True))


def test_calc_computes_integers_in_floats(lazyvox, folder):
    for name, value in (("a", 200), ("b", 100)):
        write_nifti(folder / f"{name}.nii", np.full((4, 4, 4), value, "u1"))
    write_nifti(folder / "c.nii", np.full((4, 4, 4), 2**24 + 1, "i4"))
    lazyvox("calc", "b - a", "-v", "a=a.nii", "-v", "b=b.nii", "-o", "o.nii")
    assert whole("o.nii").dtype == np.float32
    assert (whole("o.nii") == -100).all()
    done = lazyvox("calc", "max(c)", "-v", "c=c.nii")
    assert done.out == "16777217.0\n"
    lazyvox("calc", "a > 150", "-v", "a=a.nii", "-o", "mask.nii")
    assert whole("mask.nii").dtype == np.uint8
    lazyvox("calc", "a / 3", "-v", "a=a.nii", "-o", "i.nii", "--dtype", "int16", "--scale", "none")
    assert (whole("i.nii") == 67).all()


def test_formula_may_begin_with_a_minus(lazyvox, run):
    for formula in ("-a", "-1 * a", "-(a)"):
        done = lazyvox("calc", formula, "-v", "a=run.nii.gz", "-o", "o.nii", "--overwrite")
        assert (done.code, done.err) == (0, "")
        np.testing.assert_array_equal(whole("o.nii"), -run)


def test_calc_prints_numbers(lazyvox, run):
    done = lazyvox("calc", "max(a) - min(a)", "-v", "a=run.nii.gz")
    assert done.code == 0
    assert float(done.out) == np.float32(run.max() - run.min())
    done = lazyvox("calc", "mean(a, axis=(0, 1, 2))", "-v", "a=run.nii.gz")
    found = [float(line) for line in done.out.splitlines()]
    np.testing.assert_allclose(found, run.mean(axis=(0, 1, 2)), rtol=1e-5)
    facts = json.loads(lazyvox("calc", "max(a)", "-v", "a=run.nii.gz", "--json").out)
    assert facts["outputs"] == [{"values": [run.max()], "shape": [], "dtype": "float32"}]
    assert facts["formula"] == "max(a)"
    plan = json.loads(lazyvox("calc", "max(a)", "-v", "a=run.nii.gz", "--json", "--explain").out)
    assert plan["plan"]["passes"] == 1


V = ["-v", "a=run.nii.gz"]
CALC_USAGE = [
    (["a", *V, "-v", "b=mask.nii.gz", "-o", "o.nii"], "every image must be part of the formula. 'a' does not name b"),
    (["a", *V, "-v", "a=mask.nii.gz", "-o", "o.nii"], "-v must give each name once. Got a twice"),
    (["a", "-v", "run.nii.gz", "-o", "o.nii"], "-v must be NAME=FILE, with a name of letters and digits such as a. Got 'run.nii.gz'"),
    (["np", "-v", "np=run.nii.gz", "-o", "o.nii"], "-v must be NAME=FILE, with a name of letters and digits such as a. Got 'np=run.nii.gz'"),
    (["a", *V], "missing option -o/--output: where should the result go?"),
    (["a.mean()", *V, "-o", "o.nii"], "'a.mean()' gives one number, which is printed: leave out --output"),
    (["a", *V, "-o", "o.nii", "--scale", "2"], "--scale must be auto, none or two numbers such as 0.5,0. Got '2'"),
]  # fmt: skip
CALC_FAILURES = [
    (
        "a + c",
        "it may hold names of images, numbers, operators, and functions of NumPy. Got 'c'; the images are named a.",
    ),
    ("a +", "FORMULA must be an expression, such as (a - b) * 2. Got 'a +': invalid syntax."),
    ("foo(a)", "Got 'foo'"),
    ("a.__class__", "may use functions of NumPy and a few properties of arrays. Got '__class__'"),
    ("eval(a)", "functions of NumPy. Got 'eval'"),
    ("__import__('os')", "functions of NumPy. Got '__import__'; the images are named a."),
    (
        "a ^ 2",
        "in the formula 'a ^ 2': a ^ b is exclusive or, of integers and booleans. Powers are a ** b.",
    ),
    ("load(a)", "a formula may use element-wise functions and reductions of NumPy"),
    ("(lambda: a)()", "Got Lambda"),
    ("[x for x in a]", "Got ListComp"),
    ("sort(a, axis=-1)", "must be a formula that is computed volume by volume, or by reductions"),
    ("a[0]", "must give numbers, or an image on the grid of the images, (12, 14, 10). Got"),
    ("mean(a, axis=0)", "Got shape (14, 10, 40). Take parts of images with lazyvox slice first."),
    ("a and a", "the truth value of an image is ambiguous"),
]


@pytest.mark.parametrize(
    ("argv", "message"), CALC_USAGE, ids=[" ".join(one[0]) for one in CALC_USAGE]
)
def test_wrong_usage_of_calc(lazyvox, folder, argv, message):
    done = lazyvox("calc", *argv)
    assert (done.code, done.out, done.err) == (2, "", f"lazyvox: error: {message}\n")
    assert not (folder / "o.nii").exists()


@pytest.mark.parametrize(("formula", "message"), CALC_FAILURES)
def test_formulas_are_never_run_as_code(refuses, formula, message):
    refuses("calc", formula, *V, "-o", "o.nii", message=message)


@pytest.mark.parametrize(
    ("width", "fwhm"),
    [(["--fwhm", "6"], 6), (["--sigma", "2"], 2 * math.sqrt(8 * math.log(2))), (["--fwhm", "4,0,8"], [4, 0, 8])],
)  # fmt: skip
def test_smooth_is_nilearns(lazyvox, folder, inside, width, fwhm):
    assert lazyvox("smooth", "run.nii.gz", *width, "-o", "s.nii.gz").code == 0
    wanted = nil.smooth_img("run.nii.gz", fwhm).get_fdata()
    np.testing.assert_allclose(whole("s.nii.gz"), wanted, atol=2e-3)
    done = lazyvox("smooth", "run.nii.gz", *width, "--mask", "left.nii.gz", "-o", "m.nii.gz")
    assert done.code == 0
    masked = np.where(inside[..., None], whole("s.nii.gz"), 0)
    np.testing.assert_allclose(whole("m.nii.gz"), masked, atol=1e-4)
    assert nib.load("m.nii.gz").header.get_zooms() == nib.load("run.nii.gz").header.get_zooms()


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "continuous"])
def test_resample_is_nilearns(lazyvox, folder, interpolation):
    how = ["--interpolation", interpolation]
    assert lazyvox("resample", "run.nii.gz", "--zooms", "4,3,5", *how, "-o", "z.nii").code == 0
    made = nib.load("z.nii")
    assert made.header.get_zooms() == (4, 3, 5, 2)
    np.testing.assert_array_equal(made.affine[:3, 3], nib.load("run.nii.gz").affine[:3, 3])
    assert lazyvox("resample", "run.nii.gz", "--like", "z.nii", *how, "-o", "l.nii").code == 0
    np.testing.assert_allclose(whole("l.nii"), whole("z.nii"), atol=1e-3)
    # Zeros around the head are the same in the sources; splines overshoot alike.
    wanted = nil.resample_to_img(
        "run.nii.gz", made, interpolation, force_resample=True, copy_header=True
    )
    np.testing.assert_allclose(whole("z.nii"), wanted.get_fdata(), atol=0.05)


def test_split_writes_each_volume_in_one_pass(lazyvox, folder, run):
    (folder / "out").mkdir()
    done = lazyvox("split", "run.nii.gz", "-o", "out/v{:03d}.nii.gz")
    assert (done.code, done.err) == (0, "")
    assert done.out == "40 files, out/v000.nii.gz to out/v039.nii.gz, each 12 x 14 x 10, float32\n"
    assert sorted(path.name for path in (folder / "out").iterdir())[39] == "v039.nii.gz"
    for number in (0, 17, 39):
        path = f"out/v{number:03d}.nii.gz"
        np.testing.assert_array_equal(whole(path), run[..., number])
        np.testing.assert_array_equal(nib.load(path).affine, nib.load("run.nii.gz").affine)
    plan = json.loads(lazyvox("split", "run.nii.gz", "--explain", "--json").out)["plan"]
    assert (plan["passes"], plan["bytes_decoded"]) == (1, run.nbytes)


def test_split_refuses_before_anything_is_written(lazyvox, folder):
    (folder / "v39.nii").write_text("mine")
    done = lazyvox("split", "run.nii.gz", "-o", "v{}.nii")
    assert done.code == 2
    assert "--output v39.nii: the file exists. Pass --overwrite" in done.err
    assert [path.name for path in folder.glob("v*")] == ["v39.nii"]
    (folder / "v5.img").write_text("mine")
    done = lazyvox("split", "run.nii.gz", "-o", "v{}.hdr")
    assert "--output v5.img: the file exists" in done.err


@pytest.mark.parametrize(
    "name",
    ["v.nii", "v{}{}.nii", "v{0.real}.nii", "v{!r}.nii", "v%d.nii", "{}/v.nii", "v{:3d}.nii"],
)
def test_split_fills_in_nothing_but_the_number(lazyvox, folder, name):
    done = lazyvox("split", "run.nii.gz", "-o", name)
    assert done.code == 2
    assert "the name must hold the number of the volume once, as {} or" in done.err


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("4:", np.s_[4:]),
        ("-4:", np.s_[-4:]),
        ("::2", np.s_[::2]),
        ("0:3, 10,-1", [0, 1, 2, 10, 39]),
        ("5,3", [5, 3]),
        ("7", 7),
    ],
)
def test_slice_keeps_whole_volumes(lazyvox, run, text, key):
    assert lazyvox("slice", "run.nii.gz", "--volumes", text, "-o", "part.nii").code == 0
    np.testing.assert_array_equal(whole("part.nii"), run[..., key])
    assert lazyvox("slice", "run.nii.gz", "--volumes", text, "-o", "part.npy").code == 0
    np.testing.assert_array_equal(np.load("part.npy"), run[..., key])


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["run.nii.gz"], 2, "give either INDEX, such as '..., 7', or --volumes, such as 4:"),
        (["run.nii.gz", "..., 1", "--volumes", "4:"], 2, "give either INDEX"),
        (["run.nii.gz", "--volumes", "3:x"], 2, "--volumes '3:x': at position 3: 'x', expected a number or a range such as 2:10:2"),
        (["run.nii.gz", "--volumes", "1,..."], 2, "--volumes '1,...': at position 3: '...', expected"),
        (["run.nii.gz", "--volumes", "1,50"], 2, "--volumes must be among the 40 of the series. Got 50"),
        (["run.nii.gz", "--volumes", "50:"], 1, "at least one voxel"),
        (["mask.nii.gz", "--volumes", "1:"], 1, "--volumes takes those of a 4D image. Got shape (12, 14, 10)"),
    ],
)  # fmt: skip
def test_volumes_that_are_none(lazyvox, folder, argv, code, message):
    done = lazyvox("slice", *argv, "-o", "o.nii")
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert not (folder / "o.nii").exists()


def test_concat_sets_the_repetition_time(lazyvox, folder):
    for number in (1, 2):
        lazyvox("slice", "run.nii.gz", f"..., {number}", "-o", f"v{number}.nii")
    assert lazyvox("concat", "v1.nii", "v2.nii", "--t-r", "2.5", "-o", "s.nii").code == 0
    header = nib.load("s.nii").header
    assert (header.get_zooms()[3], header.get_xyzt_units()[1]) == (2.5, "sec")
    for wrong in ("0", "inf", "nan", "x"):
        done = lazyvox("concat", "v1.nii", "v2.nii", "--t-r", wrong, "-o", "t.nii")
        assert done.code == 2
        assert "Invalid value for '--t-r'" in done.err
    done = lazyvox("concat", "v1.nii", "v2.nii", "--t-r", "1e39", "-o", "t.nii")
    assert done.code == 1
    assert "--t-r, the seconds between volumes, must be above 0, and at most" in done.err
    assert not Path("t.nii").exists()


JOBS = {
    "calc": ["calc", "a + 1", "-v", "a={}"],
    "smooth": ["smooth", "{}", "--fwhm", "6"],
    "resample": ["resample", "{}", "--zooms", "4"],
    "slice": ["slice", "{}", "--volumes", "4:"],
    "split": ["split", "{}"],
    "concat": ["concat", "{}", "{}"],
}
OUT = {name: "v{:02d}.nii.gz" if name == "split" else "v01.nii.gz" for name in JOBS}


def line(name, path="run.nii.gz"):
    return [one.replace("{}", path) for one in JOBS[name]] + ["-o", OUT[name]]


@pytest.mark.parametrize("name", JOBS)
def test_bad_inputs_and_outputs_of_each_command(lazyvox, folder, monkeypatch, name):
    done = lazyvox(*line(name, "absent.nii.gz"))
    assert (done.code, done.out) == (1, "")
    assert "absent.nii.gz: no such file" in done.err
    content = (folder / "run.nii.gz").read_bytes()
    (folder / "short.nii.gz").write_bytes(content[: len(content) // 2])
    done = lazyvox(*line(name, "short.nii.gz"))
    assert done.code == 1
    assert "short.nii.gz" in done.err
    assert done.err.count("\n") == 1
    made = list(folder.glob("v*"))
    # Volumes before the damage are complete.
    assert all(whole(path).shape == (12, 14, 10) for path in made)
    assert bool(made) == (name == "split")
    for path in made:
        path.unlink()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    def interrupted(*args):
        raise KeyboardInterrupt

    for failure, code, message in (
        (full, 1, "o space left on device"),
        (interrupted, 130, "interrupted; no unfinished output is left"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("lazyvox.store.write.atomic.AtomicFile.write", failure)
            done = lazyvox(*line(name))
        assert (done.code, done.out) == (code, "")
        assert message in done.err
        assert not list(folder.glob("*v0*"))
    (folder / "v01.nii.gz").write_text("mine")
    done = lazyvox(*line(name))
    assert done.code == 2
    assert "--output v01.nii.gz: the file exists. Pass --overwrite to replace it" in done.err
    assert (folder / "v01.nii.gz").read_text() == "mine"
    assert lazyvox(*line(name), "--overwrite", "--jobs", "1", "--quiet").out == ""
    assert len(whole("v01.nii.gz").shape) in {3, 4}


@pytest.mark.parametrize("name", JOBS)
def test_plans_of_each_command(lazyvox, folder, name):
    before = sorted(folder.iterdir())
    done = lazyvox(*line(name), "--explain")
    assert (done.code, done.err) == (0, "")
    assert "passes     1\n" in done.out
    facts = json.loads(lazyvox(*line(name), "--explain", "--json").out)
    assert facts["command"] == name
    assert sorted(folder.iterdir()) == before
    refused = lazyvox(*line(name), "--memory", "1MB")
    assert refused.code == 1
    assert "Pass --memory " in refused.err
    facts = json.loads(lazyvox(*line(name), "--json", "--memory", "100MB", "--jobs", "1").out)
    assert facts["increment_bytes"] <= facts["plan"]["peak_bytes"]


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["smooth", "run.nii.gz"], 2, "give the width of the Gaussian: either --fwhm MM, or --sigma MM"),
        (["smooth", "run.nii.gz", "--fwhm", "6", "--sigma", "2"], 2, "give the width of the Gaussian: either"),
        (["smooth", "run.nii.gz", "--fwhm", "0"], 2, "Invalid value for '--fwhm': must be a width in mm, above 0, or three of them. Got '0'"),
        (["smooth", "run.nii.gz", "--sigma", "-1"], 2, "Invalid value for '--sigma': must be a width in mm"),
        (["smooth", "run.nii.gz", "--fwhm", "6", "--mask", "small.nii"], 1, "--mask"),
        (["resample", "run.nii.gz"], 2, "say which grid to resample to: either --like GRID, or --zooms MM"),
        (["resample", "run.nii.gz", "--zooms", "3,3"], 2, "Invalid value for '--zooms': must be a width in mm, above 0, or three of them. Got '3,3'"),
        (["resample", "run.nii.gz", "--zooms", "3,3,0"], 2, "Invalid value for '--zooms': voxels must be larger than 0 mm"),
        (["resample", "run.nii.gz", "--zooms", "3", "--interpolation", "cubic"], 2, "Invalid value for '--interpolation'"),
        (["resample", "run.nii.gz", "--like", "absent.nii"], 1, "absent.nii: no such file"),
    ],
)  # fmt: skip
def test_wrong_values_of_smooth_and_resample(refuses, folder, argv, code, message):
    write_nifti(folder / "small.nii", np.ones((4, 4, 4), "u1"))
    refuses(*argv, "-o", "o.nii", code=code, message=message)


@pytest.mark.parametrize("name", JOBS)
def test_progress_is_in_volumes_and_verbose_says_what_is_done(lazyvox, folder, name):
    done = lazyvox(*line(name), "--progress", "--verbose")
    assert done.code == 0
    assert "100 %, " in done.err
    assert re.search(r" volumes, \d+ s\n", done.err)
    assert "lazyvox: open " in done.err
    assert "lazyvox: wrote " in done.err
    assert lazyvox(*line(name), "--overwrite").err == ""
    if name != "calc":
        assert "lazyvox: wrote " in lazyvox(*line(name), "--overwrite", "-v").err
    done = lazyvox(*line(name), "--verbose", "--quiet")
    assert done.code == 2
    assert "--verbose says more, and --quiet nothing. Leave out one of them" in done.err
