"""A mask saved on the page and given to the command line: the same areas, the same picture."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from demo import editing, serialization
from ranlen import retouch
from ranlen.cli import main as cli
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import boolean, edits, shapes
from ranlen.recipe import Subject


@pytest.mark.parametrize("size", [(36, 50), (37, 51), (50, 70), (71, 99), (72, 100), (81, 113), (140, 196), (144, 200)])
def test_any_shape_comes_back_to_the_pixel(rng, size):
    for share in (0.02, 0.5, 0.98):
        core = rng.random((36, 50)) < share
        assert np.array_equal(boolean.drawn_at(boolean.enlarged(core, size), core.shape), core)


def test_a_finer_shape_is_not_taken_for_one():
    core = shapes.disc((144, 200), (90, 70), 40)
    assert boolean.drawn_at(core, (36, 50)) is None
    smooth = boolean.enlarged(shapes.disc((36, 50), (22.5, 17.5), 10), (144, 200))
    assert (smooth ^ core).mean() < 0.02  # and no stairs of four pixels:
    assert len({tuple(row) for row in smooth}) > 15  # with stairs: 11


FOUND = [{"tool": "subject", "at": [0.4, 0.5]}, {"tool": "brush", "points": [[0.4, 0.5], [0.8, 0.7]], "radius": 0.03}]


class Finder:
    """A segmenter that always finds the same disc."""

    name = "finder"

    def prepare(self, photo):
        return photo.size

    def segment(self, seen, prompts):
        return shapes.disc(seen, (160, 150), 60)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_a_mask_came_from_travels_with_it(suffix, tmp_path):
    core = shapes.disc((300, 400), (160, 150), 60)
    for found in (False, True):
        path = tmp_path / f"{found}{suffix}"
        images.mask_photo(core, found=found).write(path)
        again, said = images.read_subject(path, (300, 400))
        assert np.array_equal(again, core)
        assert said is found
        half, said = images.read_subject(path, (150, 200))  # scaled, and still
        assert half.shape == (150, 200)
        assert said is found


def test_a_found_mask_that_was_saved_and_loaded_lights_as_before(rng, weights_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    path = tmp_path / "evening.png"
    Photo(rng.integers(0, 70, (300, 400, 3), dtype=np.uint8)).write(path)
    session = editing.open_photo(path)
    subject = Subject(tuple(edits.parse_edits(FOUND)))
    expected = editing.areas(session, subject, Finder())
    mask = editing.save_mask(session, subject, tmp_path, Finder())
    core, found = images.read_subject(mask, (300, 400))
    loaded = edits.pack(serialization.fitted(core, session.view.size), found=found)  # as the page loads it
    again = Subject(tuple(edits.parse_edits(json.loads(json.dumps([loaded])))))
    assert np.array_equal(editing.areas(session, again, None).tensor, expected.tensor)
    assert np.array_equal(retouch.region_mask(core, found=found).tensor, expected.tensor)
    assert not np.array_equal(retouch.region_mask(core).tensor, expected.tensor)

    (tmp_path / "m.json").write_text(json.dumps([loaded]))
    outs = []
    for name, by in (("mask", mask), ("edits", tmp_path / "m.json")):
        outs.append(tmp_path / f"{name}.png")
        assert cli.main(["light", str(path), "-o", str(outs[-1]), f"--{name}", str(by), "--device", "cpu"]) == 0
    assert np.array_equal(*(images.read(out).pixels for out in outs))


def test_found_is_true_or_false():
    entry = edits.pack(np.ones((3, 4), bool), found=True) | {"found": 1}
    with pytest.raises(edits.EditError, match='edit 1: "found" is true or false; got 1'):
        edits.parse_edits([entry])


@pytest.mark.slow
@pytest.mark.parametrize("size", [(300, 400), (1000, 1500), (1800, 2400)])
def test_a_saved_mask_lights_as_the_session_does(size, rng, weights_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    path = tmp_path / "evening.png"
    Photo(rng.integers(0, 70, (*size, 3), dtype=np.uint8)).write(path)
    session = editing.open_photo(path)
    done = [
        {"tool": "circle", "at": [0.4, 0.5], "radius": 0.2},
        {"tool": "brush", "points": [[0.4, 0.5], [0.8, 0.7]], "radius": 0.03},
        {"tool": "brush", "points": [[0.1, 0.4], [0.5, 0.4]], "radius": 0.01, "add": False},
    ]
    subject = Subject(tuple(edits.parse_edits(done)))
    mask = editing.save_mask(session, subject, tmp_path, None)
    core = images.read_mask(mask, size)
    expected = editing.areas(session, dataclasses.replace(subject, feather=0.0), None).a[0, 0] == 1
    assert np.array_equal(serialization.fitted(core, session.view.size), expected)  # loaded on the page again
    assert np.array_equal(retouch.region_mask(core).tensor, editing.areas(session, subject, None).tensor)

    (tmp_path / "s.json").write_text(json.dumps({"ranlen": 1, "subjects": [{"edits": done}]}))
    for name, by in (("mask", mask), ("edits", tmp_path / "s.json")):
        out = str(tmp_path / f"{name}.png")
        assert cli.main(["light", str(path), "-o", out, f"--{name}", str(by), "--device", "cpu"]) == 0
    lit = images.read(tmp_path / "edits.png").pixels
    assert (lit != images.read(path).pixels).any()
    assert np.array_equal(images.read(tmp_path / "mask.png").pixels, lit)
