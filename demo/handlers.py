"""What the page asks of the server, one function per question; answers go to its one component as JSON.

Everything a visitor did comes with each question (`ranlen.recipe`), so that nothing here can be out of step; what is
kept of a photo, `sessions.Session`, only saves doing things twice.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import anyio
import gradio as gr
from gradio.utils import get_upload_folder

from demo import editing, encoding, models, serialization, sessions, temp_files
from demo.sessions import Session
from ranlen import retouch
from ranlen.facts import METHODS
from ranlen.io import images
from ranlen.masks import edits
from ranlen.masks.edits import EditError
from ranlen.models import weights
from ranlen.recipe import Recipe, parse_recipe, with_denoise
from ranlen.segment.prompts import PromptError
from ranlen.segment.question import asked

EXAMPLES = Path(__file__).parent / "examples"
# How many do a thing at a time. Who waits for an encoding does none, and takes nobody's place.
AREAS, LIGHTS = anyio.CapacityLimiter(8), anyio.CapacityLimiter(4)
SAVERS = ThreadPoolExecutor(2)
Answer = dict[str, Any]
T = TypeVar("T")


def example_files() -> list[Path]:
    """The example photos."""
    return sorted(EXAMPLES.glob("*.jpg"))


def on_open(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
    """Show a photo: an upload, or an example with what to do to it."""
    data = event._data or {}
    recipe = None
    try:
        if "example" in data:
            path = {path.stem: path for path in example_files()}[str(data["example"])]
            recipe = json.loads(path.with_suffix(".json").read_text())
        else:
            path = uploaded(data.get("path"))
        session = editing.open_photo(path)
    except (KeyError, images.ImageError) as error:
        return answer("photo", error=sentence(error))
    sessions.VISITORS.enter(request, session)
    encoding.begin(session, models.segmenter()[0])  # most people's first click asks it
    height, width = session.size
    return answer(
        "photo",
        key=session.key,
        name=session.path.name,
        size=[width, height],
        denoise=session.denoise,
        png=serialization.uri(serialization.png(session.view.pixels)),
        recipe=recipe,
    )


async def in_thread(places: anyio.CapacityLimiter, function: Callable[..., T], *arguments: Any) -> T:
    """What a function gives that works in a thread, one of so many at a time."""
    return await anyio.to_thread.run_sync(function, *arguments, limiter=places)


async def on_edit(event: gr.EventData, request: gr.Request) -> AsyncIterator[Answer]:
    """Subjects were marked: first how long encoding the photo still takes, then their areas, then their light too."""
    data, session = asked_by(event, request)
    if session is None:
        yield answer("answer", lost=True)
        return
    try:
        recipe = parse_recipe(data.get("recipe"))
    except EditError as error:
        yield answer("answer", error=sentence(error))
        return
    asked_for = data.get("wanted")
    wanted = [
        i
        for i in (asked_for if isinstance(asked_for, list) else [])
        if isinstance(i, int) and 0 <= i < len(recipe.subjects)
    ]
    if any(asked(recipe.subjects[i].edits) for i in wanted):
        encoded = encoding.begin(session, models.segmenter()[0])
        async for left in encoded.wait("edit"):
            yield answer("answer", encoding=left)
        if not encoded.result.done():
            return  # the visitor has asked something newer
        if encoded.result.cancelled():
            yield answer("answer", lost=True)
            return
        if wrong := encoded.result.exception():  # no memory, or a GPU that nobody lends
            yield answer("answer", error=f"The photo could not be looked at: {wrong}. Brush and circle work.")
            return
    try:
        marks = await in_thread(AREAS, marks_of, session, recipe, wanted)
        yield answer("answer", marks=marks)
        lit = [i for i in wanted if "error" not in marks[i]]
        lights = await in_thread(LIGHTS, lambda: {i: packed_light(session, recipe, i, "ranlen") for i in lit})
        for i in lit:
            marks[i]["part"] = await in_thread(AREAS, editing.part, session, recipe.subjects[i], models.segmenter()[0])
        yield answer("answer", marks=marks, lights=lights, done=True)
    except (PromptError, weights.WeightsError, images.ImageError) as error:  # the mask so far stays
        yield answer("answer", error=sentence(error))


def marks_of(session: Session, recipe: Recipe, wanted: list[int]) -> dict[int, Answer]:
    """The outlines of some subjects, by number, or what is wrong with one."""
    marks = {}
    for i in wanted:
        try:
            marks[i] = serialization.outlines(editing.areas(session, recipe.subjects[i], models.segmenter()[0]))
        except retouch.MaskError as error:
            marks[i] = {"error": sentence(error) if recipe.subjects[i].edits else ""}
    return marks


def light_of(session: Session, recipe: Recipe, i: int, method: str) -> retouch.Lighting:
    """The light of one subject under one method."""
    return editing.lighting(
        session, recipe.subjects[i], f"{recipe.backbone}-{method}", models.segmenter()[0], models.load
    )


def packed_light(session: Session, recipe: Recipe, i: int, method: str) -> Answer:
    """It, for the browser."""
    return serialization.packed_light(light_of(session, recipe, i, method), session.view)


async def on_compare(event: gr.EventData, request: gr.Request) -> Answer:
    """One subject under every method: words, and lights if they are wanted."""
    data, session = asked_by(event, request)
    if session is None:
        return answer("methods", lost=True)
    try:
        recipe = parse_recipe(data.get("recipe"))
        i = chosen(data, recipe)
        await encoding.wait_for(session, [recipe.subjects[i]], models.segmenter()[0], "compare")
        methods = await in_thread(LIGHTS, compared, session, recipe, i, bool(data.get("lights")))
    except (EditError, PromptError, retouch.MaskError, weights.WeightsError, images.ImageError) as error:
        return answer("methods", error=sentence(error))
    return answer("methods", methods=methods)


def compared(session: Session, recipe: Recipe, i: int, lights: bool) -> dict[str, Answer]:
    """What each method does to a subject."""
    mask = editing.areas(session, recipe.subjects[i], models.segmenter()[0])
    methods = {}
    for method in METHODS:
        light = light_of(session, recipe, i, method)
        lit = editing.render_view(session, with_denoise(session.view, [(light, recipe.subjects[i])], session.denoise))
        methods[method] = {
            "words": serialization.in_words(session.view, lit, mask),
            "light": serialization.packed_light(light, session.view) if lights else None,
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
        yield answer("saved", lost=True)
        return
    loses = ""
    try:
        recipe = parse_recipe(data.get("recipe"))
        await encoding.wait_for(session, recipe.subjects, models.segmenter()[0], "save")
        if data.get("what") == "mask":
            subject = recipe.subjects[chosen(data, recipe)]
            path = await in_thread(
                AREAS, editing.save_mask, session, subject, temp_files.fresh_folder(), models.segmenter()[0]
            )
            loses = await in_thread(AREAS, editing.loses, session, subject, models.segmenter()[0])
        else:
            kind = str(data.get("format"))
            kind = kind if kind in editing.FORMATS else "same"
            number = 0
            async for step in saved(
                editing.save(session, recipe, kind, temp_files.fresh_folder(), models.segmenter()[0], models.load)
            ):
                if isinstance(step, Path):
                    path = step
                else:
                    number += 1
                    words, _, loses = step.partition("; ")
                    yield answer("saved", step=words, share=number / editing.SAVE_STEPS)
    except (ValueError, OSError) as error:
        yield answer("saved", error=f"Not saved: {error}.")
        return
    yield answer("saved", path=str(path), name=path.name, bytes=path.stat().st_size, loses=loses)


def on_mask(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
    """Read an uploaded mask into an edit."""
    data, session = asked_by(event, request)
    if session is None:
        return answer("mask", lost=True)
    try:
        core, found = images.read_subject(uploaded(data.get("path")), session.size)
        return answer("mask", edit=edits.pack(serialization.fitted(core, session.view.size), found=found))
    except (EditError, images.ImageError) as error:
        return answer("mask", error=sentence(error))


def asked_by(event: gr.EventData, request: gr.Request) -> tuple[Answer, Session | None]:
    """What is asked and the session of who asks, none where it is about another photo than the one that is known."""
    data = event._data or {}
    session = sessions.VISITORS.find(request)
    known = session is not None and data.get("key", session.key) == session.key and session.path.is_file()
    return data, session if known else None


def chosen(data: dict[str, Any], recipe: Recipe) -> int:
    """The number of the subject that is meant."""
    index = data.get("index")
    return index % len(recipe.subjects) if isinstance(index, int) else 0


def answer(prop: str, **said: Any) -> dict[str, Any]:
    """An update of the page's component."""
    return gr.update(**{prop: json.dumps(said)})  # type: ignore[arg-type]


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
