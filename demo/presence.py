"""Who has the page open: a request of its own, `GET .../here/SESSION`, that lasts as long as the tab.

It tells the browser at once when the server is gone and when it is back, and the server when the visitor has left.
Gradio's own would stay broken after the first gap.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import gradio as gr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from demo import assets, sessions

EVERY = 15.0  # seconds between signs of life; the page waits for 40
HERE: Counter[str] = Counter()  # open requests by session: after a gap there may be two


async def here(request: Request) -> Response:
    """Signs of life until the tab is closed or the server ends; 404 to the page of another version."""
    name, stop = request.path_params["session"], request.app.stop_event
    if request.path_params["version"] != assets.VERSION:
        return PlainTextResponse("the page is another one now; load it again", status_code=404)

    async def signs() -> AsyncIterator[str]:
        HERE[name] += 1
        try:
            while not stop.is_set():
                yield "here\n"
                try:
                    await asyncio.wait_for(stop.wait(), EVERY)
                except asyncio.TimeoutError:
                    continue
        finally:
            HERE[name] -= 1
            if not HERE[name]:
                del HERE[name]
                asyncio.get_running_loop().run_in_executor(None, sessions.VISITORS.leave, gr.Request(session_hash=name))

    return StreamingResponse(signs(), media_type="text/plain", headers={"Cache-Control": "no-store"})


ROUTES = [Route(f"/{assets.PAGES}/{{version}}/here/{{session}}", here)]
