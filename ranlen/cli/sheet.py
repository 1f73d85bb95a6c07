"""Sheets of pictures side by side and labelled: the same photo under every method, or any grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ranlen.arrays import resize
from ranlen.facts import METHODS
from ranlen.io.images import Photo, preview
from ranlen.masks.regions import RegionMask

LABELS = {"original": "Original"} | METHODS
TILE = 720  # longest side of one picture
GAP = 12
BACKGROUND = (24, 24, 24)
INK = (235, 235, 235)
LINE = np.array([255, 160, 40], np.float32)

Panel = tuple[str, np.ndarray]  # a label, and pixels (H, W, 3) of 8 bits


def contact_sheet(results: Mapping[str, Photo], mask: RegionMask) -> Photo:
    """Put results in a grid of at most three columns, after a picture of the areas.

    Args:
        results: photos of one size by method, "original" among them.
        mask: its areas, outlined on the first tile.
    """
    tiles = {LABELS.get(name, name): preview(photo, TILE) for name, photo in results.items()}
    tiles = {"Areas A and B": outline(preview(results["original"], TILE), mask)} | tiles
    return grid(list(tiles.items()), min(3, len(tiles)), below=False)


def grid(panels: Sequence[Panel], columns: int, *, below: bool) -> Photo:
    """Pictures in rows, each with its label above or below; a picture smaller than its cell stands in its top left.

    Args:
        panels: labels and pixels, row by row.
        columns: how many go in a row.
        below: where the labels stand.
    """
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    width = max(pixels.shape[1] for _, pixels in panels)
    heights = [max(pixels.shape[0] for _, pixels in row) for row in rows]
    font_size = max(14, *(size // 32 for size in (width, *heights)))
    font = ImageFont.load_default(font_size)
    header = 2 * font_size
    size = (GAP + columns * (width + GAP), sum(heights) + len(rows) * header + GAP)
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    top = GAP if below else 0
    for row, height in zip(rows, heights, strict=True):
        for i, (label, pixels) in enumerate(row):
            left = GAP + i * (width + GAP)
            middle = top + pixels.shape[0] + header / 2 if below else top + header / 2
            draw.text((left, middle), label, INK, font, anchor="lm")
            sheet.paste(Image.fromarray(pixels), (left, top if below else top + header))
        top += height + header
    return Photo(np.asarray(sheet))


def outline(pixels: np.ndarray, mask: RegionMask) -> np.ndarray:
    """Draw the borders of A (whole line) and of A or B (fainter) into pixels (H, W, 3)."""
    areas = resize(mask.tensor, (pixels.shape[0], pixels.shape[1]))[0] >= 0.5
    drawn = pixels.astype(np.float32)
    for area, strength in zip(areas, (1.0, 0.5), strict=True):
        inner = area.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                inner &= np.roll(area, step, axis)
        edge = area & ~inner
        drawn[edge] += strength * (LINE - drawn[edge])
    return drawn.round().astype(np.uint8)
