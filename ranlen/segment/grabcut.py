"""Clicks to a mask without a network: GrabCut (Rother et al., 2004), started from a circle around each click.

It works at 320 pixels, where it is faster than at full size and better, and the mask is then refined against the photo.
Choosing among circles of several sizes by how much contrast their borders met was measured too: no score chose better
than this one size does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ranlen.images import Photo, preview
from ranlen.segment import edges
from ranlen.segment.brighten import brightened
from ranlen.segment.edges import Pixel
from ranlen.segment.prompts import PromptError, Prompts, check_prompts

WORK = 320  # longest side
ITERATIONS = 3
BLUR = 1.5  # sigma against noise and texture, at the working size
# Lengths in square roots of the photo's area.
SEED = 0.04  # around a click lies what is clicked
CIRCLE = 0.2  # where the subject probably is
REACH = 2.2 * CIRCLE  # where it ends for sure
FLAT = 2.0  # standard deviation of a photo in which nothing can be told from anything


@dataclass(frozen=True)
class Prepared:
    """A photo as GrabCut sees it.

    Attributes:
        size: (height, width) of the photo.
        small: (h, w, 3) uint8, brightened and blurred, what the cut is made on.
        guide: (H, W, 3) uint8, brightened, what borders are refined on.
    """

    size: tuple[int, int]
    small: np.ndarray
    guide: np.ndarray


class GrabCut:
    """A `Segmenter` that needs nothing but OpenCV."""

    name = "grabcut"

    def prepare(self, photo: Photo) -> Prepared:
        """Two small copies of the photo."""
        guide = preview(photo, edges.GUIDE)
        small = preview(Photo(guide), WORK)
        return Prepared(photo.size, cv2.GaussianBlur(brightened(small), (0, 0), BLUR), brightened(guide, like=small))

    def segment(self, prepared: Prepared, prompts: Prompts) -> np.ndarray:
        """The subject, booleans (H, W); see `Segmenter`."""
        check_prompts(prompts, prepared.size)
        height, width = prepared.small.shape[:2]
        inside = pixels(prompts.inside, prepared.size, (height, width))
        outside = pixels(prompts.outside, prepared.size, (height, width))
        if both := set(inside) & set(outside):
            x, y = next(point for point, pixel in zip(prompts.inside, inside, strict=True) if pixel in both)
            raise PromptError(f"the point {x:g},{y:g} is marked both as the subject and as not the subject: undo one")
        trimap = start(prepared, prompts, inside, outside)
        mask = edges.tidy(cut(prepared.small, trimap), inside, outside)
        if not mask.any():
            raise PromptError("nothing was found there: click the subject, or draw a larger box around it")
        return edges.refine(mask, prepared.guide, prepared.size)


def pixels(points: Sequence[tuple[float, float]], size: tuple[int, int], small: tuple[int, int]) -> list[Pixel]:
    """The pixels (x, y) of the small copy that points of the photo fall on."""
    return [
        (min(int(x * small[1] / size[1]), small[1] - 1), min(int(y * small[0] / size[0]), small[0] - 1))
        for x, y in points
    ]


def start(prepared: Prepared, prompts: Prompts, inside: list[Pixel], outside: list[Pixel]) -> np.ndarray:
    """What GrabCut is told, (h, w) of cv2.GC_*: certain around clicks and far from them, a guess in between."""
    size = prepared.small.shape[:2]
    unit = (size[0] * size[1]) ** 0.5
    to_inside, to_outside = distance(size, inside), distance(size, outside)
    probable = to_inside <= CIRCLE * unit
    possible = to_inside <= REACH * unit
    known = np.full(size, SEED * unit)
    if prompts.mask is not None:  # the answer so far is a better guess than any circle
        mask = cv2.resize(prompts.mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA)
        to_border = np.maximum(
            *(cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for side in (mask, 1 - mask))
        )
        known = np.minimum(known, to_border)  # a correction is no larger than the error it is the middle of
        missed = [(x, y) for x, y in inside if not mask[y, x]]
        probable = mask.astype(bool) | discs(size, missed, np.minimum(to_border, CIRCLE * unit))
        possible |= (mask > 0) | (to_border <= CIRCLE * unit)
    if prompts.box is not None:
        (x0, y0), (x1, y1) = pixels([prompts.box[:2], prompts.box[2:]], prepared.size, size)
        box = np.zeros(size, bool)
        box[y0 : y1 + 1, x0 : x1 + 1] = True
        probable = box if not inside and prompts.mask is None else probable & box
        possible = box
    yes, no = discs(size, inside, known), discs(size, outside, known)
    nearer = to_inside < to_outside
    frame = np.ones(size, bool)
    frame[1:-1, 1:-1] = False
    trimap = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[~possible | (frame & ~probable) | (no & ~nearer)] = cv2.GC_BGD
    trimap[yes & nearer] = cv2.GC_FGD
    return trimap


def discs(size: tuple[int, int], points: list[Pixel], radii: np.ndarray) -> np.ndarray:
    """Booleans (h, w), True around each point as far as `radii` (h, w) says there, and on the point itself."""
    canvas = np.zeros(size, np.uint8)
    for x, y in points:
        cv2.circle(canvas, (x, y), int(radii[y, x]), 1, -1)
    return canvas.astype(bool)


def cut(small: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """GrabCut's answer (h, w) booleans; where it cannot tell anything apart, what it was told."""
    told = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if told.all() or not told.any() or small.std() < FLAT:
        return told
    cv2.setRNGSeed(0)  # the same clicks give the same mask
    answer = trimap.copy()
    cv2.grabCut(small, answer, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (answer == cv2.GC_FGD) | (answer == cv2.GC_PR_FGD)


def distance(size: tuple[int, int], points: list[Pixel]) -> np.ndarray:
    """Distance of each pixel (h, w) to the nearest of some pixels (x, y); infinite where there are none."""
    if not points:
        return np.full(size, np.inf, np.float32)
    away = np.ones(size, np.uint8)
    for x, y in points:
        away[y, x] = 0
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
