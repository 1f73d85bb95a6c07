"""What the page does to a photo, as plain functions without a widget in sight: open, mark, predict, draw, save."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from demo import gpu
from ranlen import edits, images, retouch
from ranlen.enhancer import METHODS, Enhancer
from ranlen.images import Photo
from ranlen.regions import Grow, RegionMask, resize
from ranlen.segment import Prompts, Segmenter
from ranlen.segment.question import Answers, Question, answer, asked

STRIP = 640  # longest side of the pictures in the comparison
SHOWN = ("global", "blend", "concat", "ranlen")
AREA_A = (255, 160, 40)
AREA_B = (70, 200, 255)

Load = Callable[[str], Enhancer]


@dataclass(frozen=True)
class Session:
    """One person's photo and what they did to it; a value that the page keeps and no other visitor sees.

    Attributes:
        path: the file as uploaded.
        size: (height, width) of the photo in it.
        view: a copy in sRGB, at the size the light is predicted at.
        mask: the marked areas, or none.
        lightings: predicted lights by model name; those of global stay when the mask changes.
        prepared: what the segmenter keeps of the photo, or none before the first click.
        found: its answers to the question so far, so that undoing a click asks nothing.
    """

    path: Path
    size: tuple[int, int]
    view: Photo
    mask: RegionMask | None = None
    lightings: Mapping[str, retouch.Lighting] = field(default_factory=dict)
    prepared: Any = None
    found: Answers = field(default_factory=dict)


def open_photo(path: str | Path) -> Session:
    """Read an uploaded photo; raises `images.ImageError` with a message for its owner."""
    photo = images.read(path)
    view = Photo(images.preview(photo, retouch.DETAIL), grey=photo.grey, format="JPEG")
    return Session(Path(path), photo.size, view)


def mark(session: Session, data: Any, transition: float, grow: Grow | None, segmenter: Segmenter) -> Session:
    """Draw a list of edits; what was predicted for the old mask is forgotten.

    Without `grow`, Area B lies where it suits a found subject, or a drawn one.

    Raises:
        EditError: the list is malformed.
        PromptError: its clicks cannot be answered.
        MaskError: it marks nothing or everything.
    """
    done = edits.parse_edits(data)
    question = asked(done)
    session = find(session, question, segmenter)
    core = edits.rasterise(done, session.view.size, session.found.get(question))
    suits = retouch.GROW_FOUND if question else retouch.GROW_DRAWN
    mask = retouch.region_mask(core, transition=transition, grow=grow or suits)
    kept = {name: light for name, light in session.lightings.items() if name.endswith("-global")}
    return dataclasses.replace(session, mask=mask, lightings=kept)


def prepare(session: Session, segmenter: Segmenter) -> Session:
    """Let the segmenter look at the photo, once; with SAM that takes seconds."""
    if session.prepared is not None:
        return session
    return dataclasses.replace(session, prepared=gpu.prepare(segmenter, session.view))


def find(session: Session, question: Question, segmenter: Segmenter) -> Session:
    """Answer a question; what was answered before is not asked again."""

    def ask(said: Prompts) -> np.ndarray:
        nonlocal session
        session = prepare(session, segmenter)
        return segmenter.segment(session.prepared, said)

    found = answer(question, session.view.size, ask, session.found)
    return dataclasses.replace(session, found=found)


def unmark(session: Session) -> Session:
    """Forget the mask."""
    return dataclasses.replace(session, mask=None)


def predict(session: Session, backbone: str, load: Load) -> Session:
    """Run each network whose light is not known yet, once."""
    if session.mask is None:
        return session
    known = dict(session.lightings)
    for method in SHOWN:
        name = f"{backbone}-{method}"
        if name in known:
            continue
        if method == "blend":  # the global light behind a ramp: no network of its own
            field = known[f"{backbone}-global"].field
            known[name] = retouch.Lighting(field, METHODS["blend"].window(session.mask))
        else:
            known[name] = gpu.predict(session.view, session.mask, load(name))
    return dataclasses.replace(session, lightings=known)


def lit(session: Session, model: str, degree: float) -> str:
    """The view under one model, as a data URI."""
    return jpeg(retouch.render(session.view, session.lightings[model], degree))


def strip(session: Session, backbone: str, degree: float) -> dict[str, str]:
    """Small pictures of all methods under one degree and one mask, by method, as data URIs."""
    small = dataclasses.replace(session.view, pixels=images.preview(session.view, STRIP))
    return {m: jpeg(retouch.render(small, session.lightings[f"{backbone}-{m}"], degree)) for m in SHOWN}


def areas(mask: RegionMask, longest: int = STRIP) -> str:
    """Areas A and B as a transparent picture, a data URI: outlined, A tinted, B hatched."""
    scale = min(1.0, longest / max(mask.size))
    size = (round(mask.size[0] * scale), round(mask.size[1] * scale))
    a, a_or_b = resize(mask.tensor, size)[0].numpy() >= 0.5
    b = a_or_b & ~a
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.zeros((*size, 4), np.uint8)
    picture[a] = (*AREA_A, 20)
    picture[b & ((x + y) % 12 < 1.5)] = (*AREA_B, 120)
    picture[_rim(a_or_b)] = (*AREA_B, 190)
    picture[_rim(a)] = (*AREA_A, 240)
    return _uri(images.encode(Photo(picture[..., :3], picture[..., 3]), "PNG"), "png")


def save(session: Session, model: str, degree: float, folder: Path) -> Path:
    """Light the photo at full size into a file of its own kind in `folder`."""
    path = folder / result_name(session.path)
    retouch.render(images.read(session.path), session.lightings[model], degree).write(path)
    return path


def result_name(path: Path) -> str:
    """The name of a photo's result: `<photo>_ranlen.<suffix>`."""
    return f"{path.stem}_ranlen{path.suffix.lower()}"


def jpeg(photo: Photo) -> str:
    """A photo as a JPEG data URI."""
    return _uri(images.encode(photo, "JPEG", quality=90), "jpeg")


def _rim(area: np.ndarray) -> np.ndarray:
    """The pixels of an area that touch its outside; not those at the frame."""
    inner = np.pad(area, 1, mode="edge")
    return area & ~(inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:])


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
