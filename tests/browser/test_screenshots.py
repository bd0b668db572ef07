"""Pictures for the guide, of the run of the demo; written where `--screenshots DIR` is given."""

import io
from pathlib import Path

import nibabel
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.demo.example import write_example
from lazyvox.image import smooth_img

pytestmark = pytest.mark.browser

ENTER = "\ue007"


@pytest.fixture
def screenshots(request) -> Path:
    """Folder of the pictures."""
    folder = request.config.getoption("--screenshots", default=None)
    if folder is None:
        pytest.skip("writes pictures where --screenshots says")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture
def files(tmp_path, screenshots):
    """A run of 200 volumes, with a map of one network, events and motion."""
    files = write_example(tmp_path, n_volumes=200)
    seed_map = lv.seed_map(files.run, files.regions[0], mask_img=files.mask)
    nibabel.save(seed_map, tmp_path / "network.nii.gz")
    rows = [
        f"{onset}\t15\t{('rest', 'task')[n % 2]}" for n, onset in enumerate(range(10, 380, 30))
    ]
    (tmp_path / "events.tsv").write_text("\n".join(["onset\tduration\ttrial_type", *rows, ""]))
    rng = np.random.default_rng(3)
    motion = np.cumsum(rng.normal(scale=[0.0004] * 3 + [0.02] * 3, size=(200, 6)), axis=0)
    motion[71:, 3:] += 0.6
    np.savetxt(tmp_path / "motion.par", motion)
    return files


def options(files, tmp_path):
    """Options of a viewer that shows all that belongs to the run."""
    return {
        "atlas": files.atlas,
        "lut": files.lut,
        "mask_img": files.mask,
        "events": str(tmp_path / "events.tsv"),
        "motion": str(tmp_path / "motion.par"),
        "open_browser": False,
    }


def middle(path):
    """Return the voxel of a mask that is nearest to its centre."""
    voxels = np.argwhere(np.asarray(lv.load(path).dataobj))
    return voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))].tolist()


def save(browser, path):
    """Write the content of the window."""
    from PIL import Image

    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture.save(path, optimize=True)
    assert path.stat().st_size < 200_000


def test_pictures(open_page, files, tmp_path, screenshots):
    network = str(tmp_path / "network.nii.gz")
    with lv.view(files.run, overlays=network, **options(files, tmp_path)) as view:
        page = open_page(view.url)
        page.wait("document.querySelector('#carpet img').naturalWidth")
        page.show(60)
        page.set("overlay-threshold", 0.25)
        page.run("lazyvoxView.moveTo(arguments[0])", middle(files.regions[0]))
        page.press(ENTER)
        page.wait("lazyvoxView.state().series")
        page.find("percent").click()
        page.resize((1400, 1120))
        page.run("document.activeElement.blur(); scrollTo(0, 0)")
        save(page.browser, screenshots / "viewer.png")
        page.resize((390, 844), is_phone=True)
        page.run("scrollTo(0, 0)")
        save(page.browser, screenshots / "viewer-phone.png")


def test_picture_of_a_correlation(open_page, files, tmp_path, screenshots):
    smooth = smooth_img(files.run, 6)
    with lv.view(smooth, **options(files, tmp_path)) as view:
        page = open_page(view.url)
        page.press("o")
        page.run("lazyvoxView.moveTo(arguments[0])", middle(files.regions[0]))
        page.press(ENTER)
        page.wait("lazyvoxView.state().series")
        page.press("c")
        page.wait("lazyvoxView.state().overlays.length === 1")
        page.wait("document.querySelector('#carpet img').naturalWidth")
        page.find("percent").click()
        page.resize((1400, 760))
        page.run("document.activeElement.blur(); scrollTo(0, 0)")
        save(page.browser, screenshots / "viewer-correlation.png")


def test_picture_of_a_report(browser, chromium, files, tmp_path, screenshots):
    report = lv.qc_report(
        files.run,
        mask_img=files.mask,
        labels_img=files.atlas,
        lut=files.lut,
        motion=str(tmp_path / "motion.par"),
    )
    report.save_as_html(tmp_path / "report.html")
    chromium.resize(browser, (1100, 920))
    browser.get((tmp_path / "report.html").as_uri())
    browser.execute_script("document.querySelector('h2').scrollIntoView()")
    save(browser, screenshots / "report.png")
    browser.get("about:blank")
