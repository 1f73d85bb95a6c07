"""From a coarse mask to one that fits the photo: specks and holes gone, the border where the photo has it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ranlen.geometry import Pixel, Size
from ranlen.masks.boolean import around, sampled, without_holes

GUIDE = 2048  # longest side at which borders are refined; the rest is upsampling
SPECK = 1 / 2000  # of the frame: smaller pieces and holes are nobody's intention
TINY = 16  # shortest side of a mask whose border is worth refining
CROSS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
SMOOTHNESS = 1e-3  # of the guided filter: differences in brightness below its square root are noise


def tidy(mask: np.ndarray, inside: Sequence[Pixel] = (), outside: Sequence[Pixel] = ()) -> np.ndarray:
    """The part of a mask that was meant: the connected pieces that were clicked, opened a little, without holes.

    Args:
        mask: (H, W) booleans.
        inside: pixels on the subject; with none, the largest piece is the one.
        outside: pixels that are not on it: holes there stay.
    """
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, CROSS)
    for x, y in inside:  # a click on something thinner than the opening still counts
        opened[y, x] |= mask[y, x]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    chosen = {int(labels[y, x]) for x, y in inside} - {0}
    if not inside and len(stats) > 1:
        chosen = {1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())}
    return without_holes(np.isin(labels, list(chosen)), outside)


def without_specks(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) without small holes and small pieces; its largest piece stays, however small."""
    for side in (False, True):
        _, labels, stats, _ = cv2.connectedComponentsWithStats((mask == side).astype(np.uint8))
        small = stats[:, cv2.CC_STAT_AREA] < SPECK * mask.size
        small[[0, 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())] if len(stats) > 1 else 0] = False
        mask = mask ^ small[labels]
    return mask


def refine(mask: np.ndarray, guide: np.ndarray, size: Size, reach: float = 1) -> np.ndarray:
    """Put a coarse mask's border where the photo has one.

    A guided filter (He et al., 2010) on the photo seen along the colour that tells the subject from what is around it;
    only a band on either side of the border can change. On hand-made masks bands wider than a coarse pixel, and colour
    models of the two sides, lose more thin parts than they find; a mask that is itself a guess gains by a wider one.

    Args:
        mask: (h, w) booleans.
        guide: (H, W, 3) uint8, the photo at the working size.
        size: (height, width) of the result.
        reach: width of the band, in coarse pixels.

    Returns:
        Booleans of `size`.
    """
    height, width = guide.shape[:2]
    if min(mask.shape) < TINY:
        return sampled(mask, size)
    radius = max(1, round(reach * max(height / mask.shape[0], width / mask.shape[1]) / 2))
    soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    rows, columns = around(soft > 0, 4 * radius)
    part = soft[rows, columns]
    if part.size and part.min() < 0.5 < part.max():
        part[:] = _guided(part, _contrast(part > 0.5, guide[rows, columns], radius), radius)
    if (height, width) != tuple(size):
        soft = cv2.resize(soft, size[::-1], interpolation=cv2.INTER_LINEAR)
    refined = soft > 0.5
    return refined if refined.any() else sampled(mask, size)  # a speck is thinner than the filter


def _contrast(mask: np.ndarray, guide: np.ndarray, radius: int) -> np.ndarray:
    """The photo as one channel in [0, 1]: along the difference of the colours on either side of the border."""
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    near = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, kernel)
    inside, outside = (guide[(near > 0) & side].mean(axis=0) for side in (mask, ~mask))
    direction = np.subtract(inside, outside)
    if np.abs(direction).sum() < 3:  # the same colour on both sides: lightness will have to do
        direction = np.array([0.3, 0.6, 0.1])
    weights = direction[None] / (255 * np.abs(direction).sum())
    return cv2.transform(guide.astype(np.float32), weights.astype(np.float32))


def _guided(mask: np.ndarray, guide: np.ndarray, radius: int) -> np.ndarray:
    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_mask = mean(guide), mean(mask)
    variance = mean(guide * guide) - mean_guide**2
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (variance + SMOOTHNESS)
    return mean(slope) * guide + mean(mean_mask - slope * mean_guide)
