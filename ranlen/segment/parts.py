"""Which of SAM's masks a click meant: all of a person rather than the shirt, and not the street behind.

What tells them apart is learned: `python -m benchmarks.choice people cats` made the weights, on 74 photos by day and in
the dark. There the IoU that SAM expects of a mask, its stability, its compactness and how far the masks agree added
nothing to these three looks, and nor did further decodes with the chosen mask or the box around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ranlen.geometry import Pixel

SOLID, FRAMED, LARGE = 4.4, -4.4, 2.9  # weights of what `looks` returns; only their ratios matter
STABLE = 0.35  # of a mask stays when the threshold rises from -1 to 1, or it is taken last: it is dots, not a thing
LAST = 100.0  # off the score of those
BRUSH = np.ones(
    (5, 5), np.uint8
)  # cells of SAM's masks, 256 for the longer side: ragged and thin is what it cannot fill


def choose(logits: np.ndarray, at: Pixel | None = None, level: int = 0) -> int:
    """The index of the mask that was meant, or of one that is `level` steps larger or smaller.

    Args:
        logits: (K, h, w), at SAM's own size; a mask is where they are above 0.
        at: the cell (x, y) that was clicked, if one click is all that was said.
        level: 0 for the choice itself.
    """
    order = by_size(logits)
    first = order.index(int(np.argmax([score(each, at) for each in logits])))
    return order[min(max(first + level, 0), len(order) - 1)]


def by_size(logits: np.ndarray) -> list[int]:
    """The indices of masks (K, h, w), the smallest first."""
    areas = (logits > 0).mean((1, 2)).tolist()
    return sorted(range(len(areas)), key=areas.__getitem__)


def score(logits: np.ndarray, at: Pixel | None) -> float:
    """How much a mask (h, w) looks like what one means; minus infinity where it is empty."""
    mask = logits > 0
    if not mask.any():
        return -math.inf
    doubtful = (logits > 1).sum() < STABLE * (logits > -1).sum()
    return float(np.dot((SOLID, FRAMED, LARGE), looks(mask, at))) - LAST * doubtful


def looks(mask: np.ndarray, at: Pixel | None) -> Sequence[float]:
    """What a mask (h, w) that is not empty looks like, each from 0 to 1.

    Returns:
        How much of it is solid and hangs together with the click `at`; how much of the frame's left, right or upper
        side, whichever is most, it covers: the ground and the sky do; its side, as the square root of its area.
    """
    solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, BRUSH)
    if at is not None:
        _, pieces = cv2.connectedComponents(mask.astype(np.uint8))
        solid[pieces != pieces[at[1], at[0]]] = 0
    framed = max(side.mean() for side in (mask[:, 0], mask[:, -1], mask[0]))
    return solid.sum() / mask.sum(), framed, mask.mean() ** 0.5
