"""Calls of lazyvox.maskers."""

from collections.abc import Iterator
from typing import Any

import nibabel as nib
import numpy as np
from calls import CLEANING, Case, Files, case, grid

__all__ = ["masker_cases"]


def masker_cases() -> Iterator[Case]:
    """Yield the calls of lazyvox.maskers: what transforming and going back give."""
    smoothing = {**CLEANING, "smoothing_fwhm": [None, 30]}
    for name, call in (
        ("NiftiMasker", _nifti),
        ("NiftiLabelsMasker", _labels),
        ("NiftiMapsMasker", _maps),
        ("NiftiSpheresMasker", _spheres),
    ):
        for options in grid(**smoothing):
            # Voxels at the edge of the brain are zero: they have no percent signal change.
            if options["standardize"] != "psc" or name == "NiftiLabelsMasker":
                yield case(f"maskers.{name}", options, call)
    for strategy in (
        "mean",
        "median",
        "sum",
        "minimum",
        "maximum",
        "standard_deviation",
        "variance",
    ):
        options = {
            "detrend": False,
            "standardize": None,
            "frequencies": {},
            "with_confounds": False,
        }
        yield case("maskers.NiftiLabelsMasker", {**options, "strategy": strategy}, _labels)
    for name in ("MultiNiftiMasker", "MultiNiftiLabelsMasker"):
        yield case(
            f"maskers.{name}",
            {},
            lambda lib, files, name=name: tuple(
                getattr(lib.maskers, name)(
                    files.brain if name == "MultiNiftiMasker" else files.atlas, reports=False
                ).fit_transform([files.run, files.run])
            ),
        )


def _both(masker: Any, run: Any, confounds: Any) -> tuple[Any, Any]:
    signals = masker.fit_transform(run, confounds=confounds)
    return signals, masker.inverse_transform(signals)


def _nifti(
    lib: Any, files: Files, *, frequencies: Any, with_confounds: bool, **options: Any
) -> Any:
    masker = lib.maskers.NiftiMasker(files.brain, t_r=2.5, reports=False, **frequencies, **options)
    return _both(masker, files.run, files.motion if with_confounds else None)


def _labels(
    lib: Any, files: Files, *, frequencies: Any, with_confounds: bool, **options: Any
) -> Any:
    masker = lib.maskers.NiftiLabelsMasker(
        files.atlas, t_r=2.5, reports=False, **frequencies, **options
    )
    return _both(masker, files.run, files.motion if with_confounds else None)


def _maps(
    lib: Any, files: Files, *, frequencies: Any, with_confounds: bool, **options: Any
) -> Any:
    atlas = nib.load(files.atlas)
    values = np.asarray(atlas.dataobj)
    found = [(values == label).astype(np.float32) for label in np.unique(values)[1:]]
    img = nib.Nifti1Image(
        np.stack(found, -1) + np.roll(found, 1, 1).transpose(1, 2, 3, 0), atlas.affine
    )
    masker = lib.maskers.NiftiMapsMasker(img, t_r=2.5, reports=False, **frequencies, **options)
    return _both(masker, files.run, files.motion if with_confounds else None)


def _spheres(
    lib: Any, files: Files, *, frequencies: Any, with_confounds: bool, **options: Any
) -> Any:
    affine = nib.load(files.run).affine
    seeds = [tuple(nib.affines.apply_affine(affine, ijk)) for ijk in ((2, 3, 3), (5, 5, 4))]
    masker = lib.maskers.NiftiSpheresMasker(
        seeds,
        radius=30,
        mask_img=files.brain,
        t_r=2.5,
        reports=False,
        **frequencies,
        **options,
    )
    # Of integers, nilearn truncates the means.
    run = nib.load(files.run)
    floats = nib.Nifti1Image(run.get_fdata(dtype=np.float32), run.affine, dtype=np.float32)
    return _both(masker, floats, files.motion if with_confounds else None)
