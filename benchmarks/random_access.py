"""Measure random access to compressed images, and workers that share them, as ratios.

    python benchmarks/random_access.py [--folder FOLDER] [--runs 3] [--only TEXT] [--quick]

D is the time that bare isal takes to inflate the reference file, measured in turns with each row.
Seconds are counted from after the imports, unless a row says that it is a process. Peaks are
proportional set sizes of the process tree, imports included. Indexes go into a folder of their
own, which is removed afterwards.
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import random_access_programs as programs
from against_nilearn import SIX_MASKS
from figures import Figures, note
from harness import in_turns, machine, python, repeat
from reference import Reference, options_of, parser_of, reference_of

N_WORKERS = 6


@dataclass(frozen=True, slots=True)
class Bench:
    """Inputs of all rows.

    Attributes
    ----------
    files : Reference
        The reference work.
    n_runs : int
        Runs of each measurement.
    figures : Figures
        Where results go.
    cache : Path
        A cache folder that holds an index of the run.
    is_quick : bool
        Whether to take fewer slices.
    """

    files: Reference
    n_runs: int
    figures: Figures
    cache: Path
    is_quick: bool

    def in_turns(self, program: str, *arguments: str, is_indexed: bool) -> tuple[float, float]:
        """Return the seconds that a program says it took, and D, medians of runs in turns."""
        command = python(programs.HEAD + program, self.files.run, *arguments)
        cache = self.cache if is_indexed else None
        return in_turns(command, self.files.run, self.n_runs, cache=cache, tells_seconds=True)


def building(bench: Bench) -> None:
    """Measure building the index."""
    for program, name in (
        (programs.PASS_THEN_INDEX, "first pass, then its index"),
        (programs.PASS_AND_INDEX, "first pass, then a read backwards, which indexes"),
    ):
        seconds, d = bench.in_turns(program, is_indexed=False)
        times = seconds / d
        bench.figures.row(name, f"{seconds:.2f} s, {times:.2f} D", "2.6 D", is_held=times <= 2.6)
    seconds, d = bench.in_turns(programs.INDEX, is_indexed=False)
    note("lv.index alone", f"{seconds:.2f} s, {seconds / d:.2f} D")
    for name, program in programs.OTHER_ROUTES.items():
        command = python(programs.HEAD + program, bench.files.run)
        said = [
            float(repeat(command, 1, is_watched=False, with_indexed_gzip=True).output)
            for _ in range(bench.n_runs)
        ]
        seconds = statistics.median(said)
        note(f"other routes: {name}", f"{seconds:.2f} s, {seconds / d:.2f} D")


def one_pass(bench: Bench) -> None:
    """Measure a job of one pass without an index: as fast as ever, and none is left behind."""
    files = bench.files
    command = python(programs.HEAD + programs.ONE_PASS, files.run, *files.masks)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        taken, d = in_turns(command, files.run, bench.n_runs, cache=cache)
        left = sum(path.is_file() for path in cache.rglob("*"))
    bound = 1.25 * d + 0.35
    bench.figures.row(
        "six masks in one pass, no index (process)",
        f"{taken:.2f} s, {left} files in the cache",
        f"1.25 D + 0.35 = {bound:.2f} s, none",
        is_held=taken <= bound and not left,
    )


def size(bench: Bench) -> None:
    """Measure the index, at default spacing and another."""
    for spacing in ("", "16MiB"):
        command = python(programs.HEAD + programs.SIZE, bench.files.run, spacing)
        record = json.loads(repeat(command, 1, is_watched=False).output)
        share = record["n_bytes"] / record["decoded_size"]
        text = f"{record['n_bytes'] / 2**20:.1f} MiB, {100 * share:.2f} %"
        if spacing:
            note(f"size of the index at {spacing}", text)
        else:
            bench.figures.row("size of the index", text, "2 %", is_held=share <= 0.02)


def volume(bench: Bench) -> None:
    """Measure random volumes: by index, and by nibabel with and without one."""
    n_volumes = 10 if bench.is_quick else 40
    run = bench.files.run
    ours = python(programs.HEAD + programs.VOLUMES, run, str(n_volumes), bench.files.plain)
    taken = repeat(ours, bench.n_runs, cache=bench.cache)
    ms = float(taken.output.split()[-1])
    bench.figures.row(
        "a random volume, indexed",
        f"{ms:.1f} ms, {taken.peak_mib:.0f} MiB",
        "25 ms, 60 MiB",
        is_held=ms <= 25 and taken.peak_mib <= 60,
    )
    once = python(programs.HEAD + programs.VOLUMES, run, "1", bench.files.plain)
    peak = repeat(once, 0, cache=bench.cache).peak_mib
    note("the same, one volume only", f"{peak:.0f} MiB")
    plain = python(programs.HEAD + programs.VOLUMES_NIBABEL, run, "3", "")
    indexed = python(programs.HEAD + programs.VOLUMES_NIBABEL, run, str(n_volumes), "first a pass")
    for name, command, bound in (
        ("nibabel, no index", plain, 80),
        ("nibabel, indexed_gzip", indexed, 2),
    ):
        theirs = repeat(command, 1, with_indexed_gzip=bound == 2)
        their_ms = float(theirs.output.split()[-1])
        bench.figures.row(
            f"a random volume, {name}",
            f"{their_ms:.0f} ms, {theirs.peak_mib:.0f} MiB, {their_ms / ms:.1f} x slower",
            f"{bound} x",
            is_held=their_ms >= bound * ms,
        )


def series(bench: Bench) -> None:
    """Measure the series of one voxel: all of the file must be decoded."""
    seconds, d = bench.in_turns(programs.SERIES, is_indexed=True)
    times = seconds / d
    name = "series of one voxel, indexed"
    bench.figures.row(name, f"{seconds:.2f} s, {times:.2f} D", "0.75 D", is_held=times <= 0.75)


def full_pass(bench: Bench) -> None:
    """Measure whole passes with an index: blocks that are not used, and a mean."""
    decoded = Path(bench.files.plain).stat().st_size
    for name, program in (("full pass, indexed", programs.PASS), ("mean, indexed", programs.MEAN)):
        seconds, d = bench.in_turns(program, is_indexed=True)
        speed, bare = decoded / seconds / 1e9, decoded / d / 1e9
        text = f"{speed:.2f} GB/s, {speed / bare:.2f} x isal's {bare:.2f}"
        if program is programs.PASS:
            bench.figures.row(
                name, text, f"1.6 x = {1.6 * bare:.2f} GB/s", is_held=speed >= 1.6 * bare
            )
        else:
            note(name, text)


def workers(bench: Bench) -> None:
    """Measure six regions by six workers, each given the path."""
    arguments = (bench.files.run, *bench.files.masks)
    theirs = repeat(python(SIX_MASKS, *arguments), 1, is_watched=False).seconds
    note("six masks, six workers, NiftiMasker by path (process)", f"{theirs:.1f} s")
    ours = python(programs.HEAD + programs.WORKERS, *arguments)
    for name, cache in (("indexed", bench.cache), ("no index", None)):
        taken = repeat(ours, bench.n_runs, cache=cache)
        ratio = theirs / taken.seconds
        bench.figures.row(
            f"six masks, six joblib workers by path, {name} (process)",
            f"{taken.seconds:.1f} s, {ratio:.1f} x, {taken.peak_mib:.0f} MiB",
            "20 x, 450 MiB",
            is_held=ratio >= 20 and taken.peak_mib <= 450,
        )


def shared(bench: Bench) -> None:
    """Measure six workers on one decoded image in shared memory."""
    arguments = (bench.files.run, *bench.files.masks)
    taken = repeat(python(programs.HEAD + programs.SHARED, *arguments), bench.n_runs)
    decoded = Path(bench.files.plain).stat().st_size / 2**20
    bound = decoded + 60 * N_WORKERS
    bench.figures.row(
        "six masks, six workers on one shared image (process)",
        f"{taken.seconds:.1f} s, {taken.peak_mib:.0f} MiB",
        f"{decoded:.0f} + 6 x 60 = {bound:.0f} MiB",
        is_held=taken.peak_mib <= bound,
    )


def threads(bench: Bench) -> None:
    """Measure random slices of one image, by eight threads and by one."""
    n_slices = 200 if bench.is_quick else 1000
    arguments = (bench.files.plain, str(n_slices))
    one, _ = bench.in_turns(programs.SLICES, *arguments, "1", is_indexed=True)
    eight, _ = bench.in_turns(programs.SLICES, *arguments, "8", is_indexed=True)
    bench.figures.row(
        f"{n_slices} random slices, 8 threads, all right",
        f"{eight:.2f} s, {one / eight:.2f} x one thread's {one:.2f}",
        "1.5 x",
        is_held=one >= 1.5 * eight,
    )


ROWS: dict[str, Callable[[Bench], None]] = {
    "building": building,
    "one pass": one_pass,
    "size": size,
    "volume": volume,
    "series": series,
    "full pass": full_pass,
    "workers": workers,
    "shared": shared,
    "threads": threads,
}


def main() -> None:
    """Make the files and an index, measure, print."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--only", default="", help=f"rows of this name: {', '.join(ROWS)}")
    options = options_of(parser)
    files = reference_of(options)
    print(machine())
    print(f"{'work':52} {'measured':>34}  {'bound':>34}")
    with tempfile.TemporaryDirectory(prefix="lazyvox-bench-") as folder:
        cache = Path(folder)
        repeat(python(programs.HEAD + programs.INDEX, files.run), 1, is_watched=False, cache=cache)
        bench = Bench(files, options.runs, Figures(options.figures), cache, options.quick)
        for name, measure in ROWS.items():
            if options.only in name:
                measure(bench)
    print(machine())


if __name__ == "__main__":
    main()
