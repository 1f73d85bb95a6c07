"""What the page asks of the server, one function per question; answers go to its one component as JSON.

Everything a visitor did comes with each question (`ranlen.recipe`), so that nothing here can be out of step; what is
kept of a photo, `editing.Session`, only saves doing things twice.
"""

from __future__ import annotations

import functools
import itertools
import json
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo import editing, looking, wire
from ranlen import retouch
from ranlen.facts import METHODS
from ranlen.io import images
from ranlen.masks import edits
from ranlen.masks.edits import EditError
from ranlen.models import weights
from ranlen.models.enhancer import Enhancer
from ranlen.recipe import Recipe
from ranlen.segment import Segmenter
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.choice import choose
from ranlen.segment.prompts import PromptError
from ranlen.segment.question import asked

EXAMPLES = Path(__file__).parent / "examples"
NETWORKS = threading.Lock()  # one at a time runs networks; they take a second
MOST_VISITORS = 60  # whose photos are remembered; a photo and what is known of it take up to 100 MB


class Visitors:
    """Sessions by visitor, the latest ones."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.sessions: OrderedDict[str, editing.Session] = OrderedDict()

    def find(self, request: gr.Request) -> editing.Session | None:
        """The session of who asks."""
        return self.sessions.get(str(request.session_hash))

    def owner(self, key: Any) -> editing.Session | None:
        """The session of who knows the key of its photo."""
        with self.lock:
            return next((session for session in self.sessions.values() if session.key == key), None)

    def enter(self, request: gr.Request, session: editing.Session) -> None:
        """Remember a session."""
        with self.lock:
            looking.drop(self.sessions.get(str(request.session_hash)))
            self.sessions[str(request.session_hash)] = session
            self.sessions.move_to_end(str(request.session_hash))
            while len(self.sessions) > self.most:
                self.sessions.popitem(last=False)

    def leave(self, request: gr.Request) -> None:
        """Let go of all that can be worked out again: the tab was closed, or a phone went to sleep."""
        key = str(request.session_hash)
        with self.lock:
            if key in self.sessions:
                old = self.sessions[key]
                looking.drop(old)
                self.sessions[key] = editing.Session(old.path, old.size, old.view, edits=old.edits, key=old.key)


VISITORS = Visitors(MOST_VISITORS)


@functools.cache
def load(name: str) -> Enhancer:
    """One enhancer for all visitors: calls keep nothing on it."""
    return weights.load_published(name)


@functools.cache
def segmenter() -> tuple[Segmenter, str]:
    """One segmenter for all visitors too, and why it is this one; a broken checkpoint does not stop the page."""
    try:
        return choose()
    except SegmenterError as error:
        return choose("grabcut")[0], f"GrabCut, because {error}"


def example_files() -> list[Path]:
    """The example photos."""
    return sorted(EXAMPLES.glob("*.jpg"))


def on_open(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
    """Show a photo: an upload, or an example with what to do to it."""
    data = event._data or {}
    done = None
    try:
        if "example" in data:
            path = {path.stem: path for path in example_files()}[str(data["example"])]
            done = json.loads(path.with_suffix(".json").read_text())
        else:
            path = uploaded(data.get("path"))
        session = editing.open_photo(path)
    except (KeyError, images.ImageError) as error:
        return answer("photo", data, error=sentence(error))
    VISITORS.enter(request, session)
    looking.begin(session, segmenter()[0])  # most people's first click asks it
    height, width = session.size
    return answer(
        "photo",
        data,
        key=session.key,
        name=session.path.name,
        size=[width, height],
        png=wire.uri(wire.png(session.view.pixels)),
        recipe=done,
    )


def on_edit(event: gr.EventData, request: gr.Request) -> Iterator[dict[str, Any]]:
    """Subjects were marked: first how long looking at the photo still takes, then their areas, then their light too."""
    data, session = event._data or {}, VISITORS.find(request)
    if session is None:
        yield answer("answer", data, lost=True)
        return
    try:
        done = editing.read_recipe(session, data.get("recipe"))
    except EditError as error:
        yield answer("answer", data, error=sentence(error), lost="lost" in str(error))
        return
    asked_for = data.get("wanted")
    wanted = [
        i
        for i in (asked_for if isinstance(asked_for, list) else [])
        if isinstance(i, int) and 0 <= i < len(done.subjects)
    ]
    if any(asked(done.subjects[i].edits) for i in wanted):
        look = looking.begin(session, segmenter()[0])
        for seconds in itertools.chain((0.2,), itertools.repeat(1.0)):
            try:
                look.result.result(seconds)
                break
            except NotYet:
                yield answer("answer", data, looking=look.left())
            except Exception as error:  # no memory, or a GPU that nobody lends
                yield answer("answer", data, error=f"The photo could not be looked at: {error}. Brush and circle work.")
                return
    yield from marks_and_lights(session, data, done, wanted)


def marks_and_lights(
    session: editing.Session, data: dict[str, Any], done: Recipe, wanted: list[int]
) -> Iterator[dict[str, Any]]:
    """The areas of some subjects, then those and their lights."""
    marks: dict[int, Any] = {}
    lights: dict[int, Any] = {}
    try:
        for i in wanted:
            try:
                marks[i] = wire.outlines(editing.areas(session, done.subjects[i], segmenter()[0]))
            except retouch.MaskError as error:
                marks[i] = {"error": sentence(error) if done.subjects[i].edits else ""}
        yield answer("answer", data, marks=marks)
        for i in wanted:
            if "error" not in marks[i]:
                lights[i] = wire.packed_light(light_of(session, done, i, "ranlen"), session.view)
        yield answer("answer", data, marks=marks, lights=lights, done=True)
    except (PromptError, weights.WeightsError) as error:  # the mask so far stays
        yield answer("answer", data, error=sentence(error))


def light_of(session: editing.Session, done: Recipe, i: int, method: str) -> retouch.Lighting:
    """The light of one subject under one method."""
    with NETWORKS:
        return editing.lighting(session, done.subjects[i], f"{done.backbone}-{method}", segmenter()[0], load)


def on_compare(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
    """One subject under every method: words, and lights if they are wanted."""
    data, session = event._data or {}, VISITORS.find(request)
    if session is None:
        return answer("methods", data, lost=True)
    try:
        done = editing.read_recipe(session, data.get("recipe"))
        i = chosen(data, done)
        mask = editing.areas(session, done.subjects[i], segmenter()[0])
        methods = {}
        for method in METHODS:
            light = light_of(session, done, i, method)
            lit = retouch.render(session.view, light, done.subjects[i].degree)
            methods[method] = {
                "words": wire.in_words(session.view, lit, mask),
                "light": wire.packed_light(light, session.view) if data.get("lights") else None,
            }
    except (EditError, PromptError, retouch.MaskError, weights.WeightsError) as error:
        return answer("methods", data, error=sentence(error))
    return answer("methods", data, methods=methods)


def on_save(event: gr.EventData, request: gr.Request) -> Iterator[dict[str, Any]]:
    """Write the full-size result, or the mask: what is being done, then where the browser finds it."""
    data, session = event._data or {}, VISITORS.find(request)
    lost = ""
    try:
        if session is None:
            raise EditError("the photo is gone; open it again")
        done = editing.read_recipe(session, data.get("recipe"))
        if data.get("what") == "mask":
            i = chosen(data, done)
            path = editing.save_mask(session, done.subjects[i], fresh_folder(), segmenter()[0])
        else:
            kind = str(data.get("format"))
            steps = editing.save(
                session, done, kind if kind in editing.FORMATS else "same", fresh_folder(), segmenter()[0], load
            )
            for number, step in enumerate(steps, 1):
                if isinstance(step, Path):
                    path = step
                else:
                    words, _, lost = step.partition("; ")
                    yield answer("saved", data, step=words, share=number / editing.SAVE_STEPS)
    except (ValueError, OSError) as error:
        yield answer("saved", data, error=f"Not saved: {error}.")
        return
    yield answer("saved", data, path=str(path), name=path.name, bytes=path.stat().st_size, lost=lost)


def on_mask(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
    """Read an uploaded mask into an edit."""
    data, session = event._data or {}, VISITORS.find(request)
    try:
        if session is None:
            raise EditError("the photo is gone; open it again")
        core = images.read_mask(uploaded(data.get("path")), session.size)
        return answer("mask", data, edit=edits.pack(wire.fitted(core, session.view.size)))
    except (EditError, images.ImageError) as error:
        return answer("mask", data, error=sentence(error))


def chosen(data: dict[str, Any], done: Recipe) -> int:
    """The number of the subject that is meant."""
    index = data.get("index")
    return index % len(done.subjects) if isinstance(index, int) else 0


def answer(prop: str, data: dict[str, Any], **said: Any) -> dict[str, Any]:
    """An update of the page's component: `said`, with the number of the question."""
    return gr.update(**{prop: json.dumps({"seq": data.get("seq"), **said})})  # type: ignore[arg-type]


def uploaded(path: Any) -> Path:
    """A path that the browser names, if it is that of an upload: nothing else on this machine is read for it.

    Raises:
        ImageError: it is not.
    """
    found = Path(str(path)).resolve()
    if not found.is_relative_to(Path(get_upload_folder()).resolve()) or not found.is_file():
        raise images.ImageError("the upload is gone; open the photo again")
    return found


def sentence(error: Exception) -> str:
    """A message as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def fresh_folder() -> Path:
    """A new folder among the files that Gradio sweeps."""
    return Path(tempfile.mkdtemp(dir=get_upload_folder()))
