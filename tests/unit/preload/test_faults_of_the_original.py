"""The faults of the readers that these take after, and that these do not have; and bad cases."""

import contextlib
import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import assert_no_thread_is_left, own_threads, write_nifti

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
FINE = np.diag([1.0, 1.0, 1.0, 1.0])


pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    return [
        write_nifti(
            tmp_path / f"v{n}.nii.gz", rng.normal(size=(6, 7, 8)).astype("f4"), affine=AFFINE
        )
        for n in range(8)
    ]


def total_of(files):
    return sum(np.asarray(lv.load(name).dataobj) for name in files)


def sorted_by_name(items):
    return sorted(items, key=lambda item: item.filename)


class TestFaultsOfTheOriginal:
    @pytest.mark.parametrize("way", ["data", "sum", "preloaded", "attribute", "copy", "array"])
    def test_resampled_data_are_resampled_through_every_access_path(self, files, way):
        volumes = [
            lv.LazyResampleVolume(
                name, target_affine=FINE, target_shape=(9, 9, 9), interpolation="linear"
            )
            for name in files
        ]
        expected = total_of_resampled(files)
        if way == "data":
            found = sum(volume.data.dataobj for volume in volumes)
        elif way == "sum":
            found = sum(volumes).data.dataobj
        elif way == "preloaded":
            found = sum(lv.PreloadIterator(volumes, 3)).data.dataobj
        elif way == "attribute":
            found = sum(volume.get_fdata(dtype=np.float32) for volume in volumes)
        elif way == "copy":
            found = sum(lv.LazyReadData(volume) for volume in volumes).data.dataobj
        else:
            found = sum(np.asarray(volume) for volume in volumes)
        assert np.allclose(found, expected, atol=1e-5)

    def test_edits_in_place_survive_release(self, files):
        a, b = (lv.LazyReadData(name, 1) for name in files[:2])
        a += b
        for _ in range(3):
            assert np.array_equal((a + 0).data.dataobj, total_of(files[:2]))

    def test_division_works(self, files):
        a, b = (lv.LazyReadData(name, 1) for name in files[:2])
        x, y = (np.asarray(lv.load(name).dataobj) for name in files[:2])
        assert np.array_equal((a / b).data.dataobj, x / y)
        assert np.array_equal((1 / a).data.dataobj, 1 / x)
        a /= 2
        assert np.array_equal(a.data.dataobj, x / 2)

    def test_the_copying_constructor_copies(self, files):
        again = lv.LazyReadData(lv.LazyReadData(lv.LazyReadData(files[0], 1)))
        assert np.array_equal(again.data.dataobj, total_of(files[:1]))

    def test_a_failed_read_is_an_error_and_not_none(self, tmp_path):
        lazy = lv.LazyReadData(tmp_path / "absent.nii.gz", 1)
        for use in (lambda: lazy.data, lambda: lazy + 1, lambda: lazy.shape, lambda: -lazy):
            with pytest.raises(FileNotFoundError, match=r"absent\.nii\.gz"):
                use()
        assert not lazy.preloading()

    def test_eight_threads_with_one_operation_each(self):
        n_loads = []

        def read(name):
            n_loads.append(name)
            return np.full(50, float(ord(name)))

        shared = [lv.LazyReadData(name, 1, read) for name in "abc"]

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(1000):
                i, j = rng.integers(0, 3, 2)
                found = shared[i] + shared[j]
                assert (found.data == ord("abc"[i]) + ord("abc"[j])).all()
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))
        # One for each place, and one where both places are of one object.
        assert len(n_loads) <= 8 * 1000 * 2
        assert not any(lazy.preloading() for lazy in shared)

    def test_eight_threads_in_files_and_in_place(self, files):
        shared = [lv.LazyReadData(name, 1) for name in files[:2]]
        count = lv.LazyReadData(np.zeros((6, 7, 8)))
        expected = total_of(files[:2])

        def work(_):
            nonlocal count
            for _ in range(40):
                assert np.array_equal((shared[0] + shared[1]).data.dataobj, expected)
                count += 1
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))
        assert (count.data == 320).all()

    @pytest.mark.parametrize("nops", [0, 1, 3])
    def test_concurrent_use_loads_what_is_due(self, nops):
        n_loads = []
        lazy = lv.LazyReadData("x", nops, lambda name: n_loads.append(name) or np.ones(4))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: (lazy + 1).data, range(80)))
        assert len(n_loads) == {0: 1, 1: 80, 3: 78}[nops]

    @pytest.mark.parametrize("collect", [list, tuple, lambda items: [*items], sorted_by_name])
    def test_collecting_does_not_load_everything(self, files, collect):
        volumes = [lv.LazyReadData(name, 1) for name in files]
        items = collect(lv.PreloadIterator(volumes, 2))
        assert len(items) == len(files)
        assert sum(volume.preloading() for volume in volumes) <= 2
        items = collect(lv.PreloadList(volumes, 2))
        assert sum(volume.preloading() for volume in volumes) <= 4

    def test_negation_works(self, files):
        lazy = lv.LazyReadData(files[0], 1)
        assert np.array_equal((-lazy).data.dataobj, -total_of(files[:1]))

    def test_a_generator_is_neither_consumed_nor_held(self, files):
        made = []

        def volumes():
            for name in files:
                made.append(name)
                yield lv.LazyReadData(name, 1)

        items = lv.PreloadIterator(volumes(), 2)
        for number, _ in enumerate(items):
            assert len(made) <= number + 3
            if number == 2:
                break
        # A later loop goes on where this one was left.
        rest = [volume.filename for volume in items]
        assert rest == [str(name) for name in files[3:]]

    def test_items_of_a_generator_are_freed(self, files):
        made = []

        def volumes():
            for name in files * 3:
                volume = lv.LazyReadData(name, 1)
                made.append(weakref.ref(volume))
                yield volume
                del volume

        for volume in lv.PreloadIterator(volumes(), 2):
            volume + 0
            # The current one and two ahead.
            assert sum(ref() is not None for ref in made) <= 4
        del volume
        assert not any(ref() for ref in made)


def total_of_resampled(files):
    from lazyvox.image import resample_img

    return sum(np.asarray(resample_img(name, FINE, (9, 9, 9), "linear").dataobj) for name in files)


class Flaky:
    """A reader that fails the first time for some names."""

    def __init__(self, *names, error=None):
        self.names = set(names)
        self.error = error or OSError("the network is down")

    def __call__(self, name):
        if name in self.names:
            self.names.discard(name)
            raise self.error
        return np.full(3, float(name))


class TestBadFiles:
    @pytest.mark.parametrize("is_preloaded", [False, True])
    def test_a_read_that_fails_once_raises_once(self, is_preloaded):
        volumes = [lv.LazyReadData(str(n), 1, Flaky("3")) for n in range(6)]
        items = lv.PreloadIterator(volumes, 2) if is_preloaded else iter(volumes)
        total = 0
        for number, volume in enumerate(items):
            if number == 3:
                with pytest.raises(OSError, match="3: the network is down"):
                    total + volume
            total = total + volume
        assert total.data.tolist() == [15.0] * 3

    def test_an_error_that_is_no_text_is_annotated(self):
        lazy = lv.LazyReadData("scan-7", reader=Flaky("scan-7", error=KeyError(3, 4)))
        with pytest.raises(KeyError, match="while loading scan-7"):
            _ = lazy.data

    def test_an_error_in_a_preloading_loop_comes_at_its_item(self, files):
        files[4].write_bytes(files[4].read_bytes()[:-30])
        volumes = [lv.LazyReadData(name, 1) for name in files]
        got = []

        def loop():
            for volume in lv.PreloadIterator(volumes, 3):
                result = volume + 0
                got.append(result.data)

        with pytest.raises(lv.TruncatedFileError, match=r"v4\.nii\.gz"):
            loop()
        assert len(got) == 4
        assert not own_threads()
        with pytest.raises(lv.TruncatedFileError, match=r"v4\.nii\.gz"):
            sum(volumes)

    def test_a_file_that_disappears_and_comes_back(self, files):
        lazy = lv.LazyReadData(files[0], 1)
        expected = (lazy + 0).data.dataobj
        kept = files[0].rename(files[0].with_name("kept"))
        with pytest.raises(FileNotFoundError, match=r"v0\.nii\.gz"):
            lazy + 0
        kept.rename(files[0])
        assert np.array_equal((lazy + 0).data.dataobj, expected)

    def test_a_file_that_turns_corrupt(self, files):
        lazy = lv.LazyReadData(files[0], 1)
        lazy + 0
        damaged = bytearray(files[0].read_bytes())
        damaged[len(damaged) // 2] ^= 0xFF
        files[0].write_bytes(damaged)
        with pytest.raises(lv.ImageFileError, match=r"v0\.nii\.gz"):
            lazy + 0

    @pytest.mark.parametrize("nops", [1, "auto"])
    def test_a_failed_expression_can_be_tried_again(self, files, nops):
        kept = files[2].rename(files[2].with_name("kept"))
        volumes = [lv.LazyReadData(name, nops) for name in files]
        with pytest.raises(FileNotFoundError, match=r"v2\.nii\.gz"):
            _ = sum(volumes).data
        kept.rename(files[2])
        assert np.allclose(sum(volumes).data.dataobj, total_of(files), atol=1e-5)


class TestLeaving:
    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
    def test_an_exception_in_a_preloaded_loop(self, files, error):
        volumes = [lv.LazyReadData(name, 1) for name in files]

        def loop():
            for number, volume in enumerate(lv.PreloadIterator(volumes, 3)):
                volume + 0
                if number == 2:
                    raise error("enough")

        with pytest.raises(error, match="enough"):
            loop()
        assert not own_threads()
        assert not any(volume.preloading() for volume in volumes)

    def test_break_with_the_iterator_in_a_variable(self, files):
        volumes = [lv.LazyReadData(name, 1) for name in files]
        items = lv.PreloadIterator(volumes, 3)
        for volume in items:
            volume + 0
            break
        assert not own_threads()
        assert not any(volume.preloading() for volume in volumes)
        volume = next(items)
        assert volume is volumes[1]
        assert volume.preloading()
        items.close()
        assert list(items) == []

    def test_what_was_loaded_before_stays(self, files):
        volumes = [lv.LazyReadData(name, 1) for name in files]
        _ = volumes[2].data
        for _ in lv.PreloadIterator(volumes, 3):
            break
        assert [volume.preloading() for volume in volumes[1:4]] == [False, True, False]

    def test_an_interrupt_while_a_load_is_waited_for(self):
        begun, proceed = threading.Event(), threading.Event()

        def read(name):
            if name == "1":
                begun.set()
                proceed.wait(20)
            return np.ones(3)

        def interrupt():
            begun.wait(20)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            proceed.set()

        volumes = [lv.LazyReadData(str(number), 1, read) for number in range(5)]
        helper = threading.Thread(target=interrupt)
        helper.start()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            sum(lv.PreloadIterator(volumes, 2))
        helper.join()
        assert not own_threads()
        assert sum(volumes).data.tolist() == [5] * 3

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("nops", [1, "auto"])
    @pytest.mark.parametrize("n_times", [5, pytest.param(200, marks=pytest.mark.slow)])
    def test_interrupts_at_random_moments(self, files, nops, n_times):
        volumes = [lv.LazyReadData(name, nops) for name in files]
        expected = sum(lv.PreloadIterator(volumes, 3)).data.dataobj
        moments = random.Random(0)

        def interrupt(number, frame):
            signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            for _ in range(n_times):
                with contextlib.suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-4, 0.02))
                    found = sum(lv.PreloadIterator(volumes, 3)).data.dataobj
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    assert np.array_equal(found, expected)
                # What an interrupted loop leaves in a cycle of references ends with it.
                gc.collect()
                assert_no_thread_is_left()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert np.array_equal(sum(volumes).data.dataobj, expected)

    def test_the_interpreter_ends_in_the_middle(self, files):
        program = """
            import sys, lazyvox as lv
            items = lv.PreloadIterator([lv.LazyReadData(f, 1) for f in sys.argv[1:]], 3)
            kept = iter(items)
            next(kept) + 0
            lazy = [lv.LazyReadData(f) for f in sys.argv[1:]]
            ahead = iter(lv.PreloadList(lazy, 2))
            next(ahead)
        """
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", textwrap.dedent(program), *map(str, files)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestBounds:
    @pytest.mark.parametrize(("n_volumes", "n_held"), [(0.5, 1), (2.5, 2), (100, 4)])
    def test_the_memory_budget_holds_too(self, files, n_volumes, n_held):
        volumes = [lv.LazyReadData(name, 1) for name in files]
        with lv.memory_budget(int(n_volumes * 6 * 7 * 8 * 4)):
            for volume in lv.PreloadIterator(volumes, 4):
                assert sum(one.preloading() for one in volumes) <= n_held
                volume + 0
            assert len(list(lv.PreloadIterator(volumes, 4))) == 8
        assert sum(one.preloading() for one in volumes) == n_held

    def test_preloading_is_true_from_the_start_of_a_load(self):
        begun, proceed = threading.Event(), threading.Event()

        def read(name):
            begun.set()
            proceed.wait(20)
            return np.ones(2)

        lazy = lv.LazyReadData("x", 1, read)
        assert not lazy.preloading()
        loading = threading.Thread(target=lambda: lazy.data)
        loading.start()
        begun.wait(20)
        assert lazy.preloading()
        proceed.set()
        loading.join()
        assert lazy.preloading()
        lazy + 0
        assert not lazy.preloading()

    def test_items_that_are_no_lazy_readers_pass(self):
        assert list(lv.PreloadIterator(range(20), 3)) == list(range(20))
        with pytest.raises(lv.ParameterError, match="`npreload` must be at least 1"):
            lv.PreloadIterator([], 0)
        with pytest.raises(lv.ParameterTypeError, match="`iterable` must be one of lazy readers"):
            lv.PreloadIterator(7)

    def test_a_preload_list_is_a_list(self, files):
        volumes = lv.PreloadList((lv.LazyReadData(name, 1) for name in files), 2)
        assert isinstance(volumes, list)
        volumes.append(lv.LazyReadData(files[0], 1))
        assert (len(volumes), len(volumes[1:4]), volumes[-1].filename) == (9, 3, str(files[0]))
        assert isinstance(volumes[1:4], lv.PreloadList)
        assert not any(volume.preloading() for volume in list.__iter__(volumes))
        again = pickle.loads(pickle.dumps(volumes))
        assert (type(again), again.npreload, len(again)) == (lv.PreloadList, 2, 9)
        found = sum(again).data.dataobj
        assert np.allclose(found, total_of([*files, files[0]]), atol=1e-5)


class TestMany:
    def test_ten_thousand_alive(self, files):
        before = len(list(Path("/dev/fd").iterdir())) if Path("/dev/fd").exists() else 0
        volumes = [lv.LazyReadData(files[n % 8], 1) for n in range(10_000)]
        for volume in volumes[:16]:
            volume + 0
        assert not [one for one in threading.enumerate() if one.name.startswith("lazyvox")]
        if before:
            assert len(list(Path("/dev/fd").iterdir())) == before
        assert len(pickle.dumps(volumes)) < 5_000_000


class TestProcesses:
    def test_workers_get_paths_not_data(self, files):
        volumes = [lv.LazyReadData(name, 1) for name in files[:3]]
        _ = volumes[0].data
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found = [img.get_fdata().sum() for img in pool.map(attrgetter("data"), volumes)]
        assert np.allclose(found, [float(total_of([name]).sum()) for name in files[:3]])

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_fork_while_another_thread_loads(self, files):
        begun, proceed = threading.Event(), threading.Event()

        def read(name):
            if os.getpid() == parent:
                begun.set()
                proceed.wait(20)
            return np.ones(3)

        parent = os.getpid()
        lazy = lv.LazyReadData("x", 1, read)
        items = lv.PreloadIterator([lv.LazyReadData(name, 1) for name in files], 2)
        next(items) + 0
        loading = threading.Thread(target=lambda: lazy.data)
        loading.start()
        begun.wait(20)
        child = os.fork()
        if not child:
            is_right = (lazy + 1).data.tolist() == [2, 2, 2] and len(list(items)) == 7
            os._exit(0 if is_right else 1)
        status = os.waitpid(child, 0)[1]
        proceed.set()
        loading.join()
        assert os.waitstatus_to_exitcode(status) == 0
        assert lazy.preloading()
        assert len(list(items)) == 7
