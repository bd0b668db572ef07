"""Inputs of `lazyvox glm`: runs with their tables, the model, and its contrasts."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.outcome import WrongUsageError, spelled
from lazyvox.errors import ParameterError
from lazyvox.glm.contrasts import design_weights, named_contrasts
from lazyvox.glm.design_files import read_design
from lazyvox.glm.event_frames import event_designs
from lazyvox.glm.model_choice import ModelChoice, confound_frame
from lazyvox.lazyimage.describe import repetition_time
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.store.files.paths import printable

__all__ = ["FirstLevelInputs"]


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
        self.choice.check()
        assert self.weights, "bug in lazyvox: no contrast"

    @cached_property
    def images(self) -> list[Any]:
        """The runs, opened once: what is odd in a header is said once."""
        return [as_image(path) for path in self.paths]

    @cached_property
    def runs(self) -> list[_Run]:
        """Each run with its tables; headers only are read."""
        found = []
        for number, (path, img) in enumerate(zip(self.paths, self.images, strict=True)):
            if len(img.shape) != 4:
                msg = f"{printable(path)}: a run must be 4D. Got shape {tuple(img.shape)}."
                raise ParameterError(msg)
            check_same_grid(self.images[0], img)
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
        path = self.confounds.confounds[number]
        found = replace(self.confounds, confounds=(path,)).load([n_volumes])
        kept = None if found.kept.all() else np.flatnonzero(found.kept)
        return confound_frame(found.frame, n_volumes, path), kept

    @cached_property
    def t_r(self) -> float | None:
        """Seconds between volumes, where events need them."""
        if self.designs:
            return None
        if self.choice.t_r is not None:
            return self.choice.t_r
        pairs = zip(self.paths, self.images, strict=True)
        found = {path: repetition_time(img.header) for path, img in pairs}
        silent = [path for path, period in found.items() if period is None]
        if silent:
            msg = (
                f"{printable(silent[0])}: `t_r` is needed with events, and the header has "
                f"none. Pass --t-r SECONDS."
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
        return self.choice.model(self.t_r, n_jobs=self.n_jobs, has_events=not self.designs)

    @cached_property
    def whole_designs(self) -> list[Any]:
        """The design matrix of each run, of all volumes: made once, so that it warns once."""
        runs = self.runs
        if self.designs:
            return [run.design for run in runs]
        confounds = [run.confounds for run in runs] if self.confounds.confounds else None
        return event_designs(self.model, self.images, self.events, confounds)

    @cached_property
    def design_matrices(self) -> list[Any]:
        """The design matrix of each run, without the volumes that are left out."""
        return [
            design if run.kept is None else design.iloc[run.kept]
            for design, run in zip(self.whole_designs, self.runs, strict=True)
        ]

    @cached_property
    def named_expressions(self) -> dict[str, str]:
        """Expression of each contrast, by its name; by itself where it has none."""
        try:
            return named_contrasts(self.expressions)
        except ParameterError as error:
            raise WrongUsageError(spelled(error, contrasts="--contrast").rstrip(".")) from error

    @cached_property
    def weights(self) -> dict[str, list[FloatArray]]:
        """Weights of each contrast, by its name: one array for each run."""
        return design_weights(self.named_expressions, self.design_matrices)

    def fit(self) -> Any:
        """Return the model, fitted."""
        masks = None
        if any(run.kept is not None for run in self.runs):
            masks = [
                np.arange(run.n_volumes) if run.kept is None else run.kept for run in self.runs
            ]
        with warnings.catch_warnings():
            # Settings of the design are the model's for its report.
            warnings.filterwarnings("ignore", "If design matrices are supplied")
            # The fit puts its own tables in place of those in the list.
            return self.model.fit(
                list(self.images), design_matrices=list(self.whole_designs), sample_masks=masks
            )
