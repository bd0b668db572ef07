"""Measure every figure that the project states, as ratios taken in one run.

    python benchmarks/run.py [--folder FOLDER] [--runs 5] [--long] [--quick]

D is the time that bare isal takes to inflate the reference file, measured in the same run. Peaks
are proportional set sizes of the process tree, imports included.
"""

import sys
import tempfile

from figures import Figures
from harness import Result, in_turns, machine, number, python, repeat
from reference import Reference, options_of, parser_of, reference_of

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
LV_VOLUME = "import sys, lazyvox as lv; lv.load(sys.argv[1]).dataobj[..., int(sys.argv[2])]"
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
    parser = parser_of(__doc__, n_runs=5)
    parser.add_argument(
        "--long", action="store_true", help="a run of ten times as many volumes too"
    )
    options = options_of(parser)
    files = reference_of(options, with_long=options.long)
    print(machine())
    table = Table(options.runs, files.run, Figures(options.figures))
    one_image(table, files)
    small_figures(table.figures, files)
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

    def __init__(self, n_runs: int, reference: str, figures: Figures) -> None:
        self.n_runs = n_runs
        self.reference = reference
        self.figures = figures
        head = ("work", "seconds", "bound", "D", "/ D", "MiB", "bound")
        print("{:48} {:>8} {:>7} {:>6} {:>5} {:>7} {:>6}".format(*head))

    def row(
        self, name: str, command: list[str], *, plus: float, times_d: float = 0.0, mib: float
    ) -> Result:
        """Measure a command against ``times_d * D + plus`` seconds and `mib` MiB."""
        repeat(command, 1, is_watched=False)
        taken, d = in_turns(command, self.reference, self.n_runs)
        peak = repeat(command, 0).peak_mib
        bound = times_d * d + plus
        verdict = self.figures.add(
            name,
            f"{taken:.3f} s, {peak:.0f} MiB",
            f"{bound:.3f} s, {mib:.0f} MiB",
            is_held=taken <= bound and peak <= mib,
        )
        print(
            f"{name:48} {taken:8.3f} {bound:7.3f} {d:6.3f} {taken / d:5.2f} {peak:7.1f} {mib:6.0f}"
            f"  {verdict}",
            flush=True,
        )
        return Result(taken, taken, peak, "")


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
    number_wanted = 5 * files.n_volumes // 6
    of_volume = python(LV_VOLUME, files.run, str(number_wanted))
    row(f"volume {number_wanted} of {files.n_volumes}", of_volume, times_d=1.0, plus=0.3, mib=70)
    row("import lazyvox", python("import lazyvox"), plus=0.2, mib=60)
    for name in ("import nibabel", "import lazyvox; lazyvox.load"):
        print(f"{name:48} {repeat(python(name), table.n_runs).seconds:8.3f}", flush=True)


def small_figures(figures: Figures, files: Reference) -> None:
    """Print what is not seconds of a process against D."""
    load = number(python(LV_LOAD, files.run)) * 1e3
    figures.row("lv.load, once imported", f"{load:.2f} ms", "2 ms", is_held=load <= 2)
    said = repeat(python(PREDICTION, files.run, *files.masks), 1, is_watched=False).output
    predicted, measured = map(float, said.split())
    ratio = predicted / measured
    mib = f"{predicted / 2**20:.1f} / {measured / 2**20:.1f} MiB = {ratio:.2f}"
    figures.row("six masks: predicted / measured peak", mib, "1 to 1.5", is_held=1 <= ratio <= 1.5)
    numpy = repeat(python(NUMPY_MASKS, files.run, *files.masks), 1)
    print(f"nibabel and NumPy, six masks: {numpy.seconds:.2f} s, {numpy.peak_mib:.0f} MiB")
    worst = number(python(EXACT, files.run, files.labels, *files.masks))
    name = "largest relative error of means; voxels are NumPy's"
    figures.row(name, f"{worst:.2g}", "1e-06", is_held=worst <= 1e-6)


def ten_times(table: Table, files: Reference) -> None:
    """Measure the mean of a run ten times as long: ten times the seconds, the same peak."""
    short = repeat(python(LV_MEAN, files.run), table.n_runs)
    long = python(LV_MEAN, files.long)
    table.row("mean, 10 x longer", long, plus=10 * short.seconds, mib=short.peak_mib + 3)


if __name__ == "__main__":
    main()
