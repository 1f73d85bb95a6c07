"""Rendering a whole photo: the pixels of `fields.render`, at the speed of memory.

What a picture of floats would cost is memory traffic, not arithmetic. So a photo is lit in bands of a few rows whose
floats stay in the processor's cache, and nothing of the photo's size is made but the result:

1. The degree has been applied to the small field (`LightField.dosed`); the box where the window is open is found on
   the small window. Outside it nothing is read or written.
2. A row of the maps is enlarged in width once (`Enlarged`), then blended with the next one for each row of the photo.
3. Per band: split into planes of floats, light, mute shadows, round, merge. Every step works in place, by a numpy or
   OpenCV call that does several numbers at a time and lets other threads run; each thread takes a share of the rows.

A field on a GPU is rendered there instead, in strips by the same torch code as `fields.render`.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor

from ranlen.fields import GREY, SHADOW, Dose, LightField, check_degree, mute_shadows
from ranlen.regions import Size, resize

BAND = 1 << 15  # pixels in a band: 400 kB for its three planes of floats
STRIP = 1 << 20  # pixels in a strip on a GPU


def render_pixels(
    field: LightField, pixels: np.ndarray, degree: float = 1.0, window: Tensor | None = None
) -> np.ndarray:
    """Light a whole photo; what the window shuts out is not touched, to the byte.

    Args:
        field: the light of one photo (N = 1), at any size.
        pixels: (H, W, 3), uint8 or uint16; not changed.
        degree: as in `fields.render`.
        window: (1, 1, h, w), as in `fields.render`.

    Returns:
        A new array like `pixels`, at most one 8-bit level from what `fields.render` gives.
    """
    dose = field.dosed(check_degree(degree))
    size = (pixels.shape[0], pixels.shape[1])
    dose = Dose(dose.kind, _shrunk(dose.maps, size), _shrunk(dose.sparing, size))
    window = None if window is None else _shrunk(window, size)
    lit = pixels.copy()
    rows, cols = _box(size, window)
    if not rows or not cols:
        return lit
    if dose.maps.is_cuda:
        _light_on_device(dose, window, pixels, lit, rows, cols)
        return lit
    threads = max(1, min(cv2.getNumThreads(), len(rows) * len(cols) // (4 * BAND)))
    parts = [rows[len(rows) * i // threads : len(rows) * (i + 1) // threads] for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: _light_rows(dose, window, pixels, lit, part, cols), parts))
    return lit


class Enlarged:
    """Maps (1, K, h, w) enlarged bilinearly to a photo's size, one row at a time; it holds a few enlarged rows.

    Args:
        maps: what to enlarge.
        size: of the photo.
        cols: the columns wanted.
        shape: of a row as wanted: (K, len(cols)), or the same numbers in another shape.
    """

    def __init__(self, maps: Tensor, size: Size, cols: range, shape: tuple[int, int]) -> None:
        self.rows = np.ascontiguousarray(maps[0].transpose(0, 1).float().numpy())  # (h, K, w)
        self.last = len(self.rows) - 1
        self.scale = len(self.rows) / size[0]
        self.width = size[1]
        self.cols = slice(cols.start, cols.stop)
        self.shape = shape
        self.block = max(1, 16 // self.rows.shape[1])  # OpenCV prepares each call for longer than it resizes one row
        self.wide: dict[int, np.ndarray] = {}

    def row(self, y: int, out: np.ndarray) -> None:
        """Write row y into `out`."""
        at = min(max((y + 0.5) * self.scale - 0.5, 0.0), self.last)
        low = int(at)
        cv2.addWeighted(self._wide(low), low + 1 - at, self._wide(min(low + 1, self.last)), at - low, 0, dst=out)

    def _wide(self, i: int) -> np.ndarray:
        number, place = divmod(i, self.block)
        if number not in self.wide:
            self.wide.pop(number - 2, None)
            narrow = self.rows[number * self.block : (number + 1) * self.block]
            lines = narrow.reshape(-1, narrow.shape[2])
            whole = cv2.resize(lines, (self.width, len(lines)), interpolation=cv2.INTER_LINEAR)
            self.wide[number] = np.ascontiguousarray(whole[:, self.cols]).reshape(-1, *self.shape)
        return self.wide[number][place]


def _light_rows(
    dose: Dose, window: Tensor | None, pixels: np.ndarray, lit: np.ndarray, rows: range, cols: range
) -> None:
    """Light some rows of `pixels` into `lit`, band by band."""
    size, width = (pixels.shape[0], pixels.shape[1]), len(cols)
    peak = np.float32(np.iinfo(pixels.dtype).max)
    steps = dose.maps.shape[1] // 3
    height = min(len(rows), max(1, BAND // width))
    light = Enlarged(-dose.maps if dose.kind == "gain" else dose.maps, size, cols, (steps, 3 * width))
    fade = None if window is None else Enlarged(window, size, cols, (1, width))
    spare = None if bool((dose.sparing == 1).all()) else Enlarged(dose.sparing, size, cols, (3, width))

    channels = 1 if spare is None else 3
    all_planes = np.empty((height, 3, width), pixels.dtype)
    all_maps = np.empty((steps, height, 3, width), np.float32)
    all_share = np.empty((height, channels, width), np.float32)
    all_image, all_other = np.empty((2, height, 3, width), np.float32)
    all_window, all_before = np.empty((2, height, 1, width), np.float32)
    for top in range(rows.start, rows.stop, height):
        count = min(height, rows.stop - top)
        part = (slice(top, top + count), slice(cols.start, cols.stop))
        planes, maps, share, before = all_planes[:count], all_maps[:, :count], all_share[:count], all_before[:count]
        image, other, open_ = all_image[:count], all_other[:count], all_window[:count]

        cv2.split(pixels[part], [planes[:, c] for c in range(3)])
        np.copyto(image, planes)
        image *= 1 / peak
        for i in range(count):
            light.row(top + i, maps[:, i].reshape(steps, 3 * width))
            if fade is not None:
                fade.row(top + i, open_[i])
            if spare is not None:
                spare.row(top + i, share[i])
        _share(image, share, other[:, :1], spare is not None, None if fade is None else open_)
        _grey(image, before[:, 0])
        if dose.kind == "gain":
            _gain(image, maps[0], share, other)
        else:
            _bend(image, maps, share, other)
        _mute_and_scale(image, before, other, peak)
        np.copyto(planes, image, casting="unsafe")
        cv2.merge([planes[:, c] for c in range(3)], dst=lit[part])


def _share(
    image: np.ndarray, share: np.ndarray, brightest: np.ndarray, spared: bool, window: np.ndarray | None
) -> None:
    """`fields.share` times the window, from the sparing that `share` holds if any."""
    np.maximum(image[:, :1], image[:, 1:2], out=brightest)
    np.maximum(brightest, image[:, 2:], out=brightest)
    brightest *= brightest
    brightest *= brightest
    if spared:
        share *= brightest
        np.subtract(1, share, out=share)
    else:
        np.subtract(1, brightest, out=share)
    if window is not None:
        share *= window


def _gain(image: np.ndarray, maps: np.ndarray, share: np.ndarray, other: np.ndarray) -> None:
    """Light an image in place: I / (I + S (1 - I)), where S = exp(maps * share)."""
    maps *= share
    cv2.exp(_flat(maps), _flat(maps))  # five times as fast as numpy's
    np.subtract(1, image, out=other)
    maps *= other
    maps += image
    image /= maps


def _bend(image: np.ndarray, maps: np.ndarray, share: np.ndarray, other: np.ndarray) -> None:
    """Apply curves to an image in place."""
    for curve in maps:
        np.multiply(image, image, out=other)
        other -= image
        other *= share
        cv2.accumulateProduct(_flat(other), _flat(curve), _flat(image))


def _mute_and_scale(lit: np.ndarray, before: np.ndarray, other: np.ndarray, peak: np.float32) -> None:
    """`fields.mute_shadows`, then from [0, 1] to half above the levels of the file, so that cutting rounds."""
    after, taken = other[:, :1], other[:, 1:2]
    _grey(lit, after[:, 0])
    np.subtract(after, before, out=taken)
    np.maximum(taken, 0, out=taken)
    before += np.float32(SHADOW)
    taken *= np.float32(SHADOW)
    taken /= before
    after += np.float32(1e-4)
    taken /= after  # the share of colour that goes
    after -= np.float32(1e-4)
    after *= taken
    after *= peak
    after += np.float32(0.5)
    np.subtract(1, taken, out=taken)
    taken *= peak
    lit *= taken
    lit += after


def _flat(image: np.ndarray) -> np.ndarray:
    """A contiguous image (n, 3, W) as OpenCV takes it: (3 n, W)."""
    return image.reshape(-1, image.shape[-1])


def _grey(image: np.ndarray, out: np.ndarray) -> None:
    """Grey values (n, W) of an image (n, 3, W)."""
    cv2.addWeighted(image[:, 0], GREY[0], image[:, 1], GREY[1], 0, dst=out)
    cv2.scaleAdd(image[:, 2], GREY[2], out, dst=out)


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
        image = mute_shadows(image, Dose(dose.kind, maps, sample(dose.sparing, size, *part)).apply(image))
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
