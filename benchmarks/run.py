"""Measure every figure that the project states, as ratios taken in one run.

    python benchmarks/run.py [--folder FOLDER] [--runs 5] [--long]

D is the time that bare isal takes to inflate the reference file, measured in the same run. Peaks
are proportional set sizes of the process tree, imports included.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from harness import Result, python, repeat
from reference import Reference, make_reference

BARE_ISAL = """
import sys, time
from isal import igzip
buffer = memoryview(bytearray(8 << 20))
start = time.perf_counter()
with igzip.open(sys.argv[1]) as file:
    while file.readinto(buffer):
        pass
print(time.perf_counter() - start)
"""

NUMPY_MASKS = """
import sys
import nibabel, numpy as np
values = np.asarray(nibabel.load(sys.argv[1]).dataobj)
for mask in sys.argv[2:]:
    values[np.asarray(nibabel.load(mask).dataobj) > 0].T
"""

LV_MASKS = "import sys, lazyvox as lv; lv.extract(sys.argv[1], sys.argv[2:])"
LV_LABELS = "import sys, lazyvox as lv; lv.extract(sys.argv[1], lv.Labels(sys.argv[2]))"
LV_MEAN = "import sys, lazyvox as lv; lv.mean_img(sys.argv[1])"
LV_VOLUME = "import sys, lazyvox as lv; lv.load(sys.argv[1]).dataobj[..., 700]"
LV_ALL = """
import sys, lazyvox as lv
scan = lv.Scan(sys.argv[1])
for consumer in (lv.Voxels(sys.argv[3:]), lv.Labels(sys.argv[2]), lv.Mean(), lv.Std(), lv.TSNR()):
    scan.add(consumer)
scan.run()
"""
LV_LOAD = """
import sys, time, lazyvox as lv
lv.load(sys.argv[1])
start = time.perf_counter()
for _ in range(100):
    lv.load(sys.argv[1])
print((time.perf_counter() - start) / 100)
"""
PREDICTION = """
import sys, lazyvox as lv
work = lambda: lv.extract(sys.argv[1], sys.argv[2:])
print(lv.plan(lv.extract, sys.argv[1], sys.argv[2:]).peak_bytes)
with lv.peak_memory() as peak:
    work()
print(peak.increment)
"""
EXACT = """
import sys, lazyvox as lv, nibabel, numpy as np
values = np.asarray(nibabel.load(sys.argv[1]).dataobj)
labels = np.asarray(nibabel.load(sys.argv[2]).dataobj)
got = lv.extract(sys.argv[1], sys.argv[3:])
for mask, signals in zip(sys.argv[3:], got):
    inside = np.asarray(nibabel.load(mask).dataobj) > 0
    assert np.array_equal(np.asarray(signals), values[inside].T)
means = np.asarray(lv.extract(sys.argv[1], lv.Labels(sys.argv[2])))
worst = 0.0
for column, label in enumerate(range(1, 65)):
    true = values[labels == label].mean(axis=0, dtype=np.float64)
    worst = max(worst, np.abs(means[:, column] / true - 1).max())
mean = np.asarray(lv.mean_img(sys.argv[1]).dataobj)
true = values.mean(axis=-1, dtype=np.float64)
worst = max(worst, np.abs(mean - true).max() / true.max())
print(worst)
"""


def main() -> None:
    """Make the reference files, run the table, print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "lazyvox-bench"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="the run of 8400 volumes too")
    options = parser.parse_args()
    files = make_reference(options.folder, with_long=options.long)
    table = Table(options.runs)
    one_image(table, files)
    if options.long:
        ten_times(table, files)
    worst = _number(python(EXACT, files.run, files.labels, *files.masks))
    print(f"voxels bit-equal to NumPy's; largest relative error of means {worst:.2g} (bound 1e-6)")


class Table:
    """Rows of the figures, printed as they come."""

    def __init__(self, n_runs: int) -> None:
        self.n_runs = n_runs
        self.unit = 1.0
        print(
            f"{'work':48} {'seconds':>8} {'bound':>8} {'/ D':>6} {'MiB':>7} {'bound':>6}  verdict"
        )

    def row(self, name: str, command: list[str], seconds: float, mib: float) -> Result:
        """Measure a command and hold it against its bounds."""
        result = repeat(command, self.n_runs)
        good = result.seconds <= seconds and result.peak_mib <= mib
        print(
            f"{name:48} {result.seconds:8.3f} {seconds:8.3f} {result.seconds / self.unit:6.2f} "
            f"{result.peak_mib:7.1f} {mib:6.0f}  {'holds' if good else 'MISSES'}",
            flush=True,
        )
        return result

    def bare(self, path: str) -> float:
        """Return the seconds of bare isal for a file."""
        return sorted(_number(python(BARE_ISAL, path)) for _ in range(self.n_runs))[
            self.n_runs // 2
        ]


def one_image(table: Table, files: Reference) -> None:
    """Measure the figures of streaming one image."""
    bare = table.unit = table.bare(files.run)
    print(f"D = {bare:.3f} s")
    out = tempfile.mkdtemp()
    extract = [sys.executable, "-m", "lazyvox", "extract"]
    for mask in files.masks:
        extract += ["--mask", mask]
    extract += ["--overwrite", "-o", f"{out}/six.npz"]
    bound = 1.25 * bare + 0.35
    table.row("six masks, .nii.gz, command line", [*extract, files.run], bound, 100)
    table.row("six masks, .nii.gz, Python", python(LV_MASKS, files.run, *files.masks), bound, 100)
    table.row("64 labels", python(LV_LABELS, files.run, files.labels), 1.3 * bare + 0.35, 100)
    table.row("mean", python(LV_MEAN, files.run), bound, 100)
    table.row(
        "six masks, 64 labels, mean, sd, tSNR: one pass",
        python(LV_ALL, files.run, files.labels, *files.masks),
        1.8 * bare + 0.35,
        130,
    )
    table.row("six masks, .nii", python(LV_MASKS, files.plain, *files.masks), 0.7, 100)
    scaled = table.bare(files.scaled)
    print(f"D of scaled int16 = {scaled:.3f} s")
    table.row(
        "six masks, scaled int16 .nii.gz",
        python(LV_MASKS, files.scaled, *files.masks),
        1.25 * max(bare, scaled) + 0.35,
        100,
    )
    table.row("volume 700 of 840", python(LV_VOLUME, files.run), bare + 0.3, 70)
    table.row("import nibabel (for comparison)", python("import nibabel"), 0.2, 60)
    table.row("import lazyvox", python("import lazyvox"), 0.2, 60)
    first_use = repeat(python("import lazyvox; lazyvox.load"), table.n_runs)
    print(f"import lazyvox and first use of a name: {first_use.seconds:.3f} s")
    load = _number(python(LV_LOAD, files.run))
    print(f"lv.load, once imported: {load * 1e3:.2f} ms (bound 2)")
    predicted, measured = map(
        float, repeat(python(PREDICTION, files.run, *files.masks), 1).output.split()
    )
    print(
        f"six masks: predicted {predicted / 2**20:.1f} MiB above the imports, measured "
        f"{measured / 2**20:.1f}: ratio {predicted / measured:.2f} (bound 1 to 1.5)"
    )
    numpy = repeat(python(NUMPY_MASKS, files.run, *files.masks), 1)
    print(f"nibabel and NumPy, six masks: {numpy.seconds:.2f} s, {numpy.peak_mib:.0f} MiB")


def ten_times(table: Table, files: Reference) -> None:
    """Measure the mean of a run ten times as long."""
    short = repeat(python(LV_MEAN, files.run), table.n_runs)
    table.row(
        "mean, 10 x longer", python(LV_MEAN, files.long), 11 * short.seconds, short.peak_mib + 3
    )


def _number(command: list[str]) -> float:
    return float(repeat(command, 1).output.split()[-1])


if __name__ == "__main__":
    main()
