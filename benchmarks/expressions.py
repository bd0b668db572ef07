"""Measure sums and other expressions of many volumes, next to bare isal and to plain NumPy.

    python benchmarks/expressions.py [--folder FOLDER] [--runs 3] [--files 100] [--quick]

Volumes of 182 x 218 x 182 int16 in `.nii.gz`, loaded as float32. Seconds are counted from after the
imports, peaks above what a process holds that only imports. V is the size of a float32 volume.
"""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from figures import Figures
from harness import machine, python, repeat
from reference import ellipsoid, options_of, parser_of, reference_of

SHAPE = (182, 218, 182)
V_MIB = np.prod(SHAPE) * 4 / 2**20

HEAD = """
import sys, time
import numpy as np, nibabel as nib, lazyvox as lv
from isal import igzip
lv.load, lv.save, lv.LazyReadData, lv.PreloadIterator
files = sys.argv[2:]
start = time.perf_counter()
"""
TAIL = "\nprint(time.perf_counter() - start)\n"

IMPORTS = "pass"
BARE = """
for file in files:
    with igzip.open(file) as stream:
        np.frombuffer(stream.read()[352:], np.int16).astype(np.float32)
"""
SUM = """
volumes = [lv.LazyReadData(file, nops=1, dtype=np.float32) for file in files]
sum(volumes).data
"""
SUM_AHEAD = """
volumes = [lv.LazyReadData(file, nops=1, dtype=np.float32) for file in files]
sum(lv.PreloadIterator(volumes, npreload=2)).data
"""
SUM_SAVED = """
lv.save(sum([lv.load(file, dtype=np.float32) for file in files]), sys.argv[1])
"""
SUM_NUMPY = """
sum(nib.load(file).get_fdata(dtype=np.float32) for file in files)
"""
SIX = """
v1, v2, v3, v4, v5, v6 = [lv.load(file, dtype=np.float32) for file in files[:6]]
np.asarray((v1 + v2 + v3 - v4 * v5 + v6).dataobj)
"""
SIX_NUMPY = """
v1, v2, v3, v4, v5, v6 = [nib.load(file).get_fdata(dtype=np.float32) for file in files[:6]]
v1 + v2 + v3 - v4 * v5 + v6
"""
SIX_BARE = BARE.replace("in files:", "in files[:6]:")
SCALED = """
run = lv.load(files[0])
lv.save((run - run.mean(axis=-1)) / run.std(axis=-1), sys.argv[1])
"""
SCALED_BARE = """
with igzip.open(files[0]) as stream, open(sys.argv[1], "wb") as target:
    while piece := stream.read(8 << 20):
        target.write(piece)
    target.flush()
"""


@dataclass(frozen=True)
class Taken:
    """Seconds from after the imports, and the peak in MiB above them."""

    seconds: float
    mib: float


def main() -> None:
    """Make the files, measure, print."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--files", type=int, default=100)
    options = options_of(parser)
    files = make_volumes(options.folder, min(options.files, 6) if options.quick else options.files)
    run = reference_of(options).run
    print(machine())
    floor = repeat(python(HEAD + IMPORTS + TAIL, "", *files), 0).peak_mib
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(options.runs, floor, f"{scratch}/out", Figures(options.figures))
        print(f"{'work':44} {'s':>7} {'bound':>7} {'MiB':>6} {'bound':>6}")
        many_volumes(bench, files)
        one_run(bench, run)


class Bench:
    """Measures programs in turns with the reference that bounds them."""

    def __init__(self, n_runs: int, floor: float, target: str, figures: Figures) -> None:
        self.n_runs, self.floor, self.target = n_runs, floor, target
        self.figures = figures

    def seconds(self, program: str, files: list[str], ending: str = ".nii") -> float:
        """Return the median of what a program says."""
        command = python(HEAD + program + TAIL, self.target + ending, *files)
        return statistics.median(
            float(repeat(command, 1, is_watched=False).output.split()[-1])
            for _ in range(self.n_runs)
        )

    def row(self, name: str, program: str, files: list[str], *, bound: float, mib: float) -> Taken:
        """Print one row."""
        seconds = self.seconds(program, files)
        command = python(HEAD + program + TAIL, self.target + ".nii", *files)
        peak = repeat(command, 0).peak_mib - self.floor
        verdict = self.figures.add(
            name,
            f"{seconds:.2f} s, {peak:.0f} MiB",
            f"{bound:.2f} s, {mib:.0f} MiB",
            is_held=seconds <= bound and peak <= mib,
        )
        print(
            f"{name:44} {seconds:7.2f} {bound:7.2f} {peak:6.0f} {mib:6.0f}  {verdict}", flush=True
        )
        return Taken(seconds, peak)


def many_volumes(bench: Bench, files: list[str]) -> None:
    """Measure sums of all volumes, and an expression of six."""
    bare = bench.seconds(BARE, files)
    print(f"{'bare isal and conversion, all files':44} {bare:7.2f}")
    summed = bench.row("sum(volumes).data", SUM, files, bound=1.15 * bare, mib=4 * V_MIB)
    bench.row(
        "the same, PreloadIterator",
        SUM_AHEAD,
        files,
        bound=0.65 * summed.seconds,
        mib=(2 + 4) * V_MIB,
    )
    bench.row(
        "sum([lv.load(f) ...]), saved", SUM_SAVED, files, bound=0.65 * summed.seconds, mib=60
    )
    print(f"{'the sum in nibabel and NumPy':44} {bench.seconds(SUM_NUMPY, files):7.2f}")
    bare = bench.seconds(SIX_BARE, files)
    # Two cores inflate side by side.
    six = bench.row("v1 + v2 + v3 - v4 * v5 + v6", SIX, files, bound=1.2 * bare / 2, mib=60)
    numpy = bench.seconds(SIX_NUMPY, files)
    times = numpy / six.seconds
    name = "the same in nibabel and NumPy"
    text = f"{numpy:.2f} s, {times:.1f} x slower"
    bench.figures.row(name, text, "3 x", is_held=times >= 3)


def one_run(bench: Bench, run: str) -> None:
    """Measure a run that is brought to mean 0 and standard deviation 1."""
    bare = bench.seconds(SCALED_BARE, [run])
    inflated = bench.seconds(
        BARE.split("        np", maxsplit=1)[0] + "        stream.read()\n", [run]
    )
    bound = 2.5 * inflated + max(bare - inflated, 0)
    bench.row("(run - run.mean(-1)) / run.std(-1), saved", SCALED, [run], bound=bound, mib=130)


def make_volumes(folder: Path, n_files: int) -> list[str]:
    """Write the volumes that are missing: noise in an ellipsoid, zero outside."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = ellipsoid(SHAPE, 0.375)
    paths = [folder / f"volume{number:03}.nii.gz" for number in range(n_files)]
    for number, path in enumerate(paths):
        if not path.exists():
            rng = np.random.default_rng(number)
            values = np.zeros(SHAPE, np.int16)
            values[inside] = rng.normal(1000, 50, int(inside.sum()))
            nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return [str(path) for path in paths]


if __name__ == "__main__":
    main()
