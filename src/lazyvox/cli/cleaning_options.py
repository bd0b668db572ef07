"""The options of `lazyvox extract` that say how volumes are smoothed and signals cleaned."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import click
import numpy as np

from lazyvox._typing import BoolArray, IntArray
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.settings import PATH, keep, parse_widths
from lazyvox.errors import ParameterError
from lazyvox.extraction.cleaning import CleaningOptions
from lazyvox.lazyimage.series import Series
from lazyvox.planning.sample_mask import listed_ranges
from lazyvox.signal.filling import CENSORED
from lazyvox.store.files.paths import printable

__all__ = [
    "CleaningChoice",
    "PreparedCleaning",
    "cleaning_options",
    "confound_options",
    "image_cleaning_options",
    "map_cleaning_options",
    "study_cleaning_options",
]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCleaning:
    """Cleaning of the signals of given runs, ready to be applied.

    Attributes
    ----------
    options : CleaningOptions
        For `lazyvox.extraction.api.build_scan`.
    sample_mask : list of int or None
        Volumes to keep, of all runs together; None for all.
    kept : ndarray of bool
        Whether each volume is kept: neither censored nor outside of the sample mask.
    confound_names : tuple of str
        Columns that are removed.
    """

    options: CleaningOptions
    sample_mask: list[int] | None
    kept: BoolArray
    confound_names: tuple[str, ...]

    @property
    def censored(self) -> IntArray:
        """Numbers of the volumes that are not kept."""
        return np.flatnonzero(~self.kept)

    @property
    def n_rows(self) -> int:
        """Number of volumes that have a row."""
        return int(self.kept.sum()) if self.options.censored == "drop" else len(self.kept)

    @property
    def remark(self) -> str:
        """Number and numbers of the volumes that are not kept, in one line; empty without any."""
        if not len(self.censored):
            return ""
        treatment = {
            "drop": "left out",
            "keep": "censored, and kept",
            "zero": "set to zero",
            "interpolate": "interpolated",
        }[self.options.censored]
        shown = listed_ranges(self.censored)
        return f"{len(self.censored)} of {len(self.kept)} volumes {treatment}: {shown}"


@dataclass(frozen=True, slots=True)
class CleaningChoice:
    """Values of the options about smoothing and cleaning.

    Attributes
    ----------
    smoothing_fwhm : float, tuple of 3 floats, "fast" or None
        Width of the Gaussian, in mm.
    detrend : bool
        Whether mean and trend are removed.
    standardize : str or None
        What is done last.
    filter : str or None
        Kind of temporal filter.
    low_pass, high_pass : float or None
        Cutoffs in Hz.
    t_r : float or None
        Seconds between volumes.
    censored : str
        Treatment of the volumes that are left out.
    join_runs : bool
        Whether all runs are cleaned as one series.
    trend_degree : int
        Degree of the polynomial that the trend is.
    keep_mean : bool
        Whether means are kept.
    """

    smoothing_fwhm: float | tuple[float, ...] | str | None
    detrend: bool
    filter: str | None
    low_pass: float | None
    high_pass: float | None
    t_r: float | None
    censored: str
    standardize: str | None = None
    join_runs: bool = False
    trend_degree: int = 1
    keep_mean: bool = False

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        if self.filter in {"butterworth", "fourier"} and not self.is_filtered:
            msg = f"--filter {self.filter} needs a cutoff: pass --low-pass, --high-pass, or both"
            raise WrongUsageError(msg)
        if self.filter == "cosine" and self.high_pass is None:
            msg = "--filter cosine removes what is slower than --high-pass, which is missing"
            raise WrongUsageError(msg)
        if self.filter == "cosine" and self.low_pass is not None:
            msg = "--filter cosine removes slow changes only. Leave out --low-pass, or --filter"
            raise WrongUsageError(msg)
        if self.keep_mean and self.standardize is not None:
            msg = "--keep-mean keeps the means that --standardize removes. Leave out one of them"
            raise WrongUsageError(msg)

    @property
    def is_filtered(self) -> bool:
        """True if there is a cutoff."""
        return self.low_pass is not None or self.high_pass is not None

    @property
    def _further(self) -> dict[str, Any]:
        """Options of `lazyvox.signal.clean` that nilearn has not, where they are set."""
        degree = {} if self.trend_degree == 1 else {"trend_degree": self.trend_degree}
        return {**degree, **({"keep_mean": True} if self.keep_mean else {})}

    def to_dict(self) -> dict[str, Any]:
        """Return the options, for JSON."""
        return asdict(self)

    def prepare(
        self, confounds: ConfoundChoice, series: Series, keep: Sequence[int] | None
    ) -> PreparedCleaning:
        """Return the cleaning of the signals of a series.

        Parameters
        ----------
        confounds : ConfoundChoice
            The tables of confounds.
        series : Series
            The runs.
        keep : sequence of int or None
            Numbers of the volumes to keep, of all runs together.

        Returns
        -------
        PreparedCleaning
            Options, and volumes to keep.
        """
        silent = [run.name for run in series.runs if run.t_r is None]
        if self.is_filtered and self.t_r is None and series.grid.t_r is None and silent:
            msg = (
                f"{printable(silent[0])}: filtering needs the seconds between volumes. The header "
                f"has none. Pass --t-r SECONDS."
            )
            raise ParameterError(msg)
        if self.censored != "drop" and keep is None and not confounds.confounds:
            msg = (
                f"--censored {self.censored} concerns volumes that --confounds or --sample-mask "
                f"leaves out, and neither is given"
            )
            raise WrongUsageError(msg)
        if self.censored == "keep" and keep is not None:
            msg = "--censored keep keeps all volumes, and --sample-mask leaves some out"
            raise WrongUsageError(msg)
        found = confounds.load([run.n_volumes for run in series.runs])
        kept = found.kept.copy()
        if keep is not None:
            kept &= np.isin(np.arange(len(kept)), keep)
        options = CleaningOptions(
            confounds=found.frame,
            detrend=self.detrend,
            standardize=self.standardize,
            filter=self.filter,
            low_pass=self.low_pass,
            high_pass=self.high_pass,
            t_r=self.t_r,
            runs="joined" if self.join_runs else None,
            censored=self.censored,
            clean_args=self._further,
        )
        is_whole = kept.all() or self.censored == "keep"
        mask = None if is_whole else np.flatnonzero(kept).tolist()
        names = () if found.frame is None else found.frame.names
        return PreparedCleaning(options, mask, kept, names)


def _keep_degree(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    """Store whether there is a trend to remove, and its degree."""
    keep(ctx, param, value is not None)
    ctx.ensure_object(dict)["trend_degree"] = 1 if value is None else value


def _keep_fwhm(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Store widths as `lazyvox.image.smooth_img` takes them."""
    fwhm: float | tuple[float, ...] | str | None = value
    if value is not None and value != "fast":
        fwhm = parse_widths(ctx, param, value, "three of them as in 6,6,8, or fast")
    keep(ctx, param, fwhm)


def _number(option: str, metavar: str, text: str, *, may_be_zero: bool = True) -> Any:
    return click.option(
        option,
        metavar=metavar,
        type=click.FloatRange(min=0, min_open=not may_be_zero),
        expose_value=False,
        callback=keep,
        help=text,
    )


def _names(option: str, text: str) -> Any:
    return click.option(
        option,
        metavar="NAMES",
        multiple=True,
        expose_value=False,
        callback=keep,
        help=text,
    )


def _choice(option: str, choices: Sequence[str], text: str) -> Any:
    return click.option(
        option, type=click.Choice(choices), expose_value=False, callback=keep, help=text
    )


_SMOOTHING = click.option(
    "--smoothing-fwhm",
    "--fwhm",
    "smoothing_fwhm",
    metavar="MM",
    expose_value=False,
    callback=_keep_fwhm,
    help="Smooth volumes first: full width at half maximum of a Gaussian, or three, as in "
    "6,6,8, for the axes; or fast.",
)

_DETREND = click.option(
    "--detrend",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="Remove mean and linear trend.",
)

_DETREND_DEGREE = click.option(
    "--detrend",
    metavar="N",
    type=click.IntRange(min=0),
    expose_value=False,
    callback=_keep_degree,
    help="Remove the mean (0), mean and linear trend (1, as nilearn does), or polynomials up to "
    "degree N, as 3dTproject -polort.",
)

_KEEP_MEAN = click.option(
    "--keep-mean",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="At the end, restore the mean of each voxel over the volumes that are kept.",
)

_JOIN_RUNS = click.option(
    "--join-runs",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="Clean all runs as one series; by default each is cleaned by itself.",
)

_BAND = (
    _number("--low-pass", "HZ", "Low-pass cutoff in Hz.", may_be_zero=False),
    _number("--high-pass", "HZ", "High-pass cutoff in Hz."),
    _number(
        "--t-r",
        "SECONDS",
        "Time between volumes; by default that of the header.",
        may_be_zero=False,
    ),
)

_FILTER = _choice(
    "--filter", ("butterworth", "cosine"), "Kind of the filter; by default butterworth."
)

_REGRESSION_FILTER = _choice(
    "--filter",
    ("fourier", "cosine", "butterworth"),
    "Kind of the filter: regression on sines and cosines, the default, or on slow cosines, or "
    "nilearn's Butterworth filter, for which RUN waits in a temporary file.",
)

_STANDARDIZE = _choice(
    "--standardize",
    ("zscore_sample", "psc"),
    "Last, bring signals to mean 0 and variance 1, or to percent of their mean.",
)

_STRATEGIES_TEXT = (
    "What to take of the table, as in motion24,wm_csf,high_pass: motion6, motion12, motion24, "
    "wm_csf, wm_csf8, global_signal, acompcor5, tcompcor5, high_pass, scrub."
)

_CONFOUNDS = (
    click.option(
        "--confounds",
        metavar="TABLE",
        multiple=True,
        type=PATH,
        expose_value=False,
        callback=keep,
        help="Signals to remove, a row for each volume: fMRIPrep's table, or any other. Once for "
        "each RUN.",
    ),
    _names(
        "--confound-strategy",
        f"{_STRATEGIES_TEXT} Without it, and without --confound-columns, all columns.",
    ),
    _names("--confound-columns", "Columns to take, as in csf,'trans_*'."),
    _number(
        "--fd-threshold",
        "MM",
        "Leave out volumes of more framewise displacement; 0.5 with --confound-strategy scrub.",
    ),
    _number(
        "--std-dvars-threshold",
        "X",
        "Leave out volumes of more standardized DVARS; 1.5 where volumes are left out at all.",
    ),
    click.option(
        "--scrub",
        metavar="N",
        type=click.IntRange(min=0),
        expose_value=False,
        callback=keep,
        help="Leave out segments of fewer than N volumes between censored volumes, too; 5 by default.",
    ),
)

_CENSORED = click.option(
    "--censored",
    type=click.Choice(CENSORED),
    default="drop",
    show_default=True,
    expose_value=False,
    callback=keep,
    help="Treatment of the volumes that --confounds censor or --sample-mask leaves out: drop their "
    "rows, keep the volumes, write zeros, or interpolate between the nearest kept volumes.",
)

_KEEP_CENSORED = click.option(
    "--censored",
    type=click.Choice(("drop", "keep")),
    default="drop",
    show_default=True,
    expose_value=False,
    callback=keep,
    help="Treatment of the volumes that --confounds censor or --sample-mask leaves out: drop them "
    "all, or keep the censored ones.",
)

#: Options about tables that are found beside the runs of a study.
_OF_FOUND_TABLES = (
    _names(
        "--confound-strategy",
        f"{_STRATEGIES_TEXT} Without it, --confound-columns and thresholds no table is used.",
    ),
    *_CONFOUNDS[2:],
    click.option(
        "--censored",
        type=click.Choice(CENSORED),
        default="drop",
        show_default=True,
        expose_value=False,
        callback=keep,
        help="Treatment of the volumes that thresholds or scrub leave out: drop their rows, keep the "
        "volumes, write zeros, or interpolate between the nearest kept volumes.",
    ),
)

_OPTIONS = (*_BAND, _FILTER, _STANDARDIZE, *_CONFOUNDS, _CENSORED)


def cleaning_options(command: _Decorated) -> _Decorated:
    """Add the options about cleaning signals; `lazyvox.cli.settings.chosen` gives their values."""
    return _with_options(command, (_SMOOTHING, _DETREND, *_OPTIONS, _JOIN_RUNS))


def study_cleaning_options(command: _Decorated) -> _Decorated:
    """Add the options about cleaning the signals of many runs, each by itself."""
    options = (*_BAND, _FILTER, _STANDARDIZE, *_OF_FOUND_TABLES)
    return _with_options(command, (_SMOOTHING, _DETREND, *options))


def image_cleaning_options(command: _Decorated) -> _Decorated:
    """Add the options about cleaning the voxels of one run."""
    return _with_options(command, (_SMOOTHING, _DETREND_DEGREE, *_OPTIONS, _KEEP_MEAN))


def map_cleaning_options(command: _Decorated) -> _Decorated:
    """Add the options about cleaning where signals are not written but related."""
    further = (_REGRESSION_FILTER, *_CONFOUNDS, _KEEP_CENSORED, _JOIN_RUNS)
    return _with_options(command, (_SMOOTHING, _DETREND_DEGREE, *_BAND, *further))


def confound_options(command: _Decorated) -> _Decorated:
    """Add the options about confounds, where they are part of a model."""
    return _with_options(command, _CONFOUNDS)


def _with_options(command: _Decorated, options: Sequence[Any]) -> _Decorated:
    for option in reversed(options):
        command = option(command)
    return command
