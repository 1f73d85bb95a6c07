"""The segmenter encodes a photo: it begins when the photo opens, one at a time, and may take seconds.

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
from demo.sessions import Session
from ranlen.masks.edits import EditError
from ranlen.recipe import Subject
from ranlen.segment import Segmenter
from ranlen.segment.question import asked

ENCODER = ThreadPoolExecutor(1)
TOOK: deque[float] = deque(maxlen=5)  # seconds of the last few, for an estimate of the next


class Encoding:
    """One encoding of one photo, queued when it is made."""

    def __init__(self, session: Session, segmenter: Segmenter) -> None:
        self.began: float | None = None
        self.waits: dict[str, object] = {}  # for what, and who was the last to
        # With the visitor's context: on a ZeroGPU Space, it says whose time a GPU is lent of.
        self.result: Future[Any] = ENCODER.submit(contextvars.copy_context().run, self._encode, session, segmenter)

    def _encode(self, session: Session, segmenter: Segmenter) -> None:
        self.began = time.perf_counter()
        editing.encode(session, segmenter)
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


def begin(session: Session, segmenter: Segmenter) -> Encoding:
    """The encoding of a photo, which is begun once; again where it failed."""
    if session.encoding is None or session.encoding.failed():
        session.encoding = Encoding(session, segmenter)
    return session.encoding


def is_over(session: Session, subjects: Iterable[Subject], segmenter: Segmenter) -> bool:
    """Whether subjects can be marked without a wait; the encoding of the photo is begun if they cannot."""
    return not any(asked(each.edits) for each in subjects) or begin(session, segmenter).result.done()


async def wait_for(session: Session, subjects: Iterable[Subject], segmenter: Segmenter, what: str = "") -> None:
    """Wait until the photo is encoded, if the segmenter is asked about one of the subjects.

    Raises:
        EditError: it could not be, or nobody wants to know any more.
    """
    if any(asked(each.edits) for each in subjects):
        encoding = begin(session, segmenter)
        async for _ in encoding.wait(what):
            pass
        if not encoding.result.done():
            raise EditError("something newer was asked meanwhile")
        if encoding.result.cancelled():
            raise EditError("the photo is gone; open it again")
        if wrong := encoding.result.exception():
            raise EditError(f"the photo could not be looked at: {wrong}")
