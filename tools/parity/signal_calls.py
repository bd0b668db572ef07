"""Calls of lazyvox.signal."""

from collections.abc import Iterator
from typing import Any

import nibabel as nib
import numpy as np
from calls import CLEANING, Case, Files, case, grid

__all__ = ["signal_cases"]


def signal_cases() -> Iterator[Case]:
    """Yield the calls of lazyvox.signal."""

    def clean(
        lib: Any, files: Files, *, frequencies: Any, with_confounds: bool, **options: Any
    ) -> Any:
        series = np.random.default_rng(0).normal(100, 5, (121, 30)).cumsum(axis=0) / 20 + 100
        confounds = files.motion if with_confounds else None
        return lib.signal.clean(series, confounds=confounds, t_r=2.5, **frequencies, **options)

    for options in grid(**CLEANING):
        yield case("signal.clean", options, clean)
        if options["frequencies"]:
            yield case(
                "signal.clean",
                {**options, "filter": "cosine", "frequencies": {"high_pass": 0.01}},
                clean,
            )

    def others(lib: Any, files: Files, *, n_confounds: int) -> Any:
        values = np.asarray(nib.load(files.run).dataobj).reshape(-1, 121).T.astype(float)
        # Singular vectors have no sign.
        return np.abs(lib.signal.high_variance_confounds(values, n_confounds=n_confounds))

    for n_confounds in (1, 5):
        yield case("signal.high_variance_confounds", {"n_confounds": n_confounds}, others)
    for standardize in ("zscore_sample", "psc"):
        yield case(
            "signal.standardize_signal",
            {"standardize": standardize},
            lambda lib, files, **options: lib.signal.standardize_signal(
                files.motion + 9, **options
            ),
        )
    for options in grid(low_pass=[None, 0.1], high_pass=[0.01, 0.02], order=[2, 5]):
        yield case(
            "signal.butterworth",
            options,
            lambda lib, files, **options: lib.signal.butterworth(files.motion, 0.4, **options),
        )
    yield case(
        "signal.create_cosine_drift",
        {"high_pass": 0.01},
        lambda lib, _, high_pass: lib.signal.create_cosine_drift(high_pass, np.arange(121) * 2.5),
    )
