"""What the page shows, in a real browser: before and after, every method, keys; and that nothing lies over anything."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ranlen import images
from tests.browser import IN_BROWSER, click, drag, exact, idle, pixels, place, upload

pytestmark = IN_BROWSER


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
