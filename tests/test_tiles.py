"""Tiles of the photo at full size: what they hold, whose they are, what is refused, what stays in memory."""

from __future__ import annotations

import cv2
import httpx
import numpy as np
import pytest

from benchmarks.visitor import Visitor, photo_of
from demo import sessions, tiles
from ranlen.io.images import Photo


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Of the uploads, with no photo kept."""
    monkeypatch.setattr(tiles, "PHOTOS", sessions.SingleFlight(tiles.MOST_PHOTOS))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def pixels(rng, folder):
    return rng.integers(0, 255, (700, 1300, 3), dtype=np.uint8)


def whole(kept, level):
    """All tiles of a level, put together."""
    height, width = (-(-length // (tiles.TILE << level)) for length in kept.size)
    return np.vstack([np.hstack([kept.tile(level, x, y) for x in range(width)]) for y in range(height)])


def test_the_tiles_of_the_first_level_are_the_photo(pixels):
    kept = tiles.Pixels(pixels)
    assert kept.tile(0, 0, 0).shape == (512, 512, 3)
    assert kept.tile(0, 2, 1).shape == (188, 276, 3)
    assert np.array_equal(whole(kept, 0), pixels)


def test_each_further_level_has_a_quarter_as_many_pixels_each_the_mean_of_four(pixels):
    half = whole(tiles.Pixels(pixels), 1)
    assert half.shape == (350, 650, 3)
    means = pixels.reshape(350, 2, 650, 2, 3).mean((1, 3))
    assert np.abs(half - means).max() <= 0.5 + 1e-6
    assert whole(tiles.Pixels(pixels[:-1, :-1]), 2).shape == (175, 325, 3)


@pytest.mark.parametrize("place", [(0, 3, 0), (0, 0, 2), (1, 2, 0), (8, 0, 1)])
def test_there_is_nothing_beside_the_photo(pixels, place):
    with pytest.raises(IndexError, match="there is no tile"):
        tiles.Pixels(pixels).tile(*place)


def test_a_photo_is_decoded_once_for_all_its_tiles_and_few_are_kept(folder, rng, monkeypatch):
    read, opened = tiles.images.read, []
    monkeypatch.setattr(tiles.images, "read", lambda path: opened.append(path) or read(path))
    visitors = []
    for i in range(tiles.MOST_PHOTOS + 1):
        path = folder / f"{i}.png"
        Photo(rng.integers(0, 9, (60, 80, 3), dtype=np.uint8)).write(path)
        visitors.append(sessions.Session(path, (60, 80)))
        for _ in range(3):
            tiles.pixels_of(visitors[-1]).tile(0, 0, 0)
    assert len(opened) == len(visitors)
    assert len(tiles.PHOTOS.results) == tiles.MOST_PHOTOS
    assert list(folder.glob("tmp*")) == []  # files that have no name: they go when they are let go of


def test_a_tile_holds_on_to_no_memory_of_the_photo(pixels):
    kept = tiles.Pixels(pixels)
    assert kept.tile(0, 0, 0).base is None
    assert not any(isinstance(value, np.ndarray) for value in vars(kept).values())


def ask(url, **body):
    return httpx.post(f"{url}/tile", json=body, trust_env=False)


def test_the_owner_gets_tiles_nobody_else_does_and_what_makes_no_sense_is_told(server):
    visitor = Visitor(server)
    visitor.open(photo_of(3, 700), "a.png")
    mine = sessions.VISITORS.owner(visitor.key)
    reply = ask(visitor.url, key=visitor.key, level=0, x=1, y=0)
    seen = cv2.imdecode(np.frombuffer(reply.content, np.uint8), 1)[..., ::-1]
    assert np.array_equal(seen, mine.view.pixels[:512, 512:])  # a small photo is its own view
    assert reply.headers["Cache-Control"] == "no-store"
    for key in (None, "", visitor.session, visitor.key[:-1], [visitor.key], 7):
        assert ask(visitor.url, key=key, level=0, x=0, y=0).status_code == 410
    for place in (
        {},
        {"level": 0, "x": 0},
        {"level": -1, "x": 0, "y": 0},
        {"level": 99, "x": 0, "y": 0},
        {"level": 0, "x": 0.5, "y": 0},
        {"level": True, "x": 0, "y": 0},
        {"level": 0, "x": 10**9, "y": 0},
        {"level": 0, "x": "0", "y": [0]},
    ):
        refused = ask(visitor.url, key=visitor.key, **place)
        assert refused.status_code == 422, place
        assert refused.json()["detail"]
    for body in (b"", b"{", b"[1]"):
        assert httpx.post(f"{visitor.url}/tile", content=body, trust_env=False).status_code in (410, 422)
    visitor.close()
