"""A feather that follows the photo: across Area B the light ends at hair and leaves and not halfway through the sky.

A guided filter (He et al., 2010) over colour, a quarter of the feather wide, puts the subject's border where the photo
has an edge; where it has none the light fades as before. On hand-made masks of dark frames with noise, less than half
as much of the light in the band falls beside the subject, and less than half as much of the subject goes without;
without the median, or with less smoothing, grain comes through as a ragged edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from ranlen.masks.boolean import distance

MEDIAN = 5  # pixels of the photo's small copy; grain is finer
REACH = 1 / 4  # radius of the filter, in widths of the feather
SMOOTHNESS = 0.1  # on colours of unit spread: what differs by less than a third of it is no edge
LEAST_SPREAD = 8.0  # in 8-bit levels: less is grain, as much of it as a dark photo has
ENDS = 1 / 4  # of the feather: nearer than this to A or C, the plain ramp takes over again


def followed(ramp: np.ndarray, core: np.ndarray, pixels: np.ndarray, width: float) -> np.ndarray:
    """A ramp that falls where the photo has an edge.

    Args:
        ramp: (H, W), floats: 1 in Area A, 0 in C, and straight across B.
        core: (H, W), booleans: what was marked, whose border lies in B.
        pixels: (h, w, 3), 8 bits, of the photo at about the same size.
        width: of B, in pixels of the ramp.

    Returns:
        Float32, the same in A and C.
    """
    band = (ramp > 0) & (ramp < 1)
    radius = round(width * REACH)
    if not band.any() or radius < 1:
        return ramp
    left, top, columns, rows = cv2.boundingRect(band.astype(np.uint8))
    margin = 2 * radius  # two boxes of means
    part = (slice(max(0, top - margin), top + rows + margin), slice(max(0, left - margin), left + columns + margin))
    guide = cv2.resize(cv2.medianBlur(pixels, MEDIAN), ramp.shape[::-1], interpolation=cv2.INTER_LINEAR)[part]
    inside = band[part]
    guide = guide / np.float32(max(guide[inside].std(0).mean(), LEAST_SPREAD))
    found = np.clip(_guided(core[part].astype(np.float32), guide - guide[inside].mean(0), radius), 0, 1)
    plain = ramp[part]
    to_ends = np.minimum(distance(plain == 0), distance(plain == 1))
    result = ramp.astype(np.float32)
    result[part] += np.minimum(1, to_ends / (ENDS * width)) * (found - plain)
    return result


def _guided(mask: np.ndarray, guide: np.ndarray, radius: int) -> np.ndarray:
    """A mask (H, W) as a linear function of the guide's colours (H, W, 3) in the box around each place."""

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)

    colour, share = mean(guide), mean(mask)
    square = mean(guide * guide) - colour * colour + SMOOTHNESS
    turned = np.roll(guide, -1, 2)  # red beside green, green beside blue, blue beside red
    mixed = mean(guide * turned) - colour * np.roll(colour, -1, 2)
    # The inverse of a symmetric 3 x 3 matrix at each place, of its diagonal and of what is beside it.
    (xx, yy, zz), (xy, yz, zx) = cv2.split(square), cv2.split(mixed)
    inverse = np.dstack([yy * zz - yz * yz, xx * zz - zx * zx, xx * yy - xy * xy])
    beside = np.dstack([zx * yz - xy * zz, xy * zx - xx * yz, xy * yz - yy * zx])
    determinant = xx * inverse[..., 0] + xy * beside[..., 0] + zx * beside[..., 2]
    target = mean(guide * mask[..., None]) - colour * share[..., None]
    slope = inverse * target + beside * np.roll(target, -1, 2) + np.roll(beside * target, 1, 2)
    slope /= determinant[..., None]
    return (mean(slope) * guide).sum(2) + mean(share - (slope * colour).sum(2))
