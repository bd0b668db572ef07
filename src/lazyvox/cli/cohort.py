"""`lazyvox cohort`: signals, coverage, matrices and quality of all runs of a study."""

import re
import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click

from lazyvox._typing import override
from lazyvox._version import __version__
from lazyvox.cli.cleaning_options import CleaningChoice, study_cleaning_options
from lazyvox.cli.estimator_option import estimator_option
from lazyvox.cli.job import print_json
from lazyvox.cli.model_options import MODEL_OPTIONS, contrast_option, model_options
from lazyvox.cli.outcome import (
    SomeFailedError,
    WrongUsageError,
    described,
    options_named,
    print_traceback,
)
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    chosen,
    common_options_of_many,
    examples,
    is_given,
)
from lazyvox.cohort import (
    Atlas,
    Cohort,
    CohortOptions,
    CohortPlan,
    Failed,
    Group,
    RunFilter,
    Subjects,
    prepare_cohort,
    prepare_group,
    prepare_subjects,
)
from lazyvox.cohort.chosen_runs import run_filter, split_texts
from lazyvox.cohort.dataset import Dataset
from lazyvox.cohort.model import StudyModel, study_model
from lazyvox.connectome import KINDS
from lazyvox.errors import LazyvoxWarning
from lazyvox.glm.model_choice import ModelChoice
from lazyvox.store.files.paths import absolute_path, expand_home, printable

__all__ = ["cohort"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

#: A file name may have a colon; the table after the last one has none, but as a URL may.
_IMAGE_AND_TABLE = re.compile(
    r"((?:[A-Za-z][\w+.\-]*://[^/]*/)?+.+?):((?:[A-Za-z][\w+.\-]*://[^/]*/)?[^:]*)"
)

_PARTICIPANT, _SUBJECT, _GROUP = "participant", "subject", "group"
#: Options that the level of a group has.
_OF_GROUP = frozenset(
    {
        "places",
        "table",
        "participant_label",
        "session_label",
        "task",
        "run",
        "space",
        "bids_filter_file",
        "dry_run",
        *("memory", "explain", "json", "quiet", "progress", "debug", "verbose"),
    }
)
#: Options that no other level has than that of subjects.
_OF_SUBJECTS = frozenset({"precision_weighted", "over_sessions"})
#: Options of the levels that work on outputs.
_OF_LEVEL = {_SUBJECT: _OF_GROUP | _OF_SUBJECTS | {"jobs"}, _GROUP: _OF_GROUP}
_AUTO = "auto"
_KINDS = {kind.replace(" ", "-"): kind for kind in KINDS}
_ARGUMENTS = "lazyvox.cohort.arguments"

_LISTS = ("--participant-label", "--session-label", "--task", "--run", "--space")

#: Options for the parameters that errors of the library name.
_NAMED = {
    "atlases": "--atlas",
    "bids_dir": "BIDS_DIR",
    "confounds": "the confounds",
    "contrasts": "--contrast",
    "design": "the design",
    "events": "the events",
    "imgs": "the run",
    "labels_img": "--atlas",
    "lut": "--atlas",
    "maps_img": "--atlas",
    "mask_img": "--mask",
    "motion": "the motion parameters",
    "out": "OUT",
    "sample_mask": "thresholds such as --fd-threshold",
    "confound_columns": "--confound-columns",
    "confound_strategy": "--confound-strategy",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            "array_index",
            "array_size",
            "bids_filter_file",
            "events_dir",
            "glm",
            "mask",
            "matrix",
            "participant_label",
            "qc",
            "run",
            "scheduler",
            "session_label",
            "space",
            "table",
            "task",
        )
    },
}


class _CohortCommand(Command):
    """Takes several labels behind one option, as BIDS Apps do."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        option, n_values = "", 0
        for arg in args:
            if arg.startswith("-"):
                option, n_values = (arg, 0) if arg in _LISTS else ("", 0)
            elif option:
                n_values += 1
                spread += [option] * (n_values > 1)
            spread.append(arg)
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, spread)


def _labels(option: str, what: str) -> Callable[[_Decorated], _Decorated]:
    return click.option(
        option,
        multiple=True,
        metavar="LABEL...",
        help=f"{what} to take, with or without the key in front; by default all.",
    )


@click.command(
    cls=_CohortCommand,
    epilog=examples(
        "lazyvox cohort derivatives/fmriprep out participant --space MNI152NLin2009cAsym \\",
        "      --atlas Schaefer=schaefer.nii.gz:schaefer.tsv --mask auto --resample \\",
        "      --confound-strategy motion24,wm_csf,high_pass --matrix correlation --qc \\",
        "      --participant-label 01 02",
        "lazyvox cohort derivatives/fmriprep out participant --task faces --mask auto \\",
        '      --glm --contrast "face - house" --confound-strategy motion6',
        "lazyvox cohort out participant --table runs.tsv --atlas AAL=aal.nii.gz --dry-run",
        "lazyvox cohort derivatives/fmriprep out subject",
        "lazyvox cohort derivatives/fmriprep out group",
    ),
)
@click.argument("places", metavar="[BIDS_DIR] OUT participant|subject|group", nargs=-1, type=PATH)
@_labels("--participant-label", "Participants")
@_labels("--session-label", "Sessions")
@_labels("--task", "Tasks")
@_labels("--run", "Runs")
@_labels("--space", "Spaces")
@click.option(
    "--bids-filter-file",
    metavar="JSON",
    type=PATH,
    help='Runs to take by any entity, as of fMRIPrep: {"bold": {"acquisition": null, "run": [1, 2]}}.',
)
@click.option(
    "--table",
    metavar="TABLE",
    type=PATH,
    help="Table of runs in place of BIDS_DIR: columns bold, mask, confounds and events hold paths, "
    "relative to its folder; all others are entities, such as sub and task.",
)
@click.option(
    "--atlas",
    metavar="NAME=FILE[:TABLE]",
    multiple=True,
    help="Atlas of labels or maps, its name in outputs, and the table with the names of regions. "
    "Once for each.",
)
@click.option(
    "--mask",
    metavar="auto|FILE",
    type=PATH,
    help="Mask for regions, measures of quality and GLM maps: a file, or auto for the mask beside each "
    "run. Without it, the mask of GLM maps is computed in an extra pass over each run.",
)
@click.option(
    "--strategy",
    metavar="NAMES",
    default="mean",
    show_default=True,
    help="Statistics that combine the voxels of a region, as in mean,std.",
)
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 1),
    metavar="PART",
    help="Give n/a for regions of which a smaller part of the voxels holds signal.",
)
@click.option("--resample", is_flag=True, help="Bring atlases to the grid of each run.")
@study_cleaning_options
@click.option(
    "--matrix",
    metavar="KINDS",
    default="",
    help=f"Matrices of regions to compute, with commas between: {', '.join(_KINDS)}; as by lazyvox "
    "connectivity.",
)
@estimator_option
@click.option("--qc", is_flag=True, help="Measure the quality of every volume, as lazyvox qc.")
@click.option(
    "--glm",
    is_flag=True,
    help="Fit a first-level model to each run, as lazyvox glm: of its events, and of the confounds "
    "that are chosen. --high-pass, 0.01 by default, is the fastest of its cosines.",
)
@contrast_option(required=False)
@model_options
@click.option(
    "--events-dir",
    metavar="FOLDER",
    type=PATH,
    help="Dataset with the tables of events; by default they are looked for beside the runs, in the "
    "raw dataset around the derivatives, and in sourcedata.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Scheduler of Dask whose workers take the runs, such as tcp://10.0.0.1:8786; --memory is "
    "then that of each run.",
)
@click.option(
    "--precision-weighted",
    is_flag=True,
    help="With subject: weight runs by the inverse of their variance; otherwise each counts as much.",
)
@click.option(
    "--over-sessions",
    is_flag=True,
    help="With subject: put all sessions together; otherwise each has its own maps.",
)
@click.option("--dry-run", is_flag=True, help="List runs, findings and the plan; write nothing.")
@click.option(
    "--array-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of tasks that share the study, as SLURM_ARRAY_TASK_COUNT.",
)
@click.option(
    "--array-index",
    type=click.IntRange(min=0),
    metavar="I",
    help="Number of this task, counted from 0, as SLURM_ARRAY_TASK_ID.",
)
@click.option(
    "--sbatch",
    is_flag=True,
    help="Print a script for sbatch with an array of --array-size tasks; write nothing.",
)
@common_options_of_many
@click.pass_context
def cohort(ctx: click.Context, /, places: tuple[str, ...], **given: Any) -> None:
    """Write signals, coverage, matrices, quality and GLM maps of all runs of a study.

    BIDS_DIR is a folder of fMRIPrep's or XCP-D's derivatives, or a raw dataset with one in
    derivatives/. OUT becomes a BIDS dataset. Each run is read once, in a process of its own, as
    many at a time as fit --memory, at most --jobs. The same command again does what is not
    finished. A run that fails is listed in OUT/failures.tsv, and the exit code is 3; so it is of
    --dry-run where a run cannot be done.

    With subject in place of participant, the maps of --glm in OUT are put together over the runs of
    each participant, as fixed effects. With group, mean and variance over subjects of the matrices
    and effect maps in OUT are written into OUT/group.
    """
    settings = Settings.of(ctx)
    bids_dir, out, level = _places(places, has_table=given["table"] is not None)
    _check_level(ctx, level)
    is_dry = given["dry_run"] or settings.explain
    if level == _SUBJECT:
        with options_named(**_NAMED), settings.budget():
            subjects = prepare_subjects(
                bids_dir,
                out,
                given["table"],
                _wanted(given),
                precision_weighted=given["precision_weighted"],
                over_sessions=given["over_sessions"],
            )
            _make_maps(replace(subjects, wording=_in_words), settings, is_dry=is_dry)
        return
    if level == _GROUP:
        with options_named(**_NAMED), settings.budget():
            wanted = _wanted(given)
            group = replace(
                prepare_group(bids_dir, out, given["table"], wanted), wording=_in_words
            )
            _make_group(group, settings, is_dry=is_dry)
        return
    _check_array(given, settings)
    n_jobs = _n_jobs(settings)
    with options_named(**_NAMED), settings.budget():
        options = _options(ctx, given)
        study = prepare_cohort(
            bids_dir, out, given["table"], _wanted(given), options, given["events_dir"]
        )
        study = replace(study, wording=_in_words)
        if given["sbatch"]:
            plan = study.plan(n_jobs=n_jobs)
            _check_has_work(plan)
            click.echo(_script(study, plan, given["array_size"], ctx.meta[_ARGUMENTS]), nl=False)
            return
        if given["array_size"] is not None:
            study = study.share(given["array_size"], given["array_index"])
        if is_dry:
            plan = study.plan(n_jobs=n_jobs, scheduler=given["scheduler"])
            _print(plan, settings)
            if failed := plan.failed:
                raise SomeFailedError(_cannot(failed, len(plan.runs)))
            return
        _run(study, n_jobs, given["scheduler"], settings)


def _wanted(given: dict[str, Any]) -> RunFilter:
    """Return the filter of the runs."""
    return run_filter(
        given["participant_label"],
        given["session_label"],
        given["task"],
        given["run"],
        given["space"],
        given["bids_filter_file"],
    )


def _check_array(given: dict[str, Any], settings: Settings) -> None:
    """Refuse options about several tasks that do not go together."""
    if given["sbatch"] and (given["array_size"] is None or given["array_index"] is not None):
        msg = "--sbatch needs --array-size, the number of tasks, and gives each its --array-index"
        raise WrongUsageError(msg)
    if given["sbatch"] and (given["scheduler"] or given["dry_run"] or settings.explain):
        msg = "--sbatch prints a script for work without --scheduler, --dry-run and --explain"
        raise WrongUsageError(msg)
    if not given["sbatch"] and (given["array_size"] is None) != (given["array_index"] is None):
        msg = "--array-size and --array-index go together. Pass both, or none"
        raise WrongUsageError(msg)


def _n_jobs(settings: Settings) -> int:
    return -1 if settings.jobs is None else settings.jobs


def _check_level(ctx: click.Context, level: str) -> None:
    """Refuse options about the work of other levels."""
    for param in ctx.command.params:
        name = param.name or ""
        its = "level subject" if name in _OF_SUBJECTS else "level participant"
        if name in _OF_LEVEL[_SUBJECT] - _OF_LEVEL[_GROUP] - _OF_SUBJECTS:
            its = "levels participant and subject"
        has = name not in _OF_SUBJECTS if level == _PARTICIPANT else name in _OF_LEVEL[level]
        if not has and is_given(ctx, name):
            msg = f"{max(param.opts, key=len)} concerns the {its}, and not {level}"
            raise WrongUsageError(msg)


def _make_maps(subjects: Subjects, settings: Settings, *, is_dry: bool) -> None:
    """Make the fixed effects over runs, or list them."""
    if is_dry:
        _print(subjects, settings)
        return
    result = subjects.run(n_jobs=_n_jobs(settings), progress=settings.progress)
    _print(result, settings)
    _end_of_results(result.failed, len(result.done), settings)


def _make_group(group: Group, settings: Settings, *, is_dry: bool) -> None:
    """Make the results over subjects, or list them."""
    if is_dry:
        _print(group, settings)
        return
    result = group.run(progress=settings.progress)
    _print(result, settings)
    _end_of_results(result.failed, len(result.sets), settings)


def _end_of_results(failed: Sequence[Failed], n_made: int, settings: Settings) -> None:
    _print_tracebacks(failed, settings)
    if failed:
        n_all = len(failed) + n_made
        msg = f"{len(failed)} of {n_all} results failed; the first: {failed[0].message}"
        raise SomeFailedError(msg)


def _run(study: Cohort, n_jobs: int, scheduler: str | None, settings: Settings) -> None:
    result = study.run(n_jobs=n_jobs, progress=settings.progress, scheduler=scheduler)
    _print(result, settings)
    _print_tracebacks(result.failed, settings)
    if result.failed:
        path = printable(str(Dataset(study.out, study.part).failures))
        first = result.failed[0]
        msg = (
            f"{len(result.failed)} of {len(study.runs)} runs failed, listed in {path}; the first "
            f"is {first.run}, at the step {first.step}: {first.message}"
        )
        raise SomeFailedError(msg)


def _script(study: Cohort, plan: CohortPlan, size: int, arguments: list[str]) -> str:
    """Return a script for SLURM: each task has the budget, and as many cores as runs at a time."""
    # The process that starts others reads designs too, to plan them.
    memory = plan.budget + study.options.process_bytes * (plan.n_workers + 1)
    command = shlex.join(["lazyvox", "cohort", *(one for one in arguments if one != "--sbatch")])
    return f"""#!/bin/bash
#SBATCH --job-name=lazyvox-cohort
#SBATCH --array=0-{size - 1}
#SBATCH --cpus-per-task={plan.n_workers}
#SBATCH --mem={-(-memory // (1 << 20))}M
#SBATCH --time=24:00:00
{command} \\
    --array-index "$SLURM_ARRAY_TASK_ID"
"""


def _check_has_work(plan: CohortPlan) -> None:
    """Say which runs a script could not do, and refuse one that had nothing to do."""
    failed, n_runs = plan.failed, len(plan.runs)
    if failed and not plan.due:
        msg = f"--sbatch needs runs to do, and there are none: {_cannot(failed, n_runs)}"
        raise SomeFailedError(msg)
    if not plan.due:
        msg = f"--sbatch needs runs to do, and there are none: {n_runs} of {n_runs} are finished"
        raise WrongUsageError(msg)
    if failed:
        warnings.warn(LazyvoxWarning(f"{_cannot(failed, n_runs)}."), stacklevel=2)


def _cannot(failed: Sequence[Failed], n_runs: int) -> str:
    first = failed[0]
    return f"{len(failed)} of {n_runs} runs cannot be done; the first is {first.run}: {first.message.rstrip('.')}"


def _in_words(problem: Exception) -> str:
    """Return the text of an error or warning in the words of the command line."""
    return described(problem, **_NAMED)


def _print_tracebacks(failed: Sequence[Failed], settings: Settings) -> None:
    if settings.debug:
        for one in failed:
            print_traceback(one.error)


def _print(found: Any, settings: Settings) -> None:
    if settings.as_json:
        print_json({"command": "cohort", "version": __version__, **found.to_dict()})
    elif not settings.quiet:
        click.echo(str(found))


def _places(places: tuple[str, ...], *, has_table: bool) -> tuple[str | None, str, str]:
    """Return the folder of the runs, that of the outputs, and the level."""
    names = ("OUT", _PARTICIPANT) if has_table else ("BIDS_DIR", "OUT", _PARTICIPANT)
    if len(places) != len(names) or places[-1] not in {_PARTICIPANT, *_OF_LEVEL}:
        instead = ", with --table" if has_table else ""
        shown = " ".join(map(printable, places)) or "nothing"
        msg = f"the arguments must be {' '.join(names)} (or {', '.join(_OF_LEVEL)}){instead}. Got {shown}"
        if not places:
            msg += ". Put them in front of options that take several labels, or behind --"
        elif near := get_close_matches(places[-1], (_PARTICIPANT, *_OF_LEVEL), n=1):
            msg += "" if near[0] == places[-1] else f". Did you mean {near[0]}?"
        raise WrongUsageError(msg)
    return (None if has_table else places[0]), places[-2], places[-1]


def _options(ctx: click.Context, given: dict[str, Any]) -> CohortOptions:
    """Return what is asked for of each run."""
    cleaning, kept = chosen(ctx, CleaningChoice), ctx.ensure_object(dict)
    mask = given["mask"]
    matrices = split_texts(given["matrix"], "matrix")
    unknown = [one for one in matrices if one not in _KINDS]
    if unknown:
        msg = f"--matrix must be of {', '.join(_KINDS)}. Got {unknown[0]!r}"
        raise WrongUsageError(msg)
    return CohortOptions(
        atlases=tuple(map(_atlas, given["atlas"])),
        mask=mask if mask in {None, _AUTO} else absolute_path(mask),
        strategy=split_texts(given["strategy"], "strategy"),
        min_coverage=given["min_coverage"],
        resample=given["resample"],
        confound_strategy=split_texts(kept["confound_strategy"], "confound_strategy"),
        confound_columns=split_texts(kept["confound_columns"], "confound_columns"),
        fd_threshold=kept["fd_threshold"],
        std_dvars_threshold=kept["std_dvars_threshold"],
        scrub=kept["scrub"],
        smoothing_fwhm=cleaning.smoothing_fwhm,
        detrend=cleaning.detrend,
        standardize=cleaning.standardize,
        filter=cleaning.filter,
        low_pass=cleaning.low_pass,
        high_pass=cleaning.high_pass,
        t_r=cleaning.t_r,
        censored=cleaning.censored,
        matrix=tuple(_KINDS[one] for one in matrices),
        estimator=given["estimator"],
        qc=given["qc"],
        glm=_model(ctx, given, cleaning.high_pass),
    )


def _model(
    ctx: click.Context, given: dict[str, Any], high_pass: float | None
) -> StudyModel | None:
    """Return the model, None without --glm."""
    typed = [name for name in ("contrasts", *MODEL_OPTIONS, "events_dir") if is_given(ctx, name)]
    if typed and not given["glm"]:
        option = "contrast" if typed[0] == "contrasts" else typed[0].replace("_", "-")
        msg = f"--{option} concerns --glm, which is missing"
        raise WrongUsageError(msg)
    choice = ModelChoice(**{name: given[name] for name in MODEL_OPTIONS})
    return study_model(given["glm"], given["contrasts"], choice, high_pass)


def _atlas(text: str) -> Atlas:
    """Return the atlas of NAME=FILE[:TABLE]."""
    name, equals, rest = text.partition("=")
    if not name or not equals or not rest or rest.endswith(":"):
        msg = f"--atlas must be NAME=FILE, or NAME=FILE:TABLE. Got {text!r}"
        raise WrongUsageError(msg)
    parts = None if Path(rest).exists() else _IMAGE_AND_TABLE.fullmatch(rest)
    image, table = (rest, None) if parts is None else parts.groups()
    return Atlas.opened(name, expand_home(image), table and expand_home(table))
