"""What the page asks of the server, one function per question; answers go to its one component as JSON.

Everything a visitor did comes with each question (`ranlen.recipe`), so that nothing here can be out of step; what is
kept of a photo, `editing.Session`, only saves doing things twice.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import json
import tempfile
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import anyio
import gradio as gr
from gradio.utils import get_upload_folder

from demo import editing, looking, memory, wire
from ranlen import recipe, retouch
from ranlen.facts import METHODS
from ranlen.io import images
from ranlen.masks import edits
from ranlen.masks.edits import EditError
from ranlen.models import weights
from ranlen.models.enhancer import Enhancer
from ranlen.recipe import Recipe, Subject, parse_recipe
from ranlen.segment import Segmenter
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.choice import choose
from ranlen.segment.prompts import PromptError
from ranlen.segment.question import asked

EXAMPLES = Path(__file__).parent / "examples"
MOST_VISITORS = 60  # whose photos are remembered; a photo and what is known of it take up to 100 MB
# How many do a thing at a time. Who waits for the segmenter's look does none, and takes nobody's place.
AREAS, LIGHTS = anyio.CapacityLimiter(8), anyio.CapacityLimiter(4)
SAVERS = ThreadPoolExecutor(2)
Answer = dict[str, Any]
T = TypeVar("T")


class Visitors:
    """Sessions by visitor: of those who came last, and of those who asked last.

    Who only opens photos, however many, pushes out others who only opened one, and nobody who works on theirs.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.came: OrderedDict[str, editing.Session] = OrderedDict()
        self.asked: OrderedDict[str, editing.Session] = OrderedDict()

    def find(self, request: gr.Request) -> editing.Session | None:
        """The session of who asks."""
        with self.lock:
            return self._asks(str(request.session_hash))

    def owner(self, key: Any) -> editing.Session | None:
        """The session of who asks with the key of its photo."""
        with self.lock:
            both = itertools.chain(self.came.items(), self.asked.items())
            name = next((name for name, session in both if session.key == key), None)
            return None if name is None else self._asks(name)

    def enter(self, request: gr.Request, session: editing.Session) -> None:
        """Remember a session."""
        with self.lock:
            name = str(request.session_hash)
            looking.drop(self.came.pop(name, None) or self.asked.pop(name, None))
            self.came[name] = session
            self._forget()

    def leave(self, request: gr.Request) -> None:
        """Let go of all that can be worked out again: the tab was closed, or a phone went to sleep."""
        name = str(request.session_hash)
        with self.lock:
            session = self.came.pop(name, None) or self.asked.pop(name, None)
            if session is not None:
                looking.drop(session)
                self.came[name] = session.asleep()
                self.came.move_to_end(name, last=False)  # the first to be forgotten
        del session
        memory.give_back()

    def _asks(self, name: str) -> editing.Session | None:
        session = self.came.pop(name, None) or self.asked.pop(name, None)
        if session is not None:
            self.asked[name] = session
            self._forget()
        return session

    def _forget(self) -> None:
        """At most half of those who are remembered are so because they asked; the rest of them count as who came."""
        while len(self.asked) > max(1, self.most // 2):
            name, session = self.asked.popitem(last=False)
            self.came[name] = session
        while len(self.came) + len(self.asked) > self.most:
            looking.drop(self.came.popitem(last=False)[1])


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


async def working(places: anyio.CapacityLimiter, function: Callable[..., T], *arguments: Any) -> T:
    """What a function gives that works in a thread, one of so many at a time."""
    return await anyio.to_thread.run_sync(function, *arguments, limiter=places)


async def looked(session: editing.Session, subjects: Iterable[Subject], what: str = "") -> None:
    """Wait until the segmenter has looked at the photo, if it is asked about one of the subjects.

    Raises:
        EditError: it could not, or nobody wants to know any more.
    """
    if any(asked(each.edits) for each in subjects):
        look = looking.begin(session, segmenter()[0])
        async for _ in look.wait(what):
            pass
        if not look.result.done():
            raise EditError("something newer was asked meanwhile")
        if look.result.cancelled():
            raise EditError("the photo is gone; open it again")
        if wrong := look.result.exception():
            raise EditError(f"the photo could not be looked at: {wrong}")


async def on_edit(event: gr.EventData, request: gr.Request) -> AsyncIterator[Answer]:
    """Subjects were marked: first how long looking at the photo still takes, then their areas, then their light too."""
    data, session = asked_by(event, request)
    if session is None:
        yield answer("answer", data, lost=True)
        return
    try:
        done = parse_recipe(data.get("recipe"))
    except EditError as error:
        yield answer("answer", data, error=sentence(error))
        return
    asked_for = data.get("wanted")
    wanted = [
        i
        for i in (asked_for if isinstance(asked_for, list) else [])
        if isinstance(i, int) and 0 <= i < len(done.subjects)
    ]
    if any(asked(done.subjects[i].edits) for i in wanted):
        look = looking.begin(session, segmenter()[0])
        async for left in look.wait("edit"):
            yield answer("answer", data, looking=left)
        if not look.result.done():
            return  # the visitor has asked something newer
        if look.result.cancelled():
            yield answer("answer", data, lost=True)
            return
        if wrong := look.result.exception():  # no memory, or a GPU that nobody lends
            yield answer("answer", data, error=f"The photo could not be looked at: {wrong}. Brush and circle work.")
            return
    try:
        marks = await working(AREAS, marks_of, session, done, wanted)
        yield answer("answer", data, marks=marks)
        lit = [i for i in wanted if "error" not in marks[i]]
        lights = await working(LIGHTS, lambda: {i: packed_light(session, done, i, "ranlen") for i in lit})
        yield answer("answer", data, marks=marks, lights=lights, done=True)
    except (PromptError, weights.WeightsError, images.ImageError) as error:  # the mask so far stays
        yield answer("answer", data, error=sentence(error))


def marks_of(session: editing.Session, done: Recipe, wanted: list[int]) -> dict[int, Answer]:
    """The outlines of some subjects, by number, or what is wrong with one."""
    marks = {}
    for i in wanted:
        try:
            marks[i] = wire.outlines(editing.areas(session, done.subjects[i], segmenter()[0]))
        except retouch.MaskError as error:
            marks[i] = {"error": sentence(error) if done.subjects[i].edits else ""}
    return marks


def light_of(session: editing.Session, done: Recipe, i: int, method: str) -> retouch.Lighting:
    """The light of one subject under one method."""
    return editing.lighting(session, done.subjects[i], f"{done.backbone}-{method}", segmenter()[0], load)


def packed_light(session: editing.Session, done: Recipe, i: int, method: str) -> Answer:
    """It, for the browser."""
    return wire.packed_light(light_of(session, done, i, method), session.view)


async def on_compare(event: gr.EventData, request: gr.Request) -> Answer:
    """One subject under every method: words, and lights if they are wanted."""
    data, session = asked_by(event, request)
    if session is None:
        return answer("methods", data, lost=True)
    try:
        done = parse_recipe(data.get("recipe"))
        i = chosen(data, done)
        await looked(session, [done.subjects[i]], "compare")
        methods = await working(LIGHTS, compared, session, done, i, bool(data.get("lights")))
    except (EditError, PromptError, retouch.MaskError, weights.WeightsError, images.ImageError) as error:
        return answer("methods", data, error=sentence(error))
    return answer("methods", data, methods=methods)


def compared(session: editing.Session, done: Recipe, i: int, lights: bool) -> dict[str, Answer]:
    """What each method does to a subject."""
    mask = editing.areas(session, done.subjects[i], segmenter()[0])
    methods = {}
    for method in METHODS:
        light = light_of(session, done, i, method)
        lit = recipe.render(session.view, [(light, done.subjects[i])])
        methods[method] = {
            "words": wire.in_words(session.view, lit, mask),
            "light": wire.packed_light(light, session.view) if lights else None,
        }
    return methods


async def saved(steps: Iterator[str | Path]) -> AsyncIterator[str | Path]:
    """The steps of saving a photo, which has a place from the first to the last: between them it is in memory."""
    done: list[str | Path] = []

    def save() -> None:
        for step in steps:
            done.append(step)

    job = SAVERS.submit(contextvars.copy_context().run, save)
    shown = 0
    try:
        while not job.done() or shown < len(done):
            while shown < len(done):
                shown += 1
                yield done[shown - 1]
            await anyio.sleep(0.05)
        job.result()
    finally:
        job.cancel()  # of who has left before it began


async def on_save(event: gr.EventData, request: gr.Request) -> AsyncIterator[Answer]:
    """Write the full-size result, or the mask: what is being done, then where the browser finds it."""
    data, session = asked_by(event, request)
    if session is None:
        yield answer("saved", data, lost=True)
        return
    loses = ""
    try:
        done = parse_recipe(data.get("recipe"))
        await looked(session, done.subjects, "save")
        if data.get("what") == "mask":
            subject = done.subjects[chosen(data, done)]
            path = await working(AREAS, editing.save_mask, session, subject, fresh_folder(), segmenter()[0])
        else:
            kind = str(data.get("format"))
            kind = kind if kind in editing.FORMATS else "same"
            number = 0
            async for step in saved(editing.save(session, done, kind, fresh_folder(), segmenter()[0], load)):
                if isinstance(step, Path):
                    path = step
                else:
                    number += 1
                    words, _, loses = step.partition("; ")
                    yield answer("saved", data, step=words, share=number / editing.SAVE_STEPS)
    except (ValueError, OSError) as error:
        yield answer("saved", data, error=f"Not saved: {error}.")
        return
    yield answer("saved", data, path=str(path), name=path.name, bytes=path.stat().st_size, loses=loses)


def on_mask(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
    """Read an uploaded mask into an edit."""
    data, session = asked_by(event, request)
    if session is None:
        return answer("mask", data, lost=True)
    try:
        core = images.read_mask(uploaded(data.get("path")), session.size)
        return answer("mask", data, edit=edits.pack(wire.fitted(core, session.view.size)))
    except (EditError, images.ImageError) as error:
        return answer("mask", data, error=sentence(error))


def asked_by(event: gr.EventData, request: gr.Request) -> tuple[Answer, editing.Session | None]:
    """What is asked and the session of who asks, none where it is about another photo than the one that is known."""
    data = event._data or {}
    session = VISITORS.find(request)
    known = session is not None and data.get("key", session.key) == session.key and session.path.is_file()
    return data, session if known else None


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
