"""As much of the Hugging Face Hub as pushing and loading need, on this machine: `with fake_hub() as endpoint`."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = 5_000_000  # bytes from which the real one wants another protocol; nothing of ours is that large


class Hub(ThreadingHTTPServer):
    """Repositories by name: their commits, newest last, each a dict of files."""

    def __init__(self, repositories: Mapping[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = {name: [("0" * 40, files)] for name, files in repositories.items()}


class Handler(BaseHTTPRequestHandler):
    """The requests that `create_repo`, `upload_folder` and `hf_hub_download` make."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: object = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.headers.get("Authorization") != "Bearer hf_fake":
            self.answer(401, {"error": "who are you?"})
        elif parts[:3] == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.server.repositories.setdefault(name, [("0" * 40, {})])
            self.answer(200, {"url": f"http://{self.headers['Host']}/{name}", "id": name})
        elif parts == ["api", "validate-yaml"]:
            self.answer(200, {"errors": [], "warnings": []})
        elif parts[4] == "preupload":
            files = json.loads(body)["files"]
            assert all(file["size"] < LARGE for file in files)
            told = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self.answer(200, {"files": told})
        else:
            lines = [json.loads(line) for line in body.splitlines()]
            commits = self.server.repositories["/".join(parts[2:4])]
            new = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines[1:]}
            oid = hashlib.sha1(body).hexdigest()
            commits.append((oid, commits[-1][1] | new))
            url = f"http://{self.headers['Host']}/{'/'.join(parts[2:4])}/commit/{oid}"
            self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def do_GET(self) -> None:
        user, name, _, revision, *path = self.path.split("?")[0].strip("/").split("/")
        commits = self.server.repositories.get(f"{user}/{name}")
        if commits is None:
            return self.answer(404, X_Error_Code="RepoNotFound")
        known = dict(commits) | {"main": commits[-1][1]}
        if revision not in known:
            return self.answer(404, X_Error_Code="RevisionNotFound")
        data = known[revision].get("/".join(path))
        if data is None:
            return self.answer(404, X_Error_Code="EntryNotFound")
        oid = commits[-1][0] if revision == "main" else revision
        return self.answer(200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=oid)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def fake_hub(repositories: Mapping[str, dict[str, bytes]]) -> Iterator[str]:
    """Serve a Hub with the files of some repositories; its address."""
    hub = Hub(repositories)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{hub.server_port}"
    finally:
        hub.shutdown()
        hub.server_close()
