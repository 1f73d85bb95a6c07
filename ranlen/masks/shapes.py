"""Shapes a hand can draw, as booleans (H, W), or floats where they fade.

Sizes are (height, width), points are (x, y) in pixels, and pixel centres lie at half-integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ranlen.geometry import Box, Point, Size

ROWS = 64  # of floats at a time


def disc(size: Size, center: Point, radius: float) -> np.ndarray:
    """Mark a disc: every pixel within a radius of a point.

    Args:
        size: (height, width) of the photo, in pixels.
        center: (x, y) in pixels; may lie outside.
        radius: in pixels.

    Returns:
        Booleans (H, W), True where a pixel's centre lies within `radius` of `center`.
    """
    return ellipse(size, center, (radius, radius))


def ellipse(size: Size, center: Point, radii: Point, angle: float = 0.0) -> np.ndarray:
    """Mark an ellipse, upright or turned.

    Args:
        size: (height, width) of the photo, in pixels.
        center: (x, y) in pixels; may lie outside.
        radii: (along x, along y) before it is turned, in pixels, above 0.
        angle: in radians, clockwise as seen on a screen.

    Returns:
        Booleans (H, W), True inside.
    """
    inside = np.zeros(size, bool)
    reach = max(radii) + 1
    # Only the box around it is computed, some rows at a time: a full frame of floats would be many times the photo.
    top, bottom = (min(max(math.floor(center[1] + side * reach), 0), size[0]) for side in (-1, 1))
    left, right = (min(max(math.floor(center[0] + side * reach), 0), size[1]) for side in (-1, 1))
    dx = np.arange(left, right, dtype=np.float32)[None] + np.float32(0.5 - center[0])
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    for first in range(top, bottom, ROWS):
        last = min(first + ROWS, bottom)
        dy = np.arange(first, last, dtype=np.float32)[:, None] + np.float32(0.5 - center[1])
        along, across = (cos * dx + sin * dy) / np.float32(radii[0]), (cos * dy - sin * dx) / np.float32(radii[1])
        inside[first:last, left:right] = along * along + across * across <= 1
    return inside


def rectangle(size: Size, box: Box) -> np.ndarray:
    """Mark a rectangle.

    Args:
        size: (height, width) of the photo, in pixels.
        box: (left, top, right, bottom) in pixels; corners may come in any order and lie outside.

    Returns:
        Booleans (H, W), True where a pixel's centre lies inside.
    """
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    y, x = np.ogrid[: size[0], : size[1]]
    return (x + 0.5 >= x0) & (x + 0.5 <= x1) & (y + 0.5 >= y0) & (y + 0.5 <= y1)


def gradient(size: Size, start: Point, end: Point) -> np.ndarray:
    """Mark one side of a line, fading out towards another one.

    Args:
        size: (height, width) of the photo, in pixels.
        start: (x, y) in pixels, up to where all is marked; both lines lie across the way from here to `end`.
        end: (x, y) in pixels, from where on nothing is.

    Returns:
        Floats (H, W) in [0, 1], straight down from 1 to 0. It reaches both a pixel early, so that one from edge to edge
        of the photo has some of all: whole, fading, and none.
    """
    across, down = end[0] - start[0], end[1] - start[1]
    length = math.hypot(across, down) or 1.0
    y, x = np.ogrid[: size[0], : size[1]]
    along = ((x + 0.5 - start[0]) * across + (y + 0.5 - start[1]) * down) / length
    rim = min(1.0, length / 3)
    return np.clip((length - rim - along) / (length - 2 * rim), 0, 1).astype(np.float32)


def stroke(size: Size, points: Sequence[Point], radius: float) -> np.ndarray:
    """Mark a brush stroke with round ends.

    Args:
        size: (height, width) of the photo, in pixels.
        points: (x, y) in pixels, in the order they were drawn; at least one.
        radius: of the brush, in pixels.

    Returns:
        Booleans (H, W), True within `radius` of the line through `points`, to about a pixel.
    """
    canvas = np.zeros(size, np.uint8)
    # cv2 puts pixel centres at integers and takes fixed-point coordinates: 4 bits are a sixteenth of a pixel.
    fixed = np.round((np.asarray(points, np.float64).reshape(-1, 2) - 0.5) * 16).astype(np.int32)
    thickness = max(1, round(2 * radius) - 2)  # which OpenCV draws one or two pixels wider
    if len(fixed) > 1:
        cv2.polylines(canvas, [fixed.reshape(-1, 1, 2)], False, 1, thickness, cv2.LINE_8, 4)
    for end in (fixed[0], fixed[-1]):
        cv2.circle(canvas, (int(end[0]), int(end[1])), round(max(radius - 0.4, 0.1) * 16), 1, -1, cv2.LINE_8, 4)
    return canvas.astype(bool)
