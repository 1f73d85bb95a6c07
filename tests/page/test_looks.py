"""Before and after, Compare and the full screen, in a real browser: what one compares is in sight."""

from __future__ import annotations

import numpy as np

from tests.browser import EDITOR, IN_BROWSER, PHONE, click, drag, exact, idle, place, upload

pytestmark = IN_BROWSER
SHOWN = """(name) => { const c = document.querySelector(`[data-of=${name}] canvas`);
  return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 44 < 3) }"""


def compared(page):
    page.click("[data-view=compare]")
    page.wait_for_selector(".rl-compare.rl-ready", timeout=120_000)
    idle(page)
    page.wait_for_timeout(200)


def test_before_and_after_starts_on_the_subject_until_the_line_is_moved(visit, balls):
    page = visit()
    upload(page, balls)
    exact(page, lambda: page.mouse.click(*place(page, 130 / 400, 0.5)))
    page.click("[data-view=wipe]")
    page.wait_for_timeout(200)
    split = page.evaluate(f"{EDITOR}.split()")
    canvas = page.locator(".rl-main").bounding_box()
    middle = place(page, 130 / 400, 0.5)[0] - canvas["x"]
    assert abs(split * canvas["width"] - middle) < 12
    drag(page, (0.8, 0.8), (0.7, 0.8))
    moved = page.evaluate(f"{EDITOR}.split()")
    assert moved > split + 0.1
    page.click("[data-view=select]")
    page.click("[data-view=wipe]")
    assert page.evaluate(f"{EDITOR}.split()") == moved
    upload(page, balls.rename(balls.with_name("again.png")))
    exact(page, lambda: page.mouse.click(*place(page, 270 / 400, 0.5)))
    page.click("[data-view=wipe]")
    assert page.evaluate(f"{EDITOR}.split()") > 0.5


def test_degree_is_there_in_full_screen(visit, photo):
    page = visit()
    upload(page, photo)
    exact(page, lambda: click(page))
    page.focus(".rl-main")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    page.wait_for_timeout(300)
    box = page.locator("#rl-degree-range").bounding_box()
    top = page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).id", [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    )
    assert top == "rl-degree-range"
    assert not page.is_visible(".rl-tools")
    assert page.locator(".rl-main").bounding_box()["height"] > page.viewport_size["height"] - 40
    exact(page, lambda: page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2))
    assert float(page.input_value("input[type=number][data-of=degree]")) > 1.5


def test_panes_are_wide_enough_to_compare_in_and_scroll(visit, photo):
    page = visit(viewport={"width": 1440, "height": 900})
    upload(page, photo)
    click(page)
    compared(page)
    boxes = {each.get_attribute("data-of"): each.bounding_box() for each in page.query_selector_all("figure[data-of]")}
    assert all(box["width"] >= 420 for box in boxes.values())
    assert list(boxes)[:2] == ["original", "ranlen"]  # what one compares first is in sight
    assert boxes["ranlen"]["x"] + boxes["ranlen"]["width"] <= 1440 - 288
    page.locator("[data-of=global]").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert page.locator("[data-of=global]").bounding_box()["x"] + 420 <= 1440 - 288 + 1


def test_holding_blinks_between_any_two_methods(visit, photo):
    page = visit()
    upload(page, photo)
    click(page)
    compared(page)
    before = {name: np.array(page.evaluate(SHOWN, name)) for name in ("original", "global", "concat", "ranlen")}
    for against in ("original", "global", "concat"):
        page.select_option(".rl-note select", against)
        page.focus(".rl-panes")
        page.keyboard.down("\\")
        page.wait_for_timeout(400)
        for pane in ("ranlen", "concat"):
            assert np.array_equal(page.evaluate(SHOWN, pane), before[against]), (against, pane)
            assert page.inner_text(f"[data-of={pane}] b").lower() == against
        page.keyboard.up("\\")
        page.wait_for_timeout(400)
        assert np.array_equal(page.evaluate(SHOWN, "ranlen"), before["ranlen"])
        assert page.inner_text("[data-of=ranlen] b") == "RANLEN"


def test_on_a_phone_one_pane_is_seen_and_a_swipe_shows_the_next(visit, photo):
    page = visit(**PHONE)
    upload(page, photo)
    exact(page, lambda: page.touchscreen.tap(*place(page, 0.5, 0.5)))
    compared(page)
    first, second = (page.locator(f"[data-of={name}]").bounding_box() for name in ("original", "ranlen"))
    assert first["width"] > 370
    assert second["x"] >= 380
    session, y = page.context.new_cdp_session(page), first["y"] + first["height"] / 3
    for step in range(15):
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": 320 - 20 * step, "y": y}]})
        page.wait_for_timeout(30)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(1200)
    assert abs(page.locator("[data-of=ranlen]").bounding_box()["x"] - first["x"]) < 3
