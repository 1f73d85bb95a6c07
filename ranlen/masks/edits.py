"""What a hand did to a mask, as a list: clicks, boxes and strokes in coordinates that fit any size of the photo.

The page sends this list, a recipe holds it and the command line reads it; all draw it here. An edit is one of

    {"tool": "subject", "at": [x, y], "add": true}
    {"tool": "bounding_box", "from": [x, y], "to": [x, y]}
    {"tool": "part", "larger": true}
    {"tool": "circle", "at": [x, y], "radius": r, "add": true}
    {"tool": "rectangle", "from": [x, y], "to": [x, y], "add": true}
    {"tool": "brush", "points": [[x, y], ...], "radius": r, "add": true}
    {"tool": "mask", "size": [height, width], "bits": "...", "add": true, "found": false}
    {"tool": "invert"}
    {"tool": "grow", "by": r}
    {"tool": "fill"}

with x in widths and y in heights of the photo, from 0 to 1, and r in short sides. `"add": false` erases. The first
three together are one question to a segmenter: which thing is under these clicks and not under those, within the last
bounding box, and a larger or smaller part of it than that. Its answer lies beneath what the other tools draw. `circle`,
`rectangle` and `brush` draw what they say, `mask` what a file held (see `pack`) and a segmenter had found, or not.
`grow` below 0 shrinks, `fill` closes holes. Names of earlier versions are read, too (`facts.OLD_TOOLS`).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import reprlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ranlen.facts import CLICK_RADIUS, OLD_TOOLS
from ranlen.geometry import Point, Size
from ranlen.io.files import FileError, read_bytes, shown
from ranlen.masks.boolean import distance, resized, without_holes
from ranlen.masks.shapes import disc, rectangle, stroke

Tool = Literal["subject", "bounding_box", "part", "circle", "rectangle", "brush", "mask", "invert", "grow", "fill"]
QUESTION: tuple[Tool, ...] = ("subject", "bounding_box", "part")  # what a segmenter answers
MAX_EDITS = 1000
MAX_POINTS = 20_000
MAX_BYTES = 16 * 1024**2  # of a list as JSON; as many points take one
MAX_SIDE = 4096  # of a mask in the list
MAX_MASKS = 16  # in a list: each may be a few bytes that unpack to 17 million pixels


class EditError(ValueError):
    """An edit list that cannot be drawn; the message names the edit and what is wrong with it."""


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        tool: what was used.
        points: (x, y) from 0 to 1: the click, two corners of a box, or the stroke.
        radius: of a circle or a brush, in short sides; how far to grow.
        add: mark, or erase; of a part, larger or smaller.
        size: (height, width) of a mask.
        bits: its pixels, see `pack`.
        found: whether a segmenter found what the mask holds.
    """

    tool: Tool
    points: tuple[Point, ...] = ()
    radius: float = CLICK_RADIUS
    add: bool = True
    size: Size = (0, 0)
    bits: bytes = b""
    found: bool = False


def parse_edits(data: Any) -> list[Edit]:
    """Read an edit list as JSON gives it.

    Points outside the photo are moved to its edge: a stroke may begin or end out there.

    Raises:
        EditError: not such a list, too long, or a number that is none.
    """
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise EditError(f"edits are a list; got {type(data).__name__}")
    if len(data) > MAX_EDITS:
        raise EditError(f"{len(data)} edits; at most {MAX_EDITS} are drawn")
    if (masks := sum(isinstance(each, Mapping) and each.get("tool") == "mask" for each in data)) > MAX_MASKS:
        raise EditError(f"{masks} masks; at most {MAX_MASKS} are drawn")
    edits = [_parse(number, entry) for number, entry in enumerate(data, 1)]
    if (count := sum(len(edit.points) for edit in edits)) > MAX_POINTS:
        raise EditError(f"{count} points; at most {MAX_POINTS} are drawn")
    return edits


def is_found(edits: Sequence[Edit]) -> bool:
    """Whether a segmenter finds the subject, or found what a mask in the list holds."""
    return any(edit.tool in QUESTION or edit.found for edit in edits)


def read_edits(path: Path) -> list[Edit]:
    """Read an edit list from a JSON file.

    Raises:
        EditError: not a file, not JSON, or no such list.
    """
    return parse_edits(read_json(path))


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        EditError: not a file, or not JSON.
    """
    try:
        return json.loads(read_bytes(path, MAX_BYTES).removeprefix(b"\xef\xbb\xbf"))
    except FileError as error:
        raise EditError(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise EditError(f"{shown(path)} is not JSON: {error}") from None


def rasterise(edits: Sequence[Edit], size: Size, subject: np.ndarray | None = None) -> np.ndarray:
    """Draw edits in order into booleans (H, W), over the subject (H, W) that a segmenter found, if any."""
    core = np.zeros(size, bool) if subject is None else subject.copy()
    for edit in edits:
        if edit.tool in QUESTION:
            continue
        if edit.tool == "invert":
            core = ~core
        elif edit.tool == "grow":
            core = _grown(core, edit.radius * min(size))
        elif edit.tool == "fill":
            core = without_holes(core)
        else:
            shape = _shape(edit, size)
            core = core | shape if edit.add else core & ~shape
    return core


def pack(core: np.ndarray, *, found: bool = False) -> dict[str, Any]:
    """Booleans (H, W) as an edit for a JSON file: one bit a pixel, row by row, deflated, in base64."""
    bits = base64.b64encode(zlib.compress(np.packbits(core).tobytes(), 9)).decode()
    return {"tool": "mask", "size": list(core.shape), "bits": bits, **({"found": True} if found else {})}


def _grown(core: np.ndarray, by: float) -> np.ndarray:
    """What lies within `by` pixels of the core; below 0, what lies deeper in it than that."""
    if not core.any() or core.all():
        return core
    return distance(core) <= by if by > 0 else distance(~core) > -by


def _shape(edit: Edit, size: Size) -> np.ndarray:
    if edit.tool == "mask":
        bits = np.unpackbits(np.frombuffer(zlib.decompress(edit.bits), np.uint8))
        return resized(bits[: edit.size[0] * edit.size[1]].reshape(edit.size).astype(bool), size)
    points = [(x * size[1], y * size[0]) for x, y in edit.points]
    radius = edit.radius * min(size)
    if edit.tool == "circle":
        return disc(size, points[0], radius)
    if edit.tool == "rectangle":
        return rectangle(size, (*points[0], *points[1]))
    return stroke(size, points, radius)


def _parse(number: int, entry: Any) -> Edit:
    if not isinstance(entry, Mapping):
        raise EditError(f"edit {number} is not an object: {brief(entry)}")
    add = entry.get("add", True)
    if not isinstance(add, bool):
        raise EditError(f'edit {number}: "add" is true or false; got {brief(add)}')
    tool = entry.get("tool")
    tool = OLD_TOOLS.get(tool, tool) if isinstance(tool, str) else tool
    if tool == "invert":
        return Edit("invert")
    if tool == "fill":
        return Edit("fill")
    if tool == "grow":
        if not 0 < abs(by := _number(entry.get("by"))) <= 1:
            raise EditError(f'edit {number}: "by" is from -1 to 1 short sides, and not 0; got {brief(entry.get("by"))}')
        return Edit("grow", radius=by)
    if tool == "mask":
        size, bits = _mask(number, entry)
        if not isinstance(found := entry.get("found", False), bool):
            raise EditError(f'edit {number}: "found" is true or false; got {brief(found)}')
        return Edit("mask", add=add, size=size, bits=bits, found=found)
    if tool == "subject":
        return Edit("subject", (_point(number, entry.get("at")),), add=add)
    if tool == "bounding_box":
        return Edit("bounding_box", _corners(number, entry))
    if tool == "part":
        if not isinstance(larger := entry.get("larger"), bool):
            raise EditError(f'edit {number}: "larger" is true or false; got {brief(larger)}')
        return Edit("part", add=larger)
    if tool == "circle":
        return Edit(
            "circle", (_point(number, entry.get("at")),), _radius(number, entry.get("radius", CLICK_RADIUS)), add
        )
    if tool == "rectangle":
        return Edit("rectangle", _corners(number, entry), add=add)
    if tool == "brush":
        points = entry.get("points")
        if not isinstance(points, Sequence) or isinstance(points, str) or not 0 < len(points) <= MAX_POINTS:
            raise EditError(f'edit {number}: "points" is a list of 1 to {MAX_POINTS} points')
        return Edit("brush", tuple(_point(number, p) for p in points), _radius(number, entry.get("radius")), add)
    raise EditError(f"edit {number}: the tool is one of {', '.join(get_args(Tool))}; got {brief(tool)}")


def brief(value: Any) -> str:
    """What was received, cut short; without a look at all of it, which may be large and deep."""
    return f"{reprlib.repr(value):.60}"


def _mask(number: int, entry: Mapping[str, Any]) -> tuple[Size, bytes]:
    """Size and bits of a packed mask, unpacked once to see that they fit."""
    size = entry.get("size")
    if not (isinstance(size, Sequence) and len(size) == 2 and all(type(n) is int and 0 < n <= MAX_SIDE for n in size)):
        raise EditError(f'edit {number}: "size" is [height, width], at most {MAX_SIDE} each; got {brief(size)}')
    expected = (size[0] * size[1] + 7) // 8
    try:
        bits = base64.b64decode(entry.get("bits", ""), validate=True)
        held = len(zlib.decompressobj().decompress(bits, expected + 1))
    except (TypeError, ValueError, binascii.Error, zlib.error) as error:
        raise EditError(f'edit {number}: "bits" are not a packed mask: {error}') from None
    if held != expected:
        raise EditError(f'edit {number}: "bits" do not hold a mask of {size[0]} x {size[1]} pixels')
    return (size[0], size[1]), bits


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    return float(value) if abs(value) < 1e300 else math.inf  # whole numbers have no limit, and cannot all be floats


def _point(number: int, value: Any) -> Point:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        x, y = (_number(v) for v in value)
        if math.isfinite(x) and math.isfinite(y):
            return (min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))
    raise EditError(f"edit {number}: a point is two numbers from 0 to 1; got {brief(value)}")


def _corners(number: int, entry: Mapping[str, Any]) -> tuple[Point, Point]:
    return _point(number, entry.get("from")), _point(number, entry.get("to"))


def _radius(number: int, value: Any) -> float:
    radius = _number(value)
    if not 0 < radius <= 2:
        raise EditError(f'edit {number}: "radius" is above 0 and at most 2 short sides; got {brief(value)}')
    return radius
