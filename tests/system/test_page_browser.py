"""The page in a real browser: what people see, with keyboard, without script, on a phone.

Screenshots of each kind of page are left in build/screenshots/ to be looked at.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.system.page_site import Site

SHOTS = Path(__file__).parents[2] / "build/screenshots"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1280,900",
)  # fmt: skip
DESKTOP, PHONE = (1280, 900), (390, 844)
WAIT = 15
PATHS = (
    "/", "/ports", "/networks", "/vrfs", "/vrfs/2", "/vrfs/2/route?prefix=20.0.0.0%2F24", "/flows",
    "/access-lists", "/datapath", "/datapath/nexthop", "/datapath/nexthop/17", "/controllers",
    "/topology", "/explain?source=10.1.1.3&destination=10.2.2.3&protocol=tcp&destination_port=8081",
    "/search?q=10.1.1.3",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed: tools/system-packages test",
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(WAIT)
    yield driver
    driver.quit()


class Person:
    """Somebody with a browser at the site."""

    def __init__(self, driver: webdriver.Chrome, site: Site) -> None:
        self.driver = driver
        self.site = site

    def go(self, path: str) -> None:
        self.driver.get(self.site.url + path)

    def command(self, name: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, values)

    def look(self, *, dark: bool = False, size: tuple[int, int] = DESKTOP) -> None:
        """Choose dark or light, and the size of the window."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0], height=size[1], deviceScaleFactor=1, mobile=size == PHONE,
        )  # fmt: skip

    def script(self, *, allowed: bool) -> None:
        self.command("Emulation.setScriptExecutionDisabled", value=not allowed)

    def element(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def elements(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def evaluate(self, expression: str) -> Any:
        """What an expression gives; also where the scripts of pages are switched off."""
        found = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def shoot(self, name: str) -> None:
        """The whole page as a picture."""
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        SHOTS.mkdir(parents=True, exist_ok=True)
        (SHOTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """What the browser logged since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """Where the browser asked since the last call."""
        asked = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.add(message["params"]["request"]["url"])
        return asked


@pytest.fixture
def person(chromium: webdriver.Chrome, site: Site) -> Iterator[Person]:
    made = Person(chromium, site)
    made.script(allowed=True)
    made.look()
    made.complaints()
    made.requests()
    yield made
    made.script(allowed=True)


def test_pages_load_without_errors_and_ask_nobody_else(person: Person) -> None:
    for path in (*PATHS, person.site.port("red1")):
        person.go(path)
        assert person.element("h1").is_displayed(), path
    assert person.complaints() == []
    asked = person.requests()
    assert {url for url in asked if not url.startswith(person.site.url)} == set()
    assert f"{person.site.url}/static/page.js" in asked


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_wider_than_a_phone(person: Person, path: str) -> None:
    person.look(size=PHONE)
    person.go(path)
    assert person.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    hidden = ".drawing, .unseen, thead"
    wide = f"""[...document.querySelectorAll("main *")]
        .filter(one => !one.closest("{hidden}"))
        .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
        .map(one => one.outerHTML)[0]"""
    assert person.evaluate(wide) is None


def test_the_search_box_leads_to_a_port(person: Person) -> None:
    person.go("/")
    box = person.element("input[type=search]")
    box.send_keys("10.1.1.3", Keys.ENTER)
    WebDriverWait(person.driver, WAIT).until(lambda _: "/search" in person.driver.current_url)
    assert person.element("input[type=search]").get_attribute("value") == "10.1.1.3"
    titles = [one.text for one in person.elements("h2")]
    assert titles == ["Ports", "Routes to 10.1.1.3", "Flows"]
    person.driver.find_element(By.LINK_TEXT, "red1").click()
    assert person.element("h1").text.startswith("red1")


def test_a_port_shows_counters_routes_policy_flows_and_its_chain(person: Person) -> None:
    person.go(person.site.port("red1"))
    assert "3,000" in person.element("#counters table").text
    assert "10.1.1.3/32" in person.element("#routes table").text
    assert "deny" in person.element("#policy").text
    assert len(person.elements("#flows tbody tr")) == 4
    assert "dropped: denied by network policy" in person.element("#flows").text
    chain = person.element("#chain .tree")
    assert "nexthop 17" in chain.text
    assert "10.1.1.3/32" in chain.text


def test_what_is_wrong_is_on_the_first_page(person: Person) -> None:
    person.go("/")
    first = person.element("#ports tbody tr")
    assert "blue2" in first.text
    assert "not active" in first.text
    problems = person.element("#problems").text
    assert "40.0.0.0/24" in problems
    assert "ENOSPC" in problems


def test_the_keyboard_alone_reaches_everything(person: Person) -> None:
    person.go("/")
    person.press(Keys.TAB)
    active = person.driver.switch_to.active_element
    assert active.text == "Skip to the content"
    assert active.rect["y"] >= 0
    person.press(Keys.ENTER, Keys.TAB)
    inside = "document.querySelector('main').contains(document.activeElement)"
    assert person.evaluate(inside) is True
    visible = "getComputedStyle(document.activeElement).outlineStyle"
    assert person.evaluate(visible) == "solid"
    person.go("/")
    person.press(Keys.TAB, Keys.TAB, Keys.TAB)
    assert person.evaluate("document.activeElement.id") == "q"
    person.press("red1", Keys.ENTER)
    WebDriverWait(person.driver, WAIT).until(lambda _: "/search" in person.driver.current_url)
    for _ in range(40):
        person.press(Keys.TAB)
        if person.driver.switch_to.active_element.text == "red1":
            break
    person.press(Keys.ENTER)
    WebDriverWait(person.driver, WAIT).until(lambda _: "/ports/" in person.driver.current_url)


def test_what_can_be_scrolled_is_a_stop_for_the_keyboard(person: Person) -> None:
    person.go("/topology")
    stops = "[...document.querySelectorAll('.scroll')].map(one => one.tabIndex)"
    assert set(person.evaluate(stops)) == {-1}
    person.look(size=PHONE)
    person.go("/topology")
    assert person.element(".drawing").get_attribute("tabIndex") == "0"
    person.script(allowed=False)
    person.go("/ports")
    assert person.element(".scroll").get_attribute("tabindex") == "0"


def test_pages_work_without_script(person: Person) -> None:
    person.script(allowed=False)
    person.go("/")
    assert re.match("M[0-9]", str(person.element("path.line").get_attribute("d")))
    person.element("input[type=search]").send_keys("blue", Keys.ENTER)
    WebDriverWait(person.driver, WAIT).until(lambda _: "/search" in person.driver.current_url)
    assert person.element("h1").text == "Search: blue"
    person.go("/vrfs/2?filter=30.0.0.0/8")
    person.driver.find_element(By.PARTIAL_LINK_TEXT, "Next routes").click()
    assert person.element("tbody th").text == "30.0.50.0/24"


def test_plots_are_drawn_anew_while_the_page_is_open(person: Person) -> None:
    person.go("/")
    before = person.element("[data-plot=packets] path.line").get_attribute("d")
    person.site.call(lambda: person.site.world.traffic(3))

    def changed(_: object) -> bool:
        return person.element("[data-plot=packets] path.line").get_attribute("d") != before

    WebDriverWait(person.driver, WAIT).until(changed)
    assert "from VMs" in str(
        person.element("[data-plot=packets] .summary").get_attribute("textContent")
    )
    assert person.complaints() == []


def test_colours_follow_the_system(person: Person) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    person.go("/")
    light = person.evaluate(back)
    person.look(dark=True)
    dark = person.evaluate(back)
    assert sum(map(int, re.findall(r"\d+", light))) > 600
    assert sum(map(int, re.findall(r"\d+", dark))) < 150


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pictures_to_look_at(person: Person, dark: bool) -> None:
    port = person.site.port("red1")
    for name, path in (("overview", "/"), ("port", port), ("topology", "/topology")):
        for size, kind in ((DESKTOP, "desktop"), (PHONE, "phone")):
            person.look(dark=dark, size=size)
            person.go(path)
            shown = f"{name}-{kind}-{'dark' if dark else 'light'}"
            person.shoot(shown)
            assert (SHOTS / f"{shown}.png").stat().st_size > 10_000
