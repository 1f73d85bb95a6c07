"""Compare, in a real browser: each pane shows what the server would, and says so while it has nothing to show."""

from __future__ import annotations

import threading

import numpy as np

from demo import editing, handlers, models, sessions
from ranlen import retouch
from ranlen.recipe import parse_recipe
from tests.browser import EDITOR, IN_BROWSER, click, idle, upload

pytestmark = IN_BROWSER
PLACES = [(0.5, 0.5), (0.42, 0.5), (0.5, 0.62), (0.66, 0.5), (0.2, 0.2), (0.9, 0.8)]
SEEN = """([name, places]) => {
  const canvas = document.querySelector(`[data-of=${name}] canvas`), { width, height } = canvas;
  const scale = Math.min(width / 400, height / 300), left = (width - 400 * scale) / 2, top = (height - 300 * scale) / 2;
  return places.map(([x, y]) => [...canvas.getContext('2d').getImageData(
    Math.round(left + x * 400 * scale), Math.round(top + y * 300 * scale), 1, 1).data].slice(0, 3)); }"""


def seen(page, method):
    """Colours of the photo at some places of a pane, (n, 3)."""
    return np.array(page.evaluate(SEEN, [method, PLACES]))


def wanted(page, method):
    """Likewise, of the frame that the server makes of what is done."""
    done = parse_recipe(page.evaluate(f"{EDITOR}.recipe()"))
    (subject,) = done.subjects
    session = next(reversed(sessions.VISITORS.asked.values()))
    finder = models.segmenter()[0]
    light = editing.lighting(session, subject, f"{done.backbone}-{method}", finder, models.load)
    pixels = retouch.render(session.view, light, subject.degree).pixels
    return np.array([pixels[round(y * 300), round(x * 400)] for x, y in PLACES]).astype(int)


def ready(page):
    page.wait_for_selector(".rl-compare.rl-ready")
    idle(page)
    page.wait_for_timeout(200)


CHANGES = {
    "network": lambda page: page.click("[data-backbone=star_dce]"),
    "soft edge": lambda page: page.fill("input[type=number][data-of=feather]", "30"),
    "side": lambda page: page.click("[data-side=in]"),
    "look": lambda page: page.click("[data-preset=spotlight]"),
    "mask": lambda page: page.click("[data-act=grow]"),
    "undo": lambda page: page.click("[data-act=undo]:visible"),
}


def test_after_every_change_each_pane_shows_the_servers_own_frame(visit, photo):
    page = visit()
    upload(page, photo)
    click(page, 0.45, 0.5)
    click(page)
    page.click("summary")
    page.click("[data-view=compare]")
    ready(page)
    for name, change in CHANGES.items():
        said = {m: page.inner_text(f"[data-of={m}] ul") for m in ("global", "ranlen")}
        change(page)
        page.keyboard.press("Tab")  # a number counts when it is left
        page.wait_for_timeout(100)
        ready(page)
        for method in ("global", "blend", "concat", "ranlen"):
            # A pane is smaller than the photo: where a strong light ends, a sample of it lies between two pixels.
            assert np.abs(seen(page, method) - wanted(page, method)).max() <= 6, (name, method)
        assert said != {m: page.inner_text(f"[data-of={m}] ul") for m in said} or name not in ("network", "look"), name


def test_a_pane_without_an_answer_shows_no_picture_and_says_so(visit, photo, monkeypatch):
    page = visit()
    upload(page, photo)
    page.click("[data-view=compare]")
    page.wait_for_selector("[data-of=blend] :text('Nothing is marked yet')")
    page.click("[data-view=select]")
    click(page)
    go, light_of = threading.Event(), handlers.light_of
    monkeypatch.setattr(handlers, "light_of", lambda *given: go.wait(60) and light_of(*given))
    page.click("[data-view=compare]")
    for method in ("global", "blend", "concat", "ranlen"):
        page.wait_for_selector(f"[data-of={method}] :text('Being lit…')")
        assert not seen(page, method).any()
    assert seen(page, "original").any()
    go.set()
    ready(page)
    assert seen(page, "ranlen").any()


def test_opening_a_photo_frees_the_lights_of_the_last_one(browser, server, photo, balls):
    context = browser.new_context()
    context.add_init_script(
        "window.textures = new Set(); const gl = WebGL2RenderingContext.prototype;"
        "const { createTexture, deleteTexture } = gl;"
        "gl.createTexture = function () { const made = createTexture.call(this); textures.add(made); return made; };"
        "gl.deleteTexture = function (one) { textures.delete(one); deleteTexture.call(this, one); };"
    )
    page = context.new_page()
    page.goto(server)
    page.wait_for_selector(".rl-there")
    upload(page, photo)
    alone = page.evaluate("textures.size")
    click(page)
    page.click("[data-view=compare]")
    ready(page)
    assert page.evaluate("textures.size") >= alone + 9  # a light and one for each method, with windows but for global
    upload(page, balls)
    page.wait_for_timeout(200)
    assert page.evaluate("textures.size") == alone
    context.close()
