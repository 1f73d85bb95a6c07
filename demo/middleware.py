"""The door for requests in JSON: what is too large, no JSON, no number or no upload goes no further.

Gradio reads a body of any size into memory, downloads what a file's path names when it begins with http, and logs a
traceback where it refuses one. Photos are uploaded here, so such a request is answered before Gradio sees it.
"""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 4 * 1024**2  # as many points as are drawn take one; photos come by the way of uploads
MAX_VALUES = 500_000  # in JSON: eight subjects of as many points; as objects they take 32 MB, and more would take 350
MAX_DEPTH = 60  # of lists in lists
UPLOAD = f"{API_PREFIX}/upload"  # photos and masks, which are no JSON
MAX_UPLOAD = (
    101 * 1024**2
)  # a file, which Gradio counts by `max_file_size`, and what stands around it, which it does not


class RefusedError(ValueError):
    """A request that is not answered; the message says why."""


class RequestLimits:
    """An ASGI middleware that reads the body of a request, whatever its method and path, judges it and hands it on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "POST" and scope["path"].removeprefix(scope.get("root_path", "")) == UPLOAD:
            await self.app(scope, counted(receive), send)
            return
        try:
            body = await read_body(receive)
            check(body)
        except RefusedError as error:
            await JSONResponse({"detail": str(error)}, status_code=422)(scope, receive, send)
            return

        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()  # that the visitor has gone
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


def counted(receive: Receive) -> Receive:
    """`receive`, until an upload is too large; Gradio then answers 413 and removes what it has of it."""
    total = 0

    async def part() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_UPLOAD:
            raise MultiPartException(f"the upload is over its maximum allowed size of {MAX_UPLOAD >> 20} MB")
        return message

    return part


async def read_body(receive: Receive) -> bytes:
    """The whole body; raises RefusedError as soon as it is too large."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise RefusedError(f"the request is larger than {MAX_BODY >> 20} MB; send fewer points")
    return bytes(body)


def check(body: bytes) -> None:
    """Raise RefusedError if a body is not JSON of finite numbers that names no files but uploads."""
    if not body:
        return
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:  # before there are objects of it
        raise RefusedError(f"the request holds more than {MAX_VALUES:,} values; send fewer points")
    try:
        said = json.loads(body, parse_constant=not_finite)
        search(said)
    except RecursionError:
        raise RefusedError("the request is nested too deeply") from None
    except RefusedError:
        raise
    except ValueError:
        raise RefusedError("the request is not JSON") from None
    if isinstance(said, dict) and not isinstance(said.get("event_data"), dict | None):
        raise RefusedError('"event_data" is an object')


def not_finite(name: str) -> NoReturn:
    """JSON knows no such number."""
    raise RefusedError(f"the request holds {name}, which is no number")


def search(value: Any, depth: int = 0) -> None:
    """Raise RefusedError at a file that was not uploaded, or lists in too many lists."""
    if depth > MAX_DEPTH:
        raise RefusedError("the request is nested too deeply")
    if isinstance(value, dict):
        if isinstance(path := value.get("path"), str) and path and not uploaded(path):
            raise RefusedError("a file is sent by uploading it first; this one was not uploaded here, or is gone")
        for each in value.values():
            search(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            search(each, depth + 1)


def uploaded(path: str) -> bool:
    """Whether a path, as it really leads, is of a file among the uploads."""
    try:
        real, folder = os.path.realpath(path), os.path.realpath(get_upload_folder())
        return os.path.commonpath([real, folder]) == folder and os.path.isfile(real)
    except (ValueError, OSError):  # a zero byte, or a name as long as a book
        return False
