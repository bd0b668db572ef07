"""Smooth, resample and clean the reference run into .nii.gz files: lazyvox and nilearn.

    python benchmarks/smooth_resample.py [--folder FOLDER] [--runs 1] [--volumes 840] [--quick]
        [--only smooth_img resample_to_img clean]

The third is the command `lazyvox clean` next to a program of nilearn's: smoothed, band-passed, 24
confounds removed, within the mask of the brain.

Whole processes, taking turns. Peaks are proportional set sizes of the process tree, imports
included. With fewer volumes, both get a run that is cut accordingly.
"""

import statistics
import sys
import tempfile

import numpy as np
from figures import Figures
from harness import machine, python, repeat
from reference import options_of, parser_of, reference_of

CUT = """
import sys, lazyvox as lv
lv.save(lv.load(sys.argv[1]).slicer[..., :int(sys.argv[3])], sys.argv[2])
"""
SMOOTH = """
import sys
from {package}.image import smooth_img
smooth_img(sys.argv[1], 6).to_filename(sys.argv[2])
"""
RESAMPLE = """
import sys
import nibabel, numpy as np
from {package}.image import resample_to_img
source = nibabel.load(sys.argv[1])
affine = source.affine.copy()
affine[:3, :3] *= 2 / 3
target = nibabel.Nifti1Image(np.zeros((91, 109, 91), np.uint8), affine)
resample_to_img(sys.argv[1], target).to_filename(sys.argv[2])
"""
CLEAN = """
import sys
from nilearn.image import clean_img, smooth_img
cleaned = clean_img(
    smooth_img(sys.argv[1], 6), confounds=sys.argv[3], low_pass=0.1, high_pass=0.01, t_r=2.0,
    detrend=True, standardize=None, mask_img=sys.argv[4],
)
cleaned.to_filename(sys.argv[2])
"""
AGREE = """
import sys
import nibabel, numpy as np
ours, theirs = (nibabel.load(path).dataobj for path in sys.argv[1:])
one, other = ours[..., :4], theirs[..., :4]
print(np.abs(one - other).max() / np.abs(other).max())
"""

#: Name, program, times as fast as nilearn, MiB. The program of `clean` is nilearn's only.
ROWS = (
    ("smooth_img", SMOOTH, 3.0, 150),
    ("resample_to_img", RESAMPLE, 2.0, 200),
    ("clean", CLEAN, 1 / 0.45, 350),
)
N_CONFOUNDS = 24


def main() -> None:
    """Make the reference run, measure both programs, print a table."""
    parser = parser_of(__doc__, n_runs=1)
    parser.add_argument("--volumes", type=int, default=840)
    parser.add_argument("--only", nargs="+", choices=[row[0] for row in ROWS])
    parser.add_argument("--scaled", action="store_true", help="a run of scaled int16 instead")
    options = options_of(parser)
    files, figures = reference_of(options), Figures(options.figures)
    n_volumes = 40 if options.quick else options.volumes
    run = files.scaled if options.scaled else files.run
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        if n_volumes < files.n_volumes:
            short = f"{scratch}/short.nii.gz"
            repeat(python(CUT, run, short, str(n_volumes)), 1, is_watched=False)
            run = short
        print(f"{'work':18} {'ours':>7} {'nilearn':>8} {'ratio':>6} {'MiB':>6} {'MiB':>7}")
        further = (_confounds(scratch, n_volumes), files.brain)
        for row in ROWS:
            if options.only is None or row[0] in options.only:
                _row(row, (run, *further), scratch, options.runs, figures)


def _confounds(scratch: str, n_volumes: int) -> str:
    """Write confounds that drift, a row for each volume; return their file."""
    values = np.random.default_rng(2001).normal(size=(n_volumes, N_CONFOUNDS)).cumsum(axis=0)
    path = f"{scratch}/confounds.tsv"
    names = "\t".join(f"c{number}" for number in range(N_CONFOUNDS))
    np.savetxt(path, values, delimiter="\t", header=names, comments="")
    return path


def _clean_command(inputs: tuple[str, ...], output: str) -> list[str]:
    """Return the command that does what `CLEAN` does."""
    run, confounds, brain = inputs
    steps = [
        "--fwhm",
        "6",
        "--detrend",
        "1",
        "--low-pass",
        "0.1",
        "--high-pass",
        "0.01",
        "--t-r",
        "2",
    ]
    given = ["--confounds", confounds, "--mask", brain, "--overwrite", "--quiet", "-o", output]
    return [sys.executable, "-m", "lazyvox", "clean", run, *steps, *given]


def _row(
    row: tuple[str, str, float, int],
    inputs: tuple[str, ...],
    scratch: str,
    n_runs: int,
    figures: Figures,
) -> None:
    name, code, factor, mib = row
    outputs = {package: f"{scratch}/{package}.nii.gz" for package in ("lazyvox", "nilearn")}
    run, *further = inputs
    commands = {
        package: python(code.format(package=package), run, output, *further)
        for package, output in outputs.items()
    }
    if name == "clean":
        commands["lazyvox"] = _clean_command(inputs, outputs["lazyvox"])
    seconds: dict[str, list[float]] = {package: [] for package in commands}
    for _ in range(n_runs):
        for package, command in commands.items():
            seconds[package].append(repeat(command, 1, is_watched=False).seconds)
    peaks = {package: repeat(command, 0).peak_mib for package, command in commands.items()}
    ours, theirs = (statistics.median(taken) for taken in seconds.values())
    verdict = figures.add(
        f"{name}, saved",
        f"{theirs / ours:.1f} x nilearn, {peaks['lazyvox']:.0f} MiB",
        f"{factor:.3g} x, {mib} MiB",
        is_held=theirs / ours >= factor and peaks["lazyvox"] <= mib,
    )
    difference = float(repeat(python(AGREE, *outputs.values()), 1, is_watched=False).output)
    print(
        f"{name:18} {ours:7.1f} {theirs:8.1f} {theirs / ours:6.1f} {peaks['lazyvox']:6.0f} "
        f"{peaks['nilearn']:7.0f}  {verdict}; largest difference "
        f"{difference:.1g} of the largest value",
        flush=True,
    )


if __name__ == "__main__":
    main()
