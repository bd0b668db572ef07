"""A study of many runs, next to nilearn's masker in joblib, and on the workers of Dask.

    python benchmarks/cohort.py [--folder FOLDER] [--images 200] [--runs 3] [--quick]

Runs of 60 x 60 x 40 x 150 int16, `.nii.gz`, in two processes: the signals of 100 regions, without 24
confounds and a linear trend, as tables. There are four files, under as many names as there are runs.
Each shows a brain in the noise of the scanner. lazyvox has a budget of 32 MiB for both processes.
lazyvox counts from the start of the process to its end, with all its runs; nilearn works on 24 of them,
and its rate is that of its workers once they have made their imports. Then what a study takes above
`extract` for each run, workers of Dask next to processes, a plan of 2,000 runs, and one run of the size
of UK Biobank's, which the model in docs/guide/on-a-cluster.md is made of.
"""

import os
import shutil
from argparse import Namespace
from pathlib import Path

import nibabel as nib
import numpy as np
from figures import Figures
from harness import Result, machine, number, python, repeat
from reference import ellipsoid, options_of, parser_of, run_writer

Shape = tuple[int, int, int]

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SHAPE, N_VOLUMES = (60, 60, 40), 150
LARGE_SHAPE, N_LARGE, N_BIOBANK = (88, 88, 64), 490, 50_000
N_REGIONS, N_CONFOUNDS = 100, 24
#: Budgets of two processes together.
MEMORY, LARGE_MEMORY = "32MiB", "96MiB"
#: Runs of the large kind, twice, so that what a study takes once is not counted.
N_FEW, N_MANY = 2, 8
N_FILES, N_THEIRS, N_ALONE, N_PLANNED = 4, 24, 20, 2000

STUDY = """
import sys, time, tempfile
import lazyvox as lv
table, atlas, memory = sys.argv[1], sys.argv[2], sys.argv[3]
columns = [f"c{i}" for i in range(24)]
def study(out, **options):
    start = time.perf_counter()
    found = lv.run_cohort(None, out, table=table, atlases={"A": atlas}, confound_columns=columns,
                          detrend=True, t_r=2.0, memory=memory, **options)
    assert not found.failed, found.failed[0].message
    return time.perf_counter() - start
"""
LOCAL = f"""{STUDY}
with tempfile.TemporaryDirectory() as out:
    print(study(out, n_jobs=2))
"""
DASK = f"""{STUDY.replace("memory=memory, ", "")}
from distributed import LocalCluster
with (tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as warm,
      LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as made):
    print(study(out, scheduler=made))
"""
ABOVE = f"""{STUDY}
import csv
from pathlib import Path
with open(table) as file:
    rows = list(csv.DictReader(file, delimiter="\\t"))
def one(number, row, folder):
    confounds = lv.load_confounds(row["confounds"], columns=columns)
    lv.extract(row["bold"], atlas, confounds=confounds, detrend=True, t_r=2.0, memory=memory,
               out=Path(folder) / f"{{number}}.tsv")
with tempfile.TemporaryDirectory() as folder:
    one("warm", rows[0], folder)
    start = time.perf_counter()
    for number, row in enumerate(rows):
        one(number, row, folder)
    alone = time.perf_counter() - start
with tempfile.TemporaryDirectory() as out:
    taken = study(out, n_jobs=1)
print(1000 * (taken - alone) / len(rows))
"""
PLANNED = f"""{STUDY}
from lazyvox.cohort import Atlas, CohortOptions, RunFilter, prepare_cohort
options = CohortOptions(atlases=(Atlas.opened("A", atlas),), confound_columns=tuple(columns),
                        detrend=True, t_r=2.0)
start = time.perf_counter()
plan = prepare_cohort(None, "never-made", table, RunFilter(), options).plan(n_jobs=2)
assert len(plan.due) == len(plan.runs)
print(1000 * (time.perf_counter() - start) / len(plan.runs))
"""
THEIRS = """
import csv, sys, tempfile, time
import numpy as np
from pathlib import Path
from joblib import Parallel, delayed
with open(sys.argv[1]) as file:
    rows = list(csv.DictReader(file, delimiter="\\t"))
def one(row, out):
    import pandas as pd
    from nilearn.maskers import NiftiLabelsMasker
    masker = NiftiLabelsMasker(sys_argv[2], detrend=True, standardize=None, t_r=2.0)
    confounds = pd.read_csv(row["confounds"], sep="\\t")
    signals = masker.fit_transform(row["bold"], confounds=confounds)
    name = Path(row["bold"]).name.split(".")[0]
    pd.DataFrame(signals).to_csv(Path(out) / f"{name}.tsv", sep="\\t", index=False)
sys_argv = sys.argv
with tempfile.TemporaryDirectory() as out, Parallel(n_jobs=2) as pool:
    pool(delayed(one)(row, out) for row in rows[:4])
    start = time.perf_counter()
    pool(delayed(one)(row, out) for row in rows)
    print(time.perf_counter() - start)
"""


def main() -> None:
    """Make the files, measure, print, and remove them."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--images", type=int, default=200, help="runs of the study")
    options = options_of(parser)
    if options.quick:
        options.images = min(options.images, 8)
    folder = options.folder / "cohort"
    print(machine())
    try:
        _measure(folder, options, Figures(options.figures))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: Namespace, figures: Figures) -> None:
    n_volumes = N_VOLUMES // 5 if options.quick else N_VOLUMES
    files = [_make_run(folder / f"file{i}.nii.gz", SHAPE, n_volumes, i) for i in range(N_FILES)]
    atlas = _make_atlas(folder / "atlas.nii.gz", SHAPE)
    tables = {n: _make_table(folder, files, n, n_volumes) for n in _sizes(options)}
    n_theirs, n_alone = min(N_THEIRS, options.images), min(N_ALONE, options.images)
    whole = (tables[options.images], atlas, MEMORY)
    some = (tables[n_alone], atlas, MEMORY)
    repeat(python(LOCAL, *some), 1, is_watched=False)
    ours = repeat(python(LOCAL, *whole), options.runs)
    theirs = repeat(python(THEIRS, tables[n_theirs], atlas), options.runs)
    their_seconds = float(theirs.output.split()[-1])
    _report(ours, options.images, theirs, their_seconds / n_theirs, figures)
    above = number(python(ABOVE, *some))
    figures.row("above extract, each run", f"{above:.0f} ms", "60 ms", is_held=above <= 60)
    here, there = (
        min(number(python(code, *whole)) for _ in range(options.runs)) for code in (LOCAL, DASK)
    )
    held = there <= 1.15 * here
    figures.row("workers of Dask, processes", f"{there / here:.2f} x", "1.15 x", is_held=held)
    planned = number(python(PLANNED, tables[N_PLANNED], atlas, MEMORY))
    figures.row("plan, each run", f"{planned:.1f} ms", "5.0 ms", is_held=planned <= 5)
    _report_large(folder, options, planned)


def _sizes(options: Namespace) -> set[int]:
    return {options.images, min(N_THEIRS, options.images), min(N_ALONE, options.images), N_PLANNED}


def _report(
    ours: Result, n_images: int, theirs: Result, their_seconds: float, figures: Figures
) -> None:
    mine, its = 60 * n_images / ours.seconds, 60 / their_seconds
    work = f"{n_images} runs, nilearn in joblib"
    figures.row(work, f"{mine / its:.1f} x", "5 x", is_held=mine >= 5 * its)
    part = ours.peak_mib / theirs.peak_mib
    figures.row("peak of all processes", f"{part:.2f} x", "0.25 x", is_held=part <= 0.25)
    print(
        f"lazyvox {mine:.0f} runs a minute, {ours.cpu_seconds / n_images:.2f} CPU s each, "
        f"{ours.peak_mib:.0f} MiB; nilearn {its:.1f} a minute, {theirs.peak_mib:.0f} MiB"
    )


def _report_large(folder: Path, options: Namespace, planned_ms: float) -> None:
    """Measure a run of the size of UK Biobank's, and print what all of them would take."""
    n_volumes = N_LARGE // 10 if options.quick else N_LARGE
    run = _make_run(folder / "large.nii.gz", LARGE_SHAPE, n_volumes, 0)
    atlas = _make_atlas(folder / "large_atlas.nii.gz", LARGE_SHAPE)
    few, many = (
        repeat(
            python(LOCAL, _make_table(folder, [run], n, n_volumes), atlas, LARGE_MEMORY),
            options.runs,
            is_watched=n == N_FEW,
        )
        for n in (N_FEW, N_MANY)
    )
    n_more = N_MANY - N_FEW
    cpu = (many.cpu_seconds - few.cpu_seconds) / n_more
    seconds = (many.seconds - few.seconds) / n_more
    n_bytes = run.stat().st_size
    print(
        f"one run of {LARGE_SHAPE} x {n_volumes}: {cpu:.2f} CPU s, {2 * seconds:.2f} s of one of two "
        f"processes, {n_bytes / 1e6:.0f} MB to read, {few.peak_mib:.0f} MiB for two at a time\n"
        f"{N_BIOBANK} of them: {N_BIOBANK * cpu / 3600:.0f} core hours, "
        f"{N_BIOBANK * n_bytes / 1e12:.1f} TB to read, {N_BIOBANK * planned_ms / 1000:.0f} s to plan"
    )


def _make_run(path: Path, shape: Shape, n_volumes: int, seed: int) -> Path:
    """Write a brain in the noise of the scanner, which fills the image as in real runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    is_brain = ellipsoid(shape, 0.4)
    level = np.where(is_brain, 8000 + 2000 * np.sin(np.indices(shape).sum(axis=0) / 9), 0)
    spread = np.where(is_brain, 60, 30)
    with run_writer(str(path), (*shape, n_volumes), AFFINE, np.dtype(np.int16)) as writer:
        for _ in range(n_volumes):
            values = np.abs(level + spread * rng.standard_normal(shape))
            writer.write(values.astype(np.int16, order="F"))
    return path


def _make_atlas(path: Path, shape: Shape) -> str:
    """Write regions of one size each, which fill the brain."""
    is_brain = ellipsoid(shape, 0.4)
    n_voxels = int(is_brain.sum())
    labels = np.zeros(shape, np.int16)
    labels[is_brain] = 1 + np.arange(n_voxels) * N_REGIONS // n_voxels
    nib.save(nib.Nifti1Image(labels, AFFINE), path)
    return str(path)


def _make_table(folder: Path, files: list[Path], n_images: int, n_volumes: int) -> str:
    """Write a table of runs: names of the same few files, each with confounds of its own."""
    names = "\t".join(f"c{i}" for i in range(N_CONFOUNDS))
    kind = files[0].name.split(".")[0]
    place = folder / f"{kind}-{n_images}"
    place.mkdir(exist_ok=True)
    lines = ["sub\ttask\tbold\tconfounds"]
    for image in range(n_images):
        bold, confounds = place / f"sub-{image:05}_bold.nii.gz", place / f"{image:05}.tsv"
        os.link(files[image % len(files)], bold)
        values = np.random.default_rng(image).normal(size=(n_volumes, N_CONFOUNDS)).round(5)
        rows = ["\t".join(map(str, row)) for row in values.tolist()]
        confounds.write_text("\n".join([names, *rows]) + "\n")
        lines.append(f"{image:05}\trest\t{bold}\t{confounds}")
    table = place / "runs.tsv"
    table.write_text("\n".join(lines) + "\n")
    return str(table)


if __name__ == "__main__":
    main()
