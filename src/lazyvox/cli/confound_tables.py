"""`--confounds`: regressors to remove from the signals of each run, and censored volumes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import BoolArray
from lazyvox.cli.outcome import WrongUsageError, options_named
from lazyvox.confounds import Confounds, load_confounds
from lazyvox.signal.confound_files import FMRIPREP_ENDINGS
from lazyvox.signal.confounds import join_confounds, stack_confounds
from lazyvox.store.files.paths import printable

__all__ = ["ConfoundChoice", "RunConfounds"]

_SCRUB = "scrub"


@dataclass(frozen=True, slots=True, eq=False)
class RunConfounds:
    """Confounds and kept volumes of all runs together.

    Attributes
    ----------
    frame : Confounds or None
        Regressors of all runs; None where there are none.
    kept : ndarray of bool
        Whether each volume is kept, of all runs together.
    """

    frame: Confounds | None
    kept: BoolArray


@dataclass(frozen=True, slots=True)
class ConfoundChoice:
    """The options about confounds.

    Attributes
    ----------
    confounds : tuple of str
        A table for each run.
    confound_strategy : tuple of str
        Names of strategies; each text may hold several, with commas.
    confound_columns : tuple of str
        Names, or shell patterns, of columns; likewise.
    fd_threshold : float or None
        Framewise displacement above which volumes are censored, in mm.
    std_dvars_threshold : float or None
        Standardized DVARS above which volumes are censored.
    scrub : int or None
        Length below which stretches between censored volumes are censored too.
    """

    confounds: tuple[str, ...]
    confound_strategy: tuple[str, ...]
    confound_columns: tuple[str, ...]
    fd_threshold: float | None
    std_dvars_threshold: float | None
    scrub: int | None

    def __post_init__(self) -> None:
        """Refuse contradictory options."""
        given = {
            "--confound-strategy": self.confound_strategy,
            "--confound-columns": self.confound_columns,
            **{f"--{name.replace('_', '-')}": True for name in self._limits},
        }
        for option, value in given.items():
            if value and not self.confounds:
                msg = f"{option} concerns the table of --confounds, which is missing"
                raise WrongUsageError(msg)
        for name in ("strategy", "columns"):
            texts = getattr(self, f"confound_{name}")
            if texts and not any(text.strip(" ,") for text in texts):
                msg = f"--confound-{name} must hold a name. Got {texts[0]!r}"
                raise WrongUsageError(msg)
        for path in self.confounds:
            if Path(path).name.endswith(FMRIPREP_ENDINGS) and not self._is_named:
                msg = (
                    f"--confounds {printable(path)}: fMRIPrep's tables hold more than should be "
                    f"removed. Choose with --confound-strategy, such as motion24,wm_csf,"
                    f"high_pass, or with --confound-columns"
                )
                raise WrongUsageError(msg)

    @property
    def _limits(self) -> dict[str, float]:
        """The limits of scrubbing that are set."""
        named: dict[str, float | None] = {
            "fd_threshold": self.fd_threshold,
            "std_dvars_threshold": self.std_dvars_threshold,
            "scrub": self.scrub,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def _is_named(self) -> bool:
        """True if an option selects columns or volumes of a table."""
        return bool(self.confound_strategy or self.confound_columns or self._limits)

    def to_dict(self) -> dict[str, Any]:
        """Return the options, for JSON; tables are among the sources."""
        if not self.confounds:
            return {}
        return {
            "confound_strategy": ",".join(self.confound_strategy) or None,
            "confound_columns": ",".join(self.confound_columns) or None,
            **self._limits,
        }

    def load(self, lengths: Sequence[int]) -> RunConfounds:
        """Read the tables of runs of so many volumes.

        Parameters
        ----------
        lengths : sequence of int
            Volumes of each run.

        Returns
        -------
        RunConfounds
            Confounds and kept volumes of all runs together.

        Raises
        ------
        WrongUsageError
            If there is not one table for each run.
        ParameterError
            If a table does not hold what is asked for, or has not one row for each volume.
        """
        n_volumes = sum(lengths)
        if not self.confounds:
            return RunConfounds(None, np.ones(n_volumes, bool))
        if len(self.confounds) != len(lengths):
            runs = "one run" if len(lengths) == 1 else f"{len(lengths)} runs"
            msg = (
                f"--confounds must be given once for each run, in their order. Got "
                f"{len(self.confounds)} for {runs}"
            )
            raise WrongUsageError(msg)
        pairs = zip(self.confounds, lengths, strict=True)
        parts = [self._load_one(path, length) for path, length in pairs]
        kept = np.concatenate([part.kept for part in parts])
        frame = stack_confounds([part.frame for part in parts], lengths)
        # Strategies may censor volumes only.
        return RunConfounds(frame if frame.names else None, kept)

    def _load_one(self, path: str, n_volumes: int) -> RunConfounds:
        every = np.ones(n_volumes, bool)
        if not self._is_named:
            table = join_confounds(path, n_volumes)
            assert table is not None, "bug in lazyvox: a path gives a table"
            return RunConfounds(Confounds(table.values, table.names, None, path), every)
        limits: Any = self._limits
        strategy = [*self.confound_strategy, *([_SCRUB] if limits else [])]
        columns = ",".join(self.confound_columns)
        named = {"strategy": "--confound-strategy", "columns": "--confound-columns"}
        with options_named(**named):
            found = load_confounds(path, ",".join(strategy), columns or None, **limits)
        found.check_length(n_volumes)
        every[found.censored] = False
        return RunConfounds(replace(found, sample_mask=None), every)
