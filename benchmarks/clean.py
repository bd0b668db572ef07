"""Time and memory of `lazyvox.signal.clean` next to nilearn's.

    python benchmarks/clean.py [--volumes 840] [--columns 69798] [--runs 3] [--quick]

Each call runs in a process of its own, the two libraries in turns. The peak is what a call holds
above its input, which is made before, its result included. Results are compared with nilearn's
in float64 on a part of the columns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from figures import Figures
from harness import machine

OPTIONS = {"low_pass": 0.1, "high_pass": 0.01, "t_r": 2.0, "standardize": "zscore_sample"}
N_CONFOUNDS = 24


def make_input(n_volumes: int, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return signals around 1000, float32, and confounds that drift."""
    rng = np.random.default_rng(2001)
    signals = rng.standard_normal((n_volumes, n_columns), dtype=np.float32)
    signals *= 10
    signals += 1000
    return signals, rng.normal(size=(n_volumes, N_CONFOUNDS)).cumsum(axis=0)


def run_one(library: str, n_volumes: int, n_columns: int) -> None:
    """Clean once and print what it took."""
    from lazyvox import peak_memory

    if library == "nilearn":
        from nilearn.signal import clean
    else:
        from lazyvox.signal import clean
    signals, confounds = make_input(n_volumes, n_columns)
    # What is imported and set up with the first call is not measured.
    clean(signals[:, :8], confounds=confounds, **OPTIONS)
    with peak_memory() as peak:
        start, cpu_start = time.perf_counter(), time.process_time()
        clean(signals, confounds=confounds, **OPTIONS)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    record = {"seconds": seconds, "cpu": cpu_seconds, "peak_mib": peak.increment / 2**20}
    print(json.dumps(record))


def compare(n_volumes: int) -> tuple[float, float]:
    """Return the largest errors of nilearn and lazyvox in float32, in standard deviations."""
    import nilearn.signal

    import lazyvox.signal

    signals, confounds = make_input(n_volumes, 500)
    exact = nilearn.signal.clean(signals.astype(np.float64), confounds=confounds, **OPTIONS)
    both = (
        clean(signals, confounds=confounds, **OPTIONS)
        for clean in (nilearn.signal.clean, lazyvox.signal.clean)
    )
    theirs, ours = (float(np.abs(result - exact).max()) for result in both)
    return theirs, ours


def main() -> None:
    """Run both libraries in turns and print a table."""
    args = _options()
    if args.one:
        run_one(args.one, args.volumes, args.columns)
        return
    print(machine())
    taken = _taken(args)
    errors = dict(zip(taken, compare(args.volumes), strict=True))
    print(f"({args.volumes}, {args.columns}) float32, {N_CONFOUNDS} confounds, 0.01 to 0.1 Hz")
    for library, results in taken.items():
        seconds = [result["seconds"] for result in results]
        cpu = statistics.median(result["cpu"] for result in results)
        each = ", ".join(f"{value:.2f}" for value in seconds)
        print(
            f"{library:8} {statistics.median(seconds):7.2f} s ({each})  {cpu:.1f} s CPU  "
            f"{_peak(results):7.0f} MiB above the input  largest error {errors[library]:.1e}"
        )
    middle = {name: statistics.median(r["seconds"] for r in rs) for name, rs in taken.items()}
    ratio, peak = middle["nilearn"] / middle["lazyvox"], _peak(taken["lazyvox"])
    most = 1.5 * 4 * args.volumes * args.columns / 2**20
    Figures(args.figures).row(
        f"clean, ({args.volumes}, {args.columns}) float32",
        f"{ratio:.1f} x nilearn, {peak:.0f} MiB above the input",
        f"3 x, {most:.0f} MiB",
        is_held=ratio >= 3 and peak <= most,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volumes", type=int, default=840)
    parser.add_argument("--columns", type=int, default=69798)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few columns, once")
    parser.add_argument("--figures", type=Path, help="append the figures to this file, as JSON")
    parser.add_argument("--one", choices=("nilearn", "lazyvox"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.runs, args.columns = 1, min(args.columns, 7000)
    return args


def _taken(args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return what each run of each library took, the libraries in turns."""
    shape = ["--volumes", str(args.volumes), "--columns", str(args.columns)]
    taken: dict[str, list[dict[str, float]]] = {"nilearn": [], "lazyvox": []}
    for _ in range(args.runs):
        for library, results in taken.items():
            command = [sys.executable, __file__, "--one", library, *shape]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            results.append(json.loads(output))
    return taken


def _peak(results: list[dict[str, float]]) -> float:
    return max(result["peak_mib"] for result in results)


if __name__ == "__main__":
    main()
