"""A visitor's hands on the page, for tests in a real browser."""

from __future__ import annotations

import base64
import shutil

import numpy as np
import pytest

CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# What the tests of the page are marked with: they need Chromium; without, they skip and say so.
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install it to test the page"),
]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
# How far the bar at the bottom goes.
SHARE = "getComputedStyle(document.querySelector('.rl-busy')).getPropertyValue('--share')"
EDITOR = "document.querySelector('.rl-there').ranlen"


def upload(page, path):
    """Open a photo, whatever becomes of the one before, and wait until it is on the screen."""
    before = page.inner_text(".rl-name") if page.is_visible(".rl-name") else ""
    page.set_input_files("#photo", path)
    if page.is_visible(".rl-ask"):
        page.click(".rl-ask >> text=Go on without saving")
    page.wait_for_function(
        "b => document.querySelector('.rl-app').dataset.view === 'select' && "
        "document.querySelector('.rl-name').textContent !== b",
        arg=before,
    )


def idle(page):
    """Wait until nothing is being worked on."""
    page.wait_for_timeout(50)
    page.wait_for_function("!document.querySelector('.rl-waiting, .rl-saving')", timeout=60_000)


def exact(page, act):
    """Do something after which the server sends its own picture, and wait for that."""
    page.evaluate(
        "() => { window.exact = new Promise((done, fail) => {"
        "setTimeout(() => fail(Error('no exact picture came')), 30000);"
        "document.querySelector('.rl-there').addEventListener('exact', done, { once: true }); }) }"
    )
    act()
    page.evaluate("window.exact.then(() => 1)")


def place(page, x, y):
    """Where on the screen a place of the photo lies."""
    return page.evaluate(f"([x, y]) => {EDITOR}.place(x, y)", [x, y])


def click(page, x=0.5, y=0.5, tool="circle", **options):
    """Click the photo with a tool and wait for the light."""
    page.click(f"[data-tool={tool}]")
    page.mouse.click(*place(page, x, y), **options)
    idle(page)


def drag(page, *points, tool=None, steps=6, drop=True):
    """Press at the first place of the photo, move over the others, let go."""
    if tool:
        page.click(f"[data-tool={tool}]")
    page.mouse.move(*place(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(page, *point), steps=steps)
    if drop:
        page.mouse.up()
        idle(page)


def pixels(page):
    """The lit photo as the page has it, (H, W, 3)."""
    data, width = page.evaluate(
        f"() => {{ const p = {EDITOR}.pixels(), s = {EDITOR}.width(); let t = '';"
        "for (let i = 0; i < p.length; i += 32768) t += String.fromCharCode(...p.subarray(i, i + 32768));"
        "return [btoa(t), s]; }"
    )
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(-1, width, 4)[..., :3].astype(int)


def shares(page):
    """What the page says of the areas' sizes."""
    return page.inner_text(".rl-shares")


def save(page, selector="#save"):
    with page.expect_download() as download:
        page.click(selector)
    idle(page)
    return download.value
