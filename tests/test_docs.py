"""What the docs say, done as they say; examples in docstrings too."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import ranlen
import ranlen.segment
from ranlen.io import images
from tests.serving import started

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
MODULES = [module.name for module in pkgutil.walk_packages(ranlen.__path__, "ranlen.") if "__main__" not in module.name]


def blocks(page: Path, language: str) -> list[str]:
    """The code of a page; what stands under a comment "not run here" is for the reader."""
    return re.findall(rf"(?<!-->\n)```{language}\n(.*?)```", page.read_text(), re.DOTALL)


WITH_PYTHON = [
    page for page in PAGES if blocks(page, "python") and page.stem not in ("api", "onnx")
]  # which need a server, a graph


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    from ranlen.models import backbones

    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    monkeypatch.delenv("RANLEN_SEGMENTER", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "demo" / "examples", tmp_path / "demo" / "examples")
    known = dict(backbones.BACKBONES)
    try:
        space: dict[str, object] = {"__name__": "page"}
        for code in blocks(page, "python"):
            exec(compile(code, page.name, "exec"), space)
    finally:
        backbones.BACKBONES.clear()
        backbones.BACKBONES.update(known)


@pytest.mark.slow
def test_programs_and_agents_are_answered_as_the_page_says(tmp_path, monkeypatch):
    pytest.importorskip("mcp")
    shutil.copytree(ROOT / "demo" / "examples", tmp_path / "demo" / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "fetched"))
    text = (ROOT / "docs" / "api.md").read_text()
    with started(ROOT, GRADIO_MCP_SERVER="True") as url:
        space: dict[str, object] = {}
        for language, code in re.findall(r"```(python|sh)\n(.*?)```", text, re.DOTALL):
            code = code.replace("http://127.0.0.1:7860", url)
            if language == "python":
                exec(compile(code, "api.md", "exec"), space)
            elif "pip install" not in code:
                subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True, timeout=120)
    dark, lit = (images.read(tmp_path / name).pixels for name in ("demo/examples/coffee.jpg", "lit.jpg"))
    assert dark.shape == lit.shape
    assert lit.mean() > dark.mean()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_are_there(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_public_name_is_in_the_reference():
    documented = re.findall(r"^::: ranlen\.[\w.]*?(\w+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted([*ranlen.__all__, *ranlen.segment.__all__])


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
