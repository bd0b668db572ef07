"""Confounds equal those that nilearn loads from the same fMRIPrep files."""

import json

import numpy as np
import pytest

from lazyvox.confounds import load_confounds

interfaces = pytest.importorskip("nilearn.interfaces.fmriprep")

MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
SUFFIXES = ["", "_derivative1", "_power2", "_derivative1_power2"]
N_VOLUMES = 60
NEW_COMPCOR = {
    **{f"a_comp_cor_{i:02}": "combined" for i in range(4)},
    **{f"w_comp_cor_{i:02}": "WM" for i in range(3)},
    **{f"c_comp_cor_{i:02}": "CSF" for i in range(3)},
}
OLD_COMPCOR = {
    f"a_comp_cor_{i:02}": ("combined", "combined", "WM", "WM", "CSF", "CSF")[i] for i in range(6)
}


def write_fmriprep(folder, masks, n_steady=2, seed=3):
    """Write a table and its JSON as fMRIPrep names them; return the path of the image, and both."""
    rng = np.random.default_rng(seed)
    bases = [*MOTION, "csf", "white_matter", "global_signal"]
    names = [base + suffix for base in bases for suffix in SUFFIXES]
    names += ["std_dvars", "framewise_displacement", "rmsd", "cosine00", "cosine01", "cosine02"]
    names += [*masks, "t_comp_cor_00", "t_comp_cor_01", "aroma_motion_01"]
    values = {name: rng.normal(size=N_VOLUMES) + 5 for name in names}
    values["framewise_displacement"] = rng.gamma(1.2, 0.08, N_VOLUMES)
    values["std_dvars"] = rng.gamma(8, 0.15, N_VOLUMES)
    columns = {name: list(map(repr, column.tolist())) for name, column in values.items()}
    for name in names:
        if "derivative1" in name or name in ("std_dvars", "framewise_displacement"):
            columns[name][0] = "n/a"
    for i in range(n_steady):
        columns[f"non_steady_state_outlier{i:02}"] = [
            "1" if row == i else "0" for row in range(N_VOLUMES)
        ]
    rows = ["\t".join(row) for row in [columns, *zip(*columns.values(), strict=True)]]
    table = folder / "sub-01_task-rest_desc-confounds_timeseries.tsv"
    table.write_text("\n".join(rows) + "\n")
    facts = {name: {"Mask": mask, "Method": "aCompCor"} for name, mask in masks.items()}
    facts |= {"t_comp_cor_00": {"Method": "tCompCor"}, "t_comp_cor_01": {"Method": "tCompCor"}}
    table.with_suffix(".json").write_text(json.dumps(facts))
    image = folder / "sub-01_task-rest_space-MNI_desc-preproc_bold.nii.gz"
    image.touch()
    return str(image), table


def assert_equal(ours, theirs):
    frame, sample_mask = theirs
    assert list(ours.names) == list(frame.columns)
    np.testing.assert_allclose(ours.values, frame.to_numpy(), rtol=0, atol=1e-13)
    kept = np.arange(N_VOLUMES) if ours.sample_mask is None else ours.sample_mask
    np.testing.assert_array_equal(
        kept, np.arange(N_VOLUMES) if sample_mask is None else sample_mask
    )


CASES = [
    {},
    {"strategy": ("motion",), "motion": "basic"},
    {"strategy": ("motion",), "motion": "power2"},
    {"strategy": ("motion", "wm_csf"), "motion": "derivatives", "wm_csf": "full"},
    {"strategy": ("wm_csf", "global_signal"), "wm_csf": "power2", "global_signal": "full"},
    {"strategy": ("motion", "high_pass"), "demean": False},
    {"strategy": ("high_pass", "compcor"), "compcor": "anat_combined", "n_compcor": 2},
    {"strategy": ("high_pass", "compcor"), "compcor": "anat_separated"},
    {"strategy": ("high_pass", "compcor"), "compcor": "anat_separated", "n_compcor": 1},
    {"strategy": ("high_pass", "compcor"), "compcor": "temporal", "n_compcor": 10},
    {"strategy": ("high_pass", "compcor"), "compcor": "temporal_anat_combined"},
    {"strategy": ("high_pass", "compcor"), "compcor": "temporal_anat_separated", "n_compcor": 1},
    {"strategy": ("motion", "scrub"), "fd_threshold": 0.2, "std_dvars_threshold": 3.0},
    {"strategy": ("motion", "scrub"), "fd_threshold": 0.3, "std_dvars_threshold": 1.8, "scrub": 0},
    {"strategy": ("motion", "scrub"), "fd_threshold": 0.25, "std_dvars_threshold": 2, "scrub": 3},
]  # fmt: skip


@pytest.mark.parametrize("options", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("masks", [NEW_COMPCOR, OLD_COMPCOR], ids=["new", "old"])
@pytest.mark.parametrize("n_steady", [0, 2])
def test_same_columns_values_and_volumes(tmp_path, options, masks, n_steady):
    image, table = write_fmriprep(tmp_path, masks, n_steady)
    assert_equal(load_confounds(table, **options), interfaces.load_confounds(image, **options))


@pytest.mark.parametrize(
    ("short", "options"),
    [
        ("motion6", {"strategy": ("motion",), "motion": "basic"}),
        ("motion12", {"strategy": ("motion",), "motion": "derivatives"}),
        ("motion24,wm_csf8,global_signal4",
         {"strategy": ("motion", "wm_csf", "global_signal"), "wm_csf": "full", "global_signal": "full"}),
        ("high_pass,acompcor2", {"strategy": ("high_pass", "compcor"), "n_compcor": 2}),
        ("high_pass,tcompcor", {"strategy": ("high_pass", "compcor"), "compcor": "temporal"}),
        ("motion24,scrub", {"strategy": ("motion", "scrub")}),
    ],
)  # fmt: skip
def test_short_names(tmp_path, short, options):
    image, table = write_fmriprep(tmp_path, NEW_COMPCOR)
    assert_equal(load_confounds(table, short), interfaces.load_confounds(image, **options))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scrub", [1, 4, 7])
def test_stretches_that_are_too_short(tmp_path, seed, scrub):
    image, table = write_fmriprep(tmp_path, NEW_COMPCOR, seed=seed)
    options = {
        "strategy": ("motion", "scrub"), "scrub": scrub,
        "fd_threshold": 0.3, "std_dvars_threshold": 2.5,
    }  # fmt: skip
    assert_equal(load_confounds(table, **options), interfaces.load_confounds(image, **options))


def test_components_with_gaps_in_their_numbers(tmp_path):
    masks = {"a_comp_cor_00": "combined", "a_comp_cor_02": "combined"}
    image, table = write_fmriprep(tmp_path, masks)
    options = {"strategy": ("high_pass", "compcor")}
    # nilearn counts the components and takes their numbers for consecutive.
    with pytest.raises(KeyError, match="a_comp_cor_01"):
        interfaces.load_confounds(image, **options)
    assert load_confounds(table, **options).names[:2] == tuple(masks)
