"""What is remembered of each visitor, a photo and what is known of it, and who is forgotten first."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr
import numpy as np

from demo import memory
from ranlen import denoise, retouch
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.rendering.noise import Clean
from ranlen.segment.question import Question

if TYPE_CHECKING:
    from demo.encoding import Encoding

MOST_VISITORS = 60  # whose photos are remembered; a photo and what is known of it take up to 100 MB
T = TypeVar("T")


class SingleFlight:
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


@dataclass(eq=False)
class Session:
    """One person's photo and what is known of it; nobody else sees it.

    Attributes:
        path: the file as uploaded.
        size: (height, width) of the photo in it.
        views: `view`, once it was needed.
        cleans: that view without noise, once it was needed.
        embeddings: what the segmenter keeps of the photo.
        answers: of the segmenter, by question, so that undoing a click asks nothing.
        glanced: likewise, to a click that is not made yet: where it is made, it asks nothing either.
        masks: areas, by what marks them.
        lights: predicted lights, by what marks them and model.
        denoise: how much denoising suits the photo.
        key: told to the owner alone, for questions that do not come through Gradio.
        encoding: the segmenter's of the photo, queued or done.
    """

    path: Path
    size: tuple[int, int]
    views: SingleFlight = field(default_factory=lambda: SingleFlight(1))
    cleans: SingleFlight = field(default_factory=lambda: SingleFlight(1))
    embeddings: SingleFlight = field(default_factory=lambda: SingleFlight(1))
    answers: dict[Question, np.ndarray] = field(default_factory=dict)
    glanced: dict[Question, np.ndarray] = field(default_factory=dict)
    masks: SingleFlight = field(default_factory=lambda: SingleFlight(8))
    lights: SingleFlight = field(default_factory=lambda: SingleFlight(8))
    denoise: float = 0.0
    key: str = field(default_factory=secrets.token_urlsafe)
    encoding: Encoding | None = None

    @property
    def view(self) -> Photo:
        """The photo as shown, and as its light is predicted; of a visitor who was away, it is read again."""
        return self.views.get("view", lambda: retouch.view(images.read(self.path)))

    @property
    def clean(self) -> Clean:
        """The view without noise."""
        return self.cleans.get("view", lambda: denoise.clean(self.view))

    def asleep(self) -> Session:
        """It without all that can be worked out again."""
        return Session(self.path, self.size, denoise=self.denoise, key=self.key)

    def close(self) -> None:
        """Nobody will ask of it any more: an encoding that has not begun is taken out of the queue."""
        if self.encoding is not None:
            self.encoding.result.cancel()
            self.encoding = None


class Visitors:
    """Sessions by visitor: of those who came last, and of those who asked last.

    Who only opens photos, however many, pushes out others who only opened one, and nobody who works on theirs.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.came: OrderedDict[str, Session] = OrderedDict()
        self.asked: OrderedDict[str, Session] = OrderedDict()

    def find(self, request: gr.Request) -> Session | None:
        """The session of who asks."""
        with self.lock:
            return self._asks(str(request.session_hash))

    def owner(self, key: Any) -> Session | None:
        """The session of who asks with the key of its photo."""
        with self.lock:
            both = itertools.chain(self.came.items(), self.asked.items())
            name = next((name for name, session in both if session.key == key), None)
            return None if name is None else self._asks(name)

    def enter(self, request: gr.Request, session: Session) -> None:
        """Remember a session."""
        with self.lock:
            name = str(request.session_hash)
            if before := self._pop(name):
                before.close()
            self.came[name] = session
            self._forget()

    def leave(self, request: gr.Request) -> None:
        """Let go of all that can be worked out again: the tab was closed, or a phone went to sleep."""
        name = str(request.session_hash)
        with self.lock:
            if session := self._pop(name):
                session.close()
                self.came[name] = session.asleep()
                self.came.move_to_end(name, last=False)  # the first to be forgotten
        del session
        memory.give_back()

    def _asks(self, name: str) -> Session | None:
        if session := self._pop(name):
            self.asked[name] = session
            self._forget()
        return session

    def _pop(self, name: str) -> Session | None:
        return self.came.pop(name, None) or self.asked.pop(name, None)

    def _forget(self) -> None:
        """At most half of those who are remembered are so because they asked; the rest of them count as who came."""
        while len(self.asked) > max(1, self.most // 2):
            name, session = self.asked.popitem(last=False)
            self.came[name] = session
        while len(self.came) + len(self.asked) > self.most:
            self.came.popitem(last=False)[1].close()


VISITORS = Visitors(MOST_VISITORS)
