"""The page of the viewer in headless Chromium, served by `lazyvox view` as a person starts it."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DESKTOP, PHONE = (1400, 1000), (390, 844)
#: Rendering without a graphics card.
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
SHAPE, N_VOLUMES, T_R = (20, 24, 18), 40, 2.0
NAMES = {1: "Left", 2: "Right", 3: "<script>alert(1)</script>"}
#: Longer than anything takes on a loaded machine: who waits for it, waits for a fault.
PATIENCE_S = 60


def pytest_addoption(parser):
    parser.addoption("--screenshots", metavar="DIR", help="Write pictures of the page there.")


@dataclass(frozen=True)
class Run:
    """A run and what is shown with it, as files and as arrays."""

    folder: Path
    path: Path
    values: np.ndarray
    affine: np.ndarray
    labels: np.ndarray
    overlay: np.ndarray

    @property
    def options(self) -> list[str]:
        """Options of the command that show all of it."""
        names = {
            "overlay": "overlay.nii.gz",
            "atlas": "atlas.nii.gz",
            "lut": "atlas.tsv",
            "mask": "mask.nii.gz",
            "events": "events.tsv",
            "motion": "motion.par",
        }
        return [
            part for key, name in names.items() for part in (f"--{key}", str(self.folder / name))
        ]


def rotation(degrees: float) -> np.ndarray:
    """Return an affine that turns around two axes."""
    a, b = np.deg2rad(degrees), np.deg2rad(degrees / 2)
    around_z = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    around_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    return np.array(around_z) @ np.array(around_x)


AFFINES = {
    "RAS": np.diag([3.0, 3.0, 4.0]),
    "LAS": np.diag([-3.0, 3.0, 4.0]),
    "oblique": rotation(24) @ np.diag([3.0, 3.0, 4.0]),
    "PSR": np.array([[0.0, 0, 4], [-3, 0, 0], [0, 3, 0]]),
}


def make_run(folder: Path, orientation: str = "RAS") -> Run:
    """Write a run of a head whose halves have a course each, and what belongs to it."""
    rng = np.random.default_rng(15)
    matrix = AFFINES[orientation]
    affine = nibabel.affines.from_matvec(matrix, -matrix @ (np.array(SHAPE) / 2))
    i, j, k = np.indices(SHAPE)
    head = ((i - 9.5) / 8) ** 2 + ((j - 11.5) / 10) ** 2 + ((k - 8.5) / 7) ** 2 <= 1
    labels = np.where(head, 1 + (i >= 8) + (i >= 13), 0).astype(np.int16)
    waves = np.array([np.sin(np.arange(N_VOLUMES) / step) for step in (2, 3, 5)])
    values = 800 + 15 * i + 9 * j + 5 * k + rng.normal(scale=40, size=SHAPE)
    values = values[..., None] + 30 * waves[np.maximum(labels, 1) - 1]
    values = np.where(head[..., None], values + rng.normal(scale=9, size=(*SHAPE, N_VOLUMES)), 0)
    values = values.astype(np.float32)
    overlay = np.where(head, rng.normal(scale=2, size=SHAPE), 0).astype(np.float32)

    def save(name: str, array: np.ndarray) -> None:
        img = nibabel.Nifti1Image(array, affine)
        img.header.set_xyzt_units("mm", "sec")
        if array.ndim == 4:
            img.header["pixdim"][4] = T_R
        nibabel.save(img, folder / name)

    save("run.nii.gz", values)
    save("overlay.nii.gz", overlay)
    save("atlas.nii.gz", labels)
    save("mask.nii.gz", head.astype(np.uint8))
    rows = [f"{label}\t{name}" for label, name in NAMES.items()]
    (folder / "atlas.tsv").write_text("\n".join(["index\tname", *rows, ""]))
    events = [
        f"{onset}\t8\t{('face', 'house')[n % 2]}" for n, onset in enumerate(range(4, 72, 16))
    ]
    (folder / "events.tsv").write_text("\n".join(["onset\tduration\ttrial_type", *events, ""]))
    np.savetxt(folder / "motion.par", rng.normal(scale=0.002, size=(N_VOLUMES, 6)))
    return Run(folder, folder / "run.nii.gz", values, affine, labels, overlay)


@contextmanager
def viewer(*arguments: str | Path) -> Iterator[str]:
    """Run `lazyvox view` and hand out the address that it prints."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {**os.environ, "LAZYVOX_CACHE_DIR": str(folder / "cache")}
        command = [sys.executable, "-m", "lazyvox", "view", *map(str, arguments), "--no-browser"]
        errors = stack.enter_context((folder / "errors").open("w+"))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            errors.seek(0)
            assert url.startswith("http://127.0.0.1:"), errors.read()
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)


class Page:
    """A page in the browser. What is waited for is a condition, never a time."""

    def __init__(self, browser, url: str, resize) -> None:
        self.browser = browser
        self.url = url
        self._resize = resize

    def open(self) -> "Page":
        """Load the page, and wait until all that it shows by itself is there."""
        self.browser.get(self.url)
        self.wait("window.lazyvoxView?.state && lazyvoxView.isComplete")
        return self

    def run(self, script: str, *arguments):
        """Return what a script returns."""
        return self.browser.execute_script(script, *arguments)

    def wait(self, condition: str):
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self.run(f"return {condition}")):
            if time.monotonic() > end:
                faults = [entry["message"] for entry in self.browser.get_log("browser")]
                pytest.fail(f"{condition} did not become true; {faults}")
        return found

    @property
    def state(self) -> dict:
        """The page about itself."""
        return self.run("return lazyvoxView.state()")

    def find(self, name: str):
        """Return the element with this data-testid."""
        return self.browser.find_element("css selector", f'[data-testid="{name}"]')

    def text(self, name: str) -> str:
        """Return its text."""
        return self.find(name).text

    def set(self, name: str, value: float | str) -> None:
        """Give a control a value, as its user does."""
        self.run(
            "const [one, value] = arguments; one.value = value;"
            "for (const type of ['input', 'change']) one.dispatchEvent(new Event(type, {bubbles: true}));",
            self.find(name),
            str(value),
        )

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def click_plane(self, plane: str, across: float, up: float, *, is_shift: bool = False) -> None:
        """Click a plane, at shares of its width and height from its lower left corner."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        planes = self.find("planes")
        (tile,) = (one for one in self.state["planes"] if one["plane"] == plane)
        # Offsets are from the middle of the element, whose border is 1 pixel.
        x = 1 + tile["left"] + across * tile["width"] - planes.size["width"] / 2
        y = 1 + tile["top"] + (1 - up) * tile["height"] - planes.size["height"] / 2
        chain = ActionChains(self.browser).move_to_element_with_offset(planes, round(x), round(y))
        if is_shift:
            chain = chain.key_down(Keys.SHIFT).click().key_up(Keys.SHIFT)
        else:
            chain = chain.click()
        chain.perform()

    def show(self, t: int) -> None:
        """Show a volume and wait until it is there."""
        self.run("lazyvoxView.show(arguments[0])", t)
        self.wait(f"lazyvoxView.state().t === {t} && lazyvoxView.state().isSettled")

    def picture(self) -> np.ndarray:
        """Return the planes as they are on the screen, as (row, column, 3)."""
        from PIL import Image

        png = self.find("slices").screenshot_as_png
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def resize(self, size: tuple[int, int], *, is_phone: bool = False) -> None:
        """Give the window another size, and wait until the planes are laid out for it."""
        self._resize(self.browser, size, is_phone=is_phone)
        self.wait(f"innerWidth === {size[0]} && lazyvoxView.isLaidOut()")

    def faults(self) -> list[str]:
        """Return errors on the console since the last time."""
        log = self.browser.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


@pytest.fixture(scope="session")
def chromium():
    """Module that starts Chromium."""
    pytest.importorskip("selenium")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import chromium
    finally:
        sys.path.remove(str(ROOT / "tools"))
    chromium.install_chromium()
    return chromium


@pytest.fixture(scope="session")
def browser(chromium):
    """One browser for all tests."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = chromium.start(profile, DESKTOP, WEBGL)
        try:
            yield started
        finally:
            started.quit()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep indexes of viewers in this process out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def written():
    """Write a run of an orientation into a folder."""
    return make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """A run with all that can be shown with it."""
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def url(run) -> Iterator[str]:
    """Address of a viewer of all of it."""
    with viewer(run.path, *run.options) as address:
        yield address


@pytest.fixture
def open_page(browser, chromium) -> Callable[[str], Page]:
    """Open a page, and look afterwards whether there were errors on its console."""
    pages: list[Page] = []

    def call(address: str) -> Page:
        chromium.resize(browser, DESKTOP)
        browser.get_log("browser")
        pages.append(Page(browser, address, chromium.resize))
        return pages[-1].open()

    yield call
    faults = [fault for page in pages[-1:] for fault in page.faults()]
    browser.get("about:blank")
    assert faults == []


@pytest.fixture
def page(open_page, url) -> Page:
    """The page of the run."""
    return open_page(url)
