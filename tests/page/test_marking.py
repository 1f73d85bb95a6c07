"""Marking a subject on the page, in a real browser."""

from __future__ import annotations

import re

import numpy as np

from tests.browser import EDITOR, IN_BROWSER, click, drag, exact, idle, pixels, place, save, shares, upload

pytestmark = IN_BROWSER


def share_of_a(said):
    return int(re.search(r"Area A (\d+) %", said).group(1))


def test_brush_erase_undo_redo_and_clear(visit, photo):
    page = visit()
    upload(page, photo)
    drag(page, (0.3, 0.5), (0.7, 0.5), tool="brush")
    painted = shares(page)
    click(page, tool="erase")
    erased, less = shares(page), pixels(page)
    assert share_of_a(erased) < share_of_a(painted)
    drag(page, (0.5, 0.5), (0.52, 0.5), tool="brush")
    page.focus(".rl-main")
    for key, expected in (("Control+z", erased), ("Control+z", painted), ("Control+Shift+z", erased)):
        page.keyboard.press(key)
        idle(page)
        assert shares(page) == expected
    click(page, 0.4, 0.5, tool="brush", button="right")  # the right button erases
    assert pixels(page)[150, 160].sum() < less[150, 160].sum()
    assert page.is_disabled("[data-act=redo]:visible")  # what was undone is gone with a new edit
    page.click("[data-act=clear]")
    assert shares(page) == ""
    page.click("[data-act=undo]:visible")
    idle(page)
    assert "Area A" in shares(page)


def test_keys_work_as_soon_as_a_photo_is_open_and_a_drag_while_b_is_down_paints(visit, photo):
    page = visit()
    upload(page, photo)
    assert page.evaluate("document.activeElement.className") == "rl-main"
    page.keyboard.down("b")
    drag(page, (0.3, 0.5), (0.6, 0.5))
    page.keyboard.up("b")
    done = page.evaluate(f"() => {EDITOR}.recipe().subjects[0].edits")
    assert [each["tool"] for each in done] == ["brush"]
    page.click("text=Before")  # and the focus is where a hand left it
    page.mouse.click(*place(page, 0.4, 0.4))
    page.keyboard.press("1")
    assert page.get_attribute("button[data-view=select]", "aria-selected") == "true"


def test_mask_tools_are_steps_of_the_history(visit, photo):
    page = visit()
    upload(page, photo)
    click(page)
    seen = [shares(page)]
    for act in ("grow", "shrink", "shrink", "invert"):
        page.click(f"[data-act={act}]")
        idle(page)
        seen.append(shares(page))
    area = [share_of_a(each) for each in seen]
    assert area[1] > area[0] > area[3]
    assert area[4] > 50
    for expected in reversed(seen[:-1]):
        page.click("[data-act=undo]:visible")
        idle(page)
        assert shares(page) == expected


def test_a_recipe_comes_whole_with_each_question_and_is_small(visit, photo):
    page = visit()
    upload(page, photo)
    sent = []
    page.on("request", lambda r: sent.append(r.post_data or "") if r.method == "POST" else None)
    wave = [(0.1 + 0.8 * i / 60, 0.5 + 0.2 * np.sin(i / 4)) for i in range(61)]
    for shift in (0, 0.1, -0.1):
        drag(page, *((x, y + shift) for x, y in wave), tool="brush", steps=2)
    for x in (0.3, 0.5, 0.7):
        click(page, x, 0.2)
    assert max(map(len, sent)) <= 8192
    (last,) = [each for each in sent if '"wanted"' in each][-1:]
    assert last.count('"brush"') == 3  # the server remembers none of them


def test_clicks_find_a_subject_and_take_back_what_is_not_part_of_it(visit, balls):
    page = visit()
    upload(page, balls)
    page.mouse.click(*place(page, 0.325, 0.5))  # the first tool finds subjects
    idle(page)
    one = shares(page)
    assert re.match(r"Area A [67] %", one)  # a ball is 7.9 % of the photo; half of the soft edge lies inside it
    click(page, 0.675, 0.5, tool="subject")
    assert re.match(r"Area A 1[3-5] %", shares(page))
    page.focus(".rl-main")
    page.keyboard.press("Control+z")
    idle(page)
    assert shares(page) == one
    click(page, 0.675, 0.5, tool="other")
    assert re.match(r"Area A [67] %", shares(page))


def test_parts_say_where_they_stand_end_at_their_ends_and_a_run_is_one_step(visit, balls):
    page = visit()
    upload(page, balls)
    click(page, 0.325, 0.5, tool="subject")
    page.wait_for_selector(".rl-part:has-text('3 of 5')")
    before = shares(page)
    for _ in range(2):
        page.click("[data-act=larger]")  # without waiting for an answer
    page.wait_for_selector(".rl-part:has-text('5 of 5')")
    assert page.is_disabled("[data-act=larger]")
    idle(page)
    assert page.inner_text(".rl-part") == "5 of 5"
    page.click("[data-act=smaller]")
    page.wait_for_selector(".rl-part:has-text('4 of 5')")
    assert page.is_enabled("[data-act=larger]")
    page.click("[data-act=undo]:visible")
    idle(page)
    assert page.inner_text(".rl-part") == "3 of 5"
    assert shares(page) == before


def marks(page):
    return page.evaluate(f"() => {EDITOR}.recipe().subjects[0].edits")


def test_a_gradient_fades_and_what_is_drawn_joins_the_mask_in_three_ways(visit, photo):
    page = visit()
    upload(page, photo)
    before = pixels(page)
    page.keyboard.press("g")
    page.mouse.click(*place(page, 0.5, 0.5))
    assert page.inner_text(".rl-toast") == "Drag from full light to none."
    assert page.is_disabled("[data-join='2']")  # nothing is marked that it could be in, too
    page.keyboard.press("d")
    drag(page, (0.2, 0.5), (0.8, 0.5))
    (first,) = marks(page)
    assert (first["tool"], first["add"]) == ("gradient", True)
    assert re.match(r"Area A (19|20|21) % · B (59|60) %", shares(page))
    gain = (pixels(page) - before).sum(2).mean(0)
    assert gain[:60].min() > gain[200] > gain[280]
    assert not gain[321:].any()
    whole = share_of_a(shares(page))
    save(page, "[data-act=savemask]:visible")
    assert "where the gradient fades is not in it" in page.inner_text(".rl-toast")
    page.click("[data-tool=circle]")
    page.click("[data-join='2']")
    page.mouse.click(*place(page, 0.3, 0.5))
    idle(page)
    assert [each["add"] for each in marks(page)] == [True, "intersect"]
    both = share_of_a(shares(page))
    assert 0 < both < whole
    page.mouse.click(*place(page, 0.01, 0.5), button="right")
    idle(page)
    assert [each["add"] for each in marks(page)] == [True, "intersect", False]
    assert share_of_a(shares(page)) < both
    page.focus(".rl-main")
    for expected in ("0", "1", "2"):  # in turn, and around
        page.keyboard.press("d")
        assert page.get_attribute(f"[data-join='{expected}']", "aria-pressed") == "true"
    for _ in range(2):
        page.keyboard.press("Control+z")
    idle(page)
    assert share_of_a(shares(page)) == whole
    page.keyboard.press("g")
    for keys in ("ArrowLeft", "Enter", "ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(keys)
    idle(page)
    last = marks(page)[-1]
    assert (last["tool"], last["add"]) == ("gradient", "intersect")
    assert last["to"][0] > last["from"][0]


def test_a_box_is_a_question_too_and_its_answer_has_parts(visit, photo):
    page = visit()
    upload(page, photo)
    assert not page.is_visible(".rl-parts")
    page.click("[data-tool=bounding_box]")
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


def test_a_feather_follows_the_photos_edges_where_one_asks_for_it(visit, balls, tmp_path):
    """The page shows what the server makes of it, a saved recipe says so, and it is one step to undo."""
    page = visit()
    upload(page, balls)
    page.mouse.click(*place(page, 0.325, 0.5))
    idle(page)
    plain = pixels(page)
    page.focus("[data-edges]")
    exact(page, lambda: page.keyboard.press("Enter"))
    assert page.get_attribute("[data-edges]", "aria-pressed") == "true"
    followed = pixels(page)
    assert np.abs(followed - plain).max() > 2
    number = "input[type=number][data-of=degree]"
    page.fill(number, "1.4")
    page.press(number, "Tab")
    page.wait_for_timeout(100)
    live = pixels(page)
    idle(page)
    page.wait_for_timeout(600)
    assert np.abs(live - pixels(page)).max() <= 2
    page.click("[data-act=undo]:visible")
    page.click("[data-act=undo]:visible")
    idle(page)
    assert page.get_attribute("[data-edges]", "aria-pressed") == "false"
    page.click("[data-act=redo]:visible")
    idle(page)
    assert page.evaluate("document.querySelector('.rl-there').ranlen.recipe().subjects[0].feather_edges") is True
