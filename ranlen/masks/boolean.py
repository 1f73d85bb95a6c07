"""Boolean masks (H, W), whatever made them: resized, filled, measured."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ranlen.geometry import Pixel, Size

FADED = 1 / 32  # a share of the light that nobody misses


def resized(mask: np.ndarray, size: Size, *, wholly: bool = False) -> np.ndarray:
    """A mask at another size: a pixel is in it if half of it is, or only if all of it is.

    Of a mask that is too small for that, the pixel it covers most is left: a subject of a pixel is one all the same.
    """
    if mask.shape == tuple(size):
        return mask
    smaller = size[0] < mask.shape[0] or size[1] < mask.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    cover = cv2.resize(np.multiply(mask, np.uint8(255), dtype=np.uint8), (size[1], size[0]), interpolation=how)
    left = np.asarray(cover == 255 if wholly else cover >= 128)
    return left if left.any() or not cover.any() else cover == cover.max()


def enlarged(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask at a size no smaller; its borders get smooth where that is at least twice as large."""
    twice = min(size[0] / mask.shape[0], size[1] / mask.shape[1]) >= 2
    return resized(mask, size) if twice else sampled(mask, size)


def sampled(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask at another size, by the pixel in the middle of each cell: takes back `enlarged`, to the pixel.

    At twice the size, that pixel lies within a quarter of a cell of the cell's middle, where more than half of what
    `enlarged` weighs is the cell's own.
    """
    rows, cols = (((np.arange(new) + 0.5) * (old / new)).astype(int) for new, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], cols]


def drawn_at(mask: np.ndarray, size: Size) -> np.ndarray | None:
    """The mask at a smaller size that `enlarged` makes it of, to the pixel; none where there is no such mask."""
    if mask.shape == size:
        return mask
    coarse = sampled(mask, size)
    return coarse if _alike(coarse, mask) and np.array_equal(enlarged(coarse, mask.shape), mask) else None


def _alike(coarse: np.ndarray, mask: np.ndarray) -> bool:
    """Whether some rows of the mask could be what `enlarged` makes of a coarse one: to enlarge all takes a while."""
    height, rows = len(coarse), np.linspace(0, len(mask) - 1, 16).astype(int)
    if len(mask) < 2 * height or mask.shape[1] < 2 * coarse.shape[1]:
        return True
    at = np.clip((rows + 0.5) * (height / len(mask)) - 0.5, 0, height - 1)
    low = at.astype(int)
    near, far = (coarse[np.minimum(low + more, height - 1)].astype(np.float32) for more in (0, 1))
    cover = cv2.resize(near + (at - low)[:, None].astype(np.float32) * (far - near), (mask.shape[1], len(rows)))
    return bool(((cover >= 0.5) == mask[rows])[np.abs(cover - 0.5) > 0.02].all())


def distance(mask: np.ndarray) -> np.ndarray:
    """Distance in pixels, float32, from each False pixel to the nearest True one; infinite where there is none."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bits depend on where in memory the arrays lie. But squares of these distances are whole numbers.
    return np.sqrt(np.rint(away * away))


def around(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The rows and columns that a mask takes, and a margin."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)


def depth(mask: np.ndarray) -> np.ndarray:
    """Distance in pixels, float32, from each True pixel to the nearest False one; infinite where there is none."""
    part, deep = around(mask, 1), np.zeros(mask.shape, np.float32)
    deep[part] = distance(~mask[part])
    return deep


def carried_on(shares: np.ndarray) -> np.ndarray:
    """Shares (H, W) in [0, 1]; what has none gets the nearest place's, unless that one has all but faded."""
    some = shares > 0
    if some.all() or not some.any():
        return shares
    _, labels = cv2.distanceTransformWithLabels(
        (~some).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of = np.zeros(labels.max() + 1, shares.dtype)
    of[labels[some]] = np.where(shares > FADED, shares, 0)[some]
    return np.where(some, shares, of[labels])


def to_border(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a mask to the nearest one on the other side; infinite where there is none."""
    return np.maximum(distance(mask), distance(~mask))


def without_holes(mask: np.ndarray, outside: Sequence[Pixel] = ()) -> np.ndarray:
    """A mask with its holes filled, except for those that hold one of the pixels `outside`, (x, y)."""
    ground = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    for x, y in ((-1, -1), *outside):
        if ground[y + 1, x + 1] == 1:
            cv2.floodFill(ground, None, (x + 1, y + 1), 2)
    return ground[1:-1, 1:-1] != 2


def all_around(core: np.ndarray) -> bool:
    """Whether a mask (H, W) marks the whole edge of a picture and not the whole picture: a background, most often."""
    edge = (core[0], core[-1], core[:, 0], core[:, -1])
    return all(side.all() for side in edge) and not core.all()
