"""The page as it is started, with the segmenter that most people get."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.browser import DESKTOP, EDITOR, IN_BROWSER, exact, pixels, place, upload
from tests.serving import started

pytestmark = [*IN_BROWSER, pytest.mark.slow]


def test_one_click_finds_the_ball_by_sam(browser, balls):
    with started(Path(__file__).parents[2], RANLEN_SEGMENTER="auto") as url:
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.goto(url)
        page.wait_for_selector(".rl-there")
        assert "MobileSAM, which comes with RANLEN" in page.text_content(".rl-finder")
        assert "Networks run by ONNX Runtime, it has a graph" in page.text_content(".rl-finder")
        upload(page, balls)
        dark = pixels(page)
        page.mouse.move(*place(page, 130 / 400, 0.5))
        page.wait_for_function(
            f"() => {EDITOR}.glance()", timeout=60_000
        )  # what a click here would select, and nothing more
        (line,) = page.evaluate(f"() => {EDITOR}.glance().a")
        assert cv2.contourArea(np.array(line).reshape(-1, 2)) == pytest.approx(np.pi * 55**2, rel=0.1)
        assert (pixels(page) == dark).all()
        assert page.evaluate(f"() => {EDITOR}.recipe().subjects[0].edits") == []
        page.mouse.move(*place(page, 0.5, 0.9))
        assert page.evaluate(f"() => {EDITOR}.glance()") is None
        exact(page, lambda: page.mouse.click(*place(page, 130 / 400, 0.5)))
        lit = (pixels(page) != dark).any(2)
        assert page.input_value("input[type=number][data-of=feather]") == "2"  # narrow: it has a border of its own
        page.context.close()
    y, x = np.mgrid[:300, :400]
    assert lit[(x - 130) ** 2 + (y - 150) ** 2 < 40**2].mean() > 0.99
    assert not lit[(x - 270) ** 2 + (y - 150) ** 2 < 40**2].any()  # the other ball
