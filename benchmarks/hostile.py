"""Requests that no page of ours sends, and what is answered to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.routes import App

from benchmarks.visitor import CLICK, MODEL, RefusalError, Visitor, photo_of, pictures, session
from demo import frames
from ranlen.io.images import Photo, encode

ROOT = Path(__file__).parent.parent


def refusals(url: str) -> dict[str, str]:
    """Hostile requests by name, and what was answered: the sentence of a refusal, or "ACCEPTED"."""
    stranger, visitor = Visitor(url), Visitor(url)
    secret = stranger.upload(photo_of(9, 320), "secret.png")
    sent = visitor.upload(photo_of(1, 320), "photo.png")
    port = url.rstrip("/").rpartition(":")[2]

    def file(path: str) -> dict[str, Any]:
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    points = [[0.1, 0.1]] * 1_000_000
    square = encode(Photo(np.eye(100, dtype=np.uint8)[..., None].repeat(3, 2) * 255), "PNG")
    tries: dict[str, Callable[[], Any]] = {
        "a file of the system": lambda: visitor.light(file("/etc/passwd")),
        "a file of the program": lambda: visitor.light(file(str(ROOT / "app.py"))),
        "a way upwards": lambda: visitor.light(file("../../../../etc/passwd")),
        "a way out of the uploads": lambda: visitor.light(file(f"{Path(secret['path']).parent}/../../../server.log")),
        "an address here": lambda: visitor.light(file(f"http://127.0.0.1:{port}/config")),
        "an address by name": lambda: visitor.light(file("http://localhost/a.png")),
        "an address anywhere": lambda: visitor.light(file("https://example.com/a.png")),
        "weights by their path": lambda: visitor.light(sent, model=str(ROOT / "weights" / f"{MODEL}.safetensors")),
        "weights upwards": lambda: visitor.light(sent, model="../../etc/passwd"),
        "markup as a model": lambda: visitor.light(sent, model="<img src=x onerror=alert(1)>"),
        "a degree of NaN": lambda: visitor.light(sent, degree=float("nan")),
        "a degree of 1e9": lambda: visitor.light(sent, degree=1e9),
        "a degree of text": lambda: visitor.light(sent, degree="much"),
        "no degree": lambda: visitor.light(sent, degree=None),
        "a feather of -1e9": lambda: visitor.light(sent, feather=-1e9),
        "a feather of text": lambda: visitor.light(sent, feather="wide"),
        "a click at infinity": lambda: visitor.light(sent, edits=[{**CLICK, "at": [float("inf"), 0]}]),
        "a radius of 1e9": lambda: visitor.light(sent, edits=[{**CLICK, "radius": 1e9}]),
        "a radius of 10^400": lambda: visitor.light(sent, edits=[{**CLICK, "radius": 10**400}]),
        "a million points": lambda: visitor.light(sent, edits=[{"tool": "brush", "points": points, "radius": 0.1}]),
        "edits of another kind": lambda: visitor.light(sent, edits={"tool": "circle"}),
        "lists in lists": lambda: visitor.light(sent, edits=json_depth(500)),
        "no photo": lambda: visitor.light(None),
        "a photo that is none": lambda: visitor.light(visitor.upload(b"<script>", "x.png")),
        "a mask of another shape": lambda: visitor.light(sent, mask=visitor.upload(square, "m.png")),
        "a file outside by its address": lambda: visitor.fetch({"path": "/etc/passwd"}),
        "the program by its address": lambda: visitor.fetch({"path": str(ROOT / "app.py")}),
    }
    answers = {}
    for name, ask in tries.items():
        try:
            ask()
            answers[name] = "ACCEPTED"
        except RefusalError as refusal:
            answers[name] = f"{refusal.status} {refusal}"
    visitor.close()
    stranger.close()
    return answers


def made_up_state(url: str) -> list[str]:
    """Events that the page never sent, of a visitor who opened nothing; a picture that comes back is one too many."""
    owner, thief = Visitor(url), Visitor(url)
    owner.open(photo_of(3, 320), "a.png")
    owner.edit([CLICK])
    wrong = []
    whole = session([CLICK])
    made_up = [
        {}, None, [], {"recipe": whole}, {"recipe": whole, "wanted": [0, -1, 10**9, "0"]}, {"recipe": 7, "wanted": [0]},
        {"recipe": session([{"ref": "e1"}]), "wanted": [0]}, {"recipe": whole, "index": -7}, {"path": "/etc/passwd"},
        {"path": 10**400}, {"path": owner.session}, {"example": "../../../etc/passwd"}, {"example": []},
        {"recipe": whole, "what": "mask", "format": "../x"}, {"recipe": session(7)}, {"recipe": whole, "index": "<b>"},
    ]  # fmt: skip
    for name in ("open", "edit", "compare", "save", "loadmask"):
        for about in made_up:
            try:
                answer = thief.ask(thief.event(name), [], about)
            except RefusalError:
                continue
            if any(True for _ in pictures(answer)):
                wrong.append(f"{name} {about!r:.60}: a picture, and this visitor opened none")
    for key in (None, "", owner.session, thief.session, [], {}, 7):
        thief.key = key
        try:
            wrong.append(f"exact {key!r}: the box {thief.exact([CLICK])}, and this visitor opened none")
        except RefusalError:
            continue
    owner.close()
    thief.close()
    return wrong


def routes() -> list[tuple[str, str]]:
    """Methods and paths that Gradio and the page serve; what stands in braces is filled with a word."""
    known = App.create_app(gr.Blocks()).openapi()["paths"].items()
    own = [(method, route.path) for route in frames.ROUTES for method in sorted(route.methods or ())]
    return [(method.upper(), re.sub(r"{[^}]*}", "upload", path)) for path, each in known for method in each] + own


def json_depth(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value
