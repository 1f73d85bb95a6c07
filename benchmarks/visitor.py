"""A visitor of the page without a browser: uploads, events and answers as the page's own script sends them.

Events are found by what they are (an upload, an edit on the canvas), not by their number, which changes with the page.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from demo.assets import VERSION
from ranlen.io import images
from ranlen.io.images import Photo

BITS = 16  # of a mark
EXAMPLES = sorted((Path(__file__).parent.parent / "demo" / "examples").glob("*.jpg"))
CLICK = {"tool": "circle", "at": [0.5, 0.4], "radius": 0.15, "add": True}
FIND = {"tool": "subject", "at": [0.5, 0.4]}
MODEL = "star_dce-ranlen"
Answer = dict[str, Any]


class RefusalError(RuntimeError):
    """What the server answered instead of a result: `status` of the response, or 200 for an event that failed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Visitor:
    """One visitor with a session of their own."""

    def __init__(self, url: str, seconds: float = 300) -> None:
        self.url = url.rstrip("/") + "/gradio_api"
        self.web = httpx.Client(timeout=seconds, trust_env=False)
        self.session = secrets.token_hex(8)
        self.config = self.web.get(url.rstrip("/") + "/config").json()
        self.key: str | None = None  # of the photo that is open
        self.there: Any = None
        self.values = {each["id"]: each["props"].get("value") for each in self.config["components"]}

    def stay(self) -> None:
        """Be there as a browser is, whose leaving the server notices."""
        self.there = self.web.stream("GET", f"{self.url}/page/{VERSION}/here/{self.session}")
        self.there.__enter__()

    def close(self) -> None:
        if self.there is not None:
            self.there.__exit__(None, None, None)
        self.web.close()

    def event(self, name: str, api: str = "") -> dict[str, Any]:
        """The event of a name, or the endpoint of one."""
        for each in self.config["dependencies"]:
            if (api and each["api_name"] == api) or (not api and any(target[1] == name for target in each["targets"])):
                return each
        raise LookupError(f"the page has no event {name or api}")

    def upload(self, data: bytes, name: str) -> dict[str, Any]:
        """Upload a file; what events take for it."""
        answer = self.web.post(f"{self.url}/upload", files={"files": (name, data)})
        if answer.status_code != 200:
            raise RefusalError(answer.status_code, answer.text)
        return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def join(self, event: dict[str, Any], data: list[Any], about: Any = None) -> str:
        """Queue an event; its id. NaN is sent as Python writes it."""
        body = {"data": data, "event_data": about, "fn_index": event["id"], "session_hash": self.session}
        body["trigger_id"] = event["targets"][0][0]
        answer = self.web.post(
            f"{self.url}/queue/join", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        if answer.status_code != 200:
            raise RefusalError(answer.status_code, str(answer.json().get("detail", answer.text)))
        return answer.json()["event_id"]

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server says to this session, as it comes."""
        with self.web.stream("GET", f"{self.url}/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def ask(self, event: dict[str, Any], data: list[Any], about: Any = None) -> Answer:
        """Queue an event and wait for its answer.

        Raises:
            RefusalError: the server's, whatever form it has.
        """
        number = self.join(event, data, about)
        for message in self.messages():
            if message.get("event_id") == number and message["msg"] == "process_completed":
                if not message["success"]:
                    raise RefusalError(200, str(message["output"].get("error")))
                return message["output"]
        raise RefusalError(200, "the answer never came")

    def open(self, data: bytes, name: str) -> Answer:
        """Open a photo on the page."""
        answer = self.ask(self.event("open"), [], {"path": self.upload(data, name)["path"]})
        self.key = json.loads(answer["data"][0]["props"]["photo"]).get("key")
        return answer

    def edit(self, edits: Any) -> Answer:
        """Edit on the canvas, with the quicker backbone: outlines and lights."""
        return self.ask(self.event("edit"), [], {"recipe": session(edits), "wanted": [0]})

    def exact(self, edits: Any) -> list[int]:
        """The box of the server's picture of what the edits light."""
        answer = self.web.post(f"{self.url}/exact", json={"key": self.key, "recipe": session(edits)})
        if answer.status_code != 200:
            raise RefusalError(answer.status_code, answer.text)
        return [int(each) for each in answer.headers["X-Box"].split(",")]

    def asked(self, photo: Any, **given: Any) -> tuple[dict[str, Any], list[Any]]:
        """The endpoint for programs and its inputs; what is not given is as the endpoint says."""
        event = self.event("", api="light")
        labels = {each["id"]: each["props"].get("label") for each in self.config["components"]}
        values = {labels[each]: self.values.get(each) for each in event["inputs"]} | given | {"photo": photo}
        return event, [values[labels[each]] for each in event["inputs"]]

    def light(self, photo: Any, **given: Any) -> Answer:
        """Light a photo at the endpoint."""
        return self.ask(*self.asked(photo, **given))

    def fetch(self, file: dict[str, Any]) -> bytes:
        """A file of an answer."""
        answer = self.web.get(f"{self.url}/file={file['path']}")
        if answer.status_code != 200:
            raise RefusalError(answer.status_code, answer.text)
        return answer.content


def session(edits: Any) -> dict[str, Any]:
    """Edits of one subject as the page sends them."""
    return {"ranlen": 1, "backbone": "star_dce", "subjects": [{"edits": edits}]}


def pictures(answer: Any) -> Iterator[Image.Image]:
    """Every picture in an answer that is sent within it, at whatever depth, also in JSON within strings."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list):
        for each in answer:
            yield from pictures(each)
    elif isinstance(answer, str) and answer.startswith("data:image/"):
        yield Image.open(io.BytesIO(base64.b64decode(answer.partition(",")[2])))
    elif isinstance(answer, str) and answer.startswith("{"):
        yield from pictures(json.loads(answer))


def marked(photo: np.ndarray, number: int) -> np.ndarray:
    """A photo (H, W, 3) with a number along its lower edge, in black and white, which no light changes."""
    photo = photo.copy()
    height, width = photo.shape[:2]
    ends = np.linspace(0, width, BITS + 1).astype(int)
    for bit, (left, right) in enumerate(itertools.pairwise(ends)):
        photo[height - height // 10 :, left:right] = 255 * (code(number) >> bit & 1)
    return photo


def photo_of(number: int, width: int = 640) -> bytes:
    """A real photo with a mark, as PNG."""
    pixels = images.preview(images.read(EXAMPLES[number % len(EXAMPLES)]), width)
    return images.encode(Photo(marked(pixels, number)), "PNG")


def mark_in(picture: np.ndarray) -> int:
    """The number along the lower edge of a picture of any size; -1 where there is none that fits its own check."""
    height, width = picture.shape[:2]
    row = picture[height - max(1, height // 20)].mean(-1)
    centers = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    found = sum(int(row[x] > 127) << bit for bit, x in enumerate(centers))
    number = found & 0xFF
    return number if found == code(number) else -1


def code(number: int) -> int:
    """Eight bits of a number and eight that check them."""
    return number | (~number & 0xFF) << 8
