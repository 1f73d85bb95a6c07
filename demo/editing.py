"""What the page does to a photo, as plain functions without a widget in sight: open, mark, predict, light, save."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from demo import models
from demo.sessions import Session
from ranlen import denoise, retouch
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import boolean
from ranlen.masks.edits import is_found
from ranlen.masks.regions import RegionMask
from ranlen.methods import METHODS
from ranlen.networks import Network
from ranlen.recipe import (
    Lights,
    Recipe,
    Subject,
    cleaned,
    render,
    subject_areas,
    subject_core,
    wants_clean,
    with_denoise,
)
from ranlen.segment import Prompts, Segmenter
from ranlen.segment.question import asked, prompts

FORMATS = {"same": None, "jpeg": ".jpg", "png16": ".png", "tiff16": ".tif"}  # what a result is saved as
SAVE_STEPS = 4  # at most
Load = Callable[[str], Network]
T = TypeVar("T")


def open_photo(path: str | Path) -> Session:
    """Read an uploaded photo; raises `images.ImageError` with a message for its owner."""
    photo = images.read(path)
    session = Session(Path(path), photo.size, denoise=denoise.automatic(photo))
    session.views.get("view", lambda: retouch.view(photo))
    return session


def encode(session: Session, segmenter: Segmenter) -> Any:
    """What the segmenter makes of the photo, once; with SAM that takes seconds."""
    return session.embeddings.get("photo", lambda: models.prepare(segmenter, session.view))


def asking(session: Session, segmenter: Segmenter) -> Callable[[Prompts], np.ndarray]:
    """The segmenter, asked about the photo."""
    return lambda said: segmenter.segment(encode(session, segmenter), said)


def areas(session: Session, subject: Subject, segmenter: Segmenter) -> RegionMask:
    """The areas of a subject.

    Raises:
        PromptError: its clicks cannot be answered.
        MaskError: it marks nothing or everything.
    """

    def draw() -> RegionMask:
        known = session.answers | session.glanced
        mask, found = subject_areas(subject, session.view, asking(session, segmenter), known)
        session.answers.update(found)
        for question in list(session.answers)[:-64]:
            session.answers.pop(question, None)
        return mask

    return session.masks.get(_marks(subject), draw)


def glance(session: Session, subject: Subject, segmenter: Segmenter) -> np.ndarray:
    """What would mark a subject at all, booleans (H, W) of the view; its last click is not made yet, and may never be.

    Raises:
        PromptError: its clicks cannot be answered.
    """
    core, found = subject_core(subject, session.view.size, asking(session, segmenter), session.answers)
    session.glanced = dict(found)
    return core > 0


def part(session: Session, subject: Subject, segmenter: Segmenter) -> tuple[int, int] | None:
    """Which of how many parts of what was clicked a subject is, from the smallest; none where nothing was clicked."""
    question = asked(subject.edits)
    said = prompts(question, session.view.size, session.answers)
    return segmenter.part(encode(session, segmenter), said) if said.inside or said.box else None


def lighting(session: Session, subject: Subject, model: str, segmenter: Segmenter, load: Load) -> retouch.Lighting:
    """The light of a subject, each network run once: global once for a photo, the others once for a mask."""
    mask = areas(session, subject, segmenter)
    backbone, _, method = model.partition("-")
    if method == "blend":  # the global light behind a ramp: no network of its own
        whole = lighting(session, subject, f"{backbone}-global", segmenter, load)
        return retouch.Lighting(whole.field, METHODS["blend"].attenuation(mask))
    key = (model,) if method == "global" else (model, _marks(subject))
    return session.lights.get(key, lambda: models.predict(session.view, mask, load(model)))


def lights_of(session: Session, recipe: Recipe, segmenter: Segmenter, load: Load) -> Lights:
    """The lights of all subjects that are marked, and how much of their noise goes."""
    lights = []
    for subject in recipe.subjects:
        try:
            lights.append((lighting(session, subject, recipe.model, segmenter, load), subject))
        except retouch.MaskError:  # one that is not marked yet
            continue
    return with_denoise(session.view, lights, session.denoise)


def render_view(session: Session, lights: Lights) -> Photo:
    """The view under some lights."""
    return render(session.view, lights, session.clean if wants_clean(lights) else None)


def save(
    session: Session, recipe: Recipe, kind: str, folder: Path, segmenter: Segmenter, load: Load
) -> Iterator[str | Path]:
    """Light the photo at full size into a file in `folder`: of its own kind, or with 16 bits a channel.

    Yields:
        What comes next, in words, as often as `SAVE_STEPS` says or less, and what writing loses; at the end, the file.
    """
    suffix = FORMATS[kind] or (".tif" if session.path.suffix.lower() in images.RAW else None)
    path = folder / result_name(session.path, suffix)
    yield "Reading the photo"
    photo = images.read(session.path)
    photo = to_16_bit(photo) if kind in ("png16", "tiff16") else photo
    lights = lights_of(session, recipe, segmenter, load)
    clean = None
    if wants_clean(lights):
        yield "Taking out noise"
        clean = cleaned(photo, lights)
    yield "Lighting it at full size"
    photo = render(photo, lights, clean, in_place=True)
    yield "; ".join([f"Writing {path.name}", *images.remarks(photo, images.format_of(path))])
    finish = images.writing(photo, path)
    del photo, clean  # `images.writing` says why
    finish()
    yield path


def loses(session: Session, subject: Subject, segmenter: Segmenter) -> str:
    """What a mask file cannot hold of a subject, in words."""
    plain = dataclasses.replace(subject, feather_edges=False)
    fades = areas(session, plain, segmenter).own_ramp is not None
    return "where the gradient fades is not in it; a recipe keeps that" if fades else ""


def save_mask(session: Session, subject: Subject, folder: Path, segmenter: Segmenter) -> Path:
    """Write what is marked, before the feather, as a picture of the photo's size, white on the subject."""
    path = folder / f"{session.path.stem}_mask.png"
    hard = dataclasses.replace(subject, feather=0.0, feather_edges=False)
    core = areas(session, hard, segmenter).a[0, 0] == 1
    images.mask_photo(boolean.enlarged(core, session.size), found=is_found(subject.edits)).write(path)
    return path


def to_16_bit(photo: Photo) -> Photo:
    """The photo with 16 bits a channel, so that smooth light has no steps."""
    if photo.pixels.dtype == np.uint16:
        return photo
    alpha = None if photo.alpha is None else photo.alpha.astype(np.uint16) * 257
    return dataclasses.replace(photo, pixels=photo.pixels.astype(np.uint16) * 257, alpha=alpha)


def result_name(path: Path, suffix: str | None = None) -> str:
    """The name of a photo's result: `<photo>_ranlen.<suffix>`."""
    return f"{path.stem}_ranlen{suffix or path.suffix.lower()}"


def _marks(subject: Subject) -> Hashable:
    return subject.edits, subject.feather, subject.feather_side, subject.feather_edges
