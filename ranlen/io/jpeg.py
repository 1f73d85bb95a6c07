"""JPEG files by libjpeg-turbo itself: pixels in half of Pillow's time, and changes written into the file's own blocks.

Blocks that no change touches, tables, sampling and markers stay what they were (`ranlen/io/blocks.py`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

import numpy as np
import pyvips
import simplejpeg
from PIL import Image, ImageFile

from ranlen.io import blocks, photoshop
from ranlen.io import exif as exif_block

SEGMENT = 0xFFFF - 2  # bytes that fit between a marker's length and the next marker
MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
ICC, XMP, PAIRS = b"ICC_PROFILE\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # eight times as fast as with \xff+, and ends there, too
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of what a picture's components are
ROWS = 64  # pixels that are decoded at a time, at least: a multiple of all units but those of three blocks


def decode(image: Image.Image, data: bytes) -> np.ndarray:
    """The pixels of a JPEG, (H, W) or (H, W, C), as Pillow gives them; what is not quite in order is left to Pillow.

    Args:
        image: the file as Pillow opened it.
        data: the bytes of the file.
    """
    if _plain(image):
        try:
            return simplejpeg.decode_jpeg(data, "GRAY" if image.mode == "L" else "RGB")
        except ValueError:
            pass
    return np.asarray(image)


def bands(image: Image.Image, data: bytes, rows: int) -> Iterator[np.ndarray]:
    """What `decode` gives, some rows at a time, (rows, W, C): libvips decodes no more than that at once."""
    top = 0
    if _plain(image):
        try:
            source = pyvips.Image.jpegload_buffer(data, access="sequential", fail_on="warning")
            region = pyvips.Region.new(source)
            for top in range(0, image.height, rows):
                band = region.fetch(0, top, image.width, min(rows, image.height - top))
                yield np.frombuffer(band, np.uint8).reshape(-1, image.width, source.bands)
            return
        except pyvips.Error:
            pass
    whole = np.asarray(image).reshape(image.height, image.width, -1)
    for start in range(top, image.height, rows):
        yield whole[start : start + rows]


def _plain(image: Image.Image) -> bool:
    return isinstance(image, ImageFile.ImageFile) and image.mode in ("L", "RGB")


def ended(data: bytes) -> bytes:
    """A file that lacks only its end marker with one, as browsers read it; others, and what lacks rows, as they are.

    Of one in arithmetic coding nobody knows: its decoder takes what is missing for zeros.
    """
    if _parts(data)[1] is not None or coding(data)[0] in blocks.ARITHMETIC:
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
    return [(marker, data[a:b]) for marker, a, b in _parts(data)[0] if _is_word(marker)]


def _is_word(marker: int) -> bool:
    return 0xE0 <= marker <= 0xEF or marker == 0xFE


def metadata(data: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """EXIF, without its name, XMP and IPTC."""

    def named(sort: int, name: bytes) -> list[bytes]:
        return [content[len(name) :] for marker, content in words if marker == sort and content.startswith(name)]

    words = segments(data)
    exif, xmp = (next(iter(named(0xE1, name)), None) for name in (exif_block.NAME, XMP))
    return exif, xmp, photoshop.iptc_of(b"".join(named(0xED, photoshop.NAME)))


def own(data: bytes) -> tuple[str, ...]:
    """What no other kind of file keeps, in words."""
    found, end = _parts(data)
    said = {
        "its comment": any(marker == 0xFE for marker, _, _ in found),
        "its XMP beyond 64 kB": any(data.startswith(MORE_XMP, start) for _, start, _ in found),
        "what follows the picture, as a gain map or a film": end is not None and data[end:].strip(b"\0"),
    }
    return tuple(words for words, there in said.items() if there)


def encode(
    channels: np.ndarray,
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
    *,
    quality: int = 96,
) -> bytes:
    """The bytes of a JPEG with colours at full resolution.

    Args:
        channels: (H, W, C) uint8, C = 1 or 3.
        icc: colour profile, or none.
        exif: EXIF block without its name, or none.
        xmp: XMP packet, or none.
        iptc: IPTC, or none.
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
    if iptc:
        words += b"".join(_segment(0xED, part) for part in _in_parts(photoshop.with_iptc(iptc)))
    header = 2 + 18  # start of image and JFIF
    return data[:header] + words + data[header:]


def coding(data: bytes) -> tuple[int, int]:
    """The marker that says how a picture is coded, 0xC0 for baseline, and bits of a channel; 0 where none is."""
    return next(((marker, data[start]) for marker, start, _ in _parts(data)[0] if marker in FRAMES), (0, 0))


def lacks_scans(data: bytes) -> bool:
    """Whether a progressive JPEG ends before its frequencies have all bits; decoders then smooth what is there."""
    parts = _parts(data)[0]
    names = next(data[start + 6 : end : 3] for marker, start, end in parts if marker in FRAMES)
    bits_to_come = np.full((256, 64), 1)
    for start in (start for marker, start, _ in parts if marker == 0xDA):
        said = start + 1 + 2 * data[start]
        low, high, bits = data[said : said + 3]
        bits_to_come[list(data[start + 1 : said : 2]), low : high + 1] = bits & 15
    return bool(bits_to_come[list(names)].any())


def frame(data: bytes) -> blocks.Frame:
    """How the blocks of a file lie.

    Raises:
        ValueError: it does not say.
    """
    parts = _parts(data)[0]
    tables = [data[start:end] for marker, start, end in parts if marker == 0xDB]
    marker, start, end = next(part for part in parts if part[0] in FRAMES)
    return blocks.frame(marker, data[start:end], tables, data)


def rows_of(one: blocks.Frame) -> int:
    """How many rows are worked on at a time."""
    return -(-ROWS // one.unit[0]) * one.unit[0]


def changes(one: blocks.Frame, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> blocks.Waves:
    """What a picture's changes are to its blocks: small, so that no picture is needed any more.

    Args:
        one: how the file's blocks lie.
        pairs: the picture as the file holds it and as it is to be, `rows_of` rows at a time, (h, W, C) uint8: grey, RGB
            or inks.
    """
    found: blocks.Waves = {}
    top, broad = 0, one.unit[1]
    for before, after in pairs:
        differ = (before != after).reshape(len(before), -1).any(axis=0)  # 30 times as fast as at once
        touched = np.flatnonzero(differ.reshape(before.shape[1:]).any(axis=1))
        if len(touched):
            left, right = touched[0] // broad * broad, (touched[-1] // broad + 1) * broad
            change = after[:, left:right].astype(np.float32) - before[:, left:right]
            found.update(blocks.waves(one, change, top, int(left)))
        top += len(before)
    return found


def rewrite(data: bytes, one: blocks.Frame, added: blocks.Waves) -> bytes:
    """A JPEG in which blocks are changed where pixels are; what stands beside the picture stays, but for thumbnails.

    Raises:
        ValueError: its blocks cannot be read.
    """
    words = _without_thumbnails(segments(data))
    end = _parts(data)[1] or len(data)
    picture = blocks.rewritten(data, one, added)
    picture = picture[next(begin - 4 for marker, begin, _ in _parts(picture)[0] if not _is_word(marker)) :]
    start = 2 + sum(4 + len(content) for _, content in words)
    written = b"\xff\xd8"
    for marker, content in words:
        if marker == 0xE2 and content.startswith(PAIRS):
            moved = start + len(picture) - end
            content = _pointing(content, data.find(content) + 4 - (len(written) + 8), start + len(picture), moved)
        written += _segment(marker, content)
    return written + picture + data[end:]


def _without_thumbnails(words: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Segments without small pictures of what the photo was."""
    resources = b"".join(content[len(photoshop.NAME) :] for marker, content in words if _is_photoshops(marker, content))
    left = photoshop.without_thumbnails(resources)
    kept, first = [], True
    for marker, content in words:
        if content.startswith(exif_block.NAME):
            kept.append((marker, exif_block.NAME + exif_block.without_thumbnail(content[6:])))
        elif _is_photoshops(marker, content) and left != resources:  # a thumbnail may begin in one and end in the next
            kept += [(marker, part) for part in _in_parts(left) if first]
            first = False
        elif not content.startswith(b"JFXX\0"):
            kept.append((marker, content))
    return kept


def _is_photoshops(marker: int, content: bytes) -> bool:
    return marker == 0xED and content.startswith(photoshop.NAME)


def _in_parts(resources: bytes) -> list[bytes]:
    """The contents of the segments that Photoshop's resources take."""
    step = SEGMENT - len(photoshop.NAME)
    return [photoshop.NAME + resources[start : start + step] for start in range(0, len(resources), step)]


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
