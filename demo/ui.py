"""The page: layout and wiring. No image arithmetic here; that is in `editing.py` and in `ranlen`."""

from __future__ import annotations

import functools
import itertools
import json
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from demo import editing, gpu
from demo.folder import keep_empty
from demo.guard import Guard
from ranlen import edits, images, retouch, weights
from ranlen.backbones import BACKBONES
from ranlen.cli import DEFAULT_BACKBONE, DEFAULT_MODEL
from ranlen.regions import Grow, RegionMask
from ranlen.segment import Segmenter
from ranlen.segment.checkpoints import SegmenterError
from ranlen.segment.choice import choose
from ranlen.segment.prompts import PromptError
from ranlen.segment.question import asked

STATIC = Path(__file__).parent / "static"
EXAMPLES = Path(__file__).parent / "examples"
GROW: dict[str, Grow | None] = {"As it suits": None, "Outwards": "out", "Inwards": "in", "Both ways": "both"}
LIVE: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden", "api_visibility": "private"}
EDITS: dict[str, Any] = {"concurrency_id": "edits", "concurrency_limit": 8}
NETWORKS = threading.Lock()  # one at a time runs networks; they take a second
ENCODER = ThreadPoolExecutor(1)  # SAM looks at one photo at a time, for seconds; everybody else goes on meanwhile

LAUNCH: dict[str, Any] = {
    "theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    "max_file_size": "100mb",
    "allowed_paths": [str(EXAMPLES)],
    "footer_links": ["api"],
    "run_history": False,
    "show_error": False,
    "enable_monitoring": False,
    "state_session_capacity": 50,  # of 65 MB each at most
    "css_paths": [STATIC / "page.css"],
    "app_kwargs": {"middleware": [Middleware(Guard)]},
}

load = functools.cache(weights.load_published)  # one enhancer for all visitors: calls keep nothing on it


@functools.cache
def segmenter() -> tuple[Segmenter, str]:
    """One segmenter for all visitors too, and why it is this one; a broken checkpoint does not stop the page."""
    try:
        return choose()
    except SegmenterError as error:
        return choose("grabcut")[0], f"GrabCut, because {error}"


def static(name: str) -> str:
    """The text of a file of the page."""
    return (STATIC / name).read_text(encoding="utf-8")


def build() -> gr.Blocks:
    """Build the page."""
    with gr.Blocks(title="RANLEN", fill_width=True, analytics_enabled=False, delete_cache=(1800, 7200)) as page:
        session = gr.State(None, time_to_live=3600)
        gr.Markdown("## RANLEN\nClick the subject of a dark photo, and light it, only it.", elem_id="title")
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                canvas = gr.HTML(
                    html_template=static("canvas.html"),
                    css_template=static("canvas.css"),
                    js_on_load=static("canvas.js"),
                    elem_id="canvas",
                    photo="",
                    lit="",
                    areas="",
                    edits="[]",
                    answer="",
                )
                degree = gr.Slider(
                    0, 2, 1, step=0.01, label="Degree", elem_id="degree", info="0 as it was · 1 as trained"
                )
                strip = gr.HTML(
                    html_template=static("strip.html"),
                    css_template=static("strip.css"),
                    js_on_load=static("strip.js"),
                    elem_id="strip",
                    pictures="{}",
                )
            with gr.Column(scale=1, min_width=280):
                with gr.Column(elem_id="photo", min_width=0):  # the canvas finds the file input by this name
                    photo = gr.UploadButton(
                        "Open a photo", file_types=["image", ".heic", ".heif"], type="filepath", variant="primary"
                    )
                samples = gr.Gallery(
                    value=[str(path) for path in example_files()],
                    show_label=False,
                    columns=4,
                    object_fit="cover",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    elem_id="examples",
                )
                transition = gr.Slider(
                    1, 30, 100 * retouch.DEFAULT_TRANSITION, step=1, label="Soft edge (Area B)", elem_id="transition",
                    info="% of the short side over which the light fades",
                )  # fmt: skip
                grow = gr.Radio(
                    list(GROW), value="As it suits", label="Soft edge lies", elem_id="grow",
                    info="as it suits: both ways around what was found, outwards around what was drawn",
                )  # fmt: skip
                backbone = gr.Radio(networks(), value=DEFAULT_BACKBONE, label="Network", elem_id="backbone")
                save = gr.Button("Save full resolution", variant="primary", elem_id="save")
                ready = gr.DownloadButton(visible="hidden", elem_id="download")
                status = gr.Markdown("", elem_id="status")
                gr.Markdown(f"Subjects are found by {segmenter()[1]}.", elem_id="finder")

        strokes = gr.State([])
        settings = [transition, grow, backbone, degree]
        shown = [session, canvas, strip, status]
        edited = canvas.edit(on_edit, [session, *settings], [*shown, strokes], **LIVE, **EDITS)
        opened: dict[str, Any] = {"cancels": [edited], "api_visibility": "private"}  # the old photo is not waited for
        photo.upload(open_upload, photo, [session, strokes, canvas, strip, status], **opened)
        samples.select(open_example, None, [session, strokes, canvas, strip, status], **opened)
        gr.on(
            [transition.input, transition.release, grow.input, backbone.input],
            apply, [session, strokes, *settings], shown, **LIVE, **EDITS,
        )  # fmt: skip
        gr.on([degree.input, degree.release], on_degree, [session, backbone, degree], [canvas, strip], **LIVE)
        save.click(
            on_save, [session, backbone, degree], [ready, status], api_visibility="private", concurrency_limit=2
        ).success(None, js="() => document.querySelector('#download').click()")
        publish_api()
    page.queue(max_size=20, default_concurrency_limit=2)
    return page


def edit_list() -> gr.JSON:
    """Clicks and strokes; a JSON says `"type": {}` of itself, which MCP clients refuse for a schema."""
    widget = gr.JSON([], label="edits")
    widget.api_info = lambda: {"type": "array", "items": {"type": "object"}}  # type: ignore[method-assign]
    return widget


def publish_api() -> None:
    """The one endpoint for programs, `/light`, on widgets nobody sees."""
    with gr.Row(visible=False):
        inputs = [
            gr.File(label="photo", type="filepath"),
            gr.File(label="mask", type="filepath"),
            gr.Number(0.5, label="x"),
            gr.Number(0.5, label="y"),
            gr.Number(retouch.DEFAULT_TRANSITION, label="transition"),
            gr.Number(1.0, label="degree"),
            gr.Textbox(DEFAULT_MODEL, label="model"),
            edit_list(),
        ]
        gr.Button().click(light, inputs, gr.File(label="result"), api_name="light", **EDITS)


def networks() -> list[tuple[str, str]]:
    """The backbones that have weights here: what people call them, and their names."""
    there = weights.published()
    return [(backbone.title, name) for name, backbone in BACKBONES.items() if f"{name}-ranlen" in there]


def example_files() -> list[Path]:
    """The example photos."""
    return sorted(EXAMPLES.glob("*.jpg"))


def open_upload(path: str | None) -> tuple[Any, ...]:
    """Show an uploaded photo."""
    return open_photo(path) if path else (gr.skip(),) * 5


def open_example(event: gr.SelectData) -> tuple[Any, ...]:
    """Show the chosen example."""
    return open_photo(example_files()[event.index])


def open_photo(path: str | Path) -> tuple[Any, ...]:
    """Start a session on a photo: session, edits, canvas, strip, status."""
    try:
        session = editing.open_photo(path)
    except images.ImageError as error:
        raise gr.Error(str(error), print_exception=False) from None
    height, width = session.size
    canvas = gr.HTML(photo=editing.jpeg(session.view), lit="", areas="", edits="[]")
    return session, [], canvas, gr.HTML(pictures="{}"), f"{session.path.name} · {width} × {height}"


def on_edit(
    session: editing.Session | None,
    transition: float,
    grow: str,
    backbone: str,
    degree: float,
    event: gr.EventData,
) -> Iterator[tuple[Any, ...]]:
    """The hand on the canvas moved: session, canvas, strip, status, edits; first, how the photo is looked at."""
    done = (event._data or {}).get("edits", [])
    try:
        if session is not None and session.prepared is None and asked(edits.parse_edits(done)):
            looking = ENCODER.submit(editing.prepare, session, segmenter()[0])
            for seconds in itertools.count(1):
                try:
                    session = looking.result(timeout=1)
                    break
                except NotYet:
                    told = f"Looking at the photo, {seconds} s so far. Once it was seen, clicks are quick."
                    yield gr.skip(), gr.skip(), gr.skip(), told, gr.skip()
    except edits.EditError:
        pass  # said below
    yield *apply(session, done, transition, grow, backbone, degree), done


def apply(
    session: editing.Session | None, done: list[Any], transition: float, grow: str, backbone: str, degree: float
) -> tuple[Any, ...]:
    """Mark, predict and draw: session, canvas, strip, status."""
    if session is None:
        return (gr.skip(),) * 4
    try:
        session = editing.mark(session, done, transition / 100, GROW[grow], segmenter()[0])
        with NETWORKS:
            session = editing.predict(session, backbone, load)
    except (edits.EditError, PromptError) as error:  # the mask so far stays
        return gr.skip(), gr.HTML(answer=new_answer()), gr.skip(), sentence(error)
    except (retouch.MaskError, weights.WeightsError) as error:
        message = sentence(error) if done else ""
        return editing.unmark(session), gr.HTML(lit="", areas="", answer=new_answer()), gr.HTML(pictures="{}"), message
    assert session.mask is not None
    canvas = gr.HTML(
        lit=editing.lit(session, f"{backbone}-ranlen", degree), areas=editing.areas(session.mask), answer=new_answer()
    )
    shares = [float(share) for share in session.mask.coverage()]
    status = "Area A {:.0%} · B {:.0%} · C {:.0%} of the photo".format(*shares)
    return session, canvas, gr.HTML(pictures=json.dumps(editing.strip(session, backbone, degree))), status


def new_answer() -> str:
    """A value the canvas has not seen: it stops waiting when this changes."""
    return uuid.uuid4().hex


def sentence(error: Exception) -> str:
    """A message as a sentence."""
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


def on_degree(session: editing.Session | None, backbone: str, degree: float) -> tuple[Any, Any]:
    """Draw again under another degree; no network runs."""
    if session is None or session.mask is None or f"{backbone}-ranlen" not in session.lightings:
        return gr.skip(), gr.skip()
    canvas = gr.HTML(lit=editing.lit(session, f"{backbone}-ranlen", degree))
    return canvas, gr.HTML(pictures=json.dumps(editing.strip(session, backbone, degree)))


def on_save(session: editing.Session | None, backbone: str, degree: float) -> tuple[Any, str]:
    """Write the full-size result and hand it to the browser."""
    if session is None or session.mask is None:
        raise gr.Error("Nothing to save yet: open a photo and click its subject.", print_exception=False)
    try:
        path = editing.save(session, f"{backbone}-ranlen", degree, fresh_folder())
    except (images.ImageError, OSError) as error:
        raise gr.Error(f"Not saved: {error}", print_exception=False) from None
    return gr.DownloadButton(value=str(path)), f"Saved {path.name}"


def fresh_folder() -> Path:
    """A new folder among the files that Gradio sweeps."""
    return Path(tempfile.mkdtemp(dir=get_upload_folder()))


def light(
    photo: str,
    mask: str | None = None,  # a default of none is what lets programs leave it out
    x: float = 0.5,
    y: float = 0.5,
    transition: float = retouch.DEFAULT_TRANSITION,
    degree: float = 1.0,
    model: str = DEFAULT_MODEL,
    done: list[Any] | None = None,
) -> str:
    """Light the subject of a photo: a mask file says where it is, or edits, or one click on it.

    Args:
        photo: the dark photo.
        mask: a picture of the same size, white on the subject; or none.
        x: a place on the subject when there is neither mask nor edits, from 0 (left) to 1 (right).
        y: the same, from 0 (top) to 1 (bottom).
        transition: width of the fade, as a fraction of the short side.
        degree: how much light, from 0 to 2.
        model: a published model, "deepupe-ranlen" for one.
        done: clicks, frames and strokes as the page sends them, see `ranlen.edits`; for example
            [{"tool": "subject", "at": [0.5, 0.4]}, {"tool": "subject", "at": [0.1, 0.9], "add": false}].

    Returns:
        The lit photo, a file of the same kind.
    """
    if not photo:
        raise gr.Error("light needs a photo", print_exception=False)
    try:
        enhancer = load(model)
        areas = areas_for(photo, mask, done or [{"tool": "subject", "at": [x, y]}], transition)
        path = fresh_folder() / editing.result_name(Path(photo))
        with NETWORKS:
            lit = gpu.light(images.read(photo), areas, enhancer, degree)
        lit.write(path)
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from None
    return str(path)


def areas_for(photo: str, mask: str | None, done: list[Any], transition: float) -> RegionMask:
    """The areas of a photo from a mask file, or from edits if there is none."""
    session = editing.open_photo(photo)
    if mask:
        return retouch.region_mask(images.read_mask(mask, session.size), transition=transition)
    if asked(edits.parse_edits(done)):
        session = ENCODER.submit(editing.prepare, session, segmenter()[0]).result()
    areas = editing.mark(session, done, transition, None, segmenter()[0]).mask
    assert areas is not None
    return areas


def launch() -> None:
    """Build and serve the page, by default at http://127.0.0.1:7860."""
    page = build()
    keep_empty(page)
    page.launch(**LAUNCH)
