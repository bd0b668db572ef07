"""Smooth the reference run, and resample it to 2 mm, into .nii.gz files: lazyvox and nilearn.

    python benchmarks/smooth_resample.py [--folder FOLDER] [--runs 1] [--volumes 840]

Whole processes, taking turns. Peaks are proportional set sizes of the process tree, imports
included. With fewer volumes, both get a run that is cut accordingly.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from harness import python, repeat
from reference import make_reference

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
AGREE = """
import sys
import nibabel, numpy as np
ours, theirs = (nibabel.load(path).dataobj for path in sys.argv[1:])
one, other = ours[..., :4], theirs[..., :4]
print(np.abs(one - other).max() / np.abs(other).max())
"""

#: Name, program, times as fast as nilearn, MiB.
ROWS = (("smooth_img", SMOOTH, 3.0, 150), ("resample_to_img", RESAMPLE, 2.0, 200))


def main() -> None:
    """Make the reference run, measure both programs, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    folder = Path(tempfile.gettempdir()) / "lazyvox-bench"
    parser.add_argument("--folder", type=Path, default=folder)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--volumes", type=int, default=840)
    options = parser.parse_args()
    run = make_reference(options.folder, with_long=False).run
    with tempfile.TemporaryDirectory() as scratch:
        if options.volumes < 840:
            short = f"{scratch}/short.nii.gz"
            repeat(python(CUT, run, short, str(options.volumes)), 1, is_watched=False)
            run = short
        print(f"{'work':18} {'ours':>7} {'nilearn':>8} {'ratio':>6} {'MiB':>6} {'MiB':>7}")
        for name, code, factor, mib in ROWS:
            _row(name, code, factor, mib, run, scratch, options.runs)


def _row(
    name: str, code: str, factor: float, mib: int, run: str, scratch: str, n_runs: int
) -> None:
    outputs = {package: f"{scratch}/{package}.nii.gz" for package in ("lazyvox", "nilearn")}
    commands = {
        package: python(code.format(package=package), run, output)
        for package, output in outputs.items()
    }
    seconds: dict[str, list[float]] = {package: [] for package in commands}
    for _ in range(n_runs):
        for package, command in commands.items():
            seconds[package].append(repeat(command, 1, is_watched=False).seconds)
    peaks = {package: repeat(command, 0).peak_mib for package, command in commands.items()}
    ours, theirs = (statistics.median(taken) for taken in seconds.values())
    holds = theirs / ours >= factor and peaks["lazyvox"] <= mib
    difference = float(repeat(python(AGREE, *outputs.values()), 1, is_watched=False).output)
    print(
        f"{name:18} {ours:7.1f} {theirs:8.1f} {theirs / ours:6.1f} {peaks['lazyvox']:6.0f} "
        f"{peaks['nilearn']:7.0f}  {'holds' if holds else 'MISSES'}; largest difference "
        f"{difference:.1g} of the largest value",
        flush=True,
    )


if __name__ == "__main__":
    main()
