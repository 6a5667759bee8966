"""Take the pictures of docs/guides/page.md: `python -m tests.browser.screenshots`. Needs Chromium."""

import io
import re
import signal
import subprocess
from pathlib import Path

from PIL import Image
from tests.browser.chromium import launched
from tests.paths import PROGRAM, ROOT
from tests.unit.ui.work_documents import work_id
from tests.unit.ui.work_server import KNOWN_ISCC, serving

FOLDER = ROOT / "docs/guides/page"
DESKTOP, PHONE = {"width": 1100, "height": 760}, {"width": 390, "height": 780}
MAX_BYTES = 150_000


def main():
    FOLDER.mkdir(exist_ok=True)
    command = [PROGRAM, "ui", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, launched() as browser:
        link = re.search(r"http://\S+", process.stdout.readline())[0]
        desktop = opened(browser, link, viewport=DESKTOP, locale="en-GB")
        take(desktop, "verify-desktop")
        desktop.goto(link.partition("/open/")[0] + "/demo")
        take(desktop, "demo-desktop")
        answered(desktop, 7)
        take(desktop, "answer-desktop")
        phone = opened(browser, link, viewport=PHONE, locale="fr-FR", color_scheme="dark")
        phone.goto(link.partition("/open/")[0] + "/demo")
        answered(phone, 4)
        phone.check("input[name=field][value=proof]")
        phone.locator("form button.primary").click()
        phone.wait_for_selector(".verdict[data-outcome=refused]")
        take(phone, "refused-phone")
        process.send_signal(signal.SIGINT)
        works(browser)


def works(browser):
    """A work on a desktop, and a look-up on a phone; what the server says is recorded."""
    with serving() as server:
        command = [PROGRAM, "ui", "--listen", "127.0.0.1:0", "--server", server.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            link = re.search(r"http://\S+", process.stdout.readline())[0]
            base = link.partition("/open/")[0]
            desktop = opened(browser, link, viewport=DESKTOP, locale="en-GB")
            desktop.goto(f"{base}/works/{work_id(1)}")
            take(desktop, "work-desktop")
            desktop.locator("#lineage").evaluate("heading => heading.scrollIntoView()")
            take(desktop, "lineage-desktop")
            phone = opened(browser, link, viewport=PHONE, locale="fr-FR", color_scheme="dark")
            phone.goto(f"{base}/works/look-up?code={KNOWN_ISCC}&subject=dns:acme.example&commercial=on")
            take(phone, "look-up-phone")
            process.send_signal(signal.SIGINT)


def opened(browser, link, **options):
    page = browser.new_context(**options).new_page()
    page.goto(link)
    return page


def answered(page, digit):
    page.check(f"input[name=sample][value='{digit}']")
    page.locator("form.card button.primary").click()
    page.wait_for_selector(".verdict", timeout=120_000)


def take(page, name):
    """The window as a picture of 128 colours, which keeps it small."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128)
    path = Path(FOLDER / f"{name}.png")
    picture.save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES, f"{path} is too large"


if __name__ == "__main__":
    main()
