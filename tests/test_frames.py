"""The exact frame on its own way: whose photo it is, what is refused."""

from __future__ import annotations

import anyio
import cv2
import httpx
import numpy as np
import pytest

from benchmarks.visitor import CLICK, Visitor, photo_of, session
from demo import editing, frames, models, serialization, sessions
from ranlen.io.images import Photo
from ranlen.recipe import parse_recipe


@pytest.fixture
def visitor(server):
    visitor = Visitor(server)
    visitor.open(photo_of(1, 320), "a.png")
    yield visitor
    visitor.close()


def ask(visitor, **body):
    return httpx.post(f"{visitor.url}/exact", json=body, trust_env=False)


def test_the_owner_sees_the_photo_as_it_is_rendered(visitor):
    answer = ask(visitor, key=visitor.key, recipe=session([CLICK]))
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "no-store"
    mine = sessions.VISITORS.owner(visitor.key)
    done = parse_recipe(session([CLICK]))
    lit = editing.render_view(mine, editing.lights_of(mine, done, models.segmenter()[0], models.load)).pixels
    left, top, width, height = (int(each) for each in answer.headers["X-Box"].split(","))
    seen = mine.view.pixels.copy()
    seen[top : top + height, left : left + width] = cv2.imdecode(np.frombuffer(answer.content, np.uint8), 1)[..., ::-1]
    assert (lit != mine.view.pixels).any()
    assert np.array_equal(seen, lit)
    assert ask(visitor, key=visitor.key, recipe=session([])).status_code == 204


def test_nobody_else_does_and_what_makes_no_sense_is_told(visitor, server):
    other = Visitor(server)
    other.open(photo_of(2, 320), "a.png")
    assert other.key != visitor.key
    for key in (None, "", visitor.session, visitor.key[:-1], [visitor.key], 7):
        assert ask(visitor, key=key, recipe=session([CLICK])).status_code == 410
    refused = ask(visitor, key=visitor.key, recipe=session([{"tool": "hack"}]))
    assert refused.status_code == 422
    assert "the tool is one of" in refused.json()["detail"]
    for body in (b"", b"{", b"[1]"):
        assert httpx.post(f"{visitor.url}/exact", content=body, trust_env=False).status_code in (410, 422)
    other.close()


def test_a_crowd_is_told_to_wait(monkeypatch):
    monkeypatch.setattr(frames, "MOST_WAITING", 0)
    assert anyio.run(frames.exact, None).status_code == 503


@pytest.mark.parametrize(("rows", "cols"), [(slice(3, 7), slice(5, 6)), (slice(0, 90), slice(0, 120)), (slice(0), 0)])
def test_the_box_is_the_smallest_around_what_changed(rows, cols):
    before = np.full((90, 120, 3), 9, np.uint8)
    for channel in range(3):
        after = before.copy()
        after[rows, cols, channel] += 1
        left, top, width, height = box = serialization.changed(Photo(before), Photo(after))
        rest = after.copy()
        rest[top : top + height, left : left + width] = 9
        assert np.array_equal(rest, before)
        assert serialization.part(Photo(after), box)[..., channel].size == (after != before).sum()


def test_a_picture_arrives_to_the_byte(rng):
    pixels = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(cv2.imdecode(np.frombuffer(serialization.png(pixels), np.uint8), 1)[..., ::-1], pixels)
