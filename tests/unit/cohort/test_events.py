"""Tables of events by the inheritance of BIDS."""

import pytest

from lazyvox.bids.names import parse_name
from lazyvox.cohort.bids_folder import find_runs
from lazyvox.cohort.events import EventTables, event_roots
from lazyvox.cohort.runs import RunFilter

RUN = parse_name("sub-1_ses-a_task-go_run-2_space-MNI_desc-preproc_bold.nii.gz")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["task-go_events.tsv"], "task-go_events.tsv"),
        (
            ["task-go_events.tsv", "sub-1/sub-1_task-go_events.tsv"],
            "sub-1/sub-1_task-go_events.tsv",
        ),
        (
            ["sub-1/ses-a/func/sub-1_ses-a_task-go_run-2_events.tsv", "task-go_events.tsv"],
            "sub-1/ses-a/func/sub-1_ses-a_task-go_run-2_events.tsv",
        ),
        (["task-go_run-2_events.tsv", "task-go_events.tsv"], "task-go_run-2_events.tsv"),
        (["task-go_run-1_events.tsv"], None),
        (["sub-2/func/sub-2_ses-a_task-go_events.tsv", "task-rest_events.tsv"], None),
        (["sub-1/ses-a/func/sub-1_ses-a_task-go_acq-x_events.tsv"], None),
        (["task-go_run-2_events.tsv", "task-go_space-MNI_events.tsv"], None),
        (["sub-1_events.tsv", "events.tsv", "no name_events.tsv"], None),
    ],
)
def test_the_nearest_table_that_fits_is_taken(tmp_path, names, wanted, touch):
    touch(tmp_path, *names)
    found = EventTables((str(tmp_path),)).find(RUN)
    assert found == (None if wanted is None else str(tmp_path / wanted))


@pytest.mark.parametrize(
    ("derivatives", "events"),
    [
        ("fmriprep", "fmriprep/sub-1/func/sub-1_task-go_events.tsv"),
        ("raw/derivatives/fmriprep", "raw/sub-1/func/sub-1_task-go_events.tsv"),
        ("raw/derivatives/fmriprep", "raw/task-go_events.tsv"),
        ("study/derivatives/fmriprep", "study/sourcedata/raw/sub-1/func/sub-1_task-go_events.tsv"),
        ("study/derivatives/fmriprep", "study/sourcedata/sub-1/func/sub-1_task-go_events.tsv"),
        ("fmriprep", "fmriprep/sourcedata/raw/task-go_events.tsv"),
    ],
)
def test_tables_are_looked_for_in_the_raw_dataset(tmp_path, derivatives, events, touch):
    bold = f"{derivatives}/sub-1/func/sub-1_task-go_space-MNI_desc-preproc_bold.nii.gz"
    touch(tmp_path, bold, events)
    (run,) = find_runs(tmp_path / derivatives, RunFilter(), has_events=True)
    assert run.events == str(tmp_path / events)
    (run,) = find_runs(tmp_path / derivatives, RunFilter())
    assert run.events is None


def test_a_given_dataset_is_the_only_one(tmp_path, touch):
    touch(tmp_path, "task-go_events.tsv", "other/task-go_events.tsv")
    given = str(tmp_path / "other")
    assert event_roots(str(tmp_path), given) == (given,)
    touch(tmp_path, "sub-1/func/sub-1_task-go_desc-preproc_bold.nii.gz")
    (run,) = find_runs(tmp_path, RunFilter(), has_events=True, events_dir=given)
    assert run.events == f"{given}/task-go_events.tsv"
