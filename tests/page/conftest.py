"""The page in a real browser: what a person does must work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ranlen.io.images import Photo
from tests.browser import CHROMIUM, DESKTOP, FLAGS


@pytest.fixture(scope="package")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Open the page as a new visitor; at the end, nothing may have gone wrong or left the machine."""
    pages, complaints, strangers = [], [], []

    def visit(**options):
        page = browser.new_context(**{"viewport": DESKTOP, **options}).new_page()
        pages.append(page)
        page.on("filechooser", lambda chooser: None)  # looked out for from now on: a key is quicker than Playwright
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: strangers.append(request.url) if foreign(request.url) else None)
        page.goto(server)
        page.wait_for_selector(".rl-there")
        return page

    def foreign(url):
        return not url.startswith((server.rstrip("/"), "data:", "blob:"))

    visit.complaints = complaints  # a test takes out what it expects
    yield visit
    for page in pages:
        page.context.close()
    assert complaints == []
    assert strangers == []


@pytest.fixture
def photo(tmp_path) -> Path:
    """A dark photo of 300 x 400 with a colour profile and EXIF."""
    y, x = np.mgrid[:300, :400]
    pixels = np.stack([30 + x / 8, 30 + y / 8, 40 + 0 * x], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "evening.png"
    Photo(pixels, icc=profile, exif=exif.tobytes()).write(path)
    return path


@pytest.fixture
def balls(tmp_path) -> Path:
    """Two light balls in the dark."""
    pixels = np.full((300, 400, 3), (14, 16, 22), np.uint8)
    y, x = np.mgrid[:300, :400]
    for centre, colour in ((130, (70, 50, 30)), (270, (68, 52, 34))):
        pixels[(x - centre) ** 2 + (y - 150) ** 2 < 55**2] = colour
    path = tmp_path / "balls.png"
    Photo(pixels).write(path)
    return path
