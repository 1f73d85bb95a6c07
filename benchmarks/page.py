"""How the page feels, in numbers, measured in a browser without a GPU: `python -m benchmarks.page`.

Medians of a few runs. What is counted is what a person waits for: from the click of the mouse to the picture on the
screen. Load on the machine is printed beside them; on a busy one all times grow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from demo.make_examples import darken
from ranlen.io.images import Photo
from tests.browser import CHROMIUM, FLAGS, click, drag, idle, place, upload

PORT = 7899
FRAMES = """async (share) => {
  const times = []; let on = true;
  const tick = (t) => { times.push(t); if (on) requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  const slider = document.querySelector('#rl-degree-range');
  for (let i = 0; i < 90; i += 1) {
    slider.value = 1 + 0.9 * Math.sin(i / 9);
    slider.dispatchEvent(new Event('input'));
    await new Promise((done) => requestAnimationFrame(done));
  }
  on = false;
  const start = performance.now();
  const editor = document.querySelector('.rl-there');
  const exact = new Promise((done) => editor.addEventListener('exact', done, { once: true }));
  slider.dispatchEvent(new Event('change'));
  await exact;
  return [times, performance.now() - start];
}"""
MASKED = """() => new Promise((done) => {
  const at = performance.now(), shares = document.querySelector('.rl-shares'), text = shares.textContent;
  const look = () => {
    if (shares.textContent && shares.textContent !== text) done(performance.now() - at);
    else requestAnimationFrame(look);
  };
  look();
})"""


def make_photo(folder: Path) -> Path:
    """A dark 12 MP JPEG with noise, of a cup of coffee."""
    from PIL import Image
    from skimage import data

    large = np.asarray(Image.fromarray(data.coffee()).resize((4000, 3000), Image.Resampling.BICUBIC))
    path = folder / "coffee.jpg"
    Photo(darken(large, 3.4, np.random.default_rng(0))).write(path)
    return path


def measure(page: Page, url: str, photo: Path) -> dict[str, float]:
    """All figures of one visit."""
    figures: dict[str, float] = {}
    loaded, posted, asked = [0], [], []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.on("request", lambda r: posted.append(len(r.post_data or "")) if r.method == "POST" else None)
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(".rl-there")
    figures["first load [s]"] = time.perf_counter() - start
    page.wait_for_timeout(500)
    figures["first load [MB]"] = sum(loaded) / 1e6

    start = time.perf_counter()
    upload(page, photo)
    figures["12 MP photo on the screen [s]"] = time.perf_counter() - start
    page.wait_for_timeout(500)
    posted.clear()
    click(page, 0.4, 0.5)  # a circle: no segmentation, networks warm from here on

    def masked(rest: float) -> float:
        """Seconds from a click to its mask; the pointer rests on the place before it, in milliseconds."""
        times = []
        for x in (0.45, 0.5, 0.55):
            page.mouse.move(*place(page, x, 0.5))
            page.wait_for_timeout(rest)
            page.evaluate(f"() => {{ window.masked = ({MASKED})(); }}")
            page.mouse.click(*place(page, x, 0.5))
            times.append(page.evaluate("window.masked"))
            idle(page)
            page.keyboard.press("Control+z")  # the next click may find the same subject, and be waited for in vain
            idle(page)
        return float(np.median(times)) / 1e3

    figures["click to mask [s]"] = masked(0)
    for rest, words in ((0, "at once"), (300, "as its preview is asked"), (2000, "after its preview")):
        if page.is_enabled("[data-act=clear]"):
            page.click("[data-act=clear]")
        page.click("[data-tool=subject]")
        figures[f"click to subject, {words} [s]"] = masked(rest)
    page.click("[data-tool=brush]")
    drag(page, *((0.2 + 0.01 * i, 0.5 + 0.2 * np.sin(i / 5)) for i in range(50)), tool="brush", steps=2)
    figures["largest upload per edit [bytes]"] = max(posted)
    page.wait_for_timeout(3000)

    page.on("request", lambda r: asked.append(r.url) if r.method == "POST" else None)
    page.evaluate(FRAMES)
    page.wait_for_timeout(1000)
    asked.clear()
    frames, after = page.evaluate(FRAMES)
    figures["frames a second while Degree moves"] = 1000 / float(np.median(np.diff(frames)))
    figures["requests while it moves"] = len(asked) - 1  # but for the exact frame at its end
    figures["release to exact frame [s]"] = after / 1e3
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    environment = os.environ | {"GRADIO_SERVER_PORT": str(PORT), "OMP_WAIT_POLICY": "PASSIVE"}
    server = subprocess.Popen([sys.executable, "app.py"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = next(line.split()[-1] for line in server.stdout if "http" in line)
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            photo = make_photo(Path(folder))
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            runs = []
            for _ in range(options.runs + 1):  # the first one warms the server up
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                runs.append(measure(context.new_page(), url, photo))
                context.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()
    print(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; medians of {options.runs} visits.\n")
    print("| | |\n|---|---|")
    for name in runs[0]:
        print(f"| {name} | {np.median([run[name] for run in runs[1:]]):.4g} |")


if __name__ == "__main__":
    main()
