"""Decoded blocks that are kept, and for how long."""

import os
import threading

import pytest

import lazyvox as lv
from lazyvox.store.files.block_cache import BlockCache, CacheUse, shared_blocks
from lazyvox.store.files.decoded_blocks import Block
from lazyvox.store.files.identity import FileIdentity, SourceFile

FILE = FileIdentity(100, 7, 3)


def block(start=0, nbytes=100):
    return Block.of(start, [bytes(nbytes)])


def filled(cache, starts, path="a", nbytes=100):
    for start in starts:
        cache.put(SourceFile(path, FILE), start, block(start, nbytes))
    return cache


def kept(cache, starts, path="a"):
    return [start for start in starts if cache.get(SourceFile(path, FILE), start) is not None]


def test_a_block_comes_back():
    cache, one = BlockCache(), block(300)
    assert cache.get(SourceFile("a", FILE), 300) is None
    cache.put(SourceFile("a", FILE), 300, one)
    assert cache.get(SourceFile("a", FILE), 300) is one
    assert cache.use_of("a") == CacheUse(hits=1, misses=1, n_blocks=1, nbytes=100)


@pytest.mark.parametrize(
    "other", [FileIdentity(101, 7, 3), FileIdentity(100, 8, 3), FileIdentity(100, 7, 4)]
)
def test_a_block_of_a_file_since_replaced_does_not(other):
    cache = filled(BlockCache(), [0])
    assert cache.get(SourceFile("a", other), 0) is None
    assert cache.get(SourceFile("b", FILE), 0) is None


def test_what_was_not_used_for_longest_is_dropped_first():
    cache = filled(BlockCache(300), [0, 1, 2])
    assert kept(cache, [0]) == [0]
    filled(cache, [3])
    assert kept(cache, range(4)) == [0, 2, 3]
    filled(cache, [4, 5], nbytes=150)
    assert kept(cache, range(6)) == [4, 5]


def test_the_limit_is_kept_whatever_comes():
    cache = BlockCache(1000)
    for number in range(120):
        filled(cache, [number % 37], nbytes=(number * 7919) % 700)
        use = cache.use_of("a")
        assert use.nbytes <= 1000
        assert use.n_blocks == len(kept(cache, range(37)))


def test_a_block_that_is_too_large_drops_no_other():
    cache = filled(BlockCache(300), [0, 1])
    filled(cache, [2], nbytes=301)
    assert kept(cache, range(3)) == [0, 1]


def test_a_block_that_is_put_again_counts_once():
    cache = filled(BlockCache(300), [0, 0, 0, 1])
    assert cache.use_of("a").nbytes == 200
    filled(cache, [0], nbytes=50)
    assert cache.use_of("a").nbytes == 150


def test_a_small_budget_makes_it_small():
    cache = BlockCache(1000)
    with lv.memory_budget(8 * 200):
        filled(cache, [0, 1, 2])
        assert kept(cache, range(3)) == [1, 2]
        filled(cache, [3], nbytes=201)
        assert kept(cache, range(4)) == [1, 2]
    filled(cache, range(4, 20))
    assert len(kept(cache, range(20))) == 10


def test_an_empty_block_is_a_block():
    cache = filled(BlockCache(0), [0], nbytes=0)
    assert kept(cache, [0]) == [0]


def test_files_are_forgotten_one_by_one():
    cache = filled(filled(BlockCache(), [0, 1]), [0], path="b")
    cache.get(SourceFile("a", FILE), 0)
    cache.forget("a")
    assert cache.use_of("a") == CacheUse()
    assert cache.use_of("b") == CacheUse(n_blocks=1, nbytes=100)
    cache.forget("c")
    filled(cache, range(9), path="b")
    assert cache.use_of("b").nbytes == 900


def test_threads_lose_no_count():
    cache = BlockCache(3000)
    start = threading.Barrier(8)
    wrong = []

    def work(own):
        start.wait()
        for number in range(60):
            at = (number * own) % 45
            found = cache.get(SourceFile("a", FILE), at)
            if found is not None and found.start != at:
                wrong.append(at)
            cache.put(SourceFile("a", FILE), at, block(at))
            if number % 20 == 19:
                cache.forget("b")

    threads = [threading.Thread(target=work, args=(own,)) for own in range(1, 9)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    use = cache.use_of("a")
    assert not wrong
    assert use.hits + use.misses == 8 * 60
    assert use.nbytes == 100 * use.n_blocks == 3000


def test_a_forked_child_begins_with_an_empty_cache_and_a_free_lock():
    cache = shared_blocks()
    filled(cache, [0])
    with cache._lock:
        child = os.fork()
        if not child:
            os._exit(len(kept(cache, [0])))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kept(cache, [0]) == [0]
    cache.forget("a")


def test_bytes_of_a_block_are_copied_across_its_pieces():
    whole = bytes(range(200))
    one = Block.of(1000, [whole[:7], whole[7:8], whole[8:150], whole[150:]])
    assert (one.nbytes, one.stop) == (200, 1200)
    for start in range(1000, 1200):
        for n_bytes in (1, 2, 9, 150, 200):
            buffer = bytearray(n_bytes)
            n_copied = one.copy_to(start, memoryview(buffer))
            assert n_copied == min(n_bytes, 1200 - start)
            assert buffer[:n_copied] == whole[start - 1000 :][:n_bytes]
