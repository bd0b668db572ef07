"""Places of indexes, trust in them, and their removal."""

import gzip
import json
import os
import warnings
from pathlib import Path

import indexed_gzip
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import AccessPointError, FileChangedError, LazyvoxWarning, OutputError
from lazyvox.store.gzip.access_points import points_of
from lazyvox.store.gzip.point_recorder import build_points
from lazyvox.store.index.cache import IndexMemory, find_index, judge_all, reject_index
from lazyvox.store.index.folder import cache_folder, cache_limit
from lazyvox.store.index.growth import growing_index
from lazyvox.store.index.writer import IndexWriter
from lazyvox.store.opening import open_source
from lazyvox.testing import write_index

SPACING = 65536


pytestmark = pytest.mark.usefixtures("cache")


def packed(seed=0, n_bytes=300_000):
    rng = np.random.default_rng(seed)
    return gzip.compress(rng.normal(0, 100, n_bytes // 2).astype("<i2").tobytes(), mtime=0)


def run_file(folder, name="run.nii.gz", seed=0):
    path = folder / name
    path.write_bytes(packed(seed))
    return open_source(path)


def fresh(source):
    """Return what a process finds that knows nothing yet."""
    return IndexMemory().find(source)


def reasons(source):
    return {verdict.where: verdict.reason for verdict in judge_all(source)}


def theirs(source):
    with indexed_gzip.IndexedGzipFile(source.path, spacing=SPACING) as file:
        file.build_full_index()
        file.export_index(source.path + ".gzidx")


def test_an_index_is_found_after_it_was_built(tmp_path):
    source = run_file(tmp_path)
    assert find_index(source) is None
    points = write_index(source)
    assert find_index(source) is points
    assert fresh(source).checksums.tolist() == points.checksums.tolist()
    assert reasons(source) == {"beside": "there is none", "cache": ""}


def test_nothing_is_left_but_index_and_record(tmp_path, cache):
    write_index(run_file(tmp_path))
    assert [entry.name.split(".", 1)[1] for entry in sorted(cache.iterdir())] == [
        "gzidx",
        "gzidx.json",
    ]
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "cache"] == ["run.nii.gz"]


def test_the_folder_is_this_users_only(tmp_path, cache):
    write_index(run_file(tmp_path))
    assert cache.stat().st_mode & 0o777 == 0o700
    assert cache.parent.stat().st_mode & 0o777 == 0o700


def test_an_index_of_another_process_is_found_although_there_was_none_before(tmp_path):
    source, memory = run_file(tmp_path), IndexMemory()
    assert memory.find(source) is None
    write_index(source)
    assert memory.find(source) is not None


def test_looking_twice_for_what_is_not_there_opens_nothing(tmp_path, monkeypatch):
    source, memory = run_file(tmp_path), IndexMemory()
    assert memory.find(source) is None
    monkeypatch.setattr("os.open", lambda *_, **__: pytest.fail("a file was opened"))
    monkeypatch.setattr("os.path.lexists", lambda _: pytest.fail("it was looked for again"))
    assert memory.find(source) is None


def test_the_index_beside_the_file_comes_first(tmp_path):
    source = run_file(tmp_path)
    write_index(source)
    write_index(source, "beside", 2 * SPACING)
    assert fresh(source).path == source.path + ".gzidx"
    assert reasons(source) == {"beside": "", "cache": ""}


def test_a_damaged_index_beside_leaves_that_in_the_cache(tmp_path):
    source = run_file(tmp_path)
    write_index(source)
    Path(source.path + ".gzidx").write_bytes(b"GZIDX, or so it says")
    assert fresh(source).path != source.path + ".gzidx"
    assert "must be an index of the gzip file in GZIDX format" in reasons(source)["beside"]


def test_a_bare_index_beside_the_file_is_taken(tmp_path):
    source = run_file(tmp_path)
    theirs(source)
    points = fresh(source)
    assert points.whence == source.path + ".gzidx"
    assert points.checksums is None


def test_a_bare_index_that_is_older_than_the_file_is_not(tmp_path):
    source = run_file(tmp_path)
    theirs(source)
    os.utime(source.path + ".gzidx", ns=(0, source.identity.mtime_ns - 1))
    assert fresh(source) is None
    assert "must be younger than its file" in reasons(source)["beside"]


def test_a_bare_index_of_a_file_of_another_size_is_not(tmp_path):
    source = run_file(tmp_path)
    theirs(source)
    other = run_file(tmp_path, "other.nii.gz", seed=1)
    Path(source.path + ".gzidx").rename(other.path + ".gzidx")
    assert fresh(other) is None
    assert "it is of a file of" in reasons(other)["beside"]


def test_an_index_copied_to_another_file_is_not_believed(tmp_path):
    source = run_file(tmp_path)
    write_index(source, "beside")
    other = run_file(tmp_path, "other.nii.gz", seed=1)
    for ending in (".gzidx", ".gzidx.json"):
        Path(source.path + ending).rename(other.path + ending)
    assert fresh(other) is None
    assert "it is of a file of" in reasons(other)["beside"]


def replaced(source, data, mtime_ns):
    Path(source.path).write_bytes(data)
    os.utime(source.path, ns=(0, mtime_ns))
    return open_source(source.path)


def same_size(size):
    """Return a gzip file of a size, with other content than that of seed 0."""
    data = packed(seed=1, n_bytes=290_000)
    assert len(data) < size
    return data.ljust(size, b"\0")


@pytest.mark.parametrize("where", ["cache", "beside"])
@pytest.mark.parametrize("step", [0, 1, -(10**9)], ids=["same time", "later", "clock went back"])
def test_the_index_of_a_file_that_was_replaced_is_not_believed(tmp_path, where, step):
    source = run_file(tmp_path)
    write_index(source, where)
    size, mtime_ns = source.identity.size, source.identity.mtime_ns
    now = replaced(source, same_size(size), mtime_ns + step)
    assert now.identity.size == size
    assert fresh(now) is None
    texts = " ".join(reasons(now).values())
    assert "64 KiB" in texts or "modified at" in texts or "earlier content" in texts
    rebuilt = write_index(now, where)
    assert fresh(now).bit_offsets.tolist() == rebuilt.bit_offsets.tolist()


def test_a_file_that_is_moved_and_moved_back_has_its_index(tmp_path):
    source = run_file(tmp_path)
    write_index(source)
    Path(source.path).rename(tmp_path / "away")
    (tmp_path / "away").rename(source.path)
    assert fresh(open_source(source.path)) is not None


def test_a_file_that_changed_after_it_was_opened_has_no_index(tmp_path):
    source = run_file(tmp_path)
    write_index(source, "beside")
    Path(source.path).write_bytes(packed(seed=2))
    with pytest.raises(FileChangedError, match="must stay as it was"):
        fresh(source)


def test_a_link_and_its_file_share_one_index_in_the_cache(tmp_path):
    source = run_file(tmp_path)
    write_index(source)
    (tmp_path / "link.nii.gz").symlink_to("run.nii.gz")
    assert fresh(open_source(tmp_path / "link.nii.gz")) is not None


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
@pytest.mark.parametrize("ending", [".gzidx", ".gzidx.json"])
def test_only_files_are_believed_and_replaced(tmp_path, kind, ending):
    source = run_file(tmp_path)
    write_index(source, "beside")
    path = Path(source.path + ending)
    precious = tmp_path / "precious"
    path.rename(precious)
    before = precious.read_bytes()
    if kind == "link":
        path.symlink_to(precious)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert fresh(source) is None
    assert "an index must be a file" in reasons(source)["beside"]
    with pytest.raises(OutputError, match=r"must be a|is in its place|it is a directory"):
        write_index(source, "beside")
    assert precious.read_bytes() == before


def test_a_record_holds_names_and_numbers_only(tmp_path, cache):
    source = run_file(tmp_path)
    points = write_index(source)
    (record,) = cache.glob("*.json")
    fields = json.loads(record.read_text())
    assert fields["format"] == "lazyvox index 1"
    assert fields["path"] == source.path
    assert (fields["size"], fields["mtime_ns"]) == (source.identity.size, source.identity.mtime_ns)
    assert (fields["decoded_size"], fields["spacing"]) == (300_000, SPACING)
    assert fields["n_points"] == len(points.bit_offsets)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is not JSON"),
        (b"\x80\x04\x95", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it is not of the format"),
        (b'{"format": "lazyvox index 2"}', "it is not of the format"),
        (b'{"format": "lazyvox index 1"}', "it does not match its digest"),
    ],
    ids=["empty", "pickle", "deep", "list", "newer", "unsealed"],
)
def test_records_that_lazyvox_did_not_write_are_refused(tmp_path, data, message):
    source = run_file(tmp_path)
    write_index(source, "beside")
    Path(source.path + ".gzidx.json").write_bytes(data)
    assert fresh(source) is None
    assert message in reasons(source)["beside"]


def test_an_index_in_the_cache_without_record_is_refused(tmp_path, cache):
    source = run_file(tmp_path)
    write_index(source)
    next(cache.glob("*.json")).unlink()
    assert fresh(source) is None
    assert "must have its record" in reasons(source)["cache"]


def test_index_and_record_of_different_builds_are_refused(tmp_path):
    source = run_file(tmp_path)
    write_index(source, "beside")
    record = Path(source.path + ".gzidx.json")
    old = record.read_bytes()
    write_index(source, "beside", 2 * SPACING)
    record.write_bytes(old)
    assert fresh(source) is None
    assert "its points are others" in reasons(source)["beside"]


def test_what_reading_showed_to_be_wrong_is_not_believed_again(tmp_path):
    source = run_file(tmp_path)
    points = write_index(source)
    assert find_index(source) is points
    reject_index(points, "its segments decode to something else")
    assert find_index(source) is None
    assert reasons(source)["cache"] == "its segments decode to something else"
    again = write_index(source)
    assert find_index(source) is again


def test_an_index_survives_the_eviction_of_its_file_until_windows_are_needed(tmp_path, cache):
    source = run_file(tmp_path)
    points = write_index(source)
    cache_folder().evict(0)
    assert list(cache.iterdir()) == []
    assert points.window(0) is None
    with pytest.raises(AccessPointError, match="an index must be a file that can be read"):
        points.window(1)
    assert find_index(source) is None


def test_windows_are_right_while_the_same_index_is_built_again(tmp_path):
    source = run_file(tmp_path)
    points = write_index(source)
    before = list(points_of(points))
    write_index(source)
    assert list(points_of(points)) == before


def test_the_least_recently_used_goes_first(tmp_path, cache):
    sources = [run_file(tmp_path, f"{name}.nii.gz", seed) for seed, name in enumerate("abcd")]
    paths = {source.path: write_index(source).path for source in sources}
    for age, source in enumerate(sources):
        for ending in ("", ".json"):
            os.utime(paths[source.path] + ending, ns=(0, 10**18 - age * 10**9))
    assert fresh(sources[3]) is not None
    size = max(stored.n_bytes for stored in cache_folder().indexes())
    removed = cache_folder().evict(2 * size)
    assert [stored.path for stored in removed] == [paths[sources[2].path], paths[sources[1].path]]
    left = {stored.path for stored in cache_folder().indexes()}
    assert left == {paths[sources[0].path], paths[sources[3].path]}
    assert len(list(cache.iterdir())) == 4


def test_the_limit_holds_after_each_build_and_the_newest_stays(tmp_path, monkeypatch):
    sources = [run_file(tmp_path, f"{name}.nii.gz", seed) for seed, name in enumerate("abc")]
    size = 0
    for source in sources:
        points = write_index(source)
        size = max(size, *(stored.n_bytes for stored in cache_folder().indexes()))
    assert len(cache_folder().indexes()) == 3
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", str(2 * size))
    write_index(sources[0], spacing=2 * SPACING)
    assert sum(stored.n_bytes for stored in cache_folder().indexes()) <= 2 * size
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", "1B")
    points = write_index(sources[1])
    assert [stored.path for stored in cache_folder().indexes()] == [points.path]


def test_the_limit_is_2_gib_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("LAZYVOX_CACHE_SIZE", raising=False)
    assert cache_limit() == 2 << 30
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", "300MB")
    assert cache_limit() == 300_000_000
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", "a lot")
    with pytest.warns(LazyvoxWarning, match="LAZYVOX_CACHE_SIZE is not used"):
        assert cache_limit() == 2 << 30


def test_halves_are_removed(tmp_path, cache):
    write_index(run_file(tmp_path))
    (cache / "half.gzidx").write_bytes(b"x")
    (cache / "other.gzidx.json").write_bytes(b"x")
    removed = cache_folder().evict(1 << 40)
    assert sorted(Path(stored.path).name for stored in removed) == ["half.gzidx", "other.gzidx"]
    assert len(list(cache.iterdir())) == 2


def test_a_folder_that_others_may_write_to_is_not_believed(tmp_path, cache):
    source = run_file(tmp_path)
    write_index(source)
    cache.chmod(0o777)
    memory = IndexMemory()
    with pytest.warns(LazyvoxWarning, match="others may write to it"):
        assert memory.find(source) is None
    # A second warning would be an error.
    assert memory.find(run_file(tmp_path, "b.nii.gz")) is None
    assert "others may write to it" in reasons(source)["cache"]
    with pytest.raises(OutputError, match="others may write to it"):
        write_index(source)


def test_a_folder_of_somebody_else_is_not_believed(tmp_path, cache, monkeypatch):
    source = run_file(tmp_path)
    write_index(source)
    owner = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.warns(LazyvoxWarning, match=f"it belongs to user {owner}"):
        assert fresh(source) is None
    with pytest.raises(OutputError, match=f"it belongs to user {owner}"):
        write_index(source)


def test_an_index_beside_of_somebody_who_owns_neither_is_not_believed(tmp_path, monkeypatch):
    source = run_file(tmp_path)
    write_index(source, "beside")
    status = os.fstat

    def of_another(fd):
        found = status(fd)
        is_ours = found.st_ino in {
            Path(source.path + ending).stat().st_ino for ending in (".gzidx", ".gzidx.json")
        }
        fields = list(found)
        fields[4] = 12345
        return os.stat_result(fields) if is_ours else found

    monkeypatch.setattr("os.fstat", of_another)
    assert fresh(source) is None
    assert "it belongs to user 12345, who is not trusted" in reasons(source)["beside"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_folder_that_is_none_is_not_used(tmp_path, cache, kind):
    source = run_file(tmp_path)
    cache.parent.mkdir()
    if kind == "file":
        cache.write_bytes(b"")
    else:
        (tmp_path / "elsewhere").mkdir()
        cache.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(LazyvoxWarning, match="it is not a folder"):
        assert fresh(source) is None
    with pytest.raises(OutputError, match="cannot be used: it is not a folder"):
        write_index(source)


def test_the_cache_is_in_the_users_folder_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("LAZYVOX_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert Path(cache_folder().path).parts[-2:] == ("lazyvox", "indexes")


def test_a_file_that_decodes_to_nothing_has_no_index(tmp_path, cache):
    (tmp_path / "run.nii.gz").write_bytes(gzip.compress(b""))
    source = open_source(tmp_path / "run.nii.gz")
    with pytest.raises(AccessPointError, match="it decodes to nothing"):
        write_index(source)
    assert list(cache.iterdir()) == []


def test_a_file_that_changes_while_its_index_is_built_gets_none(tmp_path, cache):
    source = run_file(tmp_path)
    with IndexWriter(source, SPACING) as writer:
        found = build_points(source, SPACING, writer)
        with Path(source.path).open("ab") as file:
            file.write(b"\0")
        with pytest.raises(FileChangedError, match="must stay as it was"):
            writer.commit(*found)
    assert list(cache.iterdir()) == []


def test_giving_up_leaves_nothing(tmp_path, cache):
    source = run_file(tmp_path)
    writer = IndexWriter(source, SPACING)
    build_points(source, SPACING, writer)
    writer.abort()
    writer.abort()
    assert list(cache.iterdir()) == []
    with pytest.raises(AssertionError, match="an index is written to after its end"):
        writer.commit(1, None)


def test_finding_opens_no_descriptor_for_long(tmp_path):
    source = run_file(tmp_path)
    write_index(source)
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = [fresh(source) for _ in range(20)]
    windows = [points.window(1) for points in kept]
    assert len(windows[0]) > 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_warning_where_the_folder_does_not_exist(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fresh(run_file(tmp_path)) is None


@pytest.mark.parametrize("n_bytes", [237, 245, 249, 255])
def test_a_name_with_no_room_for_an_ending_is_refused_beside_before_a_byte_is_decoded(
    tmp_path, n_bytes, monkeypatch
):
    path = tmp_path / ("a" * (n_bytes - 7) + ".nii.gz")
    path.write_bytes(gzip.compress(bytes(10_000)))
    if n_bytes == 237:
        assert lv.index(path, beside=True).path == f"{path}.gzidx"
        return
    with monkeypatch.context() as patch:
        patch.setattr("lazyvox.lazyimage.random_access.build_points", None)
        with pytest.raises(lv.OutputError, match=r"File name too long\. Leave out beside=True"):
            lv.index(path, beside=True)
    assert lv.index(path).is_built
    assert not lv.index(path).is_built
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == [path.name]


@pytest.mark.parametrize(("size", "grows"), [("0", False), ("0 MB", False), ("1MB", True)])
def test_a_cache_of_no_size_turns_indexes_off_that_are_made_unasked(
    tmp_path, monkeypatch, size, grows
):
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", size)
    monkeypatch.setattr("lazyvox.store.stream_source._WORTH_AN_INDEX", 1)
    path = tmp_path / "run.nii.gz"
    path.write_bytes(packed(n_bytes=900_000))
    source = open_source(path)
    for start in (890_000, 500_000):
        with source.open() as session:
            session.readinto(start, memoryview(bytearray(1000)))
    assert (growing_index(source) is not None) is grows
    assert lv.index(source.path).is_built
    assert find_index(source) is not None
