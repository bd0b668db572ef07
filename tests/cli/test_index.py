"""`lazyvox index` and `lazyvox cache`."""

import json
import os
from pathlib import Path

import indexed_gzip
import nibabel
import numpy as np
import pytest

import lazyvox as lv

pytestmark = pytest.mark.usefixtures("cache")


def test_index_is_kept_in_the_cache(lazyvox, folder, cache):
    done = lazyvox("index", "run.nii.gz", "--spacing", "64KiB")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(str(cache))
    assert "one every 64.0 KiB" in done.out
    assert len(list(cache.iterdir())) == 2
    assert "it was there already" in lazyvox("index", "run.nii.gz").out


def test_index_beside_and_export(lazyvox, folder):
    done = lazyvox("index", "run.nii.gz", "--beside", "--export", "run.gzidx", "--json")
    record = json.loads(done.out)
    assert record["path"] == str(folder / "run.nii.gz.gzidx")
    assert record["exported"] == str(folder / "run.gzidx")
    assert record["is_built"] is True
    with indexed_gzip.IndexedGzipFile("run.nii.gz", index_file="run.gzidx") as file:
        file.seek(352)
        assert len(file.read(10)) == 10
    again = lazyvox("index", "run.nii.gz", "--export", "run.gzidx")
    assert again.code == 2
    assert "--overwrite" in again.err
    assert lazyvox("index", "run.nii.gz", "--export", "run.gzidx", "--overwrite").code == 0
    assert "is an input" in lazyvox("index", "run.nii.gz", "--export", "run.nii.gz").err


def test_index_of_indexed_gzip_is_imported(lazyvox, folder):
    with indexed_gzip.IndexedGzipFile("run.nii.gz", spacing=65536) as file:
        file.build_full_index()
        file.export_index("theirs.gzidx")
    assert lazyvox("index", "run.nii.gz", "--import", "theirs.gzidx").code == 0
    why = json.loads(lazyvox("cache", "why", "run.nii.gz", "--json").out)
    assert why["places"][1]["spacing"] == 65536
    assert why["places"][1]["has_checksums"] is True
    wrong = lazyvox("index", "atlas.nii.gz", "--import", "theirs.gzidx")
    assert (wrong.code, wrong.out) == (1, "")
    assert "it is of a file of" in wrong.err


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["atlas.tsv"], 1, "the file is not compressed"),
        (["absent.nii.gz"], 1, "no such file"),
        (["run.nii.gz", "--spacing", "1KiB"], 1, "must be from 32 KiB to 4 GiB"),
        (["run.nii.gz", "--spacing", "some"], 2, "that is not a positive number"),
        (["run.nii.gz", "--spacing", "1MiB", "--import", "x"], 1, "must be left out"),
        ([], 2, "Missing argument 'RUN'"),
    ],
)
def test_index_says_what_is_wrong(lazyvox, cache, argv, code, message):
    done = lazyvox("index", *argv)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert not cache.exists()


def test_index_of_a_damaged_file_is_not_kept(lazyvox, folder, cache):
    damaged = bytearray((folder / "run.nii.gz").read_bytes())
    damaged[2000:2100] = bytes(100)
    (folder / "run.nii.gz").write_bytes(damaged)
    done = lazyvox("index", "run.nii.gz")
    assert done.code == 1
    assert "damaged" in done.err
    assert list(cache.iterdir()) == []


def test_explain_and_quiet(lazyvox, cache):
    assert lazyvox("index", "run.nii.gz", "--explain").out.startswith("passes     1\n")
    plan = json.loads(lazyvox("index", "run.nii.gz", "--explain", "--json").out)["plan"]
    assert plan["passes"] == 1
    assert not cache.exists()
    for argv in (["index", "run.nii.gz"], ["cache", "ls"], ["cache", "why", "run.nii.gz"]):
        done = lazyvox(*argv, "--quiet")
        assert (done.code, done.out, done.err) == (0, "", "")


def test_cache_lists_and_prunes(lazyvox, folder, cache):
    for name in ("run.nii.gz", "atlas.nii.gz", "mask.nii.gz", "left.nii.gz"):
        assert lazyvox("index", name).code == 0
    stamp = (folder / "atlas.nii.gz").stat()
    os.utime("atlas.nii.gz", ns=(0, stamp.st_mtime_ns - 10**9))
    (folder / "mask.nii.gz").unlink()
    next(iter(sorted(cache.glob("*.json")))).touch()
    listed = json.loads(lazyvox("cache", "ls", "--json").out)
    states = {Path(one["source"]).name: one["state"] for one in listed["indexes"]}
    assert states == {
        "run.nii.gz": "current",
        "atlas.nii.gz": "changed",
        "mask.nii.gz": "gone",
        "left.nii.gz": "current",
    }
    assert listed["limit"] == 2 << 30
    text = lazyvox("cache", "ls").out
    assert "the file has changed since" in text
    assert f"{cache}: 4 indexes" in text
    assert "would remove 2 indexes" in lazyvox("cache", "prune", "--dry-run").out
    assert len(list(cache.iterdir())) == 8
    assert "removed 2 indexes" in lazyvox("cache", "prune").out
    assert len(list(cache.iterdir())) == 4
    removed = json.loads(lazyvox("cache", "prune", "--max-size", "1B", "--json").out)["removed"]
    assert len(removed) == 2
    assert list(cache.iterdir()) == []
    assert lazyvox("cache", "prune", "--all").out == "removed 0 indexes, 0 B\n"


def test_info_shows_the_index(lazyvox):
    assert "access points" not in lazyvox("info", "run.nii.gz").out
    assert lazyvox("index", "run.nii.gz").code == 0
    assert "  index     access points: 1, one every 2.0 MiB\n" in lazyvox("info", "run.nii.gz").out
    (record,) = json.loads(lazyvox("info", "run.nii.gz", "--json").out)["images"]
    assert record["index"] == {"n_points": 1, "spacing": 2 << 20}


def test_why_tells_what_is_used_and_what_is_not(lazyvox, folder, cache):
    assert "has no index; `lazyvox index` makes one" in lazyvox("cache", "why", "run.nii.gz").out
    assert lazyvox("index", "run.nii.gz").code == 0
    Path("run.nii.gz.gzidx").write_bytes(b"nothing")
    text = lazyvox("cache", "why", "run.nii.gz").out
    assert "beside the file: " in text
    assert "it has only 7 bytes" in text
    assert "used: 1 point, one every 2.0 MiB, with checksums" in text
    assert text.endswith("has an index in the cache\n")
    (index,) = cache.glob("*.gzidx")
    index.write_bytes(index.read_bytes()[:-1])
    assert "has no index" in lazyvox("cache", "why", "run.nii.gz").out
    assert "no index is needed" in lazyvox("cache", "why", "atlas.tsv").out


def test_lv_index_takes_images_and_says_which_it_cannot(folder):
    img = lv.load("run.nii.gz")
    built = lv.index(img, spacing="64KiB")
    assert built.is_built
    assert not lv.index("run.nii.gz").is_built
    assert built.source == str(folder / "run.nii.gz")
    np.testing.assert_array_equal(
        img.dataobj[..., 30], nibabel.load("run.nii.gz").dataobj[..., 30]
    )
    lv.save(img, "plain.nii")
    for wrong, message in (
        ("plain.nii", "is not compressed"),
        (img + img, "computed, joined, or in memory"),
        (nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), "in memory"),
    ):
        with pytest.raises(lv.ParameterError, match=message):
            lv.index(wrong)
    with pytest.raises(lv.ParameterTypeError, match="must be a number of bytes or a text"):
        lv.index(img, spacing=1.5)


def test_overwrite_builds_an_index_again(lazyvox, folder, cache):
    assert "it was there already" not in lazyvox("index", "run.nii.gz").out
    assert "it was there already" in lazyvox("index", "run.nii.gz").out
    assert "it was there already" not in lazyvox("index", "run.nii.gz", "--overwrite").out
    (folder / "a.gzidx").write_bytes(b"old")
    done = lazyvox("index", "run.nii.gz", "--export", "a.gzidx", "--overwrite")
    assert "it was there already" in done.out
    assert (folder / "a.gzidx").read_bytes() != b"old"


def test_progress_of_an_index_is_that_of_its_pass(lazyvox, cache):
    done = lazyvox("index", "run.nii.gz", "--progress")
    assert done.err.startswith("lazyvox: run.nii.gz: 100 %, 1 of 1 MiB, ")
    assert lazyvox("index", "run.nii.gz", "--overwrite", "--no-progress").err == ""


def test_prune_says_of_each_index_whether_it_is_gone(lazyvox, cache):
    lazyvox("index", "run.nii.gz")
    lines = lazyvox("cache", "prune", "--max-size", "0", "--dry-run").out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("would remove ") for line in lines)
    lines = lazyvox("cache", "prune", "--max-size", "0").out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("removed ") for line in lines)
    assert "0 indexes" in lazyvox("cache", "ls").out
