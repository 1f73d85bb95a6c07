"""The page: one component and its wiring. What it asks is answered in `visit.py`; it draws itself, in `static/`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from demo import api, frames, visit
from demo.folder import keep_empty
from demo.guard import Guard
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.models import weights
from ranlen.models.backbones import BACKBONES

STATIC = Path(__file__).parent / "static"
# In this order they become one script, by idea; plain JavaScript, and no step to build it.
SCRIPTS = (
    "state",
    "server",
    "light",
    "fade",
    "geometry",
    "select",
    "wipe",
    "compare",
    "pointer",
    "panel",
    "files",
    "keys",
    "start",
)
STYLES = ("frame", "stage", "panel", "compare", "narrow")
THUMBNAIL = 192  # longest side of an example before it is opened
LIVE: dict[str, Any] = {"trigger_mode": "multiple", "show_progress": "hidden", "api_visibility": "private"}
# Those that may wait for the segmenter; how many work at a time is said in `visit.py`.
WAITING: dict[str, Any] = {**LIVE, "concurrency_limit": None}

LAUNCH: dict[str, Any] = {
    "theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    "max_file_size": "100mb",
    "footer_links": ["api"],
    "run_history": False,
    "show_error": False,
    "enable_monitoring": False,
    "state_session_capacity": 1,  # Gradio keeps each session's last answers, photos too, and nothing here reads them
    "max_threads": 100,  # and events at a time: more than there are visitors who may wait
    "css_paths": [STATIC / "page.css"],
    "app_kwargs": {"middleware": [Middleware(Guard)], "routes": frames.ROUTES},
}


def joined(names: tuple[str, ...], suffix: str) -> str:
    """The text of files of the page, one after the other."""
    return "\n".join((STATIC / f"{name}.{suffix}").read_text(encoding="utf-8") for name in names)


def thumbnail(path: Path) -> dict[str, str]:
    """An example as the page offers it."""
    small = Photo(images.preview(images.read(path), THUMBNAIL))
    data = base64.b64encode(images.encode(small, "JPEG", quality=80)).decode()
    return {"name": path.stem, "src": f"data:image/jpeg;base64,{data}"}


def networks() -> list[tuple[str, str]]:
    """The backbones that have weights here: what people call them, and their names."""
    there = weights.published()
    return [(backbone.title, name) for name, backbone in BACKBONES.items() if f"{name}-ranlen" in there]


def build() -> gr.Blocks:
    """Build the page."""
    with gr.Blocks(title="RANLEN", fill_width=True, analytics_enabled=False, delete_cache=(1800, 7200)) as page:
        editor = gr.HTML(
            html_template=joined(("editor",), "html"),
            css_template=joined(STYLES, "css"),
            js_on_load=joined(SCRIPTS, "js"),
            apply_default_css=False,
            elem_id="editor",
            examples=json.dumps([thumbnail(path) for path in visit.example_files()]),
            networks=json.dumps(networks()),
            finder=visit.segmenter()[1],
            photo="",
            answer="",
            methods="",
            saved="",
            mask="",
        )
        marked = editor.edit(visit.on_edit, None, editor, **WAITING)
        editor.open(visit.on_open, None, editor, cancels=[marked], **LIVE)  # the old photo is not waited for
        editor.compare(visit.on_compare, None, editor, **WAITING)
        editor.loadmask(visit.on_mask, None, editor, **LIVE)
        editor.save(visit.on_save, None, editor, **WAITING)
        page.unload(visit.VISITORS.leave)
        api.publish()
    page.queue(max_size=40, default_concurrency_limit=2)
    return page


def launch() -> None:
    """Build and serve the page, by default at http://127.0.0.1:7860."""
    page = build()
    keep_empty(page)
    page.launch(**LAUNCH)
