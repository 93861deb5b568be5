"""Looks at the live page in Debian's Chromium, as somebody does who sits before it.

    page.py BASE SENSOR DIRECTORY

BASE is the page's address, SENSOR one that reports, DIRECTORY takes screenshots. Visits every page in both themes and at
two sizes, checks that nothing is written to the console, that nothing is wider than the window, that axe finds nothing
serious, that figures change by themselves, that a search and a sort do what they say, that links and keys lead where they
should, and that what comes out of a topic stays text. Waits for lines on standard input: "lost" and "back" check what the
page says when its server has gone and has come back. Prints a line of JSON after each part.
"""

import json
import sys
import time
from pathlib import Path

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
]
# A size that the window of a headless browser cannot have is emulated.
SIZES = {"wide": (1280, 900, False), "phone": (390, 844, True)}


def browser():
    options = Options()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(PATIENCE)
    return driver


def wait(driver, what, ask):
    """Waits until `ask` has an answer."""
    def quietly(_):
        try:
            return ask()
        except Exception:
            return None
    return WebDriverWait(driver, PATIENCE, poll_frequency=0.05).until(quietly, what)


def look(driver, theme, size):
    width, height, mobile = SIZES[size]
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                           {"features": [{"name": "prefers-color-scheme", "value": theme}]})


def text(driver, selector="main"):
    return driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def serious(driver):
    axe = Axe(driver)
    axe.inject()
    found = axe.run()["violations"]
    return [f"{it['id']}: {it['nodes'][0]['html'][:120]}" for it in found if it["impact"] in ("serious", "critical")]


def visit_all(driver, base, sensor, directory):
    pages = {
        "overview": ("/", "Most urgent alarms"), "sensors": ("/sensors", sensor), "sensor": (f"/sensors/{sensor}", "Usually every"),
        "alarms": ("/alarms", "Because"), "topics": ("/topics", "Read by"), "topic": ("/topics/sensor-data", "looked at in"),
        "groups": ("/groups", "Consumer groups"), "dead-letters": ("/dead-letters", "By reason"),
    }
    wrong, seen = [], 0
    for name, (path, expected) in pages.items():
        for theme in ("light", "dark"):
            for size in SIZES:
                look(driver, theme, size)
                driver.get(base + path)
                wait(driver, f"{expected!r} on {path}", lambda: expected in text(driver))
                wait(driver, "a live connection", lambda: "live" in text(driver, "#connection"))
                wide = driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wide > 0:
                    wrong.append(f"{path} {size}: {wide} pixels too wide")
                if size == "wide":
                    wrong += [f"{path} {theme}: {it}" for it in serious(driver)]
                driver.save_screenshot(str(directory / f"{name}-{theme}-{size}.png"))
                wrong += [f"{path}: {entry['message']}" for entry in driver.get_log("browser")]
                seen += 1
    look(driver, "light", "wide")
    return {"pages": seen, "wrong": wrong}


def first_paint(driver, base):
    driver.get(base + "/")
    wait(driver, "figures", lambda: "/s" in text(driver))
    return driver.execute_script(
        "const paint = performance.getEntriesByName('first-contentful-paint')[0];"
        "const bytes = performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        "  .filter(it => !it.name.includes('/stream')).reduce((sum, it) => sum + it.transferSize, 0);"
        "return {first_paint_ms: paint ? paint.startTime : null, bytes}")


def live(driver, base):
    driver.get(base + "/")
    total = lambda: int("".join(filter(str.isdigit, text(driver, ".grid .note"))))
    before = wait(driver, "a count", lambda: total() or None)
    after = wait(driver, "a larger count", lambda: total() if total() > before else None)
    return {"before": before, "after": after}


def use(driver, base, sensor):
    driver.get(base + "/")
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys("g", "s")
    wait(driver, "the sensors by the keyboard", lambda: driver.current_url.endswith("/sensors"))
    wait(driver, "sensors", lambda: sensor in text(driver))
    driver.find_element(By.TAG_NAME, "body").send_keys("/")
    field = driver.switch_to.active_element
    field.send_keys(sensor)
    wait(driver, "one sensor", lambda: "of 1" in text(driver, ".tools"))
    address = driver.current_url
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    wait(driver, "all sensors", lambda: "1 to 1 of 1" not in text(driver, ".tools"))
    driver.get(address)
    wait(driver, "the same by its address", lambda: "1 to 1 of 1" in text(driver, ".tools"))
    driver.get(base + "/sensors")
    wait(driver, "sensors", lambda: sensor in text(driver))
    driver.find_element(By.XPATH, "//th//button[contains(., 'Temperature')]").click()
    cells = lambda: [float(it.split(" ")[0]) for it in driver.execute_script(
        "return [...document.querySelectorAll('tbody tr td:nth-child(3)')].map(it => it.innerText)") if it[0] != "–"]
    wait(driver, "the warmest first", lambda: len(cells()) > 3 and cells() == sorted(cells(), reverse=True))
    driver.find_element(By.LINK_TEXT, sensor).click()
    wait(driver, "a chart", lambda: len(driver.find_element(By.CSS_SELECTOR, ".chart path").get_attribute("d")) > 50)
    driver.back()
    wait(driver, "the list again", lambda: "Search sensors" in driver.page_source or "sensors" in driver.current_url)
    driver.get(base + "/topics/sensor-data?from=oldest&search=" + sensor)
    wait(driver, "messages and partitions", lambda: "looked at in" in text(driver) and "In sync" in text(driver))
    driver.find_element(By.CSS_SELECTOR, "details summary").click()
    wait(driver, "the message", lambda: sensor in text(driver, "details[open] pre"))
    return {"used": True}


def hostile(driver, base):
    """A sensor whose id is a script: it is shown, and does not run."""
    name = "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
    driver.get(base + "/sensors")
    wait(driver, "the hostile sensor", lambda: name in text(driver))
    driver.find_element(By.LINK_TEXT, name).click()
    wait(driver, "its page", lambda: text(driver, "h1") == name)
    wait(driver, "its figures", lambda: "Usually every" in text(driver))
    return {"title": driver.title.replace(name, "NAME"), "scripts": len(driver.find_elements(By.TAG_NAME, "script")),
            "images": len(driver.find_elements(By.TAG_NAME, "img"))}


def main():
    base, sensor, directory = sys.argv[1].rstrip("/"), sys.argv[2], Path(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    driver = browser()
    try:
        parts = {
            "paint": lambda: first_paint(driver, base), "visit": lambda: visit_all(driver, base, sensor, directory),
            "live": lambda: live(driver, base), "use": lambda: use(driver, base, sensor), "hostile": lambda: hostile(driver, base),
        }
        for name, part in parts.items():
            print(json.dumps({"part": name, **part()}), flush=True)
        driver.get(base + "/")
        wait(driver, "a live connection", lambda: "live" in text(driver, "#connection"))
        print(json.dumps({"part": "ready"}), flush=True)
        for line in sys.stdin:
            expected = {"lost": "stale", "back": "live"}[line.strip()]
            began = time.monotonic()
            wait(driver, line.strip(), lambda: expected in text(driver, "#connection"))
            print(json.dumps({"part": line.strip(), "seconds": time.monotonic() - began, "text": text(driver, ".grid")[:40]}), flush=True)
    finally:
        driver.quit()


main()
