"""Endpoints for programs, on widgets nobody sees: they check what is sent and give files back.

`gr.api` would hand over file names as they come, unchecked. With GRADIO_MCP_SERVER=True in the environment (and
`pip install "gradio[mcp]"`) the same functions are tools of an MCP server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import gradio as gr

from demo import editing, encoding, handlers, models, temp_files
from demo.sessions import Session
from ranlen import denoise, facts, retouch
from ranlen.cli import sheet
from ranlen.facts import DEFAULT_BACKBONE, DEFAULT_MODEL
from ranlen.io import images
from ranlen.masks.edits import parse_edits
from ranlen.masks.regions import RegionMask
from ranlen.networks import Network
from ranlen.recipe import Recipe, Subject, parse_recipe

EVENTS: dict[str, Any] = {"concurrency_id": "programs", "concurrency_limit": 20}  # most of which may wait for SAM
WORK = anyio.CapacityLimiter(4)


def publish() -> None:
    """Make `/light`, `/segment` and `/compare`."""
    with gr.Row(visible=False):
        photo, mask = gr.File(label="photo", type="filepath"), gr.File(label="mask", type="filepath")
        x, y = gr.Number(0.5, label="x"), gr.Number(0.5, label="y")
        feather = gr.Number(None, label="feather")
        degree, edits = gr.Number(1.0, label="degree"), edit_list()
        model, backbone = gr.Textbox(DEFAULT_MODEL, label="model"), gr.Textbox(DEFAULT_BACKBONE, label="backbone")
        result = gr.File(label="result")
        where = [photo, mask, x, y, feather, degree]
        for name, function, inputs in (
            ("light", light, [*where, model, edits]),
            ("compare", compare, [*where, backbone, edits]),
            ("segment", segment, [photo, x, y, edits]),
        ):
            gr.Button().click(function, inputs, result, api_name=name, **EVENTS)


def edit_list() -> gr.JSON:
    """Clicks and strokes; a JSON says `"type": {}` of itself, which MCP clients refuse for a schema."""
    widget = gr.JSON([], label="edits")
    widget.api_info = lambda: {"type": "array", "items": {"type": "object"}}  # type: ignore[method-assign]
    return widget


async def light(
    photo: str,
    mask: str | None = None,  # a default of none is what lets programs leave it out
    x: float = 0.5,
    y: float = 0.5,
    feather: float | None = None,
    degree: float = 1.0,
    model: str = DEFAULT_MODEL,
    edits: list[Any] | dict[str, Any] | None = None,
) -> str:
    """Light the subject of a photo: a mask file says where it is, or edits, or one click on it.

    Args:
        photo: the dark photo.
        mask: a picture of the same size, white on the subject; or none.
        x: a place on the subject when there is neither mask nor edits, from 0 (left) to 1 (right).
        y: the same, from 0 (top) to 1 (bottom).
        feather: width of the band in which the light fades, as a fraction of the short side; or none for what suits.
        degree: how much light, from 0 to 2.
        model: a published model, "deepupe-ranlen" for one.
        edits: clicks, boxes and strokes, see `ranlen.masks.edits`; for example
            [{"tool": "subject", "at": [0.5, 0.4]}, {"tool": "subject", "at": [0.1, 0.9], "add": false}].
            Or a recipe as the page saves it, which brings its own settings, see `ranlen.recipe`.

    Returns:
        The lit photo, a file of the same kind.
    """

    async def work() -> Path:
        path = temp_files.fresh_folder() / editing.result_name(Path(photo))
        if isinstance(edits, dict) and not mask:
            whole = parse_recipe(edits)
            async with opened(photo, whole) as session:
                return await handlers.in_thread(WORK, save, session, whole, path.parent)
        network = models.load(model)
        found = await marked_areas(photo, mask, edits or click(x, y), feather)
        return await handlers.in_thread(WORK, write, photo, found, network, degree, path)

    return await told(photo, work)


def save(session: Session, recipe: Recipe, folder: Path) -> Path:
    """The photo lit as a recipe says, in a folder."""
    *_, path = editing.save(session, recipe, "same", folder, models.segmenter()[0], models.load)
    return Path(path)


def write(photo: str, found: RegionMask, network: Network, degree: float, path: Path) -> Path:
    """A photo lit in a file."""
    images.writing(models.light(images.read(photo), found, network, degree, in_place=True), path)()
    return path


async def compare(
    photo: str,
    mask: str | None = None,
    x: float = 0.5,
    y: float = 0.5,
    feather: float | None = None,
    degree: float = 1.0,
    backbone: str = DEFAULT_BACKBONE,
    edits: list[Any] | None = None,
) -> str:
    """One labelled sheet of a photo: as it is, and lit by Global, Blend, Concat and RANLEN. Arguments as of `/light`.

    Args:
        photo: the dark photo.
        mask: a picture of the same size, white on the subject; or none.
        x: a place on the subject, from 0 to 1.
        y: the same.
        feather: width of the band in which the light fades, as a fraction of the short side; or none for what suits.
        degree: how much light, from 0 to 2.
        backbone: "deepupe" or "star_dce".
        edits: see `/light`.

    Returns:
        A PNG file.
    """

    async def work() -> Path:
        path = temp_files.fresh_folder() / f"{Path(photo).stem}_compared.png"
        networks = {method: models.load(f"{backbone}-{method}") for method in facts.METHODS}
        found = await marked_areas(photo, mask, edits or click(x, y), feather)
        return await handlers.in_thread(WORK, draw, photo, found, networks, degree, path)

    return await told(photo, work)


def draw(photo: str, found: RegionMask, networks: dict[str, Network], degree: float, path: Path) -> Path:
    """A sheet of a photo in a file."""
    whole = images.read(photo)
    view, much = retouch.view(whole), denoise.automatic(whole)
    lights = {method: models.predict(view, found, network) for method, network in networks.items()}
    clean = retouch.clean(view, lights.values()) if degree and much else None
    lit = {name: retouch.render(view, light, degree, clean=clean, denoise=much) for name, light in lights.items()}
    sheet.contact_sheet({"original": view} | lit, found).write(path)
    return path


async def segment(photo: str, x: float = 0.5, y: float = 0.5, edits: list[Any] | None = None) -> str:
    """Find the subject of a photo.

    Args:
        photo: the dark photo.
        x: a place on the subject when there are no edits, from 0 to 1.
        y: the same.
        edits: see `/light`.

    Returns:
        A PNG file of the photo's size, white on the subject: what `/light` takes as a mask.
    """

    async def work() -> Path:
        subject = Subject(tuple(parse_edits(edits or click(x, y))))
        async with opened(photo, Recipe((subject,))) as session:
            folder = temp_files.fresh_folder()
            return await handlers.in_thread(WORK, editing.save_mask, session, subject, folder, models.segmenter()[0])

    return await told(photo, work)


async def told(photo: str, work: Callable[[], Awaitable[Path]]) -> str:
    """What `work` writes; what is wrong with the question is told to who asked."""
    if not photo:
        raise gr.Error("a photo is needed", print_exception=False)
    try:
        return str(await work())
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from None


def click(x: float, y: float) -> list[Any]:
    """One click as edits."""
    return [{"tool": "subject", "at": [x, y]}]


@asynccontextmanager
async def opened(photo: str, recipe: Recipe) -> AsyncIterator[Session]:
    """A session on a photo; the segmenter has looked at it where it will be asked."""
    session = await handlers.in_thread(WORK, editing.open_photo, photo)
    try:
        await encoding.wait_for(session, recipe.subjects, models.segmenter()[0])
        yield session
    finally:
        session.close()  # who asked has left


async def marked_areas(photo: str, mask: str | None, edits: Any, feather: float | None) -> RegionMask:
    """The areas of a photo from a mask file, or from edits if there is none."""
    if mask:
        return await handlers.in_thread(WORK, masked, photo, mask, feather)
    subject = Subject(tuple(parse_edits(edits)), feather=feather)
    async with opened(photo, Recipe((subject,))) as session:
        return await handlers.in_thread(WORK, editing.areas, session, subject, models.segmenter()[0])


def masked(photo: str, mask: str, feather: float | None) -> RegionMask:
    """The areas of a photo from a mask file."""
    core, found = images.read_subject(mask, images.read(photo).size)
    return retouch.region_mask(core, feather=feather, found=found)
