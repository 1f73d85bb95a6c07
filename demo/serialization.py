"""What travels to the browser: photos to the byte, lights for its shader, outlines of areas, figures in words.

A light goes as 8 bits a value, each row as differences, deflated: 10 to 40 KB for a subject. `page/light.js` unpacks
it and renders it as `ranlen.retouch.render` does, at any degree, at most two levels apart.
"""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import cv2
import numpy as np

from ranlen.arrays import resize
from ranlen.io.images import Photo
from ranlen.masks.boolean import drawn_at, resized
from ranlen.masks.regions import RegionMask
from ranlen.rendering.fields import GREY, Illumination
from ranlen.rendering.noise import STEEP
from ranlen.retouch import Lighting

Box = tuple[int, int, int, int]  # left, top, width, height
LEVELS = 4095  # that a light is sent in; `page/light.js` knows the number, too
AROUND = np.ones((3, 3), np.uint8)  # a cell and its neighbours
# Without a search for repetitions, of which photos have none, a PNG is no larger and takes half the time; with one
# filter for all rows (OpenCV 4.12), a third.
PNG = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]


def png(pixels: np.ndarray) -> bytes:
    """Pixels (H, W, 3) as PNG, to the byte: light multiplies what a JPEG would lose."""
    return cv2.imencode(".png", pixels[..., ::-1], PNG)[1].tobytes()


def dark_png(pixels: np.ndarray) -> bytes:
    """Pixels (H, W, 3) uint16 as a PNG of 8 bits in a scale that is fine in the dark, log(1 + 32 x) / log 33."""
    scale = np.log1p(STEEP * np.arange(1 << 16) / 65535) / math.log1p(STEEP)
    return png(np.rint(255 * scale).astype(np.uint8)[pixels])


def uri(data: bytes) -> str:
    """A PNG as text."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def changed(before: Photo, after: Photo) -> Box:
    """The box around what differs."""
    apart = cv2.absdiff(before.pixels, after.pixels)
    left, top, width, height = cv2.boundingRect(apart.reshape(len(apart), -1))  # three columns a pixel
    return left // 3, top, -(-(left + width) // 3) - left // 3, height


def part(photo: Photo, box: Box) -> np.ndarray:
    """The pixels in a box."""
    left, top, width, height = box
    return photo.pixels[top : top + height, left : left + width]


def packed_light(lighting: Lighting, photo: Photo) -> dict[str, Any]:
    """A light for the shader.

    Returns:
        kind: "gain" or "curves"; steps: how many curves; box: where the photo can change, and a cell around it, which a
        larger copy of the photo interpolates from; grey: of the photo; shoulder and desaturation: of the light;
        maps: as `_packed`, (steps * h, w, 3), of the box, or of the whole photo where the field is coarser than that;
        attenuation: likewise, (h, w, 1), or none.
    """
    size = photo.size
    maps = _fitting(lighting.field.maps, size)
    attenuation = None if lighting.attenuation is None else _fitting(lighting.attenuation, size)[0, 0]
    reached = (
        np.ones(size, bool) if attenuation is None else cv2.dilate((attenuation > 0).astype(np.uint8), AROUND) == 1
    )
    box = _box(reached)
    part = (slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2]))
    whole = maps.shape[-2:] != size
    if not whole:
        maps = (maps * reached)[(..., *part)]
    steps = maps.shape[1] // 3
    rows = maps.reshape(steps, 3, *maps.shape[2:]).transpose(0, 2, 3, 1).reshape(-1, maps.shape[3], 3)
    return {
        "kind": "gain" if isinstance(lighting.field, Illumination) else "curves",
        "steps": steps,
        "box": box,
        "grey": photo.grey,
        "shoulder": np.asarray(getattr(lighting.field, "shoulder", 1.0)).item(),
        "desaturation": np.asarray(lighting.field.desaturation).item(),
        "whole": whole,
        "maps": _packed(rows),
        "attenuation": None if attenuation is None else _packed(attenuation[part][..., None]),
    }


def outlines(mask: RegionMask) -> dict[str, Any]:
    """Borders of A and of A or B as closed lines, flat lists of x, y in cells of the mask, and the areas' shares."""
    a, b = (border(shape) for shape in mask.tensor[0] >= 0.5)
    shares = [round(share.item(), 4) for share in mask.coverage()]
    return {"size": list(mask.size), "a": a, "b": b, "shares": shares}


def border(shape: np.ndarray) -> list[list[float]]:
    """The border of a shape, booleans (H, W), as closed lines."""
    found, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    simple = [cv2.approxPolyDP(line, 0.6, True) for line in found]
    return [line.ravel().tolist() for line in simple if len(line) > 2]


def fitted(core: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Booleans (H, W) at another size, by half of each cell."""
    drawn = drawn_at(core, size)  # if the page saved it
    return resized(core, size) if drawn is None else drawn


def in_words(photo: Photo, lit: Photo, mask: RegionMask) -> list[str]:
    """What a light did, for somebody who takes photos: to the subject, to its edge, to everything else."""
    gain = np.log2(tone(lit.pixels) / tone(photo.pixels))
    mask = mask.resize(photo.size)
    inside, outside = mask.a[0, 0] >= 0.5, mask.c[0, 0] == 1
    subject = 2.2 * float(np.median(gain[inside])) if inside.any() else 0.0
    changed = float((photo.pixels != lit.pixels).any(2)[outside].mean()) if outside.any() else 0.0
    words = [f"Subject {subject:+.1f} stops"]
    if changed > 0:
        return [*words, "Edge none", f"Background {changed:.0%} changed"]
    slope = steepest(gain, mask.normalised_distance()[0, 0])
    seen = "soft" if slope < 2.5 else "faint line" if slope < 4 else "visible line"
    return [*words, f"Edge {seen} ({slope:.1f})", "Background untouched"]


def tone(pixels: np.ndarray) -> np.ndarray:
    """Luminance of pixels (H, W, 3) over 3 x 3 of them, raised by 4 of 255 levels: below that, gains are noise."""
    grey = cv2.transform(pixels.astype(np.float32) / 255, np.array([GREY], np.float32))
    return cv2.blur(grey, (3, 3), borderType=cv2.BORDER_REPLICATE) + 4 / 255


def steepest(gain: np.ndarray, distance: np.ndarray) -> float:
    """The steepest step of a gain (H, W) on its way from A (distance 0) to C (1), relative to an even fade.

    1 is a straight line, 5 a visible edge: `peak_slope` of train/metrics.py, which tests hold it to.
    """
    count, reach = 24, 0.5  # bins, from half a width of B inside A to half a one inside C
    bins = np.digitize(distance.ravel(), np.linspace(-reach, 1 + reach, count + 1)) - 1
    flat = gain.ravel()
    rows = [flat[bins == i] for i in range(count)]
    profile = np.array([np.median(row) if len(row) else np.nan for row in rows])
    inner = profile[: count // 4]
    height = max(abs(np.nanmean(inner)) if np.isfinite(inner).any() else 0.05, 0.05)
    steps = np.nan_to_num(np.abs(np.diff(profile))) * count / (1 + 2 * reach)
    return float(steps.max() / height)


def _packed(rows: np.ndarray) -> dict[str, Any]:
    """Floats (h, w, c) as 12 bits between their least and most: with 8, a strong light would come out in steps.

    Differences along the rows, modulo 2^16, all their low bytes and then all their high ones, deflated, in base64.
    """
    low, high = (float(rows.min()), float(rows.max())) if rows.size else (0.0, 0.0)
    scale = (high - low) / LEVELS or 1.0
    values = np.rint((rows - low) / scale).astype("<u2")
    steps = np.diff(values, axis=1, prepend=np.uint16(0)).astype("<u2")
    data = base64.b64encode(zlib.compress(steps.reshape(-1, 1).view(np.uint8).T.tobytes(), 1)).decode()
    return {"size": list(rows.shape), "low": low, "high": low + LEVELS * scale, "data": data}


def _fitting(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps no larger than the photo."""
    return resize(maps, (min(maps.shape[-2], size[0]), min(maps.shape[-1], size[1])))


def _box(inside: np.ndarray) -> Box:
    """The smallest box around what is True."""
    rows, cols = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(cols[0]), int(rows[0]), int(cols[-1] - cols[0]) + 1, int(rows[-1] - rows[0]) + 1
