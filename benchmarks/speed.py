"""Time and memory of the whole path, next to floors taken in the same run: `make bench`.

Times are CPU seconds of one thread, medians over rounds in which everything runs once, so that a busy machine disturbs
all rows alike. Floors: a plain copy of the same pixels and a bare division for rendering; the preview's JPEG for a move
of the slider; Pillow opening and saving the same file for the command, beside what else there is (`peers`). The copy
goes into memory that is there already, and so do renders, as in the command. `--readme` writes the table into the
README. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks import peers
from ranlen import denoise, networks, retouch
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import shapes

SIZES = {1: (816, 1224), 12: (3000, 4000), 24: (4000, 6000), 50: (6144, 8192), 100: (8192, 12208)}  # (height, width)
MODELS = [f"{backbone}-{method}" for backbone in ("deepupe", "star_dce") for method in ("global", "ranlen")]
TICKS = 5  # a move of the slider is many
WATCH = """
import subprocess, sys, resource
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
FLOORS = {
    "bare I / S by OpenCV (floor)": "copy of the pixels (floor)",
    "render": "copy of the pixels (floor)",
    "slider tick": "JPEG of the preview (floor)",
    "command": "Pillow open and save (floor)",
}
ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- speed: written by python -m benchmarks.speed --readme -->\n", "<!-- end of speed -->\n"


def synthetic(size: tuple[int, int]) -> np.ndarray:
    """A dark, noisy picture that compresses like a photo."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(10, 90, (size[0] // 100, size[1] // 100, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).copy()
    for row in pixels:
        row[:] = np.clip(row + rng.normal(0, 3, row.shape), 0, 255)
    return pixels


class Clock:
    """Collects CPU seconds under names; of several calls, the mean."""

    def __init__(self) -> None:
        self.rows: dict[str, list[float]] = defaultdict(list)

    def __call__(self, name: str, function, *arguments, times: int = 1):
        started = time.process_time()
        for _ in range(times):
            result = function(*arguments)
        self.rows[name].append((time.process_time() - started) / times)
        return result

    def command(self, name: str, arguments: list[str]) -> float:
        """Run a process; its peak memory in MiB."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1", "PYTHONPATH": str(ROOT)}
        environment |= {"XDG_CONFIG_HOME": tempfile.gettempdir(), "XDG_CACHE_HOME": tempfile.gettempdir()}
        watched = [sys.executable, "-c", WATCH, *arguments]  # a small parent: peak memory is inherited
        done = subprocess.run(watched, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        seconds, peak = (float(word) for word in done.stdout.split()[-2:])
        self.rows[name].append(seconds)
        return peak / 1024


def steps(clock: Clock, path: Path) -> None:
    """Each step of the path, in this process."""
    photo = clock("read", images.read, path)
    clock("noise measured", denoise.automatic, photo)
    buffer = np.empty_like(photo.pixels)
    np.copyto(buffer, photo.pixels)
    clock("copy of the pixels (floor)", np.copyto, buffer, photo.pixels)
    clock("bare I / S by OpenCV (floor)", divide, photo.pixels, buffer)
    lit = dataclasses.replace(photo, pixels=buffer)
    height, width = photo.size
    mask = clock("areas", retouch.region_mask, shapes.disc(photo.size, (width / 2, height / 2), 2 * height / 7))
    small = Photo(images.preview(photo, 1280))
    for model in MODELS:
        lighting = clock(f"predict, {model}", retouch.predict, photo, mask, networks.load(model))
        np.copyto(lit.pixels, photo.pixels)
        clock(f"render, {model}", functools.partial(retouch.render, in_place=True), lit, lighting, 1.0)
        clock(f"slider tick, {model}", tick, small, lighting, times=TICKS)
    clock("JPEG of the preview (floor)", jpeg, small, times=TICKS)
    clock("write", lit.write, path.with_name("lit.jpg"))


def divide(pixels: np.ndarray, out: np.ndarray) -> None:
    """Divide by a light that is there, in the cache: no enlarging, no degree, no protection, no attenuation."""
    light = np.full((16, *pixels.shape[1:]), 0.6, np.float32)
    for top in range(0, len(pixels), 16):
        rows = pixels[top : top + 16]
        cv2.divide(rows, light[: len(rows)], dst=out[top : top + 16], dtype=cv2.CV_8U)


def tick(small: Photo, lighting: retouch.Lighting) -> bytes:
    """What a move of the slider takes, JPEG included."""
    return jpeg(retouch.render(small, lighting, 0.7))


def jpeg(photo: Photo) -> bytes:
    """The file that the page is sent."""
    return images.encode(photo, "JPEG", quality=90)


def commands(clock: Clock, path: Path) -> dict[str, float]:
    """Whole processes, and the peak memory of each in MiB."""
    with Image.open(path) as image:
        width, height = image.size
    circle = f"{width / 2},{height / 2},{2 * height / 7}"
    out = str(path.with_name("out.jpg"))
    python = [
        sys.executable,
        "-c",
        "import sys; from PIL import Image; Image.open(sys.argv[1]).save(sys.argv[2], quality=95)",
    ]
    peaks = {"Pillow open and save (floor)": clock.command("Pillow open and save (floor)", [*python, str(path), out])}
    ours = [sys.executable, "-m", "ranlen", "light", str(path), "-o", out, "--circle", circle, "--model"]
    for model in ("deepupe-ranlen", "star_dce-ranlen"):
        for name, noise in ((f"command, {model}", "auto"), (f"command, {model}, noise left", "0")):
            peaks[name] = clock.command(name, [*ours, model, "--denoise", noise])
    for name, arguments in peers.commands(path, path.with_name("peer.jpg"), (height, width)).items():
        try:
            peaks[f"command, {name}"] = clock.command(f"command, {name}", arguments)
        except subprocess.CalledProcessError:
            print(f"{name} refuses {width} x {height}", file=sys.stderr)
        path.with_name("peer.jpg").unlink(missing_ok=True)
    return peaks


def measure(size: tuple[int, int], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of CPU milliseconds by step, and peak memory of the commands."""
    clock, peaks = Clock(), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        data = io.BytesIO()
        Image.fromarray(synthetic(size)).save(data, "JPEG", quality=92)
        path.write_bytes(data.getvalue())
        for number in range(rounds + 1):
            steps(clock, path)
            peaks |= commands(clock, path) if number else {}  # the first round warms up
    medians = {name: 1000 * statistics.median(v[-rounds:]) for name, v in clock.rows.items()}
    return {"cpu_ms": medians, "peak_mib": peaks}


def table(sizes: dict[int, dict[str, dict[str, float]]]) -> str:
    """A Markdown table: CPU milliseconds, ratio to the floor, and peak memory."""
    lines = [
        "| CPU ms, one thread | " + " | ".join(f"{size} MP" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for name in next(iter(sizes.values()))["cpu_ms"]:
        cells = []
        for report in sizes.values():
            times, value = report["cpu_ms"], report["cpu_ms"].get(name)
            if value is None:
                cells.append("refused")
                continue
            floor = FLOORS.get(name.split(",")[0])
            ratio = f" ({value / times[floor]:.0f}x)" if floor else ""
            peak = f", {report['peak_mib'][name]:.0f} MiB" if name in report["peak_mib"] else ""
            cells.append(f"{value:.0f}{ratio}{peak}" if value >= 10 else f"{value:.1f}{ratio}{peak}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def processor() -> str:
    """Its name, where the system tells."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megapixels", type=int, nargs="+", default=[1, 12, 24, 50], choices=SIZES)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "speed.json")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    sizes = {size: measure(SIZES[size], options.rounds) for size in options.megapixels}
    missing = [name for name in peers.NAMES if f"command, {name}" not in sizes[options.megapixels[0]]["cpu_ms"]]
    report = {
        "commit": commit,
        "machine": processor(),
        "load": os.getloadavg()[0],
        "not_installed": missing,
        "sizes": sizes,
    }
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    text = (
        table(sizes)
        + f"\n{report['machine']}, commit {commit}, load {report['load']:.0f}, medians of {options.rounds}.\n"
    )
    text += f"Not installed here and so not compared: {', '.join(missing)}.\n" if missing else ""
    print(text)
    if options.readme:
        readme = ROOT / "README.md"
        before, rest = readme.read_text().split(BEGIN)
        readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
