"""Rendering a whole photo: the pixels of `models.light.render`, at the speed of memory.

What a picture of floats would cost is memory traffic, not arithmetic. So a photo is lit in bands of a few rows whose
floats stay in the processor's cache, and nothing of the photo's size is made but the result:

1. Where the attenuation map is 0, found on the small map, nothing is read or written.
2. For a strip of rows the degree is applied to the small field, and its rows are enlarged in width (`Enlarged`).
3. Per band: split into planes of floats, enlarge in height, light, desaturate shadows, round, merge. Every step works
   in place, by a numpy or OpenCV call that does several numbers at a time and lets other threads run; each thread takes
   a share of the rows. Levels stay as the file has them; the factors that bring them to [0, 1] are part of other steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np

from ranlen.arrays import resize
from ranlen.geometry import Size
from ranlen.rendering.enlarge import Enlarged, between
from ranlen.rendering.fields import GREY, SHADOW, Illumination, LightField, ScaledField, check_degree
from ranlen.rendering.noise import Clean, Noise, check_denoise, take_noise

BAND = 3 << 14  # pixels in a band: 600 kB for three planes of floats
WIDE = 1 << 19  # numbers that are enlarged in width at a time


def render_pixels(
    field: LightField,
    pixels: np.ndarray,
    degree: float = 1.0,
    attenuation: np.ndarray | None = None,
    *,
    clean: Clean | None = None,
    denoise: float = 0.0,
    in_place: bool = False,
) -> np.ndarray:
    """Light a whole photo; where the attenuation map is 0 it is not touched, to the byte.

    Args:
        field: the light of one photo (N = 1), at any size.
        pixels: (H, W, 3), uint8 or uint16.
        degree: as in `models.light.render`.
        attenuation: (1, 1, h, w), as in `models.light.render`.
        clean: all that the light reaches without its noise, or none.
        denoise: as in `models.light.render`.
        in_place: `pixels` may be written over, which saves as much memory.

    Returns:
        An array like `pixels`, at most one 8-bit level from what `models.light.render` gives.
    """
    size = (pixels.shape[0], pixels.shape[1])
    scaled = ScaledRows(field, check_degree(degree), size)
    attenuation = None if attenuation is None else _shrunk(attenuation, size)
    lit = pixels
    if not (in_place and pixels.flags.writeable):
        lit = np.empty_like(pixels) if attenuation is None else pixels.copy()
    rows, cols = reached(size, attenuation)
    if not rows or not cols:
        return lit
    noise = (
        None if not check_denoise(denoise) or clean is None else Noise(clean, denoise, _attenuated(scaled, attenuation))
    )
    threads = max(1, min(cv2.getNumThreads(), len(rows) * len(cols) // (4 * BAND)))
    parts = [rows[len(rows) * i // threads : len(rows) * (i + 1) // threads] for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _light_rows(scaled, attenuation, noise, pixels, lit, part), parts))
    return lit


class ScaledRows:
    """A field under one degree, no larger than a photo of `size`; some rows at a time, which stay in the cache."""

    def __init__(self, field: LightField, degree: float, size: Size) -> None:
        self.field = field
        self.degree = degree
        self.whole: ScaledField | None = None
        if field.maps.size <= WIDE or field.maps.shape[-2] > size[0] or field.maps.shape[-1] > size[1]:
            self.whole = field.at_degree(degree).each(lambda maps: _shrunk(maps, size))
            self.field = self.whole.field

    def rows(self, rows: slice) -> ScaledField:
        """The scaled field at some of its rows."""
        if self.whole is None:
            return self.field.with_maps(self.field.maps[:, :, rows]).at_degree(self.degree)
        return self.whole.each(lambda maps: maps[:, :, rows])


def _attenuated(scaled: ScaledRows, attenuation: np.ndarray | None) -> LightField:
    """A field times its degree and an attenuation map."""
    field = scaled.rows(slice(None)).field
    if attenuation is None:
        return field
    return field.with_maps(resize(field.maps, (attenuation.shape[2], attenuation.shape[3])) * attenuation)


def _light_rows(
    scaled: ScaledRows,
    attenuation: np.ndarray | None,
    noise: Noise | None,
    pixels: np.ndarray,
    lit: np.ndarray,
    rows: range,
) -> None:
    """Light some rows of `pixels` into `lit`, strip by strip and band by band."""
    size = (pixels.shape[0], pixels.shape[1])
    count, height = scaled.field.maps.shape[1:3]
    law, factor = law_of(scaled.field)
    muted = np.asarray(scaled.field.desaturation).item()
    buffers = np.empty((5, 3 * max(BAND, size[1])), np.float32)
    step = max(max(1, WIDE // (count * size[1])) * size[0] // height, BAND // size[1])
    for top in range(rows.start, rows.stop, step):
        strip = rows[top - rows.start : top - rows.start + step]
        cols = range(size[1])
        through = None
        if attenuation is not None:
            open_ = attenuation[:, :, between(strip, attenuation.shape[2], size)]
            cols = _span(open_[0, 0].max(0) > 0, size[1])
            if not cols:
                continue
            through = Enlarged(open_, strip, attenuation.shape[2], size, cols)
        part = scaled.rows(between(strip, height, size))
        light = Enlarged(part.field.maps, strip, height, size, cols, factor)
        protection = None if part.protection is None else Enlarged(part.protection, strip, height, size, cols)
        shares = noise.enlarged(strip, size, cols) if noise else None
        deep = max(1, BAND // len(cols))
        for first in range(0, len(strip), deep):
            band = strip[first : first + deep]
            where = (slice(band.start, band.stop), slice(cols.start, cols.stop))
            planes = buffers[:, : 3 * len(band) * len(cols)].reshape(5, 3, len(band), len(cols))
            quiet = (noise.clean.within(band, cols), shares) if noise and shares else None
            _light_band(law, light, protection, through, quiet, muted, band, pixels[where], lit[where], planes)


Law = Callable[[np.ndarray, Enlarged, range, np.ndarray, np.ndarray, np.ndarray, float], None]


def _light_band(
    law: Law,
    light: Enlarged,
    protection: Enlarged | None,
    through: Enlarged | None,
    quiet: tuple[np.ndarray, Enlarged] | None,
    muted: float,
    band: range,
    pixels: np.ndarray,
    lit: np.ndarray,
    planes: np.ndarray,
) -> None:
    """Light a band of a photo into `lit`; `planes` (5, 3, rows, columns) is where to work."""
    peak = float(np.iinfo(pixels.dtype).max)
    image, maps, other, strength = planes[:4]
    before, after = planes[4, :1], planes[4, 1:2]
    levels = maps.view(pixels.dtype).reshape(-1)[: image.size].reshape(image.shape)  # when there are no maps
    cv2.split(pixels, list(levels))
    np.copyto(image, levels)
    strength = _unprotected(levels, strength, other[:1], peak, protection, band)
    if through is not None:
        strength *= through.read(band, other[:1])
    if quiet is not None:
        take_noise(image, *quiet, band, maps[:2], other, before[0], peak)
    if muted:
        _grey(image, before[0], 1 / peak, SHADOW)
    law(image, light, band, maps, strength, other, peak)
    if muted:
        _desaturate_shadows(image, before, after, other[:1], muted)
    _to_levels(image, levels, peak)
    cv2.merge(list(levels), dst=lit)


def _unprotected(
    levels: np.ndarray, out: np.ndarray, brightest: np.ndarray, peak: float, protection: Enlarged | None, band: range
) -> np.ndarray:
    """1 - `models.light.highlight_protection` of levels: (1, n, W), or (3, n, W) where the light is strong."""
    np.copyto(brightest[0], cv2.max(cv2.max(levels[0], levels[1]), levels[2]))
    cv2.multiply(brightest[0], brightest[0], dst=brightest[0], scale=1 / peak**2)
    brightest *= brightest
    if protection is None:
        return np.subtract(1, brightest, out=out[:1])
    protection.read(band, out)
    out *= brightest
    return np.subtract(1, out, out=out)


def _gain(
    image: np.ndarray,
    light: Enlarged,
    band: range,
    maps: np.ndarray,
    strength: np.ndarray,
    other: np.ndarray,
    peak: float,
) -> None:
    """Light levels in place, to [0, 1]: I / (I + S (1 - I)), where S = exp(maps * strength)."""
    light.read(band, maps)
    maps *= strength
    cv2.exp(_flat(maps), _flat(maps))  # five times as fast as numpy's
    np.subtract(peak, image, out=other)
    maps *= other
    maps += image
    image /= maps


def _shouldered(
    image: np.ndarray,
    light: Enlarged,
    band: range,
    maps: np.ndarray,
    strength: np.ndarray,
    other: np.ndarray,
    peak: float,
    shoulder: float,
) -> None:
    """`models.light.expose` of levels in place: (I^p / (S + (1 - S) I^p))^(1/p) in [0, 1], S = exp(maps * strength)."""
    light.read(band, maps)
    maps *= strength
    cv2.exp(_flat(maps), _flat(maps))
    image *= np.float32(1 / peak)
    cv2.pow(_flat(image), shoulder, _flat(image))
    np.subtract(1, maps, out=other)
    other *= image
    maps += other
    image /= maps
    cv2.pow(_flat(image), 1 / shoulder, _flat(image))


def _bend(
    image: np.ndarray,
    light: Enlarged,
    band: range,
    maps: np.ndarray,
    strength: np.ndarray,
    other: np.ndarray,
    peak: float,
) -> None:
    """Apply curves to levels in place, to [0, 1].

    With T = (I - 1/2) strength a curve is T + r (T^2 - strength^2 / 4): three passes over memory and one for r.
    """
    strength += np.float32(1e-8)  # to divide by
    image *= strength / np.float32(peak)
    strength *= np.float32(0.5)
    image -= strength
    quarter = strength * strength
    for step in range(0, len(light.wide), 3):
        light.read(band, maps, step)
        np.multiply(image, image, out=other)
        other -= quarter
        cv2.accumulateProduct(_flat(other), _flat(maps), _flat(image))
    image += strength
    strength += strength
    image /= strength


def law_of(field: LightField) -> tuple[Law, float]:
    """What lights a band, and the factor that it wants on the maps."""
    if not isinstance(field, Illumination):
        return _bend, 1
    shoulder = np.asarray(field.shoulder).item()
    return (_gain, -1) if shoulder == 1 else (partial(_shouldered, shoulder=shoulder), -shoulder)


def _desaturate_shadows(lit: np.ndarray, before: np.ndarray, after: np.ndarray, taken: np.ndarray, much: float) -> None:
    """`models.light.desaturate_shadows` in place; `before` is the grey value of the photo plus SHADOW."""
    small = 1e-4
    _grey(lit, after[0], 1, small)
    np.subtract(after, before, out=taken)
    taken += np.float32(SHADOW - small)
    cv2.threshold(taken[0], 0, 0, cv2.THRESH_TOZERO, dst=taken[0])
    before *= after
    cv2.divide(taken[0], before[0], dst=taken[0], scale=much * SHADOW)  # the share of colour that goes
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


def _shrunk(maps: np.ndarray, size: Size) -> np.ndarray:
    """Maps no larger than the photo, as `models.light.render` has them."""
    return resize(maps, (min(maps.shape[-2], size[0]), min(maps.shape[-1], size[1])))


def reached(size: Size, attenuation: np.ndarray | None) -> tuple[range, range]:
    """The rows and columns of a photo within which light may fall."""
    if attenuation is None:
        return range(size[0]), range(size[1])
    inside = attenuation[0, 0] > 0
    return _span(inside.any(1), size[0]), _span(inside.any(0), size[1])


def _span(inside: np.ndarray, length: int) -> range:
    """First and last pixel, of `length`, that interpolates from an open cell."""
    cells = np.flatnonzero(inside)
    if not len(cells):
        return range(0)
    scale = length / len(inside)
    return range(
        max(0, math.floor((int(cells[0]) - 0.5) * scale)), min(length, math.ceil((int(cells[-1]) + 1.5) * scale))
    )
