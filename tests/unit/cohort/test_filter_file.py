"""fMRIPrep's filter file: PyBIDS's meaning of its values; what is left aside is said."""

import json

import pytest

import lazyvox as lv
from lazyvox.bids.names import parse_name
from lazyvox.cohort.filter_file import read_filter
from lazyvox.errors import ImageNotFoundError, ParameterError

NAMES = [
    "sub-01_task-rest_run-1_space-MNI_desc-preproc_bold.nii.gz",
    "sub-01_task-rest_run-02_space-MNI_desc-preproc_bold.nii.gz",
    "sub-01_task-rest_acq-a_space-MNI_desc-preproc_bold.nii.gz",
    "sub-01_ses-b_task-go_dir-AP_echo-01_desc-denoised_bold.nii",
]


def write(path, query):
    path.write_text(json.dumps({"bold": query}))
    return path


# PyBIDS 0.22 gives the same for files of these names.
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, [0, 1, 2, 3]),
        ({"run": 1}, [0]),
        ({"run": "01"}, [0]),
        ({"run": "2"}, [1]),
        ({"run": [1, 2]}, [0, 1]),
        ({"run": None}, [2, 3]),
        ({"run": "*"}, [0, 1]),
        ({"run": [None, 2]}, [1, 2, 3]),
        ({"echo": "1"}, []),
        ({"echo": "01"}, [3]),
        ({"space": "mni"}, []),
        ({"space": None, "session": "b"}, [3]),
        ({"acquisition": "a", "task": ["rest", "go"]}, [2]),
        ({"direction": "AP"}, [3]),
        ({"desc": "preproc", "acquisition": None}, [0, 1]),
        ({"extension": ".nii.gz"}, [0, 1, 2]),
        ({"datatype": "func", "suffix": "bold"}, [0, 1, 2, 3]),
        ({"suffix": "cbv"}, []),
        ({"datatype": None}, []),
        ({"subject": "sub-01"}, []),
    ],
)
def test_values_mean_what_pybids_takes_them_for(tmp_path, query, wanted):
    tests = read_filter(write(tmp_path / "filter.json", query))
    names = [parse_name(one) for one in NAMES]
    assert [n for n, one in enumerate(names) if all(t.holds(one) for t in tests)] == wanted


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"t1w": {}}', "must have the query 'bold'\\. Got 't1w'"),
        ("{}", "must have the query 'bold'\\. Got none"),
        ('{"bold": {"RepetitionTime": 2}}', "entities must be those .* Got 'RepetitionTime'"),
        ('{"bold": {"regex_search": true}}', "Got 'regex_search'"),
        ('{"bold": {"sub": "01"}}', "subject, session.* Got 'sub'"),
        ('{"bold": {"run": 1.5}}', r"'run' must be a label, .* Got 1.5"),
        ('{"bold": {"run": []}}', r"must be a label.* Got \[\]"),
        ('{"bold": {"run": true}}', "must be a label.* Got true"),
        ('{"bold": {"run": {"a": 1}}}', "must be a label"),
        ('{"bold": "rest"}', 'must be {"bold": {ENTITY: VALUE'),
        ("[]", 'must be {"bold"'),
        ("{", "a filter file must be JSON. Expecting"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path, content, message):
    (tmp_path / "filter.json").write_text(content)
    with pytest.raises(ParameterError, match=message):
        read_filter(tmp_path / "filter.json")


def test_queries_for_other_images_are_said_to_be_left_aside(tmp_path):
    (tmp_path / "filter.json").write_text('{"t1w": {"session": "1"}, "bold": {"task": "a"}}')
    with pytest.warns(lv.LazyvoxWarning, match="only BOLD series are chosen. Left aside: 't1w'"):
        tests = read_filter(tmp_path / "filter.json")
    assert [one.entity for one in tests] == ["task"]


def test_runs_of_a_study_are_chosen(study, write_run):
    write_run(study / "fmriprep", "03", study)
    path = write(study / "filter.json", {"subject": ["01", "03"], "space": "MNI"})
    options = {"qc": True, "n_jobs": 1, "bids_filter_file": path}
    result = lv.run_cohort("fmriprep", "out", participant_label=["02", "03"], **options)
    assert [one.run for one in result.done] == ["sub-03_task-rest_space-MNI"]
    write(path, {"task": "rset"})
    with pytest.raises(
        ParameterError, match=r"a run must have the 'task' that is asked for. None of the 3 runs"
    ):
        lv.run_cohort("fmriprep", "out", **options)
    with pytest.raises(ImageNotFoundError, match="no such file"):
        lv.run_cohort("fmriprep", "out", **{**options, "bids_filter_file": "none.json"})


def test_a_space_may_be_chosen_by_the_file(study):
    func = study / "fmriprep/sub-01/func"
    bold = next(func.glob("*bold.nii.gz"))
    (func / bold.name.replace("_space-MNI", "")).write_bytes(bold.read_bytes())
    options = {"qc": True, "n_jobs": 1}
    with pytest.raises(ParameterError, match="`space` must be chosen"):
        lv.run_cohort("fmriprep", "out", **options)
    path = write(study / "filter.json", {"space": None})
    result = lv.run_cohort("fmriprep", "out", bids_filter_file=path, **options)
    assert [one.run for one in result.done] == ["sub-01_task-rest"]
