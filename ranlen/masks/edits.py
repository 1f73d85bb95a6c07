"""What a hand did to a mask, as a list: clicks, boxes and strokes in coordinates that fit any size of the photo.

The page sends this list, a recipe holds it and the command line reads it; all draw it here. An edit is one of

    {"tool": "subject", "at": [x, y], "add": true}
    {"tool": "bounding_box", "from": [x, y], "to": [x, y]}
    {"tool": "part", "larger": true}
    {"tool": "circle", "at": [x, y], "radius": r, "add": true}
    {"tool": "rectangle", "from": [x, y], "to": [x, y], "add": true}
    {"tool": "brush", "points": [[x, y], ...], "radius": r, "add": true}
    {"tool": "gradient", "from": [x, y], "to": [x, y], "add": true}
    {"tool": "mask", "size": [height, width], "bits": "...", "add": true, "found": false}
    {"tool": "invert"}
    {"tool": "grow", "by": r}
    {"tool": "fill"}

with x in widths and y in heights of the photo, from 0 to 1, and r in short sides. `"add": false` erases; of what is
drawn, `"add": "intersect"` leaves only what was marked before, too. The first three together are one question to a
segmenter: which thing is under these clicks and not under those, within the last bounding box, and a larger or smaller
part of it than that. Its answer lies beneath what the other tools draw. `circle`, `rectangle` and `brush` draw what
they say, `gradient` all that lies behind its start, less and less from there to its end, `mask` what a file held (see
`pack`) and a segmenter had found, or not. `grow` below 0 shrinks, `fill` closes holes. Names of earlier versions are
read, too (`facts.OLD_TOOLS`).
"""

from __future__ import annotations

import json
import re
import reprlib
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta

from ranlen.facts import CIRCLE_RADIUS, OLD_TOOLS
from ranlen.geometry import Point, Size
from ranlen.io.files import FileError, read_bytes, shown
from ranlen.masks.boolean import carried_on, distance, resized, without_holes
from ranlen.masks.shapes import disc, gradient, rectangle, stroke

MAX_EDITS = 1000
MAX_POINTS = 20_000
MAX_BYTES = 16 * 1024**2  # of a list as JSON; as many points take one
MAX_SIDE = 4096  # of a mask in the list
MAX_MASKS = 16  # in a list: each may be a few bytes that unpack to 17 million pixels

Coordinate = Annotated[float, Meta(ge=-1e300, le=1e300)]  # finite; a stroke may begin or end outside the photo
Place = tuple[Coordinate, Coordinate]  # x, y, each from 0 to 1
Radius = Annotated[float, Meta(gt=0, le=2)]
Length = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class EditError(ValueError):
    """An edit list that cannot be drawn; the message names the edit and what is wrong with it."""


class Edit(msgspec.Struct, frozen=True, tag_field="tool"):
    """One edit; a class for each tool, whose attributes are those of its JSON above."""

    def draw(self, core: np.ndarray) -> np.ndarray:
        """The mask so far, see `rasterise`, as this edit leaves it."""
        return core


class Prompt(Edit, frozen=True):
    """An edit that asks a segmenter, and draws nothing itself."""


class Click(Prompt, frozen=True, tag="subject"):
    """A place on the subject, or with `add` false one that is not."""

    at: Place
    add: bool = True


class BoundingBox(Prompt, frozen=True, tag="bounding_box"):
    """A box that all of the subject lies in, by two opposite corners."""

    start: Place = msgspec.field(name="from")
    end: Place = msgspec.field(name="to")


class Part(Prompt, frozen=True, tag="part"):
    """A larger part of what was found, or a smaller one."""

    larger: bool


class Mark(Edit, frozen=True, kw_only=True):
    """An edit that marks a shape; with `add` false it erases it, with "intersect" all else."""

    add: bool | Literal["intersect"] = True

    def draw(self, core: np.ndarray) -> np.ndarray:
        shape = self.shape(core.shape)
        if self.add == "intersect":
            return np.minimum(core, shape)
        return np.maximum(core, shape) if self.add else np.minimum(core, rest(shape))

    def shape(self, size: Size) -> np.ndarray:
        """What is marked, like a mask: nothing, unless a tool says so."""
        return np.zeros(size, bool)


class Circle(Mark, frozen=True, tag="circle"):
    """A disc."""

    at: Place
    radius: Radius = CIRCLE_RADIUS

    def shape(self, size: Size) -> np.ndarray:
        return disc(size, pixel(self.at, size), self.radius * min(size))


class Rectangle(Mark, frozen=True, tag="rectangle"):
    """A rectangle by two opposite corners."""

    start: Place = msgspec.field(name="from")
    end: Place = msgspec.field(name="to")

    def shape(self, size: Size) -> np.ndarray:
        return rectangle(size, (*pixel(self.start, size), *pixel(self.end, size)))


class Brush(Mark, frozen=True, tag="brush"):
    """A stroke with round ends."""

    points: Annotated[tuple[Place, ...], Meta(min_length=1, max_length=MAX_POINTS)]
    radius: Radius

    def shape(self, size: Size) -> np.ndarray:
        return stroke(size, [pixel(each, size) for each in self.points], self.radius * min(size))


class Gradient(Mark, frozen=True, tag="gradient"):
    """All on one side of a line through its start; it fades out straight to a line through its end."""

    start: Place = msgspec.field(name="from")
    end: Place = msgspec.field(name="to")

    def shape(self, size: Size) -> np.ndarray:
        return gradient(size, pixel(self.start, size), pixel(self.end, size))


class Mask(Mark, frozen=True, tag="mask"):
    """What a file held, one bit a pixel, row by row, deflated (in JSON: base64); `found` where a segmenter found it."""

    size: tuple[Length, Length]
    bits: bytes = b""
    found: bool = False

    def __post_init__(self) -> None:
        height, width = self.size
        expected = (height * width + 7) // 8
        try:
            held = len(zlib.decompressobj().decompress(self.bits, expected + 1))
        except zlib.error as error:
            raise EditError(f'"bits" are not a packed mask: {error}') from None
        if held != expected:
            raise EditError(f'"bits" do not hold a mask of {height} x {width} pixels')

    def shape(self, size: Size) -> np.ndarray:
        bits = np.unpackbits(np.frombuffer(zlib.decompress(self.bits), np.uint8))
        return resized(bits[: self.size[0] * self.size[1]].reshape(self.size).astype(bool), size)


class Invert(Edit, frozen=True, tag="invert"):
    """Everything that was not marked."""

    def draw(self, core: np.ndarray) -> np.ndarray:
        return rest(core)


class Grow(Edit, frozen=True, tag="grow"):
    """What lies within `by` short sides of the mask; below 0, what lies deeper in it than that."""

    by: Annotated[float, Meta(ge=-1, le=1)]

    def __post_init__(self) -> None:
        if self.by == 0:
            raise EditError(f"{EXPECTED['by']}; got 0")

    def draw(self, core: np.ndarray) -> np.ndarray:
        inside = core > 0
        if not inside.any() or inside.all():
            return core
        by = self.by * min(core.shape)
        grown = distance(inside) <= by if by > 0 else distance(~inside) > -by
        return grown if core.dtype == bool else grown * carried_on(core)


class Fill(Edit, frozen=True, tag="fill"):
    """The mask without holes."""

    def draw(self, core: np.ndarray) -> np.ndarray:
        filled = without_holes(core > 0)
        return filled if core.dtype == bool else np.where(core > 0, core, np.float32(filled))


AnyEdit = Click | BoundingBox | Part | Circle | Rectangle | Brush | Gradient | Mask | Invert | Grow | Fill
TOOLS = {each.__struct_config__.tag: each for each in get_args(AnyEdit)}
PROMPTS = tuple(name for name, each in TOOLS.items() if issubclass(each, Prompt))
A_POINT = "a point is two numbers from 0 to 1"
EXPECTED = {  # of an attribute in JSON, for who got it wrong
    "tool": f"the tool is one of {', '.join(TOOLS)}",
    "at": A_POINT,
    "from": A_POINT,
    "to": A_POINT,
    "points": f'"points" is a list of 1 to {MAX_POINTS} points',
    "radius": '"radius" is above 0 and at most 2 short sides',
    "add": '"add" is true or false, or "intersect" where something is drawn',
    "larger": '"larger" is true or false',
    "found": '"found" is true or false',
    "by": '"by" is from -1 to 1 short sides, and not 0',
    "size": f'"size" is [height, width], at most {MAX_SIDE} each',
    "bits": '"bits" are not a packed mask',
}
WRONG = re.compile(r"`\$\.(\w+)(?:\[(\d+)\])?|required field `(\w+)`")  # where, in msgspec's words


def parse_edits(data: Any) -> list[Edit]:
    """Read an edit list as JSON gives it.

    Points outside the photo are moved to its edge when they are drawn: a stroke may begin or end out there.

    Raises:
        EditError: not such a list, too long, or a number that is none.
    """
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise EditError(f"edits are a list; got {type(data).__name__}")
    if len(data) > MAX_EDITS:
        raise EditError(f"{len(data)} edits; at most {MAX_EDITS} are drawn")
    if (masks := sum(isinstance(each, Mapping) and each.get("tool") == "mask" for each in data)) > MAX_MASKS:
        raise EditError(f"{masks} masks; at most {MAX_MASKS} are drawn")
    edits: list[Edit] = []
    for number, entry in enumerate(data, 1):
        if isinstance(entry, Mapping) and isinstance(tool := entry.get("tool"), str):
            entry = {**entry, "tool": OLD_TOOLS.get(tool, tool)}
        edits.append(decode(entry, AnyEdit, f"edit {number}", EXPECTED))
    if (count := sum(len(edit.points) for edit in edits if isinstance(edit, Brush))) > MAX_POINTS:
        raise EditError(f"{count} points; at most {MAX_POINTS} are drawn")
    return edits


def decode(entry: Any, kind: Any, name: str, expected: Mapping[str, str]) -> Any:
    """An object of a JSON file as a value of a kind.

    Args:
        entry: the object.
        kind: a class that msgspec can fill, or several told apart by a tag.
        name: what the object is called in errors.
        expected: what each of its attributes is, for errors.

    Raises:
        EditError: it does not fit.
    """
    if not isinstance(entry, Mapping):
        raise EditError(f"{name} is not an object: {brief(entry)}")
    try:
        return msgspec.convert(entry, kind)
    except msgspec.ValidationError as error:
        found = WRONG.search(str(error))
        where = str(found[1] or found[3]) if found else ""
        if found is None or where not in expected:
            raise EditError(f"{name}: {error}") from None
        got, what = entry.get(where), expected[where]
        if where == "points" and found[2]:
            got, what = entry[where][int(found[2])], A_POINT
        raise EditError(f"{name}: {what}; got {brief(got)}") from None


def is_found(edits: Sequence[Edit]) -> bool:
    """Whether a segmenter finds the subject, or found what a mask in the list holds."""
    return any(isinstance(edit, Prompt) or (isinstance(edit, Mask) and edit.found) for edit in edits)


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
    """Draw edits in order, over the subject (H, W) that a segmenter found, if any.

    Returns:
        Booleans (H, W); with a gradient among them floats in [0, 1], how much of the light each place gets.
    """
    core = np.zeros(size, bool) if subject is None else subject.copy()
    for edit in edits:
        core = edit.draw(core)
    return core


def rest(core: np.ndarray) -> np.ndarray:
    """All that a mask leaves."""
    return ~core if core.dtype == bool else 1 - core


def pack(core: np.ndarray, *, found: bool = False) -> dict[str, Any]:
    """Booleans (H, W) as an edit for a JSON file, see `Mask`."""
    height, width = core.shape
    bits = zlib.compress(np.packbits(core).tobytes(), 9)
    return msgspec.to_builtins(Mask(size=(height, width), bits=bits, found=found))


def pixel(place: Place, size: Size) -> Point:
    """A place as a point (x, y) of a photo of `size`, (height, width), in pixels; at its edge if it lies outside."""
    x, y = (min(max(value, 0.0), 1.0) for value in place)
    return x * size[1], y * size[0]


def brief(value: Any) -> str:
    """What was received, cut short; without a look at all of it, which may be large and deep."""
    return f"{reprlib.repr(value):.60}"
