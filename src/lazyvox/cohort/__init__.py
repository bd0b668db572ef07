"""Studies: everything that is asked for of many runs, as a BIDS dataset, resumable."""

from lazyvox.cohort.api import prepare_cohort, run_cohort
from lazyvox.cohort.atlases import Atlas
from lazyvox.cohort.extract_all import extract_all
from lazyvox.cohort.group import Group, GroupResult, prepare_group, run_group
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.outcomes import Done, Failed
from lazyvox.cohort.output_sets import OutputSet
from lazyvox.cohort.plans import CohortPlan, CohortResult, PlannedRun
from lazyvox.cohort.runs import RunFiles, RunFilter
from lazyvox.cohort.study import Cohort
from lazyvox.cohort.subjects import Subjects, SubjectsResult, prepare_subjects, run_subjects

__all__ = [
    "Atlas",
    "Cohort",
    "CohortOptions",
    "CohortPlan",
    "CohortResult",
    "Done",
    "Failed",
    "Group",
    "GroupResult",
    "OutputSet",
    "PlannedRun",
    "RunFiles",
    "RunFilter",
    "Subjects",
    "SubjectsResult",
    "extract_all",
    "prepare_cohort",
    "prepare_group",
    "prepare_subjects",
    "run_cohort",
    "run_group",
    "run_subjects",
]
