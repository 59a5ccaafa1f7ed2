"""Chromium without a window, on this machine alone, and what it has to say of a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 60
"""Seconds until what a page is to show counts as missing."""
_OPTIONS = (
    "--headless=new",
    # Both are for containers: no user namespaces, little shared memory.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--window-size=1300,1000",
    # What a page asks of another host fails, and is on the console.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def missing_program() -> str | None:
    """Which of the programs a browser needs is not here; None where both are."""
    return next((name for name in ("chromium", "chromedriver") if not shutil.which(name)), None)


class Browser:
    """One window. What it waits for comes within `PATIENCE`, or TimeoutException is raised."""

    def __init__(self, driver: Chrome) -> None:
        """Take a driver that runs."""
        self.driver = driver

    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""
        self.driver.get(url)

    def all(self, css: str, inside: WebElement | None = None) -> list[WebElement]:
        """The elements that there are now."""
        return (inside or self.driver).find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str, inside: WebElement | None = None) -> WebElement:
        """The first such element, once there is one."""
        found: list[WebElement] = WebDriverWait(self.driver, PATIENCE).until(
            lambda _: self.all(css, inside)
        )
        return found[0]

    def click(self, element: WebElement) -> None:
        """Click, wherever on the page the element is."""
        self.driver.execute_script("arguments[0].click()", element)

    def complaints(self) -> list[str]:
        """What has come to the console since the last time: errors, breaches of the policy."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries]


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser for the length of the block."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in _OPTIONS:
        options.add_argument(option)
    with Chrome(options, Driver(str(shutil.which("chromedriver")))) as driver:
        driver.set_page_load_timeout(PATIENCE)
        yield Browser(driver)
