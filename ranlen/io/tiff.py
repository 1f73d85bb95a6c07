"""TIFF files: new pixels and a new directory within the file that was there, all of whose other bytes stay in place.

So every tag, offset and page keeps its meaning, without being understood. The old strips make room for the new ones.
A block of EXIF is a TIFF file without a picture: a new file begins with it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np

from ranlen.io import exif, photoshop
from ranlen.io.exif import IPTC, PHOTOSHOP, XMP, Entry

WIDTH, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, STRIP_BYTES, TILES, TILE_BYTES = 256, 258, 259, 262, 273, 279, 324, 325
EXTRA, SUBFILES, ICC, DNG = 338, 330, 34675, 50706
BLACK_IS_ZERO, RGB, INKS, LAB, FILTERED = 1, 2, 5, 8, (32803, 34892)
ASSOCIATED = 1
HUGE = 1 << 32


@dataclass(frozen=True)
class Page:
    """The page of a file that is its picture.

    Attributes:
        number: counted from 0.
        link: where the offset of its directory stands.
        entries: its tags.
        raw: the file is a camera's, with the pixels of a sensor.
        pages: how many there are, at least.
    """

    number: int
    link: int
    entries: dict[int, Entry]
    raw: bool
    pages: int


def page(data: bytes) -> Page:
    """The first page that is no thumbnail of another.

    Raises:
        ValueError: there is no directory.
    """
    form = exif.layout(data)
    link, seen = (8 if form.big else 4), set[int]()
    found: list[tuple[int, dict[int, Entry]]] = []
    raw = False
    while len(found) < 100:
        at = struct.unpack_from(form.number, data, link)[0]
        if not at or at in seen:
            break
        seen.add(at)
        try:
            entries, behind = exif.directory(data, at)
        except ValueError:
            if not found:
                raise
            break
        found.append((link, entries))
        below = exif.values(data, entries[SUBFILES])[:20] if SUBFILES in entries else ()
        raw = (
            raw
            or DNG in entries
            or any(_one(data, each, PHOTOMETRIC) in FILTERED for each in (entries, *_read(data, below)))
        )
        link = behind
        if link + struct.calcsize(form.number) > len(data):
            break
    if not found:
        raise ValueError("no directory")
    full = [number for number, (_, entries) in enumerate(found) if not _one(data, entries, 254, 0) & 1]
    number = full[0] if full else 0
    return Page(number, *found[number], raw, len(found))


def _read(data: bytes, places: tuple[int, ...]) -> list[dict[int, Entry]]:
    read = []
    for at in places:
        try:
            read.append(exif.directory(data, at)[0])
        except ValueError:
            continue
    return read


def _one(data: bytes, entries: dict[int, Entry], tag: int, otherwise: int = -1) -> int:
    said = exif.values(data, entries[tag]) if tag in entries else ()
    return said[0] if said else otherwise


def number(data: bytes, one: Page, tag: int, otherwise: int) -> int:
    """A number that the page's directory says."""
    return _one(data, one.entries, tag, otherwise)


def content(data: bytes, one: Page, tag: int) -> bytes | None:
    """The bytes of a tag."""
    entry = one.entries.get(tag)
    return bytes(data[entry.at : entry.at + entry.length]) if entry else None


def iptc_of(data: bytes, one: Page) -> bytes | None:
    """IPTC, from its own tag or from among Photoshop's resources."""
    return content(data, one, IPTC) or photoshop.iptc_of(content(data, one, PHOTOSHOP) or b"")


def encode(
    channels: np.ndarray, icc: bytes | None, block: bytes | None, xmp: bytes | None, iptc: bytes | None
) -> bytes:
    """A new TIFF of channels (H, W, C), uint8 or uint16, that begins with a block of EXIF.

    Raises:
        ValueError: more than 4 GB.
    """
    block = exif.without_thumbnail(block) if block else b"II*\0" + struct.pack("<IHI", 8, 0, 0)
    entries, _ = exif.directory(block, exif.first(block))
    iptc = iptc + bytes(-len(iptc) % 4) if iptc else None  # counted in fours, as all programs do
    said = {tag: (kind, value) for tag, kind, value in ((ICC, 7, icc), (XMP, 1, xmp), (IPTC, 4, iptc)) if value}
    extra = (2,) if channels.shape[2] in (2, 4) else ()
    return _written(block, Page(0, 4, entries, False, 1), channels, RGB if channels.shape[2] > 2 else 1, extra, said)


def rewrite(data: bytes, channels: np.ndarray) -> bytes:
    """The same TIFF with other pixels, white brightest, alpha not multiplied in; all that is said beside them stays.

    Raises:
        ValueError: more than 4 GB.
    """
    one = page(data)
    meaning = number(data, one, PHOTOMETRIC, BLACK_IS_ZERO)
    if meaning == LAB:  # its profile is none of RGB
        one = replace(one, entries={tag: entry for tag, entry in one.entries.items() if tag != ICC})
    colours = 4 if meaning == INKS else 3 if channels.shape[2] > 2 else 1
    extra = exif.values(data, one.entries[EXTRA]) if EXTRA in one.entries else ()
    extra = (*extra, *[2] * 9)[: channels.shape[2] - colours]
    extra = tuple(2 if each == ASSOCIATED else each for each in extra)
    meaning = INKS if meaning == INKS else RGB if colours == 3 else BLACK_IS_ZERO
    return _written(*_without_thumbnails(data, one), channels, meaning, extra, {})


def _without_thumbnails(data: bytes, one: Page) -> tuple[bytes, Page]:
    """A file and its page without small pictures among Photoshop's resources; the room that they took is left."""
    entry, block = one.entries.get(PHOTOSHOP), content(data, one, PHOTOSHOP) or b""
    left = photoshop.without_thumbnails(block)
    if entry is None or left == block:
        return data, one
    patched, form = bytearray(data), exif.layout(data)
    patched[entry.at : entry.at + entry.length] = left.ljust(entry.length, b"\0")
    count = -(-len(left) // exif.SIZES.get(entry.kind, 1))
    struct.pack_into(form.order + ("Q" if form.big else "I"), patched, entry.place + 4, count)
    entries = one.entries if left else {tag: each for tag, each in one.entries.items() if tag != PHOTOSHOP}
    return bytes(patched), replace(one, entries=entries)


Said = dict[int, tuple[int, bytes]]  # type and value of tags


def _written(base: bytes, one: Page, channels: np.ndarray, meaning: int, extra: tuple[int, ...], said: Said) -> bytes:
    """A file with another picture on one page: deflated strips of horizontal differences (predictor 2)."""
    form = exif.layout(base)
    height, width, count = channels.shape
    rows = max(1, (1 << 18) // (width * count))
    strips = [_deflated(channels[top : top + rows], form.order) for top in range(0, height, rows)]
    data = bytearray(base)
    places = _placed(data, strips, _free(base, one))
    shorts = {
        BITS: (8 * channels.itemsize,) * count, COMPRESSION: (8,), PHOTOMETRIC: (meaning,), 277: (count,), 284: (1,),
        317: (2,), 339: (1,) * count, **({EXTRA: extra} if extra else {}),
    }  # fmt: skip
    if exif.ORIENTATION not in one.entries:
        shorts[exif.ORIENTATION] = (1,)
    longs = {WIDTH: (width,), 257: (height,), STRIPS: places, 278: (rows,), STRIP_BYTES: tuple(map(len, strips))}
    wide = "Q" if form.big else "I"
    new = {tag: (3, len(v), struct.pack(f"{form.order}{len(v)}H", *v)) for tag, v in shorts.items()}
    try:
        kind = 16 if form.big else 4
        new |= {tag: (kind, len(v), struct.pack(f"{form.order}{len(v)}{wide}", *v)) for tag, v in longs.items()}
        new |= {tag: (sort, len(value) // exif.SIZES[sort], value) for tag, (sort, value) in said.items()}
        new.setdefault(254, (4, 1, struct.pack(form.order + "I", number(base, one, 254, 0))))
        kept = {
            tag: entry
            for tag, entry in one.entries.items()
            if tag not in (exif.STORAGE - {ICC, 254}) and tag not in new
        }
        data += bytes(len(data) % 2)
        start = len(data)
        data += _directory(base, start, kept, new, one)
        struct.pack_into(form.number, data, one.link, start)
    except struct.error:
        raise ValueError("more than 4 GB") from None
    if not form.big and len(data) >= HUGE:
        raise ValueError("more than 4 GB")
    return bytes(data)


def _directory(
    base: bytes, start: int, kept: dict[int, Entry], new: dict[int, tuple[int, int, bytes]], one: Page
) -> bytes:
    form = exif.layout(base)
    size, head = (20, 8) if form.big else (12, 2)
    count = len(kept) + len(new)
    table = struct.pack(form.order + ("Q" if form.big else "H"), count)
    end = start + head + size * count + struct.calcsize(form.number)
    rest = b""
    for tag in sorted({*kept, *new}):
        if tag in kept:
            table += base[kept[tag].place : kept[tag].place + size]
            continue
        kind, many, value = new[tag]
        if len(value) > form.inline:
            place = end + len(rest)
            rest += value + bytes(len(value) % 2)
            value = struct.pack(form.number, place)
        table += struct.pack(form.order + ("HHQ" if form.big else "HHI"), tag, kind, many) + value.ljust(
            form.inline, b"\0"
        )
    at = struct.unpack_from(form.number, base, one.link)[0]
    _, behind = exif.directory(base, at)
    size = struct.calcsize(form.number)
    return table + base[behind : behind + size].ljust(size, b"\0") + rest


def _free(base: bytes, one: Page) -> list[tuple[int, int]]:
    """Where the old pixels are: start and end of pieces that hang together."""
    free: list[tuple[int, int]] = []
    for places, sizes in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
        if places in one.entries and sizes in one.entries:
            starts, lengths = (exif.values(base, one.entries[tag]) for tag in (places, sizes))
            for start, length in sorted(zip(starts, lengths, strict=False)):
                end = min(start + length, len(base))
                if free and free[-1][1] <= start <= free[-1][1] + 1:
                    free[-1] = (free[-1][0], end)
                elif start < end and (not free or start > free[-1][1]):
                    free.append((start, end))
    return free


def _placed(data: bytearray, strips: list[bytes], free: list[tuple[int, int]]) -> tuple[int, ...]:
    """Put strips where the old ones were, and what does not fit behind everything else; where each is."""
    for start, end in free:
        data[start:end] = bytes(end - start)
    if free and free[-1][1] >= len(data):  # nothing stands behind it
        del data[free[-1][0] :]
        free = free[:-1]
    places = []
    for strip in strips:
        for number, (start, end) in enumerate(free):
            if end - start >= len(strip):
                data[start : start + len(strip)] = strip
                free[number] = (start + len(strip), end)
                break
        else:
            data += bytes(len(data) % 2)
            start = len(data)
            data += strip
        places.append(start)
    return tuple(places)


def _deflated(rows: np.ndarray, order: str) -> bytes:
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.astype(rows.dtype.newbyteorder("<" if order == "<" else ">")).tobytes(), 3)
