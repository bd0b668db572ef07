"""Headless Chromium with its driver, for what looks at pages: tools/check-site and tests/browser."""

import shutil
import subprocess
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

__all__ = ["install_chromium", "resize", "start"]

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PACKAGES = ("chromium", "chromium-driver")


def install_chromium() -> None:
    """Install Chromium and its driver from Debian's packages where they are missing."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    if not shutil.which("apt-get"):
        sys.exit("chromium and chromedriver, of the same version, must be on the PATH.")
    sudo = ["sudo"] if shutil.which("sudo") else []
    for command in (["update", "-qq"], ["install", "-y", "-qq", *PACKAGES]):
        if subprocess.run([*sudo, "apt-get", *command], check=False).returncode:
            sys.exit(f"Install {' and '.join(PACKAGES)}: apt-get did not.")


def start(profile: str, size: tuple[int, int], flags: tuple[str, ...] = ()) -> webdriver.Chrome:
    """Return a browser whose window has this size, also below what a window may have.

    Parameters
    ----------
    profile : str
        An empty folder for its settings.
    size : tuple of int of length 2
        Width and height in pixels.
    flags : tuple of str
        Further flags of the command line.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    resize(browser, size)
    return browser


def resize(browser: webdriver.Chrome, size: tuple[int, int], *, is_phone: bool = False) -> None:
    """Give the window another size."""
    metrics = {
        "width": size[0],
        "height": size[1],
        "deviceScaleFactor": 1,
        "mobile": is_phone,
    }
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
