"""Everything that is asked for of each run of a study."""

from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from lazyvox.cohort.atlases import Atlas
from lazyvox.cohort.model import StudyModel
from lazyvox.cohort.runs import RunFiles
from lazyvox.connectome import ESTIMATORS, KINDS, Estimator
from lazyvox.errors import ParameterError
from lazyvox.extraction.cleaning import CleaningOptions
from lazyvox.extraction.coverage import checked_coverage
from lazyvox.extraction.reduction import Strategies
from lazyvox.image.smooth_transform import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.series import Grid
from lazyvox.planning.arguments import check_choice
from lazyvox.signal.cleaning import prepare_cleaning

#: Options that measures of quality do not have.
_OF_SIGNALS = (
    "min_coverage",
    "resample",
    "confound_strategy",
    "confound_columns",
    "fd_threshold",
    "std_dvars_threshold",
    "scrub",
    "smoothing_fwhm",
    "detrend",
    "standardize",
    "filter",
    "low_pass",
    "high_pass",
    "t_r",
    "matrix",
)

#: Those among them that models have too.
_OF_MODELS = (
    "resample",
    "confound_strategy",
    "confound_columns",
    "fd_threshold",
    "std_dvars_threshold",
    "scrub",
    "smoothing_fwhm",
    "high_pass",
    "t_r",
)

#: The longest text of a float64 with its separator, and the most columns of the table of quality.
_NUMBER_BYTES, _QUALITY_COLUMNS = 25, 6

#: A made-up run to check options with.
_CHECKED_VOLUMES, _CHECKED_T_R = 1000, 0.01

__all__ = ["CohortOptions"]


#: Memory of a process of Python with its imports.
_PROCESS_BYTES = 64 << 20

#: The same where nilearn is imported, and with it pandas and scikit-learn.
_MODEL_PROCESS_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class CohortOptions:
    """Everything that is done to each run; see `lazyvox.run_cohort`.

    Attributes
    ----------
    atlases : tuple of Atlas
        The atlases.
    mask : str or None
        "auto" for the mask beside each run, or a file; None for none, and for one that is
        computed for the model.
    strategy : tuple of str
        How the voxels of a region are combined.
    min_coverage : float or None
        Part of its voxels that must hold signal for a region to have values.
    resample : bool
        Whether atlases on another grid are resampled.
    confound_strategy, confound_columns : tuple of str
        Regressors to take of the table beside each run.
    fd_threshold, std_dvars_threshold : float or None
        Limits above which volumes are censored.
    scrub : int or None
        Length below which stretches between censored volumes are censored too.
    smoothing_fwhm : float, tuple of 3 floats, "fast" or None
        Width of the Gaussian, in mm.
    detrend : bool
        Whether mean and trend are removed.
    standardize : str or None
        Last step.
    filter : str or None
        Kind of temporal filter.
    low_pass, high_pass : float or None
        Cutoffs in Hz.
    t_r : float or None
        Seconds between volumes; None takes those of the header.
    censored : str
        Treatment of the volumes that are censored.
    matrix : tuple of str
        Kinds of connectivity.
    estimator : str
        Estimator of their covariance.
    qc : bool
        Whether the quality of volumes is measured.
    glm : StudyModel or None
        First-level model.
    """

    atlases: tuple[Atlas, ...] = ()
    mask: str | None = None
    strategy: tuple[str, ...] = ("mean",)
    min_coverage: float | None = None
    resample: bool = False
    confound_strategy: tuple[str, ...] = ()
    confound_columns: tuple[str, ...] = ()
    fd_threshold: float | None = None
    std_dvars_threshold: float | None = None
    scrub: int | None = None
    smoothing_fwhm: float | tuple[float, ...] | str | None = None
    detrend: bool = False
    standardize: str | None = None
    filter: str | None = None
    low_pass: float | None = None
    high_pass: float | None = None
    t_r: float | None = None
    censored: str = "drop"
    matrix: tuple[str, ...] = ()
    estimator: Estimator = "ledoit-wolf"
    qc: bool = False
    glm: StudyModel | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done to any run."""
        if not self.atlases and not self.qc and self.glm is None:
            msg = (
                "`atlases` must hold an atlas, or `qc` or `glm` must be true: otherwise no result is asked "
                "for of the runs."
            )
            raise ParameterError(msg)
        without = [
            name
            for name in _OF_SIGNALS
            if getattr(self, name) not in (None, False, ())
            and not (self.glm is not None and name in _OF_MODELS)
        ]
        if without and not self.atlases:
            msg = f"`{without[0]}` concerns the signals of `atlases`, of which there are none."
            raise ParameterError(msg)
        self._check_model()
        names = [one.name.lower() for one in self.atlases]
        twice = [one.name for one in self.atlases if names.count(one.name.lower()) > 1]
        if twice:
            msg = (
                f"`atlases` must have names that differ in letters and digits, as those of files "
                f"do. Got {', '.join(twice)}."
            )
            raise ParameterError(msg)
        for one in self.matrix:
            check_choice(one, "matrix", KINDS)
        check_choice(self.estimator, "estimator", ESTIMATORS)
        if self.estimator != ESTIMATORS[0] and not self.matrix:
            msg = f"`estimator` concerns the matrices of `matrix`, of which there are none. Got {self.estimator!r}."
            raise ParameterError(msg)
        if self.matrix and len(self.strategies.given) > 1:
            msg = (
                f"`matrix` needs one signal for each region, and so one `strategy`. Got "
                f"{', '.join(self.strategies.given)}."
            )
            raise ParameterError(msg)
        checked_coverage(self.min_coverage)
        if self.smoothing_fwhm is not None:
            fwhm = checked_fwhm(self.smoothing_fwhm)
            SmoothTransform.of(np.diag([2.0, 2.0, 2.0, 1.0]), (8, 8, 8), fwhm, "a run")
        self._check_cleaning()

    def _check_model(self) -> None:
        """Refuse a model that no run could have."""
        if self.glm is None:
            return
        drifts = self.glm.choice.drift_model
        if self.high_pass is not None and drifts != "cosine" and not self.atlases:
            msg = f"`high_pass` concerns drifts that are cosines, and `drift_model` is {drifts!r}."
            raise ParameterError(msg)
        self.glm.check()

    def _check_cleaning(self) -> None:
        """Refuse cleaning that no run could have, on volumes close enough for any cutoff."""
        cleaning = self.cleaning(None)
        if cleaning.are_set:
            prepare_cleaning(
                _CHECKED_VOLUMES,
                detrend=self.detrend,
                standardize=cast("Any", self.standardize),
                filter=self.filter or "butterworth",
                low_pass=self.low_pass,
                high_pass=self.high_pass,
                t_r=_CHECKED_T_R if self.t_r is None else self.t_r,
                censored=self.censored,
            )

    def cleaning(self, confounds: Any) -> CleaningOptions:
        """Return the cleaning of the signals of a run.

        Parameters
        ----------
        confounds : Confounds or None
            Regressors of the run.

        Returns
        -------
        CleaningOptions
            For `lazyvox.extraction.api.build_scan`.
        """
        return CleaningOptions(
            confounds=confounds,
            detrend=self.detrend,
            standardize=self.standardize,
            filter=self.filter,
            low_pass=self.low_pass,
            high_pass=self.high_pass,
            t_r=self.t_r,
            censored=self.censored,
        )

    @property
    def strategies(self) -> Strategies:
        """The strategies, checked."""
        return Strategies.of(",".join(self.strategy))

    @property
    def limits(self) -> dict[str, Any]:
        """The limits of scrubbing that are set."""
        named = {
            "fd_threshold": self.fd_threshold,
            "std_dvars_threshold": self.std_dvars_threshold,
            "scrub": self.scrub,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def takes_confounds(self) -> bool:
        """True if something of the table of confounds is asked for."""
        return bool(self.confound_strategy or self.confound_columns or self.limits)

    @property
    def computes_mask(self) -> bool:
        """True if the mask of the model is computed of each run."""
        return self.glm is not None and self.mask is None

    @property
    def process_bytes(self) -> int:
        """Memory of a process of Python with the imports that runs need, those of nilearn included."""
        return _PROCESS_BYTES if self.glm is None else _MODEL_PROCESS_BYTES

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that are imported while runs are worked on."""
        if self.glm is None:
            return ()
        masker = ("lazyvox.maskers",) if self.mask is None else ()
        return ("lazyvox.glm.first_level", *masker)

    def output_bytes(self, grid: Grid) -> int:
        """Return about how many bytes the outputs of a run on a grid take."""
        n_volumes = grid.n_volumes
        n_values = _QUALITY_COLUMNS * n_volumes if self.qc else 0
        for atlas in self.atlases:
            n_values += n_volumes * atlas.n_regions * len(self.strategies.given)
            n_values += len(self.matrix) * atlas.n_regions**2
        maps = 0 if self.glm is None else self.glm.output_bytes(grid)
        return _NUMBER_BYTES * n_values + maps

    def mask_of(self, run: RunFiles) -> str | None:
        """Return the mask for a run."""
        return run.mask if self.mask == "auto" else self.mask

    def files_of(self, run: RunFiles) -> dict[str, str | None]:
        """Return the files that work on a run reads besides its image, by kind; None for none."""
        reads_confounds = self.takes_confounds or self.qc
        return {
            "mask": self.mask_of(run),
            "confounds": run.confounds if reads_confounds else None,
            "events": None if self.glm is None else run.events,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the options for JSON, without where atlases lie."""
        record = asdict(self)
        record["atlases"] = {one.name: list(one.sha256) for one in self.atlases}
        return {name: value for name, value in record.items() if value is not None}
