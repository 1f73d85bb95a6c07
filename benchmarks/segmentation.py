"""How well a click finds the subject: mean IoU in good light and in the dark, by number of clicks.

`python -m benchmarks.segmentation FOLDER...` with FOLDER/image and FOLDER/mask; pairs share a name. The user is
simulated: the first click lands anywhere comfortably inside the subject, each next one in the middle of the largest
error, and says which kind of error it is. All segmenters see the same photos and get the same first click.

`--kept 300` takes the photos that are kept for figures alone: the first by a hash of their names; `benchmarks.choice`
learns on later ones. `--pieces` is for masks that hold several subjects: a click means the piece it falls on. With
`--json` of an earlier run, `--against` tells what has changed since, with 95 % intervals of the paired difference.
"""

from __future__ import annotations

import argparse
import hashlib
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
from ranlen.masks import boolean, regions
from ranlen.segment import Prompts, Segmenter
from ranlen.segment.grabcut import GrabCut
from ranlen.segment.prompts import check_prompts
from train import intervals

CLICKS = (1, 3, 5)
ENOUGH = 0.7  # IoU above which a mask needs little more


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
    return boolean.distance(framed == 0)[1:-1, 1:-1]


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


def piece(truth: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    """What hangs together with a point in a mask: of five cats, the one that was clicked."""
    _, pieces = cv2.connectedComponents(truth.astype(np.uint8))
    return pieces == pieces[int(point[1]), int(point[0])]


def simulate(segmenter: Segmenter, photo: Photo, truth: np.ndarray, click: tuple[float, float], count: int) -> list:
    """(IoU, seconds) after each of `count` clicks."""
    prepared = segmenter.prepare(photo)
    prompts = Prompts(inside=(click,))
    results = []
    for _ in range(count):
        started = time.perf_counter()
        mask = segmenter.segment(prepared, prompts)
        results.append((iou(mask, truth), time.perf_counter() - started))
        prompts = next_prompts(prompts, mask, truth)
    return results


def pairs(folders: Sequence[Path]) -> list[tuple[Path, Path]]:
    """The files (photo, mask) of every photo that has a mask."""
    found = []
    for folder in folders:
        masks = {path.stem: path for path in (folder / "mask").glob("*")}
        found += [(path, masks[path.stem]) for path in sorted((folder / "image").glob("*")) if path.stem in masks]
    return found


def shuffled(files: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The same files in an order that only their names decide: what was kept once is kept for good."""
    return sorted(files, key=lambda pair: hashlib.sha256(pair[0].stem.encode()).hexdigest())


def read(image: Path, mask: Path) -> tuple[str, np.ndarray, np.ndarray]:
    """(folder/name, pixels, truth)."""
    photo = images.read(image)
    return f"{image.parent.parent.name}/{image.stem}", photo.pixels, images.read_mask(mask, photo.size)


def measure(segmenters: Sequence[Segmenter], data: list, seed: int, clicks: Sequence[int], *, pieces: bool) -> list:
    """One row for each segmenter, light, photo and number of clicks."""
    rows = []
    for light, darken in LIGHTS.items():
        for number, (name, pixels, truth) in enumerate(data):
            photo = Photo(darken(pixels, np.random.default_rng((seed, number))))
            click = first_click(truth, np.random.default_rng((seed, number)))
            meant = piece(truth, click) if pieces else truth
            for segmenter in segmenters:
                results = simulate(segmenter, photo, meant, click, max(clicks))
                rows += [
                    {"segmenter": segmenter.name, "light": light, "photo": name, "seed": seed, "clicks": count}
                    | {"iou": results[count - 1][0], "seconds": results[count - 1][1]}
                    for count in clicks
                ]
    return rows


def table(rows: list[dict]) -> str:
    """Mean IoU / share above 0.7, by segmenter, folder, light and clicks."""
    clicks = sorted({row["clicks"] for row in rows})
    lines = [
        f"{'segmenter':<12}{'photos':<10}{'light':<8}"
        + "".join(f"{f'{n} clicks':>14}" for n in clicks)
        + "  ms a click"
    ]
    folders = sorted({folder_of(row) for row in rows})
    for name in dict.fromkeys(row["segmenter"] for row in rows):
        for folder in [*folders, "all"] if len(folders) > 1 else folders:
            for light in LIGHTS:
                chosen = [row for row in rows if (row["segmenter"], row["light"]) == (name, light)]
                chosen = [row for row in chosen if folder in ("all", folder_of(row))]
                cells = []
                for count in clicks:
                    scores = [row["iou"] for row in chosen if row["clicks"] == count]
                    cells.append(f"{statistics.mean(scores):.3f} / {np.mean(np.array(scores) > ENOUGH):>4.0%}")
                pace = 1000 * statistics.median(row["seconds"] for row in chosen)
                cells = "".join(f"{cell:>14}" for cell in cells)
                lines.append(f"{name:<12}{folder:<10}{light:<8}{cells}{pace:>12.0f}")
    return "\n".join(lines)


def folder_of(row: dict) -> str:
    return row["photo"].split("/")[0]


def changes(rows: list[dict], before: list[dict]) -> str:
    """How the mean IoU has changed, by segmenter, light and clicks; the interval is over photos."""
    keys = ("segmenter", "light", "clicks", "photo", "seed")
    earlier = {tuple(row[key] for key in keys): row["iou"] for row in before}
    differences: dict[tuple, dict[str, list[float]]] = {}
    for row in rows:
        key = tuple(row[key] for key in keys)
        if key in earlier:
            differences.setdefault(key[:3], {}).setdefault(row["photo"], []).append(row["iou"] - earlier[key])
    lines = []
    for (name, light, count), photos in differences.items():
        means = np.array([statistics.mean(values) for values in photos.values()])
        around = intervals.interval(means, intervals.resample(list(photos)))
        spread = f" [{around[0]:+.3f}, {around[1]:+.3f}]" if around else ""
        lines.append(f"{name:<12}{light:<8}{count} clicks{means.mean():+8.3f}{spread} on {len(means)} photos")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="each holds image/ and mask/")
    parser.add_argument("--segmenters", nargs="+", choices=SEGMENTERS, default=["circle", "grabcut", "sam"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of first clicks and noise")
    parser.add_argument("--clicks", type=int, nargs="+", default=CLICKS, help="after how many to measure")
    parser.add_argument("--kept", type=int, help="only as many photos, which are kept for this")
    parser.add_argument("--pieces", action="store_true", help="a mask holds several subjects; the clicked one counts")
    parser.add_argument("--json", type=Path, help="write every result here")
    parser.add_argument("--against", type=Path, help="the --json of an earlier run")
    options = parser.parse_args()
    files = pairs(options.folders)
    if not files:
        print(f"skipped: {', '.join(map(str, options.folders))}: no image/ and mask/ that hold files of the same names")
        return
    data = [read(*pair) for pair in (shuffled(files)[: options.kept] if options.kept else files)]
    cv2.setNumThreads(1)
    segmenters = [SEGMENTERS[name]() for name in options.segmenters]
    rows = []
    for seed in options.seeds:
        rows += measure(segmenters, data, seed, options.clicks, pieces=options.pieces)
    print(f"{len(data)} photos, {len(options.seeds)} first clicks in each; mean IoU / share above {ENOUGH}")
    print(table(rows))
    if options.against:
        print(changes(rows, json.loads(options.against.read_text())))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
