"""Calls of lazyvox.seed_map, and the steps of nilearn's example of seed-to-voxel correlation."""

from collections.abc import Iterator
from typing import Any

import nibabel as nib
import numpy as np
from calls import Case, Files, case, grid

__all__ = ["seed_cases"]


def seed_cases() -> Iterator[Case]:
    """Yield the calls of lazyvox.seed_map: maps of two seeds, cleaned as maskers clean."""
    options = {
        "filter": ["butterworth", "cosine"],
        "low_pass": [0.1, None],
        "smoothing_fwhm": [None, 30],
        "with_confounds": [False, True],
        "measure": ["correlation", "fisher-z"],
    }
    for one in grid(**options):
        if one["filter"] != "cosine" or one["low_pass"] is None:
            yield case("seed_map", one, _map)


def _map(lib: Any, files: Files, *, with_confounds: bool, measure: str, **options: Any) -> Any:
    img = nib.load(files.run)
    run = nib.Nifti1Image(img.get_fdata(), img.affine)
    seeds = [tuple(nib.affines.apply_affine(img.affine, ijk)) for ijk in ((2, 3, 3), (5, 5, 4))]
    shared = {"t_r": 2.5, "high_pass": 0.01, "low_pass": options.pop("low_pass")}
    confounds = files.motion if with_confounds else None
    if hasattr(lib, "seed_map"):
        further = {"mask_img": files.brain, "confounds": confounds, "drift_order": 1}
        both = lib.seed_map(run, seeds, radius=30, measure=measure, **further, **options, **shared)
        return np.asarray(both.dataobj)
    shared |= {"detrend": True, "standardize": "zscore_sample", "reports": False}
    shared["clean_args"] = {"filter": options["filter"]}
    seed_masker = lib.maskers.NiftiSpheresMasker(seeds, 30, allow_overlap=True, **shared)
    brain_masker = lib.maskers.NiftiMasker(
        files.brain, smoothing_fwhm=options["smoothing_fwhm"], **shared
    )
    signals = seed_masker.fit_transform(run, confounds=confounds)
    brain = brain_masker.fit_transform(run, confounds=confounds)
    found = brain.T @ signals / (len(signals) - 1)
    found = np.arctanh(found) if measure == "fisher-z" else found
    return np.asarray(brain_masker.inverse_transform(found.T).dataobj)
