"""Run the same work by lazyvox's commands, niimath and MRtrix3, taking turns.

    python benchmarks/command_line.py [--folder FOLDER] [--runs 3] [--quick] [--only NAME ...]

Whole processes on the reference run, from start to exit, the output written. Programs that are not
installed are left out, which is said. Seconds are medians of wall time, and of processor time (user
and system, of all threads); peaks are the proportional set sizes of the process tree. Each program
has as many threads as it takes by itself.
"""

import importlib.util
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from figures import Figures
from harness import Result, machine, python, repeat
from reference import Reference, options_of, parser_of, reference_of

#: Gives the command of a program for the reference files and an output.
Command = Callable[[Reference, str], list[str]]

_OURS = "lazyvox"
_LABELS = """
import sys
import numpy as np
from nilearn.maskers import NiftiLabelsMasker
values = NiftiLabelsMasker(sys.argv[2], reports=False).fit_transform(sys.argv[1])
np.savetxt(sys.argv[3], values, delimiter="\t")
"""
_DIFFER = """
import sys
import nibabel, numpy as np
ours, theirs = (np.asarray(nibabel.load(path).dataobj[..., :4], float) for path in sys.argv[1:])
print(np.abs(ours - theirs).max() / np.abs(theirs).max())
"""
#: Millimetres of a Gaussian's width at half of its height for each of its standard deviation.
_FWHM = 2.3548200450309493


@dataclass(frozen=True)
class Limit:
    """Bound of lazyvox next to another program.

    Attributes
    ----------
    program : str
        The other program.
    most_time : float
        Largest ratio of its time to the other's.
    most_memory : float
        Largest ratio of the peaks.
    """

    program: str
    most_time: float
    most_memory: float = 1.0


@dataclass(frozen=True)
class Work:
    """The same work by several programs.

    Attributes
    ----------
    name : str
        What is done.
    ending : str
        Of the output.
    commands : dict
        The command of each program.
    limits : tuple of Limit
        What lazyvox must reach.
    """

    name: str
    ending: str
    commands: dict[str, Command]
    limits: tuple[Limit, ...] = ()


def main() -> None:
    """Make the reference run, measure every program, print a table."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--only", nargs="+", choices=[work.name for work in WORKS])
    options = options_of(parser)
    files, figures = reference_of(options), Figures(options.figures)
    programs = _programs()
    print(machine())
    print("| work | program | seconds | CPU s | peak, MiB | lazyvox's time | its peak |")
    print("|---|---|---|---|---|---|---|")
    notes: list[str] = []
    for work in WORKS:
        if not options.only or work.name in options.only:
            notes += _measure(work, files, options.runs, programs, figures)
    print("\n".join(["", *notes]))


def _programs() -> dict[str, str]:
    """Return the executable of each program that is installed, and say which are not."""
    found = {_OURS: sys.executable, "nilearn": sys.executable}
    # The package's command is a script that starts this program: it is measured without.
    if spec := importlib.util.find_spec("niimath"):
        found["niimath"] = str(Path(str(spec.origin)).with_name("bin") / "niimath")
    if mrmath := shutil.which("mrmath"):
        found["MRtrix3"] = str(Path(mrmath).parent)
    for name, source in (("niimath", "pip install niimath"), ("MRtrix3", "Debian's mrtrix3")):
        if name not in found:
            print(f"{name} is not installed and left out ({source})")
    return found


def _measure(
    work: Work, files: Reference, n_runs: int, programs: dict[str, str], figures: Figures
) -> list[str]:
    """Measure one work by all programs in turns; print its rows, return what else there is."""
    with tempfile.TemporaryDirectory(prefix="lazyvox-bench-") as scratch:
        outputs = {name: f"{scratch}/{name}{work.ending}" for name in programs}
        commands = {
            name: _command(work, name, programs[name], files, output)
            for name, output in outputs.items()
            if name in work.commands
        }
        taken: dict[str, list[Result]] = {name: [] for name in commands}
        for _ in range(n_runs):
            for name, command in commands.items():
                Path(outputs[name]).unlink(missing_ok=True)
                taken[name].append(repeat(command, 1, is_watched=False))
        peaks = {}
        for name, command in commands.items():
            Path(outputs[name]).unlink(missing_ok=True)
            peaks[name] = repeat(command, 0).peak_mib
        notes = [_difference(work, name, outputs) for name in commands if name != _OURS]
    wall, cpu = (
        {
            name: statistics.median(getattr(one, field) for one in runs)
            for name, runs in taken.items()
        }
        for field in ("seconds", "cpu_seconds")
    )
    for name in commands:
        ratios = f"{wall[_OURS] / wall[name]:.2f} x | {peaks[_OURS] / peaks[name]:.3f} x"
        ratios = " | " if name == _OURS else ratios
        print(
            f"| {work.name} | {name} | {wall[name]:.2f} | {cpu[name]:.2f} | {peaks[name]:.0f} | "
            f"{ratios} |",
            flush=True,
        )
    for limit in work.limits:
        if limit.program in commands:
            time, memory = (one[_OURS] / one[limit.program] for one in (wall, peaks))
            notes.append(
                f"{work.name}, next to {limit.program}: "
                + figures.add(
                    f"{work.name}, next to {limit.program}",
                    f"{time:.2f} x the time, {memory:.3f} x the peak",
                    f"{limit.most_time:.2f} x, {limit.most_memory:.3f} x",
                    is_held=time <= limit.most_time and memory <= limit.most_memory,
                )
            )
    return [note for note in notes if note]


def _command(work: Work, name: str, program: str, files: Reference, output: str) -> list[str]:
    words = work.commands[name](files, output)
    if name == "MRtrix3":
        return [str(Path(program) / words[0]), *words[1:], "-quiet"]
    return words if program == sys.executable else [program, *words]


def _difference(work: Work, name: str, outputs: dict[str, str]) -> str:
    """Return how far the images of two programs are apart."""
    if not work.ending.startswith(".nii"):
        return ""
    found = repeat(python(_DIFFER, outputs[_OURS], outputs[name]), 1, is_watched=False).output
    return f"{work.name}: {float(found):.1g} of the largest value is the most to {name}'s"


def _lazyvox(*words: str) -> list[str]:
    return [sys.executable, "-m", "lazyvox", *words, "--quiet"]


WORKS = (
    Work(
        "mean",
        ".nii.gz",
        {
            _OURS: lambda files, out: _lazyvox("mean", files.run, "-o", out),
            "niimath": lambda files, out: [files.run, "-Tmean", out],
            "MRtrix3": lambda files, out: ["mrmath", files.run, "mean", out, "-axis", "3"],
        },
        (Limit("niimath", 1.0, 0.1), Limit("MRtrix3", 1 / 3)),
    ),
    Work(
        "standard deviation",
        ".nii.gz",
        {
            _OURS: lambda files, out: _lazyvox("std", files.run, "--ddof", "1", "-o", out),
            "niimath": lambda files, out: [files.run, "-Tstd", out],
            "MRtrix3": lambda files, out: ["mrmath", files.run, "std", out, "-axis", "3"],
        },
        (Limit("niimath", 1.25, 0.1), Limit("MRtrix3", 1 / 3)),
    ),
    Work(
        "smoothing, 6 mm, saved",
        ".nii.gz",
        {
            _OURS: lambda files, out: _lazyvox("smooth", files.run, "--fwhm", "6", "-o", out),
            "niimath": lambda files, out: [files.run, "-s", f"{6 / _FWHM:.6f}", out],
            "MRtrix3": lambda files, out: ["mrfilter", files.run, "smooth", out, "-fwhm", "6"],
        },
        (Limit("niimath", 1 / 4),),
    ),
    Work(
        "adding two runs, saved",
        ".nii.gz",
        {
            _OURS: lambda files, out: _lazyvox(
                *("calc", "a + b", "-v", f"a={files.run}", "-v", f"b={files.run}", "-o", out)
            ),
            "niimath": lambda files, out: [files.run, "-add", files.run, out],
            "MRtrix3": lambda files, out: ["mrcalc", files.run, files.run, "-add", out],
        },
    ),
    Work(
        "means of 64 labels",
        ".tsv",
        # niimath and MRtrix3 have no command for it.
        {
            _OURS: lambda files, out: _lazyvox(
                "extract", files.run, "--labels", files.labels, "-o", out
            ),
            "nilearn": lambda files, out: python(_LABELS, files.run, files.labels, out),
        },
    ),
)


if __name__ == "__main__":
    main()
