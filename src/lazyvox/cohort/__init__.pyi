from .api import prepare_cohort, run_cohort
from .atlases import Atlas
from .group import Group, GroupResult, prepare_group, run_group
from .many_images import extract_all
from .options import CohortOptions
from .outcomes import Done, Failed
from .output_sets import OutputSet
from .plans import CohortPlan, CohortResult, PlannedRun
from .runs import RunFiles, RunFilter
from .study import Cohort
from .subjects import Subjects, SubjectsResult, prepare_subjects, run_subjects

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
