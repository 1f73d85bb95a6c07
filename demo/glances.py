"""What a click would select, before it is made: `POST /gradio_api/glance`, asked when the pointer rests.

It changes nothing and can wait: one is worked out at a time, and none while somebody's click is.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo import editing, encoding, handlers, models, serialization, sessions
from ranlen.io.images import ImageError
from ranlen.masks.edits import EditError
from ranlen.recipe import parse_recipe
from ranlen.segment.prompts import PromptError

AT_ONCE = anyio.CapacityLimiter(1)
QUICK = ("sam",)  # segmenters that answer while a hand rests


async def glance(request: Request) -> Response:
    """The border that would mark a subject, {"size": [height, width], "a": closed lines}.

    No content while the photo is still looked at, or clicks are answered.

    Asked with JSON, {"key": of the photo, "recipe": of one subject, with the click that is not made yet}.
    """
    data = json.loads(await request.body() or "null")  # JSON, or the middleware had refused it
    if any(each.borrowed_tokens for each in (AT_ONCE, handlers.AREAS, handlers.LIGHTS)):
        return Response(status_code=204)
    return await anyio.to_thread.run_sync(look, data, limiter=AT_ONCE)


def look(data: Any) -> Response:
    """Answer one question; a plain function."""
    session = sessions.VISITORS.owner(data.get("key")) if isinstance(data, dict) else None
    if session is None:
        return JSONResponse({"detail": "the photo is gone; open it again"}, status_code=410)
    segmenter = models.segmenter()[0]
    try:
        subjects = parse_recipe(data.get("recipe")).subjects
        if segmenter.name not in QUICK or not encoding.is_over(session, subjects, segmenter):
            return Response(status_code=204)
        core = editing.glance(session, subjects[0], segmenter)
    except PromptError:
        core = np.zeros(session.view.size, bool)  # nothing lies there
    except (EditError, ImageError) as error:
        return JSONResponse({"detail": str(error)}, status_code=422)
    return JSONResponse({"size": core.shape, "a": serialization.border(core)})


ROUTES = [Route("/gradio_api/glance", glance, methods=["POST"])]
