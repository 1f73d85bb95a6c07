"""What the page does to a photo, as plain functions without a widget in sight: open, mark, predict, light, save."""

from __future__ import annotations

import dataclasses
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from demo import models
from ranlen import recipe, retouch
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import boolean
from ranlen.masks.regions import RegionMask
from ranlen.models.enhancer import METHODS, Enhancer
from ranlen.recipe import Recipe, Subject
from ranlen.segment import Prompts, Segmenter
from ranlen.segment.question import Question

FORMATS = {"same": None, "jpeg": ".jpg", "png16": ".png", "tiff16": ".tif"}  # what a result is saved as
SAVE_STEPS = 3
Load = Callable[[str], Enhancer]
T = TypeVar("T")


class Kept:
    """The last few results by key. Whoever asks for what somebody else is at gets that answer, not a second one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.results: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, from now or before; its errors are not kept."""
        with self.lock:
            result = self.results.get(key)
            mine = result is None
            if result is None:
                result = self.results[key] = Future()
            self.results.move_to_end(key)
            while len(self.results) > self.most:
                self.results.popitem(last=False)
        if mine:
            try:
                result.set_result(make())
            except BaseException as error:
                with self.lock:
                    self.results.pop(key, None)
                result.set_exception(error)
        return result.result()

    def __contains__(self, key: Hashable) -> bool:
        result = self.results.get(key)
        return result is not None and result.done()


@dataclass(frozen=True, eq=False)
class Session:
    """One person's photo and what is known of it; nobody else sees it.

    Attributes:
        path: the file as uploaded.
        size: (height, width) of the photo in it.
        shown: `view`, once it was needed.
        seen: what the segmenter keeps of the photo.
        answers: of the segmenter, by question, so that undoing a click asks nothing.
        masks: areas, by what marks them.
        lights: predicted lights, by what marks them and model.
        key: told to the owner alone, for questions that do not come through Gradio.
        looks: the segmenter's, where it is queued or done (`demo.encoding`).
    """

    path: Path
    size: tuple[int, int]
    shown: Kept = field(default_factory=lambda: Kept(1))
    seen: Kept = field(default_factory=lambda: Kept(1))
    answers: dict[Question, np.ndarray] = field(default_factory=dict)
    masks: Kept = field(default_factory=lambda: Kept(8))
    lights: Kept = field(default_factory=lambda: Kept(8))
    key: str = field(default_factory=secrets.token_urlsafe)
    looks: dict[str, Any] = field(default_factory=dict)

    @property
    def view(self) -> Photo:
        """The photo as shown, and as its light is predicted; of a visitor who was away, it is read again."""
        return self.shown.get("view", lambda: retouch.view(images.read(self.path)))

    def asleep(self) -> Session:
        """It without all that can be worked out again."""
        return Session(self.path, self.size, key=self.key)


def open_photo(path: str | Path) -> Session:
    """Read an uploaded photo; raises `images.ImageError` with a message for its owner."""
    photo = images.read(path)
    session = Session(Path(path), photo.size)
    session.shown.get("view", lambda: retouch.view(photo))
    return session


def look(session: Session, segmenter: Segmenter) -> Any:
    """Let the segmenter look at the photo, once; with SAM that takes seconds."""
    return session.seen.get("photo", lambda: models.prepare(segmenter, session.view))


def areas(session: Session, subject: Subject, segmenter: Segmenter) -> RegionMask:
    """The areas of a subject.

    Raises:
        PromptError: its clicks cannot be answered.
        MaskError: it marks nothing or everything.
    """

    def ask(said: Prompts) -> np.ndarray:
        return segmenter.segment(look(session, segmenter), said)

    def draw() -> RegionMask:
        mask, found = recipe.subject_areas(subject, session.view.size, ask, dict(session.answers))
        session.answers.update(found)
        for question in list(session.answers)[:-64]:
            session.answers.pop(question, None)
        return mask

    return session.masks.get(_marks(subject), draw)


def lighting(session: Session, subject: Subject, model: str, segmenter: Segmenter, load: Load) -> retouch.Lighting:
    """The light of a subject, each network run once: global once for a photo, the others once for a mask."""
    mask = areas(session, subject, segmenter)
    backbone, _, method = model.partition("-")
    if method == "blend":  # the global light behind a ramp: no network of its own
        whole = lighting(session, subject, f"{backbone}-global", segmenter, load)
        return retouch.Lighting(whole.field, METHODS["blend"].attenuation(mask))
    key = (model,) if method == "global" else (model, _marks(subject))
    return session.lights.get(key, lambda: models.predict(session.view, mask, load(model)))


def light(session: Session, done: Recipe, photo: Photo, segmenter: Segmenter, load: Load) -> Photo:
    """A photo, or its view, under all subjects that are marked."""
    lights = []
    for subject in done.subjects:
        try:
            lights.append((lighting(session, subject, done.model, segmenter, load), subject))
        except retouch.MaskError:  # one that is not marked yet
            continue
    return recipe.render(photo, lights)


def save(
    session: Session, done: Recipe, kind: str, folder: Path, segmenter: Segmenter, load: Load
) -> Iterator[str | Path]:
    """Light the photo at full size into a file in `folder`: of its own kind, or with 16 bits a channel.

    Yields:
        What comes next, in words, as often as `SAVE_STEPS` says, and what writing loses; at the end, the file.
    """
    suffix = FORMATS[kind] or (".tif" if session.path.suffix.lower() in images.RAW else None)
    path = folder / result_name(session.path, suffix)
    yield "Reading the photo"
    photo = images.read(session.path)
    photo = to_16_bit(photo) if kind in ("png16", "tiff16") else photo
    yield "Lighting it at full size"
    lit = light(session, done, photo, segmenter, load)
    yield "; ".join([f"Writing {path.name}", *images.remarks(lit, images.format_of(path))])
    lit.write(path)
    yield path


def save_mask(session: Session, subject: Subject, folder: Path, segmenter: Segmenter) -> Path:
    """Write what is marked, before the soft edge, as a picture of the photo's size, white on the subject."""
    path = folder / f"{session.path.stem}_mask.png"
    hard = dataclasses.replace(subject, transition=0.0)
    core = areas(session, hard, segmenter).a[0, 0].numpy() == 1
    images.mask_photo(boolean.enlarged(core, session.size)).write(path)
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
    return subject.edits, subject.transition, subject.grow
