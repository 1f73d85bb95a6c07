"""PNG and TIFF files with all that a photo carries: arrays and metadata in, bytes out.

Channels are (H, W, C), uint8 or uint16, C from 1 to 4: grey, grey and alpha, RGB, RGB and alpha.
"""

from __future__ import annotations

import itertools
import struct
import zlib

import cv2
import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

RGB_ORDER = {1: [0], 2: [0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}  # OpenCV counts channels backwards
# What a TIFF's header says about the picture, not about how its pixels are stored.
PICTURE_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
SUB_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def without_pixel_tags(exif: Image.Exif) -> Image.Exif:
    """What a TIFF's header says about the picture."""
    kept = Image.Exif()
    for tag in PICTURE_TAGS:
        if tag in exif:
            kept[tag] = exif[tag]
    for directory in SUB_DIRECTORIES:
        if entries := exif.get_ifd(directory):
            kept.get_ifd(directory).update(entries)
    return kept


def png(channels: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
    """PNG by OpenCV, 15 times as fast as Pillow's and 16 bits deep where the photo is; our own metadata chunks.

    Raises:
        ValueError: more than a million pixels in a row or a column, which libpng refuses.
    """
    if channels.shape[2] == 2:  # OpenCV knows no grey with alpha
        channels = channels[..., [0, 0, 0, 1]]
    swapped = np.ascontiguousarray(channels[..., RGB_ORDER[channels.shape[2]]])
    done, data = cv2.imencode(".png", swapped)
    if not done:
        raise ValueError(f"{channels.shape[1]} x {channels.shape[0]} pixels; a PNG has at most a million a side")
    encoded = data.tobytes()
    metadata = b""
    if icc:
        metadata += _png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if exif:
        metadata += _png_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    header = 8 + 25  # signature and IHDR
    return encoded[:header] + metadata + encoded[header:]


def png_is_whole(data: bytes) -> bool:
    """Whether each chunk up to the last ends within the file; True for what is no PNG."""
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data) and data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if at > len(data):
            return False
    return True


def tiff(channels: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
    """TIFF with everything in it: no library at hand writes both 16-bit colour and EXIF.

    One directory, serialised by Pillow, then deflated strips of horizontal differences (predictor 2).
    """
    height, width, count = channels.shape
    rows = max(1, (1 << 18) // (width * count))
    strips = [_deflated(channels[top : top + rows]) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    offsets = [0, *itertools.accumulate(sizes)][:-1]  # from the directory's end: Pillow adds where that is

    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    directory.update(
        {256: width, 257: height, 258: (8 * channels.itemsize,) * count, 259: 8, 262: 1 if count < 3 else 2}
    )
    directory.tagtype.update({273: 4, 279: 4})
    directory.update({273: tuple(offsets), 274: 1, 277: count, 278: rows, 279: tuple(sizes), 284: 1, 317: 2})
    if count in (2, 4):
        directory[338] = 2  # the extra channel is alpha, not multiplied in
    if icc:
        directory.tagtype[34675] = 7
        directory[34675] = icc
    block = Image.Exif()
    block.load(exif or b"")
    directory.update(without_pixel_tags(block))
    directory.update({int(tag): block.get_ifd(tag) for tag in SUB_DIRECTORIES if block.get_ifd(tag)})

    start = 8
    return b"II*\0" + struct.pack("<I", start) + directory.tobytes(start) + b"".join(strips)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _deflated(rows: np.ndarray) -> bytes:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.astype(rows.dtype.newbyteorder("<")).tobytes(), 3)
