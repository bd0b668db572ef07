"""Files and commands of the demo."""

import nibabel
import numpy as np
import pytest

from lazyvox.demo.model import make_model, write_run
from lazyvox.demo.regions import divide
from lazyvox.demo.steps import (
    extract_command,
    generated_name,
    is_complete,
    limited_masks,
    settle,
    shown_text,
)
from lazyvox.errors import ImageFileError, ParameterError


def save(path, shape, dtype=np.int16):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, dtype), np.eye(4)), path)
    return path


def test_one_volume_is_refused_with_its_shape(tmp_path):
    run = save(tmp_path / "t1.nii", (4, 5, 6))
    with pytest.raises(ParameterError, match=r"at least 2 volumes\. Got shape \(4, 5, 6, 1\)"):
        settle(run, tmp_path)


def test_complex_voxels_are_refused(tmp_path):
    run = save(tmp_path / "run.nii", (4, 5, 6, 3), np.complex64)
    with pytest.raises(ParameterError, match=r"needs real numbers\. Got voxels of type complex64"):
        settle(run, tmp_path)


def test_what_is_no_image_leaves_no_folder(tmp_path):
    (tmp_path / "run.nii").write_bytes(b"no image at all")
    with pytest.raises(ImageFileError, match=r"run\.nii"):
        settle(tmp_path / "run.nii", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_of_an_earlier_demo_go_and_other_files_stay(tmp_path):
    run = save(tmp_path / "run.nii", (4, 5, 6, 3))
    folder = settle(run, tmp_path).folder
    for name in ("series.npz", "region-07.nii.gz", "notes.txt"):
        (folder / name).touch()
    settle(run, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_get_fdata_needs_the_values_twice_and_asarray_once(tmp_path):
    setting = settle(save(tmp_path / "run.nii", (4, 5, 6, 3)), tmp_path)
    assert setting.stored_bytes == 4 * 5 * 6 * 3 * 2
    n = 4 * 5 * 6 * 3
    assert setting.whole_bytes == {"asarray": 2 * n, "get_fdata": (2 + 8) * n}


def test_only_the_run_of_this_model_is_complete(tmp_path):
    model = make_model(n_volumes=3, step=3)
    path = tmp_path / generated_name(3, "small")
    assert not is_complete(path, model)
    list(write_run(model, str(path)))
    assert is_complete(path, model)
    assert not is_complete(path, make_model(n_volumes=4, step=3))
    path.write_bytes(b"")
    assert not is_complete(path, model)


def test_names_of_runs_tell_version_grid_and_length():
    names = {generated_name(n, size) for n in (20, 840) for size in ("full", "small")}
    assert len(names) == 4
    assert all(name.startswith("run-v") for name in names)


def test_masks_of_very_long_results_keep_the_core_of_the_region(tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.demo.steps._MOST_MASK_BYTES", 10 * 8 * 3)
    setting = settle(save(tmp_path / "run.nii", (9, 9, 9, 3)), tmp_path)
    regions = divide(np.ones((9, 9, 9), bool), np.eye(4), n_regions=1)
    (mask,) = limited_masks(regions, (1,), setting.grid).values()
    assert mask.sum() == 10
    assert mask[4, 4, 4]


def test_long_commands_are_shown_on_several_lines_as_a_shell_takes_them(tmp_path):
    setting = settle(save(tmp_path / "my run.nii", (4, 5, 6, 3)), tmp_path)
    text = shown_text(extract_command(setting, [f"region-{n:02d}" for n in range(6)]))
    lines = text.splitlines()
    assert lines[0].startswith("$ lazyvox extract '../my run.nii'")
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert max(map(len, lines)) <= 94
    assert "--mask region-05.nii.gz" in text


def test_scaled_values_are_float64_in_both_ways(tmp_path):
    img = nibabel.Nifti1Image(np.ones((4, 5, 6, 3), np.int16), np.eye(4))
    img.header.set_slope_inter(2.0, 1.0)
    nibabel.save(img, tmp_path / "run.nii")
    whole_bytes = settle(tmp_path / "run.nii", tmp_path).whole_bytes
    assert whole_bytes["asarray"] == whole_bytes["get_fdata"] == 4 * 5 * 6 * 3 * (2 + 8)
