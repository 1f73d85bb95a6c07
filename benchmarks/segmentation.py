"""How well a click finds the subject: mean IoU in good light and in the dark, by number of clicks.

`python -m benchmarks.segmentation FOLDER` with FOLDER/image and FOLDER/mask; pairs share a name. The user is
simulated: the first click lands anywhere comfortably inside the subject, each next one in the middle of the largest
error, and says which kind of error it is. All segmenters see the same photos and get the same first click.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import regions
from ranlen.segment import Prompts, Segmenter
from ranlen.segment.grabcut import GrabCut
from ranlen.segment.prompts import check_prompts

CLICKS = (1, 3, 5)


class Circle:
    """The floor: a circle around each click, whatever the photo shows."""

    name = "circle"

    def prepare(self, photo: Photo) -> tuple[int, int]:
        return photo.size

    def segment(self, prepared: tuple[int, int], prompts: Prompts) -> np.ndarray:
        radius = 0.18 * (prepared[0] * prepared[1]) ** 0.5
        discs = [regions.disc(prepared, point, radius) for point in check_prompts(prompts, prepared).inside]
        return np.any(discs, axis=0)


def sam() -> Segmenter:
    """The SAM that auto takes."""
    from ranlen.segment import checkpoints
    from ranlen.segment.sam import Sam

    return Sam.load(checkpoints.named() or checkpoints.shipped())


SEGMENTERS: dict[str, Callable[[], Segmenter]] = {"circle": Circle, "grabcut": GrabCut, "sam": sam}


def bright(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return pixels


def dark(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A room in the evening: 0.4 x^2.2 and noise of one percent."""
    light = 0.4 * (pixels / 255) ** 2.2
    return to_pixels(light + rng.normal(0, 0.01, light.shape))


def darker(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A street at night: 0.12 x^2.2 and noise that grows with the light, as a sensor's does."""
    light = 0.12 * (pixels / 255) ** 2.2
    return to_pixels(light + rng.normal(0, 1, light.shape) * np.sqrt(0.004**2 + 0.0008 * light))


LIGHTS = {"bright": bright, "dark": dark, "darker": darker}


def to_pixels(light: np.ndarray) -> np.ndarray:
    return np.clip(light * 255 + 0.5, 0, 255).astype(np.uint8)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))


def depth(inside: np.ndarray) -> np.ndarray:
    """Distance of each True pixel to the nearest False one or to the frame."""
    framed = np.pad(inside.astype(np.uint8), 1)
    return cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def first_click(truth: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Anywhere comfortably inside: at least half as deep as the subject is."""
    depths = depth(truth)
    rows, columns = np.nonzero(depths >= depths.max() / 2)
    chosen = rng.integers(len(rows))
    return (columns[chosen] + 0.5, rows[chosen] + 0.5)


def next_prompts(prompts: Prompts, mask: np.ndarray, truth: np.ndarray) -> Prompts:
    """One more click, in the middle of the largest connected error."""
    error = (mask != truth).astype(np.uint8)
    if not error.any():
        return prompts
    _, labels, stats, _ = cv2.connectedComponentsWithStats(error)
    largest = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    row, column = np.unravel_index(int(depth(largest & (truth == truth[largest][0])).argmax()), truth.shape)
    point = (float(column) + 0.5, float(row) + 0.5)
    if truth[row, column]:
        return replace(prompts, inside=(*prompts.inside, point), mask=mask)
    return replace(prompts, outside=(*prompts.outside, point), mask=mask)


def simulate(segmenter: Segmenter, photo: Photo, truth: np.ndarray, rng: np.random.Generator) -> list:
    """(IoU, seconds) after each click up to the last of `CLICKS`."""
    prepared = segmenter.prepare(photo)
    prompts = Prompts(inside=(first_click(truth, rng),))
    results = []
    for _ in range(max(CLICKS)):
        started = time.perf_counter()
        mask = segmenter.segment(prepared, prompts)
        results.append((iou(mask, truth), time.perf_counter() - started))
        prompts = next_prompts(prompts, mask, truth)
    return results


def pairs(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(name, pixels, truth) of every photo that has a mask."""
    found = []
    for path in sorted((folder / "image").glob("*")):
        masks = list((folder / "mask").glob(f"{path.stem}.*"))
        if masks:
            photo = images.read(path)
            found.append((path.stem, photo.pixels, images.read_mask(masks[0], photo.size)))
    return found


def measure(segmenters: Sequence[Segmenter], data: list, seed: int = 0) -> list[dict]:
    """One row for each segmenter, light, photo and number of clicks."""
    rows = []
    for light, darken in LIGHTS.items():
        for number, (name, pixels, truth) in enumerate(data):
            photo = Photo(darken(pixels, np.random.default_rng((seed, number))))
            for segmenter in segmenters:
                results = simulate(segmenter, photo, truth, np.random.default_rng((seed, number)))
                rows += [
                    {"segmenter": segmenter.name, "light": light, "photo": name, "clicks": count}
                    | {"iou": results[count - 1][0], "seconds": results[count - 1][1]}
                    for count in CLICKS
                ]
    return rows


def table(rows: list[dict]) -> str:
    """Mean IoU / share above 0.7, by segmenter, light and clicks."""
    lines = [f"{'segmenter':<12}{'light':<8}" + "".join(f"{f'{n} clicks':>14}" for n in CLICKS) + f"{'ms a click':>12}"]
    for name in dict.fromkeys(row["segmenter"] for row in rows):
        for light in LIGHTS:
            chosen = [row for row in rows if row["segmenter"] == name and row["light"] == light]
            cells = []
            for count in CLICKS:
                scores = [row["iou"] for row in chosen if row["clicks"] == count]
                cells.append(f"{statistics.mean(scores):.3f} / {np.mean(np.array(scores) > 0.7):>4.0%}")
            pace = 1000 * statistics.median(row["seconds"] for row in chosen)
            lines.append(f"{name:<12}{light:<8}" + "".join(f"{cell:>14}" for cell in cells) + f"{pace:>12.0f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds image/ and mask/")
    parser.add_argument("--segmenters", nargs="+", choices=SEGMENTERS, default=["circle", "grabcut", "sam"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of first clicks and noise")
    parser.add_argument("--json", type=Path, help="write every result here")
    options = parser.parse_args()
    data = pairs(options.folder)
    if not data:
        print(f"skipped: {options.folder} holds no image/ and mask/ of the same names")
        return
    cv2.setNumThreads(1)
    segmenters = [SEGMENTERS[name]() for name in options.segmenters]
    rows = [row for seed in options.seeds for row in measure(segmenters, data, seed)]
    print(f"{len(data)} photos, {len(options.seeds)} first clicks in each; mean IoU / share above 0.7")
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
