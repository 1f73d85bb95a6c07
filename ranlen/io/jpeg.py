"""JPEG files by libjpeg-turbo itself: pixels in half of Pillow's time and without its four bytes a pixel."""

from __future__ import annotations

import struct

import numpy as np
import simplejpeg
from PIL import Image, ImageFile

SEGMENT = 0xFFFF - 2  # bytes that fit between a marker's length and the next marker
ICC = b"ICC_PROFILE\0"


def decode(image: Image.Image, data: bytes) -> np.ndarray:
    """The pixels of a JPEG, (H, W) or (H, W, C), as Pillow gives them; what is not quite in order is left to Pillow.

    Args:
        image: the file as Pillow opened it, or what was made of it.
        data: the bytes of the file.
    """
    if isinstance(image, ImageFile.ImageFile) and image.mode in ("L", "RGB"):
        try:
            return simplejpeg.decode_jpeg(data, "GRAY" if image.mode == "L" else "RGB")
        except ValueError:
            pass
    return np.asarray(image)


def encode(channels: np.ndarray, icc: bytes | None, exif: bytes | None, *, quality: int = 96) -> bytes:
    """The bytes of a JPEG with colours at full resolution.

    Args:
        channels: (H, W, C) uint8, C = 1 or 3.
        icc: colour profile, or none.
        exif: EXIF block, beginning with its name, or none.
        quality: as in libjpeg, from 1 to 100; below 96 a quick transform adds a fifth of a level of error.

    Raises:
        ValueError: more EXIF than a JPEG holds.
    """
    colours, sampling = ("GRAY", "Gray") if channels.shape[2] == 1 else ("RGB", "444")
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(channels), quality, colours, sampling)
    metadata = b""
    if exif:
        if len(exif) > SEGMENT:
            raise ValueError(f"JPEG holds {SEGMENT >> 10} kB of EXIF and the photo has {len(exif) >> 10}; write TIFF")
        metadata += _segment(0xE1, exif)
    if icc:
        step = SEGMENT - len(ICC) - 2
        parts = [icc[start : start + step] for start in range(0, len(icc), step)]
        metadata += b"".join(_segment(0xE2, ICC + bytes([i, len(parts)]) + part) for i, part in enumerate(parts, 1))
    header = 2 + 18  # start of image and JFIF
    return data[:header] + metadata + data[header:]


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
