"""`lazyvox.run_cohort`: everything that is asked for of all runs of a study."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.cohort.atlases import opened_atlases
from lazyvox.cohort.chosen_runs import find_study, list_texts, run_filter, split_texts
from lazyvox.cohort.dataset import check_own
from lazyvox.cohort.model import study_model
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.plans import CohortResult
from lazyvox.cohort.runs import RunFiles, RunFilter
from lazyvox.cohort.study import Cohort
from lazyvox.connectome import Estimator
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.glm.model_choice import ModelChoice
from lazyvox.planning.memory import counted
from lazyvox.runtime.cluster import SchedulerLike
from lazyvox.runtime.progress import ProgressLike
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.urls import is_url
from lazyvox.store.opening import find_file
from lazyvox.store.write.atomic import url_refusal

__all__ = ["prepare_cohort", "run_cohort"]


def run_cohort(  # noqa: PLR0913
    bids_dir: PathLike | None,
    out: PathLike,
    *,
    atlases: Mapping[str, Any] | None = None,
    table: PathLike | None = None,
    participant_label: str | Sequence[str] = (),
    session_label: str | Sequence[str] = (),
    task: str | Sequence[str] = (),
    run: str | Sequence[str] = (),
    space: str | Sequence[str] = (),
    bids_filter_file: PathLike | None = None,
    mask: PathLike | None = None,
    strategy: str | Sequence[str] = "mean",
    min_coverage: float | None = None,
    resample: bool = False,
    confound_strategy: str | Sequence[str] = (),
    confound_columns: str | Sequence[str] = (),
    fd_threshold: float | None = None,
    std_dvars_threshold: float | None = None,
    scrub: int | None = None,
    smoothing_fwhm: float | Sequence[float] | str | None = None,
    detrend: bool = False,
    standardize: str | None = None,
    filter: str | None = None,  # noqa: A002
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | None = None,
    censored: str = "drop",
    matrix: str | Sequence[str] = (),
    estimator: Estimator = "ledoit-wolf",
    qc: bool = False,
    glm: bool = False,
    contrasts: str | Sequence[str] = (),
    events_dir: PathLike | None = None,
    hrf_model: str = "glover",
    drift_model: str = "cosine",
    drift_order: int = 1,
    noise_model: str = "ar1",
    slice_time_ref: float = 0.0,
    memory: int | str | None = None,
    n_jobs: int | None = -1,
    progress: ProgressLike = None,
    scheduler: SchedulerLike = None,
) -> CohortResult:
    """Write signals, coverage, matrices and quality of all runs of a study, as a BIDS dataset.

    Parameters
    ----------
    bids_dir : path-like or None
        Folder of derivatives of fMRIPrep or XCP-D, or a raw dataset with such a folder in its
        ``derivatives``; None with a `table`.
    out : path-like
        Folder of the outputs; it is made.
    atlases : dict of str to path, or to (path, path), optional
        Images of labels (3D) or maps (4D) by name, each with the table of its regions or
        without.
    table : path-like, optional
        Table of runs in place of `bids_dir`, with the columns ``bold``, ``mask``,
        ``confounds``, ``events``, and entities such as ``sub`` and ``task``. Paths are relative
        to its folder.
    participant_label, session_label, task, run, space : str or sequence of str, optional
        Labels of the runs that are wanted, with or without ``sub-`` and the like.
    bids_filter_file : path-like, optional
        fMRIPrep's JSON file that chooses runs by any entity: ``{"bold": {"acquisition": null}}``.
        Its keys and values are PyBIDS's; queries other than "bold" are left aside with a warning.
    mask : path-like, optional
        Mask that regions, measures of quality and models are confined to; "auto" for that beside
        each run. Without, regions and measures have none, and that of a model is computed, as by
        `lazyvox.glm.FirstLevelModel`, in a pass before the others.
    strategy : str or sequence of str, default="mean"
        How to combine the voxels of a region; see `lazyvox.extract`.
    min_coverage : float, optional
        Part of its voxels that must hold signal for a region to have values.
    resample : bool, default=False
        Whether atlases on another grid are brought to that of each run.
    confound_strategy, confound_columns : str or sequence of str, optional
        Regressors to remove, of the table beside each run; see `lazyvox.load_confounds`.
    fd_threshold, std_dvars_threshold, scrub : float, optional
        Limits above which volumes are censored; see `lazyvox.load_confounds`.
    smoothing_fwhm, detrend, standardize, filter, low_pass, high_pass, t_r, censored
        Smoothing and cleaning; see `lazyvox.extract`.
    matrix : str or sequence of str, optional
        Kinds of connectivity to compute of each table; see `lazyvox.connectivity`.
    estimator : {"ledoit-wolf", "empirical"}, default="ledoit-wolf"
        Estimator of the covariance of these.
    qc : bool, default=False
        Whether the quality of volumes is measured; see `lazyvox.qc`.
    glm : bool, default=False
        Whether a first-level model is fitted to each run. Its design is made of the run's events,
        and of the confounds that are chosen; `smoothing_fwhm` and `t_r` concern it too, and so does
        `high_pass`, by default 0.01 Hz there. Censored volumes are left out,
        unless ``censored="keep"``.
    contrasts : str or sequence of str, optional
        Contrasts of it, such as ``"face - house"``, or ``"faces=face - house"`` with a name.
    events_dir : path-like, optional
        Dataset with the tables of events; by default they are looked for beside each run, above it,
        in the raw dataset around the derivatives, and in ``sourcedata``.
    hrf_model, drift_model, drift_order, noise_model, slice_time_ref
        As of `lazyvox.glm.FirstLevelModel`; "none" is a drift model too.
    memory : int or str, optional
        Memory budget of all runs together, such as ``"4GiB"``.
    n_jobs : int, default=-1
        Most runs at a time, each in a process of its own; with 1 they are worked on here.
    progress : bool or callable, optional
        True shows a bar on stderr.
    scheduler : str, distributed.Client or a cluster of Dask, optional
        Scheduler of Dask whose workers take the runs, such as ``"tcp://10.0.0.1:8786"``, in place
        of processes here. `memory` is then that of each run, by default what the limits of the
        workers leave.

    Returns
    -------
    CohortResult
        What became of the runs.

    Raises
    ------
    ParameterError
        If an argument is out of range, if there is no run, or names collide. Whatever fails for a
        single run is no error: it is listed in the result, and in ``failures.tsv``.
    ImageFileError
        If an atlas cannot be read, or there is no such mask.
    OutputError
        If `out` cannot be written.

    Notes
    -----
    One pass over each run for everything; measures of quality have a pass of their own where
    volumes are smoothed, or dropped without other cleaning. A run whose outputs are complete, and
    whose files and parameters are the same as then, is not done again. Tables and JSON files
    depend on inputs and parameters only; times and peaks are in ``logs/runs.tsv``. All files of a
    run appear when the last one is complete. ``lv.plan(lv.run_cohort, ...)`` is the plan: it lists
    the runs and what was found for each, and writes nothing.

    Memory: runs are worked on at the same time while their predicted peaks fit the budget; each
    process holds 40 to 60 MiB more for Python and its imports, and with `glm` 200 to 250 MiB, as
    nilearn and pandas are imported. Workers of a scheduler read the
    runs and write the outputs themselves, so that they must see the same folders; paths and
    options travel to them, and times and warnings back. Scripts call this below
    ``if __name__ == "__main__":``.

    Examples
    --------
    >>> import lazyvox as lv
    >>> with open("runs.csv", "w") as file:
    ...     print("sub,bold", "01,run.nii.gz", "02,run.nii.gz", sep=chr(10), file=file)
    >>> options = {"atlases": {"Quarters": "atlas.nii.gz"}, "n_jobs": 1}
    >>> len(lv.plan(lv.run_cohort, None, "study", table="runs.csv", **options).due)
    2
    >>> result = lv.run_cohort(None, "study", table="runs.csv", **options)
    >>> len(result.done), result.failed
    (2, ())
    """
    options = CohortOptions(
        atlases=opened_atlases(atlases or {}),
        mask=None
        if mask is None
        else mask
        if isinstance(mask, str) and mask == "auto"
        else absolute_path(mask, "mask"),
        strategy=split_texts(strategy, "strategy"),
        min_coverage=min_coverage,
        resample=resample,
        confound_strategy=split_texts(confound_strategy, "confound_strategy"),
        confound_columns=split_texts(confound_columns, "confound_columns"),
        fd_threshold=fd_threshold,
        std_dvars_threshold=std_dvars_threshold,
        scrub=scrub,
        smoothing_fwhm=_width(smoothing_fwhm),
        detrend=detrend,
        standardize=standardize,
        filter=filter,
        low_pass=low_pass,
        high_pass=high_pass,
        t_r=t_r,
        censored=censored,
        matrix=split_texts(matrix, "matrix"),
        estimator=estimator,
        qc=qc,
        glm=study_model(
            glm,
            # Names of columns may have commas.
            list_texts(contrasts, "contrasts"),
            ModelChoice(
                hrf_model=hrf_model,
                drift_model=drift_model,
                drift_order=drift_order,
                noise_model=noise_model,
                slice_time_ref=slice_time_ref,
            ),
            high_pass,
        ),
    )
    wanted = run_filter(participant_label, session_label, task, run, space, bids_filter_file)
    cohort = prepare_cohort(bids_dir, out, table, wanted, options, events_dir)
    return cohort.run(memory, n_jobs, progress, scheduler)


def prepare_cohort(
    bids_dir: PathLike | None,
    out: PathLike,
    table: PathLike | None,
    wanted: RunFilter,
    options: CohortOptions,
    events_dir: PathLike | None = None,
) -> Cohort:
    """Return a study whose runs were found; see `run_cohort`."""
    if events_dir is not None and (options.glm is None or bids_dir is None):
        msg = "`events_dir` concerns `glm` with a `bids_dir`; a table of runs has a column events."
        raise ParameterError(msg)
    full = absolute_path(out)
    if is_url(full):
        raise url_refusal(full)
    if bids_dir is not None:
        _check_apart(full, absolute_path(bids_dir))
    if options.mask is not None and options.mask != "auto":
        find_file(options.mask)
    runs = find_study(bids_dir, table, wanted, options.glm is not None, events_dir)
    check_own(full)
    if options.computes_mask:
        _warn_of_masks(runs)
    return Cohort(tuple(runs), full, options)


def _warn_of_masks(runs: Sequence[RunFiles]) -> None:
    """Say that masks which lie beside runs are not those of the models."""
    n_masks = sum(one.mask is not None for one in runs)
    if n_masks:
        msg = (
            f"`mask` should say which voxels the maps of `glm` have. Masks lie beside {n_masks} of "
            f"{counted(len(runs), 'run')}, and are not used: the mask of each model is computed, in "
            f"a pass over its run."
        )
        hint = "Pass mask='auto' for those beside the runs."
        warnings.warn(LazyvoxWarning(msg, hint=hint), stacklevel=3)


def _check_apart(out: str, bids_dir: str) -> None:
    """Refuse a folder of outputs that has the runs."""
    if Path(out).resolve() == Path(bids_dir).resolve():
        msg = f"`out` must be another folder than that of the runs. Got {printable(out)}."
        raise ParameterError(msg)


def _width(given: Any) -> Any:
    return tuple(given) if isinstance(given, list | tuple) else given
