"""Measure dask, xarray and Zarr on the reference run.

    python benchmarks/interop.py [--folder FOLDER] [--runs 3] [--quick]

Seconds are counted from after the imports. D is the time that bare isal takes to inflate the run.
Peaks are proportional set sizes of the process, imports included.
"""

import statistics
import tempfile
from pathlib import Path

from figures import Figures, note
from harness import in_turns, machine, python, repeat
from reference import options_of, parser_of, reference_of

HEAD = """
import sys, time
import numpy as np, lazyvox as lv, dask, dask.array, xarray, zarr
from lazyvox.interop import to_dask, to_xarray, to_zarr
run = sys.argv[1]
start = time.perf_counter()
"""

#: Random volumes, all of them different, each a computation of its own; the first of them apart.
VOLUMES = """
with dask.config.set(scheduler=sys.argv[3]):
    voxels = to_dask(run)
    numbers = np.random.default_rng(5).permutation(voxels.shape[-1])[:int(sys.argv[2])]
    numbers[0] = voxels.shape[-1] // 2
    taken = []
    for number in numbers:
        start = time.perf_counter()
        voxels[..., number].compute()
        taken.append(time.perf_counter() - start)
print(1000 * taken[0], 1000 * np.median(taken[1:]))
"""

SERIES = """
img = to_xarray(run)
taken = []
for x in np.random.default_rng(5).integers(10, 50, 20):
    start = time.perf_counter()
    img.isel(x=int(x), y=30, z=30).values
    taken.append(time.perf_counter() - start)
print(1000 * taken[0], 1000 * np.median(taken[1:]))
"""

WRITE = """
to_zarr(run, sys.argv[2], chunks=sys.argv[3], overwrite=True)
print(time.perf_counter() - start)
"""

MEAN = """
lv.mean_img(run)
print(time.perf_counter() - start)
"""

INDEX = "lv.index(run)\n"


def main() -> None:
    """Make the files, an index and two stores; measure; print."""
    options = options_of(parser_of(__doc__, n_runs=3))
    files = reference_of(options)
    figures = Figures(options.figures)
    n_volumes = 10 if options.quick else 40

    def milliseconds(program: str, *arguments: str, cache: Path | None = None) -> list[float]:
        """Return the milliseconds of the first read and of the others, medians over runs."""
        command = python(HEAD + program, *arguments)
        said = [
            repeat(command, 1, is_watched=False, cache=cache).output.split()[-2:]
            for _ in range(options.runs)
        ]
        return [statistics.median(map(float, column)) for column in zip(*said, strict=True)]

    print(machine())
    with tempfile.TemporaryDirectory(prefix="lazyvox-bench-", dir=files.folder) as folder:
        cache = Path(folder, "cache")
        repeat(python(HEAD + INDEX, files.run), 1, is_watched=False, cache=cache)
        for scheduler in ("threads", "synchronous"):
            arguments = (files.run, str(n_volumes), scheduler)
            first, others = milliseconds(VOLUMES, *arguments, cache=cache)
            name = f"a volume through dask, indexed gz, {scheduler}"
            text = f"{others:.1f} ms, the first {first:.0f}"
            figures.row(name, text, "20 ms", is_held=others <= 20)
        decoded = Path(files.plain).stat().st_size
        stores = {chunks: str(Path(folder, f"{chunks}.zarr")) for chunks in ("time", "space")}
        for chunks, store in stores.items():
            command = python(HEAD + WRITE, files.run, store, chunks)
            seconds, d = in_turns(command, files.run, options.runs, tells_seconds=True)
            peak = repeat(command, 0).peak_mib
            nbytes = sum(one.stat().st_size for one in Path(store).rglob("*") if one.is_file())
            text = f"{seconds:.1f} s, {seconds / d:.1f} D, {peak:.0f} MiB"
            note(f"to_zarr of the gz, chunks={chunks}", text)
            note("  size on disk", f"{nbytes / 2**20:.0f} of {decoded / 2**20:.0f} MiB")
            first, others = milliseconds(VOLUMES, store, str(n_volumes), "threads")
            note("  a volume through dask", f"{others:.1f} ms, the first {first:.0f}")
            first, others = milliseconds(SERIES, store)
            note(
                "  the series of a voxel through xarray", f"{others:.1f} ms, the first {first:.0f}"
            )
            seconds = repeat(python(HEAD + MEAN, store), options.runs, is_watched=False)
            said = float(seconds.output.split()[-1])
            note("  mean_img", f"{said:.1f} s")
    print(machine())


if __name__ == "__main__":
    main()
