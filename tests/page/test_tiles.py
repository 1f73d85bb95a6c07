"""Closer than the view: from 100 % of the view's pixels on, the page shows the photo's own, lit as they are saved."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from demo.sessions import VISITORS
from ranlen.io import images
from ranlen.io.images import Photo
from tests.browser import EDITOR, IN_BROWSER, PHONE, click, drag, exact, idle, place, save, upload

pytestmark = IN_BROWSER
SHOWN = """(selector) => {
  const canvas = document.querySelector(selector), { width, height } = canvas;
  const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let text = '';
  for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
  return [width, height, btoa(text)]; }"""
MAIN = ".rl-main"


@pytest.fixture
def large(tmp_path):
    """A dark photo of 1501 x 2100, every pixel of which differs from its neighbours."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:1501, :2100]
    smooth = np.stack([30 + x / 60, 30 + y / 50, 40 + 0 * x], -1)
    path = tmp_path / "night.png"
    Photo(np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)).write(path)
    return path


def shown(page, selector=MAIN):
    """What a canvas shows, (H, W, 3)."""
    width, height, data = page.evaluate(SHOWN, selector)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def grain(picture):
    """How much neighbours differ where they differ most: 17 in the file, a third of that in its view, enlarged."""
    return np.percentile(np.abs(np.diff(picture, axis=1)), 98)


def settled(page):
    """Wait until nothing is asked for any more."""
    for _ in range(2):
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.wait_for_timeout(300)  # longer than the page waits for a hand to rest
        idle(page)


def of_file(page, pixels, picture):
    """The part of a file's pixels that the stage shows at 100 %."""
    canvas = page.locator(MAIN).bounding_box()
    left, top = (round(canvas[side] - at) for side, at in zip("xy", place(page, 0, 0), strict=True))
    height, width = picture.shape[:2]
    return pixels[top : top + height, left : left + width].astype(int)


@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_at_100_per_cent_the_page_shows_the_pixels_that_are_saved(visit, large, tmp_path, backbone):
    page = visit()
    upload(page, large)
    page.click("summary")
    page.click(f"[data-backbone={backbone}]")
    exact(page, lambda: click(page, 0.42, 0.5))
    page.fill("input[type=number][data-of=degree]", "1.4")
    page.fill("input[type=number][data-of=feather]", "3")
    assert float(page.input_value("input[type=number][data-of=denoise]")) > 0  # which is in what is compared, too
    page.click("[data-act=own]")
    page.focus(MAIN)
    page.keyboard.press("o")
    settled(page)
    assert page.inner_text(".rl-percent") == "100 %"
    seen = shown(page)
    save(page).save_as(tmp_path / "lit.png")
    lit, before = (of_file(page, images.read(path).pixels, seen) for path in (tmp_path / "lit.png", large))
    assert lit.shape == seen.shape
    assert np.abs(seen - lit).max() <= 2
    # What is unchanged with all around it: in the light, too, a pixel may come out as it was.
    outside = cv2.erode((lit == before).all(2).astype(np.uint8), np.ones((9, 9))) == 1
    assert 0.05 < outside.mean() < 0.95
    assert np.array_equal(seen[outside], lit[outside])  # Area C, exactly
    page.keyboard.down("\\")
    settled(page)
    assert np.array_equal(shown(page), before)  # the original, too
    page.keyboard.up("\\")


def test_the_whole_photo_asks_for_no_tile_and_a_moved_one_for_no_old_ones(visit, large):
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.url.endswith("tile") else None)
    upload(page, large)
    settled(page)
    assert asked == []
    page.click("[data-act=own]")
    settled(page)
    first = len(asked)
    assert 2 <= first <= 12
    assert {each["level"] for each in asked} == {0}
    drag(page, (0.5, 0.5), (0.3, 0.5), tool="pan")
    settled(page)
    moved = len(asked)
    assert moved > first
    drag(page, (0.5, 0.5), (0.7, 0.5))
    settled(page)
    assert len(asked) == moved  # they are still there
    page.click("[data-act=fit]")
    page.click("[data-act=in]")
    page.click("[data-act=in]")
    settled(page)
    assert {each["level"] for each in asked[moved:]} <= {0, 1}
    assert page.get_attribute("[data-act=fit]", "aria-pressed") == "false"


def test_until_a_tile_comes_the_view_is_seen_and_what_left_the_screen_is_cancelled(visit, large):
    page = visit()
    upload(page, large)
    held, failed = [], []
    page.route("**/tile", lambda route: held.append(route))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.click("[data-act=own]")
    page.wait_for_timeout(800)
    assert 1 <= len(held) <= 4
    assert (shown(page).sum(2) > 0).mean() > 0.9
    page.click("[data-act=fit]")
    page.wait_for_timeout(800)
    assert len(failed) == len(held)
    page.unroute_all(behavior="ignoreErrors")


def test_before_and_after_and_every_pane_of_compare_show_the_files_pixels(visit, large):
    page = visit()
    upload(page, large)
    exact(page, lambda: click(page))
    page.click("[data-view=wipe]")
    page.click("[data-act=own]")
    settled(page)
    seen = shown(page)
    before = of_file(page, images.read(large).pixels, seen)
    half = seen.shape[1] // 2 - 30
    assert np.array_equal(seen[:, :half], before[:, :half])
    page.click("[data-view=compare]")
    page.wait_for_selector(".rl-compare.rl-ready", timeout=120_000)
    page.click("[data-act=own]")
    settled(page)
    panes = {name: shown(page, f"[data-of={name}] canvas") for name in ("original", "ranlen", "concat")}
    assert min(map(grain, panes.values())) > 12
    assert (panes["original"] != panes["ranlen"]).any()


def test_a_drag_of_degree_far_in_follows_the_hand(visit, large):
    page = visit()
    page.evaluate("() => { const clock = performance.now.bind(performance); performance.now = () => clock() / 1000; }")
    upload(page, large)
    exact(page, lambda: click(page))
    page.click("[data-act=own]")
    page.wait_for_timeout(2500)
    settled(page)
    lit = shown(page)
    box = page.locator("#rl-degree-range").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2, steps=3)
    page.wait_for_timeout(500)
    dark = shown(page)
    before = of_file(page, images.read(large).pixels, dark)
    assert np.abs(dark - before).max() <= 2
    assert np.abs(lit - before).max() > 10
    page.mouse.up()


def test_on_a_phone_two_fingers_reach_the_files_pixels(visit, large):
    page = visit(**PHONE)
    upload(page, large)
    session, (x, y) = page.context.new_cdp_session(page), place(page, 0.5, 0.5)

    def touch(kind, *points):
        points = [{"x": a, "y": y, "id": i} for i, a in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", x - 10)
    touch("touchStart", x - 10, x + 10)
    for step in range(1, 13):
        touch("touchMove", x - 10 - 12 * step, x + 10 + 12 * step)
    touch("touchEnd")
    settled(page)
    assert page.evaluate(f"{EDITOR}.width()") == 1024
    assert grain(shown(page)) > 12


def test_a_photo_that_the_server_forgot_is_sent_again_for_who_is_zoomed_in(visit, large):
    page = visit()
    upload(page, large)
    page.click("[data-act=own]")
    settled(page)
    with VISITORS.lock:
        VISITORS.came.clear()
        VISITORS.asked.clear()
    drag(page, (0.5, 0.5), (0.35, 0.5), tool="pan")
    settled(page)
    assert grain(shown(page)[:, -80:]) > 12
    gone = len(visit.complaints)
    assert 1 <= gone <= 4
    assert all("410" in each for each in visit.complaints)
    page.wait_for_timeout(5500)  # after which a tile that failed is asked for again
    assert len(visit.complaints) == gone
    visit.complaints.clear()


def test_a_tile_that_fails_leaves_the_view(visit, large, monkeypatch):
    from demo import tiles

    page = visit()
    upload(page, large)
    monkeypatch.setattr(tiles.PHOTOS, "get", lambda *given: (_ for _ in ()).throw(images.ImageError("gone")))
    page.click("[data-act=own]")
    settled(page)
    assert (shown(page).sum(2) > 0).mean() > 0.9
    assert all("422" in each for each in visit.complaints)
    visit.complaints.clear()
