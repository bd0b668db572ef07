"""Calls of lazyvox.glm."""

from collections.abc import Iterator
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from calls import Case, Files, case, grid

__all__ = ["glm_cases"]

_TYPES = ("effect_size", "effect_variance", "stat", "z_score", "p_value")


def glm_cases() -> Iterator[Case]:
    """Yield the calls of lazyvox.glm: maps of a t and an F contrast of two runs."""
    options = {
        "noise_model": ["ols", "ar1", "ar2"],
        "signal_scaling": [0, (0, 1), False],
        "smoothing_fwhm": [None, 30],
    }
    for one in grid(**options):
        yield case("glm.FirstLevelModel", one, _maps)
    for drift_model in ("polynomial", None):
        yield case("glm.FirstLevelModel", {"drift_model": drift_model}, _maps)
    yield case("glm.FirstLevelModel", {"hrf_model": "spm + derivative"}, _maps)
    yield case("glm.FirstLevelModel", {"minimize_memory": False}, _series)


def _fitted(lib: Any, files: Files, **options: Any) -> Any:
    onsets = np.arange(12, 270, 30.0)
    names = np.resize(["face", "house", "cat"], len(onsets))
    events = pd.DataFrame({"onset": onsets, "duration": 15.0, "trial_type": names})
    img = nib.load(files.run)
    runs = [nib.Nifti1Image(img.get_fdata(), img.affine)] * 2
    model = lib.glm.FirstLevelModel(t_r=2.5, mask_img=files.brain, random_state=0, **options)
    kept = [np.arange(4, 121), np.delete(np.arange(121), [30, 31])]
    bins = 5 if options.get("noise_model") == "ar2" else 100
    return model.fit(runs, [events, events], sample_masks=kept, bins=bins)


def _maps(lib: Any, files: Files, **options: Any) -> Any:
    model = _fitted(lib, files, **options)
    both = np.eye(len(model.design_matrices_[0].columns))[:2]
    contrasts = ["face - house", both]
    return [
        np.asarray(model.compute_contrast([one, one], output_type=kind).dataobj)
        for one in contrasts
        for kind in _TYPES
    ]


def _series(lib: Any, files: Files, **options: Any) -> Any:
    model = _fitted(lib, files, **options)
    found = [*model.residuals_, *model.predicted_, *model.r_square_]
    return [np.squeeze(np.asarray(one.dataobj)) for one in found]
