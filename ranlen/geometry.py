"""What a size, a point and a box are, everywhere."""

from __future__ import annotations

Size = tuple[int, int]  # height, width, in pixels
Pixel = tuple[int, int]  # x, y
Point = tuple[float, float]  # x, y, in pixels; pixel centres lie at half-integers
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels
