"""What Photoshop says beside a picture: numbered resources, IPTC among them, and thumbnails of what the photo was."""

from __future__ import annotations

import struct
from collections.abc import Iterator

NAME = b"Photoshop 3.0\0"
IPTC, THUMBNAILS = 0x0404, (0x0409, 0x040C)


def resources(block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The resources of a block: the number of each, what it holds, and all of it."""
    at = 0
    while at + 12 <= len(block) and block[at : at + 4] == b"8BIM":
        size = at + 6 + (block[at + 6] + 2) // 2 * 2  # behind a name
        start, length = size + 4, int.from_bytes(block[size : size + 4], "big")
        end = start + (length + 1) // 2 * 2
        yield int.from_bytes(block[at + 4 : at + 6], "big"), block[start : start + length], block[at:end]
        at = end


def without_thumbnails(block: bytes) -> bytes:
    """A block without the resources that are thumbnails; as it is where it is no list."""
    found = list(resources(block))
    rest = block[sum(len(whole) for _, _, whole in found) :]
    return b"".join(whole for number, _, whole in found if number not in THUMBNAILS) + rest


def iptc_of(block: bytes) -> bytes | None:
    """The IPTC of a block, or none."""
    return next((content for number, content, _ in resources(block) if number == IPTC), None) or None


def with_iptc(iptc: bytes) -> bytes:
    """A block of nothing but IPTC."""
    return b"8BIM" + struct.pack(">HHI", IPTC, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
