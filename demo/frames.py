"""Pictures asked for by requests of their own.

`POST /gradio_api/exact`: the exact frame, whenever a hand lets go of a slider. `POST /gradio_api/clean`: the view
without noise, once for a photo, for the browser to light.

Gradio's queue would wrap them in base64 and JSON twice over, which takes as long as making them. Who asks is told by
the key that the answer to opening a photo held. `demo.middleware` reads the request first, as it reads all.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo import editing, encoding, models, serialization, sessions
from ranlen.io.images import ImageError
from ranlen.masks.edits import EditError
from ranlen.models.weights import WeightsError
from ranlen.recipe import parse_recipe
from ranlen.segment.prompts import PromptError

AT_ONCE = anyio.CapacityLimiter(4)
MOST_WAITING = 40  # as in the page's queue


async def exact(request: Request) -> Response:
    """The part of a view that its owner's recipe changes, as PNG; its box stands in the header X-Box.

    Asked with JSON, {"key": of the photo, "recipe": see `ranlen.recipe`}. Without a change there is no content.
    """
    if AT_ONCE.statistics().tasks_waiting >= MOST_WAITING:
        return JSONResponse({"detail": "too many are waiting; try again"}, status_code=503)
    body = await request.body()  # JSON, or the middleware had refused it
    return await anyio.to_thread.run_sync(frame, json.loads(body or "null"), limiter=AT_ONCE)


def frame(data: Any) -> Response:
    """Answer one question; a plain function."""
    session = sessions.VISITORS.owner(data.get("key")) if isinstance(data, dict) else None
    if session is None:
        return JSONResponse({"detail": "the photo is gone; open it again"}, status_code=410)
    try:
        recipe = parse_recipe(data.get("recipe"))
        if not encoding.is_over(session, recipe.subjects, models.segmenter()[0]):  # after a nap; the preview stays
            return JSONResponse({"detail": "the photo is being looked at; try again"}, status_code=503)
        lights = editing.lights_of(session, recipe, models.segmenter()[0], models.load)
        lit = editing.render_view(session, lights)
    except (EditError, PromptError, WeightsError, ImageError) as error:
        return JSONResponse({"detail": str(error)}, status_code=422)
    box = serialization.changed(session.view, lit)
    if not box[2]:
        return Response(status_code=204)
    where = {"X-Box": ",".join(map(str, box)), "Cache-Control": "no-store"}
    return Response(serialization.png(serialization.part(lit, box)), media_type="image/png", headers=where)


async def clean(request: Request) -> Response:
    """The view without its noise, in the scale of `serialization.dark_png`; asked with JSON, {"key": of the photo}."""
    if AT_ONCE.statistics().tasks_waiting >= MOST_WAITING:
        return JSONResponse({"detail": "too many are waiting; try again"}, status_code=503)
    body = await request.body()
    return await anyio.to_thread.run_sync(clean_view, json.loads(body or "null"), limiter=AT_ONCE)


def clean_view(data: Any) -> Response:
    """Answer one question; a plain function."""
    session = sessions.VISITORS.owner(data.get("key")) if isinstance(data, dict) else None
    if session is None:
        return JSONResponse({"detail": "the photo is gone; open it again"}, status_code=410)
    try:
        png = serialization.dark_png(session.clean.pixels)
    except (ImageError, WeightsError) as error:
        return JSONResponse({"detail": str(error)}, status_code=422)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


ROUTES = [
    Route("/gradio_api/exact", exact, methods=["POST"]),
    Route("/gradio_api/clean", clean, methods=["POST"]),
]
