"""URLs in the place of every input of a command."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from lazyvox.cli.main import run
from lazyvox.testing import ObjectServer, Reply, nifti_bytes

SHAPE = (12, 12, 8, 30)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def server(values):
    atlas = np.zeros(SHAPE[:3], "u1")
    atlas[2:6, 2:6, 2:6], atlas[7:9] = 1, 2
    rows = "".join(f"{t}\t{t * t % 7}\n" for t in range(SHAPE[3]))
    objects = {
        "run.nii.gz": gzip.compress(nifti_bytes(values)),
        "atlas.nii": nifti_bytes(atlas),
        "mask.nii": nifti_bytes((atlas == 1).astype("u1")),
        "names.tsv": b"index\tname\n1\tone\n2\ttwo\n",
        "confounds.tsv": f"trend\tother\n{rows}".encode(),
        "events.tsv": b"onset\tduration\ttrial_type\n4\t4\ta\n16\t4\ta\n",
    }
    with ObjectServer(objects) as server:
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch, server):
    for name, content in server.objects.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = [
    "mean {run.nii.gz} -o {out}.nii",
    (
        "extract {run.nii.gz} --labels {atlas.nii} --lut {names.tsv} --confounds {confounds.tsv} "
        "-o {out}.tsv"
    ),
    "clean {run.nii.gz} --mask {mask.nii} --confounds {confounds.tsv} -o {out}.nii",
    pytest.param(
        "glm {run.nii.gz} --mask {mask.nii} --events {events.tsv} --t-r 1 --contrast a -o {out}",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_the_same_of_urls_and_of_files(folder, server, command):
    def words(out, name_of):
        texts = command.split()
        for name in server.objects:
            texts = [text.replace("{" + name + "}", name_of(name)) for text in texts]
        return [text.replace("{out}", out) for text in texts]

    assert run(words("local", str)) == 0
    assert run([*words("fetched", server.url), "--storage-option", "timeout=20"]) == 0
    ending = command.rsplit("}", 1)[1] or "/contrast-a_stat-z_statmap.nii.gz"
    one, other = (folder / f"{name}{ending}" for name in ("local", "fetched"))
    if ".nii" in ending:
        np.testing.assert_array_equal(nib.load(one).get_fdata(), nib.load(other).get_fdata())
    else:
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("anno=true", "must be `headers`, `anon`, `timeout`"),
        ("password", "must be KEY=VALUE, each key once. Got 'password'"),
        ("timeout=soon", "`timeout` must be a number. Got 'soon'"),
        ("retries=-1", "`retries` must be a number from 0 on, and not infinite. Got -1"),
        ("min_speed=inf", "`min_speed` must be a number from 0 on, and not infinite. Got inf"),
    ],
)
def test_a_wrong_storage_option_is_refused(folder, server, capsys, option, message):
    words = ["mean", server.url("run.nii.gz"), "-o", "out.nii", "--storage-option", option]
    assert run(words) > 0
    assert message in capsys.readouterr().err.replace("--timeout", "`timeout`")


def test_what_was_fetched_is_counted(folder, server, capsys, monkeypatch):
    monkeypatch.setattr("lazyvox.store.remote.retrying._FIRST_WAIT_S", 0.01)
    words = ["mean", server.url("run.nii.gz"), "-o", "out.nii", "--overwrite"]
    # From here on it is known that there is no index beside the run.
    assert run(words) == 0
    failures = [Reply(status=500)]
    monkeypatch.setattr(server, "reply", lambda request: failures.pop() if failures else None)
    assert run(words) == 0
    assert "by 2 requests, 1 of them again after a failure" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["inputs"] == [server.url("run.nii.gz")]
    assert record["fetched"]["requests"] >= 1
    assert record["fetched"]["retries"] == 0


def test_credentials_are_not_printed(folder, server, capsys):
    url = server.url("run.nii.gz").replace("//", "//me:word1234@") + "?X-Amz-Signature=ab12cd"
    for words in (["info", url], ["mean", url, "-o", "out.nii", "--json", "-v"]):
        assert run(words) == 0
    for words in (["info", url.replace("run", "no")], ["mean", url, "-o", url, "--debug"]):
        assert run(words) > 0
    said = capsys.readouterr()
    assert "word1234" not in said.out + said.err
    assert "ab12cd" not in said.out + said.err
    assert "X-Amz-Signature=***" in said.out


def test_an_output_is_no_url(folder, server, capsys):
    assert run(["mean", "run.nii.gz", "-o", server.url("out.nii")]) == 2
    assert "objects are read, not written" in capsys.readouterr().err
