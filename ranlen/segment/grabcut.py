"""Clicks to a mask without a network: GrabCut (Rother et al., 2004), started from a circle around each click.

The first cut sees the whole photo at about 320 pixels, where it is faster than at full size and better; a second one
looks closer, at what the first found and a margin. A correction that is small beside the subject is answered in a
window around it, and only what hangs together with the click changes, so that a click does not lose what earlier ones
won. The mask is then refined against the photo.

What was measured on 29 DAVIS frames (`benchmarks/segmentation.py`; mean IoU after 1 / 3 / 5 clicks in good light, three
first clicks for each frame unless marked *):

    one cut of the whole photo                                  0.54 / 0.69 / 0.72
    + the closer look, a band of 4 for the border               0.55 / 0.69 / 0.74
    + every correction in a window                              0.55 / 0.68 / 0.74
    + small corrections in a window, large ones as before       0.55 / 0.71 / 0.77
    + corrections that found nothing see the whole photo *      0.56 / 0.74 / 0.79   this file
      in the dark, and in deeper dark *                         0.55 / 0.71 / 0.76 and 0.54 / 0.71 / 0.76
    only what hangs together with the click changes *           0.54 / 0.70 / 0.73
    votes of circles of 0.12, 0.2 and 0.3 *                     0.54 / 0.70 / 0.73
    votes of the whole, the closer and the window's cut *       0.55 / 0.71 / 0.72
    one cut at 480 pixels *                                     0.56 / 0.65 / 0.72
    colours as Lab, circles of 0.15 or 0.25, 1 or 6 iterations, blur of 2.5: 0.53 to 0.54 after one click
    soft colour histograms with a prior around the click, smoothed by a guided filter, no cut: 0.46 after one click

These frames are of ten sequences, and the steps were chosen on them. Windows gain 0.02 / 0.01 / 0.05 over one cut, with
a standard error over sequences of 0.006 / 0.006 / 0.022; nine sequences would choose them for each tenth.

Choosing among circles of several sizes by how much contrast their borders met was measured too: no score chose better
than this one size does. A person can: `Prompts.level` steps through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ranlen.geometry import Box, Pixel, Point, Size
from ranlen.io.images import Photo, preview
from ranlen.masks import boolean
from ranlen.masks.shapes import rectangle
from ranlen.segment import edges
from ranlen.segment.brighten import brightened
from ranlen.segment.prompts import MOST_STEPS, PromptError, Prompts, check_prompts

ITERATIONS = 3
WORK = 240  # square root of the pixels that are cut: 320 x 180 of a wide photo
MIDDLE = 640  # longest side of what windows are taken from
WINDOW = 200  # longest side of a window that is cut
BLUR = 1.5  # sigma against noise and texture, in pixels of what is cut
BAND = 4  # coarse pixels in which borders are refined: GrabCut's are guesses
# Lengths in square roots of the photo's area.
SEED = 0.04  # around a click lies what is clicked
CIRCLE = 0.2  # where the subject probably is
WINDOW_LEAST = 0.3  # half the side of a window around a correction
REACH = 2.2  # circles: where it ends for sure
STEP = 1.6  # how much larger the circle is for a larger part
WINDOW_REACH = 8  # radii of an error: half the side of the window that it is corrected in
MARGIN = 0.25  # of the subject's longer side, around it in the closer look
SMALL = 0.2  # radius of a small error, in square roots of the subject's area
ALONE = 1.3  # discs of an error: a correction that adds no more found nothing
FLAT = 2.0  # standard deviation of a photo in which nothing can be told from anything


@dataclass(frozen=True)
class Prepared:
    """A photo as GrabCut sees it, brightened.

    Attributes:
        size: (height, width) of the photo.
        small: (h, w, 3) uint8, blurred, what the first cut is made on.
        middle: (h, w, 3) uint8, blurred, what windows are taken from.
        guide: (H, W, 3) uint8, what borders are refined on.
    """

    size: Size
    small: np.ndarray
    middle: np.ndarray
    guide: np.ndarray


@dataclass(frozen=True)
class Correction:
    """A click that contradicts the answer so far: where it is, (x, y) pixels, and how far the error reaches there."""

    place: Pixel
    add: bool
    radius: float


class GrabCut:
    """A `Segmenter` that needs nothing but OpenCV."""

    name = "grabcut"

    def prepare(self, photo: Photo) -> Prepared:
        """Small copies of the photo."""
        guide = preview(photo, edges.GUIDE)
        small = reduced(guide)
        guide, middle = brightened(guide, like=small), brightened(preview(Photo(guide), MIDDLE), like=small)
        return Prepared(photo.size, blurred(brightened(small)), blurred(middle), guide)

    def segment(self, prepared: Prepared, prompts: Prompts) -> np.ndarray:
        """The subject, booleans (H, W); see `Segmenter`. A level steps through circles of several sizes."""
        check_prompts(prompts, prepared.size)
        shape = prepared.small.shape[:2]
        inside, outside = (pixels(points, prepared.size, shape) for points in (prompts.inside, prompts.outside))
        if both := set(inside) & set(outside):
            x, y = next(point for point, pixel in zip(prompts.inside, inside, strict=True) if pixel in both)
            raise PromptError(f"the point {x:g},{y:g} is marked both as the subject and as not the subject: undo one")
        if prompts.mask is not None and prompts.level == 0:
            before = boolean.resized(prompts.mask, prepared.middle.shape[:2])
            error = correction(before, prepared, prompts)
            if error is not None and error.radius <= SMALL * before.sum() ** 0.5:
                mask = correct(before, error, prepared, prompts)
                added = int((mask & ~before).sum())
                # A click that found nothing but the spot around it wants more of the photo to go by.
                if mask.any() and (not error.add or added > ALONE * np.pi * error.radius**2):
                    return edges.refine(mask, prepared.guide, prepared.size, BAND)
        mask = edges.tidy(cut(prepared.small, start(prepared, prompts, inside, outside), ITERATIONS), inside, outside)
        if not mask.any():
            raise PromptError("nothing was found there: click the subject, or draw a larger box around it")
        mask = closer(edges.refine(mask, prepared.guide, prepared.guide.shape[:2], BAND), prepared, prompts)
        return boolean.resized(mask, prepared.size)

    def part(self, prepared: Prepared, prompts: Prompts) -> tuple[int, int]:
        """Which of the circles of several sizes it began with."""
        return prompts.level + MOST_STEPS + 1, 2 * MOST_STEPS + 1


def closer(mask: np.ndarray, prepared: Prepared, prompts: Prompts) -> np.ndarray:
    """A mask (H, W) of the guide's size, cut again in a window around it; itself where that is much of the photo."""
    guide = prepared.guide
    margin = int(MARGIN * max(cv2.boundingRect(mask.astype(np.uint8))[2:])) + 8
    rows, columns = boolean.around(mask, margin)
    view, part = guide[rows, columns], mask[rows, columns]
    if part.size > mask.size / 2:
        return mask
    small = blurred(reduced(view))
    shape = small.shape[:2]
    probable = boolean.resized(part, shape)
    window = placed(rows, columns, guide.shape[:2], prepared.size)
    inside, outside = (pixels(points, prepared.size, shape, window) for points in (prompts.inside, prompts.outside))
    trimap = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[~probable & (rim(shape) | ~in_box(prompts, prepared.size, shape, window))] = cv2.GC_BGD
    radii = np.full(shape, max(2.0, SEED * probable.size**0.5))
    trimap[discs(shape, outside, radii)] = cv2.GC_BGD
    trimap[discs(shape, inside, radii) & (distance(shape, inside) <= distance(shape, outside))] = cv2.GC_FGD
    found = edges.tidy(cut(small, trimap, ITERATIONS - 1), inside, outside)
    if not found.any():
        return mask
    result = np.zeros_like(mask)
    result[rows, columns] = edges.refine(found, view, view.shape[:2], BAND)
    return result


def correction(before: np.ndarray, prepared: Prepared, prompts: Prompts) -> Correction | None:
    """The one click that contradicts an answer (h, w) booleans; none if no click does, or several."""
    inside, outside = (pixels(points, prepared.size, before.shape) for points in (prompts.inside, prompts.outside))
    wrong = [(at, True) for at in inside if not before[at[1], at[0]]]
    wrong += [(at, False) for at in outside if before[at[1], at[0]]]
    if len(wrong) != 1 or not before.any():
        return None
    (x, y), add = wrong[0]
    return Correction((x, y), add, float(boolean.to_border(before)[y, x]))


def correct(before: np.ndarray, error: Correction, prepared: Prepared, prompts: Prompts) -> np.ndarray:
    """An answer (h, w) of the middle size, changed where it hangs together with the click and nowhere else."""
    unit = before.size**0.5
    (x, y), half = error.place, int(max(WINDOW_LEAST * unit, WINDOW_REACH * error.radius))
    rows, columns = slice(max(0, y - half), y + half + 1), slice(max(0, x - half), x + half + 1)
    part = before[rows, columns]
    small = preview(Photo(np.ascontiguousarray(prepared.middle[rows, columns])), WINDOW)
    shape = small.shape[:2]
    scale = shape[1] / part.shape[1]
    known = boolean.resized(part, shape)
    window = placed(rows, columns, before.shape, prepared.size)
    clicks = [pixels(points, prepared.size, shape, window) for points in (prompts.outside, prompts.inside)]
    place = (min(int((x - columns.start + 0.5) * scale), shape[1] - 1),
             min(int((y - rows.start + 0.5) * scale), shape[0] - 1))  # fmt: skip
    trimap = np.where(known, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    for points, value in zip(clicks, (cv2.GC_BGD, cv2.GC_FGD), strict=True):
        trimap[discs(shape, points, np.full(shape, SEED / 2 * unit * scale))] = value
    mended = discs(shape, [place], np.full(shape, error.radius * scale))
    trimap[mended] = cv2.GC_FGD if error.add else cv2.GC_BGD
    answer = cut(small, trimap, ITERATIONS - 1)
    answer = cv2.morphologyEx(answer.astype(np.uint8), cv2.MORPH_OPEN, edges.CROSS).astype(bool) | (mended & error.add)
    changed = (answer & ~known if error.add else known & ~answer) | mended
    _, pieces = cv2.connectedComponents(changed.astype(np.uint8))
    changed = boolean.resized(pieces == pieces[place[1], place[0]], part.shape)
    disc = discs(before.shape, [error.place], np.full(before.shape, 0.9 * error.radius))
    after = before.copy()
    after[rows, columns] = part | changed if error.add else part & ~changed
    after = (after | disc) & in_box(prompts, prepared.size, before.shape) if error.add else after & ~disc
    inside, outside = (pixels(points, prepared.size, before.shape) for points in (prompts.inside, prompts.outside))
    return edges.tidy(after, inside, outside)


def pixels(points: Sequence[Point], size: Size, shape: tuple[int, ...], window: Box | None = None) -> list[Pixel]:
    """The pixels (x, y) that points of the photo fall on in a copy of `shape`, of all of it or of a window in it."""
    left, top, right, bottom = window or (0, 0, size[1], size[0])
    width, height = right - left, bottom - top
    return [
        (min(int((x - left) * shape[1] / width), shape[1] - 1), min(int((y - top) * shape[0] / height), shape[0] - 1))
        for x, y in points
        if left <= x <= right and top <= y <= bottom
    ]


def placed(rows: slice, columns: slice, shape: tuple[int, ...], size: Size) -> Box:
    """Where rows and columns of a copy of `shape` lie in a photo of `size`."""
    down, across = size[0] / shape[0], size[1] / shape[1]
    return (columns.start * across, rows.start * down,
            min(columns.stop, shape[1]) * across, min(rows.stop, shape[0]) * down)  # fmt: skip


def in_box(
    prompts: Prompts, size: Size, shape: tuple[int, ...], window: Box | None = None, scale: float = 1
) -> np.ndarray:
    """Booleans of `shape`, True in the box, or everywhere if there is none; `scale` shrinks it towards its middle."""
    if prompts.box is None:
        return np.ones(shape, bool)
    left, top, right, bottom = window or (0, 0, size[1], size[0])
    across, down = shape[1] / (right - left), shape[0] / (bottom - top)
    x0, y0, x1, y1 = prompts.box
    x, y, half_width, half_height = (x0 + x1) / 2, (y0 + y1) / 2, scale * (x1 - x0) / 2, scale * (y1 - y0) / 2
    found = rectangle((shape[0], shape[1]), (
        (x - half_width - left) * across, (y - half_height - top) * down,
        (x + half_width - left) * across, (y + half_height - top) * down,
    ))  # fmt: skip
    if window is None:  # a box thinner than a pixel is one all the same
        ((column, row),) = pixels([(x, y)], size, shape)
        found[row, column] = True
    return found


def start(prepared: Prepared, prompts: Prompts, inside: list[Pixel], outside: list[Pixel]) -> np.ndarray:
    """What GrabCut is told, (h, w) of cv2.GC_*: certain around clicks and far from them, a guess in between."""
    size = prepared.small.shape[:2]
    unit = (size[0] * size[1]) ** 0.5
    circle = CIRCLE * unit * STEP**prompts.level
    to_inside, to_outside = distance(size, inside), distance(size, outside)
    probable = to_inside <= circle
    possible = to_inside <= REACH * circle
    known = np.full(size, SEED * unit)
    if prompts.mask is not None and prompts.level == 0:  # the answer so far is a better guess than any circle
        mask = boolean.resized(prompts.mask, size)
        depth = boolean.to_border(mask)
        known = np.minimum(known, depth)  # a correction is no larger than the error it is the middle of
        missed = [(x, y) for x, y in inside if not mask[y, x]]
        probable = mask | discs(size, missed, np.minimum(depth, circle))
        possible |= mask | (depth <= circle)
    if prompts.box is not None:
        box = in_box(prompts, prepared.size, size)
        if not inside and (prompts.mask is None or prompts.level != 0):
            probable = in_box(prompts, prepared.size, size, scale=STEP ** min(prompts.level, 0))
        else:
            probable &= box
        possible = box
    yes, no = discs(size, inside, known), discs(size, outside, known)
    nearer = to_inside < to_outside
    trimap = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[~possible | (rim(size) & ~probable) | (no & ~nearer)] = cv2.GC_BGD
    trimap[yes & nearer] = cv2.GC_FGD
    return trimap


def discs(size: Size, points: list[Pixel], radii: np.ndarray) -> np.ndarray:
    """Booleans (h, w), True around each point as far as `radii` (h, w) says there, and on the point itself."""
    canvas = np.zeros(size, np.uint8)
    for x, y in points:
        cv2.circle(canvas, (x, y), int(radii[y, x]), 1, -1)
    return canvas.astype(bool)


def cut(small: np.ndarray, trimap: np.ndarray, iterations: int) -> np.ndarray:
    """GrabCut's answer (h, w) booleans; where it cannot tell anything apart, what it was told."""
    told = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if told.all() or not told.any() or small.std() < FLAT:
        return told
    cv2.setRNGSeed(0)  # the same clicks give the same mask
    answer = trimap.copy()
    cv2.grabCut(small, answer, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), iterations, cv2.GC_INIT_WITH_MASK)
    return (answer == cv2.GC_FGD) | (answer == cv2.GC_PR_FGD)


def distance(size: Size, points: list[Pixel]) -> np.ndarray:
    """Distance of each pixel (h, w) to the nearest of some pixels (x, y); infinite where there are none."""
    there = np.zeros(size, bool)
    for x, y in points:
        there[y, x] = True
    return boolean.distance(there)


def rim(size: tuple[int, ...]) -> np.ndarray:
    """Booleans, True on the outermost pixels."""
    frame = np.ones(size, bool)
    frame[1:-1, 1:-1] = False
    return frame


def reduced(pixels: np.ndarray) -> np.ndarray:
    """A copy (h, w, 3) with as many pixels as are cut at once, or fewer."""
    short, long = sorted(pixels.shape[:2])
    return preview(Photo(pixels), max(1, round(WORK * (long / short) ** 0.5)))


def blurred(pixels: np.ndarray) -> np.ndarray:
    """A copy without the finest texture and noise."""
    return cv2.GaussianBlur(pixels, (0, 0), BLUR)
