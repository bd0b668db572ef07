"""Settings of a first-level model, and confounds as its designs take them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox.errors import ParameterError
from lazyvox.glm.noise import noise_order
from lazyvox.planning.arguments import check_choice
from lazyvox.signal.confounds import Confounds
from lazyvox.store.files.paths import printable
from lazyvox.tables.numeric import check_distinct

__all__ = ["DRIFT_MODELS", "HRF_MODELS", "ModelChoice", "confound_frame"]

#: Responses to events, by nilearn's names.
HRF_MODELS = (
    "glover",
    "spm",
    "glover + derivative",
    "spm + derivative",
    "glover + derivative + dispersion",
    "spm + derivative + dispersion",
)

DRIFT_MODELS = ("cosine", "polynomial", "none")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Settings of a first-level model, those of nilearn's `FirstLevelModel`.

    Attributes
    ----------
    hrf_model : str
        Response to events.
    drift_model : {"cosine", "polynomial", "none"}
        Regressors of slow drifts.
    noise_model : str
        "ols", or "arN".
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

    hrf_model: str = "glover"
    drift_model: str = "cosine"
    noise_model: str = "ar1"
    drift_order: int = 1
    high_pass: float = 0.01
    slice_time_ref: float = 0.0
    t_r: float | None = None
    mask: str | None = None
    smoothing_fwhm: Any = None

    def check(self) -> None:
        """Raise `ParameterError` if a setting is none of its choices."""
        check_choice(self.hrf_model, "hrf_model", HRF_MODELS)
        check_choice(self.drift_model, "drift_model", DRIFT_MODELS)
        noise_order(self.noise_model)
        if int(self.drift_order) != self.drift_order or self.drift_order < 0:
            msg = f"`drift_order` must be a number of at least 0. Got {self.drift_order!r}."
            raise ParameterError(msg)
        if self.drift_order != 1 and self.drift_model != "polynomial":
            msg = f"`drift_order` needs drift_model='polynomial'. Got {self.drift_order} with {self.drift_model}."
            raise ParameterError(msg)
        if not 0 <= self.slice_time_ref <= 1:
            msg = f"`slice_time_ref` must be from 0 to 1. Got {self.slice_time_ref!r}."
            raise ParameterError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    def model(self, t_r: float | None, *, n_jobs: int = 1, has_events: bool = True) -> Any:
        """Return the `FirstLevelModel` with these settings, not fitted.

        Parameters
        ----------
        t_r : float or None
            Seconds between volumes.
        n_jobs : int, default=1
            Threads of a pass.
        has_events : bool, default=True
            Whether designs are made of events, which most settings concern.

        Returns
        -------
        FirstLevelModel
            The model.
        """
        from lazyvox.glm.first_level import FirstLevelModel

        of_events: dict[str, Any] = {
            "t_r": t_r,
            "slice_time_ref": self.slice_time_ref,
            "hrf_model": self.hrf_model,
            "drift_model": None if self.drift_model == "none" else self.drift_model,
            "drift_order": self.drift_order,
            "high_pass": self.high_pass,
        }
        return FirstLevelModel(
            **(of_events if has_events else {}),
            mask_img=self.mask,
            smoothing_fwhm=self.smoothing_fwhm,
            noise_model=self.noise_model,
            # Clusters of coefficients are the same each time.
            random_state=0,
            n_jobs=n_jobs,
        )


def confound_frame(found: Confounds | None, n_volumes: int, path: str) -> Any:
    """Return confounds as nilearn takes them: a DataFrame, without columns if there are none.

    Parameters
    ----------
    found : Confounds or None
        The regressors.
    n_volumes : int
        Number of rows.
    path : str
        Their table, for messages.

    Returns
    -------
    DataFrame
        Finite numbers.

    Raises
    ------
    ParameterError
        If a number is not finite, or two columns have one name.
    """
    import pandas as pd

    if found is None:
        return pd.DataFrame(index=range(n_volumes))
    values = np.asarray(found.values, np.float64)
    names = found.names or tuple(f"confound{i}" for i in range(values.shape[1]))
    check_distinct(names, names, printable(path))
    rows, columns = np.nonzero(~np.isfinite(values))
    if len(rows):
        msg = (
            f"`confounds`: {printable(path)} must hold finite numbers. Got "
            f"{values[rows[0], columns[0]]} in column {names[columns[0]]!r} at volume {rows[0]}, "
            f"and {len(rows)} such numbers in all. Fill them, or choose other columns."
        )
        raise ParameterError(msg)
    return pd.DataFrame(values, columns=list(names))
