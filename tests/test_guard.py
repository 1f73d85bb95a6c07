"""The page as strangers meet it: what is refused at the door, and that nobody sees what is another's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import hostile, load
from benchmarks.visitor import CLICK, EXAMPLES, MODEL, Visitor, mark_in, marked, photo_of
from demo import folder, guard
from demo.guard import Guard, RefusedError
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
        guard.check(body)


def test_uploads_are_let_in_and_ways_out_of_them_are_not(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    (uploads / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(b"x")
    (uploads / "link.png").symlink_to(tmp_path / "b.png")
    guard.check(json.dumps({"data": [{"path": str(uploads / "a.png")}], "event_data": None}).encode())
    guard.check(json.dumps({"data": [{"path": None}, {"path": ""}], "event_data": {"edits": []}}).encode())
    for path in (tmp_path / "b.png", uploads / "link.png", uploads / ".." / "b.png", uploads, uploads / "none.png"):
        with pytest.raises(RefusedError):
            guard.check(json.dumps({"data": [{"path": str(path)}]}).encode())


def test_a_body_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(guard, "MAX_BODY", 1000)
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
    asyncio.run(Guard(app)(scope, receive, send))
    assert sent[0]["status"] == 422
    assert asked == 11


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

    asyncio.run(Guard(app)({"type": "http", "method": "POST", "path": "/x"}, receive, send))
    assert seen == ["seen"]


def test_the_folder_is_swept_of_what_is_old(tmp_path):
    for name in ("old/a.png", "old/kept.png", "new/b.png", "gone/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("old/a.png", "old/kept.png", "gone/c.png", "gone", "old"):
        os.utime(tmp_path / name, (0, 0))
    folder.sweep(tmp_path, 3600, {tmp_path / "old" / "kept.png"})
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")) == ["new/b.png", "old/kept.png"]
    os.utime(tmp_path / "gone", (0, 0))
    folder.sweep(tmp_path, 3600, set())
    assert not (tmp_path / "gone").exists()


def test_the_folder_goes_when_the_server_is_told_to_end(tmp_path):
    script = (
        "import time\nfrom demo.folder import private_folder\n"
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
