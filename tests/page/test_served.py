"""The page as Gradio's Node server renders it first, which is how a Space serves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.browser import DESKTOP, IN_BROWSER, click, exact, pixels, upload
from tests.serving import started

pytestmark = [
    *IN_BROWSER,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="no Node on this machine: Gradio renders with it"),
]


def test_the_page_works_when_a_server_renders_it(browser, photo):
    with started(Path(__file__).parents[2], GRADIO_SSR_MODE="True") as url:
        page = browser.new_context(viewport=DESKTOP).new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        assert "/_app/immutable/" in page.goto(url).text()  # it is Node that answers
        page.wait_for_selector(".rl-there")
        upload(page, photo)
        before = pixels(page)
        exact(page, lambda: click(page))
        assert (pixels(page) != before).any()
        assert np.array_equal(pixels(page)[:5, :5], before[:5, :5])
        page.context.close()
    assert complaints == []
