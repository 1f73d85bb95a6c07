"""Rendering a whole photo: the pixels of `fields.render`, at the speed of memory.

What a picture of floats would cost is memory traffic, not arithmetic. So a photo is lit in bands of a few rows whose
floats stay in the processor's cache, and nothing of the photo's size is made but the result:

1. Where the window is shut, found on the small window, nothing is read or written.
2. For a strip of rows the degree is applied to the small field, and its rows are enlarged in width (`Enlarged`).
3. Per band: split into planes of floats, enlarge in height, light, mute shadows, round, merge. Every step works in
   place, by a numpy or OpenCV call that does several numbers at a time and lets other threads run; each thread takes a
   share of the rows. Levels stay as the file has them; the factors that bring them to [0, 1] are part of other steps.

A field on a GPU is rendered there instead, in strips by the same torch code as `fields.render`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor

from ranlen.geometry import Size
from ranlen.masks.regions import resize
from ranlen.rendering.enlarge import Enlarged, between
from ranlen.rendering.fields import GREY, SHADOW, Dose, LightField, check_degree, mute_shadows

BAND = 3 << 14  # pixels in a band: 600 kB for three planes of floats
WIDE = 1 << 19  # numbers that are enlarged in width at a time
STRIP = 1 << 20  # pixels in a strip on a GPU


def render_pixels(
    field: LightField,
    pixels: np.ndarray,
    degree: float = 1.0,
    window: Tensor | None = None,
    *,
    in_place: bool = False,
) -> np.ndarray:
    """Light a whole photo; what the window shuts out is not touched, to the byte.

    Args:
        field: the light of one photo (N = 1), at any size.
        pixels: (H, W, 3), uint8 or uint16.
        degree: as in `fields.render`.
        window: (1, 1, h, w), as in `fields.render`.
        in_place: `pixels` may be written over, which saves as much memory.

    Returns:
        An array like `pixels`, at most one 8-bit level from what `fields.render` gives.
    """
    size = (pixels.shape[0], pixels.shape[1])
    dosed = Dosed(field, check_degree(degree), size)
    window = None if window is None else _shrunk(window, size)
    lit = pixels
    if not (in_place and pixels.flags.writeable):
        lit = np.empty_like(pixels) if window is None else pixels.copy()
    rows, cols = _box(size, window)
    if not rows or not cols:
        return lit
    if dosed.maps.is_cuda:
        _light_on_device(dosed.rows(slice(None)), window, pixels, lit, rows, cols)
        return lit
    threads = max(1, min(cv2.getNumThreads(), len(rows) * len(cols) // (4 * BAND)))
    parts = [rows[len(rows) * i // threads : len(rows) * (i + 1) // threads] for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _light_rows(dosed, window, pixels, lit, part), parts))
    return lit


class Dosed:
    """A field under one degree, no larger than a photo of `size`; some rows at a time, which stay in the cache."""

    def __init__(self, field: LightField, degree: float, size: Size) -> None:
        self.maps = field.maps()
        self.field = field.with_maps(self.maps)
        self.degree = degree
        self.whole: Dose | None = None
        if self.maps.numel() <= WIDE or self.maps.shape[-2] > size[0] or self.maps.shape[-1] > size[1]:
            self.whole = _resized(self.field.dosed(degree), lambda maps: _shrunk(maps, size))
            self.maps = self.whole.maps

    def rows(self, rows: slice) -> Dose:
        """The dose of some rows of the field."""
        if self.whole is None:
            return self.field.with_maps(self.maps[:, :, rows]).dosed(self.degree)
        return _resized(self.whole, lambda maps: maps[:, :, rows])


def _light_rows(dosed: Dosed, window: Tensor | None, pixels: np.ndarray, lit: np.ndarray, rows: range) -> None:
    """Light some rows of `pixels` into `lit`, strip by strip and band by band."""
    size = (pixels.shape[0], pixels.shape[1])
    count, height = dosed.maps.shape[1:3]
    buffers = np.empty((5, 3 * max(BAND, size[1])), np.float32)
    step = max(max(1, WIDE // (count * size[1])) * size[0] // height, BAND // size[1])
    for top in range(rows.start, rows.stop, step):
        strip = rows[top - rows.start : top - rows.start + step]
        cols = range(size[1])
        fade = None
        if window is not None:
            open_ = window[:, :, between(strip, window.shape[2], size)]
            cols = _span(open_[0, 0].amax(0) > 0, size[1])
            if not cols:
                continue
            fade = Enlarged(open_, strip, window.shape[2], size, cols)
        dose = dosed.rows(between(strip, height, size))
        factor = -1 if dose.kind == "gain" else 1
        light = Enlarged(dose.maps, strip, height, size, cols, factor)
        spare = None if dose.sparing is None else Enlarged(dose.sparing, strip, height, size, cols)
        deep = max(1, BAND // len(cols))
        for first in range(0, len(strip), deep):
            band = strip[first : first + deep]
            part = (slice(band.start, band.stop), slice(cols.start, cols.stop))
            planes = buffers[:, : 3 * len(band) * len(cols)].reshape(5, 3, len(band), len(cols))
            _light_band(dose.kind, light, spare, fade, band, pixels[part], lit[part], planes)


def _light_band(
    kind: str,
    light: Enlarged,
    spare: Enlarged | None,
    fade: Enlarged | None,
    band: range,
    pixels: np.ndarray,
    lit: np.ndarray,
    planes: np.ndarray,
) -> None:
    """Light a band of a photo into `lit`; `planes` (5, 3, rows, columns) is where to work."""
    peak = float(np.iinfo(pixels.dtype).max)
    image, maps, other, share = planes[:4]
    before, after = planes[4, :1], planes[4, 1:2]
    levels = maps.view(pixels.dtype).reshape(-1)[: image.size].reshape(image.shape)  # when there are no maps
    cv2.split(pixels, list(levels))
    np.copyto(image, levels)
    share = _share(levels, share, other[:1], peak, spare, band)
    if fade is not None:
        share *= fade.read(band, other[:1])
    _grey(image, before[0], 1 / peak, SHADOW)
    if kind == "gain":
        _gain(image, light.read(band, maps), share, other, peak)
    else:
        _bend(image, light, band, maps, share, other, peak)
    _mute(image, before, after, other[:1])
    _to_levels(image, levels, peak)
    cv2.merge(list(levels), dst=lit)


def _share(
    levels: np.ndarray, share: np.ndarray, brightest: np.ndarray, peak: float, spare: Enlarged | None, band: range
) -> np.ndarray:
    """`fields.share` of levels, (1, n, W), or (3, n, W) where strong lights are to spare highlights no more than 3."""
    np.copyto(brightest[0], cv2.max(cv2.max(levels[0], levels[1]), levels[2]))
    cv2.multiply(brightest[0], brightest[0], dst=brightest[0], scale=1 / peak**2)
    brightest *= brightest
    if spare is None:
        return np.subtract(1, brightest, out=share[:1])
    spare.read(band, share)
    share *= brightest
    return np.subtract(1, share, out=share)


def _gain(image: np.ndarray, maps: np.ndarray, share: np.ndarray, other: np.ndarray, peak: float) -> None:
    """Light levels in place, to [0, 1]: I / (I + S (1 - I)), where S = exp(maps * share)."""
    maps *= share
    cv2.exp(_flat(maps), _flat(maps))  # five times as fast as numpy's
    np.subtract(peak, image, out=other)
    maps *= other
    maps += image
    image /= maps


def _bend(
    image: np.ndarray,
    light: Enlarged,
    band: range,
    curve: np.ndarray,
    share: np.ndarray,
    other: np.ndarray,
    peak: float,
) -> None:
    """Apply curves to levels in place, to [0, 1].

    With T = (I - 1/2) share a curve is T + r (T^2 - share^2 / 4): three passes over memory and one for r.
    """
    share += np.float32(1e-8)  # to divide by
    image *= share / np.float32(peak)
    share *= np.float32(0.5)
    image -= share
    quarter = share * share
    for step in range(0, len(light.wide), 3):
        light.read(band, curve, step)
        np.multiply(image, image, out=other)
        other -= quarter
        cv2.accumulateProduct(_flat(other), _flat(curve), _flat(image))
    image += share
    share += share
    image /= share


def _mute(lit: np.ndarray, before: np.ndarray, after: np.ndarray, taken: np.ndarray) -> None:
    """`fields.mute_shadows` in place; `before` is the grey value of the photo plus SHADOW."""
    small = 1e-4
    _grey(lit, after[0], 1, small)
    np.subtract(after, before, out=taken)
    taken += np.float32(SHADOW - small)
    cv2.threshold(taken[0], 0, 0, cv2.THRESH_TOZERO, dst=taken[0])
    before *= after
    cv2.divide(taken[0], before[0], dst=taken[0], scale=SHADOW)  # the share of colour that goes
    after *= taken
    np.subtract(1, taken, out=taken)
    lit *= taken
    lit += after


def _to_levels(lit: np.ndarray, levels: np.ndarray, peak: float) -> None:
    """From [0, 1] to the levels of the file, rounded."""
    if levels.dtype == np.uint8:
        cv2.convertScaleAbs(_flat(lit), dst=_flat(levels), alpha=peak)
        return
    lit *= np.float32(peak)
    lit += np.float32(0.5)
    np.copyto(levels, lit, casting="unsafe")


def _flat(image: np.ndarray) -> np.ndarray:
    """Planes (3, n, W) as OpenCV takes them: (3 n, W)."""
    return image.reshape(-1, image.shape[-1])


def _grey(image: np.ndarray, out: np.ndarray, scale: float, plus: float) -> None:
    """Grey values (n, W) of planes (3, n, W), times `scale`, plus `plus`."""
    cv2.addWeighted(image[0], scale * GREY[0], image[1], scale * GREY[1], plus, dst=out)
    cv2.scaleAdd(image[2], scale * GREY[2], out, dst=out)


def _light_on_device(
    dose: Dose, window: Tensor | None, pixels: np.ndarray, lit: np.ndarray, rows: range, cols: range
) -> None:
    """The same on the GPU where the field is, in strips of torch."""
    size = (pixels.shape[0], pixels.shape[1])
    peak = float(np.iinfo(pixels.dtype).max)
    step = max(1, STRIP // len(cols))
    for top in range(rows.start, rows.stop, step):
        part = (slice(top, min(top + step, rows.stop)), slice(cols.start, cols.stop))
        image = torch.from_numpy(pixels[part].astype(np.float32)).to(dose.maps.device).permute(2, 0, 1)[None] / peak
        maps = sample(dose.maps, size, *part)
        if window is not None:
            maps = maps * sample(window, size, *part)
        spare = None if dose.sparing is None else sample(dose.sparing, size, *part)
        image = mute_shadows(image, Dose(dose.kind, maps, spare).apply(image))
        lit[part] = (image[0].permute(1, 2, 0) * peak).round().clamp(0, peak).cpu().numpy().astype(pixels.dtype)


def sample(maps: Tensor, size: Size, rows: slice, cols: slice) -> Tensor:
    """The part [rows, cols] of maps (N, K, h, w) enlarged bilinearly to `size`, without enlarging the rest."""
    low, high, weight = _neighbours(maps.shape[-2], size[0], rows, maps.device)
    maps = torch.lerp(maps[:, :, low], maps[:, :, high], weight[:, None])
    low, high, weight = _neighbours(maps.shape[-1], size[1], cols, maps.device)
    return torch.lerp(maps[..., low], maps[..., high], weight)


def _neighbours(small: int, large: int, part: slice, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of a part of the large axis: the two nearest cells of the small one, and the second's weight."""
    at = ((torch.arange(part.start, part.stop, device=device) + 0.5) * (small / large) - 0.5).clamp(0, small - 1)
    low = at.floor().long()
    return low, (low + 1).clamp(max=small - 1), (at - low).float()


def _resized(dose: Dose, resize: Callable[[Tensor], Tensor]) -> Dose:
    """A dose whose maps went through `resize`."""
    return Dose(dose.kind, resize(dose.maps), None if dose.sparing is None else resize(dose.sparing))


def _shrunk(maps: Tensor, size: Size) -> Tensor:
    """Maps no larger than the photo, as `fields.render` has them."""
    return resize(maps, (min(maps.shape[-2], size[0]), min(maps.shape[-1], size[1])))


def _box(size: Size, window: Tensor | None) -> tuple[range, range]:
    """The rows and columns of a photo within which the window is open."""
    if window is None:
        return range(size[0]), range(size[1])
    inside = window[0, 0] > 0
    return _span(inside.any(1), size[0]), _span(inside.any(0), size[1])


def _span(inside: Tensor, length: int) -> range:
    """First and last pixel, of `length`, that interpolates from an open cell."""
    cells = inside.nonzero()[:, 0]
    if not len(cells):
        return range(0)
    scale = length / inside.numel()
    return range(
        max(0, math.floor((int(cells[0]) - 0.5) * scale)), min(length, math.ceil((int(cells[-1]) + 1.5) * scale))
    )
