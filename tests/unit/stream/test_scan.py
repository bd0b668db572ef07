"""`Scan`: the plan is what happens, whatever is scanned, and a failed run leaves nothing."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.stream.consumer import Consumer
from lazyvox.testing import random_values, write_nifti

SHAPE = (6, 7, 8, 13)
VALUES = np.random.default_rng(0).integers(-100, 100, SHAPE).astype("i2")
AFFINE = np.diag([-2.0, 2, 3, 1])
# Three volumes are a block.
LARGE = np.random.default_rng(1).normal(size=(70, 70, 68, 7)).astype("f4")


def image(values, affine=AFFINE):
    return nib.Nifti1Image(values, affine, dtype=values.dtype)


def mean_of(imgs, **options):
    return np.asarray(lv.mean_img(imgs, **options).dataobj)


class Blocks(Consumer):
    """Keeps the shapes of what it saw, and may fail or cancel."""

    def __init__(self, at=None, do=None):
        self.at, self.do = at, do
        self.events = []
        self.aborted = 0

    def init(self, grid):
        self.grid = grid
        self.events = []

    def update(self, block, start):
        assert block.flags.f_contiguous
        self.events.append((start, block.shape[3]))
        if self.at is not None and start >= self.at:
            self.do()

    def merge(self, other):
        self.events += other.events

    def finalize(self):
        return self.events

    def state_bytes(self, grid):
        return 100

    def abort(self):
        self.aborted += 1


class Duck:
    """A user's class without base: the sum of everything."""

    def init(self, grid):
        self.total = 0

    def update(self, block, start):
        self.total += int(block.sum())

    def merge(self, other):
        self.total += other.total

    def finalize(self):
        return self.total

    def state_bytes(self, grid):
        return 8


@pytest.fixture
def path(tmp_path):
    return write_nifti(tmp_path / "run.nii.gz", VALUES, affine=AFFINE)


pytestmark = pytest.mark.usefixtures("no_thread_left")


class TestPlan:
    def test_the_plan_is_what_the_run_does(self):
        scan = lv.Scan(image(LARGE))
        blocks = scan.add(Blocks())
        for memory in ("64MiB", "20MiB"):
            plan = scan.plan(memory)
            scan.run(memory)
            starts = list(range(0, LARGE.shape[3], plan.block_volumes))
            assert [start for start, _ in blocks.result()] == starts
            assert plan.peak_bytes <= plan.budget
            assert plan.block_bytes == plan.block_volumes * LARGE[..., 0].nbytes

    def test_the_numbers(self, path):
        scan = lv.Scan(path)
        scan.add(lv.Mean())
        plan = scan.plan("64MiB")
        assert plan.shape == SHAPE
        assert plan.dtype == "int16"
        assert plan.passes == 1
        assert plan.bytes_read == path.stat().st_size
        assert plan.bytes_decoded == VALUES.nbytes
        assert plan.scratch_bytes == 0
        assert plan.budget == 64 << 20
        assert plan.consumer_bytes == (("Mean", VALUES[..., 0].size * 8),)
        assert plan.to_dict()["passes"] == 1

    def test_the_text(self, path):
        scan = lv.Scan(path)
        scan.add(lv.Mean())
        scan.add(lv.Histogram())
        text = scan.explain("64MiB")
        assert text == str(scan.plan("64MiB"))
        for part in ("run.nii.gz", "passes     2", "13 volumes", "Mean", "Histogram", "64.0 MiB"):
            assert part in text

    def test_slabs_are_named(self):
        scan = lv.Scan(image(LARGE))
        scan.add(lv.Mean())
        assert re.search(r"block +\d+ slices? of one volume", scan.explain("12MiB"))

    def test_lv_plan_is_the_plan_of_a_call(self, path, tmp_path):
        assert lv.plan(lv.mean_img, path, memory="64MiB") == lv.plan(
            lv.mean_img, path, memory="64MiB"
        )
        assert lv.plan(lv.histogram, path).passes == 2
        scan = lv.Scan(path)
        scan.add(lv.Write(tmp_path / "copy.nii"))
        assert lv.plan(scan.run, "64MiB") == scan.plan("64MiB")
        assert not (tmp_path / "copy.nii").exists()

    def test_lv_plan_of_something_else_is_refused(self):
        with pytest.raises(lv.ParameterError, match="`func` must read images in a pass"):
            lv.plan(len, [1])

    def test_a_scan_without_consumers_has_no_plan(self, path):
        with pytest.raises(lv.ParameterError, match="a scan needs at least one consumer"):
            lv.Scan(path).plan()

    def test_a_surrounding_budget_counts(self, path):
        scan = lv.Scan(path)
        scan.add(lv.Mean())
        with lv.memory_budget("33MiB"):
            assert scan.plan().budget == 33 << 20
            assert scan.plan("44MiB").budget == 44 << 20


class TestBudget:
    @pytest.mark.parametrize(
        "make", [lv.Mean, lv.TSNR, lambda: lv.Histogram(range=(0, 1)), lv.DVARS, Blocks, lv.Sum]
    )
    def test_too_small_a_budget_names_one_that_works(self, make):
        scan = lv.Scan(image(LARGE))
        scan.add(make())
        with pytest.raises(lv.MemoryBudgetError, match=r"Pass memory=\d+ or more") as raised:
            scan.run(100_000)
        named = int(re.search(r"memory=(\d+)", str(raised.value))[1])
        assert scan.plan(named).peak_bytes == named
        scan.run(named)
        with pytest.raises(lv.MemoryBudgetError, match=f"memory={named}"):
            scan.plan(named - 1)

    @pytest.mark.parametrize("memory", ["11MiB", "12MiB", "14MiB", "40MiB", "1GiB"])
    def test_results_do_not_depend_on_the_budget(self, memory):
        expected = mean_of(image(LARGE), memory="2GiB")
        np.testing.assert_array_equal(mean_of(image(LARGE), memory=memory), expected)

    def test_whole_volumes_are_asked_for_by_consumers_that_need_them(self):
        scan = lv.Scan(image(LARGE))
        scan.add(lv.Mean())
        scan.plan("12MiB")
        scan.add(Duck())
        with pytest.raises(lv.MemoryBudgetError, match="whole volumes, as its consumers ask"):
            scan.plan("12MiB")

    @pytest.mark.parametrize("memory", [0, -1, "none", "5XB", True])
    def test_budgets_that_are_none(self, path, memory):
        with pytest.raises(lv.ParameterError, match="memory must be"):
            lv.mean_img(path, memory=memory)


class TestInputs:
    def test_a_3d_image_is_a_series_of_one_volume(self):
        np.testing.assert_array_equal(mean_of(image(VALUES[..., 0])), VALUES[..., 0])
        assert lv.Scan(image(VALUES[..., 0])).grid.n_volumes == 1

    @pytest.mark.parametrize("ndim", [1, 2, 5, 6])
    def test_other_dimensions_are_refused_with_a_way_out(self, ndim):
        values = np.ones((3,) * ndim, "f4")
        with pytest.raises(lv.ParameterError, match=r"an image must be 3D or 4D. Got shape"):
            lv.Scan(image(values))

    def test_the_slicer_named_for_5d_works(self):
        values = np.arange(3**5, dtype="f4").reshape((3,) * 5)
        source = image(values)
        with pytest.raises(lv.ParameterError, match=r"img\.slicer\[") as raised:
            lv.Scan(source)
        for text in re.findall(r"img\.slicer\[[^]]*\]", str(raised.value)):
            img = eval(text, {"img": source})
            assert lv.Scan(img).grid.n_volumes == 3

    def test_lists_of_3d_and_4d_images_are_one_series(self, tmp_path, path):
        parts = [path, image(VALUES[..., 3]), image(VALUES[..., :2]), str(path)]
        joined = np.concatenate([VALUES, VALUES[..., 3:4], VALUES[..., :2], VALUES], axis=-1)
        assert lv.Scan(parts).grid.n_volumes == joined.shape[3]
        scan = lv.Scan(parts)
        mean = scan.add(lv.Mean())
        scan.run()
        np.testing.assert_allclose(mean.result().dataobj, joined.mean(axis=-1), rtol=1e-13)
        for memory in ("9MiB", "1GiB"):
            np.testing.assert_array_equal(
                np.asarray(lv.sum_img(parts, memory=memory).dataobj), joined.sum(axis=-1)
            )

    def test_lists_of_mixed_types_and_scalings(self, tmp_path):
        parts, values = [], []
        for i, (dtype, slope) in enumerate([("i2", 1), (">i4", 0.5), ("u1", 2), ("f4", 1)]):
            stored = random_values(SHAPE, dtype, seed=i)
            if np.dtype(dtype).kind == "f":
                stored = VALUES.astype("f4")
            parts.append(write_nifti(tmp_path / f"{i}.nii.gz", stored, slope=slope))
            values.append(stored.astype("f8") * slope)
        expected = np.concatenate(values, axis=-1)
        assert lv.Scan(parts).grid.dtype == np.float64
        np.testing.assert_array_equal(np.asarray(lv.max_img(parts).dataobj), expected.max(axis=-1))
        np.testing.assert_allclose(mean_of(parts), expected.mean(axis=-1), rtol=1e-12)

    @pytest.mark.parametrize("scale", [None, "auto"])
    def test_a_list_of_unlike_images_is_written_without_loss(self, tmp_path, scale):
        first = write_nifti(tmp_path / "a.nii", VALUES)
        second = write_nifti(tmp_path / "b.nii", VALUES, slope=0.03125, inter=0.5)
        scan = lv.Scan([first, second])
        written = scan.add(
            lv.Write(tmp_path / "c.nii.gz", scale=scale, dtype=None if scale is None else "i2")
        )
        scan.run()
        expected = np.concatenate([VALUES, VALUES * 0.03125 + 0.5], axis=-1)
        back = nib.load(written.result())
        tolerance = 0 if scale is None else float(back.dataobj.slope)
        np.testing.assert_allclose(back.get_fdata(), expected, atol=tolerance, rtol=0)

    def test_another_grid_in_a_list_is_named(self, tmp_path):
        write_nifti(tmp_path / "a.nii", VALUES)
        write_nifti(tmp_path / "b.nii", VALUES[1:])
        write_nifti(tmp_path / "c.nii", VALUES, affine=np.diag([2.0, 2, 2.25, 1]))
        with pytest.raises(lv.GridMismatchError, match=r"Image 1 .*b\.nii.*\(5, 7, 8\).*a\.nii"):
            lv.Scan([tmp_path / "a.nii", tmp_path / "b.nii"])
        with pytest.raises(lv.GridMismatchError, match=r"Image 2 .*c\.nii.*2\.25.*a\.nii"):
            lv.Scan([tmp_path / "a.nii", tmp_path / "a.nii", tmp_path / "c.nii"])

    @pytest.mark.parametrize("imgs", [[], ()])
    def test_empty_lists_are_refused(self, imgs):
        with pytest.raises(lv.ParameterError, match="`imgs` must hold at least one image"):
            lv.Scan(imgs)

    @pytest.mark.parametrize("img", [5, None, np.ones(SHAPE)])
    def test_what_is_no_image_is_refused(self, img):
        with pytest.raises(lv.ParameterTypeError, match="an image must be a path or a nibabel"):
            lv.Scan(img)

    def test_an_image_without_affine_has_its_headers(self):
        img = nib.Nifti1Image(VALUES, None)
        np.testing.assert_array_equal(lv.Scan(img).grid.affine, img.header.get_best_affine())
        np.testing.assert_array_equal(mean_of(img), VALUES.mean(axis=-1))

    def test_slices_are_scanned(self, path):
        img = lv.load(path)
        for key in (np.s_[1:, ::-1, 2::3], np.s_[..., 2:9:3], np.s_[..., 5], np.s_[..., ::-1]):
            expected = VALUES[key].reshape(*VALUES[key].shape[:3], -1)
            np.testing.assert_allclose(
                mean_of(img.slicer[key]), expected.mean(axis=-1), rtol=1e-13
            )

    def test_axes_added_and_dropped_by_views(self, path):
        view = lv.load(path).dataobj.view(np.s_[:, 2, :, None])
        img = nib.Nifti1Image(view, AFFINE)
        expected = VALUES[:, 2, :, None].mean(axis=-1)
        np.testing.assert_allclose(mean_of(img), expected, rtol=1e-13)

    @pytest.mark.parametrize("memory", ["9MiB", "1GiB"])
    @pytest.mark.parametrize(
        "volumes", [[2, 3, 9], range(0, 13, 2), np.array([12]), np.arange(13) % 2 == 0, (0, 1)]
    )
    def test_some_volumes(self, path, volumes, memory):
        picked = VALUES[..., volumes if isinstance(volumes, np.ndarray) else list(volumes)]
        for source in (path, image(VALUES)):
            scan = lv.Scan(source, volumes=volumes)
            assert scan.grid.n_volumes == picked.shape[3]
            total = scan.add(lv.Sum())
            scan.run(memory)
            np.testing.assert_array_equal(total.result().dataobj, picked.sum(axis=-1))

    @pytest.mark.parametrize(
        ("volumes", "error", "match"),
        [
            ([], lv.ParameterError, "`volumes` must keep at least one of 13 volumes"),
            (np.zeros(13, bool), lv.ParameterError, "`volumes` must keep at least one of 13"),
            ([3, 2], lv.ParameterError, "`volumes` must ascend"),
            ([1, 1], lv.ParameterError, "`volumes` must ascend"),
            ([0, 13], lv.ParameterError, "`volumes` must name volumes from 0 to 12. Got 0 to 13"),
            ([-1], lv.ParameterError, "`volumes` must name volumes from 0 to 12. Got -1 to -1"),
            ([0.5], lv.ParameterError, "`volumes` must hold whole numbers. Got 0.5"),
            (np.ones(12, bool), lv.ParameterError, "`volumes` must have one boolean per volume"),
            (["a"], lv.ParameterTypeError, "`volumes` must be a list of volume numbers"),
            (3, lv.ParameterTypeError, "`volumes` must be a list of volume numbers"),
            ([[1, 2]], lv.ParameterTypeError, "`volumes` must be a list of volume numbers"),
        ],
        ids=str,
    )
    def test_volumes_that_are_none_are_refused(self, path, volumes, error, match):
        with pytest.raises(error, match=match):
            lv.Scan(path, volumes=volumes)

    def test_repetition_times_are_in_seconds(self, tmp_path):
        for units, zoom in (("sec", 2.5), ("msec", 2500), ("usec", 2.5e6)):
            img = image(VALUES)
            img.header.set_xyzt_units("mm", units)
            img.header.set_zooms((2, 2, 3, zoom))
            assert lv.Scan(img).grid.t_r == pytest.approx(2.5)
        img.header.set_zooms((2, 2, 3, 0))
        assert lv.Scan(img).grid.t_r is None
        mgh = nib.MGHImage(VALUES, AFFINE)
        mgh.header.set_zooms((2, 2, 3, 2500))
        assert lv.Scan(mgh).grid.t_r == pytest.approx(2.5)

    def test_nibabels_proxies(self, path):
        np.testing.assert_array_equal(mean_of(nib.load(path)), mean_of(path))

    def test_images_in_all_orders_of_memory(self):
        for values in (np.array(VALUES, order="C"), np.array(VALUES, order="F"), VALUES[::-1]):
            np.testing.assert_array_equal(
                np.asarray(lv.max_img(image(values)).dataobj), values.max(axis=-1)
            )


class TestConsumers:
    @pytest.mark.parametrize("n_jobs", [1, 2, 5, -1])
    def test_all_on_one_pass(self, path, n_jobs, tmp_path):
        scan = lv.Scan(path)
        handles = [
            scan.add(one)
            for one in (lv.Mean(), lv.Std(), lv.TSNR(), lv.Min(), lv.Max(), lv.DVARS(), Duck())
        ]
        written = scan.add(lv.Write(tmp_path / "copy.nii.gz"))
        scan.run(n_jobs=n_jobs)
        mean, std, tsnr, low, high, dvars, total = [handle.result() for handle in handles]
        np.testing.assert_allclose(mean.dataobj, VALUES.mean(axis=-1), rtol=1e-13)
        np.testing.assert_allclose(std.dataobj, VALUES.std(axis=-1), rtol=1e-12)
        np.testing.assert_array_equal(low.dataobj, VALUES.min(axis=-1))
        np.testing.assert_array_equal(high.dataobj, VALUES.max(axis=-1))
        np.testing.assert_allclose(
            tsnr.dataobj, VALUES.mean(axis=-1) / VALUES.std(axis=-1), rtol=1e-10
        )
        assert dvars.shape == (SHAPE[3],)
        assert total == int(VALUES.sum())
        np.testing.assert_array_equal(np.asarray(lv.load(written.result()).dataobj), VALUES)

    def test_classes_with_and_without_base(self, path):
        scan = lv.Scan(path)
        duck, base = scan.add(Duck()), scan.add(Blocks())
        scan.run()
        assert duck.result() == int(VALUES.sum())
        assert sum(n for _, n in base.result()) == SHAPE[3]
        assert "Duck" in scan.explain()

    @pytest.mark.parametrize("consumer", [Duck, object(), None, 5, len])
    def test_what_is_no_consumer_is_refused(self, path, consumer):
        with pytest.raises(lv.ParameterTypeError, match="a consumer must be an object with init"):
            lv.Scan(path).add(consumer)

    @pytest.mark.parametrize("make", [Duck, lv.Mean])
    def test_a_consumer_hangs_on_a_scan_once(self, path, make):
        scan, consumer = lv.Scan(path), make()
        scan.add(consumer)
        with pytest.raises(lv.ParameterError, match="a consumer hangs on a scan once"):
            scan.add(consumer)

    def test_no_result_before_the_run(self, path):
        scan = lv.Scan(path)
        handle = scan.add(lv.Mean())
        assert repr(handle) == "<Handle of Mean: pending>"
        with pytest.raises(lv.LazyvoxError, match=r"the result of Mean exists after the scan"):
            handle.result()
        scan.run()
        assert repr(handle) == "<Handle of Mean: done>"

    def test_a_scan_can_be_run_again(self, path, tmp_path):
        scan = lv.Scan(path)
        consumers = [lv.Mean(), lv.TSNR(), lv.Sum(), lv.DVARS(), lv.Histogram(bins=9), Duck()]
        handles = [scan.add(one) for one in consumers]
        written = scan.add(lv.Write(tmp_path / "copy.nii"))

        def results():
            scan.run()
            found = [handle.result() for handle in handles]
            assert written.result() == str(tmp_path / "copy.nii")
            return [np.asarray(getattr(one, "dataobj", one), dtype=object) for one in found]

        first = results()
        kept = [one.copy() for one in first]
        for again, before, copy in zip(results(), first, kept, strict=True):
            for one, other, third in zip(again.ravel(), before.ravel(), copy.ravel(), strict=True):
                np.testing.assert_array_equal(one, other)
                np.testing.assert_array_equal(third, other)

    def test_statistics_of_a_scan_share_their_state(self, path):
        alone = lv.Scan(path)
        alone.add(lv.Std())
        both = lv.Scan(path)
        both.add(lv.Std())
        both.add(lv.Variance(ddof=1))
        extra = both.plan().peak_bytes - alone.plan().peak_bytes
        assert extra == VALUES[..., 0].size * 8

    def test_a_mask_of_another_scan_is_read_anew(self):
        """A consumer keeps nothing of the grid before."""
        dvars = lv.DVARS(mask_img=image(np.ones(SHAPE[:3], "u1")))
        for values in (VALUES, VALUES * 2):
            scan = lv.Scan(image(values))
            handle = scan.add(dvars)
            scan.run()
            assert handle.result().shape == (SHAPE[3],)
        scan = lv.Scan(image(VALUES[1:]))
        scan.add(dvars)
        with pytest.raises(lv.GridMismatchError, match="mask_img"):
            scan.run()

    def test_files_appear_last(self, tmp_path):
        """A consumer that fails at its end leaves no file of another one."""
        values = np.full((2, 2, 2, 3), np.iinfo("i8").max // 2, "i8")
        scan = lv.Scan(image(values))
        scan.add(lv.Write(tmp_path / "copy.nii"))
        scan.add(lv.Sum())
        with pytest.raises(lv.ParameterError, match="must fit 64 bits"):
            scan.run()
        assert not list(tmp_path.iterdir())


class TestRunning:
    def test_progress_counts_volumes(self, path):
        seen = []
        lv.mean_img(path, progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (13, 13)
        seen.clear()
        lv.histogram(path, progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (26, 26)
        seen.clear()
        lv.mean_img(image(LARGE), memory="12MiB", progress=lambda *now: seen.append(now))
        assert seen == [(n, 7) for n in range(1, 8)]

    def test_two_scans_at_once(self, path):
        expected = mean_of(path)

        def work(_):
            return mean_of(path)

        with ThreadPoolExecutor(4) as pool:
            for result in pool.map(work, range(12)):
                np.testing.assert_array_equal(result, expected)

    @pytest.mark.parametrize("n_jobs", [1, 3])
    def test_an_error_of_a_consumer_comes_once_with_a_note(self, tmp_path, n_jobs):
        def fail():
            raise KeyError("mine")

        scan = lv.Scan(image(LARGE))
        failing = Blocks(at=3, do=fail)
        scan.add(failing)
        handle = scan.add(lv.Mean())
        scan.add(lv.Write(tmp_path / "copy.nii.gz"))
        with pytest.raises(KeyError, match="mine") as raised:
            scan.run(n_jobs=n_jobs)
        assert raised.value.__notes__ == ["while Blocks took volumes 3 to 5"]
        assert failing.aborted == 1
        assert not list(tmp_path.iterdir())
        with pytest.raises(lv.LazyvoxError, match="the result of Mean exists after"):
            handle.result()
        failing.do = lambda: None
        scan.run()
        assert (tmp_path / "copy.nii.gz").exists()
        np.testing.assert_array_equal(handle.result().dataobj, mean_of(image(LARGE)))

    @pytest.mark.parametrize("name", ["init", "finalize"])
    def test_an_error_of_init_and_of_finalize_aborts_too(self, tmp_path, name):
        def fail(*_):
            raise OSError("at " + name)

        scan, failing = lv.Scan(image(VALUES)), type("Failing", (Blocks,), {name: fail})()
        scan.add(lv.Write(tmp_path / "copy.nii.gz"))
        scan.add(failing)
        with pytest.raises(OSError, match=f"at {name}"):
            scan.run()
        assert failing.aborted == 1
        assert not list(tmp_path.iterdir())

    def test_an_error_of_the_progress_function_stops_the_pass(self, path, tmp_path):
        def fail(done, total):
            raise ValueError("enough")

        scan = lv.Scan(path)
        scan.add(lv.Write(tmp_path / "out.nii"))
        with pytest.raises(ValueError, match="enough"):
            scan.run(progress=fail)
        assert not (tmp_path / "out.nii").exists()

    def test_cancel_stops_at_the_next_block(self, tmp_path):
        scan = lv.Scan(image(LARGE))
        blocks = Blocks(at=2, do=lambda: threading.Thread(target=scan.cancel).run())
        scan.add(blocks)
        scan.add(lv.Write(tmp_path / "copy.nii"))
        with pytest.raises(lv.ScanCancelledError, match="cancelled before volume 6"):
            scan.run()
        assert [start for start, _ in blocks.events] == [0, 3]
        assert not list(tmp_path.iterdir())
        blocks.at = None
        scan.run()
        assert (tmp_path / "copy.nii").exists()

    def test_cancel_without_a_run_does_nothing(self, path):
        scan = lv.Scan(path)
        handle = scan.add(lv.Mean())
        scan.cancel()
        scan.run()
        expected = np.asarray(nib.load(path).dataobj).mean(axis=-1)
        np.testing.assert_allclose(handle.result().get_fdata(), expected, rtol=1e-12)
