"""The 8 x 8 blocks of a JPEG, changed by libjpeg-turbo's own transformation: it holds two bytes for each number.

A block holds frequencies, rounded to multiples that its tables name. A change of pixels is added to the frequencies of
the blocks that it touches; all others are coded again as they were.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

LUMA = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
WAVES = np.cos(np.pi / 16 * np.outer(np.arange(8), 2 * np.arange(8) + 1)).astype(np.float32) / 2
WAVES[0] /= np.sqrt(2)
BOTH_WAYS = np.kron(WAVES, WAVES).T  # of blocks of 64 in a row: a product of matrices for `SOME`
SOME = 60  # so few that its library starts no threads
ZIGZAG = sorted(range(64), key=lambda at: (sum(divmod(at, 8)), at if sum(divmod(at, 8)) % 2 else -at))
MOST = 1023  # of a frequency
SPACES = ("RGB", "YCbCr", "GRAY", "CMYK", "YCCK")  # in libjpeg-turbo's order; its numbers:
DECOMPRESS, TRANSFORM, SPACE, FATAL = 1, 2, 8, 1
IN_SCANS, WITHOUT_WORDS, WITH_ARITHMETIC, OPTIMIZED = 32, 64, 128, 256
PROGRESSIVE, ARITHMETIC = (0xC2, 0xCA), (0xC9, 0xCA)  # markers of frames
Place = tuple[int, int]  # component and row of blocks
Added = tuple[int, np.ndarray]  # from which block of the row on, and what, (n, 64) int16
Waves = dict[Place, Added]


@dataclass(frozen=True)
class Component:
    """One of a JPEG's: into how many blocks it divides a unit, down and across, and its table, (8, 8)."""

    high: int
    wide: int
    steps: np.ndarray


@dataclass(frozen=True)
class Frame:
    """What a JPEG says of its blocks.

    Attributes:
        marker: how it is coded, 0xC0 for baseline.
        components: in their order.
        space: what they mean, of `SPACES`.
    """

    marker: int
    components: tuple[Component, ...]
    space: str

    @property
    def unit(self) -> tuple[int, int]:
        """Pixels, down and across, that hang together."""
        return 8 * max(each.high for each in self.components), 8 * max(each.wide for each in self.components)


def frame(marker: int, content: bytes, tables: list[bytes], data: bytes) -> Frame:
    """The frame of a file, from the content of the segments that describe it.

    Raises:
        ValueError: a table is missing, or libjpeg-turbo does not know what it is.
    """
    steps: dict[int, np.ndarray] = {}
    for table in tables:
        at = 0
        while at < len(table):
            kind = ">u2" if table[at] >> 4 else "u1"
            values = np.frombuffer(table, kind, 64, at + 1)
            square = np.empty(64, np.float32)
            square[ZIGZAG] = values
            steps[table[at] & 15] = square.reshape(8, 8)
            at += 1 + values.nbytes
    said = zip(content[7::3], content[8::3], strict=False)
    try:
        components = tuple(Component(factors & 15, factors >> 4, steps[slot]) for factors, slot in said)
    except KeyError:
        raise ValueError("a JPEG without one of its tables") from None
    return Frame(marker, components, _space(data))


def _space(data: bytes) -> str:
    handle = LIBRARY.tj3Init(DECOMPRESS)
    try:
        if LIBRARY.tj3DecompressHeader(handle, data, len(data)) and LIBRARY.tj3GetErrorCode(handle) == FATAL:
            raise ValueError(LIBRARY.tj3GetErrorStr(handle).decode(errors="replace"))
        return SPACES[LIBRARY.tj3Get(handle, SPACE)]
    finally:
        LIBRARY.tj3Destroy(handle)


def waves(one: Frame, change: np.ndarray, top: int, left: int) -> Iterator[tuple[Place, Added]]:
    """What a change of pixels adds to the frequencies, as entries of `Waves`.

    Args:
        one: the JPEG.
        change: (h, w, C) float32, grey, RGB or inks; written over.
        top: the row of the picture where it begins, a multiple of the unit, as `left` is.
        left: its column.
    """
    deep, broad = one.unit
    short = [(0, -change.shape[axis] % length) for axis, length in ((0, deep), (1, broad))]
    change = np.pad(change, (*short, (0, 0)), mode="edge")
    if one.space in ("YCbCr", "YCCK"):
        change[..., :3] = cv2.transform(np.ascontiguousarray(change[..., :3]), LUMA)
    if one.space == "CMYK":
        change = -change  # Adobe's inks count downwards
    elif one.space == "YCCK":
        change[..., 3] *= -1
    for number, part in enumerate(one.components):
        height, width = (change.shape[0] * part.high // (deep // 8), change.shape[1] * part.wide // (broad // 8))
        plane = cv2.resize(np.ascontiguousarray(change[..., number]), (width, height), interpolation=cv2.INTER_AREA)
        blocks = plane.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)
        found = np.concatenate([blocks[at : at + SOME] @ BOTH_WAYS for at in range(0, len(blocks), SOME)])
        rows = np.rint(found / part.steps.reshape(64)).astype(np.int16).reshape(height // 8, -1, 64)
        first = top * part.high // deep
        for row, added in enumerate(rows):
            if added.any():
                yield (number, first + row), (left * part.wide // broad, added)


class Region(ctypes.Structure):
    """Where a row of blocks is in its component, in pixels."""

    _fields_ = [(name, ctypes.c_int) for name in "xywh"]


FILTER = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_int16), Region, Region, ctypes.c_int, ctypes.c_int, ctypes.c_void_p
)


class Transform(ctypes.Structure):
    """`tjtransform`."""

    _fields_ = [
        ("region", Region), ("turn", ctypes.c_int), ("options", ctypes.c_int), ("data", ctypes.c_void_p),
        ("filter", FILTER),
    ]  # fmt: skip


def rewritten(data: bytes, one: Frame, added: Waves) -> bytes:
    """A JPEG with changed frequencies and none of its words.

    Raises:
        ValueError: its blocks cannot be read.
    """
    missed = dict(added)

    def change(blocks: Any, row: Region, _plane: Region, component: int, _number: int, _transform: int) -> int:
        if found := added.get((component, row.y // 8)):
            left, more = found
            there = np.ctypeslib.as_array(blocks, (row.w // 8, 64))[left : left + len(more)]
            more = more[: len(there)]
            np.copyto(there, np.clip(there + more, -MOST, MOST), where=more != 0)
            del missed[component, row.y // 8]
        return 0

    options = WITHOUT_WORDS | OPTIMIZED  # the file's own codes may lack what a changed block needs
    options |= IN_SCANS if one.marker in PROGRESSIVE else 0
    options |= WITH_ARITHMETIC if one.marker in ARITHMETIC else 0
    transform = Transform(options=options, filter=FILTER(change))
    buffer, size = ctypes.c_void_p(), ctypes.c_size_t()
    handle = LIBRARY.tj3Init(TRANSFORM)
    try:
        place = ctypes.byref(buffer), ctypes.byref(size)
        LIBRARY.tj3Transform(handle, data, len(data), 1, *place, ctypes.byref(transform))
        picture = ctypes.string_at(buffer, size.value) if buffer else b""
        if missed or not picture.endswith(b"\xff\xd9"):  # told so, for after a warning no error is an error any more
            complaint = LIBRARY.tj3GetErrorStr(handle).decode(errors="replace")
            raise ValueError(f"its blocks cannot be changed: {complaint}")
        return picture
    finally:
        LIBRARY.tj3Free(buffer)
        LIBRARY.tj3Destroy(handle)


def _library() -> Any:
    """libjpeg-turbo, of version 3 at least: the one that the package turbojpeg brings, else the system's, or none."""
    package = importlib.util.find_spec("turbojpeg")
    folders = [Path(package.origin).parent] if package and package.origin else []
    kinds = ("turbojpeg.*libs/libturbojpeg*", "turbojpeg-*.dll")
    brought = [str(path) for folder in folders for kind in kinds for path in folder.glob(kind)]
    name = brought[0] if brought else ctypes.util.find_library("turbojpeg")
    try:
        library = ctypes.CDLL(name) if name else None
        return _declared(library) if library else None
    except (OSError, AttributeError):  # of another machine, or older
        return None


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    takes: dict[str, list[Any]] = {
        "tj3Init": [number],
        "tj3Destroy": [pointer],
        "tj3Free": [pointer],
        "tj3Get": [pointer, number],
        "tj3GetErrorCode": [pointer],
        "tj3GetErrorStr": [pointer],
        "tj3DecompressHeader": [pointer, ctypes.c_char_p, size],
        "tj3Transform": [pointer, ctypes.c_char_p, size, number, pointer, pointer, pointer],
    }
    for name, kinds in takes.items():
        getattr(library, name).argtypes = kinds
    library.tj3Init.restype, library.tj3GetErrorStr.restype = pointer, ctypes.c_char_p
    return library


LIBRARY = _library()
CAN_CHANGE = LIBRARY is not None
