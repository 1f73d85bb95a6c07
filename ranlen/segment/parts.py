"""Which of SAM's masks a click meant: all of a person rather than the shirt, and not the street behind.

What tells them apart is learned, by the code of `python -m benchmarks.choice people cats`, on 200 photos by day and
in the dark, when noise was not yet taken out for SAM; learned anew since, on 69 of them, it chose no better. None of
the looks asks how large a thing is in the photo, only how large beside the other masks: with the size itself, or a
brush of one width, people and cats came out 0.005 better, but thin and small things, a horse's rider, 0.03 to 0.05
worse. The IoU that SAM expects of a mask, its compactness, how far the masks agree, how deep in it the click lies,
contrast and edges along its border, mixtures of masks and further decodes with the chosen one or the box around it
added nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ranlen.geometry import Pixel

SOLID, FRAMED, LARGE, STABLE = 2.1, -4.4, 0.79, 1.6  # weights of what `looks` returns; only their ratios matter
UNSTABLE = 0.3  # a mask of which less stays is taken last: it is dots, not a thing
LAST = 100.0  # off the score of those
BRUSH = 0.08  # diameter, in sides of a square as large as the mask: ragged is what it cannot fill


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
    if not (logits > 0).any():
        return -math.inf
    seen = looks(logits, at)
    return float(np.dot((SOLID, FRAMED, LARGE, STABLE), seen)) - LAST * (seen[3] < UNSTABLE)


def looks(logits: np.ndarray, at: Pixel | None) -> Sequence[float]:
    """What a mask (h, w) that is not empty looks like.

    Returns:
        How much of it, 0 to 1, is solid and hangs together with the click `at`; how much of the frame's left, right or
        upper side, whichever is most, it covers: the ground and the sky do; the logarithm of its share of the frame;
        how much of it, 0 to 1, stays when the threshold rises from -1 to 1: SAM's own stability score.
    """
    mask = (logits > 0).astype(np.uint8)
    width = round(BRUSH * mask.sum() ** 0.5) | 1
    solid = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    if at is not None:
        _, pieces = cv2.connectedComponents(mask)
        solid[pieces != pieces[at[1], at[0]]] = 0
    framed = max(side.mean() for side in (mask[:, 0], mask[:, -1], mask[0]))
    stable = (logits > 1).sum() / (logits > -1).sum()
    return solid.sum() / mask.sum(), framed, math.log(mask.mean()), stable
