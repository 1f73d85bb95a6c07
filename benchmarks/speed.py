"""Time and memory of the whole path, next to floors taken in the same run: `make bench`.

Times are CPU seconds of one thread, medians over rounds in which everything runs once, so that a busy machine disturbs
all rows alike. Ratios are to a plain copy of the same pixels. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ranlen import images, regions, retouch, weights
from ranlen.images import Photo

SIZES = {1: (816, 1224), 12: (3000, 4000), 24: (4000, 6000)}  # megapixels: (height, width)


def synthetic(size: tuple[int, int]) -> np.ndarray:
    """A dark, noisy picture that compresses like a photo."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(10, 90, (size[0] // 100, size[1] // 100, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).astype(np.int16)
    return np.clip(smooth + rng.normal(0, 3, smooth.shape).astype(np.int16), 0, 255).astype(np.uint8)


class Clock:
    """Collects CPU seconds under names."""

    def __init__(self) -> None:
        self.rows: dict[str, list[float]] = defaultdict(list)

    def __call__(self, name: str, function, *arguments):
        started = time.process_time()
        result = function(*arguments)
        self.rows[name].append(time.process_time() - started)
        return result


def one_round(clock: Clock, path: Path, models: list[str]) -> None:
    photo = clock("read", images.read, path)
    clock("copy (floor)", np.copy, photo.pixels)
    height, width = photo.size
    core = regions.disc(photo.size, (width / 2, height / 2), 2 * min(photo.size) / 7)
    mask = clock("areas", retouch.region_mask, core)
    for model in models:
        enhancer = weights.load(model)
        lighting = clock(f"predict {model}", retouch.predict, photo, mask, enhancer)
        lit = clock(f"render {model}", retouch.render, photo, lighting, 1.0)
    clock("write", lit.write, path.with_name("lit.jpg"))
    clock("Pillow open and save (floor)", lambda: Image.open(path).save(path.with_name("again.jpg"), quality=95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megapixels", type=int, nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--models", nargs="+", default=["deepupe-global", "deepupe-ranlen", "star_dce-ranlen"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    report = {
        "commit": commit,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "sizes": {},
    }
    for megapixels in options.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "photo.jpg"
            Photo(synthetic(SIZES[megapixels])).write(path)
            clock = Clock()
            for _ in range(options.rounds + 1):
                one_round(clock, path, options.models)
        medians = {name: statistics.median(values[1:]) for name, values in clock.rows.items()}  # the first warms up
        floor = medians["copy (floor)"]
        print(f"\n{megapixels} MP, medians of {options.rounds}, one thread")
        for name, seconds in medians.items():
            print(f"  {name:<30}{1000 * seconds:>9.1f} ms{seconds / floor:>9.1f} x copy")
        report["sizes"][megapixels] = medians
    report["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process {report['peak_mib']:.0f} MiB")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
