"""The steps of cleaning one run, built from checked options: first an outline, then its arrays."""

from dataclasses import dataclass, replace

import numpy as np

from lazyvox._typing import IntArray
from lazyvox.array.residuals import polynomials
from lazyvox.errors import ParameterError
from lazyvox.signal.confounds import JoinedConfounds
from lazyvox.signal.cosine import count_cosines
from lazyvox.signal.filtering import prepare_filter
from lazyvox.signal.options import FilterChoice, Padding
from lazyvox.signal.recursion import TwoWayFilter
from lazyvox.signal.regressors import Regressors
from lazyvox.signal.run_cleaning import RunCleaning, TemporalSteps
from lazyvox.signal.spline import Spline, spline_windows
from lazyvox.signal.standardize import warn_of_one_volume
from lazyvox.signal.volumes import RunVolumes

__all__ = ["RunBuilder", "RunOutline"]

#: Percent signal change takes the mean of before where less than this part of it is left.
_MEAN_LEFT = 0.1
#: What rounding errors leave of a constant 1 that a filter removes.
_NOTHING_LEFT = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RunOutline:
    """The steps of one run, checked, before anything is computed that grows with its length.

    Attributes
    ----------
    volumes : RunVolumes
        Its volumes.
    rows_out : ndarray of int
        Rows of the result that it fills.
    n_volumes : int
        Volumes that are filtered.
    kept, filled : ndarray of int, or None
        Of these the kept ones, and those that are interpolated; None where none is.
    degree : int or None
        Degree of the polynomial that is removed; None removes none.
    band : TwoWayFilter or None
        The filter.
    regressors : Regressors or None
        Confounds and cosines.
    """

    volumes: RunVolumes
    rows_out: IntArray
    n_volumes: int
    kept: IntArray | None
    filled: IntArray | None
    degree: int | None
    band: TwoWayFilter | None
    regressors: Regressors | None

    def prepare(self) -> RunCleaning:
        """Compute interpolation, trend and the space of the regressors."""
        spline = None
        if self.filled is not None and self.kept is not None:
            spline = Spline.through(self.kept, self.filled)
        trend = None if self.degree is None else polynomials(self.n_volumes, self.degree)
        steps = TemporalSteps(self.n_volumes, self.filled, self.kept, spline, trend, self.band)
        basis = None if self.regressors is None else self.regressors.basis(steps)
        run = RunCleaning(self.volumes.kept_rows, self.rows_out, steps, basis)
        left, _ = run.apply(np.ones((len(self.rows_out), 1)))
        return replace(
            run,
            restores_mean=bool(abs(left.mean()) < _MEAN_LEFT),
            removes_level=trend is not None or bool(np.abs(left).max() < _NOTHING_LEFT),
        )

    @property
    def work_rows(self) -> int:
        """Number of float64 values that are held for each column while it is cleaned."""
        n_pad = 0 if self.band is None else self.band.padlen
        return 2 * self.volumes.n_kept + 3 * (self.n_volumes + 2 * n_pad) + 200

    @property
    def shared_bytes(self) -> int:
        """Memory that is held for all columns together."""
        spline = 0
        if self.filled is not None and self.kept is not None:
            spline = sum(one.weight_bytes for one in spline_windows(self.kept, self.filled))
        # Rows of the run, its trend, and the constant that is cleaned to see what is left of it.
        # A trend of high degree is found by a decomposition, which copies it.
        held = 8 * (8 + 3 * max((self.degree or 0) - 1, 0)) * self.n_volumes
        return held + spline + (0 if self.regressors is None else self.regressors.peak_bytes)


@dataclass(frozen=True, slots=True)
class RunBuilder:
    """The checked options that hold for every run.

    Attributes
    ----------
    degree : int or None
        Degree of the polynomial that is removed; None removes none.
    standardize_confounds : bool
        Whether means are removed from confounds.
    extrapolate : bool
        Whether the filter also takes volumes before the first and after the last kept one.
    choice : FilterChoice
        The filter.
    padding : Padding
        Further options of a Butterworth filter.
    """

    degree: int | None
    standardize_confounds: bool
    extrapolate: bool
    choice: FilterChoice
    padding: Padding

    def outline(
        self, volumes: RunVolumes, confounds: JoinedConfounds | None, rows_out: IntArray
    ) -> RunOutline:
        """Check the options against one run.

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
        RunOutline
            The steps.

        Raises
        ------
        ParameterError
            If there are too few volumes, or confounds are missing in some.
        """
        if confounds is not None:
            confounds.check(volumes.kept_rows, n_kept=len(rows_out))
        kept, n_volumes, filled = volumes.kept, volumes.n_kept, None
        choice = self.choice
        if choice.kind == "butterworth" and kept is not None:
            first, last = (0, len(volumes.rows) - 1) if self.extrapolate else (kept[0], kept[-1])
            kept, n_volumes = kept - first, int(last - first) + 1
            filled = np.setdiff1d(np.arange(n_volumes), kept)
            if not len(filled):
                filled = None
            elif len(kept) < 2:
                msg = (
                    "Volumes that are left out are interpolated for the Butterworth filter, from "
                    f"at least 2 kept volumes. Got {len(kept)}. Keep more, or pass filter='cosine'."
                )
                raise ParameterError(msg)
        if self.degree is not None and n_volumes == 1:
            warn_of_one_volume("Detrending")
        elif (self.degree or 0) > 1 and n_volumes <= (self.degree or 0):
            msg = (
                f"`trend_degree` must be below the number of volumes of each run. Got "
                f"{self.degree} for {n_volumes}."
            )
            raise ParameterError(msg, value=self.degree)
        band, n_cosines = None, 0
        if choice.kind == "butterworth":
            rate = 1 / choice.t_r
            band = prepare_filter(n_volumes, rate, choice.low_pass, choice.high_pass, self.padding)
        elif choice.kind == "cosine":
            assert choice.high_pass is not None, "bug in lazyvox: checked with the options"
            n_cosines = count_cosines(len(volumes.rows), choice.high_pass, choice.t_r)
        regressors = Regressors(volumes, confounds, n_cosines, self.standardize_confounds)
        return RunOutline(
            volumes,
            rows_out,
            n_volumes,
            kept,
            filled,
            self.degree if n_volumes > 1 else None,
            band,
            regressors if regressors.n_columns else None,
        )
