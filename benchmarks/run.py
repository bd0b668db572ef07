"""Measure every figure that the project states, as ratios taken in one run.

    python benchmarks/run.py [--folder FOLDER] [--runs 5] [--long]

D is the time that bare isal takes to inflate the reference file, measured in the same run. Peaks
are proportional set sizes of the process tree, imports included.
"""

import argparse
import statistics
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
    table = Table(options.runs, files.run)
    one_image(table, files)
    small_figures(files)
    if options.long:
        ten_times(table, files)


class Table:
    """Rows of the figures, printed as they come.

    Parameters
    ----------
    n_runs : int
        Runs of each command.
    reference : str
        The file whose bare decompression is D.
    """

    def __init__(self, n_runs: int, reference: str) -> None:
        self.n_runs = n_runs
        self.reference = reference
        head = ("work", "seconds", "bound", "D", "/ D", "MiB", "bound")
        print("{:48} {:>8} {:>7} {:>6} {:>5} {:>7} {:>6}  verdict".format(*head))

    def row(
        self, name: str, command: list[str], *, plus: float, times_d: float = 0.0, mib: float
    ) -> Result:
        """Measure a command against ``times_d * D + plus`` seconds and `mib` MiB.

        Its runs take turns with those of bare decompression: on a machine whose speed drifts,
        both drift together.
        """
        repeat(command, 1)
        seconds, bare = [], []
        for _ in range(self.n_runs):
            bare.append(_number(python(BARE_ISAL, self.reference), is_watched=False))
            seconds.append(repeat(command, 1, is_watched=False).seconds)
        d, taken = statistics.median(bare), statistics.median(seconds)
        peak = repeat(command, 0).peak_mib
        bound = times_d * d + plus
        verdict = "holds" if taken <= bound and peak <= mib else "MISSES"
        print(
            f"{name:48} {taken:8.3f} {bound:7.3f} {d:6.3f} {taken / d:5.2f} {peak:7.1f} {mib:6.0f}"
            f"  {verdict}",
            flush=True,
        )
        return Result(taken, peak, "")


def one_image(table: Table, files: Reference) -> None:
    """Measure the figures of streaming one image."""
    extract = [sys.executable, "-m", "lazyvox", "extract", files.run, "--overwrite"]
    extract += [word for mask in files.masks for word in ("--mask", mask)]
    extract += ["-o", f"{tempfile.mkdtemp()}/six.npz"]
    of_masks = python(LV_MASKS, files.run, *files.masks)
    of_labels = python(LV_LABELS, files.run, files.labels)
    of_all = python(LV_ALL, files.run, files.labels, *files.masks)
    of_plain = python(LV_MASKS, files.plain, *files.masks)
    of_scaled = python(LV_MASKS, files.scaled, *files.masks)
    row = table.row
    row("six masks, .nii.gz, command line", extract, times_d=1.25, plus=0.35, mib=100)
    row("six masks, .nii.gz, Python", of_masks, times_d=1.25, plus=0.35, mib=100)
    row("64 labels", of_labels, times_d=1.3, plus=0.35, mib=100)
    row("mean", python(LV_MEAN, files.run), times_d=1.25, plus=0.35, mib=100)
    row("masks, labels, mean, sd, tSNR: one pass", of_all, times_d=1.8, plus=0.35, mib=130)
    row("six masks, .nii", of_plain, plus=0.7, mib=100)
    row("six masks, scaled int16 .nii.gz", of_scaled, times_d=1.25, plus=0.35, mib=100)
    row("volume 700 of 840", python(LV_VOLUME, files.run), times_d=1.0, plus=0.3, mib=70)
    row("import nibabel (for comparison)", python("import nibabel"), plus=0.2, mib=60)
    row("import lazyvox", python("import lazyvox"), plus=0.2, mib=60)
    row("import lazyvox and use it", python("import lazyvox; lazyvox.load"), plus=0.35, mib=60)


def small_figures(files: Reference) -> None:
    """Print what is not seconds of a process against D."""
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
    worst = _number(python(EXACT, files.run, files.labels, *files.masks))
    print(f"voxels bit-equal to NumPy's; largest relative error of means {worst:.2g} (bound 1e-6)")


def ten_times(table: Table, files: Reference) -> None:
    """Measure the mean of a run ten times as long: ten times the seconds, the same peak."""
    short = repeat(python(LV_MEAN, files.run), table.n_runs)
    long = python(LV_MEAN, files.long)
    table.row("mean, 10 x longer", long, plus=10 * short.seconds, mib=short.peak_mib + 3)


def _number(command: list[str], *, is_watched: bool = True) -> float:
    return float(repeat(command, 1, is_watched=is_watched).output.split()[-1])


if __name__ == "__main__":
    main()
