"""Fixed effects over the runs of a participant, of maps of effects and variances."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray
from lazyvox.glm.map_files import MAPS
from lazyvox.runtime.optional import require

__all__ = ["fixed_effects"]

#: Least variance, as in nilearn's `compute_fixed_effects`.
_LEAST_VARIANCE = 1e-16


def fixed_effects(
    runs: Iterable[tuple[FloatArray, FloatArray, int]], *, precision_weighted: bool = False
) -> dict[str, FloatArray]:
    """Return the maps of fixed effects, with the numbers of nilearn's `compute_fixed_effects`.

    Parameters
    ----------
    runs : iterable of (ndarray, ndarray, int)
        Effect and variance at each voxel, and degrees of freedom of the residuals, of each run.
        One run is held at a time.
    precision_weighted : bool, default=False
        Whether runs are weighted by the inverse of their variance; otherwise each counts as much.

    Returns
    -------
    dict of ndarray
        The maps by their label: "effect", "variance", "t" and "z".

    Raises
    ------
    MissingDependencyError
        If nilearn is not installed, whose statistics these are.

    Examples
    --------
    >>> runs = [(np.array([1.0]), np.array([1.0]), 10), (np.array([3.0]), np.array([1.0]), 10)]
    >>> {name: float(one[0]) for name, one in fixed_effects(iter(runs)).items() if name != "z"}
    {'effect': 2.0, 'variance': 0.5, 't': 2.82842712474619}
    """
    require("nilearn", "glm", "Fixed effects")
    from nilearn.glm.contrasts import Contrast

    effects: Any = 0.0
    spreads: Any = 0.0
    n_runs = n_free = 0
    for effect, found, own_free in runs:
        variance = np.maximum(found, _LEAST_VARIANCE)
        spread = 1 / variance if precision_weighted else variance
        effects = effects + (effect * spread if precision_weighted else effect)
        spreads = spreads + spread
        n_runs, n_free = n_runs + 1, n_free + own_free
    if precision_weighted:
        spreads = 1 / spreads
        effects = effects * spreads
    else:
        effects, spreads = effects / n_runs, spreads / n_runs**2
    contrast = Contrast(effect=effects, variance=spreads, dim=1, dof=n_free)
    return {label: getattr(contrast, kind)() for label, kind in MAPS.items()}
