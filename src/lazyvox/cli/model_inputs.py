"""Inputs of `lazyvox glm`: runs with their tables, the model, and its contrasts."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.bids.names import bids_label
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.errors import LazyvoxError, ParameterError
from lazyvox.glm.contrasts import contrast_weights
from lazyvox.glm.design_files import read_design
from lazyvox.glm.noise import noise_order
from lazyvox.lazyimage.describe import repetition_time
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.store.files.paths import printable

__all__ = ["FirstLevelInputs", "ModelChoice", "contrast_label"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The options about the model.

    Attributes
    ----------
    hrf_model, drift_model, noise_model : str
        As in nilearn; "none" is a drift model too.
    drift_order : int
        Order of polynomials.
    high_pass : float
        Cutoff of cosines, in Hz.
    slice_time_ref : float
        Time of the reference slice, as a fraction of `t_r`.
    t_r : float or None
        Seconds between volumes.
    mask : str or None
        Mask of the voxels.
    smoothing_fwhm : float or None
        Width of the Gaussian, in mm.
    """

    hrf_model: str
    drift_model: str
    noise_model: str
    drift_order: int
    high_pass: float
    slice_time_ref: float
    t_r: float | None
    mask: str | None
    smoothing_fwhm: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the options, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One run with its tables."""

    path: str
    n_volumes: int
    events: str | None
    confounds: Any
    design: Any
    kept: IntArray | None


@dataclass(frozen=True)
class FirstLevelInputs:
    """Runs, their tables, the options of the model, and contrasts.

    Attributes
    ----------
    paths : tuple of str
        The runs.
    events, designs : tuple of str
        Tables of events, or design matrices, of each run.
    confounds : ConfoundChoice
        Tables of confounds.
    expressions : tuple of str
        Contrasts, some with names.
    choice : ModelChoice
        The model.
    n_jobs : int
        Threads of a pass.
    """

    paths: tuple[str, ...]
    events: tuple[str, ...]
    designs: tuple[str, ...]
    confounds: ConfoundChoice
    expressions: tuple[str, ...]
    choice: ModelChoice
    n_jobs: int

    @property
    def files(self) -> list[str]:
        """All files that are read."""
        mask = [] if self.choice.mask is None else [self.choice.mask]
        return [*self.paths, *self.events, *self.designs, *self.confounds.confounds, *mask]

    def check(self) -> None:
        """Check everything that can be checked without reading a volume."""
        if bool(self.events) == bool(self.designs):
            msg = "events or a design matrix are needed: pass --events or --design, not both"
            raise WrongUsageError(msg)
        if self.designs and self.confounds.confounds:
            msg = "--confounds are part of the design matrix: leave them out with --design"
            raise WrongUsageError(msg)
        for option, given in (("--events", self.events), ("--design", self.designs)):
            if given and len(given) != len(self.paths):
                runs = "one run" if len(self.paths) == 1 else f"{len(self.paths)} runs"
                msg = f"{option} must be given once for each run. Got {len(given)} for {runs}"
                raise WrongUsageError(msg)
        noise_order(self.choice.noise_model)
        assert self.weights, "bug in lazyvox: no contrast"

    @cached_property
    def runs(self) -> list[_Run]:
        """Each run with its tables; headers only are read."""
        found = []
        for number, path in enumerate(self.paths):
            img = as_image(path)
            if len(img.shape) != 4:
                msg = f"{printable(path)}: a run must be 4D. Got shape {tuple(img.shape)}."
                raise ParameterError(msg)
            n_volumes = int(img.shape[3])
            if self.designs:
                found.append(self._designed(number, path, n_volumes))
                continue
            confounds, kept = self._confounds_of(number, n_volumes)
            found.append(_Run(path, n_volumes, self.events[number], confounds, None, kept))
        return found

    def _designed(self, number: int, path: str, n_volumes: int) -> _Run:
        import pandas as pd

        file = read_design(self.designs[number])
        n_rows, kept = len(file.values), None
        if file.volumes is not None:
            kept = checked_sample_mask(file.volumes, n_volumes, "`design`: its GoodList")
        elif n_rows != n_volumes:
            msg = (
                f"`design`: {printable(self.designs[number])} must have a row per volume. Got "
                f"{n_rows} rows for {n_volumes} volumes of {printable(path)}."
            )
            raise ParameterError(msg)
        values = file.values
        if kept is not None:
            # Rows of volumes that are left out are never looked at.
            values = np.zeros((n_volumes, len(file.names)))
            values[kept] = file.values
        design = pd.DataFrame(values, columns=list(file.names))
        return _Run(path, n_volumes, None, None, design, kept)

    def _confounds_of(self, number: int, n_volumes: int) -> tuple[Any, IntArray | None]:
        """Return the confounds of a run as a data frame, and the volumes that are kept."""
        if not self.confounds.confounds:
            return None, None
        if len(self.confounds.confounds) != len(self.paths):
            self.confounds.load([n_volumes] * len(self.paths))
        import pandas as pd

        path = self.confounds.confounds[number]
        found = replace(self.confounds, confounds=(path,)).load([n_volumes])
        kept = None if found.kept.all() else np.flatnonzero(found.kept)
        if found.frame is None:
            return pd.DataFrame(index=range(n_volumes)), kept
        values = np.asarray(found.frame.values, np.float64)
        names = found.frame.names or [f"confound{i}" for i in range(values.shape[1])]
        rows, columns = np.nonzero(~np.isfinite(values))
        if len(rows):
            msg = (
                f"`confounds`: {printable(path)} must hold finite numbers. Got "
                f"{values[rows[0], columns[0]]} in column {names[columns[0]]!r} at volume "
                f"{rows[0]}, and {len(rows)} such numbers in all. Fill them, or choose other columns."
            )
            raise ParameterError(msg)
        return pd.DataFrame(values, columns=list(names)), kept

    @cached_property
    def t_r(self) -> float | None:
        """Seconds between volumes, where events need them."""
        if self.designs:
            return None
        if self.choice.t_r is not None:
            return self.choice.t_r
        found = {path: repetition_time(as_image(path).header) for path in self.paths}
        silent = [path for path, period in found.items() if period is None]
        if silent:
            msg = (
                f"{printable(silent[0])}: `t_r` is needed with events, and the header does not say "
                f"it. Pass --t-r SECONDS."
            )
            raise ParameterError(msg)
        if len(set(found.values())) > 1:
            shown = ", ".join(f"{period:g} s" for period in found.values() if period is not None)
            msg = f"`t_r` must be that of all runs. Their headers say {shown}. Pass --t-r SECONDS."
            raise ParameterError(msg)
        return next(iter(found.values()))

    @cached_property
    def model(self) -> Any:
        """The model, not fitted."""
        from lazyvox.glm.first_level import FirstLevelModel

        choice = self.choice
        of_events: dict[str, Any] = {
            "t_r": self.t_r,
            "slice_time_ref": choice.slice_time_ref,
            "hrf_model": choice.hrf_model,
            "drift_model": None if choice.drift_model == "none" else choice.drift_model,
            "drift_order": choice.drift_order,
            "high_pass": choice.high_pass,
        }
        return FirstLevelModel(
            **({} if self.designs else of_events),
            mask_img=choice.mask,
            smoothing_fwhm=choice.smoothing_fwhm,
            noise_model=choice.noise_model,
            # Clusters of coefficients are the same in each run of the command.
            random_state=0,
            n_jobs=self.n_jobs,
        )

    @cached_property
    def design_matrices(self) -> list[Any]:
        """The design matrix of each run, without the volumes that are left out."""
        designs = [run.design for run in self.runs]
        if not self.designs:
            options = self.fit_options()
            try:
                designs = self.model.make_design_matrices(
                    list(self.paths), options["events"], options["confounds"]
                )
            except LazyvoxError:
                raise
            except (ValueError, TypeError, KeyError, OSError) as error:
                # nilearn reads the tables of events.
                shown = ", ".join(map(printable, self.events))
                msg = f"`events`: {shown} must be a table of events as BIDS has it. Got: {error}"
                raise ParameterError(msg) from error
        return [
            design if run.kept is None else design.iloc[run.kept]
            for design, run in zip(designs, self.runs, strict=True)
        ]

    @cached_property
    def named_expressions(self) -> dict[str, str]:
        """Expression of each contrast, by its name; by itself where it has none."""
        found: dict[str, str] = {}
        for text in self.expressions:
            name, _, expression = (part.strip() for part in text.rpartition("="))
            name = name or expression
            if name in found:
                msg = f"--contrast must be given once for each name. Got {name!r} twice"
                raise WrongUsageError(msg)
            found[name] = expression
        return found

    @cached_property
    def weights(self) -> dict[str, list[FloatArray]]:
        """Weights of each contrast, by its name: one array for each run."""
        found = {
            name: [
                contrast_weights(expression, [str(column) for column in design.columns])
                for design in self.design_matrices
            ]
            for name, expression in self.named_expressions.items()
        }
        labels = [contrast_label(name) for name in found]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            msg = (
                f"--contrast: names must differ in letters and digits. Got {twice[0]!r} of two; "
                f"name them as in NAME=EXPRESSION"
            )
            raise WrongUsageError(msg)
        return found

    def fit_options(self) -> dict[str, Any]:
        """Return the arguments of `fit`."""
        masks = None
        if any(run.kept is not None for run in self.runs):
            masks = [
                np.arange(run.n_volumes) if run.kept is None else run.kept for run in self.runs
            ]
        if self.designs:
            designs = [run.design for run in self.runs]
            return {"design_matrices": designs, "sample_masks": masks}
        confounds = [run.confounds for run in self.runs] if self.confounds.confounds else None
        return {"events": list(self.events), "confounds": confounds, "sample_masks": masks}


def contrast_label(name: str) -> str:
    """Return a contrast as a label of BIDS.

    Examples
    --------
    >>> contrast_label("face - house"), contrast_label("2*a#0")
    ('faceMinusHouse', '2TimesA0')
    """
    words = {"-": " minus ", "+": " plus ", "*": " times ", "/": " by "}
    return bids_label("".join(words.get(letter, letter) for letter in name).strip())
