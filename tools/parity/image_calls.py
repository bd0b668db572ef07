"""Calls of lazyvox.image and lazyvox.masking."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import nibabel as nib
import numpy as np
from calls import CLEANING, Case, Files, case, grid

__all__ = ["image_cases", "masking_cases"]

FINE = np.diag([3.1, 3.1, 5.0, 1])
OBLIQUE = np.array([[3.0, 0.3, 0, -90], [-0.3, 3.0, 0.1, -90], [0, 0, 5, -50], [0, 0, 0, 1]])


def image_cases() -> Iterator[Case]:
    """Yield the calls of lazyvox.image."""
    yield from _regridding_cases()
    yield from _volume_cases()
    yield from _formula_cases()
    yield from _cleaning_cases()
    # Singular vectors have no sign.
    yield case(
        "image.high_variance_confounds",
        {"n_confounds": 5},
        lambda lib, files, n_confounds: np.abs(
            lib.image.high_variance_confounds(files.run, n_confounds)
        ),
    )
    yield case(
        "image.swap_img_hemispheres",
        {},
        lambda lib, files: lib.image.swap_img_hemispheres(nib.load(files.asl).slicer[..., 3]),
    )
    yield case(
        "image.largest_connected_component_img",
        {},
        lambda lib, files: lib.image.largest_connected_component_img(
            nib.load(files.asl).slicer[..., 3]
        ),
    )
    yield case(
        "image.coord_transform",
        {},
        lambda lib, _: np.array(lib.image.coord_transform(1, 2, 3, OBLIQUE)),
    )


def masking_cases() -> Iterator[Case]:
    """Yield the calls of lazyvox.masking."""
    for options in grid(connected=[True, False], opening=[False, 1, 2]):
        for name in ("compute_epi_mask", "compute_background_mask"):
            yield case(
                f"masking.{name}",
                options,
                lambda lib, files, name=name, **options: getattr(lib.masking, name)(
                    files.asl, **options
                ),
            )
    for fwhm in (None, 20):
        yield case(
            "masking.apply_mask",
            {"smoothing_fwhm": fwhm},
            lambda lib, files, **options: lib.masking.apply_mask(
                files.run, files.brain, **options
            ),
        )
    yield case(
        "masking.unmask",
        {},
        lambda lib, files: lib.masking.unmask(
            lib.masking.apply_mask(files.run, files.brain), files.brain
        ),
    )
    for threshold in (0, 0.5, 1):
        yield case(
            "masking.intersect_masks",
            {"threshold": threshold},
            lambda lib, files, **options: lib.masking.intersect_masks(
                [files.brain, files.path("haxby2001_sub001_25mm_gray")], connected=False, **options
            ),
        )
    for name in ("compute_multi_epi_mask", "compute_multi_background_mask"):
        yield case(
            f"masking.{name}",
            {},
            lambda lib, files, name=name: getattr(lib.masking, name)([files.asl, files.asl]),
        )


def _named(name: str, **options: Any) -> Case:
    return case(
        f"image.{name}",
        options,
        lambda lib, files, **rest: getattr(lib.image, name)(files.asl, **rest),
    )


def _regridding_cases() -> Iterator[Case]:
    for fwhm in (None, 4, [3, 5, 8], "fast"):
        yield _named("smooth_img", fwhm=fwhm)
    for affine, interpolation in product((FINE, OBLIQUE), ("continuous", "linear", "nearest")):
        yield case(
            "image.resample_img",
            {"oblique": affine is OBLIQUE, "interpolation": interpolation},
            lambda lib, files, oblique, interpolation: lib.image.resample_img(
                files.asl,
                OBLIQUE if oblique else FINE,
                interpolation=interpolation,
                force_resample=True,
                copy_header=True,
            ),
        )
    for interpolation in ("continuous", "linear", "nearest"):
        yield case(
            "image.resample_to_img",
            {"interpolation": interpolation},
            lambda lib, files, interpolation: lib.image.resample_to_img(
                files.run,
                files.asl,
                interpolation=interpolation,
                force_resample=True,
                copy_header=True,
            ),
        )


def _volume_cases() -> Iterator[Case]:
    yield _named("mean_img", copy_header=True)
    for index in (3, slice(2, 9, 3), [4, 1], np.arange(25) % 2 == 0):
        yield _named("index_img", index=index)
    for threshold, two_sided in product((20.0, "80%"), (True, False)):
        yield _named("threshold_img", threshold=threshold, two_sided=two_sided, copy_header=True)
    for threshold in (0.0, 5.0, "50%"):
        yield _named("binarize_img", threshold=threshold, two_sided=False, copy_header=True)
    yield _named("crop_img", copy_header=True)
    yield _named("reorder_img", copy_header=True)
    yield case(
        "image.concat_imgs", {}, lambda lib, files: lib.image.concat_imgs([files.asl, files.asl])
    )


def _formula_cases() -> Iterator[Case]:
    formulas = {
        "a + b": "same",
        "np.mean(a, axis=-1)": "one",
        "np.where(a > 10, a, -b) / 3": "same",
        "(a - np.mean(a, axis=-1)[..., None]) > 0": "one",
    }
    for formula, kind in formulas.items():
        names = ("a", "b") if kind == "same" else ("a",)
        yield case(
            "image.math_img",
            {"formula": formula},
            lambda lib, files, formula, names=names: lib.image.math_img(
                formula, **dict.fromkeys(names, files.asl)
            ),
        )


def _cleaning_cases() -> Iterator[Case]:
    def clean_img(
        lib: Any, files: Files, *, frequencies: Any, with_confounds: bool, **options: Any
    ) -> Any:
        confounds = files.motion if with_confounds else None
        return lib.image.clean_img(
            files.run, confounds=confounds, t_r=2.5, **frequencies, **options
        )

    for options in grid(**CLEANING):
        # Zeros outside of the brain have no percent signal change.
        if options["standardize"] != "psc":
            yield case("image.clean_img", options, clean_img)
