"""AVIF by libvips: pictures at their own depth, and words as they were, where libvips would spell them anew."""

from __future__ import annotations

import re
import struct

import numpy as np
import pyvips

from ranlen.io import exif as exif_block
from ranlen.io.colour import Code

CODE = re.compile(rb"colrnclx(....)", re.DOTALL)


def is_avif(data: bytes) -> bool:
    """Whether a file is an AVIF, by its brand or by those that it is compatible with."""
    brands = data[8 : min(64, int.from_bytes(data[:4], "big"))]
    return data[4:8] == b"ftyp" and (b"avif" in brands or b"avis" in brands)


def code(data: bytes) -> Code | None:
    """Primaries and transfer, where the boxes before the pixels name them by number."""
    found = CODE.search(data, 0, 1 << 16)
    return struct.unpack(">HH", found[1]) if found else None


def words(image: pyvips.Image) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Profile, EXIF without its name, and XMP."""
    names = ("icc-profile-data", "exif-data", "xmp-data")
    icc, block, xmp = (image.get(name) if image.get_typeof(name) else None for name in names)
    return icc, block.removeprefix(exif_block.NAME) if block else None, xmp


def encode(
    channels: np.ndarray, icc: bytes | None, exif: bytes | None, xmp: bytes | None, *, bits: int, quality: int = 92
) -> bytes:
    """The bytes of an AVIF with colours at full resolution.

    Args:
        channels: (H, W, C), uint8 or uint16: RGB, or RGB and alpha.
        icc: colour profile, or none.
        exif: EXIF block without its name, or none.
        xmp: XMP packet, or none.
        bits: of a channel in the file: 8, 10 or 12.
        quality: from 1 to 100.
    """
    image = pyvips.Image.new_from_array(channels)
    image = image.copy(interpretation="rgb16" if channels.itemsize == 2 else "srgb")
    for name, block in (("icc-profile-data", icc), ("xmp-data", xmp)):
        if block:
            image.set_type(pyvips.GValue.blob_type, name, block)
    keep = "|".join(("icc", "xmp", *(("exif",) if exif else ())))
    options = {"compression": "av1", "bitdepth": bits, "Q": quality, "effort": 0, "subsample_mode": "off"}
    try:
        data = image.heifsave_buffer(**options, keep=keep)
    except pyvips.Error as error:
        raise ValueError(" ".join(str(error).split())) from None
    return _with_exif(data, exif) if exif else data


def _with_exif(data: bytes, block: bytes) -> bytes:
    """The file with another block: libvips spells EXIF in its own words, so the place of the item leads to ours."""
    content = struct.pack(">I", len(exif_block.NAME)) + exif_block.NAME + block
    at = data.rfind(content[:10])
    place = data.find(struct.pack(">IHI", at, 1, 0))  # of the item: where it begins, in one piece, from there on
    if at < 0 or place < 0:
        raise ValueError("libvips lays EXIF out in a way that is not known here")
    item = struct.pack(">IHII", len(data) + 8, 1, 0, len(content))
    return data[:place] + item + data[place + 14 :] + struct.pack(">I4s", len(content) + 8, b"mdat") + content
