"""The encoding of a photo by the segmenter: begun once, early, told of, and not for nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from demo import editing, encoding
from ranlen.io.images import Photo


class Segmenter:
    """One that encodes until it is let go, and fails as often as it is told to."""

    name = "finder"

    def __init__(self, fails=0):
        self.encoded, self.fails, self.go = 0, fails, threading.Event()

    def prepare(self, photo):
        self.encoded += 1
        assert self.go.wait(20)
        if self.encoded <= self.fails:
            raise MemoryError("no memory")
        return photo.size


@pytest.fixture
def sessions(tmp_path):
    Photo(np.full((30, 40, 3), 9, np.uint8)).write(tmp_path / "a.png")
    return [editing.open_photo(tmp_path / "a.png") for _ in range(3)]


def test_a_photo_is_encoded_once(sessions):
    segmenter = Segmenter()
    begun = encoding.begin(sessions[0], segmenter)
    assert encoding.begin(sessions[0], segmenter) is begun
    segmenter.go.set()
    begun.result.result(20)
    assert encoding.begin(sessions[0], segmenter) is begun
    assert editing.encode(sessions[0], segmenter) == (30, 40)
    assert segmenter.encoded == 1


def test_an_encoding_that_failed_is_tried_again(sessions):
    segmenter = Segmenter(fails=1)
    segmenter.go.set()
    first = encoding.begin(sessions[0], segmenter)
    with pytest.raises(MemoryError):
        first.result.result(20)
    encoding.begin(sessions[0], segmenter).result.result(20)
    assert segmenter.encoded == 2


def test_a_photo_that_was_left_is_not_encoded(sessions):
    segmenter = Segmenter()
    encodings = [encoding.begin(session, segmenter) for session in sessions]
    sessions[1].close()
    segmenter.go.set()
    encodings[2].result.result(20)
    assert encodings[1].failed()
    opened = editing.open_photo(sessions[0].path)
    opened.close()  # one that was never queued
    assert opened.encoding is None
    assert segmenter.encoded == 2


def test_what_is_left_is_told_by_the_last_encodings(sessions, monkeypatch):
    monkeypatch.setattr(encoding, "TOOK", encoding.deque([], 5))
    segmenter = Segmenter()
    first, waits = (encoding.begin(session, segmenter) for session in sessions[:2])
    assert first.left() is None
    encoding.TOOK.extend([30, 40, 50])
    assert waits.left() is None  # it has not begun
    while first.began is None:
        pass
    assert 30 < first.left() <= 40
    first.began -= 60
    assert first.left() == 0.5
    segmenter.go.set()
    waits.result.result(20)
    assert len(encoding.TOOK) == 5
