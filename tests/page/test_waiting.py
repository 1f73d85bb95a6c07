"""The page while something takes seconds, in a real browser: a look at the photo, a file that is written."""

from __future__ import annotations

import threading
import types

import numpy as np
import pytest

from demo import editing, encoding, models
from tests.browser import IN_BROWSER, SHARE, click, drag, idle, pixels, place, save, shares, upload

pytestmark = IN_BROWSER


@pytest.fixture
def slow(monkeypatch):
    """A segmenter that has begun to look at a photo, and has seen it when it is let."""
    chosen, why = models.segmenter()
    begun, seen = threading.Event(), threading.Event()

    class Slow:
        name = "slow"
        segment, part = staticmethod(chosen.segment), staticmethod(chosen.part)

        def prepare(self, view):
            begun.set()
            assert seen.wait(180)
            return chosen.prepare(view)

    monkeypatch.setattr(models, "segmenter", lambda: (Slow(), why))
    monkeypatch.setattr(encoding, "TOOK", encoding.deque([20.0], 5))
    yield types.SimpleNamespace(begun=begun, seen=seen)
    seen.set()


def test_a_click_is_kept_until_the_photo_was_looked_at_and_strokes_do_not_wait(visit, balls, slow):
    page = visit()
    upload(page, balls)
    assert slow.begun.wait(20)  # nobody has clicked yet
    page.mouse.click(*place(page, 0.325, 0.5))
    page.wait_for_selector(r"text=/Looking at the photo, about (1\d|20) s\. Your click is kept\./")
    assert float(page.evaluate(SHARE)) > 0.9  # where the bar is going
    page.keyboard.press("Control+z")
    drag(page, (0.6, 0.5), (0.75, 0.5), tool="brush")  # while the segmenter still looks
    assert "Area A" in shares(page)
    assert "Looking" not in page.inner_text(".rl-hint")
    page.click("[data-act=undo]:visible")

    dark = pixels(page)
    page.click("[data-tool=subject]")
    page.mouse.click(*place(page, 0.325, 0.5))
    page.wait_for_selector("text=Your click is kept")
    assert np.array_equal(pixels(page), dark)
    slow.seen.set()
    idle(page)
    assert "Looking" not in page.inner_text(".rl-hint")
    assert (pixels(page) != dark)[150, 130].any()
    assert np.array_equal(pixels(page)[:, 220:], dark[:, 220:])


def test_a_stroke_stays_in_sight_until_it_is_answered(visit, balls, slow):
    page = visit()
    upload(page, balls)
    page.mouse.click(*place(page, 0.325, 0.5))
    page.wait_for_selector("text=Looking at the photo")
    page.click("[data-tool=brush]")
    at = place(page, 0.7, 0.8)

    def colour():
        return page.evaluate(
            """([x, y]) => { const c = document.querySelector('.rl-main'), b = c.getBoundingClientRect();
            return [...c.getContext('2d').getImageData(x - b.left, y - b.top, 1, 1).data].slice(0, 3) }""",
            at,
        )

    before = colour()
    page.mouse.move(*place(page, 0.6, 0.8))
    page.mouse.down()
    page.mouse.move(*place(page, 0.8, 0.8), steps=4)
    page.mouse.up()
    page.mouse.move(*place(page, 0.1, 0.1))
    page.wait_for_timeout(200)
    assert colour()[0] > before[0] + 40
    slow.seen.set()
    idle(page)


def test_saving_tells_its_steps(visit, photo, monkeypatch):
    go, write = threading.Event(), editing.save

    def patient(*given):
        for step in write(*given):
            yield step
            assert go.wait(20)

    monkeypatch.setattr(editing, "save", patient)
    page = visit(accept_downloads=True)
    upload(page, photo)
    click(page)
    with page.expect_download() as download:
        page.click("#save")
        page.wait_for_selector("text=Reading the photo…")
        assert 0 < float(page.evaluate(SHARE)) < 0.5
        go.set()
    assert download.value.suggested_filename == "evening_ranlen.png"
    idle(page)
    assert "…" not in page.inner_text(".rl-hint")
    assert save(page).suggested_filename == "evening_ranlen.png"
