"""What doctests, documents and tests have in common."""

import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import nibabel
import numpy as np
import pytest
from _pytest.doctest import DoctestItem

# The same examples in every run; `make test-long` asks for more of them and for new ones.
hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("fixed")

SHAPE = (12, 14, 10)
N_VOLUMES = 40
REGION_NAMES = (
    "Background",
    "LeftFront",
    "RightFront",
    "LeftBack",
    "RightBack",
    "LeftFrontTop",
    "RightFrontTop",
    "LeftBackTop",
    "RightBackTop",
)


def _write_image(values: np.ndarray, path: Path) -> None:
    affine = nibabel.affines.from_matvec(np.diag([3.0, 3.0, 3.0]), [-16.5, -19.5, -13.5])
    img = nibabel.Nifti1Image(values, affine)
    img.header.set_xyzt_units("mm", "sec")
    if values.ndim == 4:
        img.header.set_zooms((3.0, 3.0, 3.0, 2.0))
    nibabel.save(img, path)


def _write_examples(folder: Path) -> None:
    """Write a run, three masks and an atlas with its table; all on one grid."""
    rng = np.random.default_rng(2001)
    i, j, k = np.indices(SHAPE)
    head = ((i - 5.5) / 5) ** 2 + ((j - 6.5) / 6) ** 2 + ((k - 4.5) / 4) ** 2 <= 1
    atlas = np.where(head, 1 + (i >= 6) + 2 * (j < 7) + 4 * (k >= 5), 0)
    wave = np.sin(np.arange(N_VOLUMES) / 4)
    run = head[..., None] * (1000 + 10 * atlas[..., None] * wave)
    run += head[..., None] * rng.normal(scale=5, size=(*SHAPE, N_VOLUMES))
    _write_image(run.astype(np.float32), folder / "run.nii.gz")
    _write_image(head.astype(np.uint8), folder / "mask.nii.gz")
    _write_image((head & (i < 6)).astype(np.uint8), folder / "left.nii.gz")
    _write_image((head & (i >= 6)).astype(np.uint8), folder / "right.nii.gz")
    _write_image(atlas.astype(np.int16), folder / "atlas.nii.gz")
    rows = [f"{label}\t{name}" for label, name in enumerate(REGION_NAMES)]
    (folder / "atlas.tsv").write_text("\n".join(["index\tname", *rows]) + "\n")


@pytest.fixture(scope="session")
def example_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the files that examples name. Shared: copy it before writing into it."""
    folder = tmp_path_factory.mktemp("examples")
    _write_examples(folder)
    return folder


@pytest.fixture
def example_folder(example_files: Path, tmp_path: Path) -> Path:
    """Folder of one test, with run, mask, left, right, atlas (.nii.gz) and atlas.tsv."""
    return Path(shutil.copytree(example_files, tmp_path / "examples"))


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep indexes of the files of tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _doctest_in_example_folder(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(request.getfixturevalue("example_folder"))


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace["np"] = np


@pytest.fixture(autouse=True)
def python_handles_interrupts() -> None:
    """Begin each test with Python's handler of SIGINT: a test that was interrupted may have lost it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
