"""Five seed maps of one run, next to bare decompression and to nilearn's way.

    python benchmarks/seed_maps.py [--folder FOLDER] [--runs 3] [--peaks] [--quick]

24 confounds and the band from 0.01 to 0.1 Hz are removed by regression, within the brain. nilearn's way
is that of its example: a masker of the seeds, a masker of the brain, and a product; it removes the
band by a Butterworth filter. Seconds are of whole processes; D, the time of bare isal, is measured in
turns. The peak is above what the imports hold.
"""

import statistics

from figures import Figures
from harness import BARE_ISAL, machine, number, python, repeat
from reference import options_of, parser_of, reference_of

COMMON = """
import sys
import numpy as np
run, mask, seeds = sys.argv[1:4]
seeds = np.loadtxt(seeds, skiprows=1)[:5]
confounds = np.random.default_rng(0).normal(size=(int(sys.argv[4]), 24)).cumsum(axis=0)
"""
OURS = f"""{COMMON}
import lazyvox as lv
seed_map = lv.seed_map  # imported here
with lv.peak_memory() as peak:
    seed_map(
        run, seeds, radius=8, mask_img=mask, confounds=confounds, high_pass=0.01, low_pass=0.1,
        drift_order=1, t_r=2.0,
    )
print(peak.increment / 2**20)
"""
PLANNED = f"""{COMMON}
import lazyvox as lv
plan = lv.plan(
    lv.seed_map, run, seeds, radius=8, mask_img=mask, confounds=confounds, high_pass=0.01,
    low_pass=0.1, drift_order=1, t_r=2.0,
)
print(plan.peak_bytes / 2**20)
"""
THEIRS = f"""{COMMON}
from nilearn.maskers import NiftiMasker, NiftiSpheresMasker
options = {{
    "detrend": True, "standardize": "zscore_sample", "low_pass": 0.1, "high_pass": 0.01, "t_r": 2.0,
    "reports": False,
}}
seed = NiftiSpheresMasker(seeds, radius=8, **options).fit_transform(run, confounds=[confounds])
masker = NiftiMasker(mask, **options)
brain = masker.fit_transform(run, confounds=[confounds])
masker.inverse_transform((brain.T @ seed / (len(seed) - 1)).T)
"""


def main() -> None:
    """Make the files, measure both in turns, print."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--peaks", action="store_true", help="measure nilearn's memory too")
    options = options_of(parser)
    files = reference_of(options)
    print(machine())
    arguments = (files.run, files.brain, files.seeds, str(files.n_volumes))
    ours, theirs = python(OURS, *arguments), python(THEIRS, *arguments)
    repeat(ours, 1, is_watched=False)
    taken: dict[str, list[float]] = {"lazyvox": [], "bare isal": [], "nilearn": []}
    for _ in range(options.runs):
        taken["bare isal"].append(number(python(BARE_ISAL, files.run)))
        taken["lazyvox"].append(repeat(ours, 1, is_watched=False).seconds)
        taken["nilearn"].append(repeat(theirs, 1, is_watched=False).seconds)
    seconds, bare, reference = (
        statistics.median(taken[one]) for one in ("lazyvox", "bare isal", "nilearn")
    )
    peak, planned = number(ours), number(python(PLANNED, *arguments))
    bound = 2 * bare + 1
    figures = Figures(options.figures)
    rows = (
        ("five seed maps", f"{seconds:.2f} s", f"{bound:.2f} s", seconds <= bound),
        ("five seed maps, above the imports", f"{peak:.0f} MiB", "200 MiB", peak <= 200),
    )
    for name, measured, limit, is_held in rows:
        figures.row(name, measured, limit, is_held=is_held)
    print(f"D {bare:.2f} s, planned {planned:.0f} MiB")
    their_peak = f", {repeat(theirs, 0).peak_mib:.0f} MiB" if options.peaks else ""
    print(
        f"nilearn {reference:.1f} s{their_peak}: {reference / seconds:.1f} times as long; lazyvox with "
        f"its imports {repeat(ours, 0).peak_mib:.0f} MiB"
    )


if __name__ == "__main__":
    main()
