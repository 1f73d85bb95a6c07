"""The light on the page, in a real browser: as the server has it, live, by hand, by keys and by typing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser import DESKTOP, IN_BROWSER, click, exact, pixels, shares, upload

pytestmark = IN_BROWSER


@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_the_light_in_the_browser_is_the_servers(visit, photo, backbone):
    page = visit()
    # As fast as on a GPU: what is looked at is the shader, not what stands in for it where it is slow.
    page.evaluate("() => { const clock = performance.now.bind(performance); performance.now = () => clock() / 1000; }")
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
    page.keyboard.press(",")
    assert page.input_value("input[type=number][data-of=degree]") == "1.1"
    page.fill("input[type=number][data-of=degree]", "0")
    exact(page, lambda: page.press("input[type=number][data-of=degree]", "Enter"))
    assert np.array_equal(pixels(page), before)
    page.fill("input[type=number][data-of=degree]", "7")
    page.press("input[type=number][data-of=degree]", "Enter")
    assert page.input_value("input[type=number][data-of=degree]") == "2"
    page.click("[data-act=undo]:visible")
    assert page.input_value("input[type=number][data-of=degree]") == "0"


def test_an_example_opens_lit_and_another_network_lights_it(visit):
    page = visit()
    exact(page, lambda: page.click(".rl-example >> nth=0"))
    assert "Area A" in shares(page)
    lit = pixels(page)
    page.click("summary")
    exact(page, lambda: page.click("[data-backbone=star_dce]"))
    assert (pixels(page) != lit).any()


def test_without_a_gpu_pictures_are_faded_while_the_slider_moves(visit, photo):
    page = visit()
    page.evaluate("() => { window.clock = performance.now.bind(performance); performance.now = () => 100 * clock(); }")
    upload(page, photo)
    exact(page, lambda: click(page))
    page.wait_for_timeout(1500)  # while nobody waits, pictures are made
    box = page.locator("#rl-degree-range").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    for share in (0.3, 0.56, 0.8):
        page.mouse.move(box["x"] + share * box["width"], middle, steps=3)
        page.wait_for_timeout(100)
    faded = pixels(page)
    exact(page, page.mouse.up)
    assert 0 < np.abs(faded - pixels(page)).max() <= 3  # a mix of two pictures, and not the shader's


def test_auto_goes_back_to_what_the_network_proposes(visit, photo):
    page = visit()
    upload(page, photo)
    assert page.is_disabled("[data-act=auto]")
    exact(page, lambda: click(page))
    proposed = pixels(page)
    page.fill("input[type=number][data-of=degree]", "1.7")
    exact(page, lambda: page.press("input[type=number][data-of=degree]", "Enter"))
    assert (pixels(page) != proposed).any()
    exact(page, lambda: page.click("[data-act=auto]"))
    assert np.array_equal(pixels(page), proposed)
    assert page.is_disabled("[data-act=auto]")
    page.click("[data-act=undo]:visible")
    assert page.input_value("input[type=number][data-of=degree]") == "1.7"
    page.focus(".rl-main")
    page.keyboard.press("a")
    assert page.input_value("input[type=number][data-of=degree]") == "1"
