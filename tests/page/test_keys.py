"""The page without a pointer, and for who hears it: keys from the photo to the saved file, and axe-core's judgement."""

from __future__ import annotations

import numpy as np
import pytest

from ranlen.io import images
from tests.browser import EDITOR, IN_BROWSER, exact, idle, pixels, place, shares, upload

pytestmark = IN_BROWSER
FOCUSED = "document.activeElement"


def edits(page):
    """What marks the first subject."""
    return page.evaluate(f"{EDITOR}.recipe().subjects[0].edits")


def tab_to(page, selector):
    """Press Tab until something has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate(f"(s) => {FOCUSED}.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_from_the_photo_to_the_saved_file_by_keys_alone(visit, balls, tmp_path):
    page = visit()
    tab_to(page, ".rl-choose")
    assert page.evaluate(f"{FOCUSED}.matches('.rl-choose')")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(balls)
    page.wait_for_function("document.querySelector('.rl-app').dataset.view === 'select'")
    assert page.evaluate(f"{FOCUSED}.matches('.rl-main')")
    press(page, *["ArrowLeft"] * 10)
    exact(page, lambda: page.keyboard.press("Enter"))
    (edit,) = edits(page)
    assert edit["tool"] == "subject"
    assert edit["add"]
    assert 0.2 < edit["at"][0] < 0.5
    assert edit["at"][1] == pytest.approx(0.5, abs=0.01)
    press(page, *["ArrowRight"] * 25)
    exact(page, lambda: page.keyboard.press("Shift+Enter"))
    assert [each["add"] for each in edits(page)] == [True, False]
    exact(page, lambda: press(page, ".", "."))
    assert page.input_value("input[type=number][data-of=degree]") == "1.02"
    tab_to(page, "#save")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "lit.png")
    idle(page)
    assert page.evaluate(f"{FOCUSED}.closest('.rl-app') !== null")  # a button that went off has passed it on
    lit, before = images.read(tmp_path / "lit.png").pixels, images.read(balls).pixels
    assert (lit != before).any()
    assert np.array_equal(lit[:20, :20], before[:20, :20])


def test_the_cross_stays_in_sight_and_is_every_tools_hand(visit, balls):
    page = visit()
    upload(page, balls)
    press(page, "c", "ArrowUp", "ArrowUp", "Shift+ArrowUp")
    page.keyboard.press("Enter")
    idle(page)
    first = edits(page)[0]
    assert first["tool"] == "circle"
    assert 0.4 < first["at"][1] < 0.5
    press(page, "r", "ArrowLeft", "Enter", *["ArrowRight"] * 6, *["ArrowDown"] * 6)
    page.keyboard.press("Enter")
    idle(page)
    box = edits(page)[1]
    assert box["tool"] == "bounding_box"
    assert box["to"][0] - box["from"][0] > 0.05
    press(page, "b", "ArrowLeft")
    page.keyboard.press("Enter")
    idle(page)
    assert edits(page)[2]["tool"] == "brush"
    press(page, "Escape", "z")
    press(page, *["ArrowLeft"] * 60)
    x, y = place(page, *page.evaluate(f"{EDITOR}.cross()"))
    around = page.locator(".rl-main").bounding_box()
    assert around["x"] <= x <= around["x"] + around["width"]
    assert around["y"] <= y <= around["y"] + around["height"]
    page.mouse.click(*place(page, 0.5, 0.5))
    assert page.evaluate(f"{EDITOR}.cross()") is None
    idle(page)
    assert "Area A" in shares(page)


def test_tab_stays_in_the_list_of_keys_and_goes_back_where_it_was(visit, photo):
    page = visit()
    upload(page, photo)
    page.keyboard.press("?")
    assert page.is_visible(".rl-help")
    for _ in range(5):
        page.keyboard.press("Tab")
        assert page.evaluate(f"{FOCUSED} === document.body || {FOCUSED}.closest('.rl-help') !== null")
    page.keyboard.press("Escape")
    assert not page.is_visible(".rl-help")
    assert page.evaluate(f"{FOCUSED}.matches('.rl-main')")


def test_what_cannot_be_done_cannot_be_pressed(visit, photo):
    page = visit()
    on = page.evaluate(
        "[...document.querySelectorAll('.rl-app button, .rl-app select, .rl-app input:not([type=file])')]"
        ".filter((e) => e.checkVisibility() && !e.disabled).map((e) => e.dataset.act ?? e.className)"
    )
    assert {each for each in on if "example" not in each} == {"help", "open", "rl-what"}
    upload(page, photo)
    assert page.is_disabled("#save")
    assert page.is_enabled("[data-tool=brush]")
    assert page.is_disabled("[data-act=own]")  # it is shown larger than that already
    before = pixels(page)
    page.keyboard.press("Control+s")
    assert np.array_equal(pixels(page), before)


def test_every_button_in_sight_has_a_name_of_its_own(visit, photo):
    page = visit()
    upload(page, photo)
    page.click("summary")
    names = page.evaluate(
        "[...document.querySelectorAll('.rl-app button')].filter((e) => e.checkVisibility())"
        ".map((e) => e.ariaLabel ?? e.textContent.trim())"
    )
    assert len(names) > 40
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_axe_finds_nothing_to_complain_of(visit, balls, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    page, axe = visit(viewport={"width": size[0], "height": size[1]}, color_scheme=theme), Axe()

    def judge(where):
        found = axe.run(page, context="#editor").response["violations"]
        said = [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]
        assert said == [], where

    judge("empty")
    upload(page, balls)
    judge("opened")
    exact(page, lambda: page.mouse.click(*place(page, 0.35, 0.5)))
    if size[0] < 760:
        page.click("[data-act=more]")
    page.click("summary")
    for each in page.query_selector_all(".rl-what:visible"):
        each.click()
    judge("all explained")
    if size[0] < 760:
        page.click("[data-act=more]")
    for view in ("wipe", "compare"):
        page.click(f"[data-view={view}]")
        idle(page)
        judge(view)
    page.keyboard.press("?")
    judge("keys")
