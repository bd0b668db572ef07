"""From options to what is done to one run."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.signal.confounds import JoinedConfounds, confound_basis
from lazyvox.signal.cosine import add_cosines
from lazyvox.signal.filtering import prepare_filter
from lazyvox.signal.options import FilterChoice, Padding
from lazyvox.signal.run_cleaning import RunCleaning, TemporalSteps, trend_basis
from lazyvox.signal.spline import spline_weights
from lazyvox.signal.standardize import largest, warn_of_one_volume
from lazyvox.signal.volumes import RunVolumes

__all__ = ["RunBuilder"]

#: Percent signal change takes the mean of before where less than this part of it is left.
_MEAN_LEFT = 0.1
#: What rounding errors leave of a constant 1 that a filter removes.
_NOTHING_LEFT = 1e-9


@dataclass(frozen=True, slots=True)
class RunBuilder:
    """The checked options that hold for every run.

    Attributes
    ----------
    detrend : bool
        Whether mean and trend are removed.
    standardize_confounds : bool
        Whether means are removed from confounds.
    extrapolate : bool
        Whether the filter also takes volumes before the first and after the last kept one.
    choice : FilterChoice
        The filter.
    padding : Padding
        Further options of a Butterworth filter.
    """

    detrend: bool
    standardize_confounds: bool
    extrapolate: bool
    choice: FilterChoice
    padding: Padding

    def build(
        self, volumes: RunVolumes, confounds: JoinedConfounds | None, rows_out: IntArray
    ) -> RunCleaning:
        """Work out what is done to one run.

        Parameters
        ----------
        volumes : RunVolumes
            Its volumes.
        confounds : JoinedConfounds or None
            Confounds of all runs.
        rows_out : ndarray of int
            Rows of the result that it fills.

        Returns
        -------
        RunCleaning
            The steps.

        Raises
        ------
        ParameterError
            If there are too few volumes, or confounds are missing in some.
        """
        if confounds is not None:
            confounds.check(volumes.kept_rows, n_kept=len(rows_out))
        steps = self._steps(volumes)
        basis = self._basis(volumes, confounds, steps)
        run = RunCleaning(volumes.kept_rows, rows_out, steps, basis)
        left, _ = run.apply(np.ones((len(rows_out), 1)))
        return replace(
            run,
            restores_mean=bool(abs(left.mean()) < _MEAN_LEFT),
            removes_level=steps.trend is not None or bool(np.abs(left).max() < _NOTHING_LEFT),
        )

    def _steps(self, volumes: RunVolumes) -> TemporalSteps:
        """Return interpolation, detrending and filter."""
        kept, n_volumes = volumes.kept, volumes.n_kept
        filled = weights = None
        if self.choice.kind == "butterworth" and kept is not None:
            first, last = (0, len(volumes.rows) - 1) if self.extrapolate else (kept[0], kept[-1])
            kept, n_volumes = kept - first, int(last - first) + 1
            filled = np.setdiff1d(np.arange(n_volumes), kept)
            weights = _weights(kept, filled) if len(filled) else None
        trend = None
        if self.detrend and n_volumes > 1:
            trend = trend_basis(n_volumes)
        elif self.detrend:
            warn_of_one_volume("Detrending")
        band = None
        if self.choice.kind == "butterworth":
            choice = self.choice
            band = prepare_filter(
                n_volumes, 1 / choice.t_r, choice.low_pass, choice.high_pass, self.padding
            )
        return TemporalSteps(n_volumes, filled, kept, weights, trend, band)

    def _basis(
        self, volumes: RunVolumes, confounds: JoinedConfounds | None, steps: TemporalSteps
    ) -> FloatArray | None:
        """Return what confounds and cosines span, after the steps that signals go through."""
        table = None if confounds is None else confounds.values[volumes.rows]
        names = () if confounds is None else confounds.names
        if self.choice.kind == "cosine":
            assert self.choice.high_pass is not None, "bug in lazyvox: checked with the options"
            table = add_cosines(table, len(volumes.rows), self.choice.high_pass, self.choice.t_r)
        if table is None or not table.shape[1]:
            return None
        own = table if volumes.kept is None else table[volumes.kept]
        size = largest(own)
        filtered = steps.apply(np.array(steps.fill(own)))
        basis = confound_basis(filtered, size, standardize=self.standardize_confounds, names=names)
        n_left = volumes.n_kept - basis.shape[1] - 2 * (steps.trend is not None)
        if n_left <= 0 and volumes.n_kept > 1:
            msg = (
                f"Nothing but rounding errors is left of signals: {basis.shape[1]} independent "
                f"confounds and cosines are removed from {volumes.n_kept} volumes. Use fewer."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=4)
        return basis


def _weights(kept: IntArray, filled: IntArray) -> FloatArray:
    if len(kept) < 2:
        msg = (
            "Volumes that are left out are interpolated for the Butterworth filter, from at least "
            f"2 kept volumes. Got {len(kept)}. Keep more, or pass filter='cosine'."
        )
        raise ParameterError(msg)
    return spline_weights(kept, filled)
