"""Noise on the page, in a real browser: taken out as the server does it, as far as one wants."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ranlen.io.images import Photo
from tests.browser import EDITOR, IN_BROWSER, click, exact, idle, pixels, place, upload

pytestmark = IN_BROWSER
NUMBER = "input[type=number][data-of=denoise]"


@pytest.fixture
def noisy(tmp_path):
    """A dark, smooth photo with coloured noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:300, :400]
    smooth = np.stack([20 + x / 30, 24 + y / 40, 30 + 0 * x], -1)
    path = tmp_path / "noisy.png"
    Photo(np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).round().astype(np.uint8)).write(path)
    return path


def roughness(picture):
    """How much neighbours differ around the middle of a photo of 300 x 400."""
    return np.abs(np.diff(picture.reshape(300, 400, 3)[130:170, 180:220], axis=1)).mean()


@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_noise_goes_in_the_browser_as_on_the_server(visit, noisy, backbone):
    page = visit()
    page.evaluate("() => { const clock = performance.now.bind(performance); performance.now = () => clock() / 1000; }")
    upload(page, noisy)
    page.click("summary")
    page.click(f"[data-backbone={backbone}]")
    exact(page, lambda: click(page, 0.5, 0.5))
    assert 0 < float(page.input_value(NUMBER)) < 100  # automatic
    page.locator("#rl-denoise-range").scroll_into_view_if_needed()
    box = page.locator("#rl-denoise-range").bounding_box()
    rough = []
    for share in (0.02, 0.4, 0.98):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=5)
        page.wait_for_timeout(100)
        live = pixels(page)
        exact(page, page.mouse.up)
        assert np.abs(live - pixels(page)).max() <= 2
        rough.append(roughness(live))
    assert rough[0] > 1.5 * rough[1] > 1.5 * rough[2]


def test_a_photo_without_noise_is_not_cleaned(visit, photo):
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("clean") else None)
    upload(page, photo)
    exact(page, lambda: click(page))
    idle(page)
    assert page.input_value(NUMBER) == "0"
    assert page.is_disabled("[data-act=autodenoise]")
    assert asked == []
    page.fill(NUMBER, "80")
    exact(page, lambda: page.press(NUMBER, "Enter"))
    assert len(asked) == 1
    assert page.evaluate("document.querySelector('.rl-there').ranlen.recipe().subjects[0].denoise") == 0.8
    page.click("[data-act=autodenoise]")
    assert page.evaluate("document.querySelector('.rl-there').ranlen.recipe().subjects[0].denoise") is None
    assert page.input_value(NUMBER) == "0"


def test_a_recipe_says_how_much_noise_goes(visit, noisy, tmp_path):
    page = visit()
    upload(page, noisy)
    saved = {
        "ranlen": 2,
        "subjects": [{"edits": [{"tool": "circle", "at": [0.5, 0.5], "radius": 0.3}], "denoise": 0.25}],
    }
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(saved))
    exact(page, lambda: page.set_input_files(".rl-recipefile", path))
    assert page.input_value(NUMBER) == "25"


def test_while_noise_is_still_being_taken_out_the_page_says_that_it_is_not_done(visit, noisy):
    page = visit()
    held = []
    page.route("**/clean", lambda route: held.append(route))
    upload(page, noisy)
    page.click("[data-tool=circle]")
    page.mouse.click(*place(page, 0.5, 0.5))
    page.wait_for_function(f"{EDITOR}.recipe().subjects[0].edits.length")
    page.wait_for_timeout(3000)
    assert len(held) == 1
    assert page.locator(".rl-app.rl-waiting").count() == 1
    held[0].continue_()
    idle(page)
