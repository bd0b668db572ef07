"""The promise of the project: what a pass takes is at most what its plan said, and not much less.

Each measurement is a process of its own, above what Python and the imports hold.
"""

import re

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.summary.quality import _QualityMeasures
from lazyvox.summary.regions import RegionStatistics, Selection
from lazyvox.summary.spooled_voxels import Voxels
from lazyvox.testing import assert_bounded, peak_of, scan_peaks

MIB = 1 << 20
GRID = (64, 64, 36)
N_VOLUMES = 60
BUDGET = "512MiB"


def series(n_volumes, dtype="f4", grid=GRID):
    """Return a run that is incompressible enough to be real, and written fast."""
    few = np.random.default_rng(0).integers(0, 200, (*grid, 4)).astype(dtype)
    values = np.broadcast_to(few[..., None, :], (*grid, n_volumes // 4, 4))
    header = nib.Nifti1Header(endianness=">" if np.dtype(dtype).str[0] == ">" else "<")
    header.set_data_dtype(dtype)
    return nib.Nifti1Image(values.reshape(*grid, n_volumes, order="F"), np.eye(4), header)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(folder):
    """About 35 MB decoded, in a gzip file."""
    lv.save(series(N_VOLUMES), folder / "run.nii.gz")
    return str(folder / "run.nii.gz")


@pytest.fixture(scope="module")
def scaled(folder):
    lv.save(series(96), folder / "scaled.nii.gz", dtype="i2", scale=(0.5, 3))
    return str(folder / "scaled.nii.gz")


@pytest.fixture(scope="module")
def other_order(folder):
    lv.save(series(N_VOLUMES, ">f4"), folder / "big_endian.nii")
    return str(folder / "big_endian.nii")


@pytest.fixture(scope="module")
def large_volumes(folder):
    """Volumes of 9 MB, more than a block likes to hold."""
    lv.save(series(4, "f4", (150, 150, 100)), folder / "large.nii.gz")
    return str(folder / "large.nii.gz")


CONSUMERS = {
    "mean": lambda: [lv.Mean()],
    "std and tsnr": lambda: [lv.Std(), lv.TSNR()],
    "histogram in two passes": lambda: [lv.Histogram()],
    "dvars": lambda: [lv.DVARS()],
    "order statistics and trends": lambda: [lv.Median(), lv.Percentile(90), lv.AR1(detrend=1)],
    "statistics": lambda: [RegionStatistics(Voxels(), Selection(), (2, 50, 98), per_volume=False)],
    "measures of quality": lambda: [_QualityMeasures(Voxels())],
    "many": lambda: [lv.Mean(), lv.Std(), lv.Min(), lv.Max(), lv.GlobalSignal(), lv.Sum()],
}


SLOW = {"std and tsnr", "dvars"}


@pytest.mark.parametrize(
    "consumers",
    [
        pytest.param(make, marks=[pytest.mark.slow] * (name in SLOW), id=name)
        for name, make in CONSUMERS.items()
    ],
)
def test_consumers_take_what_the_plan_says(run, consumers):
    assert_bounded(*scan_peaks(run, consumers(), BUDGET))


@pytest.mark.parametrize("n_jobs", [2])
def test_consumers_in_threads_take_what_the_plan_says(run, n_jobs):
    assert_bounded(*scan_peaks(run, [lv.Mean(), lv.Std(), lv.DVARS()], BUDGET, n_jobs))


@pytest.mark.parametrize("dtype", [None, "f4"])
def test_scaled_integers(scaled, dtype):
    assert_bounded(*scan_peaks(lv.load(scaled, dtype=dtype), [lv.Mean()], BUDGET))


def test_another_byte_order(other_order):
    assert_bounded(*scan_peaks(other_order, [lv.Mean()], BUDGET))


def test_nibabels_proxies(run):
    assert_bounded(*scan_peaks(nib.load(run), [lv.Mean()], BUDGET))


def test_lists(run, other_order):
    assert_bounded(*scan_peaks([run, other_order, run], [lv.Mean()], BUDGET))


def test_a_consumer_of_ones_own(run, tmp_path, monkeypatch):
    (tmp_path / "own_consumer.py").write_text(
        "import numpy as np\n"
        "class VoxelsLike:\n"
        "    def init(self, grid):\n"
        "        self.out = np.zeros((grid.n_volumes, 20_000), grid.dtype)\n"
        "    def update(self, block, start):\n"
        "        n = block.shape[3]\n"
        "        self.out[start : start + n] = block.reshape(-1, n, order='F')[:20_000].T\n"
        "    def merge(self, other):\n"
        "        self.out += other.out\n"
        "    def finalize(self):\n"
        "        return self.out\n"
        "    def state_bytes(self, grid):\n"
        "        return grid.n_volumes * 20_000 * grid.dtype.itemsize\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from own_consumer import VoxelsLike

    assert_bounded(*scan_peaks(run, [VoxelsLike()], BUDGET))


def test_voxels_of_a_mask(run, tmp_path):
    mask = np.random.default_rng(1).random(GRID) < 0.3
    lv.save(nib.Nifti1Image(mask.astype("u1"), np.eye(4)), tmp_path / "mask.nii.gz")
    assert_bounded(*scan_peaks(run, [lv.Voxels(str(tmp_path / "mask.nii.gz"))], BUDGET))


@pytest.mark.parametrize(
    "make",
    [
        lv.Mean,
        lv.DVARS,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (lv.Std, lv.GlobalSignal)),
    ],
)
def test_the_smallest_budget_holds_in_slabs(large_volumes, make):
    scan = lv.Scan(large_volumes)
    scan.add(make())
    with pytest.raises(lv.MemoryBudgetError, match="Pass memory=") as raised:
        scan.plan(1)
    smallest = int(re.search(r"memory=(\d+)", str(raised.value))[1])
    assert scan.plan(smallest).slab_slices == 1
    # A little more, as single slices take their time.
    predicted, measured = scan_peaks(large_volumes, [make()], smallest + MIB)
    assert predicted <= smallest + MIB
    assert_bounded(predicted, measured)


@pytest.mark.parametrize(("ending", "n_jobs"), [(".nii", 1), (".nii.gz", 3)])
def test_writing_a_copy(run, scaled, tmp_path, ending, n_jobs):
    for source in (run, scaled):
        copy = lv.Write(tmp_path / f"copy{ending}", n_jobs=n_jobs)
        assert_bounded(*scan_peaks(source, [copy], BUDGET))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_saving(run, scaled, tmp_path, ending):
    target = tmp_path / f"copy{ending}"
    for source in (run, scaled):
        img = lv.load(source)
        assert_bounded(lv.plan(lv.save, img, target).peak_bytes, peak_of(lv.save, img, target))


def test_a_run_ten_times_longer_takes_no_more(folder):
    short, long = str(folder / "short.nii.gz"), str(folder / "long.nii.gz")
    lv.save(series(100, "u1"), short)
    scan = lv.Scan([short] * 10)
    scan.add(lv.Write(long))
    scan.run()
    few, many = (scan_peaks(path, [lv.Mean()], BUDGET) for path in (short, long))
    assert many[0] == few[0]
    # Peaks of processes differ by a MiB or two from run to run; the decoded sizes by far more.
    assert many[1] <= few[1] + 3 * MIB
    assert_bounded(*many)


def test_the_prediction_is_no_mere_upper_bound(run):
    predicted, measured = scan_peaks(run, [lv.Mean()], BUDGET)
    assert predicted <= 1.5 * measured + 8 * MIB
