"""Small maps at the size of a photo, some rows at a time."""

from __future__ import annotations

import cv2
import numpy as np

from ranlen.geometry import Size

NEAR = 8  # rows of the maps in one product: above 2^18 multiplications its library would start threads of its own


class Enlarged:
    """Maps (K, h, w) at some rows of a photo, enlarged bilinearly to its size, band by band.

    They are enlarged in width when this is made. A band of the photo is then a product of two matrices: the weights of
    the few rows of the maps that it lies between, and those rows.

    Args:
        maps: (1, K, n, w), those rows of the maps that `between` names.
        rows: of the photo, which is `size`.
        height: h.
        cols: the columns wanted.
        factor: what to multiply the maps by on the way.
    """

    def __init__(
        self, maps: np.ndarray, rows: range, height: int, size: Size, cols: range, factor: float = 1.0
    ) -> None:
        count, near = maps.shape[1], maps.shape[2]
        lines = maps[0].astype(np.float32, copy=False).reshape(count * near, -1)
        wide = cv2.resize(lines, (size[1], len(lines)), interpolation=cv2.INTER_LINEAR)
        self.wide = wide.reshape(count, near, size[1])[:, :, cols.start : cols.stop]
        at = _places(rows, height, size) - between(rows, height, size).start
        self.low = at.astype(int)
        hats = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(near)))
        self.weights = (factor * hats).astype(np.float32)
        self.start = rows.start
        self.step = max(1, int((NEAR - 2) * size[0] / height))  # rows in one product

    def read(self, band: range, out: np.ndarray, first: int = 0) -> np.ndarray:
        """Write maps `first` and following, at a band of the rows, into `out` (k, rows, columns)."""
        maps = self.wide[first : first + len(out)]
        for top in range(0, len(band), self.step):
            rows = slice(band.start - self.start + top, band.start - self.start + min(top + self.step, len(band)))
            near = slice(self.low[rows.start], self.low[rows.stop - 1] + 2)
            np.matmul(self.weights[rows, near], maps[:, near], out=out[:, top : top + self.step])
        return out


def _places(rows: range, height: int, size: Size) -> np.ndarray:
    """Where rows of a photo lie between those of maps that are `height` high."""
    return np.clip((np.arange(rows.start, rows.stop) + 0.5) * (height / size[0]) - 0.5, 0, height - 1)


def between(rows: range, height: int, size: Size) -> slice:
    """The rows of maps, `height` high, that some rows of a photo interpolate from."""
    at = _places(rows, height, size)
    return slice(int(at[0]), min(int(at[-1]) + 2, height))
