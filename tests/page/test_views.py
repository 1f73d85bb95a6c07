"""What the page shows, in a real browser: before and after, every method, keys; and that nothing lies over anything."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ranlen.io import images
from tests.browser import IN_BROWSER, click, drag, exact, idle, pixels, place, shares, upload

pytestmark = IN_BROWSER


def test_before_and_after_zoom_and_hold(visit, photo):
    page = visit()
    upload(page, photo)
    exact(page, lambda: click(page))
    page.keyboard.press("2")
    page.wait_for_timeout(100)
    assert not page.is_visible(".rl-hint")

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
    assert page.get_attribute("[data-act=fit]", "aria-pressed") == "false"
    assert np.allclose(place(page, 0.5, 0.5), at, atol=1)  # it zooms towards the pointer
    page.click("[data-act=fit]")
    page.wait_for_timeout(100)
    assert page.get_attribute("[data-act=fit]", "aria-pressed") == "true"
    page.click("[data-tool=brush]")  # a tool leads back to where it works
    assert page.get_attribute("button[data-view=select]", "aria-selected") == "true"


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
    page.locator("[data-of=global]").scroll_into_view_if_needed()
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
            for each in page.query_selector_all(".rl-app button:visible, .rl-hint:visible, .rl-how:visible")
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


def stage(page):
    """Some of the pixels that the stage shows."""
    page.wait_for_timeout(100)
    return np.array(
        page.evaluate(
            "() => { const c = document.querySelector('.rl-main');"
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 76 < 3) }"
        )
    )


def test_areas_step_aside_for_a_slider_and_for_a_key(visit, photo):
    page = visit()
    upload(page, photo)
    exact(page, lambda: click(page))
    page.wait_for_timeout(2500)  # until they have faded
    page.mouse.move(5, 5)
    shown = stage(page)
    page.focus("[data-tool=circle]")  # on the stage a cross is drawn for keys
    page.keyboard.press("o")
    hidden = stage(page)
    assert (shown != hidden).sum() > 1000
    page.keyboard.press("o")
    assert np.array_equal(stage(page), shown)
    box = page.locator("#rl-degree-range").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()  # as it was: only the areas go
    page.eval_on_selector("#rl-degree-range", "e => e.dispatchEvent(new Event('input'))")
    assert np.abs(stage(page) - hidden).max() <= 2  # the shader's picture for the server's, to the photo's rim
    page.mouse.up()


def seen(page, x, y):
    """The colour that the stage shows at a place of the photo."""
    page.wait_for_timeout(100)
    return page.evaluate(
        """([x, y]) => { const c = document.querySelector('.rl-main'), b = c.getBoundingClientRect();
        return [...c.getContext('2d').getImageData(x - b.left, y - b.top, 1, 1).data].slice(0, 3) }""",
        place(page, x, y),
    )


def test_the_mask_is_shown_alone_white_black_and_grey_where_it_fades(visit, photo):
    page = visit()
    upload(page, photo)
    assert page.is_disabled("[data-act=alone]")
    exact(page, lambda: click(page))
    page.focus(".rl-main")
    page.keyboard.press("o")
    lit = seen(page, 0.5, 0.5)
    page.keyboard.press("m")
    page.mouse.move(5, 5)
    short = 2 / 7 * 300 / 400  # the circle's radius in widths; the fade is 0.075 wide
    along = [seen(page, 0.5 + short + 0.075 * share, 0.5) for share in (-0.2, 0.2, 0.8, 1.2)]
    assert along == [[255] * 3, [128] * 3, [128] * 3, [0] * 3]
    page.keyboard.down("\\")
    assert np.abs(np.array(seen(page, 0.5, 0.5)) - images.read(photo).pixels[150, 200]).max() <= 1
    page.keyboard.up("\\")
    page.click("[data-act=alone]")
    assert np.abs(np.array(seen(page, 0.5, 0.5)) - lit).max() <= 2
    page.keyboard.press("m")
    page.click("[data-act=clear]")  # it can be left, whatever becomes of the mask
    page.click("[data-act=alone]")
    assert np.abs(np.array(seen(page, 0.5, 0.5)) - images.read(photo).pixels[150, 200]).max() <= 1


def test_the_areas_have_a_colour_of_choice_which_the_browser_remembers(visit, photo):
    page = visit()
    upload(page, photo)
    page.click("[data-colour=green]")
    page.reload()
    page.wait_for_selector(".rl-there")
    assert page.get_attribute("[data-colour=green]", "aria-pressed") == "true"
    click(page)
    shown = stage(page).reshape(-1, 3)
    assert (np.abs(shown - (63, 224, 138)).max(1) < 40).any()
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector(".rl-there")
    assert other.get_attribute("[data-colour=green]", "aria-pressed") == "true"


def test_the_photo_moves_under_the_hand_and_the_brush_changes_size(visit, photo):
    page = visit()
    upload(page, photo)
    page.mouse.move(*place(page, 0.5, 0.5))
    page.mouse.wheel(0, -600)
    page.wait_for_timeout(100)
    start = place(page, 0.5, 0.5)
    drag(page, (0.5, 0.5), (0.45, 0.48), tool="pan")
    moved = place(page, 0.5, 0.5)
    assert moved[0] < start[0] - 10
    page.click("[data-tool=brush]")
    page.focus(".rl-main")
    page.keyboard.down(" ")  # any tool moves it while Space is held
    drag(page, (0.45, 0.48), (0.5, 0.5))
    page.keyboard.up(" ")
    assert np.allclose(place(page, 0.5, 0.5), start, atol=3)
    assert shares(page) == ""
    sizes = [float(page.input_value("[data-size]"))]
    for key in "]][":
        page.keyboard.press(key)
        sizes.append(float(page.input_value("[data-size]")))
    assert sizes[2] > sizes[1] > sizes[0]
    assert sizes[3] == sizes[1]


def test_help_is_where_it_is_needed(visit, photo):
    page = visit()
    upload(page, photo)
    assert not page.is_visible("#rl-e")
    page.click("[data-what=e]")
    assert "Area B" in page.inner_text("#rl-e")
    page.click("[data-what=e]")
    assert not page.is_visible("#rl-e")


def test_a_photo_that_the_server_forgot_is_sent_again_by_itself(visit, photo):
    from demo.sessions import VISITORS

    page = visit()
    upload(page, photo)
    exact(page, lambda: click(page))
    with VISITORS.lock:
        VISITORS.came.clear()
        VISITORS.asked.clear()
    page.focus("#rl-degree-range")
    exact(page, lambda: page.keyboard.press("End"))
    assert visit.complaints
    assert all("410" in each for each in visit.complaints)
    visit.complaints.clear()
    click(page, 0.4, 0.4)
    assert "Area A" in shares(page)
