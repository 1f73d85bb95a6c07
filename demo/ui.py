"""The page: one component and its wiring. What it asks is answered in `handlers.py`; it draws itself, in `page/`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from demo import api, assets, frames, glances, handlers, models, presence, tiles
from demo.middleware import RequestLimits
from demo.temp_files import keep_empty
from ranlen import facts
from ranlen.facts import BACKBONES
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import edits
from ranlen.models import weights
from ranlen.recipe import LIMITS, Subject

MEGABYTES = 100  # of the largest file
THUMBNAIL = 192  # longest side of an example before it is opened
# What each method does, in the page's few words.
NOTES = {
    "global": "lights the whole photo",
    "blend": "Global, masked",
    "concat": "mask as input",
    "ranlen": "mask in every layer",
}
ANSWERS = {"open": "photo", "edit": "answer", "compare": "methods", "save": "saved", "loadmask": "mask"}  # by question
LIVE: dict[str, Any] = {"trigger_mode": "multiple", "show_progress": "hidden", "api_visibility": "private"}
# Those that may wait for the segmenter; how many work at a time is said in `handlers.py`.
WAITING: dict[str, Any] = {**LIVE, "concurrency_limit": None}

ROUTES = [*frames.ROUTES, *tiles.ROUTES, *glances.ROUTES, *presence.ROUTES, *assets.ROUTES]
LAUNCH: dict[str, Any] = {
    "theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    "max_file_size": f"{MEGABYTES}mb",
    "footer_links": ["api"],
    "run_history": False,
    "show_error": False,
    "enable_monitoring": False,
    "state_session_capacity": 1,  # Gradio keeps each session's last answers, photos too, and nothing here reads them
    "max_threads": 100,  # and events at a time: more than there are visitors who may wait
    "css_paths": [assets.AROUND],
    "head": assets.HEAD,
    "app_kwargs": {"middleware": [Middleware(RequestLimits)], "routes": ROUTES},
}


def thumbnail(path: Path) -> dict[str, str]:
    """An example as the page offers it."""
    small = Photo(images.preview(images.read(path), THUMBNAIL))
    data = base64.b64encode(images.encode(small, "JPEG", quality=80)).decode()
    return {"name": path.stem, "src": f"data:image/jpeg;base64,{data}"}


def networks() -> list[tuple[str, str]]:
    """The backbones that have weights here: what people call them, and their names."""
    there = weights.published()
    return [(title, name) for name, (_, title) in BACKBONES.items() if f"{name}-ranlen" in there]


def limits() -> dict[str, Any]:
    """What may be asked of this server, so that the page types none of it again (`page/settings.js`)."""
    suits = {"feather": (facts.DRAWN_FEATHER[0], facts.FOUND_FEATHER[0])}  # what a recipe leaves open
    settings = {}
    for name, (least, most) in LIMITS.items():
        drawn, found = suits.get(name) or [getattr(Subject, name)] * 2
        settings[name] = {"default": drawn, "found": found, "min": least, "max": most}
    return {
        "settings": settings,
        "sides": facts.SIDES,
        "recipe": facts.RECIPE_VERSION,
        "renamed": {"tools": facts.OLD_TOOLS, "settings": facts.OLD_SETTINGS},
        "subjects": facts.MAX_SUBJECTS,
        "finds": edits.PROMPTS,
        "methods": [{"name": name, "title": title, "note": NOTES[name]} for name, title in facts.METHODS.items()],
        "networks": networks(),
        "backbone": facts.DEFAULT_BACKBONE,
        "finder": models.finder()[1],
        "engine": models.engine(),
        "glances": models.finder()[0] in glances.QUICK,
        "megabytes": MEGABYTES,
        "kept": [facts.KEPT_OF, *facts.KEPT],
        "answers": ANSWERS,
    }


def build() -> gr.Blocks:
    """Build the page."""
    with gr.Blocks(title="RANLEN", fill_width=True, analytics_enabled=False, delete_cache=(1800, 7200)) as page:
        editor = gr.HTML(
            html_template=assets.html(),
            css_template=assets.css(),
            js_on_load=assets.ON_LOAD,
            apply_default_css=False,
            elem_id="editor",
            examples=json.dumps([thumbnail(path) for path in handlers.example_files()]),
            limits=json.dumps(limits()),
        )
        editor.edit(handlers.on_edit, None, editor, **WAITING)
        editor.open(handlers.on_open, None, editor, **LIVE)
        editor.compare(handlers.on_compare, None, editor, **WAITING)
        editor.loadmask(handlers.on_mask, None, editor, **LIVE)
        editor.save(handlers.on_save, None, editor, **WAITING)
        questions = {name: number for number, each in page.fns.items() for _, name in each.targets}
        editor.props |= {"questions": json.dumps(questions), **dict.fromkeys(ANSWERS.values(), "")}
        api.publish()
    page.queue(max_size=40, default_concurrency_limit=2)
    return page


def launch() -> None:
    """Build and serve the page, by default at http://127.0.0.1:7860."""
    page = build()
    keep_empty(page)
    page.launch(**LAUNCH)
