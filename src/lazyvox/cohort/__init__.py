"""Studies: everything that is asked for of many runs, as a BIDS dataset, resumable."""

from lazyvox.cohort.api import prepare_cohort, run_cohort
from lazyvox.cohort.atlases import Atlas
from lazyvox.cohort.extract_all import extract_all
from lazyvox.cohort.group import Group, GroupResult, GroupSet, prepare_group, run_group
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.outcomes import Done, Failed
from lazyvox.cohort.plans import CohortPlan, CohortResult, PlannedRun
from lazyvox.cohort.runs import RunFiles, RunFilter
from lazyvox.cohort.study import Cohort

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
    "GroupSet",
    "PlannedRun",
    "RunFiles",
    "RunFilter",
    "extract_all",
    "prepare_cohort",
    "prepare_group",
    "run_cohort",
    "run_group",
]
