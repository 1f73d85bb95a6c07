"""The page's modules that need no page, tested by Node, and that what serves them serves all of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo import assets

TESTS = sorted((Path(__file__).parent / "modules").glob("*.test.mjs"))
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no Node on this machine: install it to test the page's modules")
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_in_node(path):
    done = subprocess.run([str(NODE), "--test", str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE) or re.search(r"pass [1-9]", done.stdout), done.stdout


@pytest.fixture
def client():
    with TestClient(Starlette(routes=assets.ROUTES)) as client:
        yield client


def test_every_module_is_served_as_javascript_and_kept_for_good(client):
    assert "main.js" in assets.MODULES
    for name, text in assets.MODULES.items():
        reply = client.get(f"/{assets.FOLDER}/{name}")
        assert reply.content == text
        assert reply.headers["content-type"].startswith("text/javascript")
        assert "immutable" in reply.headers["cache-control"]
        wanted = re.findall(r"from '\./([\w.]+)'", text.decode())
        assert set(wanted) <= set(assets.MODULES), name
        assert f'href="{assets.FOLDER}/{name}"' in assets.HEAD


@pytest.mark.parametrize(
    "path", ["0/main.js", "{version}/page.html", "{version}/package.json", "{version}/../middleware.py"]
)
def test_of_another_version_and_of_other_files_nothing_is_served(client, path):
    reply = client.get("/gradio_api/page/" + path.format(version=assets.VERSION))
    assert reply.status_code == 404
    assert "immutable" not in reply.headers.get("cache-control", "")
