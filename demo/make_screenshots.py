"""Make the README's picture and film of the page, and pictures to look at: `python -m demo.make_screenshots [FOLDER]`.

Without a folder, only `demo/page.jpg` and `demo/page.gif` are made, from free examples; with one, every view, four
sizes, light and dark.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from demo import ui

SIZES = ((1440, 900), (1024, 768), (390, 844), (320, 640))
FILM = (800, 500)
EXAMPLE = "Example: astronaut"
DEGREE = "#rl-degree-range"


def opened(browser: Browser, url: str, size: tuple[int, int], scheme: str) -> Page:
    """The page of a new visitor."""
    phone = size[0] < 500
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        has_touch=phone,
        is_mobile=phone,
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".rl-there")
    return page


def rested(page: Page) -> None:
    """Wait until the light is there and the areas have stepped back."""
    page.wait_for_function("!document.querySelector('.rl-waiting')", timeout=60_000)
    page.wait_for_timeout(3000)


def every_view(page: Page, folder: Path, name: str) -> None:
    """Pictures of the empty page, of each view, and of the settings on a phone."""
    page.screenshot(path=folder / f"{name}-empty.png")
    page.click(f"[aria-label='{EXAMPLE}']")
    page.wait_for_selector(".rl-app[data-view=select]")
    rested(page)
    for view in ("select", "wipe", "compare"):
        page.click(f"button[data-view={view}]")
        rested(page)
        page.screenshot(path=folder / f"{name}-{view}.png")
    if page.is_visible(".rl-sheetbutton"):
        page.click(".rl-sheetbutton")
        page.screenshot(path=folder / f"{name}-settings.png")


def readme_picture(page: Page, path: Path) -> None:
    """The page as it is after one click on an example."""
    page.click(f"[aria-label='{EXAMPLE}']")
    page.wait_for_selector(".rl-app[data-view=select]")
    rested(page)
    page.screenshot(path=path, type="jpeg", quality=85)


def readme_film(page: Page, path: Path) -> None:
    """A photo is opened, its subject clicked, the degree moved, the result held against the photo."""
    frames: list[Image.Image] = []
    lasts: list[int] = []

    def shoot(milliseconds: int) -> None:
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize(FILM, Image.Resampling.LANCZOS)
        frames.append(picture.quantize(96, dither=Image.Dither.NONE))
        lasts.append(milliseconds)

    shoot(1200)
    page.set_input_files("#photo", Path(__file__).parent / "examples" / "astronaut.jpg")
    page.wait_for_selector(".rl-app[data-view=select]")
    page.wait_for_timeout(1500)
    shoot(1200)
    page.click("[data-tool=subject]")
    page.mouse.click(*page.evaluate("document.querySelector('.rl-there').ranlen.place(0.44, 0.23)"))
    page.wait_for_timeout(300)
    page.wait_for_function("!document.querySelector('.rl-waiting')", timeout=60_000)
    page.wait_for_timeout(700)
    shoot(1500)
    page.wait_for_timeout(3000)
    for degree in 1 + 0.8 * np.sin(np.linspace(0, 2 * np.pi, 15)):
        page.eval_on_selector(DEGREE, "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", float(degree))
        page.wait_for_timeout(150)
        shoot(120)
    page.eval_on_selector(DEGREE, "e => e.dispatchEvent(new Event('change'))")
    page.click("button[data-view=wipe]")
    page.wait_for_timeout(2000)
    shoot(2000)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=lasts, loop=0, optimize=True)


def main() -> None:
    """Write the pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    page = ui.build()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **ui.LAUNCH)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if len(sys.argv) > 1:
            folder = Path(sys.argv[1])
            folder.mkdir(parents=True, exist_ok=True)
            for size in SIZES:
                for scheme in ("light", "dark"):
                    every_view(opened(browser, url, size, scheme), folder, f"{size[0]}-{scheme}")
        else:
            readme_picture(opened(browser, url, (1280, 800), "dark"), Path(__file__).parent / "page.jpg")
            readme_film(opened(browser, url, (1280, 800), "dark"), Path(__file__).parent / "page.gif")
        browser.close()
    page.close()


if __name__ == "__main__":
    main()
