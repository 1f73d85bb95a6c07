"""The photo's own pixels, for who looks closer than the view goes: `POST /gradio_api/tile`.

A tile is asked for by the photo's key, a level and its place: at level 0 it holds pixels of the file, at each further
one a quarter as many. Light is the browser's to add (`page/tiles.js`). The pixels lie in a file without a name, not in
memory: of the photos that were looked at last, for as long as the server runs.
"""

from __future__ import annotations

import json
import tempfile
from typing import IO, Any

import anyio
import cv2
import numpy as np
from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo import serialization, sessions
from ranlen import denoise
from ranlen.geometry import Size
from ranlen.io import images
from ranlen.io.images import ImageError, Photo
from ranlen.models.weights import WeightsError
from ranlen.rendering.noise import REACH

TILE = 512  # pixels of a side; `page/light.js` knows the number, too
MOST_LEVEL = 8
MOST_PHOTOS = 4  # kept, of up to 534 MB on the disk each
AT_ONCE = anyio.CapacityLimiter(2)
MOST_WAITING = 80  # a dozen visitors' screens
PHOTOS = sessions.SingleFlight(MOST_PHOTOS)


class Pixels:
    """The pixels of a photo (H, W, 3) in sRGB, 8 bits, on the disk; the file goes with the last who knows it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.size: Size = (pixels.shape[0], pixels.shape[1])
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=get_upload_folder())  # noqa: SIM115
        self.file.write(np.ascontiguousarray(pixels).data)
        self.file.flush()

    def tile(self, level: int, x: int, y: int) -> np.ndarray:
        """A tile; those at the right and lower edge are smaller.

        Raises:
            IndexError: it lies beside the photo.
        """
        side = TILE << level
        pixels = np.memmap(self.file, np.uint8, "r", shape=(*self.size, 3))
        part = pixels[y * side : (y + 1) * side, x * side : (x + 1) * side]
        if not part.size:
            raise IndexError(f"there is no tile {x}, {y} at level {level}")
        height, width = (-(-length // (1 << level)) for length in part.shape[:2])
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA) if level else np.array(part)

    def clean_tile(self, level: int, x: int, y: int) -> np.ndarray:
        """A tile without noise, uint16; where a level leaves pixels out, noise is what is left of it there.

        Raises:
            IndexError: it lies beside the photo.
        """
        side, around = TILE << level, REACH << level
        pixels = np.memmap(self.file, np.uint8, "r", shape=(*self.size, 3))
        top, left = (max(0, at * side - around) for at in (y, x))
        part = pixels[top : (y + 1) * side + around, left : (x + 1) * side + around]
        height, width = (-(-length // (1 << level)) for length in part.shape[:2])
        if level and part.size:
            part = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        rows, cols = (
            range(begin, min(begin + TILE, length))
            for begin, length in (((y * side - top) >> level, height), ((x * side - left) >> level, width))
        )
        if not rows or not cols:
            raise IndexError(f"there is no tile {x}, {y} at level {level}")
        return denoise.clean(Photo(part), rows, cols).pixels


def pixels_of(session: sessions.Session) -> Pixels:
    """The pixels of a visitor's photo, decoded once while they are looked at."""

    def decode() -> Pixels:
        photo = images.read(session.path)
        return Pixels(images.preview(photo, max(photo.size)))

    return PHOTOS.get(session.key, decode)


async def tile(request: Request) -> Response:
    """A tile as PNG, asked for with JSON, {"key": of the photo, "level": 0 and up, "x", "y": which column and row}.

    With "clean": true it comes without noise, in the scale of `serialization.dark_png`.
    """
    if AT_ONCE.statistics().tasks_waiting >= MOST_WAITING:
        return JSONResponse({"detail": "too many are waiting; try again"}, status_code=503)
    data = json.loads(await request.body() or "null")  # JSON, or the middleware had refused it
    async with AT_ONCE:
        if await request.is_disconnected():  # the photo was moved on meanwhile
            return Response(status_code=204)
        return await anyio.to_thread.run_sync(cut, data)


def cut(data: Any) -> Response:
    """Answer one question; a plain function."""
    session = sessions.VISITORS.owner(data.get("key")) if isinstance(data, dict) else None
    if session is None:
        return JSONResponse({"detail": "the photo is gone; open it again"}, status_code=410)
    level, x, y = place = [data.get(name) for name in ("level", "x", "y")]
    if not all(type(value) is int and value >= 0 for value in place) or level > MOST_LEVEL:
        detail = f'"level" is a number from 0 to {MOST_LEVEL}, "x" and "y" are 0 and up; got {place}'
        return JSONResponse({"detail": detail[:300]}, status_code=422)
    try:
        photo = pixels_of(session)
        if data.get("clean") is True:
            png = serialization.dark_png(photo.clean_tile(level, x, y))
        else:
            png = serialization.png(photo.tile(level, x, y))
    except (IndexError, ImageError, WeightsError) as error:
        return JSONResponse({"detail": str(error)[:300]}, status_code=422)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


ROUTES = [Route("/gradio_api/tile", tile, methods=["POST"])]
