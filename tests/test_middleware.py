"""The page as strangers meet it: what is refused at the door, and that nobody sees what is another's."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import httpx
import pytest
from gradio import routes
from starlette.formparsers import MultiPartException

from benchmarks import hostile, load
from benchmarks.visitor import CLICK, EXAMPLES, MODEL, Visitor, mark_in, marked, photo_of
from demo import middleware, sessions, temp_files
from demo.middleware import RefusedError, RequestLimits
from ranlen.io import images

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"data": [NaN]}', "NaN, which is no number"),
        (b'{"data": [-Infinity]}', "-Infinity"),
        (b"[" * 1000 + b"]" * 1000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"data": [{"path": "/etc/passwd"}]}', "uploading it first"),
        (b'{"data": [{"path": "http://localhost/x"}]}', "uploading it first"),
        (b'{"data": [[{"a": {"path": "a\\u0000b"}}]]}', "uploading it first"),
        (json.dumps({"data": [{"path": "x" * 10_000}]}).encode(), "uploading it first"),
        (b'{"event_data": [1]}', '"event_data" is an object'),
    ],
)
def test_what_is_no_request_is_refused(body, message):
    with pytest.raises(RefusedError, match=message):
        middleware.check(body)


def test_uploads_are_let_in_and_ways_out_of_them_are_not(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    (uploads / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(b"x")
    (uploads / "link.png").symlink_to(tmp_path / "b.png")
    middleware.check(json.dumps({"data": [{"path": str(uploads / "a.png")}], "event_data": None}).encode())
    middleware.check(json.dumps({"data": [{"path": None}, {"path": ""}], "event_data": {"edits": []}}).encode())
    for path in (tmp_path / "b.png", uploads / "link.png", uploads / ".." / "b.png", uploads, uploads / "none.png"):
        with pytest.raises(RefusedError):
            middleware.check(json.dumps({"data": [{"path": str(path)}]}).encode())


def test_a_body_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(middleware, "MAX_BODY", 1000)
    asked, sent = 0, []

    async def receive():
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def send(message):
        sent.append(message)

    async def app(*_: object) -> None:
        pytest.fail("it came through")

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join"}
    asyncio.run(RequestLimits(app)(scope, receive, send))
    assert sent[0]["status"] == 422
    assert asked == 11


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/call/upload",
        "/gradio_api/upload/",
        "/upload",
        "/x/gradio_api/upload",
        "/gradio_api/run/upload",
        "/",
    ],
)
def test_no_path_but_that_of_uploads_takes_a_large_body(method, path, monkeypatch):
    monkeypatch.setattr(middleware, "MAX_BODY", 1000)
    assert passed(method, path, 20) == 422


def passed(method, path, parts, root=""):
    """How many bytes of so many parts of 100 come through, or the status of the refusal."""
    left, seen = parts, 0

    async def receive():
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": left > 0}

    async def app(scope, receive, send):
        nonlocal seen
        more = True
        while more:
            message = await receive()
            seen += len(message["body"])
            more = message["more_body"]

    async def send(message):
        nonlocal seen
        seen = message.get("status", seen)

    asyncio.run(RequestLimits(app)({"type": "http", "method": method, "path": path, "root_path": root}, receive, send))
    return seen


@pytest.mark.parametrize(("path", "root"), [("/gradio_api/upload", ""), ("/light/gradio_api/upload", "/light")])
def test_an_upload_comes_through_in_parts_up_to_its_limit(path, root, monkeypatch):
    monkeypatch.setattr(middleware, "MAX_BODY", 100)
    monkeypatch.setattr(middleware, "MAX_UPLOAD", 1000)
    assert passed("POST", path, 10, root) == 1000
    with pytest.raises(MultiPartException, match="maximum allowed size"):
        passed("POST", path, 11, root)
    assert passed("PUT", path, 10, root) == 422


def test_more_values_than_are_drawn_are_refused_before_they_are_objects(monkeypatch):
    monkeypatch.setattr(middleware.json, "loads", lambda *_, **__: pytest.fail("made objects"))
    for piece in (b"[],", b"{},", b"1,"):
        with pytest.raises(RefusedError, match="more than 500,000 values"):
            middleware.check(b"[" + piece * 500_001 + b"1]")


def test_every_route_refuses_a_body_over_the_limit(server, monkeypatch):
    """Whatever Gradio serves, with each method that it names; bodies without a length, too."""
    monkeypatch.setattr(middleware, "MAX_BODY", 10_000)
    monkeypatch.setattr(middleware, "MAX_UPLOAD", 20_000)
    known = hostile.routes()
    assert ("POST", "/gradio_api/queue/join") in known
    assert ("POST", "/gradio_api/exact") in known
    for method, path in [
        *known,
        ("POST", "/gradio_api/call/upload"),
        ("PUT", "/gradio_api/upload"),
        ("POST", "/%75pload"),
    ]:
        for body in (b"x" * 30_000, iter([b"x" * 1000] * 30)):
            answer = httpx.request(method, server.rstrip("/") + path, content=body, trust_env=False, timeout=60)
            upload = (method, path) == ("POST", "/gradio_api/upload")
            assert answer.status_code in ((400, 413) if upload else (422,)), (method, path)


def test_a_sound_body_arrives_whole():
    parts = [b'{"data": ', b"[1, 2]}"]

    async def receive():
        body = parts.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    async def app(scope, receive, send):
        assert (await receive())["body"] == b'{"data": [1, 2]}'
        await send("seen")

    seen = []

    async def send(message):
        seen.append(message)

    asyncio.run(RequestLimits(app)({"type": "http", "method": "POST", "path": "/x"}, receive, send))
    assert seen == ["seen"]


def test_the_folder_is_swept_of_what_is_old(tmp_path):
    for name in ("old/a.png", "old/kept.png", "new/b.png", "gone/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("old/a.png", "old/kept.png", "gone/c.png", "gone", "old"):
        os.utime(tmp_path / name, (0, 0))
    temp_files.sweep(tmp_path, 3600, {tmp_path / "old" / "kept.png"})
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")) == ["new/b.png", "old/kept.png"]
    os.utime(tmp_path / "gone", (0, 0))
    temp_files.sweep(tmp_path, 3600, set())
    assert not (tmp_path / "gone").exists()


def test_the_folder_goes_when_the_server_is_told_to_end(tmp_path):
    script = (
        "import time\nfrom demo.temp_files import private_folder\n"
        "with private_folder() as f:\n (f / 'a').write_bytes(b'x')\n print(f, flush=True)\n time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE
    )
    made = Path(process.stdout.readline().decode().strip())
    assert made.stat().st_mode & 0o777 == 0o700
    assert (made / "a").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_marks_are_found_again_and_others_not():
    plain = images.preview(images.read(EXAMPLES[0]), 320)
    for number in (0, 7, 255):
        photo = marked(plain, number)
        assert mark_in(photo) == number
        assert mark_in(images.preview(images.Photo(photo), 100)) == number
    assert mark_in(plain) == -1


def person(name):
    return types.SimpleNamespace(session_hash=name)


def opened():
    return sessions.Session(Path("a.png"), (3, 4))


def test_who_asks_is_remembered_longer_than_who_is_idle_and_a_flood_pushes_out_nobody_who_works():
    visitors = sessions.Visitors(6)
    own = {name: opened() for name in "abcdef"}
    for name, session in own.items():
        visitors.enter(person(name), session)
    assert visitors.find(person("a")) is own["a"]
    assert visitors.owner(own["b"].key) is own["b"]
    for number in range(50):
        visitors.enter(person(f"flood {number}"), opened())
    assert visitors.find(person("a")) is own["a"]
    assert visitors.owner(own["b"].key) is own["b"]
    assert visitors.find(person("c")) is None
    assert visitors.owner(own["d"].key) is None
    assert len(visitors.came) + len(visitors.asked) == 6
    for number in range(50):  # each of whom asks once, too
        visitors.enter(person(f"flood {number}"), opened())
        assert visitors.find(person(f"flood {number}"))
        assert visitors.find(person("a")) is own["a"]
    assert visitors.find(person("b")) is None


def test_encodings_of_who_is_forgotten_leave_the_queue(monkeypatch):
    closed = []
    monkeypatch.setattr(sessions.Session, "close", lambda session: closed.append(session))
    visitors, own = sessions.Visitors(2), [opened() for _ in range(4)]
    for number, session in enumerate(own):
        visitors.enter(person(str(number)), session)
    assert closed == own[:2]
    visitors.enter(person("3"), opened())  # another photo
    visitors.leave(person("2"))
    assert closed == [*own[:2], own[3], own[2]]


def test_gradio_keeps_no_answers_of_those_who_asked(server):
    visitors = [Visitor(server) for _ in range(3)]
    for number, visitor in enumerate(visitors):
        visitor.open(photo_of(number, 320), "a.png")
        visitor.close()
    pages = {each.blocks for each in gc.get_objects() if isinstance(each, routes.App) and each.blocks is not None}
    assert pages  # other tests may have left theirs
    assert max(len(page.state_holder.session_data) for page in pages) <= 1


@pytest.mark.slow
def test_hostile_requests_are_refused_in_a_sentence(server):
    for name, said in hostile.refusals(server).items():
        status, _, sentence = said.partition(" ")
        assert status in ("200", "403", "422"), (name, said)
        assert len(sentence) > 15, (name, said)
        assert "Traceback" not in sentence
        assert str(ROOT) not in sentence or "path" in name or "address" in name, (name, said)
    assert hostile.made_up_state(server) == []


@pytest.mark.slow
def test_a_crowd_sees_its_own_pictures_and_a_full_queue_says_so(server):
    seen, strange = load.crowd(server, visitors=4, seconds=0)
    assert seen > 12
    assert strange == 0
    said = load.flood(server, 70)
    assert said
    assert all(each.startswith("503 Queue is full") for each in said)
    visitor = Visitor(server)
    started = time.monotonic()
    visitor.light(visitor.upload(photo_of(1, 320), "a.png"), model=MODEL, edits=[CLICK])
    visitor.close()
    assert time.monotonic() - started < 60  # it goes on afterwards
