"""The page of the viewer in headless Chromium: a first image of 20 GB, and from a wish to pixels of 0.9 GB.

    python benchmarks/viewer_page.py [--folder FOLDER] [--quick]

Slices are rendered without a graphics card, by SwiftShader, and what is measured ends when it is done. The
first image is counted from the address that `lazyvox view` prints, the start of the page included; the browser
runs already, with a new profile. Needs selenium, Chromium and its driver, and what `make viewer` fetches.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from figures import Figures
from reference import options_of, parser_of, reference_of
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait
from viewer import N_VOLUMES, N_VOLUMES_QUICK, make_long, viewer_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from chromium import start

WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
FIRST_BOUND_S, VOLUME_BOUND_MS = 1.5, 60
N_READS = 60
#: Longer than any step takes.
PATIENCE_S = 300
TIME_TO = """
const [numbers, done] = arguments;
(async () => {
  const all = [];
  for (const t of numbers) all.push(await lazyvoxView.timeTo(t));
  done(all);
})();"""


def wait(browser: webdriver.Chrome, condition: str) -> None:
    """Wait until an expression is true."""
    script = f"return {condition}"
    WebDriverWait(browser, PATIENCE_S, 0.01).until(lambda one: one.execute_script(script))


def first_image(browser: webdriver.Chrome, url: str) -> float:
    """Return the seconds until a page shows the first volume."""
    began = time.time()
    browser.get(url)
    wait(browser, "window.lazyvoxView?.state && lazyvoxView.isComplete")
    mark = "performance.getEntriesByName('first-image')[0].startTime"
    return float(browser.execute_script(f"return performance.timeOrigin + {mark}")) / 1000 - began


def seconds_of(browser: webdriver.Chrome, key: str, condition: str) -> float:
    """Return the seconds from a key to what it leads to."""
    began = time.perf_counter()
    browser.find_element("id", "planes").send_keys(key)
    wait(browser, condition)
    return time.perf_counter() - began


def measure_first(browser: webdriver.Chrome, name: str, path: str, figures: Figures) -> None:
    """Print what a person waits for who opens a run that has no index."""
    with tempfile.TemporaryDirectory() as cache, viewer_of(path, cache) as viewer:
        seconds = first_image(browser, viewer.url)
        figures.row(
            f"view: first image of {name}, no index",
            f"{seconds:.2f} s",
            f"{FIRST_BOUND_S} s",
            is_held=seconds <= FIRST_BOUND_S,
        )
        browser.get("about:blank")


def measure(browser: webdriver.Chrome, path: str, figures: Figures) -> None:
    """Print what a person waits for."""
    with tempfile.TemporaryDirectory() as cache:
        with viewer_of(path, cache) as viewer:
            browser.get(viewer.url)
            wait(browser, "document.querySelector('#carpet img')?.naturalWidth > 0")
            browser.get("about:blank")
        with viewer_of(path, cache) as viewer:
            print(f"first image, indexed: {first_image(browser, viewer.url):.2f} s")
            wait(browser, "document.querySelector('#carpet img').naturalWidth > 0")
            browser.set_script_timeout(PATIENCE_S)
            length = int(browser.execute_script("return document.getElementById('timeline').max"))
            numbers = random.Random(0).sample(range(length), min(N_READS, length))
            following = list(range(10, 10 + len(numbers)))
            for name, wished in (("any volume", numbers), ("next volume", following)):
                times = sorted(browser.execute_async_script(TIME_TO, wished))
                median, late = statistics.median(times), times[int(0.9 * len(times))]
                figures.row(
                    f"view: {name}, request to pixels",
                    f"{median:.0f} ms, 90 % {late:.0f} ms",
                    f"{VOLUME_BOUND_MS} ms",
                    is_held=median <= VOLUME_BOUND_MS,
                )
            shown = seconds_of(browser, "\ue007", "lazyvoxView.state().series !== null")
            print(f"series of a voxel: {shown:.2f} s")
            shown = seconds_of(browser, "c", "lazyvoxView.state().overlays.length > 0")
            print(f"correlations of a voxel: {shown:.2f} s")


def main() -> None:
    """Make the runs, and measure."""
    options = options_of(parser_of(__doc__ or "", n_runs=1))
    reference = reference_of(options)
    long_run = make_long(options.folder, N_VOLUMES_QUICK if options.quick else N_VOLUMES)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = start(profile, (1400, 1000), WEBGL)
        try:
            figures = Figures(options.figures)
            # The first has the start of the browser's own parts in it.
            measure_first(browser, "20 GB", long_run, figures)
            measure_first(browser, "0.9 GB", reference.run, figures)
            measure(browser, reference.run, figures)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
