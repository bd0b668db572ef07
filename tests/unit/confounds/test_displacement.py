"""Framewise displacement from the tables of each program."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.confounds import framewise_displacement
from lazyvox.confounds.displacement import displacement_of_run, has_motion, read_motion
from lazyvox.testing.images import image_of, run_like

#: mm and radians.
MOTION = np.random.default_rng(0).normal(0, 0.2, (8, 6)) * [1, 1, 1, 0.01, 0.01, 0.01]
CHANGE = np.abs(np.diff(MOTION, axis=0))
EXPECTED = CHANGE[:, :3].sum(1) + 50 * CHANGE[:, 3:].sum(1)
TURNS_FIRST = MOTION[:, [3, 4, 5, 0, 1, 2]]
IN_DEGREES = np.concatenate([np.degrees(MOTION[:, 3:]), MOTION[:, :3]], axis=1)


def write(path, values, heading="", separator="  "):
    lines = [separator.join(repr(float(one)) for one in row) for row in values]
    path.write_text("\n".join([*([heading] if heading else []), *lines]) + "\n")
    return path


FILES = {
    "run_mcf.par": (TURNS_FIRST, "", "  ", None),
    "motion.1D": (IN_DEGREES, "# 3dvolreg -1Dfile", " ", None),
    "rp_run.txt": (MOTION, "", "  ", None),
    "confounds.tsv": (MOTION, "trans_x\ttrans_y\ttrans_z\trot_x\trot_y\trot_z", "\t", None),
    "motion.txt": (IN_DEGREES, "", " ", "afni"),
    "named.csv": (TURNS_FIRST, "a,b,c,d,e,f", ",", "fsl"),
}


@pytest.mark.parametrize("name", FILES)
def test_formats(tmp_path, name):
    values, heading, separator, asked = FILES[name]
    path = write(tmp_path / name, values, heading, separator)
    found = framewise_displacement(path, motion_format=asked)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], EXPECTED)
    np.testing.assert_allclose(read_motion(path, asked), MOTION)


def test_columns_of_fmriprep_are_found_by_name(tmp_path):
    pandas = pytest.importorskip("pandas")
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    frame = pandas.DataFrame(MOTION, columns=names)[names[::-1]]
    frame.insert(0, "global_signal", 1.0)
    np.testing.assert_allclose(framewise_displacement(frame)[1:], EXPECTED)


def test_displacements_of_fmriprep_stand_in_for_parameters_that_are_missing(tmp_path):
    path = tmp_path / "run_desc-confounds_timeseries.tsv"
    path.write_text("csf\ttrans_x\tframewise_displacement\n1\t0\tn/a\n1\t0\t0.5\n1\t0\t0.25\n")
    assert has_motion(path)
    np.testing.assert_array_equal(displacement_of_run(path, None, 50, 3), [np.nan, 0.5, 0.25])
    found = lv.qc(image_of(run_like((4, 4, 3, 3))), motion=path)["framewise_displacement"]
    np.testing.assert_array_equal(found, [np.nan, 0.5, 0.25])
    with pytest.raises(lv.ParameterError, match="`radius` must be left out where the table has"):
        displacement_of_run(path, None, 80, 3)
    with pytest.raises(lv.ParameterError, match=r"must have the columns trans_x.* no trans_y"):
        displacement_of_run(path, "fmriprep", 50, 3)
    path.write_text(path.read_text().replace("0.5", "n/a"))
    with pytest.raises(lv.ParameterError, match="after the first volume"):
        displacement_of_run(path, None, 50, 3)


def test_radius():
    found = framewise_displacement(MOTION, radius=80, motion_format="spm")[1:]
    np.testing.assert_allclose(found, CHANGE[:, :3].sum(1) + 80 * CHANGE[:, 3:].sum(1))


REFUSED = [
    ("motion.txt", {}, "pass `motion_format`, one of fmriprep, fsl, afni, spm"),
    ("rp_a.txt", {"motion_format": "dof"}, "`motion_format` must be one of"),
    ("rp_a.txt", {"radius": 0}, "`radius` must be a length above 0"),
    ("rp_a.txt", {"radius": float("nan")}, "`radius` must be a length above 0"),
    ("rp_a.txt", {"motion_format": "fmriprep"}, "must have the columns trans_x"),
    ("rp_five.txt", {}, "must have six columns"),
    ("rp_nan.txt", {}, "must be finite"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_bad_tables_are_refused(tmp_path, name, options, message):
    values = MOTION.copy()
    if "nan" in name:
        values[3, 2] = np.nan
    write(tmp_path / name, values[:, :5] if "five" in name else values)
    with pytest.raises(lv.ParameterError, match=message):
        framewise_displacement(tmp_path / name, **options)


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(lv.ParameterTypeError, match="`motion` must be a table of numbers"):
        framewise_displacement(object(), motion_format="spm")
    with pytest.raises(lv.ImageNotFoundError, match="no such file"):
        framewise_displacement(tmp_path / "rp_none.txt")


def test_a_format_belongs_to_motion():
    assert displacement_of_run(None, None, 50, 3) is None
    with pytest.raises(lv.ParameterError, match="which is missing"):
        displacement_of_run(None, "spm", 50, 3)
