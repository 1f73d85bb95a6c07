"""EXIF blocks, patched where they stand: text in any encoding and makers' notes, full of offsets, stay as they are.

A block is a TIFF file without a picture: a header, then directories of entries that point to one another.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

NAME = b"Exif\0\0"
ORIENTATION, EXIF, GPS, INTEROPERABILITY = 274, 0x8769, 0x8825, 0xA005
BELOW = (EXIF, GPS)  # directories that the first one points to
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MOST_ENTRIES = 4096
BESIDE = XMP, IPTC, PHOTOSHOP = 700, 33723, 34377  # blocks of their own
# Tags of the first directory that say how pixels are stored, and lists of pictures and pages: not about the picture.
STORAGE = {
    *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 317, *range(320, 326), 330,
    332, 334, 336, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 532, 33421, 33422, 34675, 50706,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One entry of a directory: its tag and type, how many values, and where it and its values are in the block."""

    tag: int
    kind: int
    count: int
    place: int
    at: int

    @property
    def length(self) -> int:
        """Bytes of its values."""
        return SIZES.get(self.kind, 1) * self.count


@dataclass(frozen=True)
class Layout:
    """How a block counts: "<" or ">", and whether it is a BigTIFF, whose numbers have eight bytes."""

    order: str
    big: bool

    @property
    def number(self) -> str:
        """The format of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def inline(self) -> int:
        """Bytes of values that fit into an entry."""
        return 8 if self.big else 4


def layout(block: bytes) -> Layout:
    """How a block counts.

    Raises:
        ValueError: it is none.
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    version = struct.unpack(f"{order}H", block[2:4])[0] if order and len(block) >= 8 else 0
    if order is None or version not in (42, 43):
        raise ValueError("no TIFF header")
    return Layout(order, version == 43)


def first(block: bytes) -> int:
    """Where the first directory is."""
    form = layout(block)
    return struct.unpack_from(form.number, block, 8 if form.big else 4)[0]


def directory(block: bytes, at: int) -> tuple[dict[int, Entry], int]:
    """The entries of the directory at a place, by tag, and where the link to the next one stands.

    Raises:
        ValueError: it reaches beyond the block.
    """
    form = layout(block)
    try:
        count = struct.unpack_from(form.order + ("Q" if form.big else "H"), block, at)[0]
        if count > MOST_ENTRIES:
            raise ValueError("too many entries")
        size, start = (20, at + 8) if form.big else (12, at + 2)
        entries: dict[int, Entry] = {}
        for place in range(start, start + size * count, size):
            tag, kind, many = struct.unpack_from(form.order + ("HHQ" if form.big else "HHI"), block, place)
            value = place + size - form.inline
            if SIZES.get(kind, 1) * many > form.inline:
                value = struct.unpack_from(form.number, block, value)[0]
            if value + SIZES.get(kind, 1) * many <= len(block):
                entries.setdefault(tag, Entry(tag, kind, many, place, value))
        return entries, start + size * count
    except struct.error:
        raise ValueError("cut short") from None


def values(block: bytes, entry: Entry) -> tuple[int, ...]:
    """The whole numbers of an entry, of any type that holds such."""
    letter = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q"}
    order = layout(block).order
    if entry.kind in letter:
        return tuple(int(v) for v in struct.unpack_from(f"{order}{entry.count}{letter[entry.kind]}", block, entry.at))
    if entry.kind in (5, 10):
        pairs = struct.unpack_from(f"{order}{2 * entry.count}{'I' if entry.kind == 5 else 'i'}", block, entry.at)
        return tuple(a // b if b else 0 for a, b in zip(pairs[::2], pairs[1::2], strict=True))
    text = bytes(block[entry.at : entry.at + entry.length]).strip(b"\0 ")
    return (int(text),) if text.isdigit() and len(text) < 10 else ()


def orientation(block: bytes | None) -> int:
    """One of the eight orientations, whatever type of number says it; 1 where there is none or nonsense."""
    try:
        entry = directory(block or b"", first(block or b""))[0].get(ORIENTATION)
        said = values(block or b"", entry) if entry else ()
    except (ValueError, struct.error, OverflowError):
        return 1
    return said[0] if said and said[0] in range(1, 9) else 1


def upright(block: bytes) -> bytes:
    """A block that says orientation 1, as one short number, whatever its entry was.

    Raises:
        ValueError: it has no directory.
    """
    patched, form = bytearray(block), layout(block)
    at = first(block)
    size, start = (20, at + 8) if form.big else (12, at + 2)
    for place in range(start, directory(block, at)[1], size):
        if struct.unpack_from(form.order + "H", block, place)[0] == ORIENTATION:
            one = struct.pack(form.order + ("HHQH" if form.big else "HHIH"), ORIENTATION, 3, 1, 1)
            patched[place : place + size] = one.ljust(size, b"\0")
    return bytes(patched)


def without_thumbnail(block: bytes) -> bytes:
    """A block without the second directory, whose picture shows the photo as it was: unlinked and blacked out."""
    patched = bytearray(block)
    try:
        _, link = directory(block, first(block))
        form = layout(block)
        at = struct.unpack_from(form.number, block, link)[0]
        if at:
            entries, _ = directory(block, at)
            if 513 in entries and 514 in entries:
                start, length = values(block, entries[513])[0], values(block, entries[514])[0]
                patched[start : start + length] = bytes(len(block[start : start + length]))
            struct.pack_into(form.number, patched, link, 0)
    except (ValueError, struct.error, IndexError):
        pass  # a link to nowhere shows nothing
    return bytes(patched)


def of_tiff(data: bytes) -> bytes | None:
    """What a TIFF file says about its picture, as a block of its own; none where it says nothing.

    XMP, IPTC and Photoshop's resources are none of it.

    Raises:
        ValueError: no directory.
    """
    entries, _ = directory(data, first(data))
    if not set(entries) - STORAGE - {ORIENTATION, *BESIDE}:
        return None
    order = layout(data).order
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return header + _moved(data, first(data), 8, order, BELOW)


def _moved(data: bytes, at: int, to: int, order: str, below: tuple[int, ...]) -> bytes:
    """A directory, with those `below` it, as it is when it stands at `to` of another block."""
    entries = {tag: entry for tag, entry in directory(data, at)[0].items() if tag not in STORAGE and tag not in BESIDE}
    entries = {tag: entry for tag, entry in entries.items() if tag in below or tag not in (*BELOW, INTEROPERABILITY)}
    table, rest = struct.pack(order + "H", len(entries)), b""
    end = to + 2 + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        kind, count, place = entry.kind, entry.count, end + len(rest)
        content = bytes(data[entry.at : entry.at + entry.length])
        if tag in below:
            content = _moved(data, values(data, entry)[0], place, order, (INTEROPERABILITY,) if tag == EXIF else ())
            kind, count = 4, 1
        if tag in below or len(content) > 4:
            rest += content + b"\0" * (len(content) % 2)
            content = struct.pack(order + "I", place)
        table += struct.pack(order + "HHI", tag, kind, count) + content.ljust(4, b"\0")
    return table + bytes(4) + rest
