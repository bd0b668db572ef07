"""`load_confounds`: regressors and censored volumes from a table, by the names of strategies."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from lazyvox._typing import BoolArray, FloatArray, IntArray, PathLike
from lazyvox.confounds.beside import find_table
from lazyvox.confounds.checks import check_names, check_numbers, check_present
from lazyvox.confounds.compcor import read_metadata
from lazyvox.confounds.strategy import (
    Component,
    Models,
    check_models,
    columns_of,
    parse_strategy,
    split_names,
)
from lazyvox.confounds.xcp_d import open_confound_table
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.signal.confounds import Confounds
from lazyvox.tables.numeric import Table

__all__ = ["Confounds", "load_confounds"]

_DEFAULT_STRATEGY = ("motion", "high_pass", "wm_csf")
_FLAGS = ("motion_outlier", "non_steady_state")

Model = Literal["basic", "power2", "derivatives", "full"]
CompCor = Literal[
    "anat_combined",
    "anat_separated",
    "temporal",
    "temporal_anat_combined",
    "temporal_anat_separated",
]


@dataclass(frozen=True, slots=True)
class _Scrub:
    """When a volume is censored because of motion."""

    shortest: int
    fd_threshold: float
    std_dvars_threshold: float

    def __post_init__(self) -> None:
        """Refuse lengths and thresholds out of range."""
        if not _is_count(self.shortest) or self.shortest < 0:
            msg = f"`scrub` must be an integer of at least 0. Got {self.shortest!r}."
            raise ParameterError(msg)
        for name in ("fd_threshold", "std_dvars_threshold"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not value >= 0:
                msg = f"`{name}` must be a number of at least 0. Got {value!r}."
                raise ParameterError(msg)

    @property
    def columns(self) -> dict[str, tuple[float, str]]:
        """The columns that are looked at, with threshold and reason; infinity needs none."""
        limits = {
            "framewise_displacement": (
                self.fd_threshold,
                "framewise displacement above {:g} mm",
            ),
            "std_dvars": (self.std_dvars_threshold, "standardized DVARS above {:g}"),
        }
        return {name: limit for name, limit in limits.items() if limit[0] < np.inf}


def load_confounds(  # noqa: PLR0913
    path_or_table: PathLike | Any,
    strategy: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    *,
    motion: Model = "full",
    wm_csf: Model = "basic",
    global_signal: Model = "basic",
    compcor: CompCor = "anat_combined",
    n_compcor: int | Literal["all"] = "all",
    scrub: int = 5,
    fd_threshold: float = 0.5,
    std_dvars_threshold: float = 1.5,
    demean: bool = True,
    metadata: Mapping[str, Any] | PathLike | None = None,
    n_volumes: int | None = None,
) -> Confounds:
    """Return regressors, and the volumes to keep, from a table of confounds.

    Parameters
    ----------
    path_or_table : path-like, image or DataFrame
        fMRIPrep's ``*_desc-confounds_timeseries.tsv``, or any .tsv or .csv with the names of its
        columns in the first line, also gzipped; an image of fMRIPrep's, or its path, whose table
        lies beside it; or a data frame. Of XCP-D, ``*_motion.tsv`` or an image: its columns, those
        of ``*_design.tsv``, and "motion_outlier_xcpd" of ``*_outliers.tsv``.
    strategy : str or sequence of str, optional
        What to take: "motion", "wm_csf", "global_signal", "compcor", "high_pass" and "scrub", as
        in nilearn; the same with a size, "motion6", "motion12" (with derivatives), "motion24",
        "wm_csf8", "global_signal4", "acompcor5" and "tcompcor5" (five components of each mask;
        without a number, `n_compcor`); names of columns; shell patterns of columns. One text may
        hold several, with commas. By default "motion,high_pass,wm_csf", or nothing where
        `columns` are given.
    columns : str or sequence of str, optional
        Names, or shell patterns, of further columns.
    motion : {"basic", "power2", "derivatives", "full"}, default="full"
        What "motion" means: six parameters, with squares, with derivatives, or with both.
    wm_csf : {"basic", "power2", "derivatives", "full"}, default="basic"
        What "wm_csf" means.
    global_signal : {"basic", "power2", "derivatives", "full"}, default="basic"
        What "global_signal" means.
    compcor : str, default="anat_combined"
        What "compcor" means: "anat_combined", "anat_separated" (white matter, and cerebrospinal
        fluid), "temporal", "temporal_anat_combined" or "temporal_anat_separated".
    n_compcor : int or "all", default="all"
        CompCor components to take of each mask.
    scrub : int, default=5
        With "scrub", stretches of fewer volumes than this between censored ones are censored too.
    fd_threshold : float, default=0.5
        Framewise displacement in mm above which "scrub" censors a volume.
    std_dvars_threshold : float, default=1.5
        Standardized DVARS above which "scrub" censors a volume.
    demean : bool, default=True
        Whether the mean over the volumes that are kept is subtracted from each column.
    metadata : dict or path-like, optional
        Facts about columns, or their JSON file; by default the file beside the table. Anatomical
        CompCor needs it.
    n_volumes : int, optional
        Volumes of the run, for XCP-D's tables: denoised runs may lack the volumes that it censors,
        whose rows are then left out.

    Returns
    -------
    Confounds
        Regressors for all volumes, their names, and the volumes to keep: ``confounds=`` takes it as
        it is. Unpacks as nilearn's pair, ``table, sample_mask = load_confounds(...)``.

    Raises
    ------
    ParameterError
        If a name means nothing, a column is missing, a value is no number, or is n/a where it
        must not be; if no volume is left; if a parameter is none of its choices.
    ParameterTypeError
        If `path_or_table`, `strategy` or `columns` is of another type.
    ImageFileError
        If a file cannot be read.

    Warns
    -----
    LazyvoxWarning
        If "high_pass" is asked for and the table has no cosines.

    Notes
    -----
    Derivatives have no first value: an n/a in the first row becomes the value of the second row.
    Volumes in columns with "non_steady_state" in their names are always censored, those in chosen
    columns with "motion_outlier" too; neither become regressors.

    Memory: the chosen columns. Passes: one over the table.

    References
    ----------
    R. Ciric et al., "Benchmarking of participant-level confound regression strategies for the
    control of motion artifact in studies of functional connectivity", NeuroImage 154 (2017),
    174-187.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lazyvox.confounds import load_confounds
    >>> rows = ["csf,white_matter,csf_derivative1", "1,5,n/a", "3,6,2", "5,7,2"]
    >>> _ = Path("confounds.csv").write_text(chr(10).join(rows))
    >>> load_confounds("confounds.csv", "wm_csf").values[:, 0].tolist()
    [-2.0, 0.0, 2.0]
    >>> load_confounds("confounds.csv", columns="csf*").names
    ('csf', 'csf_derivative1')
    """
    models = Models(motion, wm_csf, global_signal, compcor, _n_components(n_compcor))
    check_models(models)
    limits = _Scrub(scrub, fd_threshold, std_dvars_threshold)
    if strategy is None:
        strategy = _DEFAULT_STRATEGY if columns is None else ()
    path_or_table = find_table(path_or_table)
    table = open_confound_table(path_or_table, n_volumes)
    check_names(table)
    components = (
        *parse_strategy(split_names(strategy, "strategy"), models, table.names),
        *(Component("columns", name) for name in split_names(columns or (), "columns")),
    )
    needs_metadata = any(one.kind == "compcor" for one in components)
    facts = read_metadata(metadata, path_or_table) if needs_metadata else None
    return _load(table, components, facts, limits, demean=demean)


def _load(
    table: Table,
    components: Sequence[Component],
    facts: Mapping[str, Any] | None,
    limits: _Scrub,
    *,
    demean: bool,
) -> Confounds:
    """Read the columns of the components, censor, fill the first row, and subtract means."""
    chosen = _chosen(table, components, facts)
    scrubs = limits.columns if any(one.kind == "scrub" for one in components) else {}
    check_present(chosen, scrubs, table)
    flags = [name for name in table.names if _FLAGS[1] in name]
    flags += [name for name in chosen if any(flag in name for flag in _FLAGS)]
    names = sorted(set(chosen) - set(flags))
    wanted = [*names, *scrubs, *dict.fromkeys(flags)]
    read = table.read(wanted)
    if not len(read):
        msg = f"{table.source}: confounds must have one row for each volume. Got no row."
        raise ParameterError(msg)
    check_numbers(read, wanted, table.source)
    n_names, n_numbers = len(names), len(names) + len(scrubs)
    reasons = _flagged(wanted[n_numbers:], read[:, n_numbers:])
    reasons |= _scrubbed(scrubs, read[:, n_names:n_numbers], limits.shortest)
    reasons = {reason: volumes for reason, volumes in reasons.items() if len(volumes)}
    values = np.ascontiguousarray(read[:, :n_names])
    absent = np.isnan(values[0])
    if absent.any():
        values[0, absent] = values[1, absent]
    kept = _kept(reasons, len(values), table.source)
    if demean:
        values -= values.mean(axis=0) if kept is None else values[kept].mean(axis=0)
    return Confounds(values, tuple(names), kept, table.source, reasons)


def _chosen(
    table: Table, components: Sequence[Component], facts: Mapping[str, Any] | None
) -> list[str]:
    """Return the columns that components ask for, whether the table has them or not."""
    chosen: list[str] = []
    names = table.names
    for component in components:
        found = columns_of(component, names, facts)
        if component.kind == "compcor" and not found:
            msg = (
                f"{table.source}: CompCor of type {component.model!r} asks for components, and "
                f"there are none. Choose another strategy, or name columns of the table."
            )
            raise ParameterError(msg)
        if component.kind == "high_pass" and not found:
            msg = f"{table.source}: 'high_pass' asks for cosines, and the table has none."
            warnings.warn(msg, LazyvoxWarning, stacklevel=4)
        chosen += found
    return chosen


def _flagged(names: Sequence[str], flags: FloatArray) -> dict[str, IntArray]:
    """Return the volumes that columns of flags censor, by reason."""
    is_set = np.nan_to_num(flags) != 0
    is_unsteady = np.array([_FLAGS[1] in name for name in names], bool)
    return {
        "non-steady state": np.flatnonzero(is_set[:, is_unsteady].any(axis=1)),
        "motion outlier of the table": np.flatnonzero(is_set[:, ~is_unsteady].any(axis=1)),
    }


def _scrubbed(
    scrubs: Mapping[str, tuple[float, str]], values: FloatArray, shortest: int
) -> dict[str, IntArray]:
    """Return the volumes that "scrub" censors, by reason.

    NaN, which the first volume has, is no outlier.
    """
    thresholds = np.array([threshold for threshold, _ in scrubs.values()])
    above = values > thresholds
    outliers = np.logical_or.reduce(above, axis=1)
    between = drop_short_segments(outliers, shortest) & ~outliers
    found = {
        reason.format(threshold): np.flatnonzero(above[:, place])
        for place, (threshold, reason) in enumerate(scrubs.values())
    }
    found[f"fewer than {shortest} volumes between these"] = np.flatnonzero(between)
    return found


def _kept(reasons: Mapping[str, IntArray], n_volumes: int, source: str) -> IntArray | None:
    """Return the volumes that are left, None where all are."""
    if not reasons:
        return None
    kept = np.setdiff1d(np.arange(n_volumes), np.concatenate(list(reasons.values())))
    if not len(kept):
        msg = f"{source}: at least one volume must be left. All {n_volumes} are censored."
        hint = (
            "Raise `fd_threshold` and `std_dvars_threshold`, lower `scrub`, or leave the run out."
        )
        raise ParameterError(msg, hint=hint)
    return kept


def _n_components(n_compcor: int | str) -> int | None:
    if n_compcor == "all":
        return None
    if not _is_count(n_compcor) or int(n_compcor) < 1:
        msg = f"`n_compcor` must be 'all' or an integer of at least 1. Got {n_compcor!r}."
        raise ParameterError(msg)
    return int(n_compcor)


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def drop_short_segments(outliers: BoolArray, shortest: int) -> BoolArray:
    """Return outliers to which stretches between them that are too short were added.

    Parameters
    ----------
    outliers : ndarray of shape (n_volumes,), bool
        Volumes that are censored.
    shortest : int
        Stretches of fewer volumes than this are censored too. A run without any outlier stays
        whole, however short.

    Returns
    -------
    ndarray of shape (n_volumes,), bool
        A new array.

    References
    ----------
    J. D. Power et al., "Methods to detect, characterize, and remove motion artifact in resting
    state fMRI", NeuroImage 84 (2014), 320-341.

    Examples
    --------
    >>> drop_short_segments(np.array([0, 0, 0, 1, 0, 1, 0, 0, 0]) > 0, 2).nonzero()[0]
    array([3, 4, 5])
    """
    result = outliers.copy()
    if not outliers.any():
        return result
    ends = np.concatenate(([-1], np.flatnonzero(outliers), [len(outliers)]))
    for before, after in pairwise(ends):
        if after - before - 1 < shortest:
            result[before + 1 : after] = True
    return result
