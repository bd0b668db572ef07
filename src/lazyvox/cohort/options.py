"""Everything that is asked for of each run of a study, and the files that come of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np

from lazyvox._typing import PathLike
from lazyvox.bids.names import (
    bids_label,
    parse_name,
    relmat_name,
    sidecar_path,
    timeseries_name,
)
from lazyvox.bids.sidecars import hash_file
from lazyvox.cohort.model import ModelFiles, StudyModel
from lazyvox.cohort.runs import RunFiles
from lazyvox.connectome import KINDS
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.cleaning import CleaningOptions
from lazyvox.extraction.coverage import checked_coverage
from lazyvox.extraction.reduction import Strategies
from lazyvox.image.smoothing import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.series import Grid
from lazyvox.signal.cleaning import prepare_cleaning
from lazyvox.store.files.paths import absolute_path

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

#: A float64 as text, and the most columns of the table of quality.
_NUMBER_BYTES, _QUALITY_COLUMNS = 20, 6

#: A made-up run to check options with.
_CHECKED_VOLUMES, _CHECKED_T_R = 1000, 0.01

__all__ = ["Atlas", "CohortOptions", "OutputNames", "opened_atlases"]


@dataclass(frozen=True, slots=True)
class Atlas:
    """An image of regions.

    Attributes
    ----------
    name : str
        Its label in the names of outputs.
    path : str
        The image: labels in 3D, or maps in 4D.
    lut : str or None
        Table with the names of its regions.
    is_maps : bool
        Whether it is an image of maps.
    n_regions : int
        Number of its regions.
    sha256 : str
        SHA-256 of image and table.
    """

    name: str
    path: str
    lut: str | None
    is_maps: bool
    n_regions: int
    sha256: tuple[str, ...]

    @classmethod
    def opened(cls, name: str, image: PathLike, lut: PathLike | None = None) -> "Atlas":
        """Return an atlas in a file, whose regions are counted and whose bytes are hashed.

        Parameters
        ----------
        name : str
            Name; letters and digits of it are the label.
        image : path-like
            The image.
        lut : path-like, optional
            Table with the names of its regions.

        Returns
        -------
        Atlas
            The atlas.

        Raises
        ------
        ParameterError
            If the name has no letter or digit.
        ImageFileError
            If a file cannot be read.
        """
        path = absolute_path(image)
        table = None if lut is None else absolute_path(lut)
        shape = as_image(path).shape
        n_regions = shape[3] if len(shape) > 3 else _count_labels(path)
        hashes = tuple(hash_file(one) for one in (path, table) if one is not None)
        return cls(bids_label(name), path, table, len(shape) > 3, n_regions, hashes)


@dataclass(frozen=True, slots=True)
class CohortOptions:
    """Everything that is done to each run; see `lazyvox.run_cohort`.

    Attributes
    ----------
    atlases : tuple of Atlas
        The atlases.
    mask : str or None
        "auto" for the mask beside each run, or a file; None for none.
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
    qc: bool = False
    glm: StudyModel | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done to any run."""
        if not self.atlases and not self.qc and self.glm is None:
            msg = (
                "`atlases` must hold an atlas, or `qc` or `glm` must be true: nothing else is asked "
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
        unknown = [one for one in self.matrix if one not in KINDS]
        if unknown:
            msg = f"`matrix` must be of {', '.join(KINDS)}. Got {unknown[0]!r}."
            raise ParameterError(msg, value=unknown[0])
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
        if self.mask is None:
            msg = "`mask` must be 'auto' or a file with `glm`: it says which voxels the maps have."
            raise ParameterError(msg)
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

    def to_dict(self) -> dict[str, Any]:
        """Return the options for JSON, without where atlases lie."""
        record = asdict(self)
        record["atlases"] = {one.name: list(one.sha256) for one in self.atlases}
        return {name: value for name, value in record.items() if value is not None}


@dataclass(frozen=True, slots=True)
class OutputNames:
    """Paths of the outputs of a run, relative to the dataset.

    Attributes
    ----------
    signals : mapping of str to str
        Table of signals of each atlas, by its name.
    coverage : mapping of str to str
        Table of coverage of each atlas of labels.
    matrices : mapping of (str, str) to str
        Matrix of each atlas and kind.
    qc : str or None
        Table of the quality of volumes.
    model : ModelFiles or None
        Names of the files of the model, in the folder of the run.
    folder : str
        That folder.
    """

    signals: Mapping[str, str]
    coverage: Mapping[str, str]
    matrices: Mapping[tuple[str, str], str]
    qc: str | None
    model: ModelFiles | None
    folder: str

    @classmethod
    def of(cls, run: RunFiles, options: CohortOptions) -> "OutputNames":
        """Return the outputs that options ask for of a run."""
        name, folder = str(run.name), PurePosixPath(run.folder)
        stat = "_".join(options.strategies.given)
        signals = {
            one.name: str(
                folder / timeseries_name(name, one.name, stat="" if one.is_maps else stat)
            )
            for one in options.atlases
        }
        coverage = {
            one.name: str(folder / timeseries_name(name, one.name, stat="coverage", suffix="bold"))
            for one in options.atlases
            if not one.is_maps
        }
        matrices = {
            (atlas, kind): str(folder / relmat_name(parse_name(path), kind))
            for atlas, path in signals.items()
            for kind in options.matrix
        }
        qc = str(folder / f"{run.label}_qc.tsv") if options.qc else None
        model = None if options.glm is None else options.glm.files(run)
        return cls(signals, coverage, matrices, qc, model, str(folder))

    @property
    def described(self) -> list[str]:
        """The files that have a JSON file."""
        of_model = [] if self.model is None else [self.model.design, self.model.mask]
        further = [self.in_folder(name) for name in of_model]
        return [*self.signals.values(), *self.matrices.values(), *further]

    def in_folder(self, name: str) -> str:
        """Return the path of a file of the model."""
        return f"{self.folder}/{name}"

    @property
    def paths(self) -> list[str]:
        """All files."""
        sidecars = [sidecar_path(path) for path in self.described]
        qc = [] if self.qc is None else [self.qc]
        model = [] if self.model is None else map(self.in_folder, self.model.names)
        every = [*self.described, *sidecars, *self.coverage.values(), *qc, *model]
        return list(dict.fromkeys(every))


def _count_labels(path: str) -> int:
    """Return the number of labels that are not 0; memory: one slice."""
    dataobj: Any = as_image(path).dataobj
    found: set[float] = set()
    for k in range(dataobj.shape[2]):
        found.update(np.unique(dataobj[..., k]).tolist())
    return len(found - {0})


def opened_atlases(given: Any) -> tuple[Atlas, ...]:
    """Return the atlases of a mapping of names to images, or to pairs of image and table.

    Raises
    ------
    ParameterTypeError
        If it is no mapping.
    """
    if not isinstance(given, Mapping):
        msg = (
            f"`atlases` must be a dict of names to images, or to (image, table). Got "
            f"{type(given).__name__}."
        )
        raise ParameterTypeError(msg)
    return tuple(
        Atlas.opened(name, *(one if isinstance(one, tuple | list) else (one,)))
        for name, one in given.items()
    )
