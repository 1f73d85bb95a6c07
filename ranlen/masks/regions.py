"""Which pixels get the light: Area A (all of it), Area B (fading), Area C (none). A + B + C = 1 everywhere.

Sizes are (height, width), points are (x, y) in pixels, and pixel centres lie at half-integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ranlen.arrays import Array, like, numpy_of, resize
from ranlen.facts import DRAWN_FEATHER, SIDES, Side
from ranlen.geometry import Point, Size
from ranlen.masks.boolean import around, carried_on, depth, distance, resized
from ranlen.masks.following import followed
from ranlen.masks.shapes import disc as disc
from ranlen.masks.shapes import ellipse as ellipse
from ranlen.masks.shapes import rectangle as rectangle
from ranlen.masks.shapes import stroke as stroke

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class RegionMask:
    """Which pixels of one or several photos get light: Areas A (all), B (less and less, outwards) and C (none).

    Attributes:
        tensor: (N, 2, H, W), floats in [0, 1], of NumPy or, in training, of torch; channel 0 is Area A, channel 1 is
            Area A or B, as in Section 3.1. Between 0 and 1 a value is the share of the pixel that the area covers.
        own_ramp: (N, 1, H, W) in [0, 1], the `ramp` where distances do not tell it, as of a gradient or of a
            feather that follows the photo; otherwise none.
    """

    tensor: Array
    own_ramp: Array | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.tensor.shape)
        if len(shape) != 4 or shape[1] != 2 or 0 in shape:
            raise ValueError(f"a region mask is a tensor (N, 2, H, W); got {shape}")
        if "float" not in str(self.tensor.dtype):
            raise ValueError(f"a region mask holds floats in [0, 1]; got {self.tensor.dtype}")
        if not bool(((self.tensor >= 0) & (self.tensor <= 1)).all()):
            raise ValueError("a region mask holds values in [0, 1] only, and no NaN")
        if bool((self.tensor[:, 0] > self.tensor[:, 1] + 1e-5).any()):
            raise ValueError(
                "Area A (channel 0) must lie inside A or B (channel 1) everywhere; are the channels swapped?"
            )

    @property
    def a(self) -> Array:
        """Area A, (N, 1, H, W)."""
        return self.tensor[:, :1]

    @property
    def b(self) -> Array:
        """Area B, (N, 1, H, W)."""
        return (self.tensor[:, 1:] - self.tensor[:, :1]).clip(0)

    @property
    def c(self) -> Array:
        """Area C, (N, 1, H, W)."""
        return 1 - self.tensor[:, 1:]

    @property
    def size(self) -> Size:
        """(height, width)."""
        return (self.tensor.shape[-2], self.tensor.shape[-1])

    def coverage(self) -> tuple[Array, Array, Array]:
        """Fractions of the frame that A, B and C take (r_a, r_b, r_c of Eq. 5), each (N,)."""
        return self.a.mean((1, 2, 3)), self.b.mean((1, 2, 3)), self.c.mean((1, 2, 3))

    def resize(self, size: Size) -> RegionMask:
        """The same areas at another (height, width)."""
        return self._each(lambda maps: resize(maps, size).clip(0, 1))  # means of ones may come out a rounding above

    def to(self, device: torch.device | str) -> RegionMask:
        """The same mask as tensors of torch, on a device."""
        import torch

        return self._each(lambda maps: torch.as_tensor(maps).to(device))

    def fading(self, share: np.ndarray) -> RegionMask:
        """These areas with less light: what has a share (N, 1, H, W) below 1 of it lies in B, what has none in C."""
        a, a_or_b = self.a * (share >= 1), self.tensor[:, 1:] * (share > 0)
        return RegionMask(np.concatenate([a, a_or_b], 1), self.ramp() * share)

    def _each(self, change: Callable[[Array], Array]) -> RegionMask:
        return RegionMask(change(self.tensor), None if self.own_ramp is None else change(self.own_ramp))

    def normalised_distance(self) -> Array:
        """How far out a pixel lies, (N, 1, H, W), float32: from 0 at the edge of A to 1 at the edge of C.

        Negative in A and above 1 in C, both measured in widths of B.
        """
        within, widths = self._within_b
        areas = zip(numpy_of(self.tensor) >= 0.5, numpy_of(within)[:, 0], widths, strict=True)
        distances = [_continued(a, a_or_b, inner, float(width)) for (a, a_or_b), inner, width in areas]
        return like(np.stack(distances)[:, None], within)

    def ramp(self) -> Array:
        """1 in A, 0 in C, and linear in distance across B, unless it is the mask's own: (N, 1, H, W)."""
        return 1 - self._within_b[0]

    def feather_width(self) -> Array:
        """Mean width of B in pixels, (N,); 1 where there is no B."""
        return self._within_b[1]

    @cached_property
    def _within_b(self) -> tuple[Array, Array]:
        """The normalised distance, cut to [0, 1], and the width; what is behind them is worked out once per mask."""
        within, widths = zip(*(_within_b(*areas) for areas in numpy_of(self.tensor) >= 0.5), strict=True)
        distances = like(np.stack(within)[:, None], self.tensor)
        own = distances if self.own_ramp is None else 1 - self.own_ramp
        return own, like(np.array(widths, np.float32), self.tensor)

    @classmethod
    def from_core(
        cls,
        core: np.ndarray,
        *,
        feather: float = DRAWN_FEATHER[0],
        feather_px: float | None = None,
        feather_side: Side = DRAWN_FEATHER[1],
        max_side: int | None = None,
        guide: np.ndarray | None = None,
    ) -> RegionMask:
        """Areas from any boolean shape: a brush stroke, a segmentation, a mask file.

        Args:
            core: (H, W) booleans, True on the subject. Or floats in [0, 1], how much of the light each place gets: what
                lies between fades by itself, as a gradient does, and is B; around what is above 0 lies the feather.
            feather: width of Area B as a fraction of the short side, in [0, 1].
            feather_px: the same in pixels of `core`; wins over `feather` when given.
            feather_side: where Area B lies: "out" around the core (dilation), "in" carved from it (erosion: it is the
                outer limit, as for a segmentation in Section 5.2), or "both", half and half. Carving stops halfway to
                the core's deepest point, so that Area A never vanishes.
            max_side: longest side of the result. A core that is larger is worked on at this size, or at the larger
                one that Area B needs to be 8 pixels wide; A and B then stay inside what full size would give.
            guide: pixels of the photo (h, w, 3), 8 bits, of any size, whose edges the light follows across B, or none.

        Raises:
            ValueError: not a 2-D array, or a width or side that makes no sense.
        """
        core = np.asarray(core)
        if core.ndim != 2 or core.size == 0:
            raise ValueError(f"a core is a boolean array (H, W); got shape {core.shape}")
        values = core.astype(np.float32) if core.dtype.kind == "f" else None
        if values is not None and not ((values >= 0) & (values <= 1)).all():
            raise ValueError("a core of floats holds values in [0, 1] only, and no NaN")
        core = core.astype(bool, copy=False)
        short = min(core.shape)
        if not (isinstance(feather, int | float) and 0 <= feather <= 1):  # which no NaN is
            raise ValueError(f"feather is a fraction of the short side in [0, 1]; got {feather}")
        if feather_px is not None and not (math.isfinite(feather_px) and 0 <= feather_px <= max(core.shape)):
            raise ValueError(f"feather_px is a width in pixels, from 0 to {max(core.shape)}; got {feather_px}")
        if feather_side not in SIDES:
            raise ValueError(f"feather_side is one of {', '.join(SIDES)}; got {feather_side!r}")
        width = feather * short if feather_px is None else feather_px

        scale = _reduction(core.shape, width, max_side)
        if scale < 1:
            rows, cols = (max(1, round(side * scale)) for side in core.shape)
            core = resized(core, (rows, cols), wholly=feather_side == "in")
            width *= scale
        inside = depth(core)
        carved = min(width * {"out": 0.0, "in": 1.0, "both": 0.5}[feather_side], float(inside.max()) / 2)
        grown = width * {"out": 1.0, "in": 0.0, "both": 0.5}[feather_side]
        # Where the mask is smaller than the photo its cells are coarser than the photo's pixels; a rim of two and a
        # half cells is what that can be wrong by.
        outer = grown - (2.5 if scale < 1 else 0.0)
        a_or_b = _grown(core, outer) if outer >= 0 else inside > -outer
        a = (inside > carved) & a_or_b
        mask = cls(np.stack([a, a_or_b]).astype(np.float32)[None])
        if guide is not None:
            ramp = followed(mask.ramp()[0, 0], core, guide, float(mask.feather_width()[0]))
            mask = cls(mask.tensor, ramp[None, None])
        if values is None:
            return mask
        shares = cv2.resize(carried_on(values), core.shape[::-1], interpolation=cv2.INTER_AREA)
        return mask.fading(shares[None, None])

    @classmethod
    def circle(cls, size: Size, center: Point, radius: float, outer: float) -> RegionMask:
        """Area A inside `radius`, Area B from there to `outer`, both in pixels around `center` (x, y)."""
        if not 0 < radius <= outer:
            raise ValueError(f"a circle needs 0 < radius <= outer; got radius {radius}, outer {outer}")
        discs = np.stack([disc(size, center, radius), disc(size, center, outer)])
        return cls(discs.astype(np.float32)[None])

    @classmethod
    def paper_circle(cls, size: Size, *, ratio: float = 1.225, center: Point | None = None) -> RegionMask:
        """The circles of Section 4.2: r1 = 2m/7, r2 ~ U(1.2, 1.25) r1, m the short side; in the middle by default.

        `ratio` is r2 / r1, by default in the middle of its range.
        """
        radius = 2 * min(size) / 7
        return cls.circle(size, center or (size[1] / 2, size[0] / 2), radius, ratio * radius)


def smoothstep(ramp: Array) -> Array:
    """3 t^2 - 2 t^3 of t in [0, 1]: the same ends as a straight ramp, reached without a corner."""
    ramp = ramp.clip(0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _grown(core: np.ndarray, by: float) -> np.ndarray:
    """A core and what lies at most so many pixels from it."""
    part, near = around(core, math.ceil(by) + 1), np.zeros_like(core)
    near[part] = distance(core[part]) <= by
    return near


def _within_b(a: np.ndarray, a_or_b: np.ndarray) -> tuple[np.ndarray, float]:
    """The normalised distance of each pixel of B, 0 in A and 1 in C; and the mean width of B."""
    part, within = around(a_or_b, 1), np.ones(a.shape, np.float32)
    within[part], width = _across(a[part], a_or_b[part])
    return within, width


def _across(a: np.ndarray, a_or_b: np.ndarray) -> tuple[np.ndarray, float]:
    """`_within_b` of a part that holds all of A and B, and of C what lies beside them."""
    b = a_or_b & ~a
    to_a, to_c = distance(a), distance(~a_or_b)
    if np.isinf(to_c).all():  # no Area C: nothing to fade towards
        return np.zeros(a.shape, np.float32), 1.0
    if np.isinf(to_a).all():  # no Area A: the deepest point of B takes its place
        to_a = to_c.max() - to_c
    width = float((to_a + to_c)[b].mean()) if b.any() else 1.0
    return np.where(a_or_b, to_a / np.maximum(to_a + to_c, 1e-6), np.float32(1)), width


def _continued(a: np.ndarray, a_or_b: np.ndarray, within: np.ndarray, width: float) -> np.ndarray:
    """The normalised distance within B, continued into A and C."""
    if a_or_b.all():
        return within
    inside_a, outside = distance(~a), np.minimum(distance(a_or_b), sum(a.shape))  # finite without any area, too
    return np.select([a, a_or_b], [-inside_a / width, within], 1 + outside / width).astype(np.float32)


def _reduction(shape: tuple[int, ...], width: float, max_side: int | None) -> float:
    """By how much to shrink a core: to `max_side`, but never so far that B gets thinner than 8 pixels."""
    if max_side is None or max(shape) <= max_side:
        return 1.0
    scale = max(max_side / max(shape), 8 / max(width, 1e-6))
    return scale if scale < 0.75 else 1.0  # a small reduction costs a rim and saves little
