"""`lazyvox demo` in a process of its own."""

import re
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from lazyvox.cli.demo import demo as demo_command
from lazyvox.demo.model import volumes

pytest.importorskip("matplotlib")


def demo(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "lazyvox", "demo", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def results(folder):
    return {path.name for path in folder.iterdir()}


def test_a_small_demo_runs_from_nothing_to_the_figure(tmp_path):
    ended = demo("--size", "small", "--volumes", "20", "-o", "out", folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    folder = tmp_path / "out" / "run-v1-small-20volumes_demo"
    assert results(tmp_path / "out") == {folder.name, "run-v1-small-20volumes.nii.gz"}
    assert results(folder) >= {"mean.nii.gz", "series.npz", "atlas.nii.gz", "atlas.tsv"}
    assert (folder / "demo.png").stat().st_size > 20_000
    for command in (
        "lazyvox mean ",
        "lazyvox extract ",
        "python whole_array.py asarray ",
        "python whole_array.py get_fdata ",
    ):
        assert f"$ {command}" in ended.stdout
    assert "All ways give the same means" in ended.stdout
    assert "out/run-v1-small-20volumes_demo/demo.png" in ended.stdout


def test_the_run_is_kept_and_quiet_prints_nothing(tmp_path):
    options = ("--size", "small", "--volumes", "5", "--quiet")
    assert demo(*options, folder=tmp_path).returncode == 0
    run = tmp_path / "lazyvox-demo" / "run-v1-small-5volumes.nii.gz"
    before = run.stat()
    ended = demo(*options, folder=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert run.stat().st_mtime_ns == before.st_mtime_ns


def test_a_file_of_ones_own_may_be_oblique_scaled_and_short(tmp_path):
    rng = np.random.default_rng(3)
    places = np.indices((14, 16, 12)) - np.array([6.5, 7.5, 5.5])[:, None, None, None]
    values = 40.0 + 600 * ((places / 5) ** 2).sum(axis=0)[..., None].__lt__(1)
    values = values + rng.normal(0, 5, (14, 16, 12, 4))
    affine = np.array([[-4, 0.8, 0, 20], [0.8, 4, 0.3, -30], [0, -0.3, 4.5, 5], [0, 0, 0, 1.0]])
    img = nibabel.Nifti1Image(values, affine)
    img.set_data_dtype(np.int16)
    nibabel.save(img, tmp_path / "my bold.nii.gz")
    assert nibabel.load(tmp_path / "my bold.nii.gz").dataobj.slope != 1
    ended = demo("--file", "my bold.nii.gz", folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "All ways give the same means" in ended.stdout
    folder = tmp_path / "lazyvox-demo" / "my bold_demo"
    assert (folder / "demo.png").stat().st_size > 20_000
    atlas = np.asarray(nibabel.load(folder / "atlas.nii.gz").dataobj)
    np.testing.assert_array_equal(atlas > 0, values.mean(axis=-1) > 300)


def test_a_3d_image_is_refused_in_one_line(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4)), np.eye(4)), tmp_path / "t1.nii")
    ended = demo("--file", "t1.nii", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "a demo needs a series of at least 2 volumes" in ended.stderr


def test_a_damaged_file_is_refused_in_one_line(tmp_path, example_files):
    whole = (example_files / "run.nii.gz").read_bytes()
    (tmp_path / "run.nii.gz").write_bytes(whole[: len(whole) // 2])
    ended = demo("--file", "run.nii.gz", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("lazyvox: error: ")
    assert "run.nii.gz" in ended.stderr


def test_a_missing_file_is_refused_in_one_line(tmp_path):
    ended = demo("--file", "none.nii.gz", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "none.nii.gz" in ended.stderr


def test_options_of_the_generated_run_do_not_go_with_a_file(tmp_path):
    ended = demo("--file", "run.nii.gz", "--volumes", "20", folder=tmp_path)
    assert ended.returncode == 2
    assert "--volumes and --size are for the generated run" in ended.stderr


def test_a_whole_array_that_does_not_fit_is_estimated_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.cli.demo.available_memory", lambda: 50 << 20)
    options = ["--size", "small", "--volumes", "5", "-o", str(tmp_path)]
    ended = CliRunner().invoke(demo_command, options)
    assert ended.exit_code == 0, ended.output
    assert "left out: it needs about 64." in ended.output
    assert "and 50.0 MiB are available" in ended.output
    assert re.search(r"not run +~64\.", ended.output)
    folder = tmp_path / "run-v1-small-5volumes_demo"
    assert not {"asarray.npy", "get_fdata.npy"} & results(folder)
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_run_leaves_no_half_file(tmp_path, monkeypatch):
    def interrupted(model):
        yield next(volumes(model))
        raise KeyboardInterrupt

    monkeypatch.setattr("lazyvox.demo.model.volumes", interrupted)
    options = ["--size", "small", "--volumes", "20", "-o", str(tmp_path)]
    assert CliRunner().invoke(demo_command, options).exit_code != 0
    assert results(tmp_path) == set()
