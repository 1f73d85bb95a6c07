"""The page in a real browser: what a person does must work. Needs Chromium; skips, and says so, without."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ranlen import cli, images
from ranlen.images import Photo
from tests.browser import CHROMIUM, FLAGS, click, drag, exact, idle, pixels, place, shares, upload

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install it to test the page"),
]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


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
        page = browser.new_context(**{"viewport": DESKTOP, **options}).new_page()
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: strangers.append(request.url) if foreign(request.url) else None)
        page.goto(server)
        page.wait_for_selector(".rl-there")
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
    """A dark photo of 300 x 400 with a colour profile and EXIF."""
    y, x = np.mgrid[:300, :400]
    pixels = np.stack([30 + x / 8, 30 + y / 8, 40 + 0 * x], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "evening.png"
    Photo(pixels, icc=profile, exif=exif.tobytes()).write(path)
    return path


@pytest.fixture
def balls(tmp_path) -> Path:
    """Two light balls in the dark."""
    pixels = np.full((300, 400, 3), (14, 16, 22), np.uint8)
    y, x = np.mgrid[:300, :400]
    for centre, colour in ((130, (70, 50, 30)), (270, (68, 52, 34))):
        pixels[(x - centre) ** 2 + (y - 150) ** 2 < 55**2] = colour
    path = tmp_path / "balls.png"
    Photo(pixels).write(path)
    return path


def save(page, selector="#save"):
    with page.expect_download() as download:
        page.click(selector)
    idle(page)
    return download.value


def test_upload_click_save_and_the_file_is_whole(visit, photo):
    page = visit(accept_downloads=True)
    assert page.is_disabled("#save")
    upload(page, photo)
    before = pixels(page)
    assert np.array_equal(before, images.read(photo).pixels)  # on the screen, to the byte
    assert page.inner_text(".rl-hint") == "Click the subject"
    exact(page, lambda: click(page))
    assert np.abs(pixels(page) - before)[150, 200].sum() > 10
    assert np.array_equal(pixels(page)[:20, :20], before[:20, :20])

    result = save(page)
    assert result.suggested_filename == "evening_ranlen.png"
    lit, dark = images.read(result.path()), images.read(photo)
    assert lit.size == dark.size
    assert (lit.icc, lit.exif) == (dark.icc, dark.exif)
    assert Image.open(io.BytesIO(Path(result.path()).read_bytes())).getexif()[0x010F] == "A camera"
    assert np.array_equal(lit.pixels, pixels(page))  # what was seen
    assert np.array_equal(lit.pixels[:20, :20], dark.pixels[:20, :20])

    page.click("summary")
    page.select_option("#rl-format", "tiff16")
    deep = save(page)
    assert deep.suggested_filename == "evening_ranlen.tif"
    deep = images.read(deep.path()).pixels
    assert deep.dtype == np.uint16
    assert np.array_equal(deep[:20, :20], dark.pixels[:20, :20] * np.uint16(257))


@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_the_light_in_the_browser_is_the_servers(visit, photo, backbone):
    page = visit()
    upload(page, photo)
    page.click("summary")
    page.click(f"[data-backbone={backbone}]")
    click(page, 0.4, 0.5)
    page.click("[data-act=add]")
    click(page, 0.6, 0.6)  # two lights, one over the other
    box = page.locator("#rl-degree-range").bounding_box()
    for share in (0.37, 0.71, 0.96):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        posts = []
        page.on("request", lambda request, posts=posts: posts.append(request.url) if request.method == "POST" else None)
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=5)
        page.wait_for_timeout(100)
        live = pixels(page)
        assert posts == []  # no question while the hand moves
        exact(page, page.mouse.up)
        assert np.abs(live - pixels(page)).max() <= 2
    assert 1.8 < float(page.input_value("input[type=number][data-of=degree]")) <= 2


def test_without_webgl_the_server_renders(visit, photo, browser, server):
    context = browser.new_context(viewport=DESKTOP)
    context.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext ="
        "function (kind, ...more) { return kind === 'webgl2' ? null : get.call(this, kind, ...more); }"
    )
    page = context.new_page()
    page.goto(server)
    page.wait_for_selector(".rl-there")
    upload(page, photo)
    before = pixels(page)
    exact(page, lambda: click(page))
    lit = pixels(page)
    assert (lit != before).any()
    page.focus("#rl-degree-range")
    exact(page, lambda: page.keyboard.press("End"))
    assert (pixels(page) != lit).any()
    context.close()


def test_the_degree_by_keys_and_by_typing(visit, photo):
    page = visit()
    upload(page, photo)
    before = pixels(page)
    exact(page, lambda: click(page))
    page.focus("#rl-degree-range")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert page.input_value("input[type=number][data-of=degree]") == "1.11"
    page.focus(".rl-main")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("input[type=number][data-of=degree]") == "1.1"
    page.fill("input[type=number][data-of=degree]", "0")
    exact(page, lambda: page.press("input[type=number][data-of=degree]", "Enter"))
    assert np.array_equal(pixels(page), before)
    page.fill("input[type=number][data-of=degree]", "7")
    page.press("input[type=number][data-of=degree]", "Enter")
    assert page.input_value("input[type=number][data-of=degree]") == "2"
    page.click("[data-act=undo]:visible")
    assert page.input_value("input[type=number][data-of=degree]") == "0"


def test_brush_erase_undo_redo_and_clear(visit, photo):
    page = visit()
    upload(page, photo)
    drag(page, (0.3, 0.5), (0.7, 0.5), tool="brush")
    painted = shares(page)
    assert "Area A" in painted
    click(page, tool="erase")
    erased = shares(page)
    assert erased != painted
    drag(page, (0.5, 0.5), (0.52, 0.5), tool="brush")
    page.focus(".rl-main")
    for key, expected in (("Control+z", erased), ("Control+z", painted), ("Control+Shift+z", erased)):
        page.keyboard.press(key)
        idle(page)
        assert shares(page) == expected
    click(page, 0.5, 0.3, tool="brush", button="right")  # the right button erases
    page.click("[data-act=clear]")
    assert shares(page) == ""
    page.click("[data-act=undo]:visible")
    idle(page)
    assert "Area A" in shares(page)


def test_mask_tools_are_steps_of_the_history(visit, photo):
    page = visit()
    upload(page, photo)
    click(page)
    seen = [shares(page)]
    for act in ("grow", "shrink", "shrink", "invert"):
        page.click(f"[data-act={act}]")
        idle(page)
        seen.append(shares(page))
    area = [int(re.search(r"A (\d+)", each).group(1)) for each in seen]
    assert area[1] > area[0] > area[3]
    assert area[4] > 50
    for expected in reversed(seen[:-1]):
        page.click("[data-act=undo]:visible")
        idle(page)
        assert shares(page) == expected


def test_a_stroke_travels_once_and_every_edit_is_small(visit, photo):
    page = visit()
    upload(page, photo)
    sent = []
    page.on("request", lambda r: sent.append(len(r.post_data or "")) if r.method == "POST" else None)
    wave = [(0.1 + 0.8 * i / 60, 0.5 + 0.2 * np.sin(i / 4)) for i in range(61)]
    for shift in (0, 0.1, -0.1):
        drag(page, *((x, y + shift) for x, y in wave), tool="brush", steps=2)
    for x in (0.3, 0.5, 0.7):
        click(page, x, 0.2)
    assert max(sent) <= 2048


def test_clicks_find_a_subject_and_take_back_what_is_not_part_of_it(visit, balls):
    page = visit()
    upload(page, balls)
    page.mouse.click(*place(page, 0.325, 0.5))  # the first tool finds subjects
    idle(page)
    one = shares(page)
    assert re.match(r"Area A [45] %", one)  # a ball is 7.9 % of the photo; half of the soft edge lies inside it
    click(page, 0.675, 0.5, tool="subject")
    assert re.match(r"Area A ([7-9]|10) %", shares(page))
    page.focus(".rl-main")
    page.keyboard.press("Control+z")
    idle(page)
    assert shares(page) == one
    click(page, 0.675, 0.5, tool="other")
    assert re.match(r"Area A [45] %", shares(page))


def test_a_box_is_a_question_too_and_its_answer_has_parts(visit, photo):
    page = visit()
    upload(page, photo)
    assert not page.is_visible(".rl-parts")
    page.click("[data-tool=frame]")
    page.mouse.click(*place(page, 0.5, 0.5))
    assert page.inner_text(".rl-hint") == "Drag a box around the subject"
    drag(page, (0.7, 0.8), (0.3, 0.2))  # any corner first
    before = shares(page)
    assert "Area A" in before
    page.click("[data-act=smaller]")
    idle(page)
    page.click("[data-act=undo]:visible")
    idle(page)
    assert shares(page) == before
    page.click("[data-act=undo]:visible")
    assert not page.is_visible(".rl-parts")


def test_before_and_after_zoom_and_hold(visit, photo):
    page = visit()
    upload(page, photo)
    exact(page, lambda: click(page))
    page.keyboard.press("2")

    def shown(x, y):  # on the screen
        return page.evaluate(
            """([x, y]) => { const c = document.querySelector('.rl-main'), b = c.getBoundingClientRect();
            return [...c.getContext('2d').getImageData(x - b.left, y - b.top, 1, 1).data].slice(0, 3) }""",
            [x, y],
        )

    dark, lit = images.read(photo).pixels[150, 200].astype(int), pixels(page)[150, 200]
    at = place(page, 0.5, 0.5)
    drag(page, (0.5, 0.8), (0.9, 0.8))
    assert np.abs(shown(*at) - dark).max() <= 1
    drag(page, (0.9, 0.8), (0.1, 0.8))
    assert np.abs(shown(*at) - lit).max() <= 1
    page.focus(".rl-main")
    page.keyboard.down("\\")
    page.wait_for_timeout(100)
    assert np.abs(shown(*at) - dark).max() <= 1
    page.keyboard.up("\\")
    page.mouse.move(*at)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(100)
    assert page.inner_text(".rl-percent") != "100 %"
    assert np.allclose(place(page, 0.5, 0.5), at, atol=1)  # it zooms towards the pointer
    page.click("[data-act=fit]")
    page.wait_for_timeout(100)
    assert page.inner_text(".rl-percent") == "100 %"


def test_compare_shows_every_method_alike(visit, photo):
    page = visit()
    upload(page, photo)
    click(page)
    page.click("[data-view=compare]")
    page.wait_for_selector(".rl-compare.rl-ready")
    sizes = page.evaluate("[...document.querySelectorAll('.rl-compare canvas')].map((c) => `${c.width} ${c.height}`)")
    assert len(sizes) == 5
    assert len(set(sizes)) == 1
    said = {each.get_attribute("data-of"): each.inner_text() for each in page.query_selector_all(".rl-compare figure")}
    assert "% changed" in said["global"]
    for method in ("blend", "concat", "ranlen"):
        assert "Background untouched" in said[method]
        assert re.search(r"Subject [+-][\d.]+ stops", said[method])
    shots = page.evaluate("[...document.querySelectorAll('.rl-compare canvas')].map((c) => c.toDataURL())")
    assert len(set(shots)) == 5
    box = page.locator("[data-of=global] canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(200)
    zoomed = page.evaluate("[...document.querySelectorAll('.rl-compare canvas')].map((c) => c.toDataURL())")
    assert all(a != b for a, b in zip(shots, zoomed, strict=True))


def test_a_session_is_repeated_by_the_page_and_by_the_command_line(visit, balls, tmp_path, weights_folder, monkeypatch):
    page = visit(accept_downloads=True)
    upload(page, balls)
    click(page, 0.325, 0.5, tool="subject")
    drag(page, (0.2, 0.2), (0.3, 0.2), tool="brush")
    page.click("[data-act=add]")
    click(page, 0.675, 0.5)
    page.fill("input[type=number][data-of=degree]", "1.5")
    exact(page, lambda: page.press("input[type=number][data-of=degree]", "Enter"))
    page.click("summary")
    session, mask, result = (save(page, f"[data-act={act}]:visible") for act in ("savesession", "savemask", "save"))
    assert (session.suggested_filename, mask.suggested_filename) == ("balls_session.json", "balls_mask.png")
    lit = images.read(result.path()).pixels
    session.save_as(tmp_path / "s.json")
    mask.save_as(tmp_path / "m.png")

    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    out = tmp_path / "again.png"
    assert cli.main(["light", str(balls), "-o", str(out), "--edits", str(tmp_path / "s.json"), "--device", "cpu"]) == 0
    assert np.array_equal(images.read(out).pixels, lit)

    again = visit()
    upload(again, balls)
    exact(again, lambda: again.set_input_files(".rl-sessionfile", tmp_path / "s.json"))
    assert np.array_equal(pixels(again), lit)
    before = shares(again)
    again.set_input_files(".rl-maskfile", tmp_path / "m.png")
    again.wait_for_selector(".rl-shares:has-text('Area A')")
    idle(again)
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    again.set_input_files(".rl-sessionfile", tmp_path / "other.json")
    again.wait_for_selector("text=This file is not a saved session.")
    again.click("[data-act=undo]:visible")
    idle(again)
    assert shares(again) == before


def test_an_example_opens_lit_and_another_network_lights_it(visit):
    page = visit()
    exact(page, lambda: page.click(".rl-example >> nth=0"))
    assert "Area A" in shares(page)
    lit = pixels(page)
    page.click("summary")
    exact(page, lambda: page.click("[data-backbone=star_dce]"))
    assert (pixels(page) != lit).any()


def test_a_file_that_is_no_photo_is_told_and_the_photo_stays(visit, photo, tmp_path):
    page = visit()
    upload(page, photo)
    click(page)
    (tmp_path / "fake.png").write_bytes(b"this is no photo")
    page.set_input_files("#photo", tmp_path / "fake.png")
    page.wait_for_selector("text=not an image of a known kind")
    click(page, 0.4, 0.4)
    assert "Area A" in shares(page)


def test_a_dropped_and_a_pasted_photo_open(visit, photo):
    page = visit()
    give = """([name, data, kind]) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, { type: 'image/png' }));
      const event = kind === 'drop' ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true });
      document.querySelector('.rl-stage').dispatchEvent(event); }"""
    import base64

    data = base64.b64encode(photo.read_bytes()).decode()
    for name, kind in (("dropped.png", "drop"), ("pasted.png", "paste")):
        page.evaluate(give, [name, data, kind])
        page.wait_for_function("n => document.querySelector('.rl-name').textContent.startsWith(n)", arg=name)


def test_the_list_of_keys_opens_and_closes(visit, photo):
    page = visit()
    upload(page, photo)
    page.focus(".rl-main")
    page.keyboard.press("?")
    assert page.is_visible("text=Click what is not part of it")
    page.keyboard.press("Escape")
    assert not page.is_visible(".rl-help")
    page.focus(".rl-main")
    page.keyboard.press("b")
    assert page.get_attribute("[data-tool=brush]", "aria-pressed") == "true"
    page.keyboard.press("x")
    assert page.get_attribute("[data-tool=erase]", "aria-pressed") == "true"


def test_on_a_phone_a_tap_lights_the_subject(visit, photo):
    page = visit(**PHONE)
    upload(page, photo)
    before = pixels(page)
    exact(page, lambda: page.touchscreen.tap(*place(page, 0.5, 0.5)))
    assert (pixels(page) != before).any()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[scrollTo(0, 500), scrollY][1]") == 0  # nothing is out of reach
    for button in page.query_selector_all(".rl-app button:visible"):
        box = button.bounding_box()
        assert box["height"] >= 44, button.inner_text()
        assert box["x"] >= 0, button.inner_text()
        assert box["x"] + box["width"] <= 390.5, button.inner_text()
    page.tap(".rl-sheetbutton")
    page.tap("[data-preset=spotlight]")
    idle(page)
    assert page.input_value("input[type=number][data-of=degree]") == "1.3"


def test_two_fingers_zoom_and_draw_nothing(visit, photo):
    page = visit(**PHONE)
    upload(page, photo)
    session = page.context.new_cdp_session(page)
    (x, y), apart = place(page, 0.5, 0.5), 30

    def touch(kind, *points):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": a, "y": y, "id": i} for i, a in enumerate(points)]},
        )

    touch("touchStart", x - apart)
    touch("touchStart", x - apart, x + apart)
    for step in range(1, 6):
        touch("touchMove", x - apart - 10 * step, x + apart + 10 * step)
    touch("touchEnd")
    page.wait_for_timeout(200)
    assert int(page.inner_text(".rl-percent").split()[0]) > 150
    assert shares(page) == ""


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_nothing_lies_over_anything_else(visit, photo, size):
    page = visit(viewport={"width": size[0], "height": size[1]})
    upload(page, photo)
    click(page, tool="subject")
    for view in ("select", "wipe", "compare"):
        page.click(f"[data-view={view}]")
        idle(page)
        boxes = [
            (each.get_attribute("aria-label") or each.inner_text(), each.bounding_box())
            for each in page.query_selector_all(".rl-app button:visible, .rl-hint:visible, .rl-size:visible")
            if not each.evaluate("e => e.closest('.rl-rest') !== null") and each.bounding_box()
        ]
        for i, (name, a) in enumerate(boxes):
            assert a["x"] >= 0, name
            assert a["x"] + a["width"] <= size[0], name
            for other, b in boxes[:i]:
                apart = (
                    a["x"] >= b["x"] + b["width"] - 1 or b["x"] >= a["x"] + a["width"] - 1
                    or a["y"] >= b["y"] + b["height"] - 1 or b["y"] >= a["y"] + a["height"] - 1
                )  # fmt: skip
                assert apart, f"{name} lies over {other} in {view}"


def test_visitors_see_only_their_own_photo(visit, photo, tmp_path):
    other = tmp_path / "other.png"
    Photo(np.full((200, 200, 3), (10, 20, 90), np.uint8)).write(other)
    first, second = visit(accept_downloads=True), visit(accept_downloads=True)
    upload(first, photo)
    upload(second, other)
    click(first)
    click(second)
    for page, mine in ((first, photo), (second, other)):
        assert images.read(save(page).path()).size == images.read(mine).size
        assert np.abs(pixels(page)[:5, :5] - images.read(mine).pixels[:5, :5]).max() == 0
    assert shares(first) != shares(second)
