"""The little that NumPy and PyTorch do differently: a light is worked out in one, and learned in the other.

Masks and lights hold arrays (N, C, H, W) of either: NumPy's where photos are lit, PyTorch's where networks learn. What
is written with operators serves both; what is not is here, and torch is imported by nobody who has no tensor.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np

from ranlen.geometry import Size

Array: TypeAlias = Any  # np.ndarray or torch.Tensor


def size_of(maps: Array) -> Size:
    """(height, width) of maps (..., H, W)."""
    return (maps.shape[-2], maps.shape[-1])


def numpy_of(array: Array) -> np.ndarray:
    """An array of NumPy with the same numbers, without a copy where there need be none."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def like(values: np.ndarray, array: Array) -> Array:
    """Values of NumPy as what `array` is, where it is."""
    if isinstance(array, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values).to(array.device)


def log(array: Array) -> Array:
    """Natural logarithm."""
    return np.log(array) if isinstance(array, np.ndarray) else array.log()


def resize(maps: Array, size: Size) -> Array:
    """Resize maps (N, C, H, W): averaging areas where they shrink, bilinear where they grow.

    Never nearest: Area B is about 10 pixels wide at 256 and thinner than a cell of a 16 x 16 grid.
    """
    height, width = size_of(maps)
    smaller = (min(height, size[0]), min(width, size[1]))
    if smaller != (height, width):
        maps = _averaged(maps, smaller)
    return maps if smaller == tuple(size) else _enlarged(maps, size)


def _averaged(maps: Array, size: Size) -> Array:
    """Means over areas; where these are no whole number of cells they overlap."""
    height, width = size_of(maps)
    whole = height % size[0] == 0 and width % size[1] == 0
    if isinstance(maps, np.ndarray):
        return _each(maps, size, cv2.INTER_AREA) if whole else _by_cells(maps, size, np.add, mean=True)
    from torch.nn import functional as F

    if whole:  # the same averages, several times as fast
        return F.avg_pool2d(maps, (height // size[0], width // size[1]))
    return F.interpolate(maps, size=size, mode="area")


def _enlarged(maps: Array, size: Size) -> Array:
    if isinstance(maps, np.ndarray):
        return _each(maps, size, cv2.INTER_LINEAR)
    from torch.nn import functional as F

    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _each(maps: np.ndarray, size: Size, how: int) -> np.ndarray:
    planes = maps.reshape(-1, *size_of(maps))
    resized = [cv2.resize(plane, size[::-1], interpolation=how) for plane in planes]
    return np.stack(resized).reshape(*maps.shape[:2], *size)


def most_around(maps: Array, size: Size) -> Array:
    """Maps (N, C, H, W) at a (height, width) no larger: the most of each cell and of those beside it."""
    if not isinstance(maps, np.ndarray):
        from torch.nn import functional as F

        return F.max_pool2d(F.adaptive_max_pool2d(maps, size), 3, stride=1, padding=1)
    maps = _by_cells(maps, size, np.maximum)
    around = np.ones((3, 3), np.uint8)
    planes = [cv2.dilate(plane, around) for plane in maps.reshape(-1, *size)]
    return np.stack(planes).reshape(maps.shape)


def _by_cells(maps: np.ndarray, size: Size, put_together: np.ufunc, *, mean: bool = False) -> np.ndarray:
    """Maps with the sum, the mean or the most of each area of theirs; areas overlap as torch has them."""
    for axis, length in ((-2, size[0]), (-1, size[1])):
        at, count = np.arange(length + 1), maps.shape[axis]
        starts, ends = at[:-1] * count // length, -(-at[1:] * count // length)
        beyond = np.take(maps, [-1], axis)  # for the last area to end before
        bounds = np.stack([starts, ends], 1).ravel()
        maps = put_together.reduceat(np.concatenate([maps, beyond], axis), bounds, axis)
        maps = np.take(maps, range(0, 2 * length, 2), axis)
        if mean:
            shares = (1 / (ends - starts)).astype(maps.dtype)
            maps *= shares[:, None] if axis == -2 else shares
    return maps
