"""The page without a browser: what its functions do, and the endpoint for programs."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from demo import editing
from ranlen import images
from ranlen.edits import EditError
from ranlen.images import Photo
from ranlen.retouch import MaskError

CLICK = [{"tool": "click", "at": [0.5, 0.5], "radius": 0.2}]


class Finder:
    """A segmenter that marks a square around the last click and remembers what it was asked."""

    name = "finder"

    def __init__(self):
        self.prepared, self.asked = 0, []

    def prepare(self, photo):
        self.prepared += 1
        return photo.size

    def segment(self, prepared, prompts):
        self.asked.append(prompts)
        x, y = (int(value) for value in prompts.inside[-1])
        core = np.zeros(prepared, bool)
        core[y - 10 : y + 10, x - 10 : x + 10] = True
        return core


NOBODY = None  # no edit asks for a segmenter


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.fixture
def session(tmp_path):
    y, x = np.mgrid[:90, :120]
    pixels = np.stack([40 + x / 4, 40 + y / 4, 50 + 0 * x], -1).astype(np.uint8)
    Photo(pixels).write(tmp_path / "holiday.PNG")
    return editing.open_photo(tmp_path / "holiday.PNG")


class CountingLoad:
    def __init__(self, enhancers):
        self.enhancers, self.names = enhancers, []

    def __call__(self, name):
        self.names.append(name)
        return self.enhancers[name]


@pytest.fixture
def load(enhancers):
    return CountingLoad(enhancers)


def test_each_network_runs_once_per_mask_and_global_once_per_photo(session, load):
    session = editing.predict(editing.mark(session, CLICK, 0.1, "out", NOBODY), "deepupe", load)
    assert load.names == ["deepupe-global", "deepupe-concat", "deepupe-ranlen"]
    again = editing.predict(session, "deepupe", load)
    moved = editing.predict(editing.mark(again, [{**CLICK[0], "at": [0.4, 0.4]}], 0.1, "out", NOBODY), "deepupe", load)
    assert load.names[3:] == ["deepupe-concat", "deepupe-ranlen"]
    assert moved.lightings["deepupe-global"] is session.lightings["deepupe-global"]


def test_clicks_are_answered_once_each_with_the_answer_so_far(session):
    finder = Finder()
    first = {"tool": "subject", "at": [0.5, 0.5], "add": True}
    second = {"tool": "subject", "at": [0.25, 0.5], "add": False}
    one = editing.mark(session, [first], 0.1, "out", finder)
    assert one.mask.a[0, 0, 45, 60] == 1
    assert one.mask.c[0, 0, 45, 5] == 1
    two = editing.mark(one, [first, second], 0.1, "out", finder)
    assert len(finder.asked) == 2
    assert finder.asked[1].outside == ((30.0, 45.0),)
    assert np.array_equal(finder.asked[1].mask, one.found[next(iter(one.found))])
    undone = editing.mark(two, [first], 0.1, "out", finder)
    painted = editing.mark(
        undone, [first, {"tool": "brush", "points": [[0.1, 0.5]], "radius": 0.1}], 0.1, "out", finder
    )
    assert (len(finder.asked), finder.prepared) == (2, 1)
    assert painted.mask.a[0, 0, 45, 60] == painted.mask.a[0, 0, 45, 12] == 1
    with pytest.raises(MaskError, match="empty"):
        editing.mark(session, [second], 0.1, "out", finder)


def test_all_methods_are_shown_under_one_degree(session, load):
    session = editing.predict(editing.mark(session, CLICK, 0.1, "out", NOBODY), "star_dce", load)
    strip = editing.strip(session, "star_dce", 0.0)
    assert list(strip) == ["global", "blend", "concat", "ranlen"]
    pictures = [np.asarray(decode(uri)) for uri in strip.values()]
    for picture in pictures[1:]:
        assert np.array_equal(picture, pictures[0])  # degree 0: the photo, four times
    lit = np.asarray(decode(editing.lit(session, "star_dce-ranlen", 1.0)))
    assert lit.shape == (90, 120, 3)
    assert np.abs(lit.astype(int) - pictures[0])[45, 60].max() > 2


def test_the_overlay_shows_the_areas(session):
    session = editing.mark(session, CLICK, 0.1, "out", NOBODY)
    overlay = np.asarray(decode(editing.areas(session.mask)))
    assert overlay.shape == (90, 120, 4)
    c = session.mask.c[0, 0].numpy() == 1
    assert (overlay[c][:, 3] == 0).all()
    assert (overlay[session.mask.a[0, 0].numpy() == 1][:, 3] > 0).all()


def test_saving_writes_the_photos_own_kind_at_full_size(session, load, tmp_path):
    session = editing.predict(editing.mark(session, CLICK, 0.1, "out", NOBODY), "deepupe", load)
    path = editing.save(session, "deepupe-ranlen", 1.0, tmp_path)
    assert path.name == "holiday_ranlen.png"
    lit = images.read(path)
    assert lit.size == (90, 120)
    assert np.array_equal(lit.pixels[0, 0], images.read(session.path).pixels[0, 0])


def test_edits_that_mark_nothing_or_make_no_sense_are_told(session):
    with pytest.raises(MaskError, match="empty"):
        editing.mark(session, [], 0.1, "out", NOBODY)
    with pytest.raises(EditError, match="edit 1"):
        editing.mark(session, [{"tool": "hack"}], 0.1, "out", NOBODY)
    assert editing.unmark(editing.mark(session, CLICK, 0.1, "out", NOBODY)).mask is None


def test_programs_light_a_photo_through_the_endpoint(server, session, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(server, verbose=False)
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/light"]
    lit = client.predict(
        photo=handle_file(session.path), mask=None, x=0.5, y=0.5, model="star_dce-ranlen", api_name="/light"
    )
    assert lit.endswith("holiday_ranlen.png")
    before, after = images.read(session.path).pixels, images.read(lit).pixels
    assert (before[45, 60] != after[45, 60]).any()
    assert np.array_equal(before[0, 0], after[0, 0])
    with pytest.raises(AppError, match="unknown model 'best'"):
        client.predict(photo=handle_file(session.path), mask=None, model="best", api_name="/light")
    torn = tmp_path / "torn.png"
    torn.write_bytes(session.path.read_bytes()[:200])
    with pytest.raises(AppError, match="damaged or cut short"):
        client.predict(photo=handle_file(torn), mask=None, api_name="/light")


def test_every_name_the_page_asks_for_is_a_model():
    from demo import ui
    from ranlen.backbones import BACKBONES

    assert set(ui.LABELS) == set(BACKBONES)
