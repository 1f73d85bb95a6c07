"""JPEG files by libjpeg-turbo itself: pixels in half of Pillow's time, and changes written into the file's own blocks.

A JPEG is 8 x 8 blocks of frequencies, rounded to multiples that its tables name. A change is added to the frequencies
of the blocks that it touches; all others, tables, sampling, scans and markers stay what they were.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import jpegio
import numpy as np
import simplejpeg
from PIL import Image, ImageFile

from ranlen.io import exif as exif_block

PHOTOSHOP = b"Photoshop 3.0\0"
SEGMENT = 0xFFFF - 2  # bytes that fit between a marker's length and the next marker
ICC, XMP, PAIRS = b"ICC_PROFILE\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
AFTER_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of what a picture's components are
Change = tuple[int, int, np.ndarray]  # from which row and column on, and by how much, (h, w, C) int16
BAND = 16  # rows of blocks changed at a time: more fill the cache
RGB, YCC, CMYK, YCCK = 2, 3, 4, 5  # libjpeg's numbers of what components mean
LUMA = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
WAVES = np.cos(np.pi / 16 * np.outer(np.arange(8), 2 * np.arange(8) + 1)).astype(np.float32) / 2
WAVES[0] /= np.sqrt(2)


def decode(image: Image.Image, data: bytes) -> np.ndarray:
    """The pixels of a JPEG, (H, W) or (H, W, C), as Pillow gives them; what is not quite in order is left to Pillow.

    Args:
        image: the file as Pillow opened it.
        data: the bytes of the file.
    """
    if isinstance(image, ImageFile.ImageFile) and image.mode in ("L", "RGB"):
        try:
            return simplejpeg.decode_jpeg(data, "GRAY" if image.mode == "L" else "RGB")
        except ValueError:
            pass
    return np.asarray(image)


def ended(data: bytes) -> bytes:
    """A file that lacks only its end marker with one, as browsers read it; others, and what lacks rows, as they are."""
    if _parts(data)[1] is not None:
        return data
    bare = data.rstrip(b"\0")
    for whole in (bare + b"\xff\xd9", bare.removesuffix(b"\xff") + b"\xff\xd9", bare + b"\0\xff\xd9"):
        try:
            simplejpeg.decode_jpeg(whole, "GRAY")
        except ValueError:
            continue
        return whole
    return data


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """The application segments and comments of the first picture: marker and content, in their order."""
    return [(marker, data[a:b]) for marker, a, b in _parts(data)[0] if 0xE0 <= marker <= 0xEF or marker == 0xFE]


def metadata(data: bytes) -> tuple[bytes | None, bytes | None]:
    """EXIF, without its name, and XMP."""
    found = [content for marker, content in segments(data) if marker == 0xE1]
    exif = next((content[6:] for content in found if content.startswith(exif_block.NAME)), None)
    return exif, next((content[len(XMP) :] for content in found if content.startswith(XMP)), None)


def encode(
    channels: np.ndarray, icc: bytes | None, exif: bytes | None, xmp: bytes | None = None, *, quality: int = 96
) -> bytes:
    """The bytes of a JPEG with colours at full resolution.

    Args:
        channels: (H, W, C) uint8, C = 1 or 3.
        icc: colour profile, or none.
        exif: EXIF block without its name, or none.
        xmp: XMP packet, or none.
        quality: as in libjpeg, from 1 to 100; below 96 a quick transform adds a fifth of a level of error.

    Raises:
        ValueError: more metadata than a JPEG holds.
    """
    colours, sampling = ("GRAY", "Gray") if channels.shape[2] == 1 else ("RGB", "444")
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(channels), quality, colours, sampling)
    words = b""
    for what, name, block in (("EXIF", exif_block.NAME, exif), ("XMP", XMP, xmp)):
        if block and len(name + block) > SEGMENT:
            much = len(block) >> 10
            raise ValueError(f"JPEG holds {SEGMENT >> 10} kB of {what} and the photo has {much}; write TIFF")
        words += _segment(0xE1, name + block) if block else b""
    if icc:
        step = SEGMENT - len(ICC) - 2
        parts = [icc[start : start + step] for start in range(0, len(icc), step)]
        words += b"".join(_segment(0xE2, ICC + bytes([i, len(parts)]) + part) for i, part in enumerate(parts, 1))
    header = 2 + 18  # start of image and JFIF
    return data[:header] + words + data[header:]


def coding(data: bytes) -> tuple[int, int]:
    """The marker that says how a picture is coded, 0xC0 for baseline, and bits of a channel; 0 where none is."""
    return next(((marker, data[start]) for marker, start, _ in _parts(data)[0] if marker in FRAMES), (0, 0))


def changes(data: bytes, before: np.ndarray, after: np.ndarray) -> list[Change]:
    """Where a picture is to be another, as whole blocks: small, so that neither picture is needed any more.

    Args:
        data: the file.
        before: its pixels as it holds them, (H, W, C) uint8: grey, RGB or inks.
        after: what they are to be.
    """
    high, wide = _sampling(data)
    found = []
    for top in range(0, before.shape[0], rows := 8 * high * BAND):
        band = slice(top, top + rows)
        differ = (before[band] != after[band]).reshape(len(before[band]), -1).any(axis=0)  # 30 times as fast as at once
        touched = np.flatnonzero(differ.reshape(before.shape[1:]).any(axis=1))
        if len(touched):
            left, right = touched[0] // (8 * wide) * 8 * wide, (touched[-1] // (8 * wide) + 1) * 8 * wide
            found.append((top, int(left), after[band, left:right].astype(np.int16) - before[band, left:right]))
    return found


def rewrite(data: bytes, changed: list[Change]) -> bytes:
    """A JPEG in which blocks are changed where pixels are; what stands beside the picture stays, but for thumbnails.

    Raises:
        ValueError: its blocks cannot be read.
    """
    old = [(marker, content) for marker, content in segments(data) if not content.startswith(b"JFXX\0")]  # a thumbnail
    words = [(marker, _without_thumbnail(content)) for marker, content in old]
    end = _parts(data)[1] or len(data)
    picture = _changed(data, changed)
    start = 2 + sum(4 + len(content) for _, content in words)
    written = b"\xff\xd8"
    for marker, content in words:
        if marker == 0xE2 and content.startswith(PAIRS):
            moved = start + len(picture) - 2 - end
            content = _pointing(content, data.find(content) + 4 - (len(written) + 8), start + len(picture) - 2, moved)
        written += _segment(marker, content)
    return written + picture[2:] + data[end:]


def _without_thumbnail(content: bytes) -> bytes:
    """A segment without small pictures of what the photo was."""
    if content.startswith(exif_block.NAME):
        return exif_block.NAME + exif_block.without_thumbnail(content[6:])
    if content.startswith(PHOTOSHOP):
        return PHOTOSHOP + exif_block.without_resources(content[len(PHOTOSHOP) :])
    return content


def _changed(data: bytes, changed: list[Change]) -> bytes:
    """The picture with its changes, without any words."""
    with _file(data) as path:
        file = jpegio.read(path)
        tables = [data[start:end] for marker, start, end in _parts(data)[0] if marker == 0xDB]
        slots = sorted({slot for content in tables for slot in _tables(content)})
        for top, left, change in changed:
            _add(file, slots, change.astype(np.float32), top, left)
        for part in file.comp_info:  # which jpegio knows of the first scan only: coded anew, two will do
            part.dc_tbl_no, part.ac_tbl_no = (min(max(number, 0), 1) for number in (part.dc_tbl_no, part.ac_tbl_no))
        file.markers = []
        file.optimize_coding = True  # the file's own codes may lack what a changed block needs
        file.write(path)
        return Path(path).read_bytes()


def _sampling(data: bytes) -> tuple[int, int]:
    """Into how many blocks, down and across, the finest component of a unit is divided."""
    frame = next((data[a:b] for marker, a, b in _parts(data)[0] if marker in FRAMES), b"")
    factors = frame[7::3] or b"\x11"
    return max(each & 15 for each in factors), max(each >> 4 for each in factors)


def _add(file: Any, slots: list[int], change: np.ndarray, top: int, left: int) -> None:
    """Add a change of pixels, (h, w, C) from `top` and `left` of the picture on, to the frequencies of a file."""
    highest, widest = file.max_v_samp_factor, file.max_h_samp_factor
    short = [(0, -change.shape[axis] % (8 * most)) for axis, most in ((0, highest), (1, widest))]
    change = np.pad(change, (*short, (0, 0)), mode="edge")
    space = file.jpeg_color_space
    if space in (YCC, YCCK):
        change[..., :3] = change[..., :3] @ LUMA.T
    if space == CMYK:
        change = -change  # Adobe's inks count downwards
    elif space == YCCK:
        change[..., 3] *= -1
    for number, (part, table) in enumerate(zip(file.comp_info, file.coef_arrays, strict=True)):
        size = (change.shape[1] * part.h_samp_factor // widest, change.shape[0] * part.v_samp_factor // highest)
        plane = cv2.resize(change[..., number], size, interpolation=cv2.INTER_AREA)
        blocks = plane.reshape(size[1] // 8, 8, size[0] // 8, 8).transpose(0, 2, 1, 3)
        steps = file.quant_tables[slots.index(part.quant_tbl_no)]
        waves = np.rint(WAVES @ blocks @ WAVES.T / steps).astype(np.int32).transpose(0, 2, 1, 3).reshape(size[::-1])
        y, x = top * part.v_samp_factor // highest, left * part.h_samp_factor // widest
        part_of_it = table[y : y + size[1], x : x + size[0]]
        waves = waves[: part_of_it.shape[0], : part_of_it.shape[1]]
        np.copyto(part_of_it, np.clip(part_of_it + waves, -1023, 1023), where=waves != 0)


@contextlib.contextmanager
def _file(data: bytes) -> Iterator[str]:
    """The name of a file that holds bytes for as long as one is within; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("ranlen"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a"
            path.write_bytes(data)
            yield str(path)


def _parts(data: bytes) -> tuple[list[tuple[int, int, int]], int | None]:
    """The segments of the first picture, each with where its content begins and ends, and where the picture ends."""
    found: list[tuple[int, int, int]] = []
    at = 2
    while (next_one := AFTER_SCAN.search(data, at)) is not None:
        at, marker = next_one.end(), data[next_one.end() - 1]
        if marker == 0xD9:
            return found, at
        if marker in (0x01, 0xD8):
            continue
        if at + 2 > len(data):
            break
        length = struct.unpack_from(">H", data, at)[0]
        found.append((marker, at + 2, at + length))
        at += max(2, length)
    return found, None


def _tables(content: bytes) -> Iterator[int]:
    """The slots that a segment of tables fills."""
    at = 0
    while at < len(content):
        yield content[at] & 15
        at += 1 + (128 if content[at] >> 4 else 64)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _pointing(content: bytes, moved: int, length: int, grown: int) -> bytes:
    """A list of the pictures in a file, which stand behind the first, that has another length now."""
    patched, block = bytearray(content), content[4:]
    entry = exif_block.directory(block, exif_block.first(block))[0].get(0xB002)
    order = exif_block.layout(block).order
    for number, at in enumerate(range(entry.at, entry.at + entry.length - 15, 16) if entry else ()):
        size, offset = struct.unpack_from(order + "II", block, at + 4)
        size, offset = (length, 0) if number == 0 else (size, offset + grown + moved if offset else 0)
        struct.pack_into(order + "II", patched, 4 + at + 4, size, offset & 0xFFFFFFFF)
    return bytes(patched)
