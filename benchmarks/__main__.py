"""Measure every figure that the project states, and print them in one table.

    python benchmarks [--only NAME ...] [--folder FOLDER] [--long] [--quick]

Each part is a program of this folder, which also runs alone and has more options.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, read_figures, summary
from harness import machine
from reference import parser_of


@dataclass(frozen=True, slots=True)
class Part:
    """One program, and what it measures.

    Attributes
    ----------
    title : str
        What its figures are about.
    program : str
        Name of its file.
    arguments : tuple of str
        Of the program.
    has_folder : bool
        Whether it takes the folder of the reference files.
    """

    title: str
    program: str
    arguments: tuple[str, ...] = ()
    has_folder: bool = True


PARTS = {
    "run": Part("Streaming one image", "run.py"),
    "cli": Part("Commands next to niimath and MRtrix3", "command_line.py"),
    "nilearn": Part("Maskers next to nilearn's", "against_nilearn.py"),
    "nilearn-scaled": Part("The same, scaled int16", "against_nilearn.py", ("--scaled",)),
    "clean": Part("Cleaning next to nilearn's", "clean.py", has_folder=False),
    "smooth": Part("Smoothing and resampling next to nilearn's", "smooth_resample.py"),
    "smooth-scaled": Part("The same, scaled int16", "smooth_resample.py", ("--scaled",)),
    "glm": Part("First-level GLM next to nilearn's", "glm.py"),
    "seeds": Part("Seed maps next to nilearn's way", "seed_maps.py"),
    "expressions": Part("Expressions of many volumes", "expressions.py"),
    "random": Part("Random access and workers that share", "random_access.py"),
    "cohort": Part("A study of many runs next to nilearn's masker in joblib", "cohort.py"),
    "viewer": Part("Viewer: first image, volumes, clicks, memory", "viewer.py"),
    "interop": Part("dask, xarray and Zarr", "interop.py"),
    "remote": Part("Objects behind http://", "remote.py"),
}


def main() -> int:
    """Run the parts, then print what they found; return 1 if one of them failed."""
    # Each part has its own number of runs: 0 leaves it to them.
    parser = parser_of(__doc__, n_runs=0)
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument(
        "--long", action="store_true", help="a run of ten times as many volumes too"
    )
    options = parser.parse_args()
    found: dict[str, list[Figure]] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only:
            path = options.figures or Path(scratch) / name
            n_before = len(read_figures(path))
            command = _command(PARTS[name], options.folder, path)
            command += ["--quick"] * options.quick
            command += ["--runs", str(options.runs)] * bool(options.runs)
            command += ["--long"] * (options.long and name in {"run", "glm"})
            print(f"\n{PARTS[name].title} ({name})", flush=True)
            if subprocess.run(command, check=False).returncode != 0:
                failed.append(name)
            found[name] = read_figures(path)[n_before:]
    _print_all(found, is_quick=options.quick)
    for name in failed:
        print(f"{name}: FAILED before its end; see above")
    return int(bool(failed))


def _command(part: Part, folder: Path, figures: Path) -> list[str]:
    program = str(Path(__file__).with_name(part.program))
    command = [sys.executable, program, *part.arguments, "--figures", str(figures)]
    return [*command, "--folder", str(folder)] if part.has_folder else command


def _print_all(found: dict[str, list[Figure]], *, is_quick: bool) -> None:
    """Print one table of all figures, the name of the part before each."""
    print(f"\n{machine()}")
    if is_quick:
        print(
            "A quick run shows that all works. Its figures are not those that the bounds are for."
        )
    print(
        summary(
            [
                Figure(f"{name}: {figure.work}", figure.measured, figure.bound, figure.is_held)
                for name, figures in found.items()
                for figure in figures
            ]
        )
    )


if __name__ == "__main__":
    sys.exit(main())
