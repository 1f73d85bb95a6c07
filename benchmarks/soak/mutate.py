"""Damage to files and to JSON: a pure function of a random state, so that every finding can be made again."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

from benchmarks.soak.samples import chunk

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 0.5, 1e9, -1e9, 1e308, math.nan, math.inf, -math.inf, 10**400, 2**63, "", "x",
    "brush", "<img src=x onerror=alert(1)>", "../../etc/passwd", "\x00", "a\nb", "é" * 1000, [], [[]], {}, [0.5, 0.5],
    [math.nan, 0], [1e9, -1e9], {"path": "/etc/passwd"}, [[[[[[[[]]]]]]]],
)  # fmt: skip


def damaged(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A file with one to six things wrong with it."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        data = chance.choice(DAMAGES)(data, others, chance)
    return data


def changed(value: Any, chance: random.Random) -> Any:
    """JSON with something in it replaced, dropped or repeated."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.15:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        kind = chance.random()
        if kind < 0.1:
            return value * min(chance.choice((2, 50, 2000)), 50_000 // len(value) + 1)
        if kind < 0.2:
            return value[:place]
        return [*value[:place], changed(value[place], chance), *value[place + 1 :]]
    return chance.choice(VALUES)


def _cut(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    copy = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64)) if copy else 0):
        copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
    return bytes(copy)


def _number(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Write a number that programs stumble over, most often where headers are."""
    width, kind = chance.choice(((1, "B"), (2, "<H"), (2, ">H"), (4, "<I"), (4, ">I"), (8, "<Q"), (8, ">Q")))
    number = struct.pack(kind, chance.choice(NUMBERS) & (256**width - 1))
    end = min(len(data), chance.choice((64, 512, len(data))))
    place = chance.randrange(max(1, end - width + 1))
    return data[:place] + number + data[place + width :]


def _drop(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + data[place + chance.choice((1, 4, 100)) :]


def _repeat(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    block = data[start : start + chance.choice((1, 4, 100, 1000))]
    return data[:start] + block * chance.choice((2, 10, 100)) + data[start:]


def _fill(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    place, count = chance.randrange(len(data) + 1), chance.choice((4, 32, 500))
    return data[:place] + bytes([chance.choice((0, 255))]) * count + data[place + count :]


def _splice(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _png_chunk(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Damage within one chunk of a PNG, its checksum made right again; other files are flipped."""
    place, starts = 8, []
    while data.startswith(b"\x89PNG") and place + 12 <= len(data):
        starts.append(place)
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    if not starts:
        return _flip(data, others, chance)
    start = chance.choice(starts)
    count = int.from_bytes(data[start : start + 4], "big")
    body = chance.choice((_flip, _number, _cut, _fill))(data[start + 8 : start + 8 + count], others, chance)
    return data[:start] + chunk(data[start + 4 : start + 8], body) + data[start + 12 + count :]


DAMAGES = (_cut, _flip, _flip, _number, _number, _number, _drop, _repeat, _fill, _splice, _png_chunk)
