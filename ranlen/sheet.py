"""A contact sheet: the same photo under every method, side by side and labelled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ranlen.images import Photo, preview
from ranlen.regions import RegionMask, resize

LABELS = {"original": "Original", "global": "Global", "blend": "Blend", "concat": "Concat", "ranlen": "RANLEN"}
TILE = 720  # longest side of one picture
GAP = 12
BACKGROUND = (24, 24, 24)
INK = (235, 235, 235)
LINE = np.array([255, 160, 40], np.float32)


def contact_sheet(results: Mapping[str, Photo], mask: RegionMask) -> Photo:
    """Put results in a grid of at most three columns, after a picture of the areas.

    Args:
        results: photos of one size by method, "original" among them.
        mask: its areas, outlined on the first tile.
    """
    tiles = {LABELS.get(name, name): preview(photo, TILE) for name, photo in results.items()}
    tiles = {"Areas A and B": outline(preview(results["original"], TILE), mask)} | tiles
    height, width = next(iter(tiles.values())).shape[:2]
    font_size = TILE // 32
    font = ImageFont.load_default(font_size)
    header = 2 * font_size
    columns = min(3, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (GAP + columns * (width + GAP), rows * (height + header) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for i, (label, tile) in enumerate(tiles.items()):
        left, top = GAP + i % columns * (width + GAP), i // columns * (height + header)
        draw.text((left, top + header / 2), label, INK, font, anchor="lm")
        sheet.paste(Image.fromarray(tile), (left, top + header))
    return Photo(np.asarray(sheet))


def outline(pixels: np.ndarray, mask: RegionMask) -> np.ndarray:
    """Draw the borders of A (whole line) and of A or B (fainter) into pixels (H, W, 3)."""
    areas = resize(mask.tensor, (pixels.shape[0], pixels.shape[1]))[0].numpy() >= 0.5
    drawn = pixels.astype(np.float32)
    for area, strength in zip(areas, (1.0, 0.5), strict=True):
        inner = area.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                inner &= np.roll(area, step, axis)
        edge = area & ~inner
        drawn[edge] += strength * (LINE - drawn[edge])
    return drawn.round().astype(np.uint8)
