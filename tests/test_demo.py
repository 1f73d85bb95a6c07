"""The page without a browser: what its functions do, and the endpoint for programs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import inspect
import io
import json
import threading
import types
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demo import api, editing, handlers, models, serialization, sessions
from ranlen import retouch
from ranlen.arrays import resize
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks.edits import EditError, parse_edits
from ranlen.models import weights
from ranlen.recipe import Recipe, Subject, parse_recipe
from ranlen.retouch import MaskError
from ranlen.segment.prompts import PromptError

CLICK = [{"tool": "circle", "at": [0.5, 0.5], "radius": 0.2}]


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

    def part(self, prepared, prompts):
        return 2 + prompts.level, 5


NOBODY = None  # no edit asks for a segmenter


def decode(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.fixture
def session(tmp_path):
    y, x = np.mgrid[:90, :120]
    pixels = np.stack([40 + x / 4, 40 + y / 4, 50 + 0 * x], -1).astype(np.uint8)
    Photo(pixels).write(tmp_path / "holiday.PNG")
    return editing.open_photo(tmp_path / "holiday.PNG")


def subject(edits, feather=0.1, feather_side="out", degree=1.0):
    return Subject(tuple(parse_edits(edits)), degree, feather, feather_side)


class CountingLoad:
    def __init__(self, networks):
        self.networks, self.names = networks, []

    def __call__(self, name):
        self.names.append(name)
        return self.networks[name]


@pytest.fixture
def load(networks):
    return CountingLoad(networks)


def test_each_network_runs_once_per_mask_and_global_once_per_photo(session, load):
    def lights(one):
        return {m: editing.lighting(session, one, f"deepupe-{m}", NOBODY, load) for m in handlers.METHODS}

    first = lights(subject(CLICK))
    assert sorted(load.names) == ["deepupe-concat", "deepupe-global", "deepupe-ranlen"]
    lights(subject(CLICK, degree=0.3))
    moved = lights(subject([{**CLICK[0], "at": [0.4, 0.4]}]))
    assert sorted(load.names[3:]) == ["deepupe-concat", "deepupe-ranlen"]
    assert moved["global"] is first["global"]


def test_two_who_ask_for_the_same_at_a_time_get_one_answer():
    kept, started, go = sessions.SingleFlight(2), threading.Event(), threading.Event()

    def slow():
        started.set()
        assert go.wait(30)
        return object()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(kept.get, "a", slow)
        assert started.wait(30)
        two = pool.submit(kept.get, "a", lambda: pytest.fail("made twice"))
        go.set()
        assert one.result() is two.result()
    assert "a" in kept
    with pytest.raises(ZeroDivisionError):
        kept.get("b", lambda: 1 / 0)
    assert kept.get("b", lambda: 2) == 2  # an error is not kept
    kept.get("c", lambda: 3)
    assert "a" not in kept


def test_clicks_are_answered_once_each_with_the_answer_so_far(session):
    finder = Finder()
    first = {"tool": "subject", "at": [0.5, 0.5], "add": True}
    second = {"tool": "subject", "at": [0.25, 0.5], "add": False}
    one = editing.areas(session, subject([first]), finder)
    assert one.a[0, 0, 45, 60] == 1
    assert one.c[0, 0, 45, 5] == 1
    answer = next(iter(session.answers.values()))
    editing.areas(session, subject([first, second]), finder)
    assert len(finder.asked) == 2
    assert finder.asked[1].outside == ((30.0, 45.0),)
    assert np.array_equal(finder.asked[1].mask, answer)
    editing.areas(session, subject([first], feather=0.2), finder)
    painted = editing.areas(session, subject([first, {"tool": "brush", "points": [[0.1, 0.5]], "radius": 0.1}]), finder)
    assert (len(finder.asked), finder.prepared) == (2, 1)
    assert painted.a[0, 0, 45, 60] == painted.a[0, 0, 45, 12] == 1
    with pytest.raises(MaskError, match="empty"):
        editing.areas(session, subject([second]), finder)


def test_a_frame_asks_afresh_and_parts_ask_again_at_another_level(session):
    class Recorder(Finder):
        def segment(self, prepared, prompts):
            self.asked.append(prompts)
            core = np.zeros(prepared, bool)
            core[20:60, 30 : 80 + 5 * prompts.level] = True
            return core

    finder = Recorder()
    click = {"tool": "subject", "at": [0.5, 0.5], "add": True}
    frame = {"tool": "bounding_box", "from": [0.75, 0.8], "to": [0.25, 0.2]}
    larger, smaller = ({"tool": "part", "larger": side} for side in (True, False))
    done = [click, larger, smaller, smaller, smaller, smaller, larger, click, frame]
    editing.areas(session, subject(done), finder)
    assert [asked.level for asked in finder.asked] == [0, 1, 0, -1, -2, -2, -1, 0, 0]  # three masks, no more
    assert [asked.mask is None for asked in finder.asked] == [True] * 7 + [False, True]
    assert finder.asked[7].mask[40, 74]
    assert not finder.asked[7].mask[40, 75]  # the part that was stepped to
    assert finder.asked[8].box == (30.0, 18.0, 90.0, 72.0)
    assert finder.asked[7].box is None
    editing.areas(session, subject(done[:-1]), finder)  # undone
    editing.areas(session, subject(done[:2]), finder)
    assert len(finder.asked) == 9
    with pytest.raises(MaskError, match="empty"):
        editing.areas(session, subject([larger]), finder)


def test_a_question_about_another_photo_or_one_whose_file_is_gone_is_not_answered(session, ask):
    questions = (handlers.on_edit, handlers.on_compare, handlers.on_save, handlers.on_mask)
    for question in questions:
        assert list(ask(question, session, asks(CLICK) | {"key": "of another photo"})) == [{"lost": True}]
    *_, said = ask(handlers.on_edit, session, asks(CLICK) | {"key": session.key})
    assert said["done"]
    session.path.unlink()
    for question in questions:
        assert list(ask(question, session, asks(CLICK) | {"key": session.key})) == [{"lost": True}]


def test_which_part_a_subject_is_is_told_with_its_light(session, ask):
    click, smaller = {"tool": "subject", "at": [0.5, 0.5]}, {"tool": "part", "larger": False}
    for done, part in (([click], [2, 5]), ([click, smaller], [1, 5]), (CLICK, None), ([*CLICK, smaller], None)):
        *_, said = ask(handlers.on_edit, session, asks(done), Finder())
        assert said["marks"]["0"]["part"] == part


def test_the_soft_edge_suits_what_was_found_and_what_was_drawn(session):
    drawn = [editing.areas(session, subject(CLICK, feather_side=side), NOBODY).tensor for side in (None, "out")]
    assert np.array_equal(*drawn)
    click = [{"tool": "subject", "at": [0.5, 0.5]}]
    found = [editing.areas(session, subject(click, feather_side=side), Finder()).tensor for side in (None, "both")]
    assert np.array_equal(*found)


class SlowFinder(Finder):
    """Looks at a photo until it is allowed to have seen it."""

    def __init__(self):
        super().__init__()
        self.seen = threading.Event()

    def prepare(self, photo):
        assert self.seen.wait(30)
        return super().prepare(photo)


def answered(question):
    """What a question is answered, one after another, as Gradio asks for it."""
    if isinstance(question, dict):
        yield question
    elif inspect.iscoroutine(question):
        yield asyncio.run(question)
    else:
        with contextlib.closing(asyncio.new_event_loop()) as loop, contextlib.suppress(StopAsyncIteration):
            while True:
                yield loop.run_until_complete(question.__anext__())


@pytest.fixture
def ask(monkeypatch, networks):
    """Answers of the page to a visitor with a session, one after another, with a given segmenter."""
    monkeypatch.setattr(models, "load", networks.__getitem__)
    monkeypatch.setattr(sessions, "VISITORS", sessions.Visitors(2))

    def ask(question, session, data, finder=NOBODY):
        monkeypatch.setattr(models, "segmenter", lambda: (finder, "it is a test"))
        request = types.SimpleNamespace(session_hash=f"visitor {id(session)}")
        if session is not None:
            sessions.VISITORS.enter(request, session)
        for answer in answered(question(types.SimpleNamespace(_data=data), request)):
            (said,) = [json.loads(value) for key, value in answer.items() if key != "__type__"]
            yield said

    return ask


def asks(done, **more):
    return {"recipe": {"ranlen": 1, "subjects": [{"edits": done, **more}]}, "wanted": [0]}


def test_a_slow_look_is_told_and_nobody_else_waits_for_it(session, ask):
    finder = SlowFinder()
    answers = ask(handlers.on_edit, session, asks([{"tool": "subject", "at": [0.5, 0.5]}]), finder)
    assert "encoding" in next(answers)
    other = editing.open_photo(session.path)
    *_, last = ask(handlers.on_edit, other, asks(CLICK))  # another visitor, while the first one waits
    assert last["done"]
    finder.seen.set()
    *_, last = ask(handlers.on_edit, session, asks([{"tool": "subject", "at": [0.5, 0.5]}]), finder)
    assert last["marks"]["0"]["shares"][0] > 0
    *_, last = ask(handlers.on_edit, session, asks([{"tool": "subject", "at": [0.4, 0.5]}]), finder)
    assert last["done"]
    assert finder.prepared == 1  # seen once, never again


def test_who_waits_for_a_look_holds_no_place_and_only_the_last_question_waits(session, ask, monkeypatch):
    """More visitors wait than there are places of any kind; a circle is answered meanwhile."""
    finder = SlowFinder()
    others = [editing.open_photo(session.path) for _ in range(12)]
    found = asks([{"tool": "subject", "at": [0.5, 0.5]}])

    async def all_at_once():
        monkeypatch.setattr(models, "segmenter", lambda: (finder, "it is a test"))
        monkeypatch.setattr(sessions, "VISITORS", sessions.Visitors(40))

        def question(name, data, function=handlers.on_edit):
            request = types.SimpleNamespace(session_hash=name)
            return function(types.SimpleNamespace(_data=data), request)

        for number, each in enumerate([*others, session]):
            sessions.VISITORS.enter(types.SimpleNamespace(session_hash=str(number)), each)
        waiting = [question(str(number), found) for number in range(12)]
        assert all(["encoding" in json.dumps(await anext_of(each)) for each in waiting])
        saving = [asyncio.ensure_future(anext_of(question(str(n), found, handlers.on_save))) for n in range(3)]
        comparing = [
            asyncio.ensure_future(question(str(n), {**found, "index": 0}, handlers.on_compare)) for n in range(9)
        ]
        await asyncio.sleep(0.2)
        said = [json.dumps(each) async for each in question("12", asks(CLICK))]
        assert '\\"done\\": true' in said[-1]
        path = [json.dumps(each) async for each in question("12", asks(CLICK), handlers.on_save)]
        assert "holiday_ranlen.png" in path[-1]
        assert not any(each.done() for each in (*saving, *comparing))
        newer = question("0", asks([{"tool": "subject", "at": [0.4, 0.5]}]))
        assert "encoding" in json.dumps(await anext_of(newer))
        assert [each async for each in waiting[0]] == []  # ends, for it is not waited for any more
        sessions.VISITORS.enter(types.SimpleNamespace(session_hash="1"), session)
        assert "lost" in [json.dumps(each) async for each in waiting[1]][-1]  # its look has left the queue
        finder.seen.set()
        assert '\\"done\\": true' in [json.dumps(each) async for each in newer][-1]
        assert "the photo is gone" in json.dumps(await saving[1])
        assert "photo is gone" in json.dumps(await comparing[1])
        await asyncio.gather(*saving, *comparing)

    async def anext_of(answers):
        return await answers.__anext__()

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(session.path.parent))
    asyncio.run(all_at_once())


def test_the_lock_of_the_networks_is_held_while_one_runs_and_at_no_other_time(session, load, monkeypatch):
    held = {}

    def noting(module, name):
        real = getattr(module, name)

        def noted(*arguments, **named):
            held.setdefault(name, []).append(models.NETWORK.locked())
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, noted)

    noting(retouch, "predict")
    noting(retouch, "render")
    noting(images, "read")
    noting(images, "write_atomically")
    monkeypatch.setattr(models, "load", load)
    monkeypatch.setattr(models, "segmenter", lambda: (NOBODY, "it is a test"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(session.path.parent))
    whole = {"ranlen": 1, "subjects": [{"edits": CLICK}]}
    for ask in (api.light(str(session.path), edits=CLICK), api.light(str(session.path), edits=whole)):
        asyncio.run(ask)
    asyncio.run(api.compare(str(session.path), edits=CLICK))
    list(editing.save(session, Recipe((subject(CLICK),)), "same", session.path.parent, NOBODY, load))
    assert len(held["predict"]) == 7
    assert all(held.pop("predict"))
    assert set(held) == {"render", "read", "write_atomically"}
    assert not any(any(each) for each in held.values())


def test_what_cannot_be_answered_is_told(session, ask):
    class Refuses(Finder):
        def segment(self, prepared, prompts):
            raise PromptError("nothing was found there: click the subject again")

    for done, message in (
        ([{"tool": "subject", "at": [0.5, 0.5]}], "Nothing was found there: click the subject again."),
        ([{"tool": "hack"}], "Edit 1: the tool is one of"),
        ([*CLICK] * 1001, "1001 edits; at most 1000"),
        ([{"ref": "e1"}], "Edit 1: the tool is one of"),
    ):
        *_, said = ask(handlers.on_edit, session, asks(done), Refuses())
        assert message in said["error"]
    *_, said = ask(handlers.on_edit, session, asks([{"tool": "circle", "at": [0.5, 0.5], "radius": 2}]))
    assert "covers the whole photo" in said["marks"]["0"]["error"]
    assert list(ask(handlers.on_edit, None, asks(CLICK))) == [{"lost": True}]


def test_only_uploads_are_read(session, ask, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    for path in (session.path, "/etc/passwd", f"{tmp_path}/uploads/../holiday.PNG", None, 7, ["x"]):
        for question in (handlers.on_open, handlers.on_mask):
            (said,) = ask(question, session, {"path": str(path) if path == session.path else path})
            assert said == {"error": "The upload is gone; open the photo again."}
    (said,) = ask(handlers.on_open, None, {"example": "../../secret"})
    assert "error" in said


def test_a_closed_tab_leaves_nothing_that_can_be_worked_out_again(session, load):
    visitors, request = sessions.Visitors(2), gr.Request(session_hash="a")
    editing.lighting(session, subject(CLICK), "deepupe-ranlen", NOBODY, load)
    visitors.enter(request, session)
    visitors.leave(request)
    left = visitors.came["a"]
    assert (left.path, left.key) == (session.path, session.key)
    assert not any(kept.results for kept in (left.views, left.embeddings, left.masks, left.lights))
    assert np.array_equal(left.view.pixels, session.view.pixels)  # read again
    for name in "bc":
        visitors.enter(gr.Request(session_hash=name), session)
    assert visitors.find(request) is None


def test_a_broken_checkpoint_does_not_stop_the_page(tmp_path, monkeypatch):
    from ranlen.segment import checkpoints

    (tmp_path / "sam.pth").write_bytes(b"no checkpoint")
    monkeypatch.delenv("RANLEN_SEGMENTER", raising=False)
    monkeypatch.setenv(checkpoints.VARIABLE, str(tmp_path / "sam.pth"))
    segmenter, why = models.segmenter.__wrapped__()
    assert segmenter.name == "grabcut"
    assert "sam.pth is damaged or not a checkpoint of SAM" in why


def unpack(packed):
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8).reshape(2, -1)
    steps = (low + 256 * high.astype(np.uint16)).reshape(packed["size"])
    return packed["low"] + np.cumsum(steps, 1, dtype=np.uint16) * (packed["high"] - packed["low"]) / 4095


@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_a_packed_light_is_small_and_true(session, load, backbone):
    light = editing.lighting(session, subject(CLICK), f"{backbone}-ranlen", NOBODY, load)
    packed = serialization.packed_light(light, session.view)
    left, top, width, height = packed["box"]
    part = (slice(top, top + height), slice(left, left + width))
    attenuation = light.attenuation[0, 0]
    assert np.abs(unpack(packed["attenuation"])[..., 0] - attenuation[part]).max() <= 0.5 / 4095 + 1e-6
    assert not np.delete(np.delete(attenuation, np.r_[part[0]], 0), np.r_[part[1]], 1).any()
    lit = retouch.render(session.view, light, 2.0)
    assert serialization.changed(session.view, lit)[2] <= width
    if backbone == "deepupe":
        maps = unpack(packed["maps"])
        step = (packed["maps"]["high"] - packed["maps"]["low"]) / 4095
        expected = resize(light.field.maps, session.view.size)[0].transpose(1, 2, 0)[part]
        near = cv2.dilate((attenuation > 0).astype(np.uint8), np.ones((3, 3), np.uint8))  # a larger photo's
        assert (np.abs(maps - expected).max(2)[near[part] > 0] <= step / 2 + 1e-6).all()
        assert near.any(1).sum() == height
    assert len(json.dumps(packed)) < 200_000


def test_outlines_run_around_the_areas(session):
    found = serialization.outlines(editing.areas(session, subject(CLICK), NOBODY))
    (line,) = found["a"]
    away = np.hypot(np.array(line[::2]) - 59.5, np.array(line[1::2]) - 44.5)
    assert np.allclose(away, 18, atol=1.5)
    assert sum(found["shares"]) == pytest.approx(1, abs=0.001)


def test_methods_in_words(session, load):
    one = subject(CLICK)
    mask = editing.areas(session, one, NOBODY)
    words = {}
    for method in handlers.METHODS:
        light = editing.lighting(session, one, f"deepupe-{method}", NOBODY, load)
        words[method] = serialization.in_words(session.view, retouch.render(session.view, light, 1.0), mask)
    assert words["global"][2].endswith("% changed")
    for method in ("blend", "concat", "ranlen"):
        assert words[method][2] == "Background untouched"
        assert words[method][1].startswith("Edge ")
    assert serialization.in_words(session.view, session.view, mask)[0] == "Subject +0.0 stops"


def test_saving_writes_the_photos_own_kind_at_full_size(session, load, tmp_path):
    done = Recipe((subject(CLICK), subject([])))
    *steps, path = editing.save(session, done, "same", tmp_path, NOBODY, load)
    assert steps == ["Reading the photo", "Lighting it at full size", "Writing holiday_ranlen.png"]
    assert path.name == "holiday_ranlen.png"
    lit = images.read(path)
    assert lit.size == (90, 120)
    assert np.array_equal(lit.pixels[0, 0], images.read(session.path).pixels[0, 0])
    mask = editing.save_mask(session, done.subjects[0], tmp_path, NOBODY)
    assert np.array_equal(
        images.read_mask(mask, (90, 120)),
        editing.areas(session, subject(CLICK, feather=0), NOBODY).a[0, 0] == 1,
    )


def test_edits_that_make_no_sense_are_told(session):
    with pytest.raises(MaskError, match="empty"):
        editing.areas(session, subject([]), NOBODY)
    with pytest.raises(EditError, match="edit 1"):
        parse_recipe(asks([{"tool": "hack"}])["recipe"])
    for wrong in (None, 7, "x", [7], {"ranlen": 1}, {"ranlen": 1, "subjects": [None]}, {"ranlen": 1, "subjects": [{}]}):
        with pytest.raises(EditError):
            parse_recipe(wrong)


def test_programs_light_a_photo_through_the_endpoint(server, session, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(server, verbose=False)
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/light", "/compare", "/segment"]
    lit = client.predict(
        photo=handle_file(session.path), mask=None, x=0.5, y=0.5, model="star_dce-ranlen", api_name="/light"
    )
    assert lit.endswith("holiday_ranlen.png")
    before, after = images.read(session.path).pixels, images.read(lit).pixels
    assert (before[45, 60] != after[45, 60]).any()
    assert np.array_equal(before[0, 0], after[0, 0])
    done = [{"tool": "subject", "at": [0.5, 0.5]}, {"tool": "subject", "at": [0.02, 0.02], "add": False}]
    found = client.predict(photo=handle_file(session.path), mask=None, edits=done, api_name="/light")
    assert (images.read(found).pixels[45, 60] != before[45, 60]).any()
    assert np.array_equal(images.read(found).pixels[0, 0], before[0, 0])
    mask = client.predict(photo=handle_file(session.path), edits=done, api_name="/segment")
    assert images.read_mask(mask, (90, 120))[45, 60]
    sheet = client.predict(photo=handle_file(session.path), mask=handle_file(mask), api_name="/compare")
    assert images.read(sheet).size[0] > 90
    recipe = {"ranlen": 1, "backbone": "star_dce", "subjects": [{"edits": CLICK, "degree": 0.5}]}
    told = client.predict(photo=handle_file(session.path), mask=None, edits=recipe, api_name="/light")
    assert (images.read(told).pixels[45, 60] != before[45, 60]).any()
    with pytest.raises(AppError, match="marked both as the subject and as not"):
        client.predict(
            photo=handle_file(session.path), mask=None, edits=[done[0], {**done[0], "add": False}], api_name="/light"
        )
    with pytest.raises(AppError, match="a point is two numbers from 0 to 1"):
        client.predict(photo=handle_file(session.path), mask=None, edits=[{"tool": "subject"}], api_name="/light")
    with pytest.raises(AppError, match="unknown model 'none such'"):
        client.predict(photo=handle_file(session.path), mask=None, model="none such", api_name="/light")
    torn = tmp_path / "torn.png"
    torn.write_bytes(session.path.read_bytes()[:200])
    with pytest.raises(AppError, match="damaged or cut short"):
        client.predict(photo=handle_file(torn), mask=None, api_name="/light")


def test_the_page_offers_the_networks_that_have_weights(monkeypatch, tmp_path):
    from demo import ui

    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    there = {path.stem.partition("-")[0] for path in weights.shipped().glob("*-ranlen.safetensors")}
    assert ("DeepUPE", "deepupe") in ui.networks()
    assert {name for _, name in ui.networks()} == there
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    assert ui.networks() == []
