"""Measure the maskers that bear nilearn's names, next to nilearn's own.

    python benchmarks/against_nilearn.py [--folder FOLDER] [--runs 1] [--only TEXT] [--scaled] [--quick]

Each row is one program, run twice: once as it is, once with `lazyvox` in the place of `nilearn`
in its imports. Whole processes, side by side in one run; peaks are proportional set sizes of the
process tree, imports included.
"""

import statistics
import sys
import tempfile
from dataclasses import dataclass

from figures import Figures
from harness import machine, python, repeat
from reference import Reference, options_of, parser_of, reference_of

CLEANING = "detrend=True, low_pass=0.1, high_pass=0.01, t_r=2.0, standardize='zscore_sample', reports=False"

WHOLE_BRAIN = f"""
import sys
from nilearn.maskers import NiftiMasker
NiftiMasker(sys.argv[2], smoothing_fwhm=6, {CLEANING}).fit_transform(sys.argv[1])
"""
SIX_MASKS = """
import sys
from joblib import Parallel, delayed
from nilearn.maskers import NiftiMasker
jobs = (delayed(NiftiMasker(mask, reports=False).fit_transform)(sys.argv[1]) for mask in sys.argv[2:])
Parallel(n_jobs=6)(jobs)
"""
SIX_MASKS_ONE_PASS = """
import sys
import lazyvox as lv
from lazyvox.maskers import NiftiMasker
maskers = [NiftiMasker(mask, reports=False).fit() for mask in sys.argv[2:]]
lv.transform_all(sys.argv[1], maskers, n_jobs=6)
"""
LABELS = f"""
import sys
from nilearn.maskers import NiftiLabelsMasker
NiftiLabelsMasker(sys.argv[2], {CLEANING}).fit_transform(sys.argv[1])
"""
MAPS = f"""
import sys
from nilearn.maskers import NiftiMapsMasker
NiftiMapsMasker(sys.argv[2], {CLEANING}).fit_transform(sys.argv[1])
"""
SPHERES = f"""
import sys, numpy as np
from nilearn.maskers import NiftiSpheresMasker
seeds = np.loadtxt(sys.argv[2], skiprows=1)
NiftiSpheresMasker(seeds, radius=5, {CLEANING}).fit_transform(sys.argv[1])
"""


@dataclass(frozen=True)
class Row:
    """One piece of work.

    Attributes
    ----------
    name : str
        What it is.
    program : str
        With nilearn's names.
    arguments : tuple of str
        Of the program.
    ratio : float
        How many times faster it must be.
    mib : float
        The most memory that the process tree may take.
    command : tuple of str
        Our command, where it is not the program with another import.
    other : str
        Our program, where it is another one.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    ratio: float
    mib: float
    command: tuple[str, ...] = ()
    other: str = ""

    @property
    def theirs(self) -> list[str]:
        """The command with nilearn."""
        return python(self.program, *self.arguments)

    @property
    def ours(self) -> list[str]:
        """The command with lazyvox."""
        if self.command:
            return [sys.executable, "-m", "lazyvox", *self.command]
        program = self.other or self.program.replace("from nilearn", "from lazyvox")
        return python(program, *self.arguments)


def rows_of(files: Reference, run: str, scratch: str) -> list[Row]:
    """Return the table for one run."""
    cleaning = ("--detrend", "--low-pass", "0.1", "--high-pass", "0.01", "--t-r", "2")
    cleaning += ("--standardize", "zscore_sample", "--overwrite", "--quiet")
    out = ("-o", f"{scratch}/out.tsv")
    by_labels = ("extract", run, "--labels", files.labels, *cleaning, *out)
    by_maps = ("extract", run, "--maps", files.maps, *cleaning, *out)
    by_seeds = ("extract", run, "--seeds", files.seeds, "--radius", "5", *cleaning, *out)
    return [
        Row("NiftiMasker, 6 mm, cleaned", WHOLE_BRAIN, (run, files.brain), 8, 620),
        Row("NiftiMasker, six masks, n_jobs=6", SIX_MASKS, (run, *files.masks), 25, 400),
        Row(
            "six masks, transform_all, one pass",
            SIX_MASKS,
            (run, *files.masks),
            25,
            400,
            other=SIX_MASKS_ONE_PASS,
        ),
        Row("NiftiLabelsMasker, 64 labels", LABELS, (run, files.labels), 4, 330),
        Row("NiftiMapsMasker, 64 maps", MAPS, (run, files.maps), 4, 400),
        Row("NiftiSpheresMasker, 264 seeds", SPHERES, (run, files.seeds), 4, 330),
        Row("lazyvox extract --labels", LABELS, (run, files.labels), 6, 130, by_labels),
        Row("lazyvox extract --maps", MAPS, (run, files.maps), 6, 130, by_maps),
        Row("lazyvox extract --seeds", SPHERES, (run, files.seeds), 6, 130, by_seeds),
    ]


def main() -> None:
    """Make the files, measure, print."""
    parser = parser_of(__doc__, n_runs=1)
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--peaks", action="store_true", help="measure nilearn's memory too")
    parser.add_argument("--scaled", action="store_true", help="a run of scaled int16 instead")
    options = options_of(parser)
    files = reference_of(options)
    run = files.scaled if options.scaled else files.run
    figures = Figures(options.figures)
    print(machine())
    head = ("work", "nilearn s", "MiB", "lazyvox s", "MiB", "bound", "ratio", "bound")
    print("{:34} {:>9} {:>6} {:>9} {:>6} {:>6} {:>6} {:>5}".format(*head))
    with tempfile.TemporaryDirectory() as scratch:
        for row in rows_of(files, run, scratch):
            if options.only in row.name:
                measure(row, options.runs, figures, with_peaks=options.peaks)


def measure(row: Row, n_runs: int, figures: Figures, *, with_peaks: bool) -> None:
    """Print one row: both in turns, so that a machine whose speed drifts drifts for both."""
    repeat(row.ours, 1, is_watched=False)
    ours, theirs = [], []
    for _ in range(n_runs):
        theirs.append(repeat(row.theirs, 1, is_watched=False).seconds)
        ours.append(repeat(row.ours, 1, is_watched=False).seconds)
    peak = repeat(row.ours, 0).peak_mib
    their_peak = repeat(row.theirs, 0).peak_mib if with_peaks else float("nan")
    seconds, reference = statistics.median(ours), statistics.median(theirs)
    ratio = reference / seconds
    verdict = figures.add(
        row.name,
        f"{ratio:.1f} x nilearn, {peak:.0f} MiB",
        f"{row.ratio:.0f} x, {row.mib:.0f} MiB",
        is_held=ratio >= row.ratio and peak <= row.mib,
    )
    print(
        f"{row.name:34} {reference:9.2f} {their_peak:6.0f} {seconds:9.2f} {peak:6.0f} "
        f"{row.mib:6.0f} {ratio:6.1f} {row.ratio:5.0f}  {verdict}",
        flush=True,
    )


if __name__ == "__main__":
    main()
