"""A crowd on the page: `python -m benchmarks.load`; twenty visitors at once, hostile requests, memory over many.

Each visitor's photo carries a mark, and every picture that comes back is looked at for it.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks import hostile
from benchmarks.visitor import CLICK, FIND, MODEL, RefusalError, Visitor, mark_in, photo_of, pictures
from ranlen.io import images

ROOT = Path(__file__).parent.parent


class Server:
    """`python app.py` on a free port, with its folder of files and what it says."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        (folder / "tmp").mkdir()
        environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(folder / "tmp")}
        environment |= {"HF_HUB_OFFLINE": "1", "NO_PROXY": "*", "SECRET_TOKEN": "do-not-log-me"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        until = time.monotonic() + 400
        while time.monotonic() < until:
            try:
                Visitor(self.url).close()
                return
            except OSError:
                time.sleep(0.5)
            except Exception:  # not yet an answer
                time.sleep(0.5)
        raise RuntimeError(f"the page did not start: {self.log.read_text()[-2000:]}")

    def memory(self) -> int:
        """Bytes that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def files(self) -> list[Path]:
        """What lies in its temporary folders."""
        return [path for path in (self.folder / "tmp").rglob("*") if path.is_file()]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        running = Server(Path(folder))
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait()


def visit(url: str, number: int, seconds: float) -> tuple[int, int]:
    """One visitor on the page and at the endpoint, in turn; how many pictures were seen, and how many were wrong."""
    visitor, data = Visitor(url), photo_of(number)
    own = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    at = [0.2 + 0.6 * (number % 7) / 6, 0.2 + 0.4 * (number % 5) / 4]  # each clicks elsewhere
    seen = wrong = 0

    def look(answer: Any) -> None:
        nonlocal seen, wrong
        for picture in pictures(answer):
            seen += 1
            wrong += mark_in(np.asarray(picture.convert("RGB"))) != number

    until = time.monotonic() + seconds
    look(politely(lambda: visitor.open(data, f"{number}.png")))
    while True:
        done = [{**CLICK, "at": at, "radius": 0.1}]
        politely(lambda: visitor.edit(done))  # noqa: B023
        left, top, width, height = politely(lambda: visitor.exact(done))  # noqa: B023
        middle = ((left + width / 2) / own.shape[1], (top + height / 2) / own.shape[0])
        seen += 1  # what is lit lies around this visitor's click
        wrong += max(abs(middle[0] - at[0]), abs(middle[1] - at[1])) > 0.08
        sent = visitor.upload(data, "photo.png")  # all under one name
        answer = politely(lambda: visitor.light(sent, model=MODEL, edits=done))  # noqa: B023
        lit = np.asarray(Image.open(io.BytesIO(visitor.fetch(answer["data"][0]))).convert("RGB"))
        seen += 1
        height = len(own)
        lower = slice(height - height // 10, None)  # in Area C: to the byte
        wrong += lit.shape != own.shape or mark_in(lit) != number or not np.array_equal(lit[lower], own[lower])
        if time.monotonic() > until:
            visitor.close()
            return seen, wrong


def politely(ask: Callable[[], Any]) -> Any:
    """Ask again, a little later, while the queue is full."""
    for _ in range(200):
        try:
            return ask()
        except RefusalError as refusal:
            if refusal.status != 503:
                raise
            time.sleep(1)
    raise RuntimeError("the queue stays full")


def by_client(url: str, number: int, folder: Path) -> int:
    """One request through gradio_client, with a mask; whether what came back is somebody else's."""
    from gradio_client import Client, handle_file

    own = folder / str(number)
    own.mkdir()
    (own / "photo.png").write_bytes(photo_of(number))
    photo = images.read(own / "photo.png")
    core = np.zeros(photo.size, bool)
    core[20 + 5 * number : 60 + 5 * number, 20 + 10 * number : 60 + 10 * number] = True
    images.mask_photo(core).write(own / "mask.png")
    client = Client(url, verbose=False, download_files=str(own), httpx_kwargs={"timeout": 300})
    files = {"photo": handle_file(own / "photo.png"), "mask": handle_file(own / "mask.png")}
    lit = images.read(client.predict(**files, feather=0.0, model=MODEL, api_name="/light"))
    return int(mark_in(lit.pixels) != number or not np.array_equal(lit.pixels[~core], photo.pixels[~core]))


def crowd(url: str, visitors: int, seconds: float) -> tuple[int, int]:
    """All at once, half of them through gradio_client too; pictures seen, and how many were somebody else's."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2 * visitors) as pool:
        pages = [pool.submit(visit, url, number, seconds) for number in range(visitors)]
        clients = [pool.submit(by_client, url, number, Path(folder)) for number in range(visitors // 2)]
        counts = [page.result() for page in pages]
        strange = sum(client.result() for client in clients)
    return sum(seen for seen, _ in counts) + len(clients), sum(wrong for _, wrong in counts) + strange


def memory(running: Server, requests: int) -> tuple[float, float]:
    """MiB after a fifth of as many requests, each of a new visitor, and after all of them."""
    data, held = photo_of(1, 320), []
    for number in range(requests + 1):
        if number in (requests // 5, requests):
            held.append(running.memory() / 2**20)
        visitor = Visitor(running.url)
        visitor.light(visitor.upload(data, "photo.png"), model=MODEL, edits=[CLICK])
        visitor.close()
    return held[0], held[1]


def abuse(running: Server, seconds: float) -> tuple[float, int, list[str]]:
    """Two abusers for a while: bodies over the limit on all routes, huge edits, one new session after the other.

    Returns:
        MiB that the server grew by at most; how many requests were sent; what was answered with a 500 or not refused.
    """
    until, before, wrong = time.monotonic() + seconds, running.memory(), []
    most = sent = 0
    large = b'{"data": [' + b"0," * (8 * 2**20) + b"0]}"
    huge = {"tool": "brush", "points": [[0.5, 0.5]] * 100_000, "radius": 0.1}

    def bodies() -> None:
        nonlocal sent
        with httpx.Client(trust_env=False, timeout=120) as web:
            for method, path in itertools.cycle(hostile.routes()):
                if time.monotonic() > until:
                    return
                sent += 1
                try:
                    status = web.request(method, running.url + path, content=large).status_code
                except httpx.HTTPError:  # refused before all of it was sent
                    continue
                if status not in (400, 413, 422):
                    wrong.append(f"{method} {path}: {status}")

    def sessions() -> None:
        nonlocal sent
        while time.monotonic() < until:
            visitor = Visitor(running.url)
            try:
                visitor.open(photo_of(sent % 200, 320), "a.png")
                visitor.edit([huge])
                visitor.edit([{**CLICK, "id": str(sent), "junk": [0] * 200_000}])
            except RefusalError:
                pass
            sent += 1
            visitor.close()

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(bodies), pool.submit(sessions)]
        while not all(each.done() for each in both):
            most = max(most, running.memory() - before)
            time.sleep(0.2)
        for each in both:
            each.result()
    return most / 2**20, sent, wrong


def left(running: Server, visitors: int) -> tuple[float, float, float]:
    """MiB before the visitors came, with all of them there, and after the last one has left."""
    first = Visitor(running.url)  # brings the networks into memory
    politely(lambda: first.open(photo_of(0), "a.png"))
    politely(lambda: first.edit([CLICK, FIND]))
    first.close()
    time.sleep(2)
    before = running.memory()
    there = []
    for number in range(visitors):
        visitor = Visitor(running.url)
        visitor.stay()
        politely(lambda: visitor.open(photo_of(number, 900 + 10 * number), "a.png"))  # noqa: B023
        for at in ([0.3, 0.4], [0.5, 0.5]):
            politely(lambda: visitor.edit([{**FIND, "at": at}, CLICK]))  # noqa: B023
        there.append(visitor)
    full = running.memory()
    for visitor in there:
        visitor.close()
    time.sleep(10)
    return before / 2**20, full / 2**20, running.memory() / 2**20


def flood(url: str, requests: int = 60) -> list[str]:
    """What is said to those whom the queue has no room for."""
    visitor, said = Visitor(url), []
    question = visitor.asked(visitor.upload(photo_of(1, 320), "photo.png"), model=MODEL, edits=[CLICK])
    for _ in range(requests):
        try:
            visitor.join(*question)
        except RefusalError as refusal:
            said.append(f"{refusal.status} {refusal}")
    for message in visitor.messages():  # until all that got in are answered
        if message["msg"] == "close_stream":
            break
    visitor.close()
    return said


def leave(running: Server, events: int = 15) -> float:
    """Seconds until nothing waits and nothing runs any more, after a visitor with many events went away."""
    visitor = Visitor(running.url)
    question = visitor.asked(visitor.upload(photo_of(1, 640), "photo.png"))
    for _ in range(events):
        visitor.join(*question)
    for _ in visitor.messages():
        break  # the stream is there, and goes with the visitor
    visitor.close()
    started, other = time.monotonic(), Visitor(running.url)
    while other.web.get(f"{other.url}/queue/status").json()["queue_size"] and time.monotonic() < started + 120:
        time.sleep(0.1)
    other.close()
    return time.monotonic() - started


def log_leaks(running: Server) -> list[str]:
    """Lines of the server's log with a traceback, a place of the machine, or the secret of its environment."""
    signs = ("Traceback", "do-not-log-me", str(ROOT), str(running.folder), "/tmp/")
    return [line for line in running.log.read_text().splitlines() if any(sign in line for sign in signs)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60, help="how long the crowd stays")
    parser.add_argument("--requests", type=int, default=500, help="how many memory is watched over")
    options = parser.parse_args()
    with server() as running:
        answers = hostile.refusals(running.url)
        for name, answer in answers.items():
            print(f"{name:32} {answer[:160]}")
        print("made-up state", hostile.made_up_state(running.url))
        print("leave", leave(running))
        print("flood", sorted(set(flood(running.url))))
        print("left", left(running, options.visitors))
        with ThreadPoolExecutor(1) as pool:
            abused = pool.submit(abuse, running, options.seconds)
            print("crowd", crowd(running.url, options.visitors, options.seconds))
            print("abuse meanwhile", abused.result())
        print("memory", memory(running, options.requests))
        print("log", log_leaks(running)[:20])
        running.stop()
        print("files after the end", len(running.files()), list((running.folder / "tmp").iterdir()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
