"""Outputs that must not be written: objects of git-annex, full disks, missing folders."""

import errno
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run
from lazyvox.image import smooth_img
from lazyvox.report.page import HtmlReport

VALUES = np.random.default_rng(5).normal(size=(4, 5, 6, 7)).astype(np.float32)
OBJECT = b"the content that its checksum names"
MASK = np.ones(VALUES.shape[:3], np.uint8)


@pytest.fixture
def img():
    return nib.Nifti1Image(VALUES, np.eye(4))


@pytest.fixture
def mask():
    return nib.Nifti1Image(MASK, np.eye(4))


@pytest.fixture(params=["a data set", "a data set within another"])
def annex(request, tmp_path):
    """Folder of an annexed object, writable as for an administrator."""
    repository = ".git" if request.param == "a data set" else "super/.git/modules/sub"
    folder = tmp_path / repository / "annex" / "objects" / "K"
    folder.mkdir(parents=True)
    return folder


def linked(folder, annex, name, *, has_content=True):
    """Return a link of a name to an object, and the object."""
    content = annex / f"K-{name}"
    if has_content:
        content.write_bytes(OBJECT)
    (folder / name).symlink_to(os.path.relpath(content, folder))
    return folder / name, content


def write(kind, path, img, mask):
    if kind == "save":
        lv.save(img, path, overwrite=True)
    elif kind == "to_filename":
        smooth_img(img, 2).to_filename(path)
    elif kind == "extract":
        lv.extract(img, mask, out=path, overwrite=True)
    elif kind == "signals":
        lv.extract(img, mask).save(path, overwrite=True)
    elif kind == "regions":
        lv.extract(img, {"one": mask, "two": mask}, out=path)
    elif kind == "page":
        HtmlReport("<p>text</p>" * 1000, "text").save_as_html(path)
    else:
        scan = lv.Scan(img)
        scan.add(lv.Write(path, overwrite=True))
        scan.run()


OUTPUTS = [
    ("save", "a.nii.gz"),
    ("save", "a.nii"),
    ("save", "a.img"),
    ("to_filename", "a.nii.gz"),
    ("extract", "a.npy"),
    ("extract", "a.tsv"),
    ("signals", "a.npy"),
    ("write", "a.nii"),
    ("page", "a.html"),
]


@pytest.mark.parametrize(("kind", "name"), OUTPUTS)
@pytest.mark.parametrize("has_content", [True, False])
def test_a_link_to_an_annexed_object_is_never_written_to(
    tmp_path, annex, img, mask, kind, name, has_content
):
    link, _ = linked(tmp_path, annex, name, has_content=has_content)
    advice = f"`datalad unlock {name}` or `git annex unlock {name}`"
    with pytest.raises(lv.OutputError, match=advice) as caught:
        write(kind, link, img, mask)
    assert ("datalad get" in str(caught.value)) is not has_content
    assert link.is_symlink()
    assert [one.read_bytes() for one in annex.iterdir()] == [OBJECT] * has_content


@pytest.mark.parametrize("name", ["a.img", "a.hdr"])
def test_a_pair_of_which_one_is_annexed_is_left_as_it_was(tmp_path, annex, img, name):
    _, content = linked(tmp_path, annex, name)
    with pytest.raises(lv.OutputError, match="object of git-annex"):
        lv.save(img, tmp_path / "a.img", overwrite=True)
    assert content.read_bytes() == OBJECT
    assert [one.name for one in tmp_path.iterdir() if not one.is_dir()] == [name]


@pytest.mark.parametrize("has_content", [True, False])
def test_a_path_below_the_objects_is_never_written_to(tmp_path, annex, img, has_content):
    content = annex / "K.nii"
    if has_content:
        content.write_bytes(OBJECT)
    (tmp_path / "folder").symlink_to(annex)
    for path in (content, tmp_path / "folder" / "K.nii", tmp_path / "folder" / "new.nii"):
        with pytest.raises(lv.OutputError, match=r"object of git-annex, .*Write elsewhere"):
            lv.save(img, path, overwrite=True)
    assert [one.read_bytes() for one in annex.iterdir()] == [OBJECT] * has_content


def test_a_link_to_a_folder_named_like_an_annex_outside_of_a_repository_is_followed(tmp_path, img):
    folder = tmp_path / "annex" / "objects"
    folder.mkdir(parents=True)
    (tmp_path / "a.nii").symlink_to(folder / "b.nii")
    lv.save(img, tmp_path / "a.nii")
    assert (tmp_path / "a.nii").is_symlink()
    np.testing.assert_array_equal(lv.load(folder / "b.nii").get_fdata(dtype="f4"), VALUES)


def test_what_was_loaded_through_a_link_is_not_replaced(tmp_path, annex, img):
    content = annex / "K.nii"
    nib.save(img, content)
    before = content.read_bytes()
    (tmp_path / "run.nii").symlink_to(content)
    with pytest.raises(lv.OutputError, match="git annex unlock"):
        lv.save(lv.load(tmp_path / "run.nii") * 2, tmp_path / "run.nii")
    assert content.read_bytes() == before


def test_an_index_beside_an_annexed_image_lies_beside_the_link(tmp_path, annex, img):
    content = annex / "K.nii.gz"
    nib.save(img, content)
    (tmp_path / "run.nii.gz").symlink_to(content)
    found = lv.index(tmp_path / "run.nii.gz", beside=True)
    assert Path(found.path).parent == tmp_path
    assert [one.name for one in annex.iterdir()] == ["K.nii.gz"]


@pytest.mark.parametrize("kind", ["save", "extract", "signals", "write", "page"])
def test_a_missing_folder_is_a_file_that_is_not_found(tmp_path, img, mask, kind):
    name = {"save": "a.nii", "write": "a.nii", "page": "a.html"}.get(kind, "a.npy")
    with pytest.raises(lv.OutputFolderError, match="Create the folder first") as caught:
        write(kind, tmp_path / "nowhere" / name, img, mask)
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, lv.OutputError)


def test_a_file_in_the_place_of_a_folder_is_no_missing_folder(tmp_path, img):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(lv.OutputError, match="A part of the path is a file") as caught:
        lv.save(img, tmp_path / "file" / "a.nii")
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("n_written", [0, 100, 2000, 4000])
@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.tsv", "a.csv", "a.parquet", "page.html"])
def test_a_full_disk_is_an_output_error_and_leaves_nothing(
    tmp_path, img, mask, monkeypatch, name, n_written
):
    if name == "a.parquet":
        pytest.importorskip("pyarrow")
    plain, left = os.write, n_written

    def limited(fd, data):
        nonlocal left
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = plain(fd, data[: max(left, 1)])
        left -= written
        return written

    path = tmp_path / name
    kind = "page" if name == "page.html" else "regions"
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", limited)
        with pytest.raises(lv.OutputError, match=r"No space left on device.* Free space"):
            write(kind, path, img, mask)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def home(tmp_path, monkeypatch, img, mask):
    """The home folder, with some inputs."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    nib.save(img, folder / "run.nii.gz")
    nib.save(mask, folder / "mask.nii")
    np.savetxt(folder / "c.tsv", np.arange(7.0), header="a", comments="")
    (folder / "keep.txt").write_text("0\n1\n4\n5\n6\n")
    return folder


RUN, REGIONS = "~/run.nii.gz", ["--mask", "~/mask.nii"]
COMMANDS = {
    "mean": (["mean", RUN, "--output=~/o.nii"], ["o.nii"]),
    "slice": (["slice", RUN, "..., 0", "-o", "~/o.npy"], ["o.npy"]),
    "convert": (["convert", RUN, "~/o.nii"], ["o.nii"]),
    "concat": (["concat", RUN, RUN, "-o", "~/o.nii"], ["o.nii"]),
    "index": (["index", RUN, "--export=~/o.gzidx"], ["o.gzidx"]),
    "extract": (
        ["extract", RUN, *REGIONS, "-o", "~/o.npy", "--inverse=~/i.nii", "--sample-mask=~/keep.txt"],
        ["i.nii", "o.npy"],
    ),
    "confounds": (["extract", RUN, *REGIONS, "-o", "~/o.npy", "--confounds=~/c.tsv"], ["o.npy"]),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_home_folder_in_every_path_of_the_command_line(home, tmp_path, command):
    argv, written = COMMANDS[command]
    before = {one.name for one in home.iterdir()}
    assert run(argv) == 0
    assert written == sorted({one.name for one in home.iterdir()} - before)
    assert [one.name for one in tmp_path.iterdir()] == ["home"]


def test_the_home_folder_in_every_path_of_python(home):
    cleaned = lv.extract(RUN, "~/mask.nii", confounds="~/c.tsv", out="~/o.npy")
    assert Path(cleaned.path) == home / "o.npy"
    lv.save(lv.load(RUN), "~/o.nii")
    HtmlReport("<p>text</p>", "text").save_as_html("~/o.html")
    lv.index(RUN).export("~/o.gzidx")
    assert lv.LazyReadData("~/o.nii").data.shape == VALUES.shape
    assert {"o.npy", "o.nii", "o.html", "o.gzidx"} <= {one.name for one in home.iterdir()}


def test_the_home_of_a_user_who_does_not_exist_is_a_missing_file(home):
    with pytest.raises(lv.ImageNotFoundError, match="~nobody-here"):
        lv.load("~nobody-here/run.nii.gz")
    with pytest.raises(lv.OutputFolderError, match="~nobody-here"):
        lv.save(lv.load(RUN), "~nobody-here/run.nii.gz")


ANNEXED = {
    "mean": ["mean", RUN, "-o", "a.nii.gz", "--overwrite"],
    "convert": ["convert", RUN, "a.nii.gz", "--overwrite"],
    "slice": ["slice", RUN, "..., 0", "-o", "a.npy", "--overwrite"],
    "extract": ["extract", RUN, *REGIONS, "-o", "a.tsv", "--overwrite"],
    "inverse": ["extract", RUN, *REGIONS, "-o", "o.tsv", "--inverse", "a.nii", "--overwrite"],
    "index": ["index", RUN, "--export", "a.gzidx", "--overwrite"],
}


@pytest.mark.parametrize("command", ANNEXED)
@pytest.mark.parametrize("has_content", [True, False])
def test_commands_leave_annexed_objects_alone(home, tmp_path, annex, capsys, command, has_content):
    argv = ANNEXED[command]
    name = next(one for one in argv if one.startswith("a."))
    link, _ = linked(tmp_path, annex, name, has_content=has_content)
    assert run(argv) in {1, 2}
    assert f"`datalad unlock {name}`" in capsys.readouterr().err
    assert link.is_symlink()
    assert [one.read_bytes() for one in annex.iterdir()] == [OBJECT] * has_content
