"""The segmenter's look at a photo: it begins when the photo opens, one at a time, and may take seconds.

Meanwhile everything goes on that needs no segmenter, for everybody.
"""

from __future__ import annotations

import contextvars
import itertools
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import anyio

from demo import editing
from ranlen.recipe import Subject
from ranlen.segment import Segmenter
from ranlen.segment.question import asked

ENCODER = ThreadPoolExecutor(1)
TOOK: deque[float] = deque(maxlen=5)  # seconds of the last looks, for an estimate of the next


class Look:
    """One look at one photo, queued when it is made."""

    def __init__(self, session: editing.Session, segmenter: Segmenter) -> None:
        self.began: float | None = None
        self.waits: dict[str, object] = {}  # for what, and who was the last to
        # With the visitor's context: on a ZeroGPU Space, it says whose time a GPU is lent of.
        self.result: Future[Any] = ENCODER.submit(contextvars.copy_context().run, self._look, session, segmenter)

    def _look(self, session: editing.Session, segmenter: Segmenter) -> None:
        self.began = time.perf_counter()
        editing.look(session, segmenter)
        TOOK.append(time.perf_counter() - self.began)

    def left(self) -> float | None:
        """Seconds that it will still take; none while nobody knows."""
        if self.began is None or not TOOK:
            return None
        return max(0.5, statistics.median(TOOK) - (time.perf_counter() - self.began))

    async def wait(self, what: str = "") -> AsyncIterator[float | None]:
        """Until it has ended, what is left, soon and then each second. Who waits holds no thread.

        Only the last question of a kind is waited for: that one goes on after the end, older ones end before it.
        """
        mine = self.waits[what] = object()
        for tick in itertools.count():
            if self.result.done() or self.waits[what] is not mine:
                return
            if tick % 20 == 4:
                yield self.left()
            await anyio.sleep(0.05)

    def failed(self) -> bool:
        """Whether it ended without a result."""
        return self.result.cancelled() or (self.result.done() and self.result.exception() is not None)


def begin(session: editing.Session, segmenter: Segmenter) -> Look:
    """The look at a photo, which is begun once; again where it failed."""
    look = session.looks.get("look")
    if look is None or look.failed():
        look = session.looks["look"] = Look(session, segmenter)
    return look


def is_over(session: editing.Session, subjects: Iterable[Subject], segmenter: Segmenter) -> bool:
    """Whether subjects can be marked without a wait; the look at the photo is begun if they cannot."""
    return not any(asked(each.edits) for each in subjects) or begin(session, segmenter).result.done()


def drop(session: editing.Session | None) -> None:
    """Take a look out of the queue whose photo was left before it began."""
    if session is not None and (look := session.looks.pop("look", None)) is not None:
        look.result.cancel()
