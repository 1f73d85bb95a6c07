"""The page in a real browser: what a person does first must work. Needs Chromium; skips, and says so, without."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from ranlen import images
from ranlen.images import Photo

CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install it to test the page"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Open the page as a new visitor; at the end, nothing may have gone wrong or left the machine."""
    pages, complaints, strangers = [], [], []

    def visit(**options):
        page = browser.new_context(**options).new_page()
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: strangers.append(request.url) if foreign(request.url) else None)
        page.goto(server)
        page.wait_for_selector("#canvas canvas")
        return page

    def foreign(url):
        return not url.startswith((server.rstrip("/"), "data:", "blob:"))

    yield visit
    for page in pages:
        page.context.close()
    assert complaints == []
    assert strangers == []


@pytest.fixture
def photo(tmp_path) -> Path:
    """A dark photo of 300 x 400 with metadata."""
    y, x = np.mgrid[:300, :400]
    pixels = np.stack([30 + x / 8, 30 + y / 8, 40 + 0 * x], -1).astype(np.uint8)
    path = tmp_path / "evening.png"
    Photo(pixels).write(path)
    return path


def upload(page, path):
    page.set_input_files("#photo input[type=file]", path)
    page.wait_for_function("document.querySelector('.rl-empty').style.display === 'none'")


def click(page, x=0.5, y=0.5, tool="click", **options):
    """Click the photo, which fills the canvas, with a tool, and wait for the light."""
    page.click(f"[data-tool={tool}]")
    before = page.get_attribute("[data-of=ranlen]", "src")
    box = page.locator("#canvas canvas").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"], **options)
    changed(page, "[data-of=ranlen]", before)


def changed(page, selector, before):
    page.wait_for_function(
        "([s, b]) => { const v = document.querySelector(s).getAttribute('src'); return v && v !== b }",
        arg=[selector, before],
    )


def colour(page, x, y):
    """What the canvas shows at a place of the photo."""
    return page.evaluate(
        """([x, y]) => { const c = document.querySelector('#canvas canvas');
        return [...c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3) }""",
        [x, y],
    )


def test_a_click_lights_the_subject_and_saving_gives_the_file(visit, photo):
    page = visit(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    upload(page, photo)
    dark, corner = colour(page, 0.5, 0.5), colour(page, 0.03, 0.03)
    click(page)
    page.click("[data-act=overlay]")  # the light itself, without the areas over it
    assert sum(abs(a - b) for a, b in zip(colour(page, 0.5, 0.5), dark, strict=True)) > 10
    assert max(abs(a - b) for a, b in zip(colour(page, 0.03, 0.03), corner, strict=True)) <= 3  # JPEG

    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "evening_ranlen.png"
    before, after = images.read(photo).pixels, images.read(download.value.path()).pixels
    assert after.shape == before.shape
    assert (after[150, 200] != before[150, 200]).any()
    assert np.array_equal(after[:20, :20], before[:20, :20])


def test_clicks_find_a_subject_and_take_back_what_is_not_part_of_it(visit, tmp_path):
    pixels = np.full((300, 400, 3), (14, 16, 22), np.uint8)
    y, x = np.mgrid[:300, :400]
    for centre, colour_ in ((130, (70, 50, 30)), (270, (68, 52, 34))):
        pixels[(x - centre) ** 2 + (y - 150) ** 2 < 55**2] = colour_
    path = tmp_path / "balls.png"
    Photo(pixels).write(path)
    page = visit(viewport={"width": 1280, "height": 800})
    upload(page, path)
    box = page.locator("#canvas canvas").bounding_box()
    page.mouse.click(box["x"] + 0.325 * box["width"], box["y"] + 0.5 * box["height"])  # the first tool finds subjects
    changed(page, "[data-of=ranlen]", None)
    one = page.inner_text("#status")
    assert re.match(r"Area A [45]%", one)  # a ball is 7.9 % of the photo; half of the soft edge lies inside it
    click(page, 0.675, 0.5, tool="subject")
    two = page.inner_text("#status")
    assert re.match(r"Area A ([7-9]|10)%", two)
    page.focus("#canvas canvas")
    page.keyboard.press("Control+z")
    page.wait_for_function("text => document.querySelector('#status').innerText === text", arg=one)
    click(page, 0.675, 0.5, tool="other")
    assert re.match(r"Area A [45]%", page.inner_text("#status"))


def test_a_box_is_a_question_too_and_its_answer_has_parts(visit, photo):
    page = visit(viewport={"width": 1280, "height": 800})
    upload(page, photo)
    assert not page.is_visible(".rl-parts")
    page.click("[data-tool=frame]")
    box = page.locator("#canvas canvas").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    assert page.inner_text(".rl-hint") == "Drag a box around the subject"
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"])  # any corner first
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"], steps=5)
    page.mouse.up()
    changed(page, "[data-of=ranlen]", None)
    before = page.inner_text("#status")
    assert "Area A" in before
    page.click("[data-act=smaller]")
    page.wait_for_function("!document.querySelector('.rl-waiting')")
    page.click("[data-act=undo]")
    page.wait_for_function("!document.querySelector('.rl-waiting')")
    assert page.inner_text("#status") == before
    page.click("[data-act=undo]")
    page.wait_for_function("document.querySelector('.rl-strip.rl-full') === null")
    assert not page.is_visible(".rl-parts")


def test_the_degree_is_live_and_0_is_the_photo(visit, photo):
    page = visit(viewport={"width": 1280, "height": 800})
    upload(page, photo)
    dark = colour(page, 0.5, 0.5)
    click(page)
    before = page.get_attribute("[data-of=ranlen]", "src")
    page.fill("#degree input[type=number]", "0")
    page.press("#degree input[type=number]", "Enter")
    changed(page, "[data-of=ranlen]", before)
    page.click("[data-act=overlay]")
    page.wait_for_timeout(300)
    assert max(abs(a - b) for a, b in zip(colour(page, 0.5, 0.5), dark, strict=True)) <= 3


def test_brush_erase_undo_and_clear(visit, photo):
    page = visit(viewport={"width": 1280, "height": 800})
    upload(page, photo)
    page.click("[data-tool=brush]")
    box = page.locator("#canvas canvas").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=8)
    page.mouse.up()
    changed(page, "[data-of=ranlen]", None)
    painted = page.inner_text("#status")
    assert "Area A" in painted
    click(page, tool="erase")
    page.wait_for_function("text => document.querySelector('#status').innerText !== text", arg=painted)
    page.focus("#canvas canvas")
    page.keyboard.press("Control+z")
    page.wait_for_function("text => document.querySelector('#status').innerText === text", arg=painted)
    page.click("[data-act=clear]")
    page.wait_for_function("document.querySelector('.rl-strip.rl-full') === null")
    assert page.inner_text(".rl-hint") == "Click the subject"


def test_an_example_opens_and_another_network_lights_it(visit):
    page = visit(viewport={"width": 1280, "height": 800})
    page.click("#examples button >> nth=0")
    page.wait_for_function("document.querySelector('.rl-empty').style.display === 'none'")
    click(page)
    before = page.get_attribute("[data-of=ranlen]", "src")
    page.click("#backbone label >> nth=1")
    changed(page, "[data-of=ranlen]", before)


def test_a_file_that_is_no_photo_is_told_and_the_photo_stays(visit, photo, tmp_path):
    page = visit(viewport={"width": 1280, "height": 800})
    upload(page, photo)
    click(page)
    (tmp_path / "fake.png").write_bytes(b"this is no photo")
    page.set_input_files("#photo input[type=file]", tmp_path / "fake.png")
    page.wait_for_selector("text=not an image of a known kind")
    click(page, 0.4, 0.4)


def test_on_a_phone_a_tap_lights_the_subject(visit, photo):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    upload(page, photo)
    canvas = page.locator("#canvas canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    changed(page, "[data-of=ranlen]", None)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in page.query_selector_all(".rl-bar button, .rl-parts button"):
        assert button.bounding_box()["height"] >= 44


def test_visitors_see_only_their_own_photo(visit, photo, tmp_path):
    other = tmp_path / "other.png"
    Photo(np.full((200, 200, 3), (10, 20, 90), np.uint8)).write(other)
    first, second = visit(), visit()
    upload(first, photo)
    upload(second, other)
    click(first)
    click(second)
    first.click("[data-act=overlay]")
    second.click("[data-act=overlay]")
    red, _, blue = colour(second, 0.5, 0.03)
    assert blue > 60 > red
    red, _, blue = colour(first, 0.5, 0.03)
    assert blue < 60
    assert first.inner_text("#status") != second.inner_text("#status")
