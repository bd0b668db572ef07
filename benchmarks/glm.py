"""First-level GLM of one run, next to bare decompression and to nilearn.

    python benchmarks/glm.py [--folder FOLDER] [--runs 3] [--quick] [--long]

49 regressors, AR(1) noise, a brain mask, one contrast: the same program with lazyvox's class and with
nilearn's. Seconds are of whole processes, imports included; D, the time of bare isal, is measured in
turns. The peak is above what the imports hold. With --long, also ten times as many volumes, and a run
of 64 x 76 x 64 x 6804 float32 (8.5 GB decoded), which is made first and takes long to fit.
"""

import json
import statistics
from pathlib import Path

import nibabel as nib
import numpy as np
from figures import Figures
from harness import BARE_ISAL, machine, number, python, repeat
from reference import ellipsoid, options_of, parser_of, reference_of, run_writer

#: Grid and length of the run of nilearn's issue 5588.
LARGE = (64, 76, 64, 6804)

COMMON = """
import sys
import numpy as np
import pandas as pd
run, mask, n_volumes, n_columns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(0)
t = np.arange(n_volumes)[:, None]
waves = np.sin(t / rng.uniform(3, 30, 8))
noise = rng.standard_normal((n_volumes, n_columns - 9))
names = [f"c{i}" for i in range(8)] + [f"n{i}" for i in range(n_columns - 9)] + ["constant"]
design = pd.DataFrame(np.hstack([waves, noise, np.ones((n_volumes, 1))]), columns=names)
"""
FIT = """
def fit():
    model = FirstLevelModel(mask_img=mask)
    model.fit(run, design_matrices=design)
    return model.compute_contrast("c0 - c1")
"""
OURS = f"{COMMON}\nfrom lazyvox.glm import FirstLevelModel\n{FIT}\nfit()\n"
THEIRS = f"{COMMON}\nfrom nilearn.glm.first_level import FirstLevelModel\n{FIT}\nfit()\n"
PEAK = f"""{COMMON}
import lazyvox as lv
from lazyvox.glm import FirstLevelModel
import nilearn.glm.contrasts, scipy.stats
{FIT}
with lv.peak_memory() as peak:
    fit()
print(peak.increment / 2**20)
"""
PLANNED = f"""{COMMON}
import lazyvox as lv
from lazyvox.glm import FirstLevelModel
model = FirstLevelModel(mask_img=mask)
print(lv.plan(model.fit, run, design_matrices=design).peak_bytes / 2**20)
"""
AGREEMENT = f"""{COMMON}
import json
import nibabel as nib
import lazyvox as lv
from lazyvox.glm import FirstLevelModel as Ours
from nilearn.glm.first_level import FirstLevelModel as Theirs
inside = np.asarray(nib.load(mask).dataobj) != 0
inside &= np.cumsum(inside.ravel()).reshape(inside.shape) % 7 == 0
affine = nib.load(mask).affine
some = nib.Nifti1Image(inside.astype(np.uint8), affine)
both = [model(mask_img=some) for model in (Ours, Theirs)]
both[0].fit(run, design_matrices=design)
values = np.zeros((*inside.shape, n_volumes))
values[inside] = lv.extract(run, some, dtype=np.float64).values.T
both[1].fit(nib.Nifti1Image(values, affine), design_matrices=design)
found = {{"moved": int((both[0].labels_[0] != both[1].labels_[0]).sum()), "of": int(inside.sum())}}
for kind in ("effect_size", "effect_variance", "stat", "z_score"):
    mine, its = (one.compute_contrast("c0 - c1", output_type=kind).get_fdata() for one in both)
    found[kind] = float(np.abs(mine - its).max() / np.abs(its).max())
print(json.dumps(found))
"""


def main() -> None:
    """Make the files, measure both in turns, print."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--long", action="store_true", help="longer runs too")
    options = options_of(parser)
    files = reference_of(options, with_long=options.long)
    figures = Figures(options.figures)
    print(machine())
    arguments = (files.run, files.brain, str(files.n_volumes), "49")
    seconds = _report_times(arguments, options.runs, figures)
    _report_peak("GLM", arguments, 250, figures)
    _report_agreement(arguments, figures)
    if options.long:
        _report_long(files, seconds, figures)
        _report_large(options.folder, figures)


def _report_times(arguments: tuple[str, ...], n_runs: int, figures: Figures) -> float:
    """Measure both libraries in turns, print, and return the seconds of lazyvox."""
    programs = {"lazyvox": python(OURS, *arguments), "nilearn": python(THEIRS, *arguments)}
    repeat(programs["lazyvox"], 1, is_watched=False)
    taken: dict[str, list[float]] = {"bare isal": [], "lazyvox": [], "nilearn": []}
    for _ in range(n_runs):
        taken["bare isal"].append(number(python(BARE_ISAL, arguments[0])))
        for name, program in programs.items():
            taken[name].append(repeat(program, 1, is_watched=False).seconds)
    bare, ours, theirs = (statistics.median(one) for one in taken.values())
    their_peak = repeat(programs["nilearn"], 0).peak_mib
    bound = 2 * bare + 2.5
    rows = (
        ("GLM, 49 regressors, AR(1)", f"{ours:.2f} s", f"{bound:.2f} s", ours <= bound),
        ("GLM next to nilearn", f"{theirs / ours:.1f} x", "4 x", theirs >= 4 * ours),
    )
    for name, measured, limit, is_held in rows:
        figures.row(name, measured, limit, is_held=is_held)
    print(f"D {bare:.2f} s; nilearn {theirs:.1f} s, {their_peak:.0f} MiB with its imports")
    return ours


def _report_peak(name: str, arguments: tuple[str, ...], bound: float, figures: Figures) -> None:
    peak, planned = number(python(PEAK, *arguments)), number(python(PLANNED, *arguments))
    name = f"{name}, above the imports"
    figures.row(name, f"{peak:.0f} MiB", f"{bound:.0f} MiB", is_held=peak <= bound)
    print(f"planned {planned:.0f} MiB")


def _report_agreement(arguments: tuple[str, ...], figures: Figures) -> None:
    output = repeat(python(AGREEMENT, *arguments), 1, is_watched=False).output
    found = json.loads(output.splitlines()[-1])
    n_moved, n_voxels = found.pop("moved"), found.pop("of")
    worst = max(found.values())
    name = "GLM, difference from nilearn in float64"
    figures.row(name, f"{worst:.1e}", "1e-06", is_held=worst <= 1e-6)
    name = f"GLM, of {n_voxels} voxels in another bin"
    figures.row(name, str(n_moved), str(n_voxels // 10_000), is_held=n_moved <= n_voxels / 1e4)


def _report_long(files: object, seconds: float, figures: Figures) -> None:
    arguments = (files.long, files.brain, str(10 * files.n_volumes), "49")
    taken = repeat(python(OURS, *arguments), 1, is_watched=False).seconds
    name = "GLM, ten times the volumes"
    bound = 10 * seconds
    figures.row(name, f"{taken:.1f} s", f"{bound:.1f} s", is_held=taken <= bound)
    _report_peak(name, arguments, 250, figures)


def _report_large(folder: Path, figures: Figures) -> None:
    run, mask = folder / "large.nii.gz", folder / "large_mask.nii.gz"
    if not run.exists():
        _make_large(run, mask)
    arguments = (str(run), str(mask), str(LARGE[3]), "49")
    name = "GLM, 64 x 76 x 64 x 6804"
    print(f"{name}: {repeat(python(OURS, *arguments), 1, is_watched=False).seconds:.1f} s")
    _report_peak(name, arguments, 300, figures)


def _make_large(run: Path, mask: Path) -> None:
    """Write noise in an ellipsoid as large as a brain."""
    *shape, n_volumes = LARGE
    inside = ellipsoid(shape, 0.38)
    affine = np.diag([3.0, 3, 3, 1])
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), affine), mask)
    rng = np.random.default_rng(0)
    volume = np.zeros(shape, np.float32, order="F")
    with run_writer(str(run), LARGE, affine, np.dtype(np.float32)) as writer:
        for _ in range(n_volumes):
            volume[inside] = rng.normal(1000, 50, int(inside.sum()))
            writer.write(volume)


if __name__ == "__main__":
    main()
