"""`load_confounds`: regressors and censored volumes from a table, by the names of strategies."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lazyvox._typing import BoolArray, FloatArray, IntArray, PathLike, override
from lazyvox.confounds.checks import check_names, check_numbers, check_present
from lazyvox.confounds.compcor import read_metadata
from lazyvox.confounds.scrubbing import drop_short_segments, motion_outliers
from lazyvox.confounds.strategy import (
    Component,
    Models,
    check_models,
    columns_of,
    parse_strategy,
    split_names,
)
from lazyvox.confounds.table import Table, open_table
from lazyvox.errors import LazyvoxWarning, ParameterError

__all__ = ["Confounds", "load_confounds"]

_DEFAULT_STRATEGY = ("motion", "high_pass", "wm_csf")
_SCRUB_COLUMNS = ["framewise_displacement", "std_dvars"]
_FLAGS = ("motion_outlier", "non_steady_state")

Model = Literal["basic", "power2", "derivatives", "full"]
CompCor = Literal[
    "anat_combined",
    "anat_separated",
    "temporal",
    "temporal_anat_combined",
    "temporal_anat_separated",
]


@dataclass(frozen=True, slots=True, eq=False)
class Confounds:
    """Regressors of one run, and the volumes of it that are kept.

    Attributes
    ----------
    values : ndarray of shape (n_volumes, n_columns), float64
        Regressors, also in the volumes that are censored.
    names : tuple of str
        Their names, ascending.
    sample_mask : ndarray of int, or None
        Numbers of the volumes that are kept, ascending; None where all are.
    source : str
        The table, as messages call it.
    """

    values: FloatArray
    names: tuple[str, ...]
    sample_mask: IntArray | None
    source: str

    @property
    def n_volumes(self) -> int:
        """Number of volumes of the run, censored ones included."""
        return len(self.values)

    @property
    def censored(self) -> IntArray:
        """Numbers of the volumes that are not kept."""
        every = np.arange(self.n_volumes)
        return every[:0] if self.sample_mask is None else np.setdiff1d(every, self.sample_mask)

    def check_length(self, n_volumes: int) -> None:
        """Raise an error unless the table has one row for each volume of a run.

        Parameters
        ----------
        n_volumes : int
            Number of volumes of the run.

        Raises
        ------
        ParameterError
            If the table has more or fewer rows.
        """
        if n_volumes != self.n_volumes:
            msg = (
                f"{self.source}: confounds must have one row for each volume. Got "
                f"{self.n_volumes} rows for {n_volumes} volumes. Pass the table of this run, and "
                f"the run without volumes cut off."
            )
            raise ParameterError(msg)

    @override
    def __repr__(self) -> str:
        """Describe the confounds in one line."""
        return (
            f"<Confounds of {self.n_volumes} volumes, {len(self.names)} columns, "
            f"{len(self.censored)} volumes censored>"
        )


@dataclass(frozen=True, slots=True)
class _Scrub:
    """When a volume is censored because of motion."""

    shortest: int
    fd_threshold: float
    std_dvars_threshold: float

    def __post_init__(self) -> None:
        """Refuse what is no length, or no threshold."""
        if not _is_count(self.shortest) or self.shortest < 0:
            msg = f"`scrub` must be an integer of at least 0. Got {self.shortest!r}."
            raise ParameterError(msg)
        for name in ("fd_threshold", "std_dvars_threshold"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not value >= 0:
                msg = f"`{name}` must be a number of at least 0. Got {value!r}."
                raise ParameterError(msg)


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
) -> Confounds:
    """Return regressors, and the volumes to keep, from a table of confounds.

    Parameters
    ----------
    path_or_table : path-like or DataFrame
        fMRIPrep's ``*_desc-confounds_timeseries.tsv``, or any .tsv or .csv with the names of its
        columns in the first line; or a data frame.
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

    Returns
    -------
    Confounds
        Regressors for all volumes, their names, and the volumes to keep.

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
    table = open_table(path_or_table)
    check_names(table)
    components = (
        *parse_strategy(split_names(strategy, "strategy"), models, table.names),
        *(Component("columns", name) for name in split_names(columns or (), "columns")),
    )
    facts = read_metadata(metadata, path_or_table) if _needs_metadata(components) else None
    return _load(table, components, facts, limits, demean=demean)


def _load(
    table: Table,
    components: Sequence[Component],
    facts: Mapping[str, Any] | None,
    limits: _Scrub,
    *,
    demean: bool,
) -> Confounds:
    """Read what components ask for, censor, fill the first row, and subtract means."""
    chosen = _chosen(table, components, facts)
    scrubs = _SCRUB_COLUMNS if any(one.kind == "scrub" for one in components) else []
    check_present([*chosen, *scrubs], table)
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
    censored = (np.nan_to_num(read[:, n_numbers:]) != 0).any(axis=1)
    if scrubs:
        censored = censored | _scrubbed(read[:, n_names:n_numbers], limits)
    values = np.ascontiguousarray(read[:, :n_names])
    _fill_first_row(values)
    kept = _kept(censored, table.source)
    if demean:
        values -= values.mean(axis=0) if kept is None else values[kept].mean(axis=0)
    return Confounds(values, tuple(names), kept, table.source)


def _chosen(
    table: Table, components: Sequence[Component], facts: Mapping[str, Any] | None
) -> list[str]:
    """Return the columns that components ask for, whether the table has them or not."""
    chosen: list[str] = []
    for component in components:
        found = columns_of(component, table.names, facts)
        if component.kind == "compcor" and not found:
            msg = (
                f"{table.source}: compcor={component.model!r} asks for CompCor components, and "
                f"there are none. Choose another strategy, or name columns of the table."
            )
            raise ParameterError(msg)
        if component.kind == "high_pass" and not found:
            msg = f"{table.source}: 'high_pass' asks for cosines, and the table has none."
            warnings.warn(msg, LazyvoxWarning, stacklevel=4)
        chosen += found
    return chosen


def _fill_first_row(values: FloatArray) -> None:
    absent = np.isnan(values[0])
    if absent.any():
        values[0, absent] = values[1, absent]


def _scrubbed(values: FloatArray, limits: _Scrub) -> BoolArray:
    outliers = motion_outliers(
        values[:, 0],
        values[:, 1],
        fd_threshold=limits.fd_threshold,
        std_dvars_threshold=limits.std_dvars_threshold,
    )
    return drop_short_segments(outliers, limits.shortest)


def _kept(censored: BoolArray, source: str) -> IntArray | None:
    """Return the volumes that are left, None where all are."""
    if not censored.any():
        return None
    if censored.all():
        msg = f"{source}: at least one volume must be left. All {len(censored)} are censored."
        hint = (
            "Raise `fd_threshold` and `std_dvars_threshold`, lower `scrub`, or leave the run out."
        )
        raise ParameterError(msg, hint=hint)
    return np.flatnonzero(~censored)


def _needs_metadata(components: Sequence[Component]) -> bool:
    return any(one.kind == "compcor" for one in components)


def _n_components(n_compcor: int | str) -> int | None:
    if n_compcor == "all":
        return None
    if not _is_count(n_compcor) or int(n_compcor) < 1:
        msg = f"`n_compcor` must be 'all' or an integer of at least 1. Got {n_compcor!r}."
        raise ParameterError(msg)
    return int(n_compcor)


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
