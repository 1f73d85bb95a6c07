"""The page without a browser: what its functions do, and the endpoint for programs."""

from __future__ import annotations

import base64
import io
import json
import threading
import types

import numpy as np
import pytest
from PIL import Image

from demo import editing
from ranlen import cli, images
from ranlen.edits import EditError
from ranlen.images import Photo
from ranlen.retouch import MaskError
from ranlen.segment.choice import choose
from ranlen.segment.prompts import PromptError

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


def test_page_and_command_line_draw_the_same_from_the_same_edits(session, tmp_path):
    done = [
        {"tool": "subject", "at": [0.3, 0.4]},
        {"tool": "subject", "at": [0.4, 0.5], "add": False},
        {"tool": "part", "larger": True},
        {"tool": "brush", "points": [[0.8, 0.8]], "radius": 0.1},
    ]
    (tmp_path / "edits.json").write_text(json.dumps(done))
    photo = images.read(session.path)
    drawn, found = cli.draw(photo, tmp_path / "edits.json", "cpu")
    marked = editing.mark(session, done, 0.1, "out", choose("auto")[0])
    assert found
    assert drawn.any()
    np.testing.assert_array_equal(drawn, marked.mask.a[0, 0].numpy() > 0.5)


def test_a_frame_asks_afresh_and_parts_ask_again_at_another_level(session):
    class Recorder(Finder):
        def segment(self, prepared, prompts):
            self.asked.append(prompts)
            core = np.zeros(prepared, bool)
            core[20:60, 30 : 80 + 5 * prompts.level] = True
            return core

    finder = Recorder()
    click = {"tool": "subject", "at": [0.5, 0.5], "add": True}
    frame = {"tool": "frame", "from": [0.75, 0.8], "to": [0.25, 0.2]}
    larger, smaller = ({"tool": "part", "larger": side} for side in (True, False))
    done = [click, larger, smaller, smaller, smaller, smaller, larger, click, frame]
    marked = editing.mark(session, done, 0.1, "out", finder)
    assert [asked.level for asked in finder.asked] == [0, 1, 0, -1, -2, -2, -1, 0, 0]  # three masks, no more
    assert [asked.mask is None for asked in finder.asked] == [True] * 7 + [False, True]
    assert finder.asked[7].mask[40, 74]
    assert not finder.asked[7].mask[40, 75]  # the part that was stepped to
    assert finder.asked[8].box == (30.0, 18.0, 90.0, 72.0)
    assert finder.asked[7].box is None
    editing.mark(marked, done[:-1], 0.1, "out", finder)  # undone
    editing.mark(marked, done[:2], 0.1, "out", finder)
    assert len(finder.asked) == 9
    with pytest.raises(MaskError, match="empty"):
        editing.mark(session, [larger], 0.1, "out", finder)


def test_the_soft_edge_suits_what_was_found_and_what_was_drawn(session):
    drawn = editing.mark(session, CLICK, 0.1, None, NOBODY)
    assert np.array_equal(drawn.mask.tensor, editing.mark(session, CLICK, 0.1, "out", NOBODY).mask.tensor)
    click = [{"tool": "subject", "at": [0.5, 0.5]}]
    found = editing.mark(session, click, 0.1, None, Finder())
    assert np.array_equal(found.mask.tensor, editing.mark(session, click, 0.1, "both", Finder()).mask.tensor)


class SlowFinder(Finder):
    """Looks at a photo until it is allowed to have seen it."""

    def __init__(self):
        super().__init__()
        self.seen = threading.Event()

    def prepare(self, photo):
        assert self.seen.wait(30)
        return super().prepare(photo)


@pytest.fixture
def edit(monkeypatch, enhancers):
    """Answers of the page to a list of edits, one after another, with a given segmenter."""
    from demo import ui

    monkeypatch.setattr(ui, "load", enhancers.__getitem__)

    def edit(session, done, finder):
        monkeypatch.setattr(ui, "segmenter", lambda: (finder, "it is a test"))
        event = types.SimpleNamespace(_data={"edits": done})
        return ui.on_edit(session, 10, "Outwards", "deepupe", 1.0, event)

    return edit


def test_a_slow_look_is_told_and_nobody_else_waits_for_it(session, edit):
    finder = SlowFinder()
    answers = edit(session, [{"tool": "subject", "at": [0.5, 0.5]}], finder)
    assert next(answers)[3].startswith("Looking at the photo, 1 s so far")
    *_, other = edit(session, CLICK, finder)  # another visitor, while the first one waits
    assert "Area A" in other[3]
    finder.seen.set()
    *_, (after, _, _, status, _) = answers
    assert "Area A" in status
    *_, last = edit(after, [{"tool": "subject", "at": [0.4, 0.5]}], SlowFinder())  # seen once, never again
    assert "Area A" in last[3]


def test_what_cannot_be_answered_is_told_and_the_mask_so_far_stays(session, edit):
    class Refuses(Finder):
        def segment(self, prepared, prompts):
            raise PromptError("nothing was found there: click the subject again")

    for done, message in (
        ([{"tool": "subject", "at": [0.5, 0.5]}], "Nothing was found there: click the subject again."),
        ([{"tool": "hack"}], "Edit 1: the tool is one of"),
        ([*CLICK] * 1001, "1001 edits; at most 1000"),
    ):
        *_, (kept, _, strip, status, _) = edit(session, done, Refuses())
        assert message in status
        assert kept == strip == {"__type__": "update"}  # as they were


def test_a_broken_checkpoint_does_not_stop_the_page(tmp_path, monkeypatch):
    from demo import ui
    from ranlen.segment import checkpoints

    (tmp_path / "sam.pth").write_bytes(b"no checkpoint")
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path / "sam.pth"))
    segmenter, why = ui.segmenter.__wrapped__()
    assert segmenter.name == "grabcut"
    assert "sam.pth is damaged or not a checkpoint of SAM" in why


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
    done = [{"tool": "subject", "at": [0.5, 0.5]}, {"tool": "subject", "at": [0.02, 0.02], "add": False}]
    found = client.predict(photo=handle_file(session.path), mask=None, done=done, api_name="/light")
    assert (images.read(found).pixels[45, 60] != before[45, 60]).any()
    assert np.array_equal(images.read(found).pixels[0, 0], before[0, 0])
    with pytest.raises(AppError, match="marked both as the subject and as not"):
        client.predict(
            photo=handle_file(session.path), mask=None, done=[done[0], {**done[0], "add": False}], api_name="/light"
        )
    with pytest.raises(AppError, match="a point is two numbers from 0 to 1"):
        client.predict(photo=handle_file(session.path), mask=None, done=[{"tool": "subject"}], api_name="/light")
    with pytest.raises(AppError, match="unknown model 'best'"):
        client.predict(photo=handle_file(session.path), mask=None, model="best", api_name="/light")
    torn = tmp_path / "torn.png"
    torn.write_bytes(session.path.read_bytes()[:200])
    with pytest.raises(AppError, match="damaged or cut short"):
        client.predict(photo=handle_file(torn), mask=None, api_name="/light")


def test_the_page_offers_the_networks_that_have_weights(monkeypatch, tmp_path):
    from demo import ui

    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    assert ui.networks() == [("DeepUPE", "deepupe"), ("STAR-DCE", "star_dce")]
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    assert ui.networks() == []
